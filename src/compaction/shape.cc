#include "compaction/shape.h"

#include <algorithm>

#include "format/internal_key.h"

namespace lightning {

namespace {

uint64_t part_of(uint64_t whole, double share) {
  return static_cast<uint64_t>(static_cast<double>(whole) * share);
}

/// Are there entries of dropped keyspaces between these keys of a run? At a bound of a piece one may be.
bool holds_dropped(size_t run, const KeyRange& range, std::span<const uint32_t> dropped,
                   const RunProbe& probe) {
  std::string key(range.smallest);
  for (auto next = dropped.begin(); next != dropped.end();) {
    uint32_t id = 0;
    (void)parse_keyspace_prefix(key, &id);
    next = std::lower_bound(next, dropped.end(), id);
    if (next == dropped.end()) return false;
    if (*next == id) return true;
    char bytes[kKeyspaceIdBytesMax];
    const std::string_view prefix(bytes, static_cast<size_t>(put_keyspace_prefix(bytes, *next) - bytes));
    if (range.ends_before(prefix) || !probe.first_key_from(run, prefix, &key)) return false;
    if (range.ends_before(key)) return false;
  }
  return false;
}

/// Of a file that is cut, what is true of the whole.
Expired expired_by(uint64_t time, const RunExpiry& expiry) {
  const auto passed = [time](uint64_t expiry_us) { return expiry_us != 0 && expiry_us <= time; };
  if (passed(expiry.half_us)) return Expired::half;
  if (passed(expiry.quarter_us)) return Expired::quarter;
  return passed(expiry.first_us) ? Expired::some : Expired::none;
}

/// A tier may hide what is older, and a file of the last level has garbage of its own where it is not plain.
/// That of dropped keyspaces is under a range removal.
bool is_overdue(uint32_t level, const RunFileInfo& file, bool clipped, uint64_t due_before) {
  if (level != kLastLevel) return file.since_us < due_before;
  const uint64_t expired_us = file.expiry.first_us;
  return ((!file.plain || clipped) && file.since_us < due_before) ||
         (expired_us != 0 && expired_us < due_before);
}

/// What a reader made the last level keep stays as long as one reads below any version of the file. In bytes
/// of the file, which may be compressed.
uint64_t old_bytes_of(uint32_t level, const RunFileInfo& file, double share, uint64_t first_reader) {
  if (level != kLastLevel || file.old_bytes == 0 || first_reader < file.lsn_max) return 0;
  const auto old = static_cast<double>(file.old_bytes);
  const auto all = static_cast<double>(std::max(file.raw_bytes, file.old_bytes));
  return part_of(file.size + file.value_bytes, share * old / all);
}

/// Keys of the run that fall behind the last file of all touch none.
std::vector<uint32_t> touched_by(size_t run, const Shape& shape, const RunProbe& probe) {
  std::vector<uint32_t> touched;
  const std::vector<FileShape>& files = shape.runs.back().files;
  std::string key(shape.runs[run].smallest());
  for (;;) {
    const size_t place = shape.place(key);
    if (place == files.size()) return touched;
    touched.push_back(static_cast<uint32_t>(place));
    if (place + 1 == files.size()) return touched;
    if (!probe.first_key_from(run, files[place + 1].range.smallest, &key)) return touched;
  }
}

}  // namespace

Shape shape_of(std::span<const SortedRunInfo* const> runs, std::span<const uint32_t> dropped,
               const RunProbe& probe, const std::function<uint64_t()>& purge_time) {
  Shape shape;
  uint64_t time = 0;  // not asked for yet
  const uint64_t due_before = probe.due_before();
  const uint64_t first_reader = probe.first_reader();
  for (size_t i = 0; i < runs.size(); ++i) {
    RunShape& run = shape.runs.emplace_back();
    run.level = runs[i]->level;
    for (size_t p = 0; p < runs[i]->pieces.size(); ++p) {
      const RunFileInfo& file = runs[i]->pieces[p].file;
      const KeyRange range = range_of(runs[i]->pieces[p]);
      if (file.expiry.expiring != 0 && time == 0) time = purge_time();
      const bool plain = file.plain && !range.clipped && !holds_dropped(i, range, dropped, probe);
      const double share = range.clipped ? std::clamp(probe.share(i, p), 0.0, 1.0) : 1.0;
      run.files.push_back({.range = range,
                           .bytes = part_of(file.size + file.value_bytes, share),
                           .value_bytes = part_of(file.value_bytes, share),
                           .old_bytes = old_bytes_of(run.level, file, share, first_reader),
                           .entries = part_of(file.entries, share),
                           .removals = part_of(file.removals, share),
                           .expired = expired_by(time, file.expiry),
                           .ranges = file.range_removals != 0,
                           .codec = probe.codec(i, p),
                           .other_codec = probe.other_codec(i, p),
                           .plain = plain,
                           .overdue = is_overdue(run.level, file, range.clipped, due_before),
                           .extra_seeks = i + 1 == runs.size() ? probe.extra_seeks(i, p) : 0});
    }
  }
  if (!shape.has_last()) return shape;
  for (size_t i = 0; i < shape.tier_runs(); ++i) {
    shape.runs[i].touched = touched_by(i, shape, probe);
    const bool ranges = std::any_of(shape.runs[i].files.begin(), shape.runs[i].files.end(),
                                    [](const FileShape& file) { return file.ranges; });
    if (ranges) shape.runs[i].covered = probe.covered_bytes(i, shape.runs.size() - 1);
  }
  return shape;
}

}  // namespace lightning
