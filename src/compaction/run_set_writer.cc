#include "compaction/run_set_writer.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace lightning {

RunSetWriter::~RunSetWriter() {
  if (kept_) return;
  writer_ = nullptr;
  for (const uint64_t id : begun_) (void)directory_.remove(run_file_name(id));
}

Status RunSetWriter::add(std::string_view key, std::span<const Version> versions) {
  if (full() || is_other_codec(key)) {
    if (Status status = finish(key); !status.ok()) return status;
  }
  if (writer_ == nullptr) {
    if (Status status = begin(key); !status.ok()) return status;
  }
  return writer_->add(key, versions);
}

bool RunSetWriter::is_other_codec(std::string_view key) {
  if (codecs_.own.empty() || writer_ == nullptr || key.starts_with(keyspace_)) return false;
  uint32_t id = 0;
  keyspace_ = key.substr(0, parse_keyspace_prefix(key, &id));
  return codecs_.of(key) != codec_;
}

Status RunSetWriter::begin(std::string_view key) {
  uint32_t keyspace = 0;
  keyspace_ = key.substr(0, parse_keyspace_prefix(key, &keyspace));
  codec_ = codecs_.of(key);
  Result<uint64_t> id = store_.new_file_id();
  if (!id) return id.status();
  begun_.push_back(*id);
  RunWriterOptions options = options_;
  options.compression = codec_;
  Result<std::unique_ptr<RunWriter>> made = RunWriter::create(directory_, *id, options);
  if (!made) return made.status();
  writer_ = *std::move(made);
  return {};
}

Status RunSetWriter::add_ranges(std::string_view end) {
  for (; range_at_ < ranges_.size(); ++range_at_) {
    const std::string_view from = std::max<std::string_view>(ranges_.from(range_at_), range_from_);
    const std::string_view to = ranges_.to(range_at_);
    const bool cut = !end.empty() && to > end;
    if (cut && from >= end) return {};
    if (writer_ == nullptr) {
      if (Status status = begin(from); !status.ok()) return status;
    }
    if (Status status = writer_->add_range(from, cut ? end : to, ranges_.lsns(range_at_)); !status.ok())
      return status;
    if (!cut) continue;
    range_from_ = end;
    return {};
  }
  return {};
}

Status RunSetWriter::finish(std::string_view end) {
  if (Status status = add_ranges(end.empty() ? range_to_ : end); !status.ok()) return status;
  if (writer_ == nullptr) return {};
  Result<RunFileInfo> info = writer_->finish(lsn_min_, lsn_max_);
  if (!info) return info.status();
  info->since_us = since_us_;
  bytes_ += info->size;
  files_.push_back(*std::move(info));
  writer_ = nullptr;
  return {};
}

void RunSetWriter::append(RunSetWriter&& other) {
  begun_.reserve(begun_.size() + other.begun_.size());
  files_.reserve(files_.size() + other.files_.size());
  begun_.insert(begun_.end(), other.begun_.begin(), other.begun_.end());
  other.begun_.clear();
  files_.insert(files_.end(), std::make_move_iterator(other.files_.begin()),
                std::make_move_iterator(other.files_.end()));
  bytes_ += other.bytes_;
}

// No exception leaves the commit of a state.
Status RunSetWriter::commit(const std::function<void(DurableState&)>& edit) {
  kept_ = true;
  Status status = store_.commit(edit);
  kept_ = status.ok() || !store_.failure().ok();
  return status;
}

}  // namespace lightning
