// Env: everything that the core asks of the outside world: files, background threads, time, memory pages.
//
// The core calls no clock, thread or file function itself. posix_env() is the real world; testing/ has a
// simulated one that runs threads one at a time, loses what was not synced and fails any call on request.
// What bypasses Env cannot be tested.
//
// Invariants
//  N1  Every failure is a Status; a short transfer is continued inside, never reported as success.
//  N2  A name is durable only after Directory::sync() of its directory, bytes only after File::sync().
//  N3  After File::sync() failed nothing may be assumed of bytes written since the last success: the caller
//      gives up the file for writing (the kernel may report success next time although the bytes are lost).
// Thread safety: FileSystem, Executor, Clock, Directory: any threads. File: any threads (positioned calls).
// MappedRegion:
// its bytes are the caller's to synchronise.
// Ownership: objects are owned by whoever received them; a File or MappedRegion may outlive its Directory.
#pragma once

#include <lightning/status.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lightning {

class File;

/// One read of File::read_many().
struct ReadRequest {
  File* file = nullptr;
  uint64_t offset = 0;
  char* to = nullptr;
  uint64_t size = 0;
  Result<uint64_t> count = uint64_t{0};  // what File::read() would have answered
};

/// A shared, writable or read-only mapping of a file. Guarded: a fault inside it (bad sector, lost file
/// system, no space) is answered by a private page of zeros or of the bytes that were there, and noted in
/// faulted().
class MappedRegion {
 public:
  virtual ~MappedRegion() = default;
  MappedRegion(const MappedRegion&) = delete;
  MappedRegion& operator=(const MappedRegion&) = delete;

  char* data() const { return data_; }
  uint64_t size() const { return size_; }

  /// Makes [offset, offset + size) present and writable (or readable) without faults; reports a full disk.
  virtual Status populate(uint64_t offset, uint64_t size) = 0;
  /// Takes the pages of [offset, offset + size) out of this process; the file keeps them.
  virtual void drop(uint64_t offset, uint64_t size) = 0;
  /// A fault was answered by a private page: what was stored there since may not reach the file.
  bool faulted() const { return faulted_->load(std::memory_order_acquire); }

 protected:
  /// `faulted` outlives the region; every read asks it, so it is no virtual call.
  MappedRegion(char* data, uint64_t size, const std::atomic<bool>* faulted)
      : data_(data), size_(size), faulted_(faulted) {}
  char* data_;
  uint64_t size_;
  const std::atomic<bool>* faulted_;  // partner: whoever answers faults
};

enum class MapMode { read, write };

class File {
 public:
  virtual ~File() = default;

  /// Reads up to `size` bytes at `offset`; fewer only at the end of the file.
  virtual Result<uint64_t> read(uint64_t offset, void* to, uint64_t size) = 0;
  /// Does all of them, side by side where the system can; each may fail alone. They may be of several files,
  /// but of one FileSystem, this file's, and into bytes that do not overlap.
  virtual void read_many(std::span<ReadRequest> requests) {
    for (ReadRequest& one : requests) one.count = one.file->read(one.offset, one.to, one.size);
  }
  virtual Status write(uint64_t offset, std::string_view bytes) = 0;
  /// Lets the system begin to bring what was written to the disk, so that sync() waits for less. A hint:
  /// nothing is durable by it, and what fails is for sync() to report.
  virtual void start_sync(uint64_t /*offset*/, uint64_t /*size*/) {}
  /// fdatasync: bytes, and the size when it changed.
  virtual Status sync() = 0;
  /// Reserves [0, size) on disk and makes the file that long; `not_supported` where the file system only
  /// pretends.
  virtual Status allocate(uint64_t size) = 0;
  virtual Status truncate(uint64_t size) = 0;
  /// Gives back the blocks that lie wholly in [offset, offset + size), which then reads as zeros; the file
  /// keeps its size. `not_supported` where the file system cannot.
  virtual Status punch(uint64_t offset, uint64_t size) = 0;
  virtual Result<uint64_t> size() = 0;
  /// Bytes that the file takes on disk.
  virtual Result<uint64_t> disk_bytes() = 0;
  /// May the file's blocks be overwritten in place for another purpose: one link, no shared extents?
  virtual bool recyclable() = 0;
  /// From now on read() goes past the system's cache where that can be done: wanted by who has a cache of its
  /// own. Then reads at multiples of 4 KiB, into such addresses, copy nothing. Before others know the file.
  virtual void read_directly() {}
  /// Gives clean cached pages of [offset, offset + size) back to the system.
  virtual void drop_cache(uint64_t offset, uint64_t size) = 0;
  virtual Result<std::unique_ptr<MappedRegion>> map(uint64_t offset, uint64_t size, MapMode mode) = 0;
};

enum class OpenMode {
  read,        // must exist
  read_write,  // must exist
  create,      // must not exist; mode 0600; read and write
};

struct FileInfo {
  std::string name;
  uint64_t size = 0;
  bool is_directory = false;
};

/// Held for as long as the database is open.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

enum class LockMode { shared, exclusive };

/// A directory held open: names below are single components, relative to the directory itself wherever it
/// moves.
class Directory {
 public:
  virtual ~Directory() = default;

  virtual Result<std::unique_ptr<File>> open(const std::string& name, OpenMode mode) = 0;
  virtual Status remove(const std::string& name) = 0;
  /// Replaces `to` if it exists.
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  /// Makes `name` of this directory known as `to_name` in `to` (a hard link).
  virtual Status link(const std::string& name, Directory& to, const std::string& to_name) = 0;
  virtual Result<std::vector<FileInfo>> list() = 0;
  virtual Status sync() = 0;
  /// `busy` with the holder's process id when another opener, in this process or another, holds it.
  virtual Result<std::unique_ptr<DirectoryLock>> lock(const std::string& name, LockMode mode) = 0;
  virtual Result<uint64_t> free_bytes() = 0;
  /// Identifies this mounting of the file system, until the machine boots; 0 where the system cannot tell. A
  /// file system that was lost and mounted again has forgotten what was not synced, in the same boot.
  virtual uint64_t mount_id() { return 0; }
  virtual const std::string& path() const = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  /// Opens a directory; with `create` makes it (mode 0700) and its missing parents, synced into their
  /// parents.
  virtual Result<std::unique_ptr<Directory>> open_directory(const std::string& path, bool create) = 0;
};

/// Quick tasks (microseconds to a few milliseconds: populating, sorting 4,096 records, marks) never wait
/// behind slow ones (flush, sync), nor those behind merges, which may take minutes: lanes are of the process.
enum class Lane { quick, slow, merge };

class Executor {
 public:
  virtual ~Executor() = default;

  /// Runs `task` once on a background thread, not before `delay_ns` have passed. Tasks cannot be taken back:
  /// their owner counts them and waits. May fail only with out_of_memory or no thread to be had; the task is
  /// then not run.
  virtual Status schedule(Lane lane, uint64_t delay_ns, std::function<void()> task) = 0;
};

class Clock {
 public:
  virtual ~Clock() = default;
  /// Never goes back; meaningless outside the process.
  virtual uint64_t monotonic_ns() = 0;
  /// The same, for measuring how long something took and for nothing else: no decision may hang on it. A
  /// simulation goes on as if nobody had asked.
  virtual uint64_t stopwatch_ns() { return monotonic_ns(); }
  /// Microseconds since 1970; may jump.
  virtual int64_t unix_micros() = 0;
};

/// Page-aligned anonymous memory, zero-filled, in huge pages where they can be had. Not inherited by a forked
/// child.
class PageMemory {
 public:
  /// `out_of_memory` when the system refuses.
  static Result<PageMemory> map(uint64_t size);

  PageMemory() = default;
  PageMemory(PageMemory&& other) noexcept : data_(other.data_), size_(other.size_) {
    other.data_ = nullptr;
    other.size_ = 0;
  }
  PageMemory& operator=(PageMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~PageMemory();

  char* data() const { return data_; }
  uint64_t size() const { return size_; }
  /// Has huge pages of [offset, offset + size) made now, as far as there are any: whoever writes there first
  /// would wait for that. Beside writers; never fails.
  void populate(uint64_t offset, uint64_t size) const;
  /// Gives the physical pages of [offset, offset + size) back; they read as zeros afterwards.
  void release(uint64_t offset, uint64_t size);

 private:
  PageMemory(char* data, uint64_t size) : data_(data), size_(size) {}
  char* data_ = nullptr;
  uint64_t size_ = 0;
};

class Env {
 public:
  virtual ~Env() = default;

  virtual FileSystem& files() = 0;
  virtual Executor& executor() = 0;
  virtual Clock& clock() = 0;
  /// Unpredictable; for salts and identities.
  virtual uint64_t random() = 0;
  /// Identifies this boot of the machine: equal as long as a killed process' page cache lives, unless the
  /// file system was mounted again (Directory::mount_id()).
  virtual uint64_t boot_id() = 0;
  /// A word that is 1 in this process and 0 in a forked child (MADV_WIPEONFORK).
  virtual const std::atomic<uint32_t>& process_word() = 0;
  /// How much memory this process may have: of the machine, or of a control group that it is in.
  virtual uint64_t memory_bytes() = 0;
  /// How many files it may have open.
  virtual uint64_t open_files_max() = 0;
  /// How many of its threads can run at a time.
  virtual size_t processors() = 0;
  /// Does a mapped file survive a fault (SIGBUS guard installed)?
  virtual bool guards_mappings() = 0;
};

/// The real one; one for the process, never destroyed.
Env& posix_env();

}  // namespace lightning
