#include "engine/cursor_state.h"

#include "format/internal_key.h"

namespace lightning {

namespace {
// So many hidden entries in a row are worth remembering.
constexpr uint32_t kWorthKeeping = 40;
}  // namespace

CursorState::CursorState(std::shared_ptr<Engine> engine, uint32_t keyspace, uint64_t read_lsn,
                         std::shared_ptr<CursorOverlay> overlay)
    : engine_(std::move(engine)), keyspace_(keyspace), read_lsn_(read_lsn), overlay_(std::move(overlay)) {
  char bytes[kKeyspaceIdBytesMax];
  prefix_.assign(bytes, put_keyspace_prefix(bytes, keyspace));
  if (overlay_ == nullptr) return;
  bound_from_ = prefix_;
  bound_to_ = end_of_keyspace(keyspace);
}

CursorState::~CursorState() {
  merge_ = nullptr;
  view_ = nullptr;
  if (engine_ == nullptr) return;
  forget_moment();
  engine_->remove_reader(read_lsn_);
}

bool CursorState::has_expired(uint64_t expiry_us) {
  if (moment_ == 0 && overlay_ != nullptr) overlay_moment_ = (moment_ = overlay_->moment()) != 0;
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
  if (overlay_ != nullptr && status_.ok()) status_ = overlay_->usable();
  if (!status_.ok()) {
    merge_ = nullptr;
    return false;
  }
  const bool overlaid = overlay_ != nullptr;
  if (merge_ != nullptr && view == view_ && (!overlaid || !overlay_is_old())) return true;
  merge_ = nullptr;
  view_ = std::move(view);
  Result<ViewCursors> sources = view_->cursors(read_lsn_);
  if (!sources) {
    status_ = sources.status();
    return false;
  }
  if (overlaid) {
    overlay_sequence_ = overlay_->sequence();
    overlay_->lay_over(&*sources);
  }
  ExpiryJudge* const judge = this;
  HiddenMemory* const memory = overlaid ? nullptr : this;
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
  if (overlay_ != nullptr) begin_seen(Edge::given, prefix_, Edge::here, {});
}

void CursorState::seek_last() {
  forget_moment();
  if (!prepare()) return;
  merge_->seek_last();
  take_status();
  if (overlay_ != nullptr) begin_seen(Edge::here, {}, Edge::given, bound_to_);
}

void CursorState::seek(std::string_view key) {
  forget_moment();
  if (!prepare()) return;
  seek_key_.assign(prefix_).append(key);
  merge_->seek(seek_key_);
  take_status();
  if (overlay_ != nullptr) begin_seen(Edge::given, seek_key_, Edge::here, {});
}

void CursorState::seek_for_prev(std::string_view key) {
  forget_moment();
  if (!prepare()) return;
  seek_key_.assign(prefix_).append(key);
  merge_->seek_for_prev(seek_key_);
  take_status();
  if (overlay_ == nullptr) return;
  seek_key_.push_back('\0');  // that key itself was seen, too
  begin_seen(Edge::here, {}, Edge::given, seek_key_);
}

void CursorState::next() {
  if (Status status = usable(); !status.ok()) [[unlikely]]
    return fail(std::move(status));
  if (view_is_old()) [[unlikely]] {
    const std::string at(merge_->key());
    if (!prepare()) return;
    merge_->seek(
        at);  // what was visible at the LSN and the moment still is, but for what a transaction wrote
    if (!merge_->valid() || merge_->key() != at) return arrive(true);
  }
  merge_->next();
  arrive(true);
}

void CursorState::prev() {
  if (Status status = usable(); !status.ok()) [[unlikely]]
    return fail(std::move(status));
  if (view_is_old()) [[unlikely]] {
    const std::string at(merge_->key());
    if (!prepare()) return;
    merge_->seek_for_prev(at);
    if (!merge_->valid() || merge_->key() != at) return arrive(false);
  }
  merge_->prev();
  arrive(false);
}

void CursorState::begin_seen(Edge edge_from, std::string_view from, Edge edge_to, std::string_view to) {
  seen_ = {};
  note_seen(edge_from, from, edge_to, to);
}

// Where it came to no key it has seen all up to the end of the keyspace.
void CursorState::note_seen(Edge edge_from, std::string_view from, Edge edge_to, std::string_view to) {
  if (!status_.ok()) return;
  const bool valid = this->valid();
  std::string behind;
  if (edge_from == Edge::here) from = valid ? merge_->key() : std::string_view(prefix_);
  if (edge_to == Edge::here) {
    if (valid) behind.assign(merge_->key()).push_back('\0');
    to = valid ? std::string_view(behind) : std::string_view(bound_to_);
  }
  const std::string_view key = valid ? merge_->key() : std::string_view();
  const bool inside = valid && key >= bound_from_ && key < bound_to_;
  overlay_->saw(&seen_, std::max(from, std::string_view(bound_from_)),
                std::min(to, std::string_view(bound_to_)), inside ? &key : nullptr);
}

void CursorState::set_bounds(std::string_view from, std::string_view to, bool bounded) {
  if (overlay_ == nullptr) return;
  bound_from_.assign(prefix_).append(from);
  if (bounded) bound_to_.assign(prefix_).append(to);
}

void CursorState::fail(Status status) {
  merge_ = nullptr;
  status_ = std::move(status);
}

void CursorState::note_unasked_error() {
  if (engine_ != nullptr) engine_->counters().unasked_scan_errors.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace lightning
