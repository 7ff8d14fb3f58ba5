#include "compaction/outcome.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <unordered_set>

#include "base/check.h"
#include "compaction/shape.h"

namespace lightning {

namespace {

using Pieces = std::vector<RunPiece>;

/// Of the pieces [first, end), only what is at or above `key` stays. How many of them do.
size_t keep_from(std::string_view key, size_t first, size_t end, Pieces* pieces) {
  const auto begin = pieces->begin() + static_cast<ptrdiff_t>(first);
  const auto behind =
      std::partition_point(begin, pieces->begin() + static_cast<ptrdiff_t>(end),
                           [key](const RunPiece& piece) { return range_of(piece).ends_before(key); });
  const auto gone = static_cast<size_t>(behind - begin);
  pieces->erase(begin, behind);
  if (gone < end - first) {
    RunPiece& piece = (*pieces)[first];
    if (range_of(piece).smallest < key) piece.from = key;
  }
  return end - first - gone;
}

void insert_in_order(Pieces added, Pieces* pieces) {
  for (RunPiece& piece : added) {
    const auto at = std::partition_point(pieces->begin(), pieces->end(), [&](const RunPiece& other) {
      return range_of(other).smallest < range_of(piece).smallest;
    });
    pieces->insert(at, std::move(piece));
  }
}

/// The run of the last level, which is made when there is none.
SortedRunInfo& last_of(std::vector<SortedRunInfo>* runs) {
  if (runs->empty() || runs->back().level != kLastLevel) runs->push_back({.level = kLastLevel, .pieces = {}});
  return runs->back();
}

Pieces pieces_of(const std::vector<RunFileInfo>& files) {
  Pieces pieces;
  for (const RunFileInfo& file : files) pieces.push_back({.file = file, .from = {}, .to = {}});
  return pieces;
}

/// Takes what the pieces hold in the span out of them; pieces that cross a bound are cut there.
Pieces take_span(const KeySpan& span, Pieces* pieces) {
  Pieces taken;
  Pieces left;
  for (RunPiece& piece : *pieces) {
    const KeyRange range = range_of(piece);
    if (!span.meets(range)) {
      left.push_back(std::move(piece));
      continue;
    }
    const bool before = range.smallest < span.from;
    const bool behind = !span.to.empty() && !range.ends_before(span.to);
    RunPiece inside = piece;
    if (before) {
      inside.from = span.from;
      left.push_back(piece);
      left.back().to = span.from;
    }
    if (behind) {
      inside.to = span.to;
      left.push_back(std::move(piece));
      left.back().from = span.to;
    }
    taken.push_back(std::move(inside));
  }
  *pieces = std::move(left);
  return taken;
}

// What goes stands behind all that stays in tiers: newer runs alone are passed.
void move_to_drain(const Choice& choice, size_t first, size_t end, std::vector<SortedRunInfo>* runs) {
  const KeySpan span = {.from = choice.from, .to = choice.to};
  std::vector<SortedRunInfo> moved;
  size_t at = first;  // where they will stand
  for (size_t i = first; i < end; ++i) {
    SortedRunInfo& run = (*runs)[i];
    if (run.level == kLastLevel) {
      const auto begin = run.pieces.begin() + static_cast<ptrdiff_t>(choice.file_first);
      const auto behind = run.pieces.begin() + static_cast<ptrdiff_t>(choice.file_end);
      moved.push_back({.level = kDrainLevel, .pieces = {begin, behind}});
      run.pieces.erase(begin, behind);
    } else if (run.level == kDrainLevel) {
      moved.push_back({.level = kDrainLevel, .pieces = std::move(run.pieces)});
      run.pieces.clear();
    } else {
      moved.push_back({.level = kDrainLevel, .pieces = take_span(span, &run.pieces)});
      at = i + 1;
    }
  }
  runs->insert(runs->begin() + static_cast<ptrdiff_t>(at), std::make_move_iterator(moved.begin()),
               std::make_move_iterator(moved.end()));
}

void apply_move(const Choice& choice, size_t first, size_t end, std::vector<SortedRunInfo>* runs) {
  if (choice.level != kLastLevel) return move_to_drain(choice, first, end, runs);
  Pieces& from = (*runs)[first].pieces;
  const auto begin = from.begin() + static_cast<ptrdiff_t>(choice.file_first);
  const auto behind = from.begin() + static_cast<ptrdiff_t>(choice.file_end);
  Pieces moved(std::make_move_iterator(begin), std::make_move_iterator(behind));
  from.erase(begin, behind);
  insert_in_order(std::move(moved), &last_of(runs).pieces);
}

}  // namespace

void apply_choice(const Choice& choice, size_t runs_then, const MergeOutput& output,
                  std::vector<SortedRunInfo>* runs) {
  LIGHTNING_INVARIANT("I8", runs->size() >= runs_then);
  const size_t added = runs->size() - runs_then;
  const size_t first = choice.first + added;
  const size_t end = choice.end + added;
  if (choice.kind == Choice::Kind::move) {
    apply_move(choice, first, end, runs);
  } else if (choice.level != kLastLevel) {
    for (size_t i = first; i < end; ++i) (*runs)[i].pieces.clear();
    if (!output.files.empty()) {
      (*runs)[end - 1] = {.level = choice.level, .pieces = pieces_of(output.files)};
    }
  } else {
    for (size_t i = first; i < end; ++i) {
      Pieces& pieces = (*runs)[i].pieces;
      output.next.empty() ? pieces.clear() : void(keep_from(output.next, 0, pieces.size(), &pieces));
    }
    Pieces& last = last_of(runs).pieces;
    [[maybe_unused]] size_t left = 0;  // by an invariant
    if (!output.last_from.empty()) {
      left = keep_from(output.last_from, choice.file_first, choice.file_end, &last);
    } else {
      last.erase(last.begin() + static_cast<ptrdiff_t>(choice.file_first),
                 last.begin() + static_cast<ptrdiff_t>(choice.file_end));
    }
    LIGHTNING_INVARIANT("I8", left <= choice.file_end - choice.file_first);
    insert_in_order(pieces_of(output.files), &last);
  }
  std::erase_if(*runs, [](const SortedRunInfo& run) { return run.pieces.empty(); });
}

void apply_drop(std::span<const FileAt> files, size_t runs_then, std::vector<SortedRunInfo>* runs) {
  LIGHTNING_INVARIANT("I8", runs->size() >= runs_then);
  const size_t added = runs->size() - runs_then;
  for (size_t i = files.size(); i-- > 0;) {
    Pieces& pieces = (*runs)[files[i].run + added].pieces;
    pieces.erase(pieces.begin() + static_cast<ptrdiff_t>(files[i].file));
  }
  std::erase_if(*runs, [](const SortedRunInfo& run) { return run.pieces.empty(); });
}

std::vector<uint64_t> files_gone(const std::vector<SortedRunInfo>& before,
                                 const std::vector<SortedRunInfo>& after) {
  std::unordered_set<uint64_t> left;  // of two pieces of a file the first is enough
  for (const SortedRunInfo& run : after) {
    for (const RunPiece& piece : run.pieces) left.insert(piece.file.id);
  }
  std::vector<uint64_t> gone;
  for (const SortedRunInfo& run : before) {
    for (const RunPiece& piece : run.pieces) {
      if (left.insert(piece.file.id).second) gone.push_back(piece.file.id);
    }
  }
  return gone;
}

}  // namespace lightning
