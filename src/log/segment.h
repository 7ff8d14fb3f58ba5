// Segment: a stretch of the log, in memory (what readers read) and in a file (what survives), the same bytes
// at the same positions.
//
// Format of the file "0000000001.log": a header page of 4 KiB, then the data; position p of the data is file
// offset 4096 + p and LSN base_lsn + p. The header:
//   0  u64 magic   8 u32 format version   12 u32 zero    16 u64 number     24 u64 base LSN
//   32 u64 capacity of the data
//   40 u64 salt   48 u64 database id      56 u64 incarnation               64 u64 page cache  72 u64 zero
//   80 u64 checksum of bytes 0 to 79, seeded with kSegmentHeaderSeed; it, magic and version stand where they
//   stand in every version to come
//   256 u64 mirror of `published`, outside the checksum: after a killed process (same
//   page cache, that is, boot and mounting of the file system) everything below it is there; 0 = nothing said
//   all other bytes of the page are zero
// A file may be shorter than its capacity: a clean close cuts it at the log's end.
//
// Kinds of file: mapped (writers store finished records into a shared mapping) and written (one writer at a
// time pwrites what is published, in order; for file systems that cannot reserve, or without the SIGBUS
// guard).
//
// Invariants
//  L1  tail only grows; a reserved range is filled by the one who reserved it (I1).
//  L2  Exactly one reservation crosses the end: it begins at or before end_limit() and does not fit.
//  L3  Nothing is read from the mapping: the kernel may give back a page's former bytes after a failed
//      write-back.
// Thread safety: reserve() and complete() any threads, each for its own range; write_out() and sync() one at
// a time.
#pragma once

#include <lightning/status.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "io/env.h"
#include "log/record.h"

namespace lightning {

inline constexpr uint64_t kSegmentHeaderBytes = 4096;
inline constexpr uint64_t kSegmentHeaderChecked = 80;
inline constexpr uint64_t kSegmentHeaderSeed = 0x7365676d656e7431ull;
inline constexpr uint64_t kSegmentMirrorOffset = 256;
inline constexpr uint64_t kSegmentMagic = 0x31474f4c42444c00ull;  // "\0LDBLOG1"
inline constexpr uint32_t kSegmentFormatVersion = 1;

/// What a segment's header says.
struct SegmentIdentity {
  uint64_t number = 0;
  uint64_t base_lsn = 0;
  uint64_t capacity = 0;
  uint64_t salt = 0;
  uint64_t database_id = 0;
  uint64_t incarnation = 0;
  uint64_t page_cache_id = 0;
};

/// "0000000001.log"
std::string segment_file_name(uint64_t number);
/// False when `name` is no segment's.
bool parse_segment_file_name(const std::string& name, uint64_t* number);

enum class SegmentFileKind { mapped, written };

class Segment {
 public:
  /// Makes the file, its blocks reserved where that can be, its header synced (the directory is the caller's
  /// to sync), and the memory. `wanted` mapped falls back to written where the file system cannot reserve.
  /// `recycled`, if given, is a file already under the right name whose blocks are used again.
  static Result<std::shared_ptr<Segment>> create(Directory& directory, const SegmentIdentity& identity,
                                                 SegmentFileKind wanted, std::unique_ptr<File> recycled);
  /// Reads an existing one into memory, for recovery. `writable` opens the file for mending.
  static Result<std::shared_ptr<Segment>> open(Directory& directory, uint64_t number, bool writable);

  /// Reads one whose header does not verify, for repair: place and database as `expected` says, and the salt
  /// from the first record's mark. Records then verify, or do not, as ever. `corruption` when the header does
  /// not even name the database, but for a few bits.
  static Result<std::shared_ptr<Segment>> open_headless(Directory& directory,
                                                        const SegmentIdentity& expected);
  /// Reads the header of the file of segment `number` alone, as open() does.
  static Status read_header(File& file, uint64_t number, SegmentIdentity* identity, uint64_t* mirror);
  /// The header page that `identity` gets.
  static std::string header_page(const SegmentIdentity& identity);
  /// The first byte of a header page that has to be zero and is not; kSegmentHeaderBytes if none.
  static uint64_t first_stray_byte(const char* header_page);

  const SegmentIdentity& identity() const { return identity_; }
  uint64_t number() const { return identity_.number; }
  uint64_t base_lsn() const { return identity_.base_lsn; }
  uint64_t end_lsn() const { return identity_.base_lsn + identity_.capacity; }
  uint64_t capacity() const { return identity_.capacity; }
  uint64_t salt() const { return identity_.salt; }
  SegmentFileKind kind() const { return kind_; }
  std::string file_name() const { return segment_file_name(number()); }
  /// The record memory at an LSN inside.
  char* at(uint64_t lsn) const { return memory_.data() + (lsn - identity_.base_lsn); }
  const char* data() const { return memory_.data(); }
  /// Bytes of data held in memory: the capacity, or what a loaded file had.
  uint64_t loaded_bytes() const { return memory_.size() < capacity() ? memory_.size() : capacity(); }
  uint64_t memory_bytes() const { return memory_.size(); }
  /// What the header page of a loaded file said of `published`, 0 unless it is of this page cache.
  uint64_t published_mirror(uint64_t page_cache_id) const {
    return page_cache_id != 0 && identity_.page_cache_id == page_cache_id ? loaded_mirror_ : 0;
  }

  // Writing.
  /// For the writer to whom the whole segment was promised when it was made: [base_lsn(), + length) is taken.
  void reserve_first(uint64_t length) { tail_.store(length, std::memory_order_relaxed); }
  enum class Reserved { here, crossed, beyond };
  /// Takes `length` bytes at `*lsn`. `crossed`: the caller owns [*lsn, end_lsn()) and must write the end
  /// record there.
  Reserved reserve(uint64_t length, uint64_t* lsn);
  /// The longest record that this segment could ever take.
  uint64_t record_bytes_max() const { return capacity() - kEndRecordBytesMin; }
  bool full() const { return tail_.load(std::memory_order_relaxed) > record_bytes_max(); }
  /// Reserved so far, in bytes.
  uint64_t used() const {
    const uint64_t tail = tail_.load(std::memory_order_relaxed);
    return tail < capacity() ? tail : capacity();
  }
  /// Every reservation here is below it, or comes after this call in the order of all sequentially consistent
  /// operations.
  uint64_t tail_lsn() const {
    return identity_.base_lsn + std::min(tail_.load(std::memory_order_seq_cst), capacity());
  }
  /// Completes the record at `lsn`, whose first `bytes` but the mark stand in memory: copies it to the
  /// mapping and sets both marks.
  void complete(uint64_t lsn, uint32_t bytes);
  void mirror_published(uint64_t lsn);

  /// Position from which on somebody should prepare what comes next; who takes it has to.
  bool take_ahead_trigger(uint64_t lsn) {
    uint64_t trigger = ahead_trigger_.load(std::memory_order_relaxed);
    if (lsn < trigger) [[likely]]
      return false;
    return ahead_trigger_.compare_exchange_strong(trigger, UINT64_MAX, std::memory_order_relaxed);
  }
  void set_ahead_trigger(uint64_t lsn) { ahead_trigger_.store(lsn, std::memory_order_relaxed); }

  // The file.
  /// Makes memory and mapping of [from, to) bytes of data present.
  void populate(uint64_t from, uint64_t to) EXCLUDES(populate_mutex_);
  /// Kind written: puts [from, to) (LSNs) into the file.
  Status write_out(uint64_t from_lsn, uint64_t to_lsn);
  Status sync();
  /// The mapping met a fault: what was stored since may be lost.
  bool faulted() const { return mapping_ != nullptr && mapping_->faulted(); }
  /// No store comes any more, no writer is in an epoch that could touch it, and everything is synced: gives
  /// the mapping back.
  void drop_mapping() EXCLUDES(populate_mutex_) {
    MutexLock lock(populate_mutex_);
    mapping_ = nullptr;
  }
  /// Writes [from, to) (LSNs) from memory again and zeros behind `to`, synced: what recovery does to the cut
  /// segment.
  Status rewrite(uint64_t from_lsn, uint64_t to_lsn);
  /// Cuts the file at `lsn`, synced.
  Status cut(uint64_t lsn);
  Result<uint64_t> disk_bytes() { return file_->disk_bytes(); }
  File& file() { return *file_; }
  /// Nothing is written any more: the file, to be used for another segment.
  std::unique_ptr<File> take_file() { return std::move(file_); }
  /// Its memtable is in runs, and these refer to values in the file: it stays. Set and asked by whoever
  /// flushes.
  void keep_file() { keeps_file_ = true; }
  bool keeps_file() const { return keeps_file_; }

 private:
  Segment() = default;
  static bool parse_header(const char* page, SegmentIdentity* identity);
  /// Reads the data behind the header into memory.
  Status load_data();

  SegmentIdentity identity_;
  SegmentFileKind kind_ = SegmentFileKind::written;
  PageMemory memory_;
  std::unique_ptr<File> file_;
  std::unique_ptr<MappedRegion> mapping_;
  bool keeps_file_ = false;
  uint64_t loaded_mirror_ = 0;
  Mutex populate_mutex_;  // the mapping is not dropped while it is populated
  std::atomic<uint64_t> ahead_trigger_{0};
  // Bytes reserved; a line that only writers touch. Partner of a reservation: tail_lsn().
  alignas(64) std::atomic<uint64_t> tail_{0};
};

}  // namespace lightning
