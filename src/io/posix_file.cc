#include "io/posix_file.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

#include "base/coding.h"
#include "io/posix_mapping.h"
#include "io/posix_status.h"
#include "io/read_ring.h"

namespace lightning {

namespace {

// The kernel moves at most 2 GiB - 4 KiB a call.
constexpr uint64_t kTransferBytesMax = uint64_t{1} << 30;
constexpr long kXfsMagic = 0x58465342;  // <linux/magic.h> lacks it
// What direct reads are aligned to: no disk has larger blocks that the page cache does not hide.
constexpr uint64_t kDirectBytes = 4096;
constexpr uint64_t kBounceBytesMax = 1 << 20;
constexpr uint64_t kStatBlockBytes = 512;  // of st_blocks, whatever the file system's block is

// Where fallocate() leaves blocks that a later store is sure to find. Others allocate again on every write
// (btrfs, ZFS, F2FS) or somewhere else (network file systems). An overlay passes the call to the file system
// below.
bool reservations_hold(int descriptor) {
  struct statfs system;
  if (fstatfs(descriptor, &system) != 0) return false;
  switch (system.f_type) {
    case EXT4_SUPER_MAGIC:
    case kXfsMagic:
    case TMPFS_MAGIC:
    case OVERLAYFS_SUPER_MAGIC:
      return true;
    default:
      return false;
  }
}

// Has the file blocks that a reflinked copy uses too? No where the file system has no such question.
bool has_shared_extents(int descriptor) {
  constexpr uint32_t kBatch = 64;
  alignas(fiemap) char buffer[sizeof(fiemap) + kBatch * sizeof(fiemap_extent)];
  for (uint64_t start = 0;;) {
    std::memset(buffer, 0, sizeof(buffer));
    fiemap* const map = reinterpret_cast<fiemap*>(buffer);
    map->fm_start = start;
    map->fm_length = FIEMAP_MAX_OFFSET - start;
    map->fm_extent_count = kBatch;
    if (ioctl(descriptor, FS_IOC_FIEMAP, map) != 0) return errno != EOPNOTSUPP && errno != ENOTTY;
    if (map->fm_mapped_extents == 0) return false;
    const fiemap_extent* const end = map->fm_extents + map->fm_mapped_extents;
    for (const fiemap_extent* extent = map->fm_extents; extent != end; ++extent) {
      if ((extent->fe_flags & FIEMAP_EXTENT_SHARED) != 0) return true;
      if ((extent->fe_flags & FIEMAP_EXTENT_LAST) != 0) return false;
    }
    const uint64_t next = end[-1].fe_logical + end[-1].fe_length;
    if (next <= start) return true;  // an answer without sense
    start = next;
  }
}

class PosixFile final : public File {
 public:
  PosixFile(FileHandle handle, std::string name)
      : handle_(std::make_shared<const FileHandle>(std::move(handle))), name_(std::move(name)) {}

  Result<uint64_t> read(uint64_t offset, void* to, uint64_t size) override {
    if (!is_aligned(offset, to, size)) return read_around(offset, static_cast<char*>(to), size);
    uint64_t done = 0;
    while (done < size) {
      const uint64_t part = std::min(size - done, kTransferBytesMax);
      const bool direct = direct_.load(std::memory_order_relaxed);  // another thread may end it meanwhile
      const ssize_t count = retry_interrupted([&] {
        return pread(descriptor(), static_cast<char*>(to) + done, part, static_cast<off_t>(offset + done));
      });
      if (count < 0 && errno == EINVAL && direct) {
        // The file system took the flag, and wants more than we keep to.
        if (!set_direct(false)) return failure("read", offset + done);
        direct_.store(false, std::memory_order_relaxed);
        continue;
      }
      if (count < 0) return failure("read", offset + done);
      done += static_cast<uint64_t>(count);
      if (count == 0 || (direct && static_cast<uint64_t>(count) % kDirectBytes != 0)) break;
    }
    return done;
  }

  void read_many(std::span<ReadRequest> requests) override {
    if (requests.size() < 2) return File::read_many(requests);
    for (std::span<ReadRequest> left = requests; !left.empty();) {
      const size_t count = std::min(left.size(), kRingReads);
      read_together(left.first(count));
      left = left.subspan(count);
    }
  }

  void read_directly() override { direct_.store(set_direct(true), std::memory_order_relaxed); }

  Status write(uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const uint64_t part = std::min<uint64_t>(bytes.size(), kTransferBytesMax);
      const ssize_t count = retry_interrupted(
          [&] { return pwrite(descriptor(), bytes.data(), part, static_cast<off_t>(offset)); });
      if (count < 0) return failure("write", offset);
      if (count == 0) return status_of_errno(EIO, "write", name_, offset);
      bytes.remove_prefix(static_cast<size_t>(count));
      offset += static_cast<uint64_t>(count);
    }
    return Status();
  }

  Status sync() override {
    return check(retry_interrupted([&] { return fdatasync(descriptor()); }), "sync");
  }

  void start_sync(uint64_t offset, uint64_t size) override {
    (void)sync_file_range(descriptor(), static_cast<off_t>(offset), static_cast<off_t>(size),
                          SYNC_FILE_RANGE_WRITE);
  }

  // Not posix_fallocate(): where the file system refuses, that one writes into every block instead.
  Status allocate(uint64_t size) override {
    if (!reservations_hold(descriptor())) {
      return Status(StatusCode::not_supported, "the file system reserves no blocks", name_,
                    Status::kWholeFile);
    }
    return check(retry_interrupted([&] { return fallocate(descriptor(), 0, 0, static_cast<off_t>(size)); }),
                 "allocate");
  }

  Status truncate(uint64_t size) override {
    return check(retry_interrupted([&] { return ftruncate(descriptor(), static_cast<off_t>(size)); }),
                 "truncate");
  }

  Status punch(uint64_t offset, uint64_t size) override {
    const auto punch_hole = [&] {
      return fallocate(descriptor(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                       static_cast<off_t>(size));
    };
    if (retry_interrupted(punch_hole) == 0) return Status();
    if (errno != EOPNOTSUPP && errno != ENOSYS) return failure("punch a hole into", offset);
    return Status(StatusCode::not_supported, "the file system punches no holes", name_, offset);
  }

  Result<uint64_t> size() override {
    struct stat status;
    if (fstat(descriptor(), &status) != 0) return failure("look at");
    return static_cast<uint64_t>(status.st_size);
  }

  Result<uint64_t> disk_bytes() override {
    struct stat status;
    if (fstat(descriptor(), &status) != 0) return failure("look at");
    return static_cast<uint64_t>(status.st_blocks) * kStatBlockBytes;
  }

  bool recyclable() override {
    struct stat status;
    return fstat(descriptor(), &status) == 0 && status.st_nlink == 1 && !has_shared_extents(descriptor());
  }

  void drop_cache(uint64_t offset, uint64_t size) override {
    posix_fadvise(descriptor(), static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_DONTNEED);
  }

  Result<std::unique_ptr<MappedRegion>> map(uint64_t offset, uint64_t size, MapMode mode) override {
    return map_posix_file(handle_, name_, offset, size, mode);
  }

 private:
  int descriptor() const { return handle_->get(); }
  Status failure(std::string_view verb, uint64_t offset = Status::kWholeFile) const {
    return status_of_errno(errno, verb, name_, offset);
  }
  Status check(int answer, std::string_view verb) const { return answer == 0 ? Status() : failure(verb); }

  bool set_direct(bool direct) const {
    const int flags = fcntl(descriptor(), F_GETFL);
    return flags >= 0 && fcntl(descriptor(), F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
  }

  struct Free {
    void operator()(void* bytes) const { std::free(bytes); }
  };
  using Bounce = std::unique_ptr<void, Free>;
  static Bounce make_bounce(uint64_t size) { return Bounce(std::aligned_alloc(kDirectBytes, size)); }

  // May it be read as it is?
  bool is_aligned(uint64_t offset, const void* to, uint64_t size) const {
    return !direct_.load(std::memory_order_relaxed) ||
           (offset | size | reinterpret_cast<uintptr_t>(to)) % kDirectBytes == 0;
  }

  // What a ring did not read whole is left to read(), which goes on behind it, or says what is wrong.
  static void read_together(std::span<ReadRequest> requests) {
    std::array<RingRead, kRingReads> reads;
    std::array<Bounce, kRingReads> bounces;
    for (size_t i = 0; i < requests.size(); ++i) {
      const ReadRequest& one = requests[i];
      reads[i] = static_cast<const PosixFile*>(one.file)->ring_read_of(one, &bounces[i]);
    }
    read_by_ring({reads.data(), requests.size()});
    for (size_t i = 0; i < requests.size(); ++i) {
      ReadRequest& one = requests[i];
      uint64_t done = 0;
      if (reads[i].count > 0) done = static_cast<uint64_t>(reads[i].count);
      if (bounces[i] != nullptr) {
        const uint64_t skipped = one.offset % kDirectBytes;
        done = std::min(done - std::min(done, skipped), one.size);
        std::memcpy(one.to, static_cast<const char*>(bounces[i].get()) + skipped, done);
      }
      if (done < one.size) {
        one.count = one.file->read(one.offset + done, one.to + done, one.size - done);
        if (!one.count) continue;
        done += *one.count;
      }
      one.count = done;
    }
  }

  // By other memory where direct reads cannot have the bytes as they lie; nothing where that is too much.
  RingRead ring_read_of(const ReadRequest& one, Bounce* bounce) const {
    RingRead ring{.descriptor = descriptor(), .offset = one.offset, .to = one.to, .size = one.size};
    if (one.size > kTransferBytesMax) ring.size = 0;
    if (ring.size == 0 || is_aligned(one.offset, one.to, one.size)) return ring;
    const uint64_t whole = align_up(one.offset % kDirectBytes + one.size, kDirectBytes);
    if (whole <= kBounceBytesMax) *bounce = make_bounce(whole);
    ring.to = static_cast<char*>(bounce->get());
    ring.offset -= one.offset % kDirectBytes;
    ring.size = *bounce == nullptr ? 0 : whole;
    return ring;
  }

  // By pieces that direct reads can have.
  Result<uint64_t> read_around(uint64_t offset, char* to, uint64_t size) {
    const uint64_t whole = align_up(offset % kDirectBytes + size, kDirectBytes);
    const uint64_t room = std::min(whole, kBounceBytesMax);
    const Bounce bytes = make_bounce(room);
    if (bytes == nullptr) return Status(StatusCode::out_of_memory, "a buffer to read", name_, offset);
    uint64_t done = 0;
    while (done < size) {
      const uint64_t skipped = (offset + done) % kDirectBytes;
      const uint64_t part = std::min(align_up(skipped + size - done, kDirectBytes), room);
      Result<uint64_t> count = read(offset + done - skipped, bytes.get(), part);
      if (!count) return count;
      const uint64_t taken = std::min(*count - std::min(*count, skipped), size - done);
      std::memcpy(to + done, static_cast<const char*>(bytes.get()) + skipped, taken);
      done += taken;
      if (*count < part) break;
    }
    return done;
  }

  const std::shared_ptr<const FileHandle> handle_;
  const std::string name_;
  std::atomic<bool> direct_{false};  // reads keep to multiples of kDirectBytes
};

}  // namespace

std::unique_ptr<File> make_posix_file(FileHandle handle, std::string name) {
  return std::make_unique<PosixFile>(std::move(handle), std::move(name));
}

}  // namespace lightning
