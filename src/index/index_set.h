// IndexSet: the indexes of one open database: their definitions with the functions that they call, and the
// builds that are under way.
//
// The catalogue says what there is (Engine::index_records); the table is made of it again when it has
// changed. An index is built by slices, of entries whose rows did not change since they were read
// (index_build.cc); whoever waits for it makes slices, too, beside the background. What a crash leaves is
// begun again.
// Invariants
//  X3  From the commit that adds an index on, every commit into its keyspace keeps it (Engine::add_index()).
//  X4  When an index is ready, each row that is visible at or above its first_lsn() has its entries, and
//      there are no others.
// Thread safety: internally synchronised. Ownership: the engine holds it (EngineAttachment).
#pragma once

#include <lightning/extractor.h>
#include <lightning/index.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/epoch.h"
#include "base/mutex.h"
#include "engine/engine.h"
#include "index/entries.h"

namespace lightning {

/// All indexes at one moment. Immutable.
struct IndexTable {
  using Indexes = std::vector<std::shared_ptr<const LiveIndex>>;

  std::shared_ptr<const IndexRecords> records;
  std::map<uint32_t, Indexes> by_keyspace;  // each by name

  uint64_t version() const { return records->version; }
  const Indexes& of(uint32_t keyspace) const;
  /// Null: there is none.
  std::shared_ptr<const LiveIndex> find(uint32_t keyspace, std::string_view name) const;
  const LiveIndex* look_for(uint32_t keyspace, std::string_view name) const;
  std::shared_ptr<const LiveIndex> with_entries(uint32_t entries) const;
};

class IndexSet final : public EngineAttachment {
 public:
  /// `engine` will hold it.
  IndexSet(Engine& engine, std::vector<Extractor> extractors);
  ~IndexSet() override;
  static IndexSet& of(const Engine& engine) { return static_cast<IndexSet&>(*engine.attachment()); }

  /// After an open: goes on with what is not ready.
  void resume();

  std::shared_ptr<const IndexTable> table();
  /// An index that can be read by whoever sees all commits below `lsn`; `busy`, `not_found`, its failure.
  Result<std::shared_ptr<const LiveIndex>> readable(uint32_t keyspace, std::string_view name);
  /// Calls `fn` with an index, unless readable() knows more of it; not to wait in there.
  template <typename Fn>
  void look_at(uint32_t keyspace, std::string_view name, Fn&& fn) const {
    EpochGuard epoch;
    const HeldTable* const held = current();
    const LiveIndex* const index = held == nullptr ? nullptr : (*held)->look_for(keyspace, name);
    if (index != nullptr) fn(*index);
  }
  bool has_indexes(uint32_t keyspace);
  Status check_moment(const LiveIndex& index, uint64_t lsn);
  /// Was the index ready for reads at `lsn`?
  bool ready_at(uint32_t entries, uint64_t lsn);

  Status create(uint32_t keyspace, const IndexDefinition& definition);
  Status wait_for(uint32_t keyspace, std::string_view name);
  Status drop(uint32_t keyspace, std::string_view name);
  Result<std::vector<IndexInfo>> list(uint32_t keyspace);

 private:
  static constexpr uint64_t kRowsAtFirst = 512;
  static constexpr uint64_t kRowsMax = uint64_t{1} << 24;
  /// One under way, or one that was. Slices are made one at a time.
  struct Build {
    Mutex mutex;
    std::string position GUARDED_BY(mutex);          // rows below it are done
    uint64_t rows GUARDED_BY(mutex) = kRowsAtFirst;  // of the next slice
    bool disturbed GUARDED_BY(mutex) = false;        // somebody wrote to rows of a slice
  };
  enum class Slice : uint8_t { more, done, wait };
  class SliceMaker;

  using HeldTable = std::shared_ptr<const IndexTable>;

  /// Inside an epoch; null: the table is to be made again.
  const HeldTable* current() const {
    const HeldTable* const held = current_.load(std::memory_order_acquire);
    return held != nullptr && engine_.are_index_records(*(*held)->records) ? held : nullptr;
  }
  std::shared_ptr<const IndexTable> make_table(const std::shared_ptr<const IndexRecords>& records) const;
  std::shared_ptr<const LiveIndex> make_live(const IndexRecord& record) const;
  std::shared_ptr<Build> build_of(uint32_t entries);
  void build_in_background(uint32_t entries, uint64_t delay_ns);
  Result<Slice> build_slice(uint32_t entries);
  /// `done`: no row is left.
  Result<Slice> make_slice(const LiveIndex& index, Build& build) REQUIRES(build.mutex);
  Status finish(const LiveIndex& index);
  void note_first_lsn(uint32_t entries, uint64_t lsn);

  Engine& engine_;
  const std::vector<Extractor> extractors_;

  std::atomic<bool> slice_in_background_{false};
  Mutex mutex_;
  std::atomic<const HeldTable*> current_{nullptr};                        // partner: EpochGuard
  std::map<uint32_t, std::shared_ptr<Build>> builds_ GUARDED_BY(mutex_);  // by the keyspace of entries
  std::map<uint32_t, uint64_t> first_lsns_ GUARDED_BY(mutex_);  // of what became ready since the open
};

}  // namespace lightning
