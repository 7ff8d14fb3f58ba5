// OrderIndex: a memtable's entries in key order, in immutable sorted arrays that follow the log.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace lightning {

class OrderIndex {
 public:
  /// Over entries at `data` (positions as in format/log_entry.h).
  static Result<std::unique_ptr<OrderIndex>> create(const char* data);
  ~OrderIndex();

  /// All entries at positions below this one are in the arrays.
  uint64_t ordered_position() const;
  /// Brings the arrays up to `position`: `collect(from, to, names)` appends the names (offset8) of the entries of the
  /// records in [from, to), in log order. One caller at a time works, others wait.
  using Collect = std::function<void(uint64_t from, uint64_t to, std::vector<uint32_t>* names)>;
  Status catch_up(uint64_t position, const Collect& collect);
  /// Merges all arrays into one; for a sealed memtable.
  Status settle();

  uint64_t memory_bytes() const;
};

}  // namespace lightning
