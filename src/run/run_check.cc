// RunFile::verify(): reads everything that a run file holds and compares what it says twice.

#include <algorithm>
#include <cstring>
#include <new>

#include "format/expiry.h"
#include "format/internal_key.h"
#include "run/expiry_tally.h"
#include "run/fences.h"
#include "run/leaf_page.h"
#include "run/run_file.h"
#include "run/run_index.h"

namespace lightning {

class RunCheck : public LeafKeys {
 public:
  RunCheck(const RunFile& run, const RunCheckEvents& events)
      : run_(run), footer_(*run.footer_), pages_(*run.pages_), fences_(*run.fences_), events_(events) {}

  Status check() {
    pages_.distrust();
    check_footer();
    check_fences();
    check_index_pages();
    for (uint32_t number = 0; number < fences_.leaves(); ++number) {
      check_leaf(number);
      if (first_.is(StatusCode::out_of_memory)) return first_;
      if (events_.progressed) events_.progressed(offset_of_leaf(number));
    }
    if (all_leaves_read_) check_sums();
    if (Status fault = run_.faulted(); !fault.ok()) note(fault);
    if (events_.progressed) events_.progressed(footer_.file_bytes);
    return first_;
  }

  // A cut fence is compared with the first key of the leaf at hand or, for a key of the leaf before, of this
  // one.
  Status compare_first_key(uint32_t, std::string_view key, int* order) const override {
    *order = first_key_.compare(key);
    return Status();
  }

 private:
  struct Extent {
    uint64_t offset;
    uint64_t size;
  };

  void note(const Status& status) {
    if (first_.ok()) first_ = status;
    if (events_.found) events_.found(status);
  }
  void damaged(std::string_view what, uint64_t offset) { note(pages_.corruption(what, offset)); }
  uint64_t footer_offset() const { return footer_.file_bytes - kUnitBytes; }

  // Footer and fences were read when the file was opened: are they still what stands there?
  void check_footer() {
    RunPages::Page page;
    RunPages::Owner owner;
    Status status;
    if (!pages_.fetch(footer_offset(), kUnitBytes, &page, &owner, &status)) return note(status);
    if (std::memcmp(page.data, &footer_, kUnitBytes) != 0) damaged("footer", footer_offset());
    const RunFileInfo& info = run_.info();
    if (footer_.file_id != info.id || footer_.lsn_min != info.lsn_min || footer_.lsn_max != info.lsn_max ||
        info.lsn_min > info.lsn_max) {
      damaged("LSN range", footer_offset());
    }
    check_zeros({footer_.leaves_end, footer_.index_offset - footer_.leaves_end});
    // Behind the fences: range removals, value list and page table, in this order, where there are any.
    uint64_t end = footer_.fences_offset + footer_.fences_bytes;
    if (footer_.range_removals != 0) {
      check_zeros({end, footer_.ranges_offset - end});
      end = footer_.ranges_offset + footer_.ranges_bytes;
      check_section("range removals checksum", footer_.ranges_offset, footer_.ranges_bytes,
                    footer_.ranges_checksum);
    }
    if (footer_.values_bytes != 0) {
      check_zeros({end, footer_.values_offset - end});
      end = footer_.values_offset + footer_.values_bytes;
      check_section("value list checksum", footer_.values_offset, footer_.values_bytes,
                    footer_.values_checksum);
    }
    if (has_page_table(footer_)) {
      check_zeros({end, footer_.table_offset - end});
      end = footer_.table_offset + footer_.table_bytes;
      check_section("page table checksum", footer_.table_offset, footer_.table_bytes, footer_.table_checksum);
    }
    check_zeros({end, footer_offset() - end});
  }

  void check_section(std::string_view what, uint64_t offset, uint64_t size, uint64_t sum) {
    RunPages::Page page;
    RunPages::Owner owner;
    Status status;
    if (!pages_.fetch(offset, size, &page, &owner, &status)) return note(status);
    if (checksum(page.data, page.size, page_seed(footer_.file_id, offset / kUnitBytes)) != sum)
      damaged(what, offset);
  }

  void check_fences() {
    check_section("fences checksum", footer_.fences_offset, footer_.fences_bytes, footer_.fences_checksum);
    if (!fences_.heads_agree()) damaged("heads of the fences", footer_.fences_offset);
  }

  // Each page once, so that its damage is not told for every key that it would lead to.
  void check_index_pages() {
    for (uint64_t number = 0; number < footer_.index_buckets; number += kBucketsPerPage) {
      RunBucket copy;
      Status status;
      if (pages_.bucket(number, &copy, &status, RunPages::Use::reread) != nullptr) continue;
      index_read_ = false;
      note(status);
    }
  }

  uint64_t offset_of_leaf(uint32_t number) const { return pages_.leaf_offset(fences_.page(number)); }

  void check_leaf(uint32_t number) {
    const uint64_t offset = offset_of_leaf(number);
    const bool before_read = !skipped_leaf_;
    RunPages::Page page;
    RunPages::Owner owner;
    Status status;
    LeafPage leaf;
    skipped_leaf_ = true;
    if (!pages_.leaf(fences_.page(number), &page, &owner, &status, RunPages::Use::reread)) {
      all_leaves_read_ = false;
      return note(status);
    }
    if (offset < leaves_end_ || !leaf.parse(page.data, page.size)) {
      all_leaves_read_ = false;
      return damaged("leaf", offset);
    }
    skipped_leaf_ = false;
    leaves_end_ = offset + pages_.leaf_stored_bytes(page);
    leaves_hash_ = add_leaf_hash(leaves_hash_, page.data);
    used_.push_back({offset, pages_.leaf_stored_bytes(page)});
    const std::string before = key_;
    for (uint32_t slot = 0; slot < leaf.count(); ++slot) {
      check_entry(page, leaf, slot);
      if (slot == 0) first_key_ = key_;
    }
    check_fence(number, before, number > 0 && before_read);
  }

  void check_fence(uint32_t number, const std::string& before, bool has_before) {
    int against_first = 0;
    int against_before = 1;
    if (Status s = fences_.compare(number, first_key_, *this, &against_first); !s.ok()) return note(s);
    if (has_before) {
      if (Status s = fences_.compare(number, before, *this, &against_before); !s.ok()) return note(s);
    }
    if (against_first > 0 || against_before <= 0) damaged("fence", footer_.fences_offset);
    if (number == 0 && first_key_ != fences_.smallest()) damaged("smallest key", footer_.fences_offset);
  }

  void check_entry(const RunPages::Page& page, const LeafPage& leaf, uint32_t slot) {
    const uint64_t offset = pages_.offset_of(page, page.data + leaf.slot_offset(slot));
    LeafEntry entry;
    if (!leaf.entry(slot, &entry)) return damaged("entry", offset);
    std::string key(leaf.prefix());
    key.append(entry.suffix);
    bool exact;
    if ((entries_ > 0 && key <= key_) || leaf.lower_bound(key, &exact) != slot || !exact)
      return damaged("order of keys", offset);
    key_ = std::move(key);
    entries_ += 1;
    raw_bytes_ += key_.size();
    removals_ += entry.kind() == EntryKind::remove ? 1 : 0;
    check_versions(entry, offset);
    if (index_read_)
      check_locator(make_locator(page.number, leaf.slot_offset(slot), footer_.leaf_bytes), offset);
  }

  void check_versions(const LeafEntry& entry, uint64_t offset) {
    if ((entry.flags & kEntryVersioned) == 0) {
      return check_value({kSettledLsn, entry.flags, entry.value_size, entry.body}, true);
    }
    VersionReader versions(entry.body);
    if (!versions.ok()) return damaged("versions", offset);
    uint64_t lsn_before = UINT64_MAX;
    while (versions.left() > 0) {
      LeafVersion version;
      if (!versions.next(&version) || version.lsn >= lsn_before) return damaged("versions", offset);
      if (version.lsn != kSettledLsn && (version.lsn < footer_.lsn_min || version.lsn >= footer_.lsn_max))
        damaged("a version's LSN", offset);
      const bool newest = lsn_before == UINT64_MAX;
      if (newest && version.kind() != entry.kind()) damaged("kind of an entry", offset);
      lsn_before = version.lsn;
      check_value(version, newest);
    }
  }

  void check_value(const LeafVersion& version, bool newest) {
    raw_bytes_ += version.value_size;
    std::string_view value = version.bytes;
    RunPages::Owner owner;
    Status status;
    if (version.outside()) {
      const bool here = (version.ref().offset & kInValueFile) == 0;
      // They are listed in the order of their entries.
      if (!here && version.ref().offset != (kInValueFile | listed_values_++)) {
        all_values_read_ = false;
        return damaged("the value list has another order", footer_.values_offset);
      }
      if (!pages_.value(version.ref(), version.value_size, &value, &owner, &status)) {
        all_values_read_ = false;
        return note(status);
      }
      if (here) note_value(version);
    }
    if (newest && version.kind() == EntryKind::put_expiring) expiries_.add(expiry_of(value));
  }

  void note_value(const LeafVersion& version) {
    uint64_t bytes;
    Status status;
    if (!pages_.value_stored_bytes(version.ref(), version.value_size, &bytes, &status)) return note(status);
    used_.push_back({version.ref().offset & ~kCompressedValue, bytes});
  }

  // Does the key's hash lead to its entry?
  void check_locator(uint32_t locator, uint64_t offset) {
    const uint64_t buckets = footer_.index_buckets;
    if (buckets == 0) return;
    const uint64_t hash = hash_key(key_);
    const uint64_t numbers[] = {first_bucket(hash, buckets), second_bucket(hash, buckets)};
    for (const uint64_t number : numbers) {
      RunBucket copy;
      Status status;
      const char* bucket = pages_.bucket(number, &copy, &status, RunPages::Use::pass);
      if (bucket == nullptr) return note(status);
      BucketMatches matches(bucket, fingerprint(hash));
      while (const uint32_t found = matches.next()) {
        if (found == locator) return;
      }
      if (!bucket_overflowed(bucket, fingerprint(hash))) break;
    }
    damaged("the point index does not know the entry", offset);
  }

  void check_sums() {
    const RunFileInfo& info = run_.info();
    if (entries_ != footer_.entries || removals_ != footer_.removals || raw_bytes_ != footer_.raw_bytes ||
        entries_ != info.entries || removals_ != info.removals || raw_bytes_ != info.raw_bytes) {
      damaged("counts", footer_offset());
    }
    if (listed_values_ != run_.values().size()) damaged("values in value files", footer_.values_offset);
    const bool expiry_known = !all_values_read_ || expiries_.sums(entries_) == footer_.expiry;
    if (!expiry_known || footer_.expiry != info.expiry) damaged("times of expiry", footer_offset());
    if (leaves_hash_ != footer_.leaves_hash) damaged("hash of all leaves", footer_offset());
    if (key_ != fences_.largest()) damaged("largest key", footer_.fences_offset);
    if (index_read_) check_index_size();
    check_gaps();
  }

  // No locator but those of the entries: each entry has one of its own.
  void check_index_size() {
    uint64_t locators = 0;
    for (uint64_t number = 0; number < footer_.index_buckets; ++number) {
      RunBucket copy;
      Status status;
      const char* bucket = pages_.bucket(number, &copy, &status, RunPages::Use::pass);
      if (bucket == nullptr) return note(status);
      for (uint32_t slot = 0; slot < kRunBucketSlots; ++slot) {
        locators += BucketMatches::bucket_locator(bucket, slot) != 0 ? 1 : 0;
      }
    }
    if (footer_.index_buckets != 0 && locators != footer_.entries)
      damaged("number of locators", footer_.index_offset);
  }

  // Every byte below leaves_end is of one leaf, of one value, or zero.
  void check_gaps() {
    std::sort(used_.begin(), used_.end(),
              [](const Extent& a, const Extent& b) { return a.offset < b.offset; });
    uint64_t end = 0;
    for (const Extent& extent : used_) {
      if (extent.offset < end) {
        damaged("two things at one place", extent.offset);
      } else {
        check_zeros({end, extent.offset - end});
      }
      end = std::max(end, extent.offset + extent.size);
    }
    check_zeros({end, footer_.leaves_end - end});
  }

  void check_zeros(Extent gap) {
    constexpr uint64_t kPieceBytes = 64 << 10;
    while (gap.size > 0) {
      const uint64_t size = std::min(gap.size, kPieceBytes);
      RunPages::Page page;
      RunPages::Owner owner;
      Status status;
      if (!pages_.fetch(gap.offset, size, &page, &owner, &status)) return note(status);
      const char* const stray = std::find_if(page.data, page.data + size, [](char c) { return c != 0; });
      if (stray != page.data + size)
        return damaged("a gap is not zero", gap.offset + static_cast<uint64_t>(stray - page.data));
      gap = {gap.offset + size, gap.size - size};
    }
  }

  const RunFile& run_;
  const Footer& footer_;
  const RunPages& pages_;
  const Fences& fences_;
  const RunCheckEvents& events_;
  Status first_;
  bool index_read_ = true;
  bool all_leaves_read_ = true;
  bool all_values_read_ = true;
  bool skipped_leaf_ = false;
  std::vector<Extent> used_;  // leaves, and values outside of them
  std::string key_;           // of the last entry
  std::string first_key_;     // of the leaf at hand
  uint64_t leaves_end_ = 0;
  uint64_t leaves_hash_ = 0;
  uint64_t entries_ = 0;
  uint64_t removals_ = 0;
  uint64_t raw_bytes_ = 0;
  uint64_t listed_values_ = 0;
  ExpiryTally expiries_;
};

Status RunFile::verify(const RunCheckEvents& events) const try {
  return RunCheck(*this, events).check();
} catch (const std::bad_alloc&) {
  return Status(StatusCode::out_of_memory, "to verify a run file");
}

}  // namespace lightning
