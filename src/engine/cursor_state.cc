#include "engine/cursor_state.h"

#include "format/internal_key.h"

namespace lightning {

namespace {
// So many hidden entries in a row are worth remembering.
constexpr uint32_t kWorthKeeping = 40;
constexpr uint32_t kStepsPerTimed = 256;
// One in so many seeks, of all cursors together and of each, counts for all.
constexpr uint32_t kSeeksPerNoted = 16;
}  // namespace

class CursorState::Step {
 public:
  explicit Step(CursorState& cursor) : turn_(cursor.turn_) {
    while (!turn_.enter()) [[unlikely]]
      cursor.engine_->wait_for_turn();
  }
  ~Step() { turn_.leave(); }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

 private:
  Turn& turn_;
};

// A seek that is timed, from its begin to its end.
class CursorState::SeekTime {
 public:
  explicit SeekTime(const Engine& engine) : engine_(engine) {
    if (is_timed(Timed::seek)) [[unlikely]]
      begin();
  }
  ~SeekTime() {
    if (stands_for_ != 0) [[unlikely]]
      end();
  }
  SeekTime(const SeekTime&) = delete;
  SeekTime& operator=(const SeekTime&) = delete;

 private:
  [[gnu::cold]] void begin() {
    stands_for_ = begin_timed(Timed::seek);
    began_ns_ = engine_.env().clock().stopwatch_ns();
  }
  [[gnu::cold]] void end() const {
    engine_.latencies().seek.add(engine_.env().clock().stopwatch_ns() - began_ns_, stands_for_);
  }

  const Engine& engine_;
  uint64_t stands_for_ = 0;  // 0: it is not timed
  uint64_t began_ns_ = 0;
};

CursorState::Walk::Walk(std::shared_ptr<const View> of, ViewCursors sources, CursorState& cursor)
    : view(std::move(of)),
      merge(std::move(sources), cursor.prefix_, cursor.reader_.lsn(), &cursor,
            cursor.overlay_ == nullptr ? &cursor : nullptr) {}

CursorState::CursorState(std::shared_ptr<Engine> engine, uint32_t keyspace,
                         std::shared_ptr<CursorOverlay> overlay)
    : engine_(std::move(engine)), keyspace_(keyspace), overlay_(std::move(overlay)) {
  char bytes[kKeyspaceIdBytesMax];
  prefix_.assign(bytes, put_keyspace_prefix(bytes, keyspace));
  if (overlay_ == nullptr) return;
  bound_from_ = prefix_;
  bound_to_ = end_of_keyspace(keyspace);
}

void CursorState::begin() {
  until_timed_ = 1 + random_below(kStepsPerTimed);
  until_noted_ = 1 + reader_.number() % kSeeksPerNoted;
}

CursorState::~CursorState() {
  if (engine_ == nullptr) return;
  // Once it is removed, the background does not know it. In a forked child the background may have stopped in
  // the middle of its turn: what it was taking is left alone.
  if (!engine_->remove_reader(&reader_) && turn_.asked()) (void)walk_.release();
}

bool CursorState::has_expired(uint64_t expiry_us) {
  if (shows_expired_) return false;
  if (moment_ == 0 && overlay_ != nullptr) moment_ = overlay_->moment();
  if (moment_ == 0) moment_ = engine_->add_moment(&reader_);
  return engine_->expiry_clock().passed(expiry_us, moment_);
}

bool CursorState::find_hidden(std::string_view key, std::string* from, std::string* to) {
  return engine_->vacancies().find(key, reader_.lsn(), from, to);
}

void CursorState::note_hidden(std::string_view from, std::string_view to, uint32_t met) {
  Vacancies& vacancies = engine_->vacancies();
  const bool worth_keeping = met >= kWorthKeeping;
  if (!worth_keeping && !vacancies.unconfirmed()) return;
  vacancies.note_empty(from, to, reader_.lsn(), worth_keeping, [this] { return engine_->tail_lsn(); });
}

IdleCursor::Left CursorState::leave_view(SourceCursor::Pin* pin) {
  if (walk_ == nullptr) return {};
  Left left{.view = std::move(walk_->view), .sources = walk_->merge.stand_still(&walk_->pin)};
  *pin = walk_->pin;
  sequence_ = kNoView;
  return left;
}

bool CursorState::prepare() {
  const bool stands = merge_ != nullptr && !view_is_old();
  std::shared_ptr<const View> view = stands ? nullptr : engine_->view();
  // Asked after the View was taken: closing empties it, and what an old reader sees may be missing in it.
  status_ = engine_->usable(keyspace_);
  if (status_.ok() && overlay_ != nullptr) status_ = overlay_->usable();
  if (status_.ok() && reader_.too_old()) status_ = Engine::too_old();
  if (stands && status_.ok()) return true;
  merge_ = nullptr;
  walk_ = nullptr;
  if (!status_.ok()) return false;
  Result<ViewCursors> sources = view->cursors(reader_.lsn());
  if (!sources) {
    status_ = sources.status();
    return false;
  }
  if (overlay_ != nullptr) {
    overlay_sequence_ = overlay_->sequence();
    overlay_->lay_over(&*sources);
  }
  sequence_ = view->sequence;
  walk_ = std::make_unique<Walk>(std::move(view), *std::move(sources), *this);
  merge_ = &walk_->merge;
  engine_->attach(&reader_, this, walk_->view, merge_->memory_bytes());
  return true;
}

void CursorState::take_status() {
  if (!merge_->valid()) status_ = merge_->status();
}

// What the seek saw lies between the two.
template <typename Fn>
void CursorState::seek_with(const std::string* from, const std::string* to, Fn&& seek) {
  if (engine_ == nullptr) return;
  const SeekTime time(*engine_);
  if (Status status = usable(); !status.ok()) [[unlikely]]
    return fail(std::move(status));
  forget_moment();
  const Step step(*this);
  if (!prepare()) return;
  seek(*merge_);
  take_status();
  if (--until_noted_ == 0) [[unlikely]]
    note_seek();
  if (overlay_ == nullptr) [[likely]]
    return;
  seen_ = {};
  note_seen(from, to);
}

void CursorState::note_seek() {
  until_noted_ = kSeeksPerNoted;
  if (merge_->valid()) engine_->note_seeks(*walk_->view, merge_->key(), kSeeksPerNoted);
}

void CursorState::seek_first() {
  seek_with(&prefix_, kHere, [](MergeCursor& merge) { merge.seek_first(); });
}

void CursorState::seek_last() {
  seek_with(kHere, &bound_to_, [](MergeCursor& merge) { merge.seek_last(); });
}

void CursorState::seek(std::string_view key) {
  seek_key_.assign(prefix_).append(key);  // before anything moves: it may be a view of this cursor's
  seek_with(&seek_key_, kHere, [this](MergeCursor& merge) { merge.seek(seek_key_); });
}

void CursorState::seek_for_prev(std::string_view key) {
  seek_key_.assign(prefix_).append(key);
  seek_with(kHere, &seek_key_, [this](MergeCursor& merge) {
    merge.seek_for_prev(seek_key_);
    if (overlay_ != nullptr) seek_key_.push_back('\0');  // that key itself was seen, too
  });
}

// What was visible at the LSN and the moment still is, but for what a transaction wrote meanwhile.
bool CursorState::seek_again(bool forward) {
  seek_key_.assign(merge_->key());
  if (!prepare()) return false;
  forward ? merge_->seek(seek_key_) : merge_->seek_for_prev(seek_key_);
  return merge_->valid() && merge_->key() == seek_key_;
}

template <typename Fn>
void CursorState::move(bool forward, Fn&& one) {
  if (Status status = usable(); !status.ok()) [[unlikely]]
    return fail(std::move(status));
  const Step step(*this);
  // Where the present entry is gone, its neighbour is where the cursor came to.
  if (!view_is_old() || seek_again(forward)) [[likely]] {
    one(*merge_);
  } else if (merge_ == nullptr) {
    return;
  }
  take_status();
  if (overlay_ == nullptr) [[likely]]
    return;
  forward ? note_seen(&bound_to_, kHere) : note_seen(kHere, &bound_from_);
}

template <typename Fn>
void CursorState::time_step(Fn&& step) {
  until_timed_ = random_interval(kStepsPerTimed) + 1;
  const uint64_t began_ns = engine_->env().clock().stopwatch_ns();
  step();
  engine_->latencies().step.add(engine_->env().clock().stopwatch_ns() - began_ns, kStepsPerTimed);
}

void CursorState::next() {
  if (--until_timed_ == 0) [[unlikely]]
    return time_step([this] { next(); });
  move(true, [](MergeCursor& merge) { merge.next(); });
}

void CursorState::prev() {
  if (--until_timed_ == 0) [[unlikely]]
    return time_step([this] { prev(); });
  move(false, [](MergeCursor& merge) { merge.prev(); });
}

// Where it came to no key it has seen all up to the end of the keyspace.
void CursorState::note_seen(const std::string* edge_from, const std::string* edge_to) {
  if (!status_.ok()) return;
  const bool valid = this->valid();
  const std::string_view key = valid ? merge_->key() : std::string_view();
  std::string_view from = prefix_;
  std::string_view to = bound_to_;
  std::string behind;
  if (edge_from != kHere) {
    from = *edge_from;
  } else if (valid) {
    from = key;
  }
  if (edge_to != kHere) {
    to = *edge_to;
  } else if (valid) {
    to = behind.append(key).append(1, '\0');
  }
  const bool inside = valid && key >= bound_from_ && key < bound_to_;
  overlay_->saw(&seen_, std::max<std::string_view>(from, bound_from_),
                std::min<std::string_view>(to, bound_to_), inside ? &key : nullptr);
}

void CursorState::set_bounds(std::string_view from, std::string_view to, bool bounded) {
  if (overlay_ == nullptr) return;
  bound_from_.assign(prefix_).append(from);
  if (bounded) bound_to_.assign(prefix_).append(to);
}

// The walk itself is left to the next step: the background may be at it.
void CursorState::fail(Status status) {
  merge_ = nullptr;
  status_ = std::move(status);
}

void CursorState::note_unasked_error() {
  if (engine_ != nullptr) engine_->counters().unasked_scan_errors.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace lightning
