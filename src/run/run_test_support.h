// Test support: a directory of files in memory, whose bytes a test may change, and models of run files.
//
// Only for tests. Thread safety: externally synchronised.
#pragma once

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "format/internal_key.h"
#include "io/env.h"
#include "run/page_batch.h"
#include "run/run_file.h"
#include "run/run_writer.h"

namespace lightning {

/// The bytes of each file by name, in a heap block of just their size, so that a sanitizer sees a read beyond
/// them.
struct MemoryFiles {
  std::map<std::string, std::shared_ptr<std::vector<char>>> files;
  std::atomic<bool> faulted = false;  // what mappings answer
  std::atomic<uint64_t> reads{0};
  std::atomic<uint64_t> batches{0};
};

class MemoryRegion final : public MappedRegion {
 public:
  MemoryRegion(std::shared_ptr<std::vector<char>> bytes, uint64_t offset, uint64_t size,
               const std::atomic<bool>* faulted)
      : MappedRegion(bytes->data() + offset, size, faulted), bytes_(std::move(bytes)) {}
  Status populate(uint64_t, uint64_t) override { return Status(); }
  void drop(uint64_t, uint64_t) override {}

 private:
  std::shared_ptr<std::vector<char>> bytes_;
};

class MemoryFile final : public File {
 public:
  MemoryFile(std::shared_ptr<std::vector<char>> bytes, MemoryFiles* files)
      : bytes_(std::move(bytes)),
        faulted_(&files->faulted),
        reads_(&files->reads),
        batches_(&files->batches) {}

  Result<uint64_t> read(uint64_t offset, void* to, uint64_t size) override {
    reads_->fetch_add(1, std::memory_order_relaxed);
    if (offset >= bytes_->size()) return uint64_t{0};
    size = std::min<uint64_t>(size, bytes_->size() - offset);
    std::memcpy(to, bytes_->data() + offset, size);
    return size;
  }
  void read_many(std::span<ReadRequest> requests) override {
    batches_->fetch_add(1, std::memory_order_relaxed);
    File::read_many(requests);
  }
  Status write(uint64_t offset, std::string_view bytes) override {
    if (bytes_->size() < offset + bytes.size()) bytes_->resize(offset + bytes.size());
    if (!bytes.empty()) std::memcpy(bytes_->data() + offset, bytes.data(), bytes.size());
    return Status();
  }
  Status sync() override { return Status(); }
  Status allocate(uint64_t) override { return Status(StatusCode::not_supported, "allocate"); }
  Status truncate(uint64_t size) override {
    bytes_->resize(size);
    return Status();
  }
  Result<uint64_t> size() override { return uint64_t{bytes_->size()}; }
  Result<uint64_t> disk_bytes() override { return size(); }
  Status punch(uint64_t, uint64_t) override { return Status(StatusCode::not_supported, "punch"); }
  bool recyclable() override { return false; }
  void drop_cache(uint64_t, uint64_t) override {}
  Result<std::unique_ptr<MappedRegion>> map(uint64_t offset, uint64_t size, MapMode) override {
    return std::unique_ptr<MappedRegion>(new MemoryRegion(bytes_, offset, size, faulted_));
  }

 private:
  std::shared_ptr<std::vector<char>> bytes_;
  const std::atomic<bool>* faulted_;
  std::atomic<uint64_t>* reads_;
  std::atomic<uint64_t>* batches_;
};

class MemoryDirectory final : public Directory {
 public:
  std::vector<char>& bytes(const std::string& name) { return *memory_.files.at(name); }
  /// Calls of File::read() so far, those of read_many() among them.
  uint64_t reads() const { return memory_.reads; }
  /// Calls of File::read_many().
  uint64_t batches() const { return memory_.batches; }
  void set_faulted(bool faulted) { memory_.faulted = faulted; }

  Result<std::unique_ptr<File>> open(const std::string& name, OpenMode mode) override {
    const bool exists = memory_.files.contains(name);
    if (mode == OpenMode::create && exists) return Status(StatusCode::already_exists, "exists", name, 0);
    if (mode != OpenMode::create && !exists) return Status(StatusCode::not_found, "missing", name, 0);
    std::shared_ptr<std::vector<char>>& bytes = memory_.files[name];
    if (bytes == nullptr) bytes = std::make_shared<std::vector<char>>();
    return std::unique_ptr<File>(new MemoryFile(bytes, &memory_));
  }
  Status remove(const std::string& name) override {
    memory_.files.erase(name);
    return Status();
  }
  Status rename(const std::string&, const std::string&) override { return unused(); }
  Status link(const std::string&, Directory&, const std::string&) override { return unused(); }
  Result<std::vector<FileInfo>> list() override { return unused(); }
  Status sync() override { return Status(); }
  Result<std::unique_ptr<DirectoryLock>> lock(const std::string&, LockMode) override { return unused(); }
  Result<uint64_t> free_bytes() override { return unused(); }
  const std::string& path() const override { return path_; }

 private:
  static Status unused() { return Status(StatusCode::not_supported, "not part of the fake"); }

  MemoryFiles memory_;
  const std::string path_ = "memory";
};

/// What a run file should hold: of each key its versions, newest first.
struct ModelVersion {
  uint64_t lsn = kSettledLsn;
  EntryKind kind = EntryKind::put;
  std::string value;
};
using RunModel = std::map<std::string, std::vector<ModelVersion>>;

inline ModelVersion put_of(std::string value, uint64_t lsn = kSettledLsn) {
  return {lsn, EntryKind::put, std::move(value)};
}
inline ModelVersion expiring(uint64_t expiry_us, std::string_view value, uint64_t lsn = kSettledLsn) {
  std::string stored(kExpiryBytes, '\0');
  store<uint64_t>(stored.data(), expiry_us);
  return {lsn, EntryKind::put_expiring, stored.append(value)};
}
inline ModelVersion removal(uint64_t lsn = kSettledLsn) { return {lsn, EntryKind::remove, ""}; }

/// The version that a read sees, null if none.
inline const ModelVersion* visible_in(const std::vector<ModelVersion>& versions, uint64_t read_lsn) {
  for (const ModelVersion& version : versions) {
    if (version.lsn == kSettledLsn || version.lsn < read_lsn) return &version;
  }
  return nullptr;
}

inline constexpr uint64_t kTestRunId = 7;

inline constexpr uint64_t kTestValueFile = 3;
inline std::string test_value_file_name(uint64_t number) { return std::to_string(number) + ".values"; }

/// Appends a value to the value file, behind a byte that means nothing.
inline ValuePlace place_value(Directory& directory, std::string_view value) {
  const std::string name = test_value_file_name(kTestValueFile);
  const bool exists = directory.open(name, OpenMode::read).ok();
  const std::unique_ptr<File> file = *directory.open(name, exists ? OpenMode::read_write : OpenMode::create);
  const uint64_t offset = *file->size() + 1;
  (void)file->write(offset - 1, std::string("?").append(value));
  return {.file = kTestValueFile,
          .offset = offset,
          .size = value.size(),
          .checksum = checksum(value.data(), value.size(), value_file_seed(kTestValueFile, offset))};
}

/// Values of `large_bytes` or more go into a value file.
inline Result<RunFileInfo> write_run(Directory& directory, const RunModel& model,
                                     const RunWriterOptions& options, uint64_t id = kTestRunId,
                                     const RangeMap& ranges = {}, uint64_t large_bytes = UINT64_MAX) {
  Result<std::unique_ptr<RunWriter>> writer = RunWriter::create(directory, id, options);
  if (!writer) return writer.status();
  uint64_t lsn_max = 1000;
  for (const auto& [key, versions] : model) {
    std::vector<Version> shown;
    for (const ModelVersion& version : versions) {
      shown.push_back({version.lsn, version.kind, version.value});
      if (version.value.size() >= large_bytes) {
        shown.back().place = place_value(directory, version.value);
        shown.back().value = {};
      }
      lsn_max = std::max(lsn_max, version.lsn + 1);
    }
    if (Status s = (*writer)->add(key, shown); !s.ok()) return s;
  }
  for (size_t i = 0; i < ranges.size(); ++i) {
    lsn_max = std::max(lsn_max, ranges.lsns(i)[0] + 1);
    if (Status s = (*writer)->add_range(ranges.from(i), ranges.to(i), ranges.lsns(i)); !s.ok()) return s;
  }
  return (*writer)->finish(1, lsn_max);
}

inline Result<std::shared_ptr<const RunFile>> open_run(Directory& directory, const RunFileInfo& info,
                                                       bool mapped, PageCache* cache = nullptr) {
  ValueFiles values(directory, test_value_file_name, mapped);
  return RunFile::open(directory, info, mapped, &values, cache);
}

/// Room for so many large leaves.
inline std::shared_ptr<PageCache> cache_of_frames(uint64_t frames) {
  return std::make_shared<PageCache>(frames * (kLargeLeafBytes + 256), kLargeLeafBytes);
}

/// What find() says, for comparing: "absent", "removed", "=value@lsn" or the error's code. If not staged it
/// asks first inside an epoch, as a get does, else in all stages, as get_many() does.
inline std::string found_text(const RunFile& run, std::string_view key, uint64_t read_lsn,
                              bool staged = false) {
  RunFile::Hit hit;
  const uint64_t hash = hash_key(key);
  RunFile::Found found = RunFile::Found::away;
  EpochGuard epoch;  // while the value is read
  if (!staged) found = run.find(key, hash, read_lsn, &hit);
  if (found == RunFile::Found::away) epoch.leave();
  if (staged) {
    run.prefetch(hash);
    uint64_t locator = run.locate(hash);
    PageBatch leaves;
    if (locator == RunFile::kUnknownPlace) {
      PageBatch buckets;
      const bool comes = run.want(hash, &buckets);
      buckets.read();
      locator = run.locate_in(hash, comes, &leaves);
      leaves.read();
    }
    found = run.find_at(locator, key, hash, read_lsn, &hit);
  } else if (found == RunFile::Found::away) {
    found = run.find(key, hash, read_lsn, &hit);
  }
  if (found == RunFile::Found::absent) return "absent";
  if (found == RunFile::Found::away) return "away, outside of an epoch";
  if (found == RunFile::Found::error) return std::string(status_code_name(hit.status.code()));
  const std::string lsn = "@" + std::to_string(hit.lsn);
  return hit.kind == EntryKind::remove ? "removed" + lsn : "=" + std::string(hit.value) + lsn;
}

inline std::string model_text(const RunModel& model, const std::string& key, uint64_t read_lsn) {
  const auto at = model.find(key);
  const ModelVersion* version = at == model.end() ? nullptr : visible_in(at->second, read_lsn);
  if (version == nullptr) return "absent";
  const std::string lsn = "@" + std::to_string(version->lsn);
  return version->kind == EntryKind::remove ? "removed" + lsn : "=" + version->value + lsn;
}

}  // namespace lightning
