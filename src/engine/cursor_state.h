// CursorState: what a public Cursor or Scan holds: a registered reader, a View, and the merge cursor over its
// sources.
//
// A View that was replaced is left at the next step: the cursor seeks its key again in the present View at
// its own LSN, so that it pins versions and not files. While it stands still the background takes the View
// (Snapshots::take_from_idle): what is left keeps the bytes of the present entry, so that the views that
// key() and value() gave stay valid until the next move. What has expired is judged by one moment from a seek
// to the next, taken and registered when the first entry with an expiry is met: nothing that the moment sees
// is purged meanwhile.
//
// Invariant R1 (turn.h): view_, merge_ and left_ are touched within a Step, or by the background in its turn.
// Thread safety: one thread at a time. Holds the engine.
#pragma once

#include <lightning/status.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "engine/engine.h"
#include "view/merge_cursor.h"

namespace lightning {

class CursorState final : private ExpiryJudge, private IdleCursor {
 public:
  /// One that failed.
  explicit CursorState(Status status) : status_(std::move(status)) {}
  /// Reads `keyspace` as `reader`, which was registered for it.
  CursorState(std::shared_ptr<Engine> engine, uint32_t keyspace, RegisteredReader* reader);
  ~CursorState();
  CursorState(const CursorState&) = delete;
  CursorState& operator=(const CursorState&) = delete;

  void seek_first();
  void seek_last();
  void seek(std::string_view key);
  void seek_for_prev(std::string_view key);
  void next();
  void prev();

  bool valid() const { return valid_; }
  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }
  uint64_t expiry_us() const { return kind_ == EntryKind::put_expiring ? expiry_before(value_) : 0; }
  const Status& status() const { return status_; }
  /// A scan failed and nobody asked: counted by the engine.
  void note_unasked_error();
  /// Ends the walk with an error.
  void fail(Status status);

 private:
  /// A step of the cursor's own thread.
  class Step;

  template <typename Fn>
  void seek_with(Fn&& seek);
  template <typename Fn>
  void move(bool forward, Fn&& step);
  /// Makes merge_ read a View that is current; false (and status_ set) when it cannot.
  bool prepare();
  /// The same, and back to the present entry.
  bool seek_again(bool forward);
  bool stands() const { return merge_ != nullptr && !broken_ && !view_is_old(); }
  bool view_is_old() const { return engine_->view_sequence() != view_->sequence; }
  void show();
  bool has_expired(uint64_t expiry_us) override;
  void forget_moment() {
    if (moment_ != 0) [[unlikely]]
      engine_->remove_moment(std::exchange(moment_, 0));
  }
  std::unique_ptr<MergeCursor> leave_view(std::shared_ptr<const View>* view) override;

  std::shared_ptr<Engine> engine_;
  RegisteredReader* reader_ = nullptr;
  uint32_t keyspace_ = 0;
  uint64_t moment_ = 0;  // registered; 0: no entry with an expiry was met since the last seek
  std::string prefix_;
  std::string seek_key_;
  std::shared_ptr<const View> view_;
  std::unique_ptr<MergeCursor> merge_;
  MergeCursor::Left left_;  // when the background took the View
  bool broken_ = false;     // merge_ failed on the way and is not to be used again
  Status status_;

  // The present entry.
  bool valid_ = false;
  EntryKind kind_ = EntryKind::put;
  std::string_view key_;
  std::string_view value_;
};

}  // namespace lightning
