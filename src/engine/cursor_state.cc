#include "engine/cursor_state.h"

#include "format/internal_key.h"

namespace lightning {

class CursorState::Step {
 public:
  explicit Step(CursorState& cursor) : turn_(cursor.reader_->turn()) {
    while (!turn_.enter()) [[unlikely]]
      cursor.engine_->wait_for_turn();
  }
  ~Step() { turn_.leave(); }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

 private:
  Turn& turn_;
};

CursorState::CursorState(std::shared_ptr<Engine> engine, uint32_t keyspace, RegisteredReader* reader)
    : engine_(std::move(engine)), reader_(reader), keyspace_(keyspace) {
  char bytes[kKeyspaceIdBytesMax];
  prefix_.assign(bytes, put_keyspace_prefix(bytes, keyspace));
}

CursorState::~CursorState() {
  if (engine_ == nullptr) return;
  forget_moment();
  engine_->remove_reader(reader_);  // the background knows it no more
}

bool CursorState::has_expired(uint64_t expiry_us) {
  if (moment_ == 0) moment_ = engine_->add_moment();
  return engine_->expiry_clock().passed(expiry_us, moment_);
}

std::unique_ptr<MergeCursor> CursorState::leave_view(std::shared_ptr<const View>* view) {
  if (merge_ != nullptr) left_ = merge_->leave();
  *view = std::move(view_);
  view_ = nullptr;
  return std::move(merge_);
}

bool CursorState::prepare() {
  std::shared_ptr<const View> view = view_;
  if (!stands()) view = engine_->view();
  // Asked after the View was taken: closing empties it, and what an old reader sees may be missing in it.
  status_ = engine_->usable(keyspace_);
  if (status_.ok() && reader_->too_old()) status_ = Engine::too_old();
  const bool kept = status_.ok() && stands() && view == view_;
  if (kept) return true;
  valid_ = false;
  merge_ = nullptr;
  left_ = {};
  if (!status_.ok()) return false;
  broken_ = false;
  view_ = std::move(view);
  engine_->attach(reader_, this, view_);
  Result<std::vector<std::unique_ptr<SourceCursor>>> sources = view_->cursors(reader_->lsn());
  if (!sources) {
    status_ = sources.status();
    return false;
  }
  ExpiryJudge* const judge = this;
  merge_ = std::make_unique<MergeCursor>(*std::move(sources), prefix_, false, judge);
  return true;
}

void CursorState::show() {
  valid_ = merge_->valid();
  if (!valid_) [[unlikely]] {
    status_ = merge_->status();
    return;
  }
  kind_ = merge_->kind();
  key_ = merge_->user_key();
  value_ = merge_->value();
}

template <typename Fn>
void CursorState::seek_with(Fn&& seek) {
  if (engine_ == nullptr) return;
  if (Status status = engine_->usable(); !status.ok()) [[unlikely]]
    return fail(std::move(status));
  forget_moment();
  const Step step(*this);
  if (!prepare()) return;
  seek(*merge_);
  show();
}

void CursorState::seek_first() {
  seek_with([](MergeCursor& merge) { merge.seek_first(); });
}

void CursorState::seek_last() {
  seek_with([](MergeCursor& merge) { merge.seek_last(); });
}

void CursorState::seek(std::string_view key) {
  seek_key_.assign(prefix_).append(key);
  seek_with([this](MergeCursor& merge) { merge.seek(seek_key_); });
}

void CursorState::seek_for_prev(std::string_view key) {
  seek_key_.assign(prefix_).append(key);
  seek_with([this](MergeCursor& merge) { merge.seek_for_prev(seek_key_); });
}

// What was visible at the LSN and the moment still is.
bool CursorState::seek_again(bool forward) {
  seek_key_.assign(prefix_).append(key_);
  if (!prepare()) return false;
  forward ? merge_->seek(seek_key_) : merge_->seek_for_prev(seek_key_);
  if (merge_->valid()) return true;
  show();
  return false;
}

template <typename Fn>
void CursorState::move(bool forward, Fn&& one) {
  if (Status status = engine_->usable(); !status.ok()) [[unlikely]]
    return fail(std::move(status));
  const Step step(*this);
  if (!stands()) [[unlikely]] {
    if (!seek_again(forward)) return;
  }
  one(*merge_);
  show();
}

void CursorState::next() {
  move(true, [](MergeCursor& merge) { merge.next(); });
}

void CursorState::prev() {
  move(false, [](MergeCursor& merge) { merge.prev(); });
}

void CursorState::fail(Status status) {
  valid_ = false;
  broken_ = true;
  status_ = std::move(status);
}

void CursorState::note_unasked_error() {
  if (engine_ != nullptr) engine_->counters().unasked_scan_errors.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace lightning
