// What is said of an index's size: counted where it is small, else from stretches of entries that stand apart
// and from the size that the engine reckons.

#include <algorithm>

#include "base/coding.h"
#include "engine/cursor_state.h"
#include "index/index_scan.h"

namespace lightning {

namespace {

constexpr uint64_t kCountedMax = 20'000;
constexpr uint64_t kStretches = 32;
constexpr uint64_t kStretch = 256;

/// Entries that were looked at.
class Sample {
 public:
  explicit Sample(const LiveIndex& index) : index_(index) {}

  void add(std::string_view key, std::string_view value) {
    ++entries_;
    bytes_ += key.size() + value.size();
    EntryParts parts;
    if (!take_entry(index_, key, value, &parts)) return;
    if (any_ && parts.index_key == last_) return;
    ++distinct_;
    any_ = true;
    last_ = parts.index_key;
  }
  /// What comes does not stand behind what was.
  void jump() { any_ = false; }

  uint64_t entries() const { return entries_; }
  uint64_t distinct() const { return distinct_; }
  uint64_t bytes() const { return bytes_; }

 private:
  const LiveIndex& index_;
  uint64_t entries_ = 0;
  uint64_t distinct_ = 0;
  uint64_t bytes_ = 0;
  bool any_ = false;
  std::string last_;
};

// The key at `part` of `parts` between two that share their first `shared` bytes.
std::string between(std::string_view first, std::string_view last, size_t shared, uint64_t part,
                    uint64_t parts) {
  const auto head = [&](std::string_view key) {
    const std::string_view rest = key.substr(std::min(shared, key.size()));
    return key_head(rest.data(), rest.size());
  };
  const uint64_t low = head(first);
  const uint64_t high = std::max(head(last), low);
  const uint64_t at = __builtin_bswap64(low + (high - low) / parts * part);
  return std::string(first.substr(0, shared)).append(reinterpret_cast<const char*>(&at), sizeof(at));
}

}  // namespace

Result<IndexStats> statistics_of(const std::shared_ptr<Engine>& engine, const LiveIndex& index) {
  const std::unique_ptr<CursorState> cursor = engine->cursor(index.entries, {});
  Sample counted(index);
  cursor->seek_first();
  const std::string first(cursor->valid() ? cursor->key() : std::string_view());
  for (; cursor->valid() && counted.entries() < kCountedMax; cursor->next())
    counted.add(cursor->key(), cursor->value());
  if (!cursor->status().ok()) return cursor->status();
  if (!cursor->valid()) {
    return IndexStats{.entries = counted.entries(),
                      .distinct = counted.distinct(),
                      .bytes = counted.bytes(),
                      .exact = true};
  }
  cursor->seek_last();
  const std::string last(cursor->valid() ? cursor->key() : std::string_view());
  const size_t shared = static_cast<size_t>(
      std::mismatch(first.begin(),
                    first.begin() + static_cast<ptrdiff_t>(std::min(first.size(), last.size())), last.begin())
          .first -
      first.begin());
  Sample sample(index);
  for (uint64_t part = 0; part < kStretches; ++part) {
    sample.jump();
    uint64_t left = kStretch;
    for (cursor->seek(between(first, last, shared, part, kStretches)); cursor->valid() && left > 0; --left) {
      sample.add(cursor->key(), cursor->value());
      cursor->next();
    }
  }
  if (!cursor->status().ok()) return cursor->status();
  Result<uint64_t> size = engine->approximate_size(index.entries, "", last + '\0');
  if (!size) return size.status();
  const uint64_t entry_bytes =
      std::max<uint64_t>(1, sample.bytes() / std::max<uint64_t>(1, sample.entries()));
  IndexStats stats{.entries = std::max(*size / entry_bytes, counted.entries()),
                   .distinct = 0,
                   .bytes = *size,
                   .exact = false};
  const double share =
      static_cast<double>(sample.distinct()) / static_cast<double>(std::max<uint64_t>(1, sample.entries()));
  stats.distinct = static_cast<uint64_t>(share * static_cast<double>(stats.entries));
  return stats;
}

}  // namespace lightning
