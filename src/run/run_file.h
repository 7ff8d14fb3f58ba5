// RunFile: an open run file (run/run_format.h): point reads by its point index, ordered ones by its fences.
//
// Invariants
//  F1  A page's checksum is verified before its first use, every offset and length in it at each use.
//  F2  Damage gives the right answer or `corruption` with file and offset: no other answer, no fault.
//
// Thread safety: immutable, any threads; the bits that say which pages were verified, and a count, are
// relaxed atomics.
// Ownership: by shared_ptr. Views into a mapped file live as long as the RunFile; what was read from a file
// that is not mapped lives as long as its owner.
// Costs: fences, key range and a bit per 4 KiB page are in memory, about one byte a key; the rest is mapped.
// A point read has two dependent cache misses: the bucket, then page header and entry side by side. In a
// compressed file it has one more, the word of the page, if that is in the cache.
#pragma once

#include <lightning/status.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string_view>

#include "format/range_map.h"
#include "format/source_cursor.h"
#include "format/version.h"
#include "io/env.h"
#include "run/run_file_info.h"
#include "run/run_pages.h"
#include "run/value_list.h"

namespace lightning {

class Fences;
class RunRanges;
struct LeafEntry;

/// What RunFile::verify() tells while it works.
struct RunCheckEvents {
  std::function<void(const Status&)> found;
  std::function<void(uint64_t offset)> progressed;  // the file is read up to here
};

/// Values up to this size are copied out, longer ones referred to.
inline constexpr size_t kCopiedValueBytesMax = 1024;

class RunFile : public std::enable_shared_from_this<RunFile> {
 public:
  /// away: what the answer stands in must be read, which may wait, and the caller is in an epoch; the same
  /// call outside of one answers.
  enum class Found { absent, found, error, away };

  /// What find() found; meaningless when it found nothing. One may serve many finds.
  struct Hit {
    EntryKind kind = EntryKind::put;
    uint64_t lsn = kSettledLsn;
    std::string_view value;
    // Of the value's bytes when they are not in the mapping; without one, those of a compressed file live as
    // long as the epoch, and have at most kCopiedValueBytesMax.
    std::shared_ptr<const void> owner;
    Status status;  // on error
  };

  /// Opens run_file_name(info.id). `mapped` = false reads pages by File::read as they are needed.
  /// `corruption` when the file is missing or is not the one that `info` names, `not_supported` when its
  /// format is of a later version. `values` opens the value files that it refers to, `corruption` when one is
  /// missing; without it only files that refer to none can be opened. Leaves of a compressed file, and all
  /// pages of one that is not mapped, go through `cache`; without it they are read each time, and
  /// where most of the file is leaves past the system's cache if `directly` says so.
  static Result<std::shared_ptr<const RunFile>> open(Directory& directory, const RunFileInfo& info,
                                                     bool mapped, ValueFiles* values = nullptr,
                                                     PageCache* cache = nullptr, bool directly = false);
  ~RunFile();
  RunFile(const RunFile&) = delete;
  RunFile& operator=(const RunFile&) = delete;

  const RunFileInfo& info() const { return info_; }
  /// They hide keys of older sources, none of the file's own.
  const RangeMap& removals() const;

  /// Fetches the cache line that find() needs first.
  void prefetch(uint64_t hash) const;
  /// The newest version of `key` (an internal key) below `read_lsn`; a removal is found, too. hash =
  /// hash_key(key).
  Found find(std::string_view key, uint64_t hash, uint64_t read_lsn, Hit* hit) const;

  // find() in stages, for many keys at once: prefetch() all, locate() all, find_at() all.
  static constexpr uint64_t kNotHere = 0;
  /// Where the key may stand, its lines being fetched; kNotHere when the file does not have it.
  uint64_t locate(uint64_t hash) const;
  Found find_at(uint64_t locator, std::string_view key, uint64_t hash, uint64_t read_lsn, Hit* hit) const;
  /// What locate() answers where it would have to read; find_at() then looks itself. Such keys of a pooled
  /// file may go by more stages: want() all, read the batch, locate_in() all, read the other batch, then
  /// find_at() all.
  static constexpr uint64_t kUnknownPlace = UINT64_MAX;
  /// Wants what locate_in() needs first; answers whether the batch reads it.
  bool want(uint64_t hash, PageBatch* batch) const;
  /// `comes`: what want() answered. Wants the page where the key may stand.
  uint64_t locate_in(uint64_t hash, bool comes, PageBatch* leaves) const;

  /// An ordered walk as of `read_lsn`. The RunFile must outlive it. Null when memory is short.
  std::unique_ptr<SourceCursor> cursor(uint64_t read_lsn) const;
  /// Fetches the lines that a cursor's seek(key) needs first; for seeks over several files in stages.
  void prefetch_seek(std::string_view key) const;

  /// Its values in value files.
  const ValueList& values() const { return values_; }

  /// Bytes of the file that hold keys in [from, to), to within a leaf at either end.
  uint64_t approximate_bytes(std::string_view from, std::string_view to) const;
  /// The part of all its bytes in value files that belongs to such keys, if they are like the others.
  uint64_t approximate_value_bytes(std::string_view from, std::string_view to) const;
  /// Own memory.
  uint64_t memory_bytes() const;
  uint64_t fence_bytes() const;  // of it
  uint64_t mapped_bytes() const;
  bool mapped() const;
  /// Was it opened so?
  bool directly() const { return directly_; }
  /// Adds how many bytes of frames of the page cache hold leaves of this file, and pages of its point index.
  void count_cached(uint64_t* leaf_bytes, uint64_t* index_bytes) const;

  /// Has it a page table? Then its pages take so many bytes in the file, and decompressed.
  bool compressed() const { return table_.size() != 0; }
  /// What it was written with: the id of a codec.
  uint8_t codec() const;
  uint64_t packed_bytes() const { return table_.stored_bytes(); }
  uint64_t unpacked_bytes() const;

  /// `io_error` when a fault in the mapping was answered by a page of zeros: what was copied out of views
  /// since the last call is not to be trusted. find() and cursors ask it themselves for all but the bytes of
  /// values.
  Status faulted() const;

  /// Walks began at keys that this file answers for, and looked into so many newer runs beside it: where that
  /// is often for nothing, they are merged. The sum.
  uint64_t note_extra_seeks(uint64_t runs) const {
    return extra_seeks_.fetch_add(runs, std::memory_order_relaxed) + runs;
  }
  uint64_t extra_seeks() const { return extra_seeks_.load(std::memory_order_relaxed); }

  /// Reads everything: footer, pages, values, order, fences, the point index against the leaves, counts, key
  /// and LSN range, and whether gaps are zero. Answers the first finding; goes on to tell `events` of all, of
  /// each damaged page once.
  Status verify(const RunCheckEvents& events = {}) const;

 private:
  friend class RunCursor;
  friend class RunCheck;

  RunFile();
  [[gnu::always_inline]] inline Found read_entry(const LeafEntry& entry, const RunPages::Page& page,
                                                 uint64_t read_lsn, Hit* hit) const;
  [[gnu::always_inline]] inline Found read_at(uint64_t locator, std::string_view key, uint64_t read_lsn,
                                              Hit* hit, bool* same_key,
                                              RunPages::Use use = RunPages::Use::keep) const;
  [[gnu::noinline]] Found read_just_read(uint64_t locator, std::string_view key, uint64_t read_lsn, Hit* hit,
                                         bool* same_key) const;
  [[gnu::always_inline]] inline bool read_plain(uint64_t locator, std::string_view key, Hit* hit) const;
  [[gnu::noinline]] Found find_anywhere(std::string_view key, uint64_t hash, uint64_t read_lsn,
                                        Hit* hit) const;
  Found absent(Hit* hit) const;
  Found keep_value(Hit* hit) const;
  Found find_in_order(std::string_view key, uint64_t read_lsn, Hit* hit) const;
  /// The leaf that holds `key` if the file does; where seeks begin.
  Status find_leaf(std::string_view key, uint32_t* leaf) const;
  uint64_t bytes_before(std::string_view key) const;

  RunFileInfo info_;
  std::unique_ptr<Footer> footer_;
  uint32_t locator_offset_bits_ = 0;
  bool directly_ = false;
  ValueList values_;
  PageTable table_;  // without pages of a file that has none
  std::unique_ptr<RunPages> pages_;
  std::unique_ptr<Fences> fences_;
  std::unique_ptr<RunRanges> ranges_;
  mutable std::atomic<uint64_t> extra_seeks_{0};
};

}  // namespace lightning
