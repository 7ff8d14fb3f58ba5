// SparseBytes: the bytes of a simulated file, as a table of 4 KiB pages that copies share until one of them
// writes.
//
// A page that was never written is absent and reads as zeros, so that a 1 MiB segment with three records
// costs three pages, and a copy of it (a crash image) costs its table. Thread safety: externally
// synchronised, copies that share pages included.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lightning {

inline constexpr uint64_t kSectorBytes = 512;  // the largest write that a disk does whole
inline constexpr uint64_t kPageBytes = 4096;   // what memory is mapped, and disk space counted, by
inline constexpr uint64_t kSectorsPerPage = kPageBytes / kSectorBytes;

class SparseBytes {
 public:
  void read(uint64_t offset, uint64_t size, char* to) const;
  std::string read(uint64_t offset, uint64_t size) const;
  void write(uint64_t offset, std::string_view bytes);
  /// Makes everything from `offset` on zeros.
  void zero_from(uint64_t offset);
  /// Makes [offset, offset + size) zeros; whole pages of it are absent.
  void zero(uint64_t offset, uint64_t size);
  /// The page, null when it is absent.
  const char* page(uint64_t index) const {
    return index < pages_.size() && pages_[index] ? pages_[index]->data() : nullptr;
  }
  /// One past the last page that may be present.
  uint64_t page_count() const { return pages_.size(); }

 private:
  using Page = std::array<char, kPageBytes>;
  char* writable_page(uint64_t index);

  std::vector<std::shared_ptr<Page>> pages_;
};

}  // namespace lightning
