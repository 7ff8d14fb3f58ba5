// ByteArena: keeps copies of byte strings where they are until it dies.
//
// Thread safety: one thread at a time. Costs: the first strings stand in the object itself.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace lightning {

class ByteArena {
 public:
  ByteArena() = default;
  ByteArena(const ByteArena&) = delete;
  ByteArena& operator=(const ByteArena&) = delete;

  /// Throws std::bad_alloc.
  std::string_view keep(std::string_view bytes) { return keep(bytes, {}); }
  /// The two in a row.
  std::string_view keep(std::string_view first, std::string_view second) {
    const size_t size = first.size() + second.size();
    if (size > left_) add_chunk(size);
    char* const to = next_;
    if (!first.empty()) std::memcpy(to, first.data(), first.size());
    if (!second.empty()) std::memcpy(to + first.size(), second.data(), second.size());
    next_ += size;
    left_ -= size;
    return {to, size};
  }

 private:
  static constexpr size_t kInlineBytes = 256;
  static constexpr size_t kChunkBytesMin = 1024;
  static constexpr size_t kChunkBytesMax = 256 << 10;

  void add_chunk(size_t size) {
    size_t chunk = chunk_bytes_;
    if (size > chunk) chunk = size;
    std::unique_ptr<char[]> made(new char[chunk]);
    next_ = made.get();
    chunks_.push_back(std::move(made));
    left_ = chunk;
    if (chunk_bytes_ < kChunkBytesMax) chunk_bytes_ *= 2;
  }

  char inline_[kInlineBytes];
  char* next_ = inline_;
  size_t left_ = kInlineBytes;
  size_t chunk_bytes_ = kChunkBytesMin;
  std::vector<std::unique_ptr<char[]>> chunks_;
};

}  // namespace lightning
