#include "compaction/run_set_writer.h"

#include <utility>

namespace lightning {

Status RunSetWriter::add(std::string_view key, std::span<const Version> versions) {
  if (full()) {
    if (Status status = finish(); !status.ok()) return status;
  }
  if (writer_ == nullptr) {
    if (Status status = begin(); !status.ok()) return status;
  }
  return writer_->add(key, versions);
}

Status RunSetWriter::begin() {
  Result<uint64_t> id = store_.new_file_id();
  if (!id) return id.status();
  begun_.push_back(*id);
  Result<std::unique_ptr<RunWriter>> made = RunWriter::create(directory_, *id, options_);
  if (!made) return made.status();
  writer_ = *std::move(made);
  return {};
}

Status RunSetWriter::finish() {
  if (writer_ == nullptr) return {};
  Result<RunFileInfo> info = writer_->finish(lsn_min_, lsn_max_);
  if (!info) return info.status();
  bytes_ += info->size;
  files_.push_back(*std::move(info));
  writer_ = nullptr;
  return {};
}

void RunSetWriter::remove_all() {
  writer_ = nullptr;
  for (const uint64_t id : begun_) (void)directory_.remove(run_file_name(id));
  begun_.clear();
  files_.clear();
}

}  // namespace lightning
