#include "testing/sim_file_system.h"

#include <algorithm>

namespace lightning {

namespace {

Status missing(const std::string& name) { return Status(StatusCode::not_found, "no such file", name, 0); }

}  // namespace

class SimRegion final : public MappedRegion {
 public:
  SimRegion(SimFileSystem& system, SimInode& inode, SimWindow& window, uint64_t offset, uint64_t size,
            bool writable)
      : MappedRegion(window.at(offset), size, &window.detached),
        system_(system),
        inode_(inode),
        window_(window),
        offset_(offset),
        writable_(writable) {
    ++inode_.openers;
  }
  ~SimRegion() override {
    const AllocationTruce truce;
    system_.disk_.capture();
    inode_.unmap(&window_);
    --inode_.openers;
  }

  Status populate(uint64_t offset, uint64_t size) override {
    SimOutcome outcome = system_.gate_.enter(SimCall::populate, inode_.name, size);
    if (!outcome.status.ok()) return std::move(outcome.status);
    if (offset + size > this->size())
      return Status(StatusCode::invalid_argument, "populating beyond the mapping");
    if (inode_.missing_pages(offset_ + offset, size) * kPageBytes > system_.disk_.free_bytes()) {
      return Status(StatusCode::no_space, "cannot populate a mapping: the simulated disk is full",
                    inode_.name, offset);
    }
    if (writable_) inode_.dirty_lost(offset_ + offset, size, system_.disk_.next_sequence());
    return Status();
  }
  void drop(uint64_t, uint64_t) override {}

 private:
  SimFileSystem& system_;
  SimInode& inode_;
  SimWindow& window_;
  const uint64_t offset_;
  const bool writable_;
};

class SimFile final : public File {
 public:
  SimFile(SimFileSystem& system, SimFolder& folder, SimInode& inode, bool writable)
      : system_(system), folder_(folder), inode_(inode), writable_(writable) {
    ++inode_.openers;
    ++system_.open_files_;
  }
  ~SimFile() override {
    --inode_.openers;
    --system_.open_files_;
  }

  Result<uint64_t> read(uint64_t offset, void* to, uint64_t size) override {
    SimOutcome outcome = enter(SimCall::read, size);
    if (!outcome.status.ok()) return std::move(outcome.status);
    if (inode_.has_writable_mapping()) system_.disk_.capture();
    return inode_.read(offset, size, static_cast<char*>(to));
  }

  Status write(uint64_t offset, std::string_view bytes) override {
    SimOutcome outcome = enter_change(SimCall::write, bytes.size());
    if (!writable_) return std::move(outcome.status);
    bytes = bytes.substr(0, outcome.part(bytes.size()));
    const uint64_t fits = fitting(offset, bytes.size());
    inode_.write(offset, bytes.substr(0, fits), system_.disk_.next_sequence());
    check_order("a write of ");
    if (fits < bytes.size() && outcome.status.ok()) return full(offset + fits);
    return std::move(outcome.status);
  }

  Status sync() override {
    SimOutcome outcome = enter(SimCall::sync, 0);
    const uint64_t started = system_.disk_.next_sequence();
    if (system_.disk_.keeps_unsynced()) inode_.capture(started);
    system_.gate_.pause();
    if (outcome.happens()) {
      inode_.make_durable(started);
    } else if (outcome.effect != FaultEffect::none) {
      const uint64_t half = inode_.pending().size() / 2;
      inode_.lose_unsynced(started, outcome.effect == FaultEffect::half ? half : 0);
    }
    system_.disk_.next_sequence();
    check_order("the sync of ");
    return std::move(outcome.status);
  }

  Status allocate(uint64_t size) override {
    SimOutcome outcome = enter_change(SimCall::allocate, size);
    if (!system_.options_.supports_allocate) {
      return Status(StatusCode::not_supported, "the simulated file system only pretends to reserve",
                    inode_.name, 0);
    }
    if (!outcome.happens() || !writable_) return std::move(outcome.status);
    if (fitting(0, size) < size) return full(inode_.size());
    inode_.reserve(size, system_.disk_.next_sequence());
    return std::move(outcome.status);
  }

  Status truncate(uint64_t size) override {
    SimOutcome outcome = enter_change(SimCall::truncate, size);
    if (outcome.happens() && writable_) inode_.resize(size, system_.disk_.next_sequence());
    check_order("the truncation of ");
    return std::move(outcome.status);
  }

  Status punch(uint64_t offset, uint64_t size) override {
    SimOutcome outcome = enter_change(SimCall::punch, size);
    if (!system_.options_.supports_punch) {
      return Status(StatusCode::not_supported, "the simulated file system punches no holes", inode_.name,
                    offset);
    }
    if (writable_) inode_.punch(offset, outcome.part(size), system_.disk_.next_sequence());
    check_order("a hole in ");
    return std::move(outcome.status);
  }

  Result<uint64_t> size() override {
    SimOutcome outcome = enter(SimCall::size, 0);
    if (!outcome.status.ok()) return std::move(outcome.status);
    return inode_.size();
  }

  Result<uint64_t> disk_bytes() override {
    SimOutcome outcome = enter(SimCall::size, 0);
    if (!outcome.status.ok()) return std::move(outcome.status);
    if (inode_.has_writable_mapping()) system_.disk_.capture();
    return inode_.allocated_pages() * kPageBytes;
  }

  bool recyclable() override { return inode_.links == 1; }
  void drop_cache(uint64_t, uint64_t) override {}

  Result<std::unique_ptr<MappedRegion>> map(uint64_t offset, uint64_t size, MapMode mode) override {
    SimOutcome outcome = enter(SimCall::map, size);
    if (!outcome.status.ok()) return std::move(outcome.status);
    const bool writable = mode == MapMode::write;
    if (offset % kPageBytes != 0 || size == 0 || offset + size > inode_.size() || (writable && !writable_)) {
      return Status(StatusCode::invalid_argument, "a mapping that the file does not allow", inode_.name,
                    offset);
    }
    system_.disk_.capture();
    SimWindow* window = inode_.map(offset, size, writable);
    if (window == nullptr) {
      return Status(StatusCode::invalid_argument, "a mapping that overlaps another in part", inode_.name,
                    offset);
    }
    return std::unique_ptr<MappedRegion>(
        std::make_unique<SimRegion>(system_, inode_, *window, offset, size, writable));
  }

 private:
  SimOutcome enter(SimCall call, uint64_t detail) { return system_.gate_.enter(call, inode_.name, detail); }

  SimOutcome enter_change(SimCall call, uint64_t detail) {
    SimOutcome outcome = enter(call, detail);
    if (!writable_)
      outcome.status = Status(StatusCode::io_error, "the file was opened for reading", inode_.name, 0);
    return outcome;
  }

  // How many bytes of a write of [offset, offset + size) the disk has room for.
  uint64_t fitting(uint64_t offset, uint64_t size) const {
    const uint64_t free_pages = system_.disk_.free_bytes() / kPageBytes;
    if (inode_.missing_pages(offset, size) <= free_pages) return size;
    uint64_t fits = 0;
    while (fits < size) {
      const uint64_t next = std::min(size, fits + kPageBytes - (offset + fits) % kPageBytes);
      if (inode_.missing_pages(offset, next) > free_pages) break;
      fits = next;
    }
    return fits;
  }

  Status full(uint64_t offset) const {
    return Status(StatusCode::no_space, "cannot write: the simulated disk is full", inode_.name, offset);
  }

  void check_order(const char* after) {
    if (system_.order_.concerns(inode_.name))
      system_.order_.check(system_.disk_, folder_, after + inode_.name);
  }

  SimFileSystem& system_;
  SimFolder& folder_;
  SimInode& inode_;
  const bool writable_;
};

class SimLock final : public DirectoryLock {
 public:
  explicit SimLock(int& holders) : holders_(holders) {}
  ~SimLock() override { holders_ -= holders_ > 0 ? 1 : -1; }

 private:
  int& holders_;  // in SimFolder::locks, which never gives a name up
};

class SimDirectory final : public Directory {
 public:
  SimDirectory(SimFileSystem& system, SimFolder& folder, std::string path)
      : system_(system), folder_(folder), path_(std::move(path)) {}

  Result<std::unique_ptr<File>> open(const std::string& name, OpenMode mode) override {
    const bool create = mode == OpenMode::create;
    SimOutcome outcome = system_.gate_.enter(create ? SimCall::create : SimCall::open, name);
    if (outcome.status.ok()) outcome.status = valid(name);
    if (outcome.status.ok() && system_.open_files_ >= system_.options_.open_files_max) {
      return Status(StatusCode::io_error, "cannot open: too many open files", name, 0);
    }
    SimInode* inode = system_.disk_.find(folder_, name);
    if (create && inode == nullptr && outcome.happens() && valid(name).ok()) {
      inode = system_.disk_.create(folder_, name);
    } else if (create && outcome.status.ok()) {
      return Status(StatusCode::already_exists, "the file exists", name, 0);
    }
    if (!outcome.status.ok()) return std::move(outcome.status);
    if (inode == nullptr) return missing(name);
    const bool writable = mode != OpenMode::read;
    return std::unique_ptr<File>(std::make_unique<SimFile>(system_, folder_, *inode, writable));
  }

  Status remove(const std::string& name) override {
    SimOutcome outcome = system_.gate_.enter(SimCall::remove, name);
    if (outcome.status.ok() && system_.disk_.find(folder_, name) == nullptr) return missing(name);
    if (outcome.happens() && system_.disk_.find(folder_, name) != nullptr) {
      system_.disk_.unlink(folder_, name);
      check_order("the removal of " + name);
    }
    return std::move(outcome.status);
  }

  Status rename(const std::string& from, const std::string& to) override {
    SimOutcome outcome = system_.gate_.enter(SimCall::rename, from);
    if (outcome.status.ok()) outcome.status = valid(to);
    const bool present = system_.disk_.find(folder_, from) != nullptr;
    if (outcome.status.ok() && !present) return missing(from);
    if (outcome.happens() && present && valid(to).ok()) {
      system_.disk_.rename(folder_, from, to);
      check_order("the rename of " + from + " to " + to);
    }
    return std::move(outcome.status);
  }

  Status link(const std::string& name, Directory& to, const std::string& to_name) override {
    SimOutcome outcome = system_.gate_.enter(SimCall::link, name);
    SimFolder& target = static_cast<SimDirectory&>(to).folder_;
    if (outcome.status.ok()) outcome.status = valid(to_name);
    if (!outcome.status.ok() && !outcome.happens()) return std::move(outcome.status);
    if (system_.disk_.find(folder_, name) == nullptr) return missing(name);
    if (target.present.contains(to_name))
      return Status(StatusCode::already_exists, "the file exists", to_name, 0);
    if (outcome.happens()) system_.disk_.link(folder_, name, target, to_name);
    return std::move(outcome.status);
  }

  Result<std::vector<FileInfo>> list() override {
    SimOutcome outcome = system_.gate_.enter(SimCall::list, path_);
    if (!outcome.status.ok()) return std::move(outcome.status);
    std::vector<FileInfo> infos;
    for (const auto& [name, id] : folder_.present) {
      infos.push_back({.name = name, .size = system_.disk_.inode(id)->size(), .is_directory = false});
    }
    for (std::string& name : system_.disk_.child_folders(folder_)) {
      infos.push_back({.name = std::move(name), .size = 0, .is_directory = true});
    }
    return infos;
  }

  Status sync() override {
    SimOutcome outcome = system_.gate_.enter(SimCall::sync_directory, path_);
    const uint64_t started = system_.disk_.next_sequence();
    system_.gate_.pause();
    if (outcome.happens()) system_.disk_.sync_folder(folder_, started);
    check_order("the sync of the directory");
    return std::move(outcome.status);
  }

  Result<std::unique_ptr<DirectoryLock>> lock(const std::string& name, LockMode mode) override {
    SimOutcome outcome = system_.gate_.enter(SimCall::lock, name);
    if (outcome.status.ok()) outcome.status = valid(name);
    if (!outcome.status.ok()) return std::move(outcome.status);
    if (system_.disk_.find(folder_, name) == nullptr) system_.disk_.create(folder_, name);
    int& holders = folder_.locks[name];
    if (holders < 0 || (holders > 0 && mode == LockMode::exclusive)) {
      return Status(StatusCode::busy, "in use by process 1", name, 0);
    }
    holders = mode == LockMode::exclusive ? -1 : holders + 1;
    return std::unique_ptr<DirectoryLock>(std::make_unique<SimLock>(holders));
  }

  uint64_t mount_id() override { return 1; }
  Result<uint64_t> free_bytes() override {
    SimOutcome outcome = system_.gate_.enter(SimCall::free_bytes, path_);
    if (!outcome.status.ok()) return std::move(outcome.status);
    return system_.disk_.free_bytes();
  }

  const std::string& path() const override { return path_; }

 private:
  Status valid(const std::string& name) const {
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
      return Status(StatusCode::invalid_argument, "not a file name", name, 0);
    }
    const std::string inside = folder_.path.empty() ? name : folder_.path + "/" + name;
    if (system_.disk_.folder(inside) != nullptr)
      return Status(StatusCode::io_error, "is a directory", name, 0);
    return Status();
  }

  void check_order(const std::string& after) { system_.order_.check(system_.disk_, folder_, after); }

  SimFileSystem& system_;
  SimFolder& folder_;
  const std::string path_;
};

Result<std::unique_ptr<Directory>> SimFileSystem::open_directory(const std::string& path, bool create) {
  SimOutcome outcome = gate_.enter(SimCall::open_directory, path);
  if (!outcome.status.ok()) return std::move(outcome.status);
  const std::string normal = SimDisk::normal_path(path);
  for (size_t end = normal.find('/', 1);; end = normal.find('/', end + 1)) {
    if (disk_.has_file(normal.substr(0, end))) {
      return Status(StatusCode::io_error, "not a directory", normal.substr(0, end), 0);
    }
    if (end == std::string::npos) break;
  }
  SimFolder* folder = create ? disk_.make_folders(normal) : disk_.folder(normal);
  if (folder == nullptr) return Status(StatusCode::not_found, "no such directory", path, 0);
  return std::unique_ptr<Directory>(std::make_unique<SimDirectory>(*this, *folder, path));
}

}  // namespace lightning
