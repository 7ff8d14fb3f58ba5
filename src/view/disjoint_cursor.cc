#include "view/disjoint_cursor.h"

#include <algorithm>
#include <utility>

namespace lightning {

DisjointCursor::DisjointCursor(std::span<const KeyRange> ranges, Open open)
    : ranges_(ranges), open_(std::move(open)) {}

void DisjointCursor::seek_first() {
  if (open(0)) enter_forward();
  settle_forward();
}

void DisjointCursor::seek_last() {
  if (open(ranges_.size() - 1)) enter_backward();
  settle_backward();
}

void DisjointCursor::seek(std::string_view key) {
  const auto at = std::partition_point(ranges_.begin(), ranges_.end(),
                                       [key](const KeyRange& range) { return range.ends_before(key); });
  if (open(static_cast<size_t>(at - ranges_.begin()))) {
    key <= range().smallest ? enter_forward() : cursor_->seek(key);
  }
  settle_forward();
}

void DisjointCursor::seek_for_prev(std::string_view key) {
  const auto behind = std::partition_point(ranges_.begin(), ranges_.end(),
                                           [key](const KeyRange& range) { return range.smallest <= key; });
  // Before the first one this is SIZE_MAX, which open() takes for no file.
  if (open(static_cast<size_t>(behind - ranges_.begin()) - 1)) {
    range().ends_before(key) ? enter_backward() : cursor_->seek_for_prev(key);
  }
  settle_backward();
}

void DisjointCursor::next() {
  cursor_->next();
  settle_forward();
}

void DisjointCursor::prev() {
  cursor_->prev();
  settle_backward();
}

void DisjointCursor::collect_versions(std::vector<Version>* versions) {
  cursor_->collect_versions(versions);
  status_ = cursor_->status();
}

/// Makes `file` the open one; false when there is no such file, or no memory for its cursor.
bool DisjointCursor::open(size_t file) {
  status_ = Status();
  if (cursor_ != nullptr && file == file_) return true;
  cursor_.reset();
  if (file >= ranges_.size()) return false;
  file_ = file;
  cursor_ = open_(file);
  if (cursor_ == nullptr)
    status_ = Status(StatusCode::out_of_memory, "no memory for a cursor over a run file");
  return cursor_ != nullptr;
}

void DisjointCursor::enter_forward() {
  range().clipped ? cursor_->seek(range().smallest) : cursor_->seek_first();
}

void DisjointCursor::enter_backward() {
  if (!range().clipped) return cursor_->seek_last();
  cursor_->seek_for_prev(range().largest);
  if (cursor_->valid() && range().ends_before(cursor_->key())) cursor_->prev();
}

/// Has the open file nothing more to show in the present direction? Not so when it failed.
bool DisjointCursor::used_up() const {
  if (!cursor_->valid()) return cursor_->status().ok();
  if (!range().clipped) return false;
  return cursor_->key() < range().smallest || range().ends_before(cursor_->key());
}

// A file may show no key at all: every version in it may be above the read LSN.

void DisjointCursor::settle_forward() {
  while (cursor_ != nullptr && used_up()) {
    if (open(file_ + 1)) enter_forward();
  }
  show();
}

void DisjointCursor::settle_backward() {
  while (cursor_ != nullptr && used_up()) {
    if (open(file_ - 1)) enter_backward();
  }
  show();
}

void DisjointCursor::show() {
  valid_ = cursor_ != nullptr && cursor_->valid();
  if (valid_) {
    key_ = cursor_->key();
    value_ = cursor_->value();
    kind_ = cursor_->kind();
  } else if (cursor_ != nullptr) {
    status_ = cursor_->status();
  }
}

}  // namespace lightning
