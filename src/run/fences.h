// Fences: which leaf of a run may hold a key (layout in run/run_format.h).
//
// Two steps, each a binary search over 8-byte heads: the block of 64 leaves, then the leaf. Each block has a
// prefix of its own, so that heads still tell keys apart where a file holds several keyspaces or URLs.
//
// Invariants
//  E1  All offsets were checked at load and stand in own memory; page numbers ascend.
//  E2  A key between the fence of a block and the fence of the next begins with the block's prefix.
//
// Thread safety: immutable after load.
// Costs: about thirty bytes a leaf; a search in a file of a million entries about fifty nanoseconds.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "run/run_format.h"

namespace lightning {

/// Reads the first key of a leaf, for fences that were cut.
class LeafKeys {
 public:
  virtual ~LeafKeys() = default;
  /// The first key of `leaf` against `key`: negative, 0, positive.
  virtual Status compare_first_key(uint32_t leaf, std::string_view key, int* order) const = 0;
};

class FencesBuilder {
 public:
  /// `before` is the last key of the leaf before, ignored for the first.
  void add(uint64_t page_number, std::string_view first_key, std::string_view before);
  uint32_t leaves() const { return static_cast<uint32_t>(pages_.size()); }
  /// About what encode() answers.
  uint64_t file_bytes() const { return pages_.size() * 16 + bytes_.size(); }
  std::string encode(std::string_view smallest, std::string_view largest) const;

 private:
  std::string_view fence(uint64_t leaf) const;

  std::vector<uint16_t> pages_;
  std::vector<uint32_t> offsets_;
  std::string bytes_;
};

class Fences {
 public:
  /// Takes a section whose checksum was verified; false when it is malformed all the same.
  bool load(std::unique_ptr<char[]> section, uint64_t size, uint64_t leaves_end);

  /// Do heads and prefixes say what the fences say? For verify(): nothing but a checksum holds them to it
  /// before.
  bool heads_agree() const;

  uint32_t leaves() const { return leaves_; }
  uint64_t page(uint32_t leaf) const { return load_at<uint16_t>(pages_, leaf); }
  std::string_view smallest() const { return smallest_; }
  std::string_view largest() const { return largest_; }
  uint64_t memory_bytes() const { return size_; }

  /// The last leaf whose fence is <= `key`, the first leaf if none is. An error only of `keys`.
  Status find(std::string_view key, const LeafKeys& keys, uint32_t* leaf) const;
  /// The fence's bytes against `key`, reading the leaf where it was cut.
  Status compare(uint32_t leaf, std::string_view key, const LeafKeys& keys, int* order) const;

 private:
  template <typename T>
  static T load_at(const char* array, uint64_t index) {
    return lightning::load<T>(array + index * sizeof(T));
  }
  std::string_view fence(uint32_t leaf, bool* cut) const;
  template <typename FenceOf>
  Status upper_bound(const char* heads, uint32_t count, std::string_view key, uint64_t prefix_size,
                     const LeafKeys& keys, FenceOf fence_of, uint32_t* result) const;

  std::unique_ptr<char[]> section_;
  uint64_t size_ = 0;
  uint32_t leaves_ = 0;
  uint32_t prefix_size_ = 0;
  const char* block_heads_ = nullptr;
  const char* heads_ = nullptr;
  const char* key_offsets_ = nullptr;
  const char* pages_ = nullptr;
  const char* block_prefixes_ = nullptr;
  const char* key_bytes_ = nullptr;
  std::string_view smallest_;
  std::string_view largest_;
};

}  // namespace lightning
