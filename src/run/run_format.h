// The bytes of a run file, NNNNNNNNNN.run: settled keys in order, a point index beside them.
//
//   leaves and values   leaf pages in key order, at multiples of the leaf size; between them the values that
//                       stand outside; gaps hold zeros that nobody reads
//   point index         pages of 63 buckets, absent in a file without the feature
//   fences              one section, read at open
//   range removals      one section, read at open; absent in a file without the feature
//   value list          one section, read at open; absent in a file without the feature
//   page table          one section, read at open; absent in a file without the feature
//   footer              the last 4 KiB
//
// Everything is little-endian. Page numbers count units of 4 KiB from the start of the file. A leaf starts
// below 256 MiB, so that its number has sixteen bits; what follows the last leaf may lie beyond.
//
// Leaf page, 4 KiB or 16 KiB, one size in a file; a jumbo page holds one larger entry, without a prefix, in
// as many units as it needs:
//   PageHeader, common prefix of all keys, to a multiple of 4
//   heads     u32 each: the first four bytes of the key behind the prefix, big-endian, filled with zeros
//   slots     u16 each: offset of the entry / 4, to a multiple of 4
//   entries   in key order, each at a multiple of 4
//
// Entry: u8 flags (EntryKind of the newest version, kEntry...), varint size of the key behind the prefix,
// varint value size, these key bytes, and then
//   - plain: the value (nothing for a removal): one settled version, visible to every reader
//   - kEntryOutside: ValueRef; the value size is that of the value it names, which stands in this file or,
//     where the offset has the bit kInValueFile, in a value file: the other bits are its index in the list
//   - kEntryVersioned: varint n >= 1; n times varint LSN, u8 flags, varint value size, newest first; then for
//     each in turn its value or ValueRef. LSN 0 is settled. The entry's value size counts all this
// A key has one entry, so one slot and one locator.
//
// Point index: a key lives in one of two buckets that its hash (format/internal_key.h) names; the first one's
// `overflow` has a bit for each class of fingerprints of which some went to their second bucket. A locator
// has 26 bits: page number and offset / 4 of the entry in 16 + 10 bits where leaves have 4 KiB, page number
// / 4 and offset / 4 in 14 + 12 bits where they have 16 KiB. 0 is empty.
//
// Fences: FencesHeader, then
//   u64 block_heads[blocks]    of the first fence of each block of 64 leaves, behind the file's common prefix
//   u64 heads[leaves]          behind the block's common prefix
//   u32 key_offsets[leaves+1]  of the fence in the key bytes; the top bit says that it is cut after 64 bytes
//                              and goes on as the first key of its leaf does
//   u16 pages[leaves], u8 block_prefixes[blocks], key bytes, smallest key, largest key
// A fence lies above the last key of the leaf before and not above the first key of its own. A prefix is at
// most 56 bytes, so that a head never reaches into what was cut.
//
// Range removals: for each fragment, in key order: varint size of `from`, of `to`, number n >= 1 of LSNs;
// from, to (the first key behind it); n times varint LSN, falling; 1 is settled. They hide versions of
// older sources alone: of the file's own keys nothing was written that they hide. So that there is a leaf,
// a file of nothing but range removals has a removal of the first key of the first of them.
//
// Value list: ValueListHeader, u64 numbers[files] of the value files, ValueListItem[values] in the order of
// keys and versions: each is named by one entry. A value file's number is that of the segment that it was.
//
// Page table: in a file with one, leaves are compressed, and the numbers of their pages say not where they
// stand but how they are called: as if 16 KiB leaves stood one behind the other, 0, 4, 8 and so on, a jumbo
// page taking as many numbers as it has units. The table has a u64 for each four numbers up to the last leaf:
// bits 0 to 35 where the page stands / 8, above them how many bytes it takes there / 8; 0 where none begins.
// Pages stand in the order of their numbers.
//   A page there: PageHeader, `stored` bytes that `codec` makes the rest of the page of (codec 0: they are
// the rest, zeros behind them), zeros to a multiple of 8. Its checksum is of what stands there.
//   Where `dense` is not 0, `codec` makes of these bytes so many, the dense form of the rest of the leaf
// (codec 0: they are that), which has nothing twice, and what is alike side by side. All else of the leaf
// follows from it, and the leaf is the one that was written, bit for bit:
//   u16 sizes of the second to fifth column, common prefix, then in columns
//   flags         u8 each
//   key sizes     varint each, of the key behind the prefix
//   shared sizes  varint each: as many bytes of that are those of the key before; 0 first
//   value sizes   varint each
//   keys          what they do not share
//   bodies        what stands behind the keys
//   A ValueRef whose offset has the bit kCompressedValue: there stand a ValueHeader and `stored` bytes; the
// checksum is of both.
//
// Checksums are seeded with the file's id and the number of the page (of a value: its offset). That of a
// value in a value file stands in its entry, seeded as value/value_file.h says.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/coding.h"
#include "base/hash.h"
#include "run/run_file_info.h"

namespace lightning {

inline constexpr uint64_t kUnitBytes = 4096;
inline constexpr uint64_t kSmallLeafBytes = 4096;
inline constexpr uint64_t kLargeLeafBytes = 16384;
/// Entries that average this much or more go into large leaves: of nine a small one loses a tenth at most.
inline constexpr uint64_t kLargeLeafEntryBytes = 432;
inline constexpr uint64_t kLeafStartMax = 65536 * kUnitBytes;
inline constexpr uint64_t kEntryAlignment = 4;
inline constexpr uint64_t kValueAlignment = 8;
inline constexpr uint64_t kRunValueBytesMax = (1u << 30) + 8;  // an expiry in front
inline constexpr uint64_t kJumboBytesMax = 1ull << 31;

enum class PageKind : uint8_t { leaf = 1, jumbo = 2, index = 3 };

struct PageHeader {
  uint64_t checksum;  // of all bytes of the page behind it, seeded page_seed()
  PageKind kind;
  uint8_t codec;         // format/codec.h; of a page that a page table leads to
  uint16_t count;        // entries (leaf), buckets (index)
  uint32_t prefix_size;  // bytes that all keys of the page share
  uint32_t units;        // of 4 KiB
  uint32_t stored;       // this and the next two: 0 where there is no page table
  uint32_t number;       // of the page
  uint32_t dense;        // bytes of the dense form; 0: none
};
static_assert(sizeof(PageHeader) == 32 && offsetof(PageHeader, units) == 16);

/// What a dense form has at most.
inline constexpr uint64_t kDenseLeafBytesMax = kLargeLeafBytes - sizeof(PageHeader);

inline uint64_t page_seed(uint64_t file_id, uint64_t page_number) { return mix_seed(file_id, page_number); }
inline uint64_t value_seed(uint64_t file_id, uint64_t offset) { return mix_seed(~file_id, offset); }

inline constexpr uint8_t kEntryKindMask = 0x03;
inline constexpr uint8_t kEntryOutside = 0x04;
inline constexpr uint8_t kEntryVersioned = 0x08;
inline constexpr uint8_t kEntryFlagsEnd = 0x0c;  // never both of the latter

struct ValueRef {
  uint64_t offset;
  uint64_t checksum;
};
static_assert(sizeof(ValueRef) == 16);
inline constexpr uint64_t kInValueFile = 1ull << 63;
inline constexpr uint64_t kCompressedValue = 1ull << 62;

struct ValueHeader {
  uint32_t stored;
  uint8_t codec;
  uint8_t reserved[3];
};
static_assert(sizeof(ValueHeader) == 8);

struct ValueListHeader {
  uint32_t files;
  uint32_t values;
};
struct ValueListItem {
  uint64_t offset;
  uint32_t file;  // index among the numbers
  uint32_t size;
};
static_assert(sizeof(ValueListHeader) == 8 && sizeof(ValueListItem) == 16);
inline uint64_t value_list_bytes(const ValueListHeader& header) {
  return sizeof(header) + header.files * uint64_t{sizeof(uint64_t)} +
         header.values * uint64_t{sizeof(ValueListItem)};
}

// Point index.

inline constexpr uint32_t kRunBucketSlots = 12;
inline constexpr uint32_t kLocatorBits = 26;
inline constexpr uint64_t kIndexHeaderBytes = 64;
inline constexpr uint64_t kBucketsPerPage = 63;

struct RunBucket {
  uint16_t fingerprints[kRunBucketSlots];
  uint8_t locators[39];  // slot i in bits 26 i .. 26 i + 25
  uint8_t overflow;      // bit c: keys of fingerprint class c are in their second bucket
};
static_assert(sizeof(RunBucket) == 64 && offsetof(RunBucket, overflow) == 63);
static_assert(kRunBucketSlots * kLocatorBits == 39 * 8);
static_assert(kIndexHeaderBytes + kBucketsPerPage * sizeof(RunBucket) == kUnitBytes);

inline uint64_t first_bucket(uint64_t hash, uint64_t buckets) { return ((hash >> 32) * buckets) >> 32; }
inline uint64_t second_bucket(uint64_t hash, uint64_t buckets) {
  return (((hash * 0x9e3779b97f4a7c15ull) >> 32) * buckets) >> 32;
}
inline uint16_t fingerprint(uint64_t hash) { return static_cast<uint16_t>(hash); }
inline uint8_t fingerprint_class(uint16_t fingerprint) {
  return static_cast<uint8_t>(1u << (fingerprint >> 13));
}

/// How many bits of a locator are the offset / 4 in the leaf.
inline uint32_t locator_offset_bits(uint64_t leaf_bytes) { return leaf_bytes == kSmallLeafBytes ? 10 : 12; }
static_assert(kSmallLeafBytes / kEntryAlignment == 1 << 10 && kLargeLeafBytes / kEntryAlignment == 1 << 12);

// Leaves are aligned to their size, so a leaf's number of units has as many zeros below as its offsets have
// bits more.
inline uint32_t make_locator(uint64_t page_number, uint64_t offset, uint64_t leaf_bytes) {
  const uint32_t bits = locator_offset_bits(leaf_bytes);
  return static_cast<uint32_t>(page_number >> (bits - 10) << bits | offset / kEntryAlignment);
}
inline uint64_t locator_page(uint64_t locator, uint32_t offset_bits) {
  return locator >> offset_bits << (offset_bits - 10);
}
inline uint64_t locator_offset(uint64_t locator, uint32_t offset_bits) {
  return (locator & ((1u << offset_bits) - 1)) * kEntryAlignment;
}

// Page table.

inline constexpr uint32_t kTableOffsetBits = 36;
inline uint64_t make_table_item(uint64_t offset, uint64_t bytes) {
  return bytes / kValueAlignment << kTableOffsetBits | offset / kValueAlignment;
}
inline uint64_t table_offset(uint64_t item) {
  return (item & ((1ull << kTableOffsetBits) - 1)) * kValueAlignment;
}
inline uint64_t table_bytes(uint64_t item) { return (item >> kTableOffsetBits) * kValueAlignment; }

// Fences.

inline constexpr uint32_t kFenceBlock = 64;
inline constexpr uint32_t kFenceBytesMax = 64;
inline constexpr uint32_t kFencePrefixMax = kFenceBytesMax - 8;
inline constexpr uint32_t kFenceCut = 1u << 31;

struct FencesHeader {
  uint32_t leaves;
  uint32_t prefix_size;  // that all fences share
  uint32_t smallest_size;
  uint32_t largest_size;
};
static_assert(sizeof(FencesHeader) == 16);

inline constexpr uint64_t fence_blocks(uint64_t leaves) { return (leaves + kFenceBlock - 1) / kFenceBlock; }

// Footer.

inline constexpr uint64_t kRunMagic = 0x0a1a6e75722d446cull;  // "lD-run\x1a\n"
inline constexpr uint32_t kRunFormatVersion = 1;
inline constexpr uint64_t kFeaturePointIndex = 1;
inline constexpr uint64_t kFeatureRangeRemovals = 2;
inline constexpr uint64_t kFeatureValueList = 4;
inline constexpr uint64_t kFeaturePageTable = 8;
inline constexpr uint64_t kFeatureDenseLeaves = 16;  // some may be; only with a page table
inline constexpr uint64_t kKnownFeatures =
    kFeaturePointIndex | kFeatureRangeRemovals | kFeatureValueList | kFeaturePageTable | kFeatureDenseLeaves;
inline constexpr uint64_t kFooterSeed = UINT64_MAX;  // stands for a page number

/// Of every format version: magic, version and checksum stand where they do here.
struct Footer {
  uint64_t magic;
  uint32_t format_version;
  uint32_t leaf_bytes;
  uint64_t features;  // a reader refuses a file with a bit that it does not know
  uint64_t file_id;
  uint64_t file_bytes;
  uint64_t leaves_end;  // leaves and values lie below
  uint64_t index_offset;
  uint64_t index_buckets;
  uint64_t fences_offset;
  uint64_t fences_bytes;
  uint64_t fences_checksum;  // seeded page_seed() of fences_offset / 4096
  uint64_t leaves;
  uint64_t leaves_hash;  // of the checksums of all leaves in order, see add_leaf_hash()
  uint64_t entries;
  uint64_t removals;
  uint64_t raw_bytes;
  uint64_t lsn_min;
  uint64_t lsn_max;
  RunExpiry expiry;
  uint64_t ranges_offset;  // this and the next three are 0 without the feature
  uint64_t ranges_bytes;
  uint64_t ranges_checksum;  // seeded page_seed() of ranges_offset / 4096
  uint64_t range_removals;   // fragments
  uint64_t values_offset;    // of the list; 0, as the next three, without the feature
  uint64_t values_bytes;
  uint64_t values_checksum;  // seeded page_seed() of values_offset / 4096
  uint64_t value_bytes;      // of the values in value files; counted in raw_bytes, too
  uint64_t table_offset;     // of the page table; 0, as the next four, without the feature
  uint64_t table_bytes;
  uint64_t table_checksum;  // seeded page_seed() of table_offset / 4096
  uint64_t pages_end;       // where all leaves would end if they stood at their numbers
  uint64_t codec;           // that the file was written with; 0, as of a page, without the feature
  uint8_t reserved[kUnitBytes - 8 * 36];
  uint64_t checksum;  // of all before it, seeded page_seed() of kFooterSeed
};
static_assert(sizeof(Footer) == kUnitBytes && offsetof(Footer, checksum) == kUnitBytes - 8);

/// Binds what the leaves hold, and so the values outside them, to the footer: `hash` is that of the leaves
/// before.
inline uint64_t add_leaf_hash(uint64_t hash, const char* page) {
  return mix_seed(hash, load<uint64_t>(page));
}

inline uint64_t index_pages(uint64_t buckets) { return (buckets + kBucketsPerPage - 1) / kBucketsPerPage; }

}  // namespace lightning
