// LeafBuilder: gathers the entries of one leaf page and lays them out.
//
// The common prefix is known only when the last entry is, so entries wait here and are laid out at once.
// Thread safety: externally synchronised.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "run/run_format.h"

namespace lightning {

/// How many bytes two strings share at their beginning.
size_t common_prefix(std::string_view a, std::string_view b);

class LeafBuilder {
 public:
  struct Entry {
    uint64_t hash;
    uint32_t key_offset;  // in bytes_, the body behind it
    uint32_t key_size;
    uint32_t body_size;
    uint32_t value_size;
    uint32_t page_offset;  // set by build()
    uint8_t flags;
  };

  bool empty() const { return entries_.empty(); }
  const std::vector<Entry>& entries() const { return entries_; }
  std::string_view key(const Entry& entry) const {
    return {bytes_.data() + entry.key_offset, entry.key_size};
  }
  std::string_view first_key() const { return key(entries_.front()); }
  std::string_view last_key() const { return key(entries_.back()); }

  /// Bytes that the page would take with one more entry. `key` is above last_key().
  uint64_t size_with(std::string_view key, uint32_t value_size, uint64_t body_size) const;
  /// Bytes that a jumbo page of one entry would take.
  static uint64_t jumbo_size(uint64_t key_size, uint32_t value_size, uint64_t body_size);
  /// Bytes that the page takes.
  uint64_t size() const { return empty() ? 0 : page_size(prefix_size_, entries_.size(), entry_bytes_); }

  void add(std::string_view key, uint64_t hash, uint8_t flags, uint32_t value_size, std::string_view body);
  /// Lays the entries out in `page`, zeroed, of `units` times 4 KiB, and seals it.
  void build(char* page, PageKind kind, uint32_t units, uint64_t file_id, uint64_t page_number);
  void clear();

 private:
  static uint64_t page_size(uint64_t prefix_size, uint64_t count, uint64_t entry_bytes);
  static uint64_t entry_size(uint64_t suffix_size, uint32_t value_size, uint64_t body_size);
  uint64_t entry_bytes_at(uint64_t prefix_size) const;
  uint64_t prefix_with(std::string_view key) const;

  std::vector<Entry> entries_;
  std::string bytes_;
  uint64_t prefix_size_ = 0;
  uint64_t entry_bytes_ = 0;  // of all entries, at prefix_size_
};

/// Writes the checksum of a finished page.
void seal_page(char* page, uint64_t size, uint64_t file_id, uint64_t page_number);

}  // namespace lightning
