#include "engine/snapshots.h"

#include "base/barrier.h"
#include "base/interleave.h"

namespace lightning {

void Snapshots::insert(RegisteredReader* reader, ReaderKind kind, uint64_t lsn, uint64_t since_ns) {
  reader->kind_ = kind;
  reader->lsn_ = lsn;
  reader->since_ns_ = since_ns;
  reader->number_ = ++added_;
  reader->before_ = last_;
  (last_ == nullptr ? first_ : last_->after_) = reader;
  last_ = reader;
  ++count_;
}

void Snapshots::remove(RegisteredReader* reader) {
  MutexLock lock(mutex_);
  forget_moment(reader);
  count(reader, 0);
  RegisteredReader* const before = reader->before_;
  RegisteredReader* const after = reader->after_;
  (before == nullptr ? first_ : before->after_) = after;
  (after == nullptr ? last_ : after->before_) = before;
  --count_;
}

std::vector<uint64_t> Snapshots::list() const {
  std::vector<uint64_t> lsns;
  {
    MutexLock lock(mutex_);
    lsns.reserve(count_);
    for_each([&](const RegisteredReader& reader) {
      if (!reader.too_old()) lsns.push_back(reader.lsn());
    });
  }
  std::sort(lsns.begin(), lsns.end());
  lsns.erase(std::unique(lsns.begin(), lsns.end()), lsns.end());
  return lsns;
}

uint64_t Snapshots::oldest_checked() const {
  uint64_t oldest = UINT64_MAX;
  MutexLock lock(mutex_);
  for_each([&](const RegisteredReader& reader) {
    if (reader.kind() == ReaderKind::transaction && !reader.too_old())
      oldest = std::min(oldest, reader.lsn());
  });
  return oldest;
}

uint64_t Snapshots::count() const {
  uint64_t count = 0;
  MutexLock lock(mutex_);
  for_each([&](const RegisteredReader& reader) { count += reader.too_old() ? 0 : 1; });
  return count;
}

std::vector<Snapshots::Seen> Snapshots::all() const {
  std::vector<Seen> all;
  MutexLock lock(mutex_);
  all.reserve(count_);  // what it will hold is not to be let go of under the lock
  for_each([&](const RegisteredReader& reader) {
    all.push_back({.kind = reader.kind(),
                   .lsn = reader.lsn(),
                   .since_ns = reader.since_ns(),
                   .too_old = reader.too_old(),
                   .view = reader.view_.lock(),
                   .pinned = reader.pinned_.lock(),
                   .pinned_bytes = reader.pinned_bytes_});
  });
  return all;
}

uint64_t Snapshots::give_up(uint64_t since_ns) {
  uint64_t next = UINT64_MAX;
  MutexLock lock(mutex_);
  for_each([&](RegisteredReader& reader) REQUIRES(mutex_) {
    if (reader.since_ns() > since_ns) {
      next = std::min(next, reader.since_ns());
    } else if (!reader.too_old()) {
      give_up_registered(&reader);
    }
  });
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
  bool left = false;
  for_each([&](const RegisteredReader& reader) {
    left |= reader.cursor_ != nullptr && reader.view_sequence_ != sequence;
  });
  return left;
}

// All are asked before one barrier, which takes a while.
std::vector<IdleCursor::Left> Snapshots::take_from_idle(uint64_t sequence, bool* more) {
  std::vector<IdleCursor::Left> left;
  std::vector<RegisteredReader*> asked;
  MutexLock lock(mutex_);
  left.reserve(count_);  // from here on nothing can fail
  asked.reserve(count_);
  for_each([&](RegisteredReader& reader) {
    if (reader.cursor_ == nullptr || (reader.view_sequence_ == sequence && !reader.too_old())) return;
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
  });
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
