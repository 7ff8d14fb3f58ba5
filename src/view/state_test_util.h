// Random durable states and edits of them, for tests.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <tuple>
#include <utility>

#include "testing/random.h"
#include "view/durable_state.h"

namespace lightning {

inline std::string sample_key(uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(1, '\0') + std::string(6 - digits.size(), '0') + digits;  // of the default keyspace
}

inline RunExpiry sample_expiry(Random& random) {
  return {.expiring = 1 + random.below(100),
          .first_us = random.next() >> 10,
          .quarter_us = random.chance(0.5) ? 0 : random.next() >> 10,
          .half_us = random.chance(0.5) ? 0 : random.next() >> 10};
}

/// A file that holds the keys [from, to].
inline RunPiece sample_piece(Random& random, uint64_t id, uint64_t from, uint64_t to) {
  RunPiece piece;
  const uint64_t lsn_min = random.below(1000);
  piece.file = {.id = id,
                .size = random.next() >> 20,
                .footer_hash = random.next(),
                .entries = to - from + 1,
                .removals = random.below(5),
                .raw_bytes = random.next() >> 30,
                .value_bytes = random.chance(0.3) ? random.next() >> 31 : 0,
                .old_bytes = random.chance(0.3) ? random.next() >> 31 : 0,
                .lsn_min = lsn_min,
                .lsn_max = lsn_min + random.below(1000),
                .expiry = random.chance(0.5) ? RunExpiry() : sample_expiry(random),
                .since_us = random.chance(0.3) ? 0 : random.next() >> 12,
                .range_removals = random.below(3),
                .plain = random.chance(0.5),
                .largest_excluded = from < to && random.chance(0.3),
                .smallest = sample_key(from),
                .largest = sample_key(to)};
  return piece;
}

/// A sorted run of `files` files over the keys 0 to 999,999.
inline SortedRunInfo sample_run(Random& random, uint32_t level, uint64_t files,
                                const std::function<uint64_t()>& new_id) {
  SortedRunInfo run{.level = level, .pieces = {}};
  const uint64_t width = 1'000'000 / files;
  for (uint64_t i = 0; i < files; ++i) {
    RunPiece piece = sample_piece(random, new_id(), i * width, (i + 1) * width - 1);
    if (random.chance(0.2)) piece.from = sample_key(i * width + width / 4);
    if (random.chance(0.2)) piece.to = sample_key(i * width + width / 2);
    run.pieces.push_back(std::move(piece));
  }
  return run;
}

inline void sample_log_edit(Random& random, DurableState* state) {
  state->next_base_lsn += 1 + random.below(100'000);
  const uint64_t base = state->next_base_lsn;
  state->next_base_lsn += 4096;
  state->log_segments.push_back(
      {.number = state->next_segment_number++, .base_lsn = base, .end_lsn = kOpenEnd});
  if (random.chance(0.3)) state->log_segments.back().end_lsn = base + random.below(4097);
  if (state->log_segments.size() > 4) {
    if (random.chance(0.5)) {
      state->value_files.push_back(
          {.number = state->log_segments.front().number, .size = random.next() >> 35});
    }
    if (state->value_files.size() > 6) {
      state->value_files.erase(state->value_files.begin() + static_cast<ptrdiff_t>(random.below(6)));
    }
    state->log_segments.erase(state->log_segments.begin());
    state->log_floor = state->log_segments.front().base_lsn;
    state->durable_lsn = state->log_floor;
  }
}

inline void sample_run_edit(Random& random, DurableState* state, const std::function<uint64_t()>& new_id) {
  std::vector<SortedRunInfo>& runs = state->runs;
  if (runs.empty() || random.chance(0.5)) {  // flush
    runs.insert(runs.begin(), sample_run(random, 0, 1, new_id));
  } else if (random.chance(0.3)) {  // merge everything
    runs = {sample_run(random, 1 + static_cast<uint32_t>(random.below(3)), 1 + random.below(20), new_id)};
  } else {  // a file of the oldest run is replaced, the newest run goes
    std::vector<RunPiece>& pieces = runs.back().pieces;
    RunPiece& piece = pieces[random.below(pieces.size())];
    piece.file.id = new_id();
    piece.from.clear();
    if (runs.size() > 1) runs.erase(runs.begin());
  }
}

/// Makes the next of a random history of states.
inline void sample_edit(Random& random, DurableState* state, const std::function<uint64_t()>& new_id) {
  if (random.chance(0.6)) sample_run_edit(random, state, new_id);
  if (random.chance(0.4)) sample_log_edit(random, state);
  state->time_max_us += static_cast<int64_t>(random.below(1'000'000));
  if (random.chance(0.3)) state->log_since_us = random.chance(0.3) ? 0 : random.next() >> 12;
  if (random.chance(0.1)) ++state->next_keyspace_id;
  if (random.chance(0.1)) state->incarnation = random.next();
}

inline DurableState sample_initial_state(Random& random) {
  DurableState state;
  state.database_id = random.next() | 1;
  state.incarnation = random.next();
  state.time_max_us = -1;  // before 1970 is a time like any other
  return state;
}

inline bool same_piece(const RunPiece& a, const RunPiece& b) {
  const auto all = [](const RunPiece& p) {
    const RunFileInfo& f = p.file;
    return std::tie(f.id, f.size, f.footer_hash, f.entries, f.removals, f.raw_bytes, f.value_bytes,
                    f.old_bytes, f.lsn_min, f.lsn_max, f.expiry.expiring, f.expiry.first_us,
                    f.expiry.quarter_us, f.expiry.half_us, f.since_us, f.range_removals, f.plain,
                    f.largest_excluded, f.smallest, f.largest, p.from, p.to);
  };
  return all(a) == all(b);
}

inline bool same_run(const SortedRunInfo& a, const SortedRunInfo& b) {
  return a.level == b.level &&
         std::equal(a.pieces.begin(), a.pieces.end(), b.pieces.begin(), b.pieces.end(), same_piece);
}

/// In everything but next_file_id and removal_floor, which are the store's own.
inline bool same_state(const DurableState& a, const DurableState& b) {
  const auto all = [](const DurableState& s) {
    return std::tie(s.database_id, s.incarnation, s.next_segment_number, s.next_base_lsn, s.log_floor,
                    s.durable_lsn, s.time_max_us, s.log_since_us, s.next_keyspace_id, s.log_segments,
                    s.value_files);
  };
  return all(a) == all(b) && std::equal(a.runs.begin(), a.runs.end(), b.runs.begin(), b.runs.end(), same_run);
}

}  // namespace lightning
