// CursorState: what a public Cursor or Scan holds: a registered read LSN, a View, and the merge cursor over
// its sources.
//
// A View that was replaced is left at the next step: the cursor seeks its key again in the present View at
// its own LSN, so that it pins versions and not files. A View is left only between steps, so the views that
// key() and value() gave stay valid until then.
// What has expired is judged by one moment from a seek to the next, taken and registered when the first entry
// with an expiry is met: nothing that the moment sees is purged meanwhile.
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

class CursorState final : private ExpiryJudge, private HiddenMemory {
 public:
  /// One that failed.
  explicit CursorState(Status status) : status_(std::move(status)) {}
  /// Reads `keyspace` at `read_lsn`, which is registered once for it.
  CursorState(std::shared_ptr<Engine> engine, uint32_t keyspace, uint64_t read_lsn);
  ~CursorState();
  CursorState(const CursorState&) = delete;
  CursorState& operator=(const CursorState&) = delete;

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
  /// A scan failed and nobody asked: counted by the engine.
  void note_unasked_error();
  /// Ends the walk with an error.
  void fail(Status status);

 private:
  /// Makes merge_ read a View that is current; false (and status_ set) when it cannot.
  bool prepare();
  bool view_is_old() const { return engine_->view_sequence() != view_->sequence; }
  void take_status();
  bool has_expired(uint64_t expiry_us) override;
  bool find_hidden(std::string_view key, std::string* from, std::string* to) override;
  void note_hidden(std::string_view from, std::string_view to, uint32_t met) override;
  void forget_moment() {
    if (moment_ != 0) [[unlikely]]
      engine_->remove_moment(std::exchange(moment_, 0));
  }

  std::shared_ptr<Engine> engine_;
  uint32_t keyspace_ = 0;
  uint64_t read_lsn_ = 0;
  uint64_t moment_ = 0;  // registered; 0: no entry with an expiry was met since the last seek
  std::string prefix_;
  std::string seek_key_;
  std::shared_ptr<const View> view_;
  std::unique_ptr<MergeCursor> merge_;
  Status status_;
};

}  // namespace lightning
