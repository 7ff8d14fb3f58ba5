#include "tests/order_rules.h"

#include <cstring>
#include <map>
#include <memory>

#include "log/segment.h"
#include "view/manifest.h"
#include "view/super.h"

namespace lightning {

namespace {

Status not_here() { return Status(StatusCode::not_supported, "bytes in memory are only read"); }

/// Bytes as a file that can only be read.
class BytesFile final : public File {
 public:
  explicit BytesFile(std::string_view bytes) : bytes_(bytes) {}

  Result<uint64_t> read(uint64_t offset, void* to, uint64_t size) override {
    if (offset >= bytes_.size()) return uint64_t{0};
    const std::string_view part = bytes_.substr(offset, size);
    std::memcpy(to, part.data(), part.size());
    return part.size();
  }
  Status write(uint64_t, std::string_view) override { return not_here(); }
  Status sync() override { return not_here(); }
  Status allocate(uint64_t) override { return not_here(); }
  Status truncate(uint64_t) override { return not_here(); }
  Result<uint64_t> size() override { return uint64_t{bytes_.size()}; }
  Result<uint64_t> disk_bytes() override { return uint64_t{bytes_.size()}; }
  Status punch(uint64_t, uint64_t) override { return Status(StatusCode::not_supported, "punch"); }
  bool recyclable() override { return false; }
  void drop_cache(uint64_t, uint64_t) override {}
  Result<std::unique_ptr<MappedRegion>> map(uint64_t, uint64_t, MapMode) override { return not_here(); }

 private:
  std::string_view bytes_;
};

/// A directory of one file.
class BytesDirectory final : public Directory {
 public:
  BytesDirectory(std::string_view name, std::string_view bytes) : name_(name), bytes_(bytes) {}

  Result<std::unique_ptr<File>> open(const std::string& name, OpenMode) override {
    if (name != name_) return Status(StatusCode::not_found, name);
    return std::unique_ptr<File>(new BytesFile(bytes_));
  }
  Status remove(const std::string&) override { return not_here(); }
  Status rename(const std::string&, const std::string&) override { return not_here(); }
  Status link(const std::string&, Directory&, const std::string&) override { return not_here(); }
  Result<std::vector<FileInfo>> list() override { return not_here(); }
  Status sync() override { return not_here(); }
  Result<std::unique_ptr<DirectoryLock>> lock(const std::string&, LockMode) override { return not_here(); }
  Result<uint64_t> free_bytes() override { return not_here(); }
  const std::string& path() const override { return name_; }

 private:
  const std::string name_;
  std::string_view bytes_;
};

/// What SUPER said of a manifest when it was looked at last.
struct Counting {
  uint64_t database_id = 0;
  ManifestEnd end;
};
using Manifests = std::map<std::string, Counting>;

std::vector<FileReference> super_references(Manifests& manifests, std::string_view name,
                                            std::string_view bytes) {
  if (name != kSuperFileName) return {};
  BytesFile file(bytes);
  const Result<SuperContents> contents = read_super(file);
  if (!contents) return {};
  const SuperRecord& newest = contents->newest;
  const std::string manifest = manifest_file_name(newest.manifest_id);
  manifests[manifest] = {newest.database_id, {newest.manifest_length, newest.manifest_hash}};
  return {{.name = manifest, .bytes_min = newest.manifest_length}};
}

std::vector<FileReference> manifest_references(const Manifests& manifests, std::string_view name,
                                               std::string_view bytes) {
  const auto known = manifests.find(std::string(name));
  uint64_t id = 0;
  if (known == manifests.end()) return {};
  for (const char c : name.substr(0, name.find('.'))) id = id * 10 + static_cast<uint64_t>(c - '0');
  BytesDirectory directory(name, bytes);
  const Result<Image> image = read_manifest(directory, known->second.database_id, id, known->second.end);
  if (!image) return {};
  const Result<DurableState> state = state_of(*image);
  if (!state) return {};
  std::vector<FileReference> references;
  for (const SortedRunInfo& run : state->runs) {
    for (const RunPiece& piece : run.pieces) {
      references.push_back({.name = run_file_name(piece.file.id), .bytes_min = piece.file.size});
    }
  }
  for (const LogSegmentInfo& segment : state->log_segments) {
    // By name only: the mirror of `published` in its header page need never be durable.
    references.push_back({.name = segment_file_name(segment.number), .bytes_min = 0});
  }
  for (const ValueFileInfo& file : state->value_files)
    references.push_back({.name = segment_file_name(file.number), .bytes_min = 0});
  return references;
}

}  // namespace

void add_order_rules(OrderChecker& checker) {
  const auto manifests = std::make_shared<Manifests>();
  checker.add({.name_prefix = kSuperFileName,
               .root = true,
               .references = [manifests](std::string_view name, std::string_view bytes) {
                 return super_references(*manifests, name, bytes);
               }});
  checker.add({.name_prefix = "00",
               .namer_suffix = ".manifest",
               .references = [manifests](std::string_view name, std::string_view bytes) {
                 return manifest_references(*manifests, name, bytes);
               }});
}

}  // namespace lightning
