#include "compaction/policy.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <tuple>
#include <utility>

namespace lightning {

namespace {

constexpr uint64_t kFileBytesMax = 256ull << 20;
// Files of a last level that is larger than one of them: about a sixteenth of it each.
constexpr uint64_t kFilesWanted = 16;
// A tier's files are smaller: what a drain has passed is given back file by file.
constexpr uint64_t kTierFilesInOne = 8;
constexpr uint64_t kTierFileBytesMin = 64u << 10;
// What is smaller than this part of the least file is merged with its neighbour when that is rewritten.
constexpr uint64_t kSmallFileDivisor = 4;
constexpr uint64_t kHiddenPercentUnderLoad = 42;
// What is soon to go into the last level is not rewritten in a tier before.
constexpr uint64_t kHiddenPercentOfFullTier = 33;
constexpr uint64_t kHiddenPercentOfValues = 12;
constexpr uint64_t kHiddenPercentSettled = 10;
constexpr uint64_t kDrainRatio = 4;
constexpr size_t kTierRunsBesideDrain = 12;
constexpr uint64_t kRemovedShareOfTiers = 4;
constexpr uint64_t kRemovedShareOfTouched = 3;
constexpr uint64_t kCoveredShareOfLast = 3;
// What reading beside one another costs, and merging, in the same measure.
constexpr uint64_t kExtraSeekBytes = 1 << 10;
constexpr uint64_t kMergeBytesMin = 4 << 20;

/// Values in value files are not.
uint64_t merged_bytes(const FileShape& file) { return file.bytes - file.value_bytes; }

struct Sums {
  uint64_t bytes = 0;
  uint64_t values = 0;
  uint64_t entries = 0;
  uint64_t removals = 0;

  void add(const FileShape& file) {
    bytes += file.bytes;
    values += file.value_bytes;
    entries += file.entries;
    removals += file.removals;
  }
  uint64_t merged() const { return bytes - values; }
};

Sums sums_of(const RunShape& run) {
  Sums sums;
  for (const FileShape& file : run.files) sums.add(file);
  return sums;
}

/// Nothing may stay above it that a move would take with it.
bool removes(const FileShape& file) { return file.removals != 0 || file.ranges; }

bool overlap(const KeyRange& a, const KeyRange& b) {
  return !a.ends_before(b.smallest) && !b.ends_before(a.smallest);
}

bool overlaps(const RunShape& run, const KeyRange& range) {
  const auto at = std::partition_point(run.files.begin(), run.files.end(), [&](const FileShape& file) {
    return file.range.ends_before(range.smallest);
  });
  return at != run.files.end() && overlap(at->range, range);
}

class Chooser {
 public:
  Chooser(const Shape& shape, Goal goal, const PolicyLimits& limits)
      : shape_(shape),
        goal_(goal),
        limits_(limits),
        tiers_(shape.tier_runs()),
        uppers_(shape.upper_runs()),
        last_(shape.has_last() ? &shape.runs.back() : nullptr) {
    for (const RunShape& run : shape.runs) {
      total_ += sums_of(run).bytes;
      files_ += run.files.size();
    }
  }

  Choice choose() const {
    if (goal_ != Goal::compact) {
      if (const auto found = move_down()) return *found;
      if (tiers_ == uppers_ && tiers_ > 0) {
        if (drain_is_due() || garbage_is_overdue()) return to_drain(tiers_);
        if (const auto found = drain_for_scans()) return *found;
      }
      // The next drain takes what the tiers hold; merging them first made this one wait for seconds.
      if (tiers_ != uppers_ && tiers_ < kTierRunsBesideDrain) return drain_step();
      if (const auto found = merge_tiers()) return *found;
      if (tiers_ == uppers_) {
        if (const auto found = rewrite_expired()) return *found;
      }
    }
    if (tiers_ != uppers_) return drain_step();
    return {};
  }

  Choice begin_compaction(const KeySpan& span) const {
    if (span.whole() ? shape_.runs.empty() || is_compact() : is_compact(span)) return {};
    Choice choice = to_drain(shape_.runs.size());
    choice.from = span.from;
    choice.to = span.to;
    if (last_ == nullptr) return choice;
    std::tie(choice.file_first, choice.file_end) = last_files(span);
    return choice;
  }

 private:
  bool is_small(uint64_t bytes) const { return bytes < limits_.file_bytes_min / kSmallFileDivisor; }
  /// Is nothing moved down as it is that a rewrite would gain something from?
  bool thorough() const { return goal_ == Goal::compact || goal_ == Goal::compact_beside; }
  bool fits_one_file() const { return total_ <= limits_.file_bytes_max; }
  uint64_t file_bytes() const {
    if (fits_one_file()) return limits_.file_bytes_max;
    return std::clamp(total_ / kFilesWanted, limits_.file_bytes_min, limits_.file_bytes_max);
  }
  // What comes down from a tier gives back its files on the way.
  uint64_t tier_file_bytes() const {
    return std::clamp(total_ / kFilesWanted / kTierFilesInOne, limits_.tier_file_bytes,
                      limits_.file_bytes_max);
  }

  Choice to_drain(size_t end) const {
    return {.kind = Choice::Kind::move, .first = 0, .end = end, .level = kDrainLevel};
  }

  /// The oldest run of a tier that overlaps nothing older.
  std::optional<Choice> move_down() const {
    for (size_t i = tiers_; i-- > 0;) {
      const RunShape& run = shape_.runs[i];
      const bool good = std::all_of(run.files.begin(), run.files.end(), [&](const FileShape& file) {
        return !removes(file) && !file.range.clipped && !file.other_codec && !is_small(file.bytes) &&
               is_alone(file.range, i + 1, shape_.runs.size());
      });
      if (!good) continue;
      return Choice{.kind = Choice::Kind::move,
                    .first = i,
                    .end = i + 1,
                    .level = kLastLevel,
                    .file_first = 0,
                    .file_end = run.files.size()};
    }
    return {};
  }

  bool is_alone(const KeyRange& range, size_t first, size_t end, size_t except = SIZE_MAX) const {
    for (size_t i = first; i < end; ++i) {
      if (i != except && overlaps(shape_.runs[i], range)) return false;
    }
    return true;
  }

  bool is_alone(const RunShape& run, size_t first, size_t end) const {
    return std::ranges::all_of(run.files,
                               [&](const FileShape& file) { return is_alone(file.range, first, end); });
  }

  size_t runs_at(uint32_t level) const {
    return static_cast<size_t>(std::count_if(shape_.runs.begin(), shape_.runs.end(),
                                             [&](const RunShape& run) { return run.level == level; }));
  }

  /// The tiers, to the last of them, whose runs become one now: those of a full tier, and of the next ones
  /// that this run would fill in turn.
  std::optional<std::pair<uint32_t, uint32_t>> full_tiers() const {
    for (uint32_t level = 0; level < kTiers; ++level) {
      if (runs_at(level) < kTierRuns) continue;
      uint32_t deepest = level;
      while (deepest + 1 < kTiers && runs_at(deepest + 1) + 1 >= kTierRuns) ++deepest;
      return std::pair{level, deepest};
    }
    return {};
  }

  std::optional<Choice> merge_tiers() const {
    const auto full = full_tiers();
    if (!full) return {};
    const auto level_below = [&](uint32_t level) {
      const auto at = std::find_if(shape_.runs.begin(), shape_.runs.end(),
                                   [&](const RunShape& run) { return run.level >= level; });
      return static_cast<size_t>(at - shape_.runs.begin());
    };
    const size_t first = level_below(full->first);
    const size_t end = level_below(full->second + 1);
    const bool alone =
        std::all_of(shape_.runs.begin() + static_cast<ptrdiff_t>(first),
                    shape_.runs.begin() + static_cast<ptrdiff_t>(end),
                    [&](const RunShape& run) { return is_alone(run, end, shape_.runs.size()); });
    Choice choice{.kind = Choice::Kind::merge,
                  .first = first,
                  .end = end,
                  .level = std::min(full->second + 1, kTiers - 1),
                  .file_bytes = alone ? file_bytes() : tier_file_bytes(),
                  .alone = alone};
    cut_by_bytes(&choice);
    return choice;
  }

  /// The one of [first, end) that holds most.
  const RunShape& largest_run(size_t first, size_t end) const {
    return *std::max_element(
        shape_.runs.begin() + static_cast<ptrdiff_t>(first),
        shape_.runs.begin() + static_cast<ptrdiff_t>(end),
        [](const RunShape& a, const RunShape& b) { return sums_of(a).merged() < sums_of(b).merged(); });
  }

  /// Parts of about as many bytes, of no less than a file each.
  void cut_by_bytes(Choice* choice) const {
    uint64_t all = 0;
    for (size_t i = choice->first; i < choice->end; ++i) all += sums_of(shape_.runs[i]).merged();
    const uint64_t parts = std::min<uint64_t>(limits_.parts, all / std::max<uint64_t>(choice->file_bytes, 1));
    if (parts < 2) return;
    const RunShape& largest = largest_run(choice->first, choice->end);
    const uint64_t each = sums_of(largest).merged() / parts;
    uint64_t bytes = merged_bytes(largest.files.front());
    for (size_t file = 1; file < largest.files.size(); ++file) {
      if (bytes >= each * (choice->cuts.size() + 1))
        choice->cuts.emplace_back(largest.files[file].range.smallest);
      bytes += merged_bytes(largest.files[file]);
    }
  }

  bool is_expired(const FileShape& file) const {
    return file.expired >= (goal_ == Goal::settle ? Expired::quarter : Expired::half);
  }

  /// In what a reader made the last level keep and none needs any more, as much garbage as tiers may hide.
  bool is_stale(const FileShape& file) const {
    const uint64_t percent = goal_ == Goal::settle ? kHiddenPercentSettled : kHiddenPercentUnderLoad;
    return file.old_bytes * 100 > (file.bytes - file.old_bytes) * percent;
  }

  /// Files of the last level that stand side by side, or a run of a tier, whose entries have expired, or hold
  /// what gone readers needed. A rewrite leaves none that has, so that it is not chosen again.
  std::optional<Choice> rewrite_expired() const {
    const size_t files = last_ == nullptr ? 0 : last_->files.size();
    const auto due = [&](const FileShape& file) {
      return is_expired(file) || is_stale(file) || file.overdue;
    };
    for (size_t at = 0; at < files; ++at) {
      if (!due(last_->files[at])) continue;
      size_t end = at + 1;
      uint64_t bytes = last_->files[at].bytes;
      for (; end < files && due(last_->files[end]); ++end) {
        bytes += last_->files[end].bytes;
        if (bytes > limits_.file_bytes_max) break;
      }
      return Choice{.kind = Choice::Kind::merge,
                    .first = uppers_,
                    .end = uppers_,
                    .level = kLastLevel,
                    .file_first = at,
                    .file_end = end,
                    .file_bytes = file_bytes()};
    }
    for (size_t run = 0; run < tiers_; ++run) {
      const std::vector<FileShape>& of_run = shape_.runs[run].files;
      if (std::none_of(of_run.begin(), of_run.end(), [&](const auto& file) { return is_expired(file); }))
        continue;
      return Choice{.kind = Choice::Kind::merge,
                    .first = run,
                    .end = run + 1,
                    .level = shape_.runs[run].level,
                    .file_bytes = tier_file_bytes()};
    }
    return {};
  }

  bool garbage_is_overdue() const {
    return std::any_of(
        shape_.runs.begin(), shape_.runs.begin() + static_cast<ptrdiff_t>(tiers_),
        [](const RunShape& run) { return std::ranges::any_of(run.files, &FileShape::overdue); });
  }

  /// From the first key of a file of the last level to that of the next; the first and last one also what is
  /// before and behind.
  KeySpan place_of(size_t file) const {
    KeySpan span;
    if (file > 0) span.from = last_->files[file].range.smallest;
    if (file + 1 < last_->files.size()) span.to = last_->files[file + 1].range.smallest;
    return span;
  }

  /// What a merge of tiers with each file of the last level reads; 0 where no tier has anything.
  std::vector<uint64_t> merges_of_places() const {
    const std::vector<FileShape>& places = last_->files;
    std::vector<uint64_t> bytes(places.size(), 0);
    for (size_t run = 0; run < tiers_; ++run) {
      for (const FileShape& file : shape_.runs[run].files) {
        const auto behind = std::partition_point(places.begin(), places.end(), [&](const FileShape& place) {
          return place.range.smallest <= file.range.smallest;
        });
        const auto first = static_cast<size_t>(behind - places.begin()) - (behind == places.begin() ? 0 : 1);
        size_t end = first + 1;
        while (end < places.size() && place_of(end).meets(file.range)) ++end;
        const uint64_t share = (file.bytes - file.value_bytes) / (end - first) + 1;
        for (size_t at = first; at < end; ++at) bytes[at] += share;
      }
    }
    for (size_t at = 0; at < places.size(); ++at) {
      if (bytes[at] != 0) bytes[at] += places[at].bytes - places[at].value_bytes;
    }
    return bytes;
  }

  /// Neighbouring files of the last level, over which tiers cost scans more than a merge does.
  std::optional<Choice> drain_for_scans() const {
    const std::vector<FileShape>& oldest = shape_.runs.back().files;
    if (std::ranges::all_of(oldest, [](const FileShape& file) { return file.extra_seeks == 0; })) return {};
    if (last_ == nullptr) {
      uint64_t seeks = 0;
      for (const FileShape& file : oldest) seeks += file.extra_seeks;
      const bool pays = tiers_ > 1 && seeks * kExtraSeekBytes >= 2 * total_ + kMergeBytesMin;
      return pays ? std::optional(to_drain(tiers_)) : std::nullopt;
    }
    const std::vector<uint64_t> merges = merges_of_places();
    const auto hot = [&](size_t file) {
      return merges[file] != 0 && oldest[file].extra_seeks * kExtraSeekBytes >= 2 * merges[file];
    };
    for (size_t first = 0; first < oldest.size(); ++first) {
      if (!hot(first)) continue;
      size_t end = first;
      uint64_t lost = 0;
      uint64_t merged = 0;
      for (; end < oldest.size() && hot(end); ++end) {
        lost += oldest[end].extra_seeks * kExtraSeekBytes;
        merged += 2 * merges[end];
      }
      if (lost >= merged + kMergeBytesMin) {
        Choice choice = to_drain(tiers_);
        choice.from = place_of(first).from;
        choice.to = place_of(end - 1).to;
        return choice;
      }
      first = end;
    }
    return {};
  }

  bool drain_is_due() const {
    Sums upper;
    std::vector<uint32_t> touched;
    uint64_t covered = 0;
    for (size_t i = 0; i < tiers_; ++i) {
      covered += shape_.runs[i].covered;
      for (const FileShape& file : shape_.runs[i].files) upper.add(file);
      touched.insert(touched.end(), shape_.runs[i].touched.begin(), shape_.runs[i].touched.end());
    }
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    Sums reached;
    for (const uint32_t file : touched) reached.add(last_->files[file]);
    const Sums last = last_ == nullptr ? Sums() : sums_of(*last_);
    // What the tiers may hide: a put an entry of its size, a removal one of the average.
    const uint64_t average = last.entries == 0 ? 0 : last.bytes / last.entries;
    const uint64_t removed = std::min(upper.removals * average, last.bytes);
    const uint64_t hidden = upper.bytes + removed;
    const uint64_t left = last.bytes - removed;

    if (covered != 0 && (goal_ == Goal::settle || covered * kCoveredShareOfLast >= last.bytes)) return true;
    if (upper.removals != 0 && upper.removals * kRemovedShareOfTiers >= upper.entries &&
        upper.removals * kRemovedShareOfTouched >= reached.entries) {
      return true;
    }
    if (hides_values(upper, reached, last)) return true;
    if (goal_ == Goal::settle) {
      return last_ == nullptr ? tiers_ > 1 : hidden * 100 > left * kHiddenPercentSettled;
    }
    const auto full = full_tiers();
    const uint64_t percent = full ? kHiddenPercentOfFullTier : kHiddenPercentUnderLoad;
    if (hidden >= limits_.tier_bytes_min && hidden * 100 > left * percent) return true;
    if (!full || full->second < shape_.runs[tiers_ - 1].level) return false;
    // One tier is soon full again; what has come through two of them is worth a rewrite.
    return full->second == 0 ? reached.bytes * kDrainRatio <= hidden : reached.bytes <= hidden * kDrainRatio;
  }

  /// Large values are garbage that costs the rewrite of their places alone.
  static bool hides_values(const Sums& upper, const Sums& reached, const Sums& last) {
    if (last.values == 0) return false;
    // Of a file that is cut the counts are estimates, and may be none.
    const uint64_t average = last.values / std::max<uint64_t>(last.entries, 1);
    const uint64_t hidden = upper.values + upper.removals * average;
    const uint64_t rewritten = upper.bytes - upper.values + reached.bytes - reached.values;
    return hidden * 100 > last.values * kHiddenPercentOfValues && rewritten <= hidden;
  }

  /// May the file of a drained run go to the last level as it is?
  bool may_move(size_t run, const FileShape& file) const {
    if (file.range.clipped || removes(file) || file.other_codec || is_small(file.bytes)) return false;
    const bool gains = !file.plain || file.expired != Expired::none;
    if (thorough() && (gains || (fits_one_file() && files_ > 1))) return false;
    return is_alone(file.range, tiers_, shape_.runs.size(), run);
  }

  Choice drain_step() const {
    size_t run = tiers_;
    for (size_t i = tiers_; i < uppers_; ++i) {
      if (shape_.runs[i].smallest() < shape_.runs[run].smallest()) run = i;
    }
    const RunShape& source = shape_.runs[run];
    size_t moving = 0;
    while (moving < source.files.size() && may_move(run, source.files[moving])) ++moving;
    if (moving > 0) {
      return {.kind = Choice::Kind::move,
              .first = run,
              .end = run + 1,
              .level = kLastLevel,
              .file_first = 0,
              .file_end = moving};
    }
    return merge_from(source.smallest());
  }

  Choice merge_from(std::string_view key) const {
    Choice choice{.kind = Choice::Kind::merge,
                  .first = tiers_,
                  .end = uppers_,
                  .level = kLastLevel,
                  .file_bytes = file_bytes()};
    const size_t files = last_ == nullptr ? 0 : last_->files.size();
    size_t at = shape_.place(key);
    const bool between = at == files || last_->files[at].range.smallest > key;
    if (between && at > 0 && is_small(last_->files[at - 1].bytes)) --at;
    choice.file_first = choice.file_end = at;
    for (;;) {
      uint64_t bytes = 0;
      while (choice.file_end < files && (bytes == 0 || is_small(bytes))) {
        if (thorough() && !drain_reaches(last_->files[choice.file_end].range.smallest)) break;
        bytes += last_->files[choice.file_end++].bytes;
      }
      if (choice.cuts.size() + 1 >= limits_.parts || fits_one_file()) break;
      if (choice.file_end == files || !drains_into(choice.file_end)) break;
      choice.cuts.emplace_back(last_->files[choice.file_end].range.smallest);
    }
    std::string_view to;
    if (choice.file_end < files) to = last_->files[choice.file_end].range.smallest;
    for (size_t i = tiers_; i < uppers_; ++i) {
      for (const FileShape& file : shape_.runs[i].files) {
        if (!to.empty() && file.range.smallest >= to) break;
        if (file.range.smallest > key && may_move(i, file)) {
          to = file.range.smallest;
          break;
        }
      }
    }
    while (!to.empty() && choice.file_end > choice.file_first &&
           last_->files[choice.file_end - 1].range.smallest >= to) {
      --choice.file_end;
    }
    while (!to.empty() && !choice.cuts.empty() && choice.cuts.back() >= to) choice.cuts.pop_back();
    if (choice.file_end == files) cut_behind(key, &choice, &to);
    choice.to = to;
    return choice;
  }

  /// Is there surely a key of the drained runs at the place of this file of the last level?
  bool drains_into(size_t file) const {
    const KeySpan place = place_of(file);
    const auto in_place = [&](std::string_view key) {
      return key >= place.from && (place.to.empty() || key < place.to);
    };
    const auto there = [&](const FileShape& drained) {
      return in_place(drained.range.smallest) ||
             (!drained.range.largest_excluded && in_place(drained.range.largest));
    };
    return std::any_of(shape_.runs.begin() + static_cast<ptrdiff_t>(tiers_),
                       shape_.runs.begin() + static_cast<ptrdiff_t>(uppers_),
                       [&](const RunShape& run) { return std::ranges::any_of(run.files, there); });
  }

  /// Behind the files of the last level, where the drain of a compaction goes, parts are as large as one of
  /// them, and the step ends with the last part.
  void cut_behind(std::string_view key, Choice* choice, std::string_view* to) const {
    if (limits_.parts < 2 || fits_one_file()) return;
    const std::string begin(choice->cuts.empty() ? key : choice->cuts.back());
    const bool joins = choice->file_end > choice->file_first;
    uint64_t bytes = 0;
    for (const FileShape& file : largest_run(tiers_, uppers_).files) {
      const std::string_view at = file.range.smallest;
      if (!to->empty() && at >= *to) return;
      if (at > begin && bytes >= file_bytes()) {
        if (choice->cuts.size() + 1 < limits_.parts) {
          choice->cuts.emplace_back(at);
          bytes = 0;
        } else if (!joins || last_->files[choice->file_end - 1].range.ends_before(at)) {
          *to = at;
          return;
        }
      }
      if (at >= begin) bytes += merged_bytes(file);
    }
  }

  /// Is any key of the drained runs at or above this one?
  bool drain_reaches(std::string_view key) const {
    for (size_t i = tiers_; i < uppers_; ++i) {
      if (!shape_.runs[i].files.back().range.ends_before(key)) return true;
    }
    return false;
  }

  /// The files of the last level that meet the span.
  std::pair<size_t, size_t> last_files(const KeySpan& span) const {
    size_t first = 0;
    size_t end = last_ == nullptr ? 0 : last_->files.size();
    while (first < end && !span.meets(last_->files[first].range)) ++first;
    while (end > first && !span.meets(last_->files[end - 1].range)) --end;
    return {first, end};
  }

  /// Would a rewrite of this file of the last level gain anything by itself?
  bool is_good(const FileShape& file) const {
    return file.plain && !removes(file) && !file.range.clipped && file.expired == Expired::none &&
           !file.other_codec;
  }

  bool is_compact(const KeySpan& span) const {
    for (size_t i = 0; i < uppers_; ++i) {
      const std::vector<FileShape>& files = shape_.runs[i].files;
      if (std::any_of(files.begin(), files.end(), [&](const auto& file) { return span.meets(file.range); }))
        return false;
    }
    const auto [first, end] = last_files(span);
    for (size_t file = first; file < end; ++file) {
      if (!is_good(last_->files[file])) return false;
    }
    return true;
  }

  bool is_compact() const {
    if (shape_.runs.size() != 1 || last_ == nullptr) return false;
    const FileShape* before = nullptr;
    for (const FileShape& file : last_->files) {
      if (!is_good(file)) return false;
      const bool joins = before != nullptr && before->codec == file.codec;
      if (joins && (fits_one_file() || (is_small(before->bytes) && is_small(file.bytes)))) return false;
      before = &file;
    }
    return true;
  }

  const Shape& shape_;
  const Goal goal_;
  const PolicyLimits& limits_;
  const size_t tiers_;
  const size_t uppers_;
  const RunShape* const last_;
  uint64_t total_ = 0;
  uint64_t files_ = 0;
};

}  // namespace

size_t Shape::tier_runs() const {
  const auto at =
      std::find_if(runs.begin(), runs.end(), [](const RunShape& run) { return run.level >= kDrainLevel; });
  return static_cast<size_t>(at - runs.begin());
}

size_t Shape::place(std::string_view key) const {
  if (!has_last()) return 0;
  const std::vector<FileShape>& files = runs.back().files;
  const auto at = std::partition_point(files.begin(), files.end(),
                                       [key](const FileShape& file) { return file.range.ends_before(key); });
  return static_cast<size_t>(at - files.begin());
}

PolicyLimits PolicyLimits::of(uint64_t write_buffer_size, size_t parts) {
  return {
      .file_bytes_min = std::min(write_buffer_size, kFileBytesMax),
      .file_bytes_max = std::min(4 * write_buffer_size, kFileBytesMax),
      .tier_file_bytes = std::clamp(write_buffer_size / kTierFilesInOne, kTierFileBytesMin, kFileBytesMax),
      .tier_bytes_min = 5 * write_buffer_size,
      .parts = parts};
}

Choice choose(const Shape& shape, Goal goal, const PolicyLimits& limits) {
  return Chooser(shape, goal, limits).choose();
}

uint64_t flush_file_bytes(bool overlaps, const PolicyLimits& limits) {
  return overlaps ? limits.tier_file_bytes : limits.file_bytes_max;
}

std::vector<FileAt> covered_files(const Shape& shape, std::span<const RangeMap* const> covers,
                                  std::span<const uint64_t> read_lsns) {
  std::vector<FileAt> found;
  // Fragments that every reader sees, of the runs so far.
  RangeMap above;
  for (size_t run = 0; run < shape.runs.size(); ++run) {
    for (size_t file = 0; file < shape.runs[run].files.size() && !above.empty(); ++file) {
      const KeyRange& range = shape.runs[run].files[file].range;
      const size_t at = above.find(range.smallest);
      if (at == above.size() || above.from(at) > range.smallest) continue;
      const std::string_view to = above.to(at);
      if (range.largest_excluded ? range.largest <= to : range.largest < to) found.push_back({run, file});
    }
    if (covers[run]->empty()) continue;
    RangeMap visible;
    constexpr uint64_t kAny = kSettledRangeLsn;
    for (size_t i = 0; i < covers[run]->size(); ++i) {
      if (!read_lsns.empty() && covers[run]->lsns(i).back() >= read_lsns.front()) continue;
      visible.append(covers[run]->from(i), covers[run]->to(i), {&kAny, 1});
    }
    const RangeMap* const both[] = {&visible, &above};
    above = RangeMap::merge(both, {});
  }
  return found;
}

Choice begin_compaction(const Shape& shape, const PolicyLimits& limits, const KeySpan& span) {
  return Chooser(shape, Goal::compact, limits).begin_compaction(span);
}

namespace {

std::string_view check_move(const Shape& shape, const Choice& choice) {
  if (choice.level != kLastLevel) {
    if (choice.end < shape.runs.size() && shape.runs[choice.end].level < choice.level)
      return "a move past an older run";
    if (!choice.from.empty() && !choice.to.empty() && choice.from >= choice.to) return "keys that are none";
    const size_t files = choice.end > shape.upper_runs() ? shape.runs.back().files.size() : 0;
    return choice.file_first <= choice.file_end && choice.file_end <= files ? "" : "files of a move";
  }
  if (choice.end != choice.first + 1) return "a move of several runs into the last level";
  const RunShape& run = shape.runs[choice.first];
  if (choice.file_first >= choice.file_end || choice.file_end > run.files.size()) return "files of a move";
  for (size_t i = choice.first + 1; i < shape.runs.size(); ++i) {
    for (size_t file = choice.file_first; file < choice.file_end; ++file) {
      if (overlaps(shape.runs[i], run.files[file].range)) return "a move below an older version";
    }
  }
  return {};
}

std::string_view check_merge(const Shape& shape, const Choice& choice) {
  if (choice.level != kLastLevel) {
    // The output stands in front of run `end`.
    const bool fits = choice.end == shape.runs.size() || shape.runs[choice.end].level >= choice.level;
    return fits ? "" : "a merge past an older run";
  }
  if (choice.end != shape.upper_runs()) return "a merge past an older run";
  if (!shape.has_last()) return choice.file_end == 0 ? "" : "files of no run";
  const std::vector<FileShape>& files = shape.runs.back().files;
  if (choice.file_first > choice.file_end || choice.file_end > files.size()) return "files of a merge";
  std::string_view smallest = shape.runs[choice.first].smallest();
  for (size_t i = choice.first; i < choice.end; ++i) smallest = std::min(smallest, shape.runs[i].smallest());
  for (size_t file = 0; file < files.size(); ++file) {
    if (file >= choice.file_first && file < choice.file_end) {
      if (!choice.to.empty() && !files[file].range.ends_before(choice.to)) return "a file merged in part";
      continue;
    }
    const bool before = file < choice.file_first && files[file].range.ends_before(smallest);
    const bool behind =
        file >= choice.file_end && !choice.to.empty() && files[file].range.smallest >= choice.to;
    if (!before && !behind) return "a merge without a file of the last level that overlaps";
  }
  return {};
}

// Nothing is older than the last level.
std::string_view check_rewrite(const Shape& shape, const Choice& choice) {
  const bool files = shape.has_last() && choice.file_first < choice.file_end &&
                     choice.file_end <= shape.runs.back().files.size();
  return files && choice.end == shape.upper_runs() && choice.to.empty() ? ""
                                                                        : "a rewrite of files that are none";
}

}  // namespace

std::string_view check_choice(const Shape& shape, const Choice& choice) {
  if (choice.kind == Choice::Kind::nothing) return {};
  const bool rewrite =
      choice.kind == Choice::Kind::merge && choice.first == choice.end && choice.level == kLastLevel;
  if (rewrite) return check_rewrite(shape, choice);
  if (choice.first >= choice.end || choice.end > shape.runs.size()) return "runs that are none";
  for (size_t i = choice.first; i < choice.end; ++i) {
    if (shape.runs[i].level > choice.level && choice.level != kDrainLevel) return "a run that would rise";
  }
  if (choice.kind == Choice::Kind::move)
    return choice.cuts.empty() ? check_move(shape, choice) : "a move in parts";
  const bool ascend = std::ranges::adjacent_find(choice.cuts, std::greater_equal<>()) == choice.cuts.end();
  if (!ascend || (!choice.to.empty() && !choice.cuts.empty() && choice.cuts.back() >= choice.to))
    return "parts that are none";
  return check_merge(shape, choice);
}

}  // namespace lightning
