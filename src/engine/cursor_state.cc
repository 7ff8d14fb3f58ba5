#include "engine/cursor_state.h"

#include "format/internal_key.h"

namespace lightning {

namespace {
// So many hidden entries in a row are worth remembering.
constexpr uint32_t kWorthKeeping = 40;
}  // namespace

CursorState::CursorState(std::shared_ptr<Engine> engine, uint32_t keyspace, uint64_t read_lsn)
    : engine_(std::move(engine)), keyspace_(keyspace), read_lsn_(read_lsn) {
  char bytes[kKeyspaceIdBytesMax];
  prefix_.assign(bytes, put_keyspace_prefix(bytes, keyspace));
}

CursorState::~CursorState() {
  merge_ = nullptr;
  view_ = nullptr;
  if (engine_ == nullptr) return;
  forget_moment();
  engine_->remove_reader(read_lsn_);
}

bool CursorState::has_expired(uint64_t expiry_us) {
  if (moment_ == 0) moment_ = engine_->add_moment();
  return engine_->expiry_clock().passed(expiry_us, moment_);
}

bool CursorState::find_hidden(std::string_view key, std::string* from, std::string* to) {
  return engine_->vacancies().find(key, read_lsn_, from, to);
}

void CursorState::note_hidden(std::string_view from, std::string_view to, uint32_t met) {
  Vacancies& vacancies = engine_->vacancies();
  const bool worth_keeping = met >= kWorthKeeping;
  if (!worth_keeping && !vacancies.unconfirmed()) return;
  vacancies.note_empty(from, to, read_lsn_, worth_keeping, [this] { return engine_->tail_lsn(); });
}

bool CursorState::prepare() {
  if (engine_ == nullptr) return false;
  std::shared_ptr<const View> view = view_;
  if (merge_ == nullptr || view_is_old()) view = engine_->view();
  status_ = engine_->usable(keyspace_);  // asked after the View was taken: closing empties it
  if (!status_.ok()) {
    merge_ = nullptr;
    return false;
  }
  if (merge_ != nullptr && view == view_) return true;
  merge_ = nullptr;
  view_ = std::move(view);
  Result<ViewCursors> sources = view_->cursors(read_lsn_);
  if (!sources) {
    status_ = sources.status();
    return false;
  }
  ExpiryJudge* const judge = this;
  HiddenMemory* const memory = this;
  merge_ = std::make_unique<MergeCursor>(*std::move(sources), prefix_, read_lsn_, judge, memory);
  return true;
}

void CursorState::take_status() {
  if (!merge_->valid()) status_ = merge_->status();
}

void CursorState::seek_first() {
  forget_moment();
  if (!prepare()) return;
  merge_->seek_first();
  take_status();
}

void CursorState::seek_last() {
  forget_moment();
  if (!prepare()) return;
  merge_->seek_last();
  take_status();
}

void CursorState::seek(std::string_view key) {
  forget_moment();
  if (!prepare()) return;
  seek_key_.assign(prefix_).append(key);
  merge_->seek(seek_key_);
  take_status();
}

void CursorState::seek_for_prev(std::string_view key) {
  forget_moment();
  if (!prepare()) return;
  seek_key_.assign(prefix_).append(key);
  merge_->seek_for_prev(seek_key_);
  take_status();
}

void CursorState::next() {
  if (Status status = engine_->usable(); !status.ok()) [[unlikely]]
    return fail(std::move(status));
  if (view_is_old()) [[unlikely]] {
    const std::string at(merge_->key());
    if (!prepare()) return;
    merge_->seek(at);  // what was visible at the LSN and the moment still is
    if (!merge_->valid()) return take_status();
  }
  merge_->next();
  take_status();
}

void CursorState::prev() {
  if (Status status = engine_->usable(); !status.ok()) [[unlikely]]
    return fail(std::move(status));
  if (view_is_old()) [[unlikely]] {
    const std::string at(merge_->key());
    if (!prepare()) return;
    merge_->seek_for_prev(at);
    if (!merge_->valid()) return take_status();
  }
  merge_->prev();
  take_status();
}

void CursorState::fail(Status status) {
  merge_ = nullptr;
  status_ = std::move(status);
}

void CursorState::note_unasked_error() {
  if (engine_ != nullptr) engine_->counters().unasked_scan_errors.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace lightning
