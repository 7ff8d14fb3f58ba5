// WriteSet: what a transaction wrote and nobody else sees: for each key its last write, and range removals
// under them.
//
// Keys are internal ones. A range removal takes the writes before it off its keys, so that the rest is as if
// all range removals had come first.
// Thread safety: one thread at a time.
// Ownership: holds copies, which stay where they are until it dies, whatever is overwritten or taken back.
// Costs: a node of a tree a key, in the arena of the copies: what is taken back keeps its room.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/byte_arena.h"
#include "engine/commit_plan.h"
#include "format/range_map.h"
#include "view/view.h"

namespace lightning {

class WriteSet {
 public:
  struct Write {
    EntryKind kind = EntryKind::put;  // or remove
    std::string_view value;
    uint64_t ttl_ms = 0;
  };
  using Writes = std::map<std::string_view, Write, std::less<>,
                          ArenaAllocator<std::pair<const std::string_view, Write>>>;

  // Throw std::bad_alloc, and change nothing then.
  void put(std::string_view key, std::string_view value, uint64_t ttl_ms);
  void remove(std::string_view key);
  void remove_range(std::string_view from, std::string_view to);
  /// As if `key` had not been written since the last range removal.
  void forget(std::string_view key);

  enum class Own { none, put, removed };
  /// What it holds of `key`.
  Own find(std::string_view key, std::string_view* value);

  bool empty() const { return writes_.empty() && ranges_.empty(); }
  /// Of all that was ever written.
  uint64_t bytes() const { return bytes_; }
  /// Grows with every change.
  uint64_t sequence() const { return sequence_; }
  /// Puts itself in front of a View, until the next change.
  void lay_over(ViewCursors* view);
  /// For the commit: range removals, then the rest; `expiry` is the time to live.
  std::vector<Operation> operations() const;

  // Points to come back to; nested.
  uint64_t set_savepoint();
  /// False: there is none of that number. Takes no memory.
  bool rollback_to(uint64_t savepoint);
  bool release(uint64_t savepoint);

 private:
  /// How to take one change back.
  struct Undo {
    bool range = false;          // the newest range removal, with
    size_t erased = 0;           // so many of the newest of erased_, or one without a range; or
    std::string_view key;        // what a key held
    std::optional<Write> write;  // nothing: no write
  };
  struct Point {
    uint64_t id = 0;
    size_t undo_size = 0;
  };

  void write(std::string_view key, const Write& write);
  const RangeMap& range_map();
  std::vector<Point>::iterator point(uint64_t id);

  alignas(std::max_align_t) std::array<char, 200> room_;  // for one write; with more a transaction leaves the
                                                          // sizes that the C library keeps at hand
  ByteArena arena_{room_};
  Writes writes_{Writes::allocator_type(arena_)};
  std::vector<RangeRemoval> ranges_;  // as they came
  RangeMap range_map_;                // of ranges_
  bool range_map_good_ = true;
  uint64_t bytes_ = 0;
  uint64_t sequence_ = 1;
  std::vector<Undo> undo_;                 // since the first savepoint
  std::vector<Writes::node_type> erased_;  // to put them back takes no memory
  std::vector<Point> points_;
  uint64_t next_point_ = 1;
};

}  // namespace lightning
