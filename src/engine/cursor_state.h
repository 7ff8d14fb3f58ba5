// CursorState: what a public Cursor or Scan holds: a registered reader, a View, and the merge cursor over its
// sources.
//
// A View that was replaced is left at the next step: the cursor seeks its key again in the present View at
// its own LSN, so that it pins versions and not files. From one that stands still the background takes the
// View (Snapshots::take_from_idle): what is left keeps the bytes of the present entry, so that the views that
// key() and value() gave stay valid until the next move.
// What has expired is judged by one moment from a seek to the next, taken and registered when the first entry
// with an expiry is met: nothing that the moment sees is purged meanwhile.
// The cursor of a transaction shows the transaction's own writes in front of the View (CursorOverlay), and
// tells it what it has seen. It neither asks nor teaches the memory of where nothing is.
//
// Invariant R1 (turn.h): walk_ and all in it but what the accessors read, and sequence_, are touched within a
// Step, or by the background in its turn.
// Thread safety: one thread at a time. Holds the engine.
#pragma once

#include <lightning/status.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "engine/cursor_overlay.h"
#include "engine/engine.h"
#include "view/merge_cursor.h"

namespace lightning {

class CursorState final : private ExpiryJudge, private HiddenMemory, private IdleCursor {
 public:
  /// One that failed.
  explicit CursorState(Status status) : status_(std::move(status)) {}
  /// Reads `keyspace`, once its reader() was added and it has begun.
  CursorState(std::shared_ptr<Engine> engine, uint32_t keyspace,
              std::shared_ptr<CursorOverlay> overlay = nullptr);
  ~CursorState();
  CursorState(const CursorState&) = delete;
  CursorState& operator=(const CursorState&) = delete;
  void begin();

  void seek_first();
  void seek_last();
  void seek(std::string_view key);
  void seek_for_prev(std::string_view key);
  void next();
  void prev();

  bool valid() const { return merge_ != nullptr && merge_->valid(); }
  std::string_view key() const { return merge_->user_key(); }
  std::string_view value() const { return merge_->value(); }
  uint64_t expiry_us() const { return merge_->expiry(); }
  const Status& status() const { return status_; }
  /// Nothing outside of [from, to), without `bounded` of what is not below `from`, is of interest: a
  /// transaction has not seen it.
  void set_bounds(std::string_view from, std::string_view to, bool bounded);
  /// A scan failed and nobody asked: counted by the engine.
  void note_unasked_error();
  /// From the next seek on it shows what has expired, too.
  void show_expired() { shows_expired_ = true; }
  const RegisteredReader& reader() const { return reader_; }
  RegisteredReader& reader() { return reader_; }
  /// 0: no entry with an expiry was met.
  uint64_t moment() const { return moment_; }
  /// Ends the walk with an error.
  void fail(Status status);

 private:
  static constexpr uint64_t kNoView = UINT64_MAX;

  /// A step of the cursor's own thread.
  class Step;
  class SeekTime;
  /// A merge cursor and what it reads.
  struct Walk {
    Walk(std::shared_ptr<const View> of, ViewCursors sources, CursorState& cursor);

    std::shared_ptr<const View> view;
    SourceCursor::Pin pin;  // when the background has taken the View
    MergeCursor merge;
  };

  /// As a bound of what was seen: where the cursor stands now.
  static constexpr const std::string* kHere = nullptr;

  template <typename Fn>
  void seek_with(const std::string* from, const std::string* to, Fn&& seek);
  template <typename Fn>
  void move(bool forward, Fn&& one);
  /// One of kStepsPerTimed, on an average: does the step that asked, which asks again.
  template <typename Fn>
  [[gnu::noinline, gnu::cold]] void time_step(Fn&& step);
  /// Makes merge_ read a View that is current; false (and status_ set) when it cannot.
  bool prepare();
  /// The same, and back to the present entry; false when it stands elsewhere now.
  bool seek_again(bool forward);
  bool view_is_old() const {
    return engine_->view_sequence() != sequence_ ||
           (overlay_ != nullptr && overlay_->sequence() != overlay_sequence_);
  }
  Status usable() const {
    if (Status status = engine_->usable(); !status.ok() || overlay_ == nullptr) return status;
    return overlay_->usable();
  }
  void take_status();
  [[gnu::noinline, gnu::cold]] void note_seek();
  /// Tells the overlay what the last move passed.
  void note_seen(const std::string* from, const std::string* to);
  bool has_expired(uint64_t expiry_us) override;
  bool find_hidden(std::string_view key, std::string* from, std::string* to) override;
  void note_hidden(std::string_view from, std::string_view to, uint32_t met) override;
  void forget_moment() {
    if (moment_ == 0) [[likely]]
      return;
    moment_ = 0;
    engine_->remove_moment(&reader_);
  }
  Left leave_view(SourceCursor::Pin* pin) override;

  std::shared_ptr<Engine> engine_;
  RegisteredReader reader_;
  uint32_t keyspace_ = 0;
  uint64_t moment_ = 0;  // registered; 0: no entry with an expiry was met since the last seek
  std::string prefix_;
  std::string seek_key_;
  std::shared_ptr<CursorOverlay> overlay_;  // null but for a transaction's
  uint64_t overlay_sequence_ = 0;
  SeenStretch seen_;
  std::string bound_from_;  // internal keys
  std::string bound_to_;
  std::unique_ptr<Walk> walk_;
  uint32_t until_timed_ = 0;      // steps
  uint32_t until_noted_ = 0;      // seeks
  uint64_t sequence_ = kNoView;   // of its View
  MergeCursor* merge_ = nullptr;  // of walk_; null when that failed
  bool shows_expired_ = false;
  Status status_;
};

}  // namespace lightning
