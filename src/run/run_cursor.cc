#include "run/run_cursor.h"

#include <cstring>
#include <new>

#include "format/internal_key.h"
#include "run/fences.h"

namespace lightning {

namespace {
constexpr uint64_t kLineBytes = 64;
constexpr int kLeafLinesAhead = 8;
constexpr size_t kShortCopyBytes = 16;
}  // namespace

void RunCursor::prefetch_leaf(const RunPages& pages, uint64_t page_number) {
  if (pages.compressed()) return;
  for (uint64_t line = 0; line < kLeafLinesAhead; ++line)
    pages.prefetch(page_number * kUnitBytes + line * kLineBytes);
}

void RunCursor::fail(Status status) {
  valid_ = false;
  status_ = std::move(status);
}

bool RunCursor::fail_at(const char* byte) {
  fail(run_.pages_->corruption("entry", run_.pages_->offset_of(page_, byte)));
  return false;
}

void RunCursor::clear_error() {
  if (!status_.ok()) status_ = Status();
}

bool RunCursor::reserve_key(size_t size) {
  if (size > kInternalKeyBytesMax) return fail_at(leaf_.data());
  if (size + kShortCopyBytes <= key_capacity_) return true;
  const size_t capacity = 2 * size + kShortCopyBytes;
  std::unique_ptr<char[]> bytes(new (std::nothrow) char[capacity]);
  if (bytes == nullptr) {
    fail(Status(StatusCode::out_of_memory, "a cursor's key"));
    return false;
  }
  std::memcpy(bytes.get(), key_bytes_, key_capacity_);
  long_key_ = std::move(bytes);
  key_bytes_ = long_key_.get();
  key_capacity_ = capacity;
  return true;
}

bool RunCursor::enter(uint32_t number) {
  if (number == leaf_number_) return true;
  leaf_number_ = kNoLeaf;
  const RunPages& pages = *run_.pages_;
  const uint64_t page_number = run_.fences_->page(number);
  Status status;
  const auto use = read_lsn_ == kReadAllLsn ? RunPages::Use::pass : RunPages::Use::scan;
  if (!pages.mapped()) page_owner_.reset();  // so that what was read ahead can be read over
  if (!pages.leaf(page_number, &page_, &page_owner_, &status, use, &ahead_)) {
    fail(std::move(status));
    return false;
  }
  if (!leaf_.parse(page_.data, page_.size)) {
    fail(pages.corruption("page header", pages.leaf_offset(page_number)));
    return false;
  }
  const std::string_view prefix = leaf_.prefix();
  if (!reserve_key(prefix.size())) return false;
  std::memcpy(key_bytes_, prefix.data(), prefix.size());
  leaf_number_ = number;
  return true;
}

bool RunCursor::show(uint32_t slot) {
  LeafEntry entry;
  if (!leaf_.entry(slot, &entry)) [[unlikely]]
    return fail_at(leaf_.data() + leaf_.slot_offset(slot));
  const size_t prefix_size = leaf_.prefix().size();
  const size_t suffix_size = entry.suffix.size();
  if (prefix_size + suffix_size + kShortCopyBytes > key_capacity_ &&
      !reserve_key(prefix_size + suffix_size)) {
    return false;
  }
  // A copy of fixed size costs a third of one of the right size.
  if (suffix_size <= kShortCopyBytes && entry.suffix.data() + kShortCopyBytes <= page_.data + page_.size)
      [[likely]] {
    std::memcpy(key_bytes_ + prefix_size, entry.suffix.data(), kShortCopyBytes);
  } else {
    std::memcpy(key_bytes_ + prefix_size, entry.suffix.data(), suffix_size);
  }
  slot_ = slot;
  key_ = {key_bytes_, prefix_size + suffix_size};
  if (entry.flags >= kEntryOutside) return show_version(entry);
  kind_ = entry.kind();
  value_ = entry.body;
  valid_ = true;
  return true;
}

bool RunCursor::show_version(const LeafEntry& entry) {
  LeafVersion version;
  const Visible visible = visible_version(entry, read_lsn_, &version);
  if (visible == Visible::damage) return fail_at(entry.body.data());
  if (visible == Visible::none) return false;
  if (!version.outside()) {
    value_ = version.bytes;
  } else if (read_lsn_ == kReadAllLsn && (version.ref().offset & kInValueFile) != 0) {
    value_ = {};  // a merge asks collect_versions(), which does not read it
  } else if (Status status;
             !run_.pages_->value(version.ref(), version.value_size, &value_, &value_owner_, &status)) {
    fail(std::move(status));
    return false;
  }
  kind_ = version.kind();
  valid_ = true;
  return true;
}

void RunCursor::forward(int64_t slot) {
  valid_ = false;
  version_owners_.clear();
  for (;;) {
    for (; slot < leaf_.count(); ++slot) {
      if (show(static_cast<uint32_t>(slot)) || !status_.ok()) return;
    }
    const uint32_t following = leaf_number_ + 1;
    if (following >= run_.fences_->leaves() || !enter(following)) return;
    if (following + 1 < run_.fences_->leaves())
      prefetch_leaf(*run_.pages_, run_.fences_->page(following + 1));
    slot = 0;
  }
}

void RunCursor::backward(int64_t slot) {
  valid_ = false;
  version_owners_.clear();
  for (;;) {
    for (; slot >= 0; --slot) {
      if (show(static_cast<uint32_t>(slot)) || !status_.ok()) return;
    }
    if (leaf_number_ == 0 || !enter(leaf_number_ - 1)) return;
    if (leaf_number_ > 0) prefetch_leaf(*run_.pages_, run_.fences_->page(leaf_number_ - 1));
    slot = static_cast<int64_t>(leaf_.count()) - 1;
  }
}

void RunCursor::next() {
  forward(int64_t{slot_} + 1);
  if (run_.pages_->faulted()) [[unlikely]]
    fail(run_.pages_->fault());
}

void RunCursor::prev() {
  backward(int64_t{slot_} - 1);
  if (run_.pages_->faulted()) [[unlikely]]
    fail(run_.pages_->fault());
}

void RunCursor::seek_first() {
  clear_error();
  ahead_.seek(false);
  if (!enter(0)) return;
  forward(0);
  if (run_.pages_->faulted()) fail(run_.pages_->fault());
}

void RunCursor::seek_last() {
  clear_error();
  ahead_.seek(true);
  if (!enter(run_.fences_->leaves() - 1)) return;
  backward(static_cast<int64_t>(leaf_.count()) - 1);
  if (run_.pages_->faulted()) fail(run_.pages_->fault());
}

// The first slot >= `key` of the leaf where it belongs, count() if that is in the next one.
bool RunCursor::seek_slot(std::string_view key, int64_t* slot, bool* exact) {
  clear_error();
  uint32_t number;
  if (Status s = run_.find_leaf(key, &number); !s.ok()) {
    fail(std::move(s));
    return false;
  }
  prefetch_leaf(*run_.pages_, run_.fences_->page(number));  // the heads need not wait for the header
  if (!enter(number)) return false;
  leaf_.prefetch_slots();
  *slot = leaf_.lower_bound(key, exact);
  if (*slot < 0) return fail_at(leaf_.data());
  return true;
}

void RunCursor::seek(std::string_view key) {
  int64_t slot;
  bool exact;
  ahead_.seek(false);
  if (!seek_slot(key, &slot, &exact)) return;
  forward(slot);
  if (run_.pages_->faulted()) fail(run_.pages_->fault());
}

void RunCursor::seek_for_prev(std::string_view key) {
  int64_t slot;
  bool exact;
  ahead_.seek(true);
  if (!seek_slot(key, &slot, &exact)) return;
  backward(exact ? slot : slot - 1);
  if (run_.pages_->faulted()) fail(run_.pages_->fault());
}

// What was read from a file, and no part of a mapping, has owners here.
SourceCursor::Pin RunCursor::pin() const {
  return run_.pages_->mapped() ? Pin{run_.shared_from_this(), run_.info_.size} : Pin{};
}

void RunCursor::collect_versions(std::vector<Version>* versions) {
  LeafEntry entry;
  if (!leaf_.entry(slot_, &entry)) {
    fail_at(leaf_.data());
    return;
  }
  const auto add = [&](const LeafVersion& version) {
    Version& shown = versions->emplace_back(version.lsn, version.kind(), version.bytes);
    if (!version.outside()) return true;
    RunPages::Owner owner;
    Status status;
    if ((version.ref().offset & kInValueFile) != 0) {
      if (!run_.pages_->place(version.ref(), version.value_size, &shown.place, &status)) {
        fail(std::move(status));
        return false;
      }
      // Whoever merges asks when it expires, and believes no byte that was not verified.
      if (version.kind() != EntryKind::put_expiring) return true;
    }
    if (!run_.pages_->value(version.ref(), version.value_size, &shown.value, &owner, &status)) {
      fail(std::move(status));
      return false;
    }
    if (owner != nullptr) version_owners_.push_back(std::move(owner));
    return true;
  };
  if ((entry.flags & kEntryVersioned) == 0) {
    add({kSettledLsn, entry.flags, entry.value_size, entry.body});
    return;
  }
  VersionReader reader(entry.body);
  LeafVersion version;
  bool ok = reader.ok();
  while (ok && reader.left() > 0) {
    ok = reader.next(&version);
    if (ok && !add(version)) return;
  }
  if (!ok) fail_at(entry.body.data());
}

}  // namespace lightning
