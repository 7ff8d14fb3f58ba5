// RunPages: the pages and outside values of a run file, from its mapping or by reads, verified.
//
// Invariants: what it hands out lies inside the file and had the right checksum: a page of the mapping when
// it was first used, a page or value that was read when it was read, a value in the mapping each time.
//
// Leaves of a compressed file, and all pages of a pooled one, which is not mapped, come from the page cache,
// or are read into it, verified and decompressed; then reading may wait. Who is inside an epoch gets no more
// of such a file than the cache has: leaf(), bucket() and value() answer that there is nothing, with an ok
// status, and the caller is to ask again outside (RunFile::Found::away).
//
// A frame holds a leaf of a compressed file, or a leaf or a page of the point index as it stands in a pooled
// one. What does not verify as such comes into none, and is left to a read of its own, which says what is
// wrong.
//
// Thread safety: any threads; the bits of verified pages are relaxed atomics: a page may be verified twice.
// Ownership: bytes of the mapping live as long as this object. Others live as long as their owner, which the
// caller keeps beside them; it is left alone where bytes of the mapping are handed out. A page that was found
// in the cache inside an epoch has none: it lives as long as that.
#pragma once

#include <lightning/status.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "cache/page_cache.h"
#include "io/env.h"
#include "run/page_table.h"
#include "run/read_ahead.h"
#include "run/run_format.h"
#include "run/value_list.h"

namespace lightning {

class PageBatch;

class RunPages {
 public:
  struct Page {
    const char* data = nullptr;
    uint64_t size = 0;
    uint64_t number = 0;
  };
  using Owner = std::shared_ptr<const void>;
  /// What a page is wanted for: by a point read or a scan, which have it kept in the cache, to be passed once
  /// (by a merge), to be read anew.
  enum class Use { keep, scan, pass, reread };

  /// `footer` is that of the file, verified, and outlives this object, as `values` and `table` do; `table` of
  /// a file with one. Without `cache` pages of a compressed file are read each time.
  static Result<std::unique_ptr<RunPages>> create(std::unique_ptr<File> file, std::string name,
                                                  const Footer& footer, const ValueList& values,
                                                  const PageTable& table, bool mapped, PageCache* cache);

  bool mapped() const { return map_ != nullptr; }
  /// Is it read through the cache?
  bool pooled() const { return map_ == nullptr && cached_ != nullptr; }
  /// Are its leaves read where they stand in the mapping?
  bool maps_leaves() const { return map_ != nullptr && !compressed_; }
  /// How many bytes of frames hold leaves of this file, and pages of its point index.
  void count_cached(uint64_t* leaf_bytes, uint64_t* index_bytes) const;
  bool compressed() const { return compressed_; }
  uint64_t mapped_bytes() const { return map_ != nullptr ? footer_.file_bytes : 0; }
  uint64_t memory_bytes() const {
    return bit_words() * 8 + (cached_ == nullptr ? 0 : cached_->memory_bytes());
  }
  [[gnu::always_inline]] bool faulted() const { return region_ != nullptr && region_->faulted(); }

  /// A leaf of the usual size in the mapping that was verified before; null for others, which leaf() answers.
  const char* verified_leaf(uint64_t page_number) const {
    if (!verified(page_number) || page_number >= leaf_units_end_) [[unlikely]]
      return nullptr;
    const char* data = map_ + page_number * kUnitBytes;
    return load<PageKind>(data + offsetof(PageHeader, kind)) == PageKind::leaf ? data : nullptr;
  }
  /// A whole leaf or jumbo page.
  bool leaf(uint64_t page_number, Page* page, Owner* owner, Status* status, Use use = Use::keep) const {
    if (const char* data = verified_leaf(page_number); data != nullptr) [[likely]] {
      *page = {data, leaf_bytes_, page_number};
      return true;
    }
    return load_leaf(page_number, page, owner, status, use, nullptr);
  }
  /// The same for a walk, that comes to one leaf after the other.
  bool leaf(uint64_t page_number, Page* page, Owner* owner, Status* status, Use use, ReadAhead* ahead) const {
    if (map_ != nullptr) return leaf(page_number, page, owner, status, use);
    return load_leaf(page_number, page, owner, status, use, ahead);
  }
  /// Where a leaf stands in the file, of a leaf that there is.
  uint64_t leaf_offset(uint64_t page_number) const {
    return compressed_ ? table_.offset(page_number) : page_number * kUnitBytes;
  }
  /// How many bytes a page takes there.
  uint64_t leaf_stored_bytes(const Page& page) const {
    return compressed_ ? table_.bytes(page.number) : page.size;
  }
  /// A bucket in a page of the mapping that was verified before, else null.
  const char* verified_bucket(uint64_t number) const {
    const uint64_t page_number = bucket_page(number);
    return verified(page_number) ? map_ + page_number * kUnitBytes + bucket_offset(number) : nullptr;
  }
  /// A bucket of the point index, in the mapping or copied to `copy`; null on an error.
  const char* bucket(uint64_t number, RunBucket* copy, Status* status, Use use = Use::keep) const {
    const char* bucket = verified_bucket(number);
    return bucket != nullptr ? bucket : load_bucket(number, copy, status, use);
  }
  void prefetch_bucket(uint64_t number) const {
    prefetch(bucket_page(number) * kUnitBytes + bucket_offset(number));
  }

  /// Has a page of a pooled file read with a batch, if the cache lacks it. False when it does not come so: it
  /// is there, or read when it is asked for.
  bool want_bucket(uint64_t number, PageBatch* batch) const;
  bool want_leaf(uint64_t page_number, PageBatch* batch) const;

  /// The bytes of a value that stands outside its leaf, here or in a value file.
  bool value(const ValueRef& ref, uint64_t size, std::string_view* value, std::shared_ptr<const void>* owner,
             Status* status) const;

  /// Of a reference into a value file: where the value of `size` stands.
  bool place(const ValueRef& ref, uint64_t size, ValuePlace* place, Status* status) const;

  /// [offset, + size) of the file, inside it, as it stands there: not verified.
  bool fetch(uint64_t offset, uint64_t size, Page* page, Owner* owner, Status* status) const;

  /// Fetches a line of the file; nothing when it is not mapped.
  void prefetch(uint64_t offset) const {
    if (map_ != nullptr && offset < footer_.file_bytes) __builtin_prefetch(map_ + offset);
  }

  /// Forgets what was verified, so that everything is verified again.
  void distrust() const;

  /// Where in the file a byte of a leaf stands, or the leaf, if it is compressed.
  uint64_t offset_of(const Page& page, const char* byte) const {
    return compressed_ ? table_.offset(page.number)
                       : page.number * kUnitBytes + static_cast<uint64_t>(byte - page.data);
  }
  /// How many bytes a value outside of its leaf takes in this file.
  bool value_stored_bytes(const ValueRef& ref, uint64_t size, uint64_t* bytes, Status* status) const;
  uint64_t leaf_bytes() const { return leaf_bytes_; }
  /// Where a page of the mapping was lost what was found there is no damage of the file: fault().
  Status corruption(std::string_view what, uint64_t offset) const {
    return faulted() ? fault() : Status(StatusCode::corruption, what, name_, offset);
  }
  Status fault() const;

 private:
  RunPages(std::unique_ptr<File> file, std::string name, const Footer& footer, const ValueList& values,
           const PageTable& table)
      : file_(std::move(file)),
        name_(std::move(name)),
        footer_(footer),
        values_(values),
        table_(table),
        compressed_(has_page_table(footer)) {}

  uint64_t bit_words() const { return map_ != nullptr ? footer_.file_bytes / kUnitBytes / 64 + 1 : 0; }
  // Only pages of the mapping are ever marked, so that a marked page is a mapped one.
  bool verified(uint64_t page_number) const {
    return page_number < bits_end_ &&
           (bits_[page_number / 64].load(std::memory_order_relaxed) >> page_number % 64 & 1) != 0;
  }
  void mark_verified(uint64_t page_number) const {
    bits_[page_number / 64].fetch_or(1ull << page_number % 64, std::memory_order_relaxed);
  }
  uint64_t bucket_page(uint64_t number) const { return index_start_ + number / kBucketsPerPage; }
  static uint64_t bucket_offset(uint64_t number) {
    return kIndexHeaderBytes + number % kBucketsPerPage * sizeof(RunBucket);
  }
  // `ahead`: of a walk; null of others.
  bool load_leaf(uint64_t page_number, Page* page, Owner* owner, Status* status, Use use,
                 ReadAhead* ahead) const;
  bool load_packed(uint64_t page_number, Page* page, Owner* owner, Status* status, Use use,
                   ReadAhead* ahead) const;
  bool read_packed(uint64_t page_number, Page* page, Owner* owner, Status* status, Use use,
                   ReadAhead* ahead) const;
  /// fetch() of a leaf, from what the walk read ahead where it has that.
  bool fetch_leaf(uint64_t offset, uint64_t size, ReadAhead* ahead, Page* page, Owner* owner,
                  Status* status) const;
  friend class PageBatch;
  /// A page that stands in its frame as in its pooled file.
  struct Pooled {
    uint32_t place;  // in the table
    PageKind kind;
    uint64_t number;
    uint64_t bytes;
  };
  static FrameSize frame_size(uint64_t bytes) {
    return bytes > kSmallLeafBytes ? FrameSize::large : FrameSize::small;
  }
  Pooled leaf_of(uint64_t page_number) const;
  Pooled index_page_of(uint64_t page_number) const;
  PageCache::Pin load_pooled(const Pooled& page, Use use, ReadAhead* ahead) const;
  PageCache::Pin take_pooled(const Pooled& page, uint32_t frame, const Result<uint64_t>& read, Use use) const;
  bool want_pooled(const Pooled& page, PageBatch* batch) const;
  PageCache::Pin take_packed(uint64_t page_number, const char* stored, const Result<uint64_t>& read) const;
  void note_read(Use use, uint64_t bytes) const;
  bool pooled_leaf(uint64_t page_number, Page* page, Owner* owner, Use use, ReadAhead* ahead) const;
  const char* pooled_bucket(uint64_t number, RunBucket* copy, Use use) const;
  bool unpack_value(const ValueRef& ref, uint64_t size, std::string_view* value, Owner* owner,
                    Status* status) const;
  Status placed(const Status& status, uint64_t offset) const;
  const char* load_bucket(uint64_t number, RunBucket* copy, Status* status, Use use) const;
  bool verify(const Page& page, Status* status) const;

  std::unique_ptr<File> file_;  // null when mapped
  std::string name_;
  const Footer& footer_;
  const ValueList& values_;
  const PageTable& table_;
  const bool compressed_;
  std::shared_ptr<PageCache> cache_;  // of a compressed or pooled file, as the next
  std::unique_ptr<PageCache::Table> cached_;
  uint32_t leaf_places_ = 0;  // of the table; behind them stand those of the point index
  std::unique_ptr<MappedRegion> region_;
  const char* map_ = nullptr;
  std::unique_ptr<std::atomic<uint64_t>[]> bits_;
  uint64_t bits_end_ = 0;        // pages that have a bit
  uint64_t index_start_ = 0;     // its first page
  uint64_t leaf_units_end_ = 0;  // no leaf starts at or beyond; 0 of a compressed file
  uint64_t leaf_bytes_ = 0;      // of one that is no jumbo page
};

}  // namespace lightning
