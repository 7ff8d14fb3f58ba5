#include "engine/copy_moment.h"

#include <algorithm>

#include "base/interleave.h"
#include "engine/engine.h"

namespace lightning {

// Files are kept before the View is taken: what a merge retired before is in no View that is taken now.
Result<std::unique_ptr<CopyMoment>> Engine::copy_moment() {
  auto moment = std::make_unique<CopyMoment>(long_calls_, retired_files_, *directory_);
  if (Status status = usable(); !status.ok()) return status;
  std::shared_ptr<const View> now;
  // While the View stays, all that is published lies in it, and its runs hold nothing that is not. It changes
  // with segments, flushes and merges, which are rare beside this.
  do {
    now = view();
    INTERLEAVE("copy.view");
    moment->lsn_ = log_.published();
  } while (view_sequence() != now->sequence || now->ingested_at() >= moment->lsn_);
  moment->log_.assign(now->sealed.rbegin(), now->sealed.rend());
  if (now->active != nullptr) moment->log_.push_back(now->active);
  std::erase_if(moment->log_, [&](const std::shared_ptr<const MemSource>& source) {
    return source->segment->base_lsn() >= moment->lsn_;
  });
  moment->log_floor_ = moment->log_.empty() ? moment->lsn_ : moment->log_.front()->segment->base_lsn();
  for (const auto& run : now->runs) moment->runs_.push_back(run->info());
  moment->values_ = ValueExtents(*now, nullptr).take_files();
  now = nullptr;
  if (!read_only()) {
    // A copy must not hold what a power cut may still take from here.
    if (Status status = log_.wait_durable(moment->lsn_); !status.ok()) return status;
    // Nor a commit of the state whose outcome nobody knows: an ingestion may be visible by one.
    if (log_.failed()) return log_.failure();
  }
  // Later than the View: its counters are beyond all that the View names.
  moment->state_ = store_->state();
  record_time(moment->state_);  // what has expired here has there
  return moment;
}

}  // namespace lightning
