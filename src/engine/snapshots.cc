#include "engine/snapshots.h"

#include <iterator>

#include "base/barrier.h"
#include "base/interleave.h"

namespace lightning {

RegisteredReader* Snapshots::insert(ReaderKind kind, uint64_t lsn, uint64_t since_ns) {
  RegisteredReader& reader = readers_.emplace_back(kind, lsn, since_ns);
  reader.number_ = ++added_;
  reader.place_ = std::prev(readers_.end());
  return &reader;
}

void Snapshots::remove(RegisteredReader* reader) {
  std::list<RegisteredReader> removed;  // freed behind the lock
  MutexLock lock(mutex_);
  forget_moment(reader);
  count(reader, 0);
  removed.splice(removed.begin(), readers_, reader->place_);
}

std::vector<uint64_t> Snapshots::list() const {
  std::vector<uint64_t> lsns;
  {
    MutexLock lock(mutex_);
    lsns.reserve(readers_.size());
    for (const RegisteredReader& reader : readers_) {
      if (!reader.too_old()) lsns.push_back(reader.lsn());
    }
  }
  std::sort(lsns.begin(), lsns.end());
  lsns.erase(std::unique(lsns.begin(), lsns.end()), lsns.end());
  return lsns;
}

uint64_t Snapshots::oldest_checked() const {
  uint64_t oldest = UINT64_MAX;
  MutexLock lock(mutex_);
  for (const RegisteredReader& reader : readers_) {
    if (reader.kind() == ReaderKind::transaction && !reader.too_old())
      oldest = std::min(oldest, reader.lsn());
  }
  return oldest;
}

uint64_t Snapshots::count() const {
  MutexLock lock(mutex_);
  return static_cast<uint64_t>(
      std::count_if(readers_.begin(), readers_.end(), [](const auto& reader) { return !reader.too_old(); }));
}

std::vector<Snapshots::Seen> Snapshots::all() const {
  std::vector<Seen> all;
  MutexLock lock(mutex_);
  all.reserve(readers_.size());  // what it will hold is not to be let go of under the lock
  for (const RegisteredReader& reader : readers_) {
    all.push_back({.kind = reader.kind(),
                   .lsn = reader.lsn(),
                   .since_ns = reader.since_ns(),
                   .too_old = reader.too_old(),
                   .view = reader.view_.lock(),
                   .pinned = reader.pinned_.lock(),
                   .pinned_bytes = reader.pinned_bytes_});
  }
  return all;
}

uint64_t Snapshots::give_up(uint64_t since_ns) {
  uint64_t next = UINT64_MAX;
  MutexLock lock(mutex_);
  for (RegisteredReader& reader : readers_) {
    if (reader.since_ns() > since_ns) {
      next = std::min(next, reader.since_ns());
    } else if (!reader.too_old()) {
      give_up_registered(&reader);
    }
  }
  return next;
}

void Snapshots::attach(RegisteredReader* reader, IdleCursor* cursor, const std::shared_ptr<const View>& view,
                       uint64_t bytes) {
  MutexLock lock(mutex_);
  count(reader, bytes);
  reader->cursor_ = cursor;
  reader->view_sequence_ = view->sequence;
  reader->view_ = view;
  reader->pinned_.reset();
  reader->pinned_bytes_ = 0;
}

bool Snapshots::views_left(uint64_t sequence) const {
  MutexLock lock(mutex_);
  return std::any_of(readers_.begin(), readers_.end(), [sequence](const auto& reader) {
    return reader.cursor_ != nullptr && reader.view_sequence_ != sequence;
  });
}

// All are asked before one barrier, which takes a while.
std::vector<IdleCursor::Left> Snapshots::take_from_idle(uint64_t sequence, bool* more) {
  std::vector<IdleCursor::Left> left;
  std::vector<RegisteredReader*> asked;
  MutexLock lock(mutex_);
  left.reserve(readers_.size());  // from here on nothing can fail
  asked.reserve(readers_.size());
  for (RegisteredReader& reader : readers_) {
    if (reader.cursor_ == nullptr || (reader.view_sequence_ == sequence && !reader.too_old())) continue;
    Turn& turn = reader.cursor_->turn();
    const uint64_t word = turn.word();
    const bool stood = word == reader.word_ || reader.too_old();
    reader.word_ = word;
    if (stood) {
      turn.ask();
      asked.push_back(&reader);
    } else {
      *more = true;
    }
  }
  if (asked.empty()) return left;
  INTERLEAVE("readers.asked");
  heavy_barrier();
  for (RegisteredReader* reader : asked) {
    Turn& turn = reader->cursor_->turn();
    if (turn.stood(reader->word_)) {
      SourceCursor::Pin pin;
      left.push_back(reader->cursor_->leave_view(&pin));
      reader->cursor_ = nullptr;
      reader->view_.reset();
      reader->pinned_ = pin.owner;
      reader->pinned_bytes_ = pin.bytes;
      count(reader, 0);
    } else {
      *more = true;
    }
    turn.give();
  }
  return left;
}

}  // namespace lightning
