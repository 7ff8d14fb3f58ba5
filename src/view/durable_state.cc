#include "view/durable_state.h"

#include <algorithm>

#include "format/internal_key.h"

namespace lightning {

namespace {

bool is_key(std::string_view key) { return !key.empty() && key.size() <= kInternalKeyBytesMax; }

std::string_view check_segments(const DurableState& state) {
  const LogSegmentInfo* before = nullptr;
  for (const LogSegmentInfo& segment : state.log_segments) {
    if (segment.number == 0 || segment.number >= state.next_segment_number) return "a segment's number";
    if (segment.base_lsn >= state.next_base_lsn) return "a segment's base LSN";
    if (segment.end_lsn != kOpenEnd &&
        (segment.end_lsn < segment.base_lsn || segment.end_lsn > state.next_base_lsn)) {
      return "a segment's end";
    }
    if (before != nullptr) {
      const uint64_t end = before->end_lsn == kOpenEnd ? before->base_lsn + 1 : before->end_lsn;
      if (segment.number <= before->number || segment.base_lsn < end) return "the order of segments";
    }
    before = &segment;
  }
  return {};
}

std::string_view check_piece(const DurableState& state, const RunPiece& piece) {
  const RunFileInfo& file = piece.file;
  if (file.id == 0 || file.id >= state.next_file_id) return "a run's id";
  if (file.lsn_min > file.lsn_max) return "a run's LSNs";
  if (!is_key(file.smallest) || !is_key(file.largest) || file.smallest > file.largest) return "a run's keys";
  if (file.largest_excluded && file.smallest == file.largest) return "a run's keys";
  if (!piece.from.empty() && (!is_key(piece.from) || piece.from > file.largest)) return "a run's interval";
  if (!piece.to.empty() && (!is_key(piece.to) || piece.to <= file.smallest)) return "a run's interval";
  if (!piece.from.empty() && !piece.to.empty() && piece.from >= piece.to) return "a run's interval";
  return {};
}

/// Does `before` answer for smaller keys than `after` alone?
bool in_order(const RunPiece& before, const RunPiece& after) {
  const std::string& first = after.from > after.file.smallest ? after.from : after.file.smallest;
  return before.file.largest < first || (before.file.largest_excluded && before.file.largest == first) ||
         (!before.to.empty() && before.to <= first);
}

std::string_view check_runs(const DurableState& state) {
  uint32_t level = 0;
  for (const SortedRunInfo& run : state.runs) {
    if (run.level < level || run.level > kLastLevel) return "the order of levels";
    if (run.level == kLastLevel && &run != &state.runs.back()) return "the order of levels";
    level = run.level;
    if (run.pieces.empty()) return "a run without files";
    const RunPiece* before = nullptr;
    for (const RunPiece& piece : run.pieces) {
      if (std::string_view wrong = check_piece(state, piece); !wrong.empty()) return wrong;
      if (before != nullptr && !in_order(*before, piece)) return "the order of a run's files";
      before = &piece;
    }
  }
  return {};
}

std::string_view check_value_files(const DurableState& state) {
  uint64_t before = 0;
  for (const ValueFileInfo& file : state.value_files) {
    if (file.number <= before || file.number >= state.next_segment_number) return "a value file's number";
    before = file.number;
  }
  for (const LogSegmentInfo& segment : state.log_segments) {
    if (is_value_file(state, segment.number)) return "a segment that is a value file";
  }
  return {};
}

}  // namespace

bool is_value_file(const DurableState& state, uint64_t number) {
  return std::ranges::binary_search(state.value_files, number, {}, &ValueFileInfo::number);
}

std::string_view check_state(const DurableState& state) {
  if (state.database_id == 0) return "a database id of zero";
  if (state.removal_floor > state.next_file_id) return "the removal floor";
  if (state.log_floor > state.next_base_lsn) return "the log floor";
  if (state.durable_lsn > state.next_base_lsn) return "the durable LSN";
  if (std::string_view wrong = check_segments(state); !wrong.empty()) return wrong;
  if (std::string_view wrong = check_value_files(state); !wrong.empty()) return wrong;
  return check_runs(state);
}

std::string_view check_transition(const DurableState& from, const DurableState& to) {
  if (to.database_id != from.database_id) return "another database id";
  if (to.next_file_id < from.next_file_id) return "a lower next file id";
  if (to.next_segment_number < from.next_segment_number) return "a lower next segment number";
  if (to.next_base_lsn < from.next_base_lsn) return "a lower next base LSN";
  if (to.log_floor < from.log_floor) return "a lower log floor";
  if (to.durable_lsn < from.durable_lsn) return "a lower durable LSN";
  if (to.time_max_us < from.time_max_us) return "a lower largest time";
  if (to.next_keyspace_id < from.next_keyspace_id) return "a lower next keyspace id";
  if (to.removal_floor < from.removal_floor) return "a lower removal floor";
  return {};
}

}  // namespace lightning
