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
        for_each_entry(record, length, [&](uint64_t offset, const LogEntry&) {
          names->push_back(static_cast<uint32_t>((at + offset) / kLogAlignment));
        });
      }
      at += length;
    }
  });
}

SortedRun::SortedRun(SortedRunInfo info, std::vector<std::shared_ptr<const RunFile>> files)
    : info_(std::move(info)), files_(std::move(files)) {
  for (const RunPiece& piece : info_.pieces) {
    const bool cut = !piece.to.empty() && piece.to <= piece.file.largest;
    ranges_.push_back({.smallest = std::max<std::string_view>(piece.file.smallest, piece.from),
                       .largest = cut ? piece.to : piece.file.largest,
                       .largest_excluded = cut,
                       .clipped = !piece.from.empty() || !piece.to.empty()});
    bounded_ |= ranges_.back().clipped;
    ingested_at_ = std::max(ingested_at_, piece.ingested_at);
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

Result<std::vector<std::unique_ptr<SourceCursor>>> View::cursors(uint64_t read_lsn) const {
  std::vector<std::unique_ptr<SourceCursor>> found;
  found.reserve(1 + sealed.size() + runs.size());
  const auto add = [&](std::unique_ptr<SourceCursor> cursor) {
    if (cursor == nullptr) return Status(StatusCode::out_of_memory, "a cursor");
    found.push_back(std::move(cursor));
    return Status();
  };
  const auto add_memory = [&](const MemSource& source) -> Status {
    if (source.segment->base_lsn() >= read_lsn) return {};
    if (Status status = source.order_up_to(read_lsn); !status.ok()) return status;
    if (source.table->order_index().arrays()->count == 0) return {};
    return add(source.table->cursor(read_lsn));
  };
  if (active != nullptr) {
    if (Status status = add_memory(*active); !status.ok()) return status;
  }
  for (const auto& source : sealed) {
    if (Status status = add_memory(*source); !status.ok()) return status;
  }
  for (const auto& run : runs) {
    if (Status status = add(run->cursor(read_lsn)); !status.ok()) return status;
  }
  return found;
}

}  // namespace lightning
