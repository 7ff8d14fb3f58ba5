#include "admin/state_remains.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "view/manifest.h"
#include "view/state_store.h"
#include "view/super.h"

namespace lightning {

namespace {

constexpr std::string_view kManifestKind = ".manifest";

bool has_file(const std::vector<FileInfo>& files, std::string_view name) {
  return std::any_of(files.begin(), files.end(), [&](const FileInfo& file) { return file.name == name; });
}

/// Errors that end everything: what is there is not ours to judge.
bool decides(const Status& status) {
  return !status.ok() && !status.is(StatusCode::corruption) && !status.is(StatusCode::io_error);
}

class RemainsReader {
 public:
  RemainsReader(Directory& directory, const std::vector<FileInfo>& files)
      : directory_(directory), files_(files) {}

  Result<StateRemains> read() {
    if (Status status = read_super_file(); !status.ok()) return status;
    if (super_) {
      if (Status status = read_named(); !status.ok() || remains_.certain) return finish(status);
    }
    return finish(read_any());
  }

 private:
  Result<StateRemains> finish(const Status& status) {
    if (!status.ok()) return status;
    return std::move(remains_);
  }

  Status read_super_file() {
    if (!has_file(files_, kSuperFileName)) {
      const bool unfinished = has_file(files_, kUnfinishedSuperName);
      const bool database = std::any_of(files_.begin(), files_.end(), [&](const FileInfo& file) {
        const std::string_view kind = parse_numbered_name(file.name).kind;
        return !kind.empty() && !(unfinished && kind == kManifestKind);
      });
      if (!database) return Status(StatusCode::not_found, "there is no database in " + directory_.path());
      note(Status(StatusCode::corruption, "SUPER is missing", kSuperFileName, Status::kWholeFile));
      return {};
    }
    Result<std::unique_ptr<File>> file = directory_.open(kSuperFileName, OpenMode::read);
    if (!file) return file.status();
    Result<SuperContents> contents = read_super(**file);
    if (decides(contents.status())) return contents.status();
    if (!contents) {
      note(contents.status());
      return {};
    }
    note_slots(*contents);
    Result<uint64_t> size = (*file)->size();
    if (!size) return size.status();
    if (*size != kSuperBytes) {
      note(Status(StatusCode::corruption, "not the size of four slots", kSuperFileName,
                  std::min(*size, kSuperBytes)));
    }
    in_doubt_ = contents->newest_in_doubt;
    super_ = contents->newest;
    return {};
  }

  void note_slots(const SuperContents& contents) {
    bool all = true;
    for (size_t slot = 0; slot < kSuperSlots; ++slot) {
      if (contents.verified[slot]) continue;
      all = false;
      note(Status(StatusCode::corruption, "a slot does not verify", kSuperFileName, slot * kSuperSlotBytes));
    }
    if (all && !contents.damage.empty())
      note(Status(StatusCode::corruption, contents.damage, kSuperFileName, Status::kWholeFile));
  }

  /// The manifest that SUPER names.
  Status read_named() {
    const uint64_t id = super_->manifest_id;
    Result<Image> image = read_manifest(directory_, super_->database_id, id,
                                        {.length = super_->manifest_length, .hash = super_->manifest_hash});
    Status status = image.status();
    if (image) status = take(*image, id, super_->manifest_length);
    if (decides(status)) return status;
    if (!status.ok()) {
      note(status);
    } else if (in_doubt_) {
      note(Status(StatusCode::corruption, "both slots of the newest generation may be lost", kSuperFileName,
                  Status::kWholeFile));
    } else {
      remains_.certain = true;
    }
    return {};
  }

  /// The longest beginning of the newest manifest there is.
  Status read_any() {
    std::vector<uint64_t> ids;
    for (const FileInfo& file : files_) {
      const NumberedName name = parse_numbered_name(file.name);
      if (name.kind == kManifestKind && file.name == manifest_file_name(name.number))
        ids.push_back(name.number);
    }
    std::sort(ids.begin(), ids.end(), std::greater<>());
    for (const uint64_t id : ids) {
      Result<ManifestPrefix> prefix = read_manifest_prefix(directory_, id, kManifestBytesMax);
      if (decides(prefix.status())) return prefix.status();
      if (!prefix) {
        if (!super_ || id != super_->manifest_id) note(prefix.status());
        continue;
      }
      if (super_ && prefix->database_id != super_->database_id) continue;
      if (prefix->end.length == kManifestHeaderBytes) continue;
      const Status taken = take(prefix->image, id, prefix->end.length);
      if (decides(taken)) return taken;
      if (taken.ok()) return {};
    }
    if (super_ && !remains_.known) {
      remains_.state.database_id = super_->database_id;
      remains_.state.log_floor = super_->log_floor;
    }
    return {};
  }

  Status take(const Image& image, uint64_t manifest_id, uint64_t bytes) {
    const std::string name = manifest_file_name(manifest_id);
    Result<DurableState> state = state_of(image);
    if (!state) return Status(state.status().code(), state.status().message(), name, Status::kWholeFile);
    if (super_ && (state->database_id != super_->database_id))
      return Status(StatusCode::corruption, "the manifest contradicts SUPER", name, Status::kWholeFile);
    const bool named = super_ && bytes == super_->manifest_length && manifest_id == super_->manifest_id;
    if (named && (state->incarnation != super_->incarnation || state->log_floor != super_->log_floor))
      return Status(StatusCode::corruption, "the manifest contradicts SUPER", name, Status::kWholeFile);
    remains_.state = *std::move(state);
    remains_.known = true;
    remains_.manifest_id = manifest_id;
    remains_.manifest_bytes = bytes;
    return {};
  }

  void note(const Status& status) { remains_.damage.push_back(status); }

  Directory& directory_;
  const std::vector<FileInfo>& files_;
  std::optional<SuperRecord> super_;
  bool in_doubt_ = false;
  StateRemains remains_;
};

}  // namespace

Result<StateRemains> read_state_remains(Directory& directory, const std::vector<FileInfo>& files) {
  return RemainsReader(directory, files).read();
}

}  // namespace lightning
