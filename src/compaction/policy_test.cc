#include "compaction/policy_test_support.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "compaction/outcome.h"
#include "compaction/shape.h"

namespace lightning {
namespace {

TEST(Policy, DoesNothingWhereNothingIsToBeGained) {
  EXPECT_EQ(chosen({}), "nothing");
  EXPECT_EQ(chosen({kLarge}), "nothing");
  EXPECT_EQ(chosen({kLarge}, Goal::settle), "nothing");
  EXPECT_EQ(chosen({flushed(), flushed(), flushed(), kLarge}), "nothing");
}

TEST(Policy, MovesWhatOverlapsNothingOlder) {
  EXPECT_EQ(chosen({{0, {{"a", "z"}}}}), "move 0 to 7: files 0");
  EXPECT_EQ(chosen({flushed("y", "z", {}), kLarge}), "move 0 to 7: files 0");
  EXPECT_EQ(chosen({flushed("hh", "i", {1}), kLarge}), "move 0 to 7: files 0");
  // Not past an older run, though nothing in the last level overlaps.
  EXPECT_EQ(chosen({flushed("y", "z", {}), {1, {{"a", "z"}}, {0, 1, 2}}, kLarge}), "nothing");
  EXPECT_EQ(chosen({flushed("y", "z", {}), flushed("a", "x"), kLarge}), "move 0 to 7: files 0");
  // Not with removals, which would stay for ever; not what is cut; not a small file.
  EXPECT_EQ(chosen({{0, {{"y", "z", kBuffer, 1}}}, kLarge}), "nothing");
  EXPECT_EQ(chosen({{0, {{"y", "z", kBuffer, 0, true}}}, kLarge}), "nothing");
  EXPECT_EQ(chosen({{0, {{"y", "z", kBuffer / 8}}}, kLarge}), "nothing");
}

TEST(Policy, MergesFourRunsOfATierIntoOne) {
  EXPECT_EQ(chosen({flushed(), flushed(), flushed(), flushed(), kLarge}), "merge 0-4 to 1");
  EXPECT_EQ(chosen({flushed(), flushed(), flushed(), flushed(), {1, {{"a", "z"}}, {0}}, kLarge}),
            "merge 0-4 to 1");
  // What would fill the next tier goes through both at once.
  const TableRun second = {1, {{"a", "z", 4 * kBuffer}}, {0, 1, 2}};
  EXPECT_EQ(chosen({flushed(),
                    flushed(),
                    flushed(),
                    flushed(),
                    second,
                    second,
                    second,
                    {kLastLevel, {{"a", "z", 400 * kBuffer}}}}),
            "merge 0-7 to 2");
}

// Files too small to be moved, of ascending keys that came faster than a drain went: what they become may be
// moved, and is written as the last level is.
TEST(Policy, AMergeOfWhatOverlapsNothingOlderSaysSo) {
  const TableRun draining = {kDrainLevel, {{"a", "r", kBuffer}}, {0, 1, 2}};
  std::vector<TableRun> runs;
  const auto add = [&](const char* smallest, const char* largest) {
    runs.insert(runs.begin(), {0, {{smallest, largest, kBuffer / 8}}, {}});
  };
  for (const char* const key : {"ya", "yb", "yc", "yd", "ye", "yf", "yg", "yh", "yi", "yj", "yk", "yl"})
    add(key, key);
  runs.insert(runs.end(), {draining, kLarge});
  EXPECT_EQ(chosen(runs), "merge 0-12 to 1, alone");
  EXPECT_EQ(choose(shape_of_table(runs), Goal::keep_up, kLimits).file_bytes, kLimits.file_bytes_max);
  add("q", "y");
  EXPECT_EQ(chosen(runs), "merge 0-13 to 1");
}

TEST(Policy, DrainsFullTiersThatAreWorthTheRewrite) {
  const TableRun second = {1, {{"a", "z", 4 * kBuffer}}, {0, 1, 2}};
  std::vector<TableRun> runs(4, flushed());
  runs.insert(runs.end(), 3, second);
  runs.push_back(
      {kLastLevel, {{"a", "g", 20 * kBuffer}, {"h", "o", 20 * kBuffer}, {"p", "z", 20 * kBuffer}}});
  EXPECT_EQ(chosen(runs), "move 0-7 to 6");
  // Four times what they hold is the limit, of what they touch.
  for (TableFile& file : runs.back().files) file.bytes = 40 * kBuffer;
  EXPECT_EQ(chosen(runs), "merge 0-7 to 2");
  for (TableRun& run : runs) run.touched.clear();
  for (size_t i = 0; i < 7; ++i) runs[i].touched = {1};
  EXPECT_EQ(chosen(runs), "move 0-7 to 6");
}

TEST(Policy, DrainsTiersThatMayHideTooMuch) {
  const TableRun large = {kLastLevel, {{"a", "z", 15 * kBuffer}}};
  const TableRun second = {1, {{"a", "z", 5 * kBuffer}}, {0}};
  EXPECT_EQ(chosen({flushed(), second, large}), "nothing");
  EXPECT_EQ(chosen({flushed(), flushed(), second, large}), "move 0-3 to 6");
  // Less than six write buffers wait, however small the last level is; not when nobody writes.
  const TableRun small = {kLastLevel, {{"a", "z", kBuffer}}};
  EXPECT_EQ(chosen({flushed("a", "z", {0}), small}), "nothing");
  EXPECT_EQ(chosen({flushed("a", "z", {0}), small}, Goal::settle), "move 0 to 6");
  EXPECT_EQ(chosen({flushed("a", "z", {0}), {kLastLevel, {{"a", "z", 11 * kBuffer}}}}, Goal::settle),
            "nothing");
  EXPECT_EQ(chosen({flushed(), flushed("b", "y"), {0, {{"a", "z", kBuffer / 8}}}}, Goal::settle),
            "move 0-3 to 6");
}

TEST(Policy, CollapsesARangeOfRemovals) {
  // The front of a queue: 5,000 removals over a file of 13,000 entries.
  const TableRun queue = {kLastLevel, {{"a", "g", 13 * kBuffer / 10}, {"h", "x", 40 * kBuffer}}};
  EXPECT_EQ(chosen({{0, {{"a", "z", kBuffer, 5'000}}, {0}}, queue}), "move 0 to 6");
  // The same number over everything waits.
  EXPECT_EQ(chosen({{0, {{"a", "z", kBuffer, 5'000}}, {0, 1}}, queue}), "nothing");
  // A few among many puts wait.
  EXPECT_EQ(chosen({{0, {{"a", "z", kBuffer, 2'000}}, {0}}, {kLastLevel, {{"a", "z", kBuffer / 2}}}}),
            "nothing");
}

TEST(Policy, DrainsStepByStep) {
  const TableRun drained = {kDrainLevel, {{"c", "t"}}};
  EXPECT_EQ(chosen({drained, kLarge}), "merge 0 to 7: files 0 below j");
  EXPECT_EQ(chosen({{kDrainLevel, {{"k", "t", kBuffer, 0, true}}}, kLarge}), "merge 0 to 7: files 1 below r");
  // Between two files: with the next one. Behind the last one: alone.
  EXPECT_EQ(chosen({{kDrainLevel, {{"i", "t", kBuffer, 0, true}}}, kLarge}), "merge 0 to 7: files 1 below r");
  EXPECT_EQ(chosen({{kDrainLevel, {{"y", "z", kBuffer, 0, true}}}, kLarge}), "merge 0 to 7: files 3-3");
  // All drained runs take part, from the least key of any.
  EXPECT_EQ(chosen({flushed(), {kDrainLevel, {{"k", "z"}}}, {kDrainLevel, {{"d", "e"}}}, kLarge}),
            "merge 1-3 to 7: files 0 below j");
  // Small files are taken along with their neighbours.
  EXPECT_EQ(chosen({{kDrainLevel, {{"b", "t"}}},
                    {kLastLevel, {{"a", "c", 1000}, {"d", "e", 1000}, {"f", "g", 4 * kBuffer}, {"h", "z"}}}}),
            "merge 0 to 7: files 0-3 below h");
  // A drain goes on whatever is asked; only very many runs come first.
  EXPECT_EQ(chosen({drained, kLarge}, Goal::compact), "merge 0 to 7: files 0 below j");
  std::vector<TableRun> runs(11, flushed());
  runs.insert(runs.end(), {drained, kLarge});
  EXPECT_EQ(chosen(runs), "merge 11 to 7: files 0 below j");
  runs.insert(runs.begin(), flushed());
  EXPECT_EQ(chosen(runs), "merge 0-12 to 1");
}

TEST(Policy, AStepTakesAFileForEachPart) {
  const TableRun drained = {kDrainLevel, {{"c", "d"}, {"k", "l"}, {"s", "t"}}};
  EXPECT_EQ(chosen({drained, kLarge}, Goal::keep_up, 2), "merge 0 to 7: files 0-2 below r, cut at j");
  EXPECT_EQ(chosen({drained, kLarge}, Goal::keep_up, 3), "merge 0 to 7: files 0-3, cut at j r");
  EXPECT_EQ(chosen({drained, kLarge}, Goal::compact, 8), "merge 0 to 7: files 0-3, cut at j r");
  // Not one where the drain has perhaps no key.
  EXPECT_EQ(chosen({{kDrainLevel, {{"c", "t"}}}, kLarge}, Goal::keep_up, 3), "merge 0 to 7: files 0 below j");
  EXPECT_EQ(chosen({{kDrainLevel, {{"c", "l"}}}, kLarge}, Goal::keep_up, 3),
            "merge 0 to 7: files 0-2 below r, cut at j");
  // Small files count as one with their neighbours.
  const TableRun small = {
      kLastLevel,
      {{"a", "c", 1000}, {"d", "e", 4 * kBuffer}, {"f", "g", 1000}, {"h", "i", 4 * kBuffer}, {"j", "z"}}};
  EXPECT_EQ(chosen({{kDrainLevel, {{"b", "t"}, {"u", "v"}}}, small}, Goal::keep_up, 2),
            "merge 0 to 7: files 0-2 below f");
  EXPECT_EQ(chosen({{kDrainLevel, {{"b", "g"}, {"u", "v"}}}, small}, Goal::keep_up, 2),
            "merge 0 to 7: files 0-4 below j, cut at f");
  // A part ends, as a step does, where a file can be moved.
  EXPECT_EQ(chosen({{kDrainLevel, {{"c", "d"}, {"hh", "i"}, {"k", "l"}}}, kLarge}, Goal::keep_up, 3),
            "merge 0 to 7: files 0 below hh");
  EXPECT_EQ(
      chosen({{kDrainLevel, {{"c", "d"}, {"k", "l"}, {"pp", "q"}, {"s", "t"}}}, kLarge}, Goal::keep_up, 3),
      "merge 0 to 7: files 0-2 below pp, cut at j");
}

TEST(Policy, ACompactionIsDividedBehindTheLastLevel) {
  std::vector<TableFile> files;
  for (const char* key : {"a", "b", "c", "d", "e", "f", "g", "h"})
    files.push_back({key, key, 4 * kBuffer, 0, false, false});
  const TableRun drained = {kDrainLevel, files};
  const TableRun newer = {kDrainLevel, {{"a", "h"}}};
  EXPECT_EQ(chosen({newer, drained}, Goal::compact), "merge 0-2 to 7: files 0-0");
  EXPECT_EQ(chosen({newer, drained}, Goal::compact, 2), "merge 0-2 to 7: files 0-0 below c, cut at b");
  EXPECT_EQ(chosen({newer, drained}, Goal::compact, 3), "merge 0-2 to 7: files 0-0 below d, cut at b c");
  EXPECT_EQ(chosen({newer, drained}, Goal::compact, 20), "merge 0-2 to 7: files 0-0, cut at b c d e f g h");
  // What fits into one file stays one.
  EXPECT_EQ(chosen({{kDrainLevel, {{"a", "c"}, {"d", "z"}}}}, Goal::compact, 4), "merge 0 to 7: files 0-0");
}

TEST(Policy, AMergeOfTiersIsDividedByItsBytes) {
  std::vector<TableRun> runs(4, {0, {{"a", "c"}, {"d", "e"}, {"f", "g"}, {"h", "z"}}, {0, 1, 2}});
  runs.push_back(kLarge);
  EXPECT_EQ(chosen(runs), "merge 0-4 to 1");
  EXPECT_EQ(chosen(runs, Goal::keep_up, 2), "merge 0-4 to 1, cut at f");
  EXPECT_EQ(chosen(runs, Goal::keep_up, 4), "merge 0-4 to 1, cut at d f h");
  // Not where a part would be less than a file.
  for (size_t run = 0; run < 4; ++run) {
    for (TableFile& file : runs[run].files) file.bytes = kBuffer / 32;
  }
  EXPECT_EQ(chosen(runs, Goal::keep_up, 4), "merge 0-4 to 1");
}

TEST(Policy, MovesWholeFilesOfADrain) {
  const TableRun drained = {kDrainLevel, {{"a", "aa"}, {"hh", "i"}, {"s", "t"}, {"y", "z"}}};
  EXPECT_EQ(chosen({drained, kLarge}), "move 0 to 7: files 0-2");
  // A merge ends where the next file can be moved.
  EXPECT_EQ(chosen({{kDrainLevel, {{"c", "d"}, {"hh", "i"}, {"y", "z"}}}, kLarge}),
            "merge 0 to 7: files 0 below hh");
  // It takes only files that end before that.
  EXPECT_EQ(chosen({{kDrainLevel, {{"c", "d"}, {"hh", "i"}}},
                    {kLastLevel, {{"b", "h", 1000}, {"j", "p", 1000}, {"q", "z", 4 * kBuffer}}}}),
            "merge 0 to 7: files 0 below hh");
  // Not what another drained run overlaps.
  EXPECT_EQ(chosen({{kDrainLevel, {{"y", "z"}}}, {kDrainLevel, {{"x1", "z1"}}}, kLarge}),
            "merge 0-2 to 7: files 3-3");
}

TEST(Policy, CompactionTakesWhatCanBeMadeBetter) {
  const auto begun = [](const std::vector<TableRun>& runs) {
    const Shape shape = shape_of_table(runs);
    return words(shape, begin_compaction(shape, kLimits));
  };
  EXPECT_EQ(begun({}), "nothing");
  EXPECT_EQ(begun({kLarge}), "nothing");
  EXPECT_EQ(begun({flushed(), kLarge}), "move 0-2 to 6");
  EXPECT_EQ(begun({{kLastLevel, {{"a", "z", kBuffer, 1}}}}), "move 0 to 6");
  EXPECT_EQ(begun({{kLastLevel, {{"a", "z", kBuffer, 0, true}}}}), "move 0 to 6");
  EXPECT_EQ(begun({{kLastLevel, {{"a", "z", kBuffer, 0, false, false}}}}), "move 0 to 6");
  // What fits into one file becomes one file.
  EXPECT_EQ(begun({{kLastLevel, {{"a", "c"}, {"d", "z"}}}}), "move 0 to 6");
  EXPECT_EQ(chosen({{kDrainLevel, {{"a", "c"}, {"d", "z"}}}}, Goal::compact), "merge 0 to 7: files 0-0");
  // Good files come through as they are, others are rewritten up to the next good one.
  const std::vector<TableFile> files = {
      {"a", "c", 4 * kBuffer}, {"d", "e", 4 * kBuffer, 0, false, false}, {"f", "g"}};
  EXPECT_EQ(chosen({{kDrainLevel, files}}, Goal::compact), "move 0 to 7: files 0");
  EXPECT_EQ(chosen({{kDrainLevel, {files[1], files[2], files[0]}}}, Goal::compact),
            "merge 0 to 7: files 0-0 below f");
}

TEST(Policy, CompactionOfARangeTakesWhatOverlapsIt) {
  const auto begun = [](const std::vector<TableRun>& runs, const KeySpan& span) {
    const Shape shape = shape_of_table(runs);
    const Choice choice = begin_compaction(shape, kLimits, span);
    std::string text = words(shape, choice);
    if (choice.file_first < choice.file_end)
      text += ", files " + std::to_string(choice.file_first) + "-" + std::to_string(choice.file_end);
    return text;
  };
  // Nothing above, and nothing to be gained where it asks.
  EXPECT_EQ(begun({}, {.from = "a", .to = "c"}), "nothing");
  EXPECT_EQ(begun({kLarge}, {.from = "a", .to = "z"}), "nothing");
  EXPECT_EQ(begun({flushed("a", "c"), kLarge}, {.from = "d", .to = "e"}), "nothing");
  EXPECT_EQ(begun({flushed("d", "e"), kLarge}, {.from = "a", .to = "d"}), "nothing");
  EXPECT_EQ(begun({flushed("d", "e"), kLarge}, {.from = "f"}), "nothing");
  // Files of the last level go whole, those that overlap alone.
  EXPECT_EQ(begun({flushed("d", "e"), kLarge}, {.from = "a", .to = "dd"}),
            "move 0-2 to 6 from a below dd, files 0-1");
  EXPECT_EQ(begun({flushed(), kLarge}, {.from = "i", .to = "j"}), "move 0-2 to 6 from i below j");
  EXPECT_EQ(begun({flushed(), kLarge}, {.from = "p"}), "move 0-2 to 6 from p, files 1-3");
  EXPECT_EQ(begun({flushed(), kLarge}, {.to = "k"}), "move 0-2 to 6 below k, files 0-2");
  EXPECT_EQ(begun({flushed()}, {.from = "b", .to = "c"}), "move 0 to 6 from b below c");
  // Garbage in the last level itself, in the range and beside it.
  const TableRun last = {kLastLevel, {{"b", "h"}, {"j", "p", kBuffer, 0, false, false}, {"r", "x"}}};
  EXPECT_EQ(begun({last}, {.from = "k", .to = "l"}), "move 0 to 6 from k below l, files 1-2");
  EXPECT_EQ(begun({last}, {.from = "q"}), "nothing");
  // A step does not go on to files that nothing is drained into.
  const TableRun drained = {kDrainLevel, {{"c", "e", kBuffer, 1}}};
  const std::vector<TableRun> runs = {drained, {kLastLevel, {{"f", "h"}, {"j", "p"}}}};
  EXPECT_EQ(chosen(runs, Goal::compact), "merge 0 to 7: files 0-0 below f");
  EXPECT_EQ(chosen(runs, Goal::compact_beside), "merge 0 to 7: files 0-0 below f");
  EXPECT_EQ(chosen(runs), "merge 0 to 7: files 0 below j");
  // Beside other work files are made as good as by a compaction that is waited for.
  EXPECT_EQ(chosen({{kDrainLevel, {{"a", "c", kBuffer, 0, false, false}}}}, Goal::compact_beside),
            "merge 0 to 7: files 0-0");
  EXPECT_EQ(chosen({flushed(), flushed(), flushed(), flushed(), kLarge}, Goal::compact_beside),
            "merge 0-4 to 1");
}

// What check_choice() is there for.
TEST(Policy, EveryBrokenChoiceIsNoticed) {
  const Shape shape = shape_of_table({{0, {{"c", "k"}}}, {1, {{"a", "z"}}}, kLarge});
  const auto check = [&](Choice choice) { return std::string(check_choice(shape, choice)); };
  using enum Choice::Kind;
  EXPECT_EQ(check({.kind = move, .first = 1, .end = 1, .level = 2}), "runs that are none");
  EXPECT_EQ(check({.kind = merge, .first = 1, .end = 1, .level = 2}), "runs that are none");
  EXPECT_EQ(check({.kind = merge, .first = 0, .end = 1, .level = 2}), "a merge past an older run");
  EXPECT_EQ(check({.kind = merge, .first = 0, .end = 2, .level = 0}), "a run that would rise");
  EXPECT_EQ(check({.kind = merge, .first = 0, .end = 1, .level = kLastLevel, .file_end = 3}),
            "a merge past an older run");
  EXPECT_EQ(check({.kind = merge, .first = 0, .end = 2, .level = kLastLevel, .file_end = 2}),
            "a merge without a file of the last level that overlaps");
  EXPECT_EQ(check({.kind = merge, .first = 0, .end = 2, .level = kLastLevel, .file_first = 1, .file_end = 3}),
            "a merge without a file of the last level that overlaps");
  EXPECT_EQ(check({.kind = merge, .first = 0, .end = 2, .level = kLastLevel, .file_end = 2, .to = "l"}),
            "a file merged in part");
  EXPECT_EQ(check({.kind = merge, .first = 0, .end = 2, .level = kLastLevel, .file_end = 2, .to = "q"}), "");
  EXPECT_EQ(check({.kind = move, .first = 0, .end = 1, .level = kDrainLevel}), "a move past an older run");
  EXPECT_EQ(check({.kind = move, .first = 0, .end = 1, .level = kLastLevel, .file_end = 1}),
            "a move below an older version");
  EXPECT_EQ(check({.kind = move, .first = 0, .end = 2, .level = kDrainLevel}), "");
  EXPECT_EQ(check({.kind = move, .end = 2, .level = kDrainLevel, .file_end = 1}), "files of a move");
  EXPECT_EQ(check({.kind = move, .end = 3, .level = kDrainLevel, .file_end = 4}), "files of a move");
  EXPECT_EQ(check({.kind = move, .end = 3, .level = kDrainLevel, .file_end = 3, .from = "d", .to = "c"}),
            "keys that are none");
  EXPECT_EQ(check({.kind = move, .first = 0, .end = 2, .level = kDrainLevel, .cuts = {"d"}}),
            "a move in parts");
  EXPECT_EQ(check({.kind = merge, .end = 2, .level = 2, .cuts = {"d", "c"}}), "parts that are none");
  EXPECT_EQ(check({.kind = merge, .end = 2, .level = 2, .cuts = {"d", "d"}}), "parts that are none");
  EXPECT_EQ(check({.kind = merge, .end = 2, .level = kLastLevel, .file_end = 2, .to = "q", .cuts = {"q"}}),
            "parts that are none");
  EXPECT_EQ(check({.kind = merge, .end = 2, .level = kLastLevel, .file_end = 2, .to = "q", .cuts = {"j"}}),
            "");
}

// Outcomes.

SortedRunInfo run_info(uint32_t level, const std::vector<std::pair<std::string, std::string>>& files,
                       uint64_t first_id) {
  SortedRunInfo info{.level = level, .pieces = {}};
  for (const auto& [smallest, largest] : files) {
    RunPiece& piece = info.pieces.emplace_back();
    piece.file.id = first_id++;
    piece.file.smallest = smallest;
    piece.file.largest = largest;
  }
  return info;
}

std::string words(const std::vector<SortedRunInfo>& runs) {
  std::string text;
  for (const SortedRunInfo& run : runs) {
    text += (text.empty() ? "" : " | ") + std::to_string(run.level) + ":";
    for (const RunPiece& piece : run.pieces)
      text += " " + std::to_string(piece.file.id) + (piece.from.empty() ? "" : " from " + piece.from) +
              (piece.to.empty() ? "" : " below " + piece.to);
  }
  return text;
}

TEST(Outcome, AMergeOfTiersStandsWhereTheyStood) {
  std::vector<SortedRunInfo> runs = {run_info(0, {{"a", "z"}}, 1), run_info(0, {{"a", "z"}}, 2),
                                     run_info(1, {{"a", "z"}}, 3), run_info(kLastLevel, {{"a", "z"}}, 4)};
  runs.insert(runs.begin(), run_info(0, {{"a", "z"}}, 9));  // flushed since
  const std::vector<SortedRunInfo> before = runs;
  const MergeOutput output{
      .files = {run_info(0, {{"a", "z"}}, 5).pieces[0].file}, .next = {}, .last_from = {}};
  apply_choice({.kind = Choice::Kind::merge, .first = 0, .end = 2, .level = 1}, 4, output, &runs);
  EXPECT_EQ(words(runs), "0: 9 | 1: 5 | 1: 3 | 7: 4");
  EXPECT_EQ(files_gone(before, runs), (std::vector<uint64_t>{1, 2}));
}

TEST(Outcome, AStepOfADrainCutsWhatItMerged) {
  std::vector<SortedRunInfo> runs = {run_info(kDrainLevel, {{"b", "d"}, {"e", "t"}}, 1),
                                     run_info(kDrainLevel, {{"m", "z"}}, 3),
                                     run_info(kLastLevel, {{"a", "c"}, {"g", "k"}, {"n", "y"}}, 4)};
  MergeOutput output{.files = {run_info(0, {{"b", "g"}}, 8).pieces[0].file}, .next = "i", .last_from = "h"};
  Choice choice{.kind = Choice::Kind::merge, .first = 0, .end = 2, .level = kLastLevel, .file_end = 2};
  choice.to = "n";
  apply_choice(choice, 3, output, &runs);
  EXPECT_EQ(words(runs), "6: 2 from i | 6: 3 | 7: 8 5 from h 6");
  // The next one comes to its end; the first run's next key is p.
  output = {.files = {run_info(0, {{"h", "k"}}, 9).pieces[0].file}, .next = "p", .last_from = {}};
  choice.file_first = 1;
  apply_choice(choice, 3, output, &runs);
  EXPECT_EQ(words(runs), "6: 2 from p | 6: 3 from p | 7: 8 9 6");
  // And the last one, of which nothing stays.
  choice.file_first = 2;
  choice.file_end = 3;
  apply_choice(choice, 3, {}, &runs);
  EXPECT_EQ(words(runs), "7: 8 9");
}

TEST(Outcome, MovesKeepTheOrderOfKeys) {
  std::vector<SortedRunInfo> runs = {run_info(0, {{"d", "e"}, {"x", "y"}}, 1)};
  const Choice down{
      .kind = Choice::Kind::move, .end = 1, .level = kLastLevel, .file_first = 1, .file_end = 2};
  apply_choice(down, 1, {}, &runs);
  EXPECT_EQ(words(runs), "0: 1 | 7: 2");
  apply_choice({.kind = Choice::Kind::move, .end = 1, .level = kLastLevel, .file_end = 1}, 2, {}, &runs);
  EXPECT_EQ(words(runs), "7: 1 2");
  apply_choice({.kind = Choice::Kind::move, .end = 1, .level = kDrainLevel, .file_end = 2}, 1, {}, &runs);
  EXPECT_EQ(words(runs), "6: 1 2");
}

TEST(Outcome, WhatARangeHoldsIsTakenOutOfItsRuns) {
  std::vector<SortedRunInfo> runs = {run_info(0, {{"a", "c"}, {"e", "k"}, {"m", "z"}}, 1),
                                     run_info(1, {{"g", "h"}}, 4), run_info(2, {{"x", "y"}}, 5),
                                     run_info(kDrainLevel, {{"p", "q"}}, 6),
                                     run_info(kLastLevel, {{"a", "e"}, {"f", "o"}, {"r", "z"}}, 7)};
  runs.insert(runs.begin(), run_info(0, {{"a", "z"}}, 10));  // flushed since
  Choice choice{.kind = Choice::Kind::move, .end = 5, .level = kDrainLevel, .file_first = 1, .file_end = 2};
  choice.from = "f";
  choice.to = "n";
  apply_choice(choice, 5, {}, &runs);
  EXPECT_EQ(words(runs),
            "0: 10 | 0: 1 2 below f 3 from n | 2: 5 | "
            "6: 2 from f 3 below n | 6: 4 | 6: 6 | 6: 8 | 7: 7 9");
  // Again, where pieces are cut already; bounds that no piece crosses cut none.
  choice.end = 2;
  choice.file_first = choice.file_end = 0;
  choice.from = "b";
  choice.to = "m";
  std::vector<SortedRunInfo> more(runs.begin() + 1, runs.begin() + 3);
  apply_choice(choice, 2, {}, &more);
  EXPECT_EQ(words(more), "0: 1 below b 3 from n | 2: 5 | 6: 1 from b 2 below f");
  choice.from = "";
  choice.to = "c";
  apply_choice(choice, 3, {}, &more);
  EXPECT_EQ(words(more), "0: 3 from n | 2: 5 | 6: 1 below b | 6: 1 from b 2 below f");
  // A file of two pieces goes once, with the second one.
  const std::vector<SortedRunInfo> both = more;
  more.erase(more.begin() + 2);
  EXPECT_EQ(files_gone(both, more), std::vector<uint64_t>());
  more.pop_back();
  EXPECT_EQ(files_gone(both, more), (std::vector<uint64_t>{1, 2}));
}

// Scans.

/// A last level of three files of four buffers each, into which so many seeks looked beside tiers.
TableRun scanned(uint64_t first, uint64_t second, uint64_t third) {
  const auto file = [](const char* from, const char* to, uint64_t seeks) {
    return TableFile{.smallest = from, .largest = to, .bytes = 4 * kBuffer, .extra_seeks = seeks};
  };
  return {kLastLevel, {file("b", "h", first), file("j", "p", second), file("r", "x", third)}};
}

TEST(Policy, ARangeThatIsScannedBecomesOneRun) {
  // A buffer of tiers over three files: a merge of one reads 4 1/3 buffers, and is 4 more and twice that.
  constexpr uint64_t kPays = (4 + 2 * 4) * kBuffer / 1024 + 2 * kBuffer / 1024;
  const TableRun tier = flushed("a", "z");
  EXPECT_EQ(chosen({tier, scanned(0, 0, 0)}), "nothing");
  EXPECT_EQ(chosen({tier, scanned(0, kPays * 8 / 10, 0)}), "nothing");
  for (const Goal goal : {Goal::keep_up, Goal::settle}) {
    EXPECT_EQ(chosen({tier, scanned(0, kPays, 0)}, goal), "move 0 to 6 from j below r");
    EXPECT_EQ(chosen({tier, scanned(kPays, 0, 0)}, goal), "move 0 to 6 below j");
    EXPECT_EQ(chosen({tier, scanned(0, 0, kPays)}, goal), "move 0 to 6 from r");
    EXPECT_EQ(chosen({tier, scanned(kPays, kPays, 0)}, goal), "move 0 to 6 below r");
    EXPECT_EQ(chosen({tier, scanned(kPays, 0, kPays)}, goal), "move 0 to 6 below j");
    EXPECT_EQ(chosen({tier, scanned(kPays, kPays, kPays)}, goal), "move 0 to 6");
  }
  // The fixed cost is paid by neighbours together.
  const uint64_t together = kPays - 3 * kBuffer / 1024;
  EXPECT_EQ(chosen({tier, scanned(0, together, 0)}), "nothing");
  EXPECT_EQ(chosen({tier, scanned(0, together, together)}), "move 0 to 6 from j");
  // Where no tier has anything there is nothing to be gained, whatever was counted.
  EXPECT_EQ(chosen({flushed("b", "c", {0}), scanned(0, 100 * kPays, 0)}), "nothing");
  EXPECT_EQ(chosen({scanned(0, 100 * kPays, 0)}), "nothing");
  EXPECT_EQ(chosen({flushed("a", "h", {0}), scanned(100 * kPays, 0, 0)}), "move 0 to 6 below j");
  // Keys between two files go with the first of them.
  EXPECT_EQ(chosen({flushed("i", "ii", {1}), scanned(100 * kPays, 0, 0)}), "move 0 to 7: files 0");
  EXPECT_EQ(chosen({{0, {{"i", "ii", kBuffer, 1}}, {1}}, scanned(100 * kPays, 0, 0)}), "move 0 to 6 below j");
  // More runs are more to be read.
  EXPECT_EQ(chosen({tier, tier, tier, scanned(0, kPays, 0)}), "nothing");
  // A drain that is under way goes on; it may do that, too.
  EXPECT_EQ(chosen({tier, {kDrainLevel, {{"c", "d"}}}, scanned(0, kPays, 0)}),
            "merge 1 to 7: files 0 below j");
  // Without a last level all tiers become one.
  TableRun oldest = tier;
  oldest.files[0].removals = 1;  // else it moves
  oldest.files[0].extra_seeks = 8 * kBuffer / 1024;
  EXPECT_EQ(chosen({tier, oldest}), "move 0-2 to 6");
  oldest.files[0].extra_seeks /= 2;
  EXPECT_EQ(chosen({tier, oldest}), "nothing");
}

// The age of garbage.

TEST(Policy, WhatIsOverdueGoes) {
  TableRun tier = flushed("d", "e", {0});
  EXPECT_EQ(chosen({flushed(), tier, kLarge}), "nothing");
  tier.files[0].overdue = true;
  EXPECT_EQ(chosen({flushed(), tier, kLarge}), "move 0-2 to 6");
  EXPECT_EQ(chosen({flushed(), tier, {kDrainLevel, {{"k", "m"}}}, kLarge}), "merge 2 to 7: files 1 below r");
  // Versions that were kept for readers.
  TableRun last = kLarge;
  last.files[1].plain = false;
  EXPECT_EQ(chosen({last}), "nothing");
  last.files[1].overdue = true;
  EXPECT_EQ(chosen({last}), "merge 0-0 to 7: files 1");
  EXPECT_EQ(chosen({flushed(), last}), "merge 1-1 to 7: files 1");
}

// Range removals.

TEST(Policy, RangeRemovalsGoIntoTheLastLevelByAMergeAlone) {
  const TableFile ranges = {.smallest = "y", .largest = "z", .ranges = true};
  EXPECT_EQ(chosen({{0, {ranges}}, kLarge}), "nothing");
  EXPECT_EQ(chosen({{0, {ranges}}}, Goal::settle), "nothing");
  // What they are over is worth a drain: a third of the last level, anything when nobody writes.
  const TableRun over = {
      0, {{"b", "p", kBuffer, 0, false, false, Expired::none, true}}, {0, 1}, 30 * kBuffer};
  EXPECT_EQ(chosen({over, kLarge}), "nothing");
  EXPECT_EQ(chosen({over, kLarge}, Goal::settle), "move 0 to 6");
  TableRun more = over;
  more.covered = 60 * kBuffer;
  EXPECT_EQ(chosen({more, kLarge}), "move 0 to 6");
  // A last level that has them is not compact.
  const Shape shape =
      shape_of_table({{kLastLevel, {{"b", "p", 40 * kBuffer, 0, false, true, Expired::none, true}}}});
  EXPECT_EQ(begin_compaction(shape, kLimits).kind, Choice::Kind::move);
}

/// "1.0 2.1": run and file of each.
std::string covered(const std::vector<TableRun>& runs, const std::vector<RangeMap>& maps,
                    std::vector<uint64_t> readers = {}) {
  std::vector<const RangeMap*> covers;
  for (const RangeMap& map : maps) covers.push_back(&map);
  std::string text;
  for (const FileAt& at : covered_files(shape_of_table(runs), covers, readers)) {
    text += (text.empty() ? "" : " ") + std::to_string(at.run) + "." + std::to_string(at.file);
  }
  return text;
}

TEST(Policy, FilesThatNewerRangeRemovalsCoverWhollyGo) {
  const auto ranges = [](std::vector<std::pair<const char*, const char*>> bounds,
                         std::vector<uint64_t> lsns) {
    RangeMap map;
    for (const auto& [from, to] : bounds) map.append(from, to, lsns);
    return map;
  };
  const RangeMap none;
  const TableRun over = {0, {{"a", "z"}}, {0, 1, 2}};
  EXPECT_EQ(covered({over, kLarge}, {ranges({{"b", "i"}}, {1}), none}), "1.0");
  EXPECT_EQ(covered({over, kLarge}, {ranges({{"b", "q"}, {"s", "z"}}, {1}), none}), "1.0 1.1");
  EXPECT_EQ(covered({over, kLarge}, {ranges({{"a", "zz"}}, {1}), none}), "1.0 1.1 1.2");
  // The last key is not in a range that ends there; the range's own run is newer than what it hides.
  EXPECT_EQ(covered({over, kLarge}, {ranges({{"b", "h"}, {"j", "p"}}, {1}), none}), "");
  EXPECT_EQ(covered({over, kLarge}, {none, ranges({{"a", "zz"}}, {1})}), "");
  // Neighbours of two runs cover together; what a reader does not see covers nothing.
  EXPECT_EQ(covered({over, over, kLarge}, {ranges({{"i", "m"}}, {1}), ranges({{"m", "q"}}, {1}), none}),
            "2.1");
  EXPECT_EQ(covered({over, kLarge}, {ranges({{"a", "zz"}}, {50}), none}, {50, 90}), "");
  EXPECT_EQ(covered({over, kLarge}, {ranges({{"a", "zz"}}, {49}), none}, {50, 90}), "1.0 1.1 1.2");
  EXPECT_EQ(covered({over, kLarge}, {ranges({{"a", "zz"}}, {80, 40}), none}, {50, 90}), "1.0 1.1 1.2");
}

TEST(Outcome, FilesThatGoLeaveTheRest) {
  std::vector<SortedRunInfo> runs = {run_info(0, {{"a", "b"}}, 1), run_info(2, {{"a", "b"}}, 2),
                                     run_info(kLastLevel, {{"a", "c"}, {"d", "f"}, {"g", "i"}}, 3)};
  const std::vector<FileAt> files = {{0, 0}, {1, 0}, {1, 2}};
  apply_drop(files, 2, &runs);  // one was flushed meanwhile
  EXPECT_EQ(words(runs), "0: 1 | 7: 4");
}

// Shapes.

class NoProbe final : public RunProbe {
 public:
  double share(size_t, size_t) const override { return 0.25; }
  bool first_key_from(size_t, std::string_view key, std::string* found) const override {
    *found = key == "h" ? "hh" : key < "q" ? "qq" : "zz";
    return true;
  }
  uint64_t covered_bytes(size_t, size_t) const override { return 77; }
};

TEST(Shape, SaysWhatAPieceStillAnswersFor) {
  SortedRunInfo upper = run_info(0, {{"b", "z"}}, 1);
  upper.pieces[0].from = "d";
  upper.pieces[0].file.size = 400;
  SortedRunInfo last = run_info(kLastLevel, {{"c", "e"}, {"g", "k"}, {"q", "r"}, {"s", "t"}}, 4);
  last.pieces[0].file.plain = true;
  last.pieces[1].file.plain = true;
  const std::vector<const SortedRunInfo*> runs = {&upper, &last};
  const Shape shape = shape_of(runs, std::vector<uint32_t>{'d', 'h'}, NoProbe(), [] { return uint64_t{0}; });
  EXPECT_EQ(shape.runs[0].smallest(), "d");
  EXPECT_EQ(shape.runs[0].files[0].bytes, 100u);
  EXPECT_EQ(shape.runs[0].touched, (std::vector<uint32_t>{0, 2}));
  EXPECT_TRUE(shape.runs[1].files[0].plain);   // nothing is left of a dropped keyspace
  EXPECT_FALSE(shape.runs[1].files[1].plain);  // holds a dropped keyspace
  EXPECT_EQ(shape.place("a"), 0u);
  EXPECT_EQ(shape.place("f"), 1u);
  EXPECT_EQ(shape.place("k"), 1u);
  EXPECT_EQ(shape.place("u"), 4u);
}

TEST(Policy, RewritesWhatHasExpiredInItsPlace) {
  const auto last = [](Expired a, Expired b, Expired c) {
    return TableRun{kLastLevel,
                    {{.smallest = "b", .largest = "h", .expired = a},
                     {.smallest = "j", .largest = "p", .expired = b},
                     {.smallest = "r", .largest = "x", .expired = c}}};
  };
  using enum Expired;
  EXPECT_EQ(chosen({last(some, quarter, some)}), "nothing");
  EXPECT_EQ(chosen({last(some, quarter, some)}, Goal::settle), "merge 0-0 to 7: files 1");
  EXPECT_EQ(chosen({last(none, half, half)}), "merge 0-0 to 7: files 1-3");
  EXPECT_EQ(chosen({last(half, none, half)}), "merge 0-0 to 7: files 0");
  // Beside a tier above it, and of a tier.
  EXPECT_EQ(chosen({flushed("d", "e", {0}), kLarge}), "nothing");
  EXPECT_EQ(chosen({flushed("d", "e", {0}), last(none, none, half)}), "merge 1-1 to 7: files 2");
  const TableRun tier = {0, {{.smallest = "d", .largest = "e", .expired = half}}, {0}};
  EXPECT_EQ(chosen({tier, kLarge}), "merge 0 to 0");
  // What has expired at all is worth it when asked for.
  const Shape shape = shape_of_table({{kLastLevel, {{.smallest = "b", .largest = "h", .expired = some}}}});
  EXPECT_EQ(words(shape, begin_compaction(shape, kLimits)), "move 0 to 6");
}

TEST(Policy, DrainsForTheLargeValuesThatItMayHide) {
  Shape shape = shape_of_table({flushed("d", "e", {0}), {kLastLevel, {{"b", "h"}}}});
  FileShape& upper = shape.runs[0].files[0];
  FileShape& last = shape.runs[1].files[0];
  last.bytes += last.value_bytes = 100 * kBuffer;
  upper.bytes += upper.value_bytes = 13 * kBuffer;
  EXPECT_EQ(words(shape, choose(shape, Goal::keep_up, kLimits)), "move 0 to 6");
  upper.bytes = upper.value_bytes = 11 * kBuffer;
  EXPECT_EQ(words(shape, choose(shape, Goal::keep_up, kLimits)), "nothing");
  // Of what is left of a file the entries are estimated.
  last.entries = 0;
  upper.removals = 1;
  EXPECT_EQ(words(shape, choose(shape, Goal::keep_up, kLimits)), "move 0 to 6");
}

TEST(Policy, NamesARewriteThatIsWrong) {
  const Shape shape = shape_of_table({flushed(), kLarge});
  Choice choice{
      .kind = Choice::Kind::merge, .first = 1, .end = 1, .level = kLastLevel, .file_first = 0, .file_end = 2};
  EXPECT_EQ(check_choice(shape, choice), "");
  choice.file_end = 4;
  EXPECT_NE(check_choice(shape, choice), "");
  choice.file_end = 0;
  EXPECT_NE(check_choice(shape, choice), "");
  choice.file_end = 1;
  choice.first = choice.end = 0;
  EXPECT_NE(check_choice(shape, choice), "");
}

TEST(Shape, TellsHowMuchHasExpired) {
  SortedRunInfo last = run_info(kLastLevel, {{"c", "e"}, {"g", "k"}}, 2);
  last.pieces[1].file.expiry = {.expiring = 9, .first_us = 10, .quarter_us = 20, .half_us = 30};
  const std::vector<const SortedRunInfo*> runs = {&last};
  for (const auto& [time, expired] : {std::pair{9u, Expired::none},
                                      {10u, Expired::some},
                                      {19u, Expired::some},
                                      {20u, Expired::quarter},
                                      {29u, Expired::quarter},
                                      {30u, Expired::half}}) {
    const Shape shape = shape_of(runs, {}, NoProbe(), [now = uint64_t{time}] { return now; });
    EXPECT_EQ(shape.runs[0].files[0].expired, Expired::none);
    EXPECT_EQ(shape.runs[0].files[1].expired, expired) << time;
  }
}

TEST(Shape, TellsWhatIsOverdue) {
  class Due final : public RunProbe {
   public:
    double share(size_t, size_t) const override { return 1; }
    bool first_key_from(size_t, std::string_view, std::string*) const override { return false; }
    uint64_t covered_bytes(size_t, size_t) const override { return 0; }
    uint64_t due_before() const override { return 100; }
    uint64_t extra_seeks(size_t, size_t piece) const override { return 7 + piece; }
  };
  SortedRunInfo upper = run_info(0, {{"a", "b"}, {"c", "d"}, {"e", "f"}}, 1);
  for (size_t i = 0; i < 3; ++i) upper.pieces[i].file.since_us = i == 0 ? 0 : 98 + i;
  SortedRunInfo last = run_info(kLastLevel, {{"a", "b"}, {"c", "d"}, {"e", "f"}, {"g", "h"}}, 4);
  for (RunPiece& piece : last.pieces) piece.file.plain = true;
  last.pieces[1].file.plain = false;
  last.pieces[2].file.plain = false;
  last.pieces[2].file.since_us = 100;
  last.pieces[3].file.expiry = {.expiring = 1, .first_us = 99};
  const std::vector<const SortedRunInfo*> runs = {&upper, &last};
  const Shape shape = shape_of(runs, {}, Due(), [] { return uint64_t{0}; });
  const auto overdue = [&](size_t run, size_t file) { return shape.runs[run].files[file].overdue; };
  EXPECT_TRUE(overdue(0, 0) && overdue(0, 1) && !overdue(0, 2));
  EXPECT_TRUE(!overdue(1, 0) && overdue(1, 1) && !overdue(1, 2) && overdue(1, 3));
  EXPECT_EQ(shape.runs[0].files[1].extra_seeks, 0u);  // of the oldest run alone
  EXPECT_EQ(shape.runs[1].files[1].extra_seeks, 8u);
  const Shape off = shape_of(runs, {}, NoProbe(), [] { return uint64_t{0}; });
  EXPECT_FALSE(off.runs[0].files[0].overdue || off.runs[1].files[1].overdue || off.runs[1].files[3].overdue);
}

// A file that is compressed otherwise than the last level is to be does not go there as it is, and compact()
// rewrites those that are there.
TEST(Policy, AnotherCodecIsRewrittenOnTheWayDown) {
  const auto shape = [](uint32_t level, bool other_codec) {
    return shape_of_table({{level, {{.smallest = "a", .largest = "c", .other_codec = other_codec}}}});
  };
  EXPECT_EQ(choose(shape(0, false), Goal::keep_up, kLimits).kind, Choice::Kind::move);
  EXPECT_EQ(choose(shape(0, true), Goal::keep_up, kLimits).kind, Choice::Kind::nothing);
  EXPECT_EQ(choose(shape(kDrainLevel, false), Goal::keep_up, kLimits).kind, Choice::Kind::move);
  const Choice choice = choose(shape(kDrainLevel, true), Goal::keep_up, kLimits);
  EXPECT_EQ(choice.kind, Choice::Kind::merge);
  EXPECT_EQ(choice.level, kLastLevel);
  EXPECT_EQ(begin_compaction(shape(kLastLevel, false), kLimits).kind, Choice::Kind::nothing);
  EXPECT_EQ(begin_compaction(shape(kLastLevel, true), kLimits).kind, Choice::Kind::move);
}

}  // namespace
}  // namespace lightning
