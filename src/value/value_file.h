// ValueFile: a file in which large values stand that entries of runs refer to.
//
// It is the file of a log segment whose records went into runs: the values stay where their commits put them,
// and are never copied (docs/adr/0010-value-files.md). What of the file no run refers to means nothing, and
// may be a hole.
//
// Invariants
//  V1  What read() hands out is a copy that had the checksum which its reference states: no hole that is
//      punched later, by whomever, changes what somebody holds.
//  V2  Whoever may read a value holds a Use: while other uses than those of the present runs exist, no hole
//      is punched.
//  V3  A file that no state names any more keeps its name until nobody uses it: so a file with one name is
//      read by nobody but the database that has this name (admin/copy.h makes second ones).
// Thread safety: immutable but for the count of uses; any threads.
// Ownership: by shared_ptr.
// Costs: an address range of the file's size; a read allocates, copies and verifies the whole value. To hand
// out bytes of the mapping would be about twice as fast, but what somebody holds would keep the space of all
// that became garbage beside it, even behind the end of the database.
#pragma once

#include <lightning/status.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "io/env.h"

namespace lightning {

/// Of the checksum of a value: right bytes at a wrong place do not verify.
inline uint64_t value_file_seed(uint64_t number, uint64_t offset) {
  return mix_seed(0x76616c7565733031ull ^ number, offset);
}

class ValueFile {
 public:
  /// `corruption` when the file is missing. `mapped` = false reads by File::read.
  static Result<std::shared_ptr<const ValueFile>> open(Directory& directory, uint64_t number,
                                                       std::string name, bool mapped);
  ValueFile(const ValueFile&) = delete;
  ValueFile& operator=(const ValueFile&) = delete;

  uint64_t number() const { return number_; }
  const std::string& name() const { return name_; }
  uint64_t size() const { return size_; }

  /// `owner` keeps the bytes of `value`.
  bool read(uint64_t offset, uint64_t size, uint64_t checksum, std::string_view* value,
            std::shared_ptr<const void>* owner, Status* status) const;
  bool faulted() const { return region_ != nullptr && region_->faulted(); }
  uint64_t mapped_bytes() const { return region_ != nullptr ? size_ : 0; }

  /// Somebody whose reads may lead here: an open run.
  class Use {
   public:
    explicit Use(std::shared_ptr<const ValueFile> file) : file_(std::move(file)) {
      file_->uses_.fetch_add(1, std::memory_order_relaxed);
    }
    Use(Use&& other) noexcept = default;
    Use& operator=(Use&&) = delete;
    ~Use() {
      if (file_ != nullptr) file_->uses_.fetch_sub(1, std::memory_order_release);
    }
    const ValueFile& operator*() const { return *file_; }
    const ValueFile* operator->() const { return file_.get(); }
    const std::shared_ptr<const ValueFile>& file() const { return file_; }

   private:
    std::shared_ptr<const ValueFile> file_;
  };
  uint64_t uses() const { return uses_.load(std::memory_order_acquire); }

 private:
  ValueFile(uint64_t number, std::string name) : number_(number), name_(std::move(name)) {}

  const uint64_t number_;
  const std::string name_;
  uint64_t size_ = 0;
  std::unique_ptr<File> file_;  // null when mapped
  std::unique_ptr<MappedRegion> region_;
  mutable std::atomic<uint64_t> uses_{0};  // partner: Use
};

}  // namespace lightning
