// RunFile::verify(): reads everything that a run file holds and compares what it says twice.

#include <new>

#include "format/internal_key.h"
#include "run/fences.h"
#include "run/leaf_page.h"
#include "run/run_file.h"
#include "run/run_index.h"

namespace lightning {

class RunCheck : public LeafKeys {
 public:
  explicit RunCheck(const RunFile& run)
      : run_(run), footer_(*run.footer_), pages_(*run.pages_), fences_(*run.fences_) {}

  Status check() {
    pages_.distrust();
    if (!fences_.heads_agree()) return damaged("heads of the fences", footer_.fences_offset);
    for (uint32_t number = 0; number < fences_.leaves(); ++number) {
      if (Status s = check_leaf(number); !s.ok()) return s;
    }
    if (entries_ != footer_.entries || removals_ != footer_.removals || raw_bytes_ != footer_.raw_bytes ||
        entries_ != run_.info().entries || removals_ != run_.info().removals ||
        raw_bytes_ != run_.info().raw_bytes) {
      return damaged("counts", footer_.file_bytes - kUnitBytes);
    }
    if (leaves_hash_ != footer_.leaves_hash)
      return damaged("hash of all leaves", footer_.file_bytes - kUnitBytes);
    if (key_ != fences_.largest()) return damaged("largest key", footer_.fences_offset);
    if (Status s = check_index_size(); !s.ok()) return s;
    return run_.faulted();
  }

  // A cut fence is compared with the first key of the leaf at hand or, for a key of the leaf before, of this
  // one.
  Status compare_first_key(uint32_t, std::string_view key, int* order) const override {
    *order = first_key_.compare(key);
    return Status();
  }

 private:
  Status damaged(std::string_view what, uint64_t offset) const { return pages_.corruption(what, offset); }

  Status check_leaf(uint32_t number) {
    const uint64_t offset = fences_.page(number) * kUnitBytes;
    RunPages::Page page;
    RunPages::Owner owner;
    Status status;
    if (!pages_.leaf(fences_.page(number), &page, &owner, &status)) return status;
    LeafPage leaf;
    if (offset < leaves_end_ || !leaf.parse(page.data, page.size)) return damaged("leaf", offset);
    leaves_end_ = offset + page.size;
    leaves_hash_ = add_leaf_hash(leaves_hash_, page.data);
    const std::string before = key_;
    for (uint32_t slot = 0; slot < leaf.count(); ++slot) {
      if (Status s = check_entry(page, leaf, slot); !s.ok()) return s;
      if (slot == 0) first_key_ = key_;
    }
    int against_first = 0;
    int against_before = 1;
    if (Status s = fences_.compare(number, first_key_, *this, &against_first); !s.ok()) return s;
    if (number > 0) {
      if (Status s = fences_.compare(number, before, *this, &against_before); !s.ok()) return s;
    }
    if (against_first > 0 || against_before <= 0) return damaged("fence", footer_.fences_offset);
    if (number == 0 && first_key_ != fences_.smallest())
      return damaged("smallest key", footer_.fences_offset);
    return Status();
  }

  Status check_entry(const RunPages::Page& page, const LeafPage& leaf, uint32_t slot) {
    const uint64_t offset = page.number * kUnitBytes + leaf.slot_offset(slot);
    LeafEntry entry;
    if (!leaf.entry(slot, &entry)) return damaged("entry", offset);
    std::string key(leaf.prefix());
    key.append(entry.suffix);
    bool exact;
    if ((entries_ > 0 && key <= key_) || leaf.lower_bound(key, &exact) != slot || !exact) {
      return damaged("order of keys", offset);
    }
    key_ = std::move(key);
    entries_ += 1;
    raw_bytes_ += key_.size();
    removals_ += entry.kind() == EntryKind::remove ? 1 : 0;
    if (Status s = check_versions(entry, offset); !s.ok()) return s;
    return check_locator(make_locator(page.number, leaf.slot_offset(slot), footer_.leaf_bytes), offset);
  }

  Status check_versions(const LeafEntry& entry, uint64_t offset) {
    if ((entry.flags & kEntryVersioned) == 0) {
      return check_value({kSettledLsn, entry.flags, entry.value_size, entry.body});
    }
    VersionReader versions(entry.body);
    if (!versions.ok()) return damaged("versions", offset);
    uint64_t lsn_before = UINT64_MAX;
    while (versions.left() > 0) {
      LeafVersion version;
      if (!versions.next(&version) || version.lsn >= lsn_before) return damaged("versions", offset);
      lsn_before = version.lsn;
      if (Status s = check_value(version); !s.ok()) return s;
    }
    return Status();
  }

  Status check_value(const LeafVersion& version) {
    raw_bytes_ += version.value_size;
    if (!version.outside()) return Status();
    std::string_view value;
    RunPages::Owner owner;
    Status status;
    pages_.value(version.ref(), version.value_size, &value, &owner, &status);
    return status;
  }

  // Does the key's hash lead to its entry?
  Status check_locator(uint32_t locator, uint64_t offset) {
    const uint64_t buckets = footer_.index_buckets;
    if (buckets == 0) return Status();
    const uint64_t hash = hash_key(key_);
    const uint64_t numbers[] = {first_bucket(hash, buckets), second_bucket(hash, buckets)};
    for (const uint64_t number : numbers) {
      RunBucket copy;
      Status status;
      const char* bucket = pages_.bucket(number, &copy, &status);
      if (bucket == nullptr) return status;
      BucketMatches matches(bucket, fingerprint(hash));
      while (const uint32_t found = matches.next()) {
        if (found == locator) return Status();
      }
      if (!bucket_overflowed(bucket, fingerprint(hash))) break;
    }
    return damaged("the point index does not know the entry", offset);
  }

  // No locator but those of the entries.
  Status check_index_size() const {
    uint64_t locators = 0;
    for (uint64_t number = 0; number < footer_.index_buckets; ++number) {
      RunBucket copy;
      Status status;
      const char* bucket = pages_.bucket(number, &copy, &status);
      if (bucket == nullptr) return status;
      for (uint32_t slot = 0; slot < kRunBucketSlots; ++slot) {
        locators += BucketMatches::bucket_locator(bucket, slot) != 0 ? 1 : 0;
      }
    }
    if (footer_.index_buckets == 0 || locators == footer_.entries) return Status();
    return damaged("number of locators", footer_.index_offset);
  }

  const RunFile& run_;
  const Footer& footer_;
  const RunPages& pages_;
  const Fences& fences_;
  std::string key_;        // of the last entry
  std::string first_key_;  // of the leaf at hand
  uint64_t leaves_end_ = 0;
  uint64_t leaves_hash_ = 0;
  uint64_t entries_ = 0;
  uint64_t removals_ = 0;
  uint64_t raw_bytes_ = 0;
};

Status RunFile::verify() const try { return RunCheck(*this).check(); } catch (const std::bad_alloc&) {
  return Status(StatusCode::out_of_memory, "to verify a run file");
}

}  // namespace lightning
