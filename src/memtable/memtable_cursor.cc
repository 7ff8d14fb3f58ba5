#include "memtable/memtable_cursor.h"

#include <algorithm>
#include <new>
#include <utility>

namespace lightning {

namespace {
constexpr uint32_t kAhead = 8;  // entries between a prefetch and its use
}  // namespace

std::unique_ptr<SourceCursor> MemTable::cursor(uint64_t read_lsn) const {
  return std::unique_ptr<SourceCursor>(new (std::nothrow)
                                           MemTableCursor(*this, order_index_->arrays(), read_lsn));
}

MemTableCursor::MemTableCursor(const MemTable& memtable, std::shared_ptr<const ArraySet> set,
                               uint64_t read_lsn)
    : memtable_(memtable),
      read_lsn_(read_lsn),
      has_ranges_(read_lsn != kReadAllLsn && !memtable.range_removals().empty()),
      set_(std::move(set)) {
  cover_.from = cover_.to = std::string_view("\0", 1);  // of no key
  for (uint32_t i = 0; i < set_->count; ++i) sources_[i].array = set_->arrays[i].get();
}

void MemTableCursor::seek_first() {
  for (uint32_t i = 0; i < set_->count; ++i) sources_[i].at = 1;
  start(kForward);
}

void MemTableCursor::seek_last() {
  for (uint32_t i = 0; i < set_->count; ++i) sources_[i].at = sources_[i].array->size();
  start(kBackward);
}

void MemTableCursor::seek(std::string_view key) {
  search(key);
  start(kForward);
}

void MemTableCursor::seek_for_prev(std::string_view key) {
  search(key);
  for (uint32_t i = 0; i < set_->count; ++i) {
    Source& source = sources_[i];
    if (source.at > source.array->size() || source.array->key(source.at - 1) != key) --source.at;
  }
  start(kBackward);
}

void MemTableCursor::search(std::string_view key) {
  std::array<SortedArray::Search, kOrderArraysMax> searches;
  for (uint32_t i = 0; i < set_->count; ++i) searches[i] = SortedArray::Search(*sources_[i].array);
  for (bool more = true; more;) {
    more = false;
    for (uint32_t i = 0; i < set_->count; ++i) more |= searches[i].step(key);
  }
  for (uint32_t i = 0; i < set_->count; ++i) sources_[i].at = searches[i].position() + 1;
}

void MemTableCursor::start(int direction) {
  direction_ = direction;
  live_ = 0;
  for (uint32_t i = 0; i < set_->count; ++i) {
    if (!load(sources_[i])) continue;
    std::copy_backward(order_.begin(), order_.begin() + live_, order_.begin() + live_ + 1);
    order_[0] = static_cast<uint8_t>(i);
    ++live_;
    sink_front();
  }
  skip_invisible();
}

void MemTableCursor::next() { move(kForward); }
void MemTableCursor::prev() { move(kBackward); }

void MemTableCursor::move(int direction) {
  if (direction != direction_) turn(direction);
  pass_front();
  skip_invisible();
}

void MemTableCursor::turn(int direction) {
  // By W1 an array that does not stand on the present key stands one step from its neighbour on the other
  // side. One that ran out has all its keys there, so the entry that was read last from it is none of the
  // present key.
  const std::string_view present = key_;
  for (uint32_t i = 0; i < set_->count; ++i) {
    Source& source = sources_[i];
    if (source.entry.key != present) source.at += direction;
  }
  start(direction);
}

void MemTableCursor::pass_front() {
  const std::string_view passed = front().entry.key;
  const bool several = live_ > 1;
  do {
    Source& source = front();
    source.at += direction_;
    if (load(source)) {
      sink_front();
    } else {
      --live_;
      std::copy(order_.begin() + 1, order_.begin() + 1 + live_, order_.begin());
    }
  } while (several && live_ > 0 && front().entry.key == passed);
}

void MemTableCursor::skip_invisible() {
  while (live_ > 0 && !show_front()) pass_front();
  valid_ = live_ > 0;
}

bool MemTableCursor::show_front() {
  const Source& source = front();
  LogEntry entry = source.entry;
  uint32_t name = source.name;
  if (memtable_.lsn_of(name) >= read_lsn_) [[unlikely]] {
    name = memtable_.visible(memtable_.chain(name), entry.key, read_lsn_);
    if (name == kNoEntry) return false;
    entry = memtable_.entry(name);
  }
  key_ = entry.key;
  value_ = entry.value;
  kind_ = entry.kind;
  if (has_ranges_ && range_removed(name)) [[unlikely]] {
    kind_ = EntryKind::remove;
    value_ = {};
  }
  return true;
}

/// Is there a range removal over key_ that is newer than its version?
bool MemTableCursor::range_removed(uint32_t name) {
  const RangeRemovals& ranges = memtable_.range_removals();
  if (!cover_.reaches(key_)) cover_ = ranges.cover(key_, read_lsn_);
  return cover_.covered && ranges.newest(key_, read_lsn_) > memtable_.lsn_of(name);
}

void MemTableCursor::collect_versions(std::vector<Version>* versions) {
  for (uint32_t name = front().name; name != kNoEntry; name = memtable_.chain(name)) {
    const LogEntry entry = memtable_.entry(name);
    if (entry.key == key_) versions->push_back({memtable_.lsn_of(name), entry.kind, entry.value});
  }
}

/// Reads the entry that `source` stands on; false when it stands on none.
bool MemTableCursor::load(Source& source) {
  const uint32_t position = source.at - 1;
  const uint32_t size = source.array->size();
  if (position >= size) return false;
  source.name = source.array->name(position);
  source.entry = memtable_.entry(source.name);
  const uint32_t ahead = position + direction_ * kAhead;
  if (ahead < size) __builtin_prefetch(memtable_.data() + source.array->name(ahead) * kLogAlignment);
  return true;
}

bool MemTableCursor::precedes(uint8_t a, uint8_t b) const {
  const int order = compare_keys(sources_[a].entry.key, sources_[b].entry.key) * direction_;
  return order != 0 ? order < 0 : a < b;
}

void MemTableCursor::sink_front() {
  const uint8_t moving = order_[0];
  uint32_t place = 0;
  for (; place + 1 < live_ && precedes(order_[place + 1], moving); ++place) order_[place] = order_[place + 1];
  order_[place] = moving;
}

}  // namespace lightning
