#include "txn/write_set.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace lightning {

namespace {

/// An ordered walk over the writes. Whoever frees it may be another thread, after they are gone.
class WriteSetCursor final : public SourceCursor {
 public:
  explicit WriteSetCursor(const WriteSet::Writes& writes) : writes_(writes), at_(writes.end()) {}

  void seek_first() override { show(writes_.begin()); }
  void seek_last() override { show_before(writes_.end()); }
  void seek(std::string_view key) override { show(writes_.lower_bound(key)); }
  void seek_for_prev(std::string_view key) override { show_before(writes_.upper_bound(key)); }
  void next() override { show(std::next(at_)); }
  void prev() override { show_before(at_); }
  void collect_versions(std::vector<Version>* versions) override {
    versions->push_back({.lsn = kSettledLsn, .kind = kind_, .value = value_});
  }
  /// The cursor holds the transaction, which keeps the bytes.
  Pin pin() const override { return {}; }

 private:
  void show(WriteSet::Writes::const_iterator at) {
    at_ = at;
    valid_ = at != writes_.end();
    if (!valid_) return;
    key_ = at->first;
    value_ = at->second.value;
    kind_ = at->second.kind;
  }
  void show_before(WriteSet::Writes::const_iterator at) {
    show(at == writes_.begin() ? writes_.end() : std::prev(at));
  }

  const WriteSet::Writes& writes_;
  WriteSet::Writes::const_iterator at_;
};

}  // namespace

void WriteSet::put(std::string_view key, std::string_view value, uint64_t ttl_ms) {
  write(key, {.kind = EntryKind::put, .value = value, .ttl_ms = ttl_ms});
}

void WriteSet::remove(std::string_view key) {
  write(key, {.kind = EntryKind::remove, .value = {}, .ttl_ms = 0});
}

void WriteSet::write(std::string_view key, const Write& write) {
  Write kept = write;
  kept.value = arena_.keep(write.value);
  if (!points_.empty()) undo_.emplace_back();  // of no key: takes back nothing
  auto at = writes_.lower_bound(key);
  if (const bool there = at != writes_.end() && at->first == key; !there) {
    at = writes_.emplace_hint(at, arena_.keep(key), kept);
    if (!points_.empty()) undo_.back().key = at->first;
  } else {
    if (!points_.empty()) undo_.back() = {.range = false, .erased = 0, .key = at->first, .write = at->second};
    at->second = kept;
  }
  bytes_ += key.size() + write.value.size();
  ++sequence_;
}

void WriteSet::remove_range(std::string_view from, std::string_view to) {
  const auto first = writes_.lower_bound(from);
  const auto end = writes_.lower_bound(to);
  const size_t erased = points_.empty() ? 0 : static_cast<size_t>(std::distance(first, end));
  if (erased_.size() + erased > erased_.capacity()) erased_.reserve(2 * erased_.size() + erased);
  if (!points_.empty()) undo_.emplace_back();  // of no key: takes back nothing
  ranges_.push_back({.from = arena_.keep(from), .to = arena_.keep(to), .lsn = kSettledRangeLsn});
  bytes_ += from.size() + to.size();
  if (points_.empty()) {
    writes_.erase(first, end);
  } else {
    for (auto at = first; at != end;) erased_.push_back(writes_.extract(at++));
    undo_.back().range = true;
    undo_.back().erased = erased;
  }
  range_map_good_ = false;
  ++sequence_;
}

void WriteSet::forget(std::string_view key) {
  const auto found = writes_.find(key);
  if (found == writes_.end()) return;
  if (points_.empty()) {
    writes_.erase(found);
  } else {
    if (erased_.size() == erased_.capacity()) erased_.reserve(2 * erased_.size() + 1);
    undo_.push_back({.range = false, .erased = 1, .key = {}, .write = std::nullopt});
    erased_.push_back(writes_.extract(found));
  }
  ++sequence_;
}

const RangeMap& WriteSet::range_map() {
  if (range_map_good_) return range_map_;
  std::vector<RangeRemoval> sorted = ranges_;
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.from < b.from; });
  RangeMap map;
  for (size_t at = 0; at < sorted.size();) {
    std::string_view to = sorted[at].to;
    size_t next = at + 1;
    for (; next < sorted.size() && sorted[next].from <= to; ++next) to = std::max(to, sorted[next].to);
    map.append(sorted[at].from, to, std::array{kSettledRangeLsn});
    at = next;
  }
  range_map_ = std::move(map);
  range_map_good_ = true;
  return range_map_;
}

WriteSet::Own WriteSet::find(std::string_view key, std::string_view* value) {
  if (empty()) return Own::none;
  if (const auto found = writes_.find(key); found != writes_.end()) {
    if (found->second.kind == EntryKind::remove) return Own::removed;
    *value = found->second.value;
    return Own::put;
  }
  if (ranges_.empty()) return Own::none;
  return range_map().newest(key, kReadAllLsn) != 0 ? Own::removed : Own::none;
}

void WriteSet::lay_over(ViewCursors* view) {
  if (empty()) return;
  view->sources.insert(view->sources.begin(), std::make_unique<WriteSetCursor>(writes_));
  for (CoverSource& cover : view->covers) ++cover.first_hidden;
  if (ranges_.empty() || view->sources.size() == 1) return;
  view->covers.insert(view->covers.begin(), {.memory = nullptr, .run = &range_map(), .first_hidden = 1});
}

std::vector<Operation> WriteSet::operations() const {
  std::vector<Operation> operations;
  operations.reserve(ranges_.size() + writes_.size());
  for (const RangeRemoval& range : ranges_) {
    operations.push_back(
        {.entry = {EntryKind::remove_range, range.from, range.to}, .hash = 0, .offset = 0, .expiry = 0});
  }
  for (const auto& [key, write] : writes_) {
    operations.push_back(
        {.entry = {write.kind, key, write.value}, .hash = 0, .offset = 0, .expiry = write.ttl_ms});
  }
  return operations;
}

uint64_t WriteSet::set_savepoint() {
  points_.push_back({.id = next_point_, .undo_size = undo_.size()});
  return next_point_++;
}

std::vector<WriteSet::Point>::iterator WriteSet::point(uint64_t id) {
  return std::find_if(points_.begin(), points_.end(), [id](const Point& point) { return point.id == id; });
}

bool WriteSet::rollback_to(uint64_t savepoint) {
  const auto found = point(savepoint);
  if (found == points_.end()) return false;
  points_.erase(found + 1, points_.end());
  const size_t size = points_.back().undo_size;
  for (; undo_.size() > size; undo_.pop_back()) {
    const Undo& undo = undo_.back();
    for (size_t left = undo.erased; left > 0; --left) {
      writes_.insert(std::move(erased_.back()));
      erased_.pop_back();
    }
    if (undo.range) {
      ranges_.pop_back();
      range_map_good_ = false;
    } else if (undo.write) {
      writes_.find(undo.key)->second = *undo.write;
    } else {
      writes_.erase(undo.key);
    }
  }
  ++sequence_;
  return true;
}

bool WriteSet::release(uint64_t savepoint) {
  const auto found = point(savepoint);
  if (found == points_.end()) return false;
  points_.erase(found, points_.end());
  if (points_.empty()) {
    undo_.clear();
    erased_.clear();
  }
  return true;
}

}  // namespace lightning
