#include "view/view.h"

#include <algorithm>

#include "log/scan.h"
#include "view/ingested_cursor.h"

namespace lightning {

Status MemSource::order_up_to(uint64_t lsn) const {
  lsn = std::min(lsn, end_lsn);
  if (lsn <= segment->base_lsn()) return {};
  const uint64_t position = lsn - segment->base_lsn();
  OrderIndex& order = table->order_index();
  if (order.ordered_position() >= position) return {};
  return order.catch_up(position, [this](uint64_t from, uint64_t to, std::vector<uint32_t>* names) {
    // Published records are complete: their shape was checked when they were written or recovered.
    for (uint64_t at = from; at < to;) {
      const char* record = segment->data() + at;
      const uint32_t length = record_length_of(record);
      if (record_kind_of(record) == RecordKind::commit) {
        for_each_entry(record, length, [&](uint64_t offset, const LogEntry& entry) {
          if (entry.kind == EntryKind::remove_range) return;
          names->push_back(static_cast<uint32_t>((at + offset) / kLogAlignment));
        });
      }
      at += length;
    }
  });
}

KeyRange range_of(const RunPiece& piece) {
  const RunFileInfo& file = piece.file;
  const bool cut = !piece.to.empty() && piece.to <= file.largest;
  return {.smallest = std::max<std::string_view>(file.smallest, piece.from),
          .largest = cut ? piece.to : file.largest,
          .largest_excluded = cut || file.largest_excluded,
          .clipped = !piece.from.empty() || !piece.to.empty()};
}

SortedRun::SortedRun(SortedRunInfo info, std::vector<std::shared_ptr<const RunFile>> files)
    : info_(std::move(info)), files_(std::move(files)) {
  for (const RunPiece& piece : info_.pieces) {
    ranges_.push_back(range_of(piece));
    bounded_ |= ranges_.back().clipped;
    ingested_at_ = std::max(ingested_at_, piece.ingested_at);
  }
  collect_removals();
}

// What each file answers for.
void SortedRun::collect_removals() {
  for (size_t file = 0; file < files_.size(); ++file) {
    const RangeMap& all = files_[file]->removals();
    const RunPiece& piece = info_.pieces[file];
    for (size_t i = all.find(piece.from); i < all.size(); ++i) {
      const std::string_view from = std::max<std::string_view>(all.from(i), piece.from);
      const std::string_view to =
          piece.to.empty() ? all.to(i) : std::min<std::string_view>(all.to(i), piece.to);
      if (from >= to) break;
      removals_.append(from, to, all.lsns(i));
    }
  }
}

bool SortedRun::answers(size_t file, std::string_view key) const {
  const RunPiece& piece = info_.pieces[file];
  return key >= piece.from && (piece.to.empty() || key < piece.to);
}

const std::shared_ptr<const RunFile>* SortedRun::search_file_of(std::string_view key) const {
  size_t file = 0;
  if (ranges_.size() > 1) {
    const auto found = std::partition_point(ranges_.begin(), ranges_.end(),
                                            [&](const KeyRange& range) { return range.ends_before(key); });
    if (found == ranges_.end()) return nullptr;
    file = static_cast<size_t>(found - ranges_.begin());
  }
  if (bounded_ && !answers(file, key)) return nullptr;
  return &files_[file];
}

const RunFile* SortedRun::only_file_with(std::string_view prefix) const {
  if (bounded_) return nullptr;
  const auto found = std::partition_point(ranges_.begin(), ranges_.end(),
                                          [&](const KeyRange& range) { return range.ends_before(prefix); });
  if (found == ranges_.end()) return nullptr;
  const auto behind = found + 1;
  if (behind != ranges_.end() && behind->smallest.starts_with(prefix)) return nullptr;
  return files_[static_cast<size_t>(found - ranges_.begin())].get();
}

std::unique_ptr<SourceCursor> SortedRun::cursor(uint64_t read_lsn) const {
  if (files_.size() == 1 && !bounded_) return file_cursor(0, read_lsn);
  return std::make_unique<DisjointCursor>(
      ranges_, [this, read_lsn](size_t file) { return file_cursor(file, read_lsn); });
}

std::unique_ptr<SourceCursor> SortedRun::file_cursor(size_t file, uint64_t read_lsn) const {
  std::unique_ptr<SourceCursor> cursor = files_[file]->cursor(read_lsn);
  const uint64_t ingested_at = info_.pieces[file].ingested_at;
  if (ingested_at == 0 || cursor == nullptr || (ingested_at < read_lsn && read_lsn != kReadAllLsn))
    return cursor;
  return std::make_unique<IngestedCursor>(std::move(cursor), ingested_at, read_lsn);
}

uint64_t View::ingested_at() const {
  uint64_t lsn = 0;
  for (const auto& run : runs) lsn = std::max(lsn, run->ingested_at());
  return lsn;
}

bool View::has_range_removals() const {
  const auto in_memory = [](const std::shared_ptr<const MemSource>& source) {
    return source != nullptr && !source->table->range_removals().empty();
  };
  return in_memory(active) || std::any_of(sealed.begin(), sealed.end(), in_memory) ||
         std::any_of(runs.begin(), runs.end(), [](const auto& run) { return !run->removals().empty(); });
}

Result<ViewCursors> View::cursors(uint64_t read_lsn) const {
  ViewCursors found;
  found.sources.reserve(1 + sealed.size() + runs.size());
  const bool covered = range_removals.load(std::memory_order_relaxed);
  const auto add = [&](std::unique_ptr<SourceCursor> cursor) {
    if (cursor == nullptr) return Status(StatusCode::out_of_memory, "a cursor");
    found.sources.push_back(std::move(cursor));
    return Status();
  };
  // A memtable's cursor knows what its own range removals hide in it.
  const auto add_memory = [&](const MemSource& source) -> Status {
    if (source.segment->base_lsn() >= read_lsn) return {};
    if (Status status = source.order_up_to(read_lsn); !status.ok()) return status;
    if (source.table->order_index().arrays()->count != 0) {
      if (Status status = add(source.table->cursor(read_lsn)); !status.ok()) return status;
    }
    if (covered && !source.table->range_removals().empty()) {
      found.covers.push_back(
          {.memory = &source.table->range_removals(), .run = nullptr, .first_hidden = found.sources.size()});
    }
    return {};
  };
  if (active != nullptr) {
    if (Status status = add_memory(*active); !status.ok()) return status;
  }
  for (const auto& source : sealed) {
    if (Status status = add_memory(*source); !status.ok()) return status;
  }
  for (const auto& run : runs) {
    if (Status status = add(run->cursor(read_lsn)); !status.ok()) return status;
    if (!run->removals().empty()) {
      found.covers.push_back(
          {.memory = nullptr, .run = &run->removals(), .first_hidden = found.sources.size()});
    }
  }
  // Nothing is older than the last.
  std::erase_if(found.covers,
                [&](const CoverSource& cover) { return cover.first_hidden == found.sources.size(); });
  return found;
}

}  // namespace lightning
