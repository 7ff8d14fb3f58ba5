// Test support: tables of runs in place of Views, and what the policy chooses of them in words.
//
// Only for tests. Thread safety: pure functions.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "compaction/policy.h"

namespace lightning {

inline constexpr uint64_t kBuffer = 1 << 20;
inline const PolicyLimits kLimits = PolicyLimits::of(kBuffer);

/// A file in a table: its keys, and whatever is not usual.
struct TableFile {
  const char* smallest;
  const char* largest;
  uint64_t bytes = kBuffer;
  uint64_t removals = 0;
  bool cut = false;
  bool plain = true;
  Expired expired = Expired::none;
  bool ranges = false;
  bool other_codec = false;
  uint64_t extra_seeks = 0;
  bool overdue = false;
};

/// A run in a table.
struct TableRun {
  uint32_t level;
  std::vector<TableFile> files;
  std::vector<uint32_t> touched = {};  // those beyond the last level's files count as none
  uint64_t covered = 0;
};

inline Shape shape_of_table(const std::vector<TableRun>& runs) {
  Shape shape;
  for (const TableRun& run : runs) {
    RunShape& made = shape.runs.emplace_back();
    made.level = run.level;
    made.covered = run.covered;
    for (const uint32_t file : run.touched) {
      if (runs.back().level == kLastLevel && file < runs.back().files.size()) made.touched.push_back(file);
    }
    for (const TableFile& file : run.files) {
      made.files.push_back({.range = {.smallest = file.smallest,
                                      .largest = file.largest,
                                      .largest_excluded = false,
                                      .clipped = file.cut},
                            .bytes = file.bytes,
                            .entries = file.bytes / 100,
                            .removals = file.removals,
                            .expired = file.expired,
                            .ranges = file.ranges,
                            .other_codec = file.other_codec,
                            .plain = file.plain,
                            .overdue = file.overdue,
                            .extra_seeks = file.extra_seeks});
    }
  }
  return shape;
}

/// The choice in words: "nothing", "move 1 to 6", "move 0 to 7: files 0-2", "merge 0-4 to 1",
/// "merge 0-2 to 7: files 1-2 below d".
inline std::string words(const Shape& shape, const Choice& choice) {
  EXPECT_EQ(check_choice(shape, choice), "");
  if (choice.kind == Choice::Kind::nothing) return "nothing";
  const auto range = [](size_t first, size_t end) {
    return end == first + 1 ? std::to_string(first) : std::to_string(first) + "-" + std::to_string(end);
  };
  std::string text = choice.kind == Choice::Kind::move ? "move " : "merge ";
  text += range(choice.first, choice.end) + " to " + std::to_string(choice.level);
  if (choice.level == kLastLevel) text += ": files " + range(choice.file_first, choice.file_end);
  if (choice.alone) text += ", alone";
  if (!choice.from.empty()) text += " from " + choice.from;
  if (!choice.to.empty()) text += " below " + choice.to;
  for (const std::string& cut : choice.cuts) text += (cut == choice.cuts.front() ? ", cut at " : " ") + cut;
  return text;
}

inline std::string chosen(const std::vector<TableRun>& runs, Goal goal = Goal::keep_up, size_t parts = 1) {
  const Shape shape = shape_of_table(runs);
  return words(shape, choose(shape, goal, PolicyLimits::of(kBuffer, parts)));
}

inline const TableRun kLarge = {
    kLastLevel, {{"b", "h", 40 * kBuffer}, {"j", "p", 40 * kBuffer}, {"r", "x", 40 * kBuffer}}};

inline TableRun flushed(const char* smallest = "a", const char* largest = "z",
                        std::vector<uint32_t> touched = {0, 1, 2}) {
  return {0, {{smallest, largest}}, std::move(touched)};
}

}  // namespace lightning
