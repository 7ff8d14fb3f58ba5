// LogWalk: the records of a log, segment by segment, past what is damaged.
//
// A segment with a known end has to verify up to there. In one without, the first record that does not verify
// is a torn tail, as for recovery (engine/recovery.h), unless something proves that the log reached beyond:
// then it is damage, and the walk goes on at the next record that verifies. Each record is shown whole or not
// at all.
// Thread safety: one thread. The Directory must outlive it.
// Costs: memory for one segment at a time, for all of them with `keep`.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "io/env.h"
#include "log/scan.h"
#include "log/segment.h"
#include "view/durable_state.h"

namespace lightning {

/// What a walk tells.
struct LogEvents {
  /// `lost`: of records; else of a header without which they were read.
  std::function<void(const Status&, bool lost)> damage;
  std::function<void(const Segment&, uint64_t lsn, const RecordHeader&)> record;
  /// The walk is through with a segment: `used` bytes of its data are records; all behind `end_lsn` is not.
  std::function<void(const Segment&, uint64_t end_lsn, uint64_t used)> segment;
};

class LogWalk {
 public:
  struct Source {
    std::vector<LogSegmentInfo> segments;  // oldest first
    uint64_t database_id = 0;              // 0: not known
    uint64_t durable_lsn = 0;
    uint64_t page_cache_id = 0;  // 0: the mirrors say nothing
    bool certain = true;         // the list is whole; else a torn tail does not end the walk
    bool salvage = false;        // also take records from a segment whose header does not verify
    bool keep = false;           // segments() stay
  };

  LogWalk(Directory& directory, Source source, LogEvents events);

  /// Fails only for lack of memory, or where a segment is of a later version.
  Status run();
  /// With `keep`: what was loaded, oldest first.
  const std::vector<std::shared_ptr<Segment>>& segments() const { return segments_; }

 private:
  Result<std::shared_ptr<Segment>> load(size_t index, bool tell);
  Status refuse(const Segment& segment, const LogSegmentInfo& info) const;
  /// The LSN up to which something proves that the log was promised; `segment` is the one at `index`.
  Result<uint64_t> promised_beyond(size_t index, const Segment& segment, uint64_t lsn);
  enum class Next { segment, end };
  Result<Next> walk(size_t index, const Segment& segment);

  Directory& directory_;
  const Source source_;
  const LogEvents events_;
  std::vector<std::shared_ptr<Segment>> segments_;
  std::set<uint64_t> headless_;  // segments that were read without their header
};

}  // namespace lightning
