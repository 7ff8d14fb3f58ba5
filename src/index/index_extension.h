// IndexExtension: what commits into keyspaces with indexes get besides: for each row the removal of the
// entries that it had and those that it has now, and the check that a unique index stays one.
//
// Invariants
//  X5  The old entries are made of the row as it stood when no other commit had overtaken this one: who
//      commits what extend() made has the row, and what it read of unique indexes, checked.
//  X6  A row and its entries have one expiry, to the microsecond, so that they go together whatever the
//      clock does; what has expired is still seen here.
// Thread safety: one thread. Costs: a get for each row; for unique indexes another one for each new key.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_arena.h"
#include "index/index_set.h"
#include "txn/commit_extension.h"

namespace lightning {

class IndexExtension final : public CommitExtension {
 public:
  explicit IndexExtension(Engine& engine) : engine_(engine), set_(IndexSet::of(engine)) {}

  bool concerns(std::span<const Operation> operations) override;
  Status extend(std::vector<Operation>* operations, const ReadOptions& read, Footprint* reads) override;
  bool is_derived(std::string_view internal_key) const override;
  uint64_t index_version() const override { return table_->version(); }
  Status explain(Status conflict, std::span<const Operation> operations) override;

 private:
  struct Added {
    const LiveIndex* index = nullptr;
    std::string_view value;
    std::string_view primary_key;
    uint64_t expiry = 0;  // 0: never
  };
  /// What becomes of an entry, by its internal key.
  struct Change {
    std::optional<std::string> removed_of;  // the row that had it, of a unique index
    std::optional<Added> added;             // nothing: it goes
    std::optional<Added> kept;              // another row's, put again so that the commit holds only if it is
    bool checked = false;
  };

  using Changes = std::map<std::string_view, Change, std::less<>,
                           ArenaAllocator<std::pair<const std::string_view, Change>>>;

  Status make_changes();
  Status plan(size_t row);
  Status plan_key(Operation& row, uint32_t keyspace, std::string_view key);
  Status plan_range(const Operation& row, uint32_t keyspace);
  Status change_entries(const LiveIndex& index, std::string_view key, const StoredRow& before,
                        const Operation* after);
  Status remove_entry(const LiveIndex& index, const MadeEntry& entry, std::string_view key,
                      bool may_be_others);
  Status add_entry(const LiveIndex& index, const MadeEntry& entry, std::string_view key, uint64_t expiry);
  Status check_unique();
  Status check_owner(std::string_view entry, Change& change);
  void set_expiry(Operation& row, uint32_t keyspace);
  std::string_view internal_key(uint32_t keyspace, std::string_view key);
  void note_key(std::string_view internal);
  uint64_t now();

  Engine& engine_;
  IndexSet& set_;
  std::shared_ptr<const IndexTable> table_;
  ReadOptions read_;
  Footprint* reads_ = nullptr;
  uint64_t now_ = 0;
  uint64_t bytes_ = 0;  // of rows that range removals meet
  std::vector<Operation> rows_;
  alignas(std::max_align_t) std::array<char, 768> room_;  // enough for the entries of one row
  ByteArena arena_{room_};
  Changes changes_{Changes::allocator_type(arena_)};
  std::vector<MadeEntry> old_;
  std::vector<MadeEntry> new_;
};

}  // namespace lightning
