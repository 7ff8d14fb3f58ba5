#include "io/posix_mapping.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"
#include "base/coding.h"
#include "io/mapping_guard.h"
#include "io/page_size.h"
#include "io/posix_status.h"
#include "io/process_word.h"

namespace lightning {

namespace {

class PosixMappedRegion final : public MappedRegion {
 public:
  PosixMappedRegion(char* data, uint64_t size, std::shared_ptr<const FileHandle> file, std::string name,
                    uint64_t offset, MapMode mode)
      : MappedRegion(data, size, nullptr),
        file_(mode == MapMode::write ? std::move(file) : nullptr),
        name_(std::move(name)),
        offset_(offset),
        mode_(mode) {}

  ~PosixMappedRegion() override {
    guard_.reset();  // before the addresses can be anybody else's
    if (!in_forked_child()) munmap(data_, align_up(size_, page_bytes()));
  }

  Status guard() {
    Result<std::unique_ptr<GuardedRange>> range =
        GuardedRange::create(data_, align_up(size_, page_bytes()), file_ != nullptr ? file_->get() : -1,
                             offset_, mode_ == MapMode::write);
    if (!range) return range.status();
    guard_ = std::move(*range);
    faulted_ = guard_->faulted();
    return Status();
  }

  Status populate(uint64_t offset, uint64_t size) override {
    LIGHTNING_INVARIANT("populate stays inside the region", offset <= size_ && size <= size_ - offset);
    if (size == 0) return Status();
    const uint64_t begin = offset & ~(page_bytes() - 1);
    const uint64_t end = align_up(offset + size, page_bytes());
    const int advice = mode_ == MapMode::write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
    const int answer = retry_interrupted([&] { return madvise(data_ + begin, end - begin, advice); });
    const int error = errno;
    if (answer != 0 && error == EINVAL) {
      touch(begin, end);  // Linux before 5.14
    } else if (answer != 0) {
      return refusal(error, begin);
    }
    if (faulted()) return Status(StatusCode::io_error, "a fault in the mapping", name_, offset_ + begin);
    return Status();
  }

  void drop(uint64_t offset, uint64_t size) override {
    const uint64_t end = (offset + size) & ~(page_bytes() - 1);
    offset = align_up(offset, page_bytes());
    // A private page would lose its bytes.
    if (end > offset && !faulted() && !in_forked_child())
      madvise(data_ + offset, end - offset, MADV_DONTNEED);
  }

 private:
  // The system says EFAULT for every fault that is not a bad memory page; reading the file tells a full disk
  // from others.
  Status refusal(int error, uint64_t begin) const {
    const uint64_t at = offset_ + begin;
    if (error != EFAULT) return status_of_errno(error, "populate a mapping", name_, at);
    if (file_ == nullptr) return status_of_errno(EIO, "populate a mapping", name_, at);
    char byte;
    const ssize_t count =
        retry_interrupted([&] { return pread(file_->get(), &byte, 1, static_cast<off_t>(at)); });
    if (count < 0) return status_of_errno(errno, "populate a mapping", name_, at);
    if (count == 0) return Status(StatusCode::io_error, "the file ends before its mapping", name_, at);
    return status_of_errno(ENOSPC, "populate a mapping", name_, at);
  }

  // Without a change of bytes that others may be storing.
  void touch(uint64_t begin, uint64_t end) {
    for (uint64_t at = begin; at < end; at += page_bytes()) {
      if (mode_ == MapMode::write) {
        __atomic_fetch_or(data_ + at, 0, __ATOMIC_RELAXED);
      } else {
        (void)__atomic_load_n(data_ + at, __ATOMIC_RELAXED);
      }
    }
  }

  const std::shared_ptr<const FileHandle> file_;  // null when it is only read
  const std::string name_;
  const uint64_t offset_;
  const MapMode mode_;
  std::unique_ptr<GuardedRange> guard_;
};

}  // namespace

Result<std::unique_ptr<MappedRegion>> map_posix_file(std::shared_ptr<const FileHandle> file,
                                                     const std::string& name, uint64_t offset, uint64_t size,
                                                     MapMode mode) {
  if (size == 0 || size > kMappingBytesMax || offset > kMappingBytesMax || offset % page_bytes() != 0) {
    return Status(StatusCode::invalid_argument, "a mapping of " + std::to_string(size) + " bytes", name,
                  offset);
  }
  (void)mapping_guard_in_force();
  const uint64_t mapped = align_up(size, page_bytes());
  const int protection = mode == MapMode::write ? PROT_READ | PROT_WRITE : PROT_READ;
  void* const data = mmap(nullptr, mapped, protection, MAP_SHARED, file->get(), static_cast<off_t>(offset));
  if (data == MAP_FAILED) return status_of_errno(errno, "map", name, offset);
  madvise(data, mapped, MADV_DONTFORK);
  if (mode == MapMode::read && size >= kHugePageBytes) madvise(data, mapped, MADV_HUGEPAGE);
  auto region = std::make_unique<PosixMappedRegion>(static_cast<char*>(data), size, std::move(file), name,
                                                    offset, mode);
  if (Status status = region->guard(); !status.ok()) return status;
  return std::unique_ptr<MappedRegion>(std::move(region));
}

}  // namespace lightning
