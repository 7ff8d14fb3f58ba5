// For tests of whatever walks over memtables: a segment's memory with a memtable over it, keys of many
// shapes, a model of what a walk must show, and a random walk that compares the two.
//
// Thread safety: LogBuffer has one writer; published(), collect() and catch_up() any threads. The rest: one
// thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/coding.h"
#include "format/internal_key.h"
#include "format/log_entry.h"
#include "memtable/memtable.h"

namespace lightning {

/// Entries stand at p with p % 8 == 0 and the chain word before; the next entry's p follows from the size, so
/// that collect() needs no record headers. A position (or LSN - base) between entries is the next entry's p.
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

  MemTable& table() const { return *table_; }
  uint64_t base_lsn() const { return table_->base_lsn(); }
  /// Everything below is complete.
  uint64_t published() const { return published_.load(std::memory_order_acquire); }
  uint64_t published_lsn() const { return base_lsn() + published(); }
  bool fits(std::string_view key, std::string_view value) const {
    return published_.load(std::memory_order_relaxed) + log_entry_size(key.size(), value.size()) + 16 <=
           capacity_;
  }

  /// Appends, installs, publishes; returns the entry's LSN. `hash` stands in for hash_key(key), to make keys
  /// collide.
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
        position,
        [this](uint64_t from, uint64_t to, std::vector<uint32_t>* names) { collect(from, to, names); });
  }

 private:
  explicit LogBuffer(uint64_t capacity) : capacity_(capacity), data_(new char[capacity]) {}
  static uint64_t next_position(uint64_t end) { return align_up(end + kEntryChainBytes, kLogAlignment); }

  const uint64_t capacity_;
  const std::shared_ptr<char[]> data_;
  std::shared_ptr<MemTable> table_;
  std::atomic<uint64_t> published_{kFirstPosition};
};

/// Internal keys of one shape, few enough that they are met again.
class KeyMaker {
 public:
  enum class Shape { decimal, tiny, url, far_apart, two_keyspaces, nested };
  static constexpr Shape kShapes[] = {Shape::decimal,   Shape::tiny,          Shape::url,
                                      Shape::far_apart, Shape::two_keyspaces, Shape::nested};

  KeyMaker(Shape shape, uint32_t range) : shape_(shape), range_(range) {}

  std::string operator()(std::mt19937_64& random) const {
    const uint64_t n = random() % range_;
    switch (shape_) {
      case Shape::decimal:
        return "\2" + decimal(n);
      case Shape::tiny:  // 0 to 3 bytes that are filled up to heads in the worst way
        return "\2" + tiny(random, random() % 4);
      case Shape::url:
        return "\3https://www.example" + std::to_string(n % 7) +
               ".org/a/rather/long/path/that/many/pages/share/" + std::to_string(n % 13) + "/" + decimal(n);
      case Shape::far_apart: {  // keys up to the longest
        const size_t size = n % 53 == 0 ? 65'535 : n % 300;
        return "\2" + std::string(size, static_cast<char>('a' + n % 3)) + tiny(random, n % 2);
      }
      case Shape::two_keyspaces:
        return (n % 2 == 0 ? std::string("\1") : std::string("\xfb\0\0\1\0", 5)) + decimal(n / 2);
      case Shape::nested:  // each a prefix of the next
        return std::string(1 + n % 200, '\0') + tiny(random, n % 3);
    }
    return {};
  }

 private:
  static std::string decimal(uint64_t n) {
    const std::string digits = std::to_string(n);
    return std::string(16 - digits.size(), '0') + digits;
  }
  static std::string tiny(std::mt19937_64& random, size_t size) {
    static constexpr char kBytes[] = {'\0', '\1', 'a', '\x7f', '\xff'};
    std::string key(size, '\0');
    for (char& byte : key) byte = kBytes[random() % sizeof(kBytes)];
    return key;
  }

  const Shape shape_;
  const uint32_t range_;
};

/// What a walk shows of one key.
struct Shown {
  std::string key;
  std::string value;
  EntryKind kind = EntryKind::put;
};

class VersionModel {
 public:
  using Versions = std::map<uint64_t, std::pair<EntryKind, std::string>, std::greater<>>;  // newest first

  void add(uint64_t lsn, EntryKind kind, std::string key, std::string value) {
    keys_[std::move(key)][lsn] = {kind, std::move(value)};
  }
  const std::map<std::string, Versions>& keys() const { return keys_; }

  std::vector<Shown> at(uint64_t read_lsn, std::string_view prefix, bool removals) const {
    std::vector<Shown> shown;
    for (const auto& [key, versions] : keys_) {
      if (!key.starts_with(prefix)) continue;
      for (const auto& [lsn, version] : versions) {
        if (lsn >= read_lsn) continue;
        if (removals || version.first == EntryKind::put)
          shown.push_back({key, version.second, version.first});
        break;
      }
    }
    return shown;
  }

 private:
  std::map<std::string, Versions> keys_;
};

/// Moves `cursor` (a SourceCursor or MergeCursor) about at random and compares it with `expected`; seeks to
/// keys of `make_key`. Stops at the first difference.
template <typename Cursor>
void walk_at_random(Cursor& cursor, const std::vector<Shown>& expected, const KeyMaker& make_key, int moves,
                    std::mt19937_64& random) {
  const auto size = static_cast<ptrdiff_t>(expected.size());
  const auto below = [](const Shown& shown, const std::string& key) { return shown.key < key; };
  ptrdiff_t at = -1;
  bool forward = true;
  for (int move = 0; move < moves; ++move) {
    const uint64_t choice = random() % 64;
    if (at < 0 || at >= size || choice < 4) {
      const std::string key = make_key(random);
      const ptrdiff_t bound =
          std::lower_bound(expected.begin(), expected.end(), key, below) - expected.begin();
      switch (random() % 4) {
        case 0:
          cursor.seek_first();
          at = 0;
          break;
        case 1:
          cursor.seek_last();
          at = size - 1;
          break;
        case 2:
          cursor.seek(key);
          at = bound;
          break;
        case 3:
          cursor.seek_for_prev(key);
          at = bound < size && expected[bound].key == key ? bound : bound - 1;
          break;
      }
    } else {
      if (choice < 10) forward = !forward;
      forward ? cursor.next() : cursor.prev();
      at += forward ? 1 : -1;
    }
    ASSERT_TRUE(cursor.status().ok()) << cursor.status().to_string();
    ASSERT_EQ(cursor.valid(), at >= 0 && at < size) << "move " << move << " at " << at << " of " << size;
    if (!cursor.valid()) continue;
    ASSERT_EQ(cursor.key(), expected[at].key) << "move " << move;
    ASSERT_EQ(cursor.value(), expected[at].value) << "move " << move;
    ASSERT_EQ(cursor.kind(), expected[at].kind) << "move " << move;
  }
}

}  // namespace lightning
