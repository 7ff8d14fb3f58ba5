#include <lightning/cursor.h>
#include <lightning/scan.h>

#include <cassert>
#include <new>

#include "engine/cursor_state.h"

namespace lightning {

namespace {

const Status& no_cursor(bool refused_memory) {
  if (refused_memory) {
    static const Status refused(StatusCode::out_of_memory, "a cursor");
    return refused;
  }
  static const Status moved_from(StatusCode::closed, "the cursor was moved from");
  return moved_from;
}

// Moves `state`; out-of-memory becomes its status.
template <typename Fn>
void move(CursorState* state, Fn&& fn) {
  if (state == nullptr) return;
  try {
    fn(*state);
  } catch (const std::bad_alloc&) {
    state->fail(Status(StatusCode::out_of_memory, "a move of a cursor"));
  }
}

}  // namespace

Cursor::Cursor() = default;
Cursor::Cursor(std::unique_ptr<CursorState> state)
    : state_(std::move(state)), refused_memory_(state_ == nullptr) {}
Cursor::Cursor(Cursor&&) noexcept = default;
Cursor& Cursor::operator=(Cursor&&) noexcept = default;
Cursor::~Cursor() = default;

void Cursor::seek_first() {
  move(state_.get(), [](CursorState& state) { state.seek_first(); });
}
void Cursor::seek_last() {
  move(state_.get(), [](CursorState& state) { state.seek_last(); });
}
void Cursor::seek(std::string_view key) {
  move(state_.get(), [&](CursorState& state) { state.seek(key); });
}
void Cursor::seek_for_prev(std::string_view key) {
  move(state_.get(), [&](CursorState& state) { state.seek_for_prev(key); });
}
void Cursor::next() {
  move(state_.get(), [](CursorState& state) { state.next(); });
}
void Cursor::prev() {
  move(state_.get(), [](CursorState& state) { state.prev(); });
}

bool Cursor::valid() const { return state_ != nullptr && state_->valid(); }
std::string_view Cursor::key() const { return state_->key(); }
std::string_view Cursor::value() const { return state_->value(); }
uint64_t Cursor::expiry_ms() const {
  constexpr uint64_t kMicrosPerMilli = 1000;
  const uint64_t expiry_us = state_->expiry_us();
  return expiry_us / kMicrosPerMilli + (expiry_us % kMicrosPerMilli != 0 ? 1 : 0);
}
const Status& Cursor::status() const {
  return state_ == nullptr ? no_cursor(refused_memory_) : state_->status();
}

Scan::Scan(std::unique_ptr<CursorState> cursor, std::string from, std::string to, bool bounded)
    : cursor_(std::move(cursor)),
      from_(std::move(from)),
      to_(std::move(to)),
      bounded_(bounded),
      refused_memory_(cursor_ == nullptr) {
  if (cursor_ != nullptr) cursor_->set_bounds(from_, to_, bounded_);
}
Scan::Scan(Scan&&) noexcept = default;
Scan& Scan::operator=(Scan&&) noexcept = default;

Scan::~Scan() {
  if (cursor_ == nullptr || asked_ || cursor_->status().ok()) return;
  cursor_->note_unasked_error();
  assert(false && "a scan failed and its status was never asked");
}

Scan Scan::limit(uint64_t entries) && {
  left_ = entries;
  return std::move(*this);
}

Scan Scan::reverse() && {
  reverse_ = true;
  return std::move(*this);
}

bool Scan::advance() {
  if (left_ == 0 || cursor_ == nullptr) return false;
  CursorState& state = *cursor_;
  try {
    if (!started_) [[unlikely]] {
      started_ = true;
      start(state);
    } else if (!reverse_) {
      state.next();
    } else {
      state.prev();
    }
  } catch (const std::bad_alloc&) {
    state.fail(Status(StatusCode::out_of_memory, "a step of a scan"));
  }
  const bool whole = !bounded_ && !reverse_;
  if (!state.valid() || (!whole && !inside())) [[unlikely]] {
    left_ = 0;
    return false;
  }
  --left_;
  entry_.key_ = state.key();
  entry_.value_ = state.value();
  return true;
}

void Scan::start(CursorState& state) {
  if (!reverse_) return state.seek(from_);
  if (!bounded_) return state.seek_last();
  // The last key before `to`.
  state.seek_for_prev(to_);
  if (state.valid() && state.key() == to_) state.prev();
}

bool Scan::inside() const {
  if (reverse_) return cursor_->key() >= from_;
  return !bounded_ || cursor_->key() < to_;
}

const Status& Scan::status() const {
  asked_ = true;
  return cursor_ == nullptr ? no_cursor(refused_memory_) : cursor_->status();
}

}  // namespace lightning
