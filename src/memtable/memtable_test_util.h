// LogBuffer: a segment's memory for tests: appends entries with their chain words and installs them in a memtable.
//
// Entries stand at p with p % 8 == 0 and the chain word before; the next entry's p follows from the size, so that
// collect() needs no record headers. A position (or LSN - base) between entries is the next entry's p.
// Thread safety: one writer; published() and collect() any threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/coding.h"
#include "base/hash.h"
#include "format/log_entry.h"
#include "memtable/memtable.h"

namespace lightning {

class LogBuffer {
 public:
  static constexpr uint64_t kFirstPosition = 8;

  /// Null when memory is short.
  static std::unique_ptr<LogBuffer> create(uint64_t capacity, uint64_t base_lsn) {
    auto buffer = std::unique_ptr<LogBuffer>(new LogBuffer(capacity));
    auto table = MemTable::create(buffer->data_.get(), base_lsn, capacity, buffer->data_);
    if (!table) return nullptr;
    buffer->table_ = *table;
    return buffer;
  }

  MemTable& table() { return *table_; }
  uint64_t base_lsn() const { return table_->base_lsn(); }
  /// Everything below is complete.
  uint64_t published() const { return published_.load(std::memory_order_acquire); }
  uint64_t published_lsn() const { return base_lsn() + published(); }
  bool fits(std::string_view key, std::string_view value) const {
    return published_.load(std::memory_order_relaxed) + log_entry_size(key.size(), value.size()) + 16 <= capacity_;
  }

  /// Appends, installs, publishes; returns the entry's LSN. `hash` stands in for hash_key(key), to make keys collide.
  uint64_t append(EntryKind kind, std::string_view key, std::string_view value, uint64_t hash) {
    const uint64_t position = published_.load(std::memory_order_relaxed);
    PointIndex& points = table_->point_index();
    const uint64_t bucket = points.bucket_number(hash);
    if (!points.lock(bucket, 1).ok()) return 0;
    char* p = data_.get() + position;
    store<uint32_t>(p - kEntryChainBytes, points.head(hash));
    const char* end = put_log_entry(p, kind, key, value);
    points.install(hash, static_cast<uint32_t>(position / kLogAlignment));
    points.unlock(bucket);
    published_.store(next_position(static_cast<uint64_t>(end - data_.get())), std::memory_order_release);
    return base_lsn() + position;
  }
  uint64_t append(EntryKind kind, std::string_view key, std::string_view value) {
    return append(kind, key, value, hash_key(key));
  }

  /// As OrderIndex::Collect wants it; `from` and `to` are positions between entries.
  void collect(uint64_t from, uint64_t to, std::vector<uint32_t>* names) const {
    uint64_t position = from < kFirstPosition ? kFirstPosition : from;
    while (position < to) {
      names->push_back(static_cast<uint32_t>(position / kLogAlignment));
      const LogEntry entry = decode_log_entry(data_.get() + position);
      position = next_position(position + log_entry_size(entry.key.size(), entry.value.size()));
    }
  }
  /// Brings the memtable's order index up to `position`.
  Status catch_up(uint64_t position) {
    return table_->order_index().catch_up(
        position, [this](uint64_t from, uint64_t to, std::vector<uint32_t>* names) { collect(from, to, names); });
  }

 private:
  explicit LogBuffer(uint64_t capacity) : capacity_(capacity), data_(new char[capacity]) {}
  static uint64_t next_position(uint64_t end) { return align_up(end + kEntryChainBytes, kLogAlignment); }

  const uint64_t capacity_;
  const std::shared_ptr<char[]> data_;
  std::shared_ptr<MemTable> table_;
  std::atomic<uint64_t> published_{kFirstPosition};
};

}  // namespace lightning
