// ByteArena: keeps copies of byte strings, and nodes of containers, where they are until it dies.
//
// Thread safety: one thread at a time. Costs: nothing while it is empty, or in the room it was given; chunks
// of a kibibyte and more.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string_view>

namespace lightning {

class ByteArena {
 public:
  ByteArena() = default;
  /// Begins with `room`, which outlives it.
  explicit ByteArena(std::span<char> room) : next_(room.data()), left_(room.size()) {}
  ~ByteArena() { free_chunks(); }
  ByteArena(const ByteArena&) = delete;
  ByteArena& operator=(const ByteArena&) = delete;

  /// What it kept is gone.
  void begin_again(std::span<char> room) {
    free_chunks();
    next_ = room.data();
    left_ = room.size();
    chunk_bytes_ = kChunkBytesMin;
    chunks_ = nullptr;
  }

  // Throw std::bad_alloc.
  std::string_view keep(std::string_view bytes) { return keep(bytes, {}); }
  /// The two in a row.
  std::string_view keep(std::string_view first, std::string_view second) {
    const size_t size = first.size() + second.size();
    char* const to = take(size, 1);
    if (!first.empty()) std::memcpy(to, first.data(), first.size());
    if (!second.empty()) std::memcpy(to + first.size(), second.data(), second.size());
    return {to, size};
  }
  /// Room for anything of no more than the usual alignment.
  char* take(size_t size, size_t alignment) {
    const size_t gap = -reinterpret_cast<uintptr_t>(next_) & (alignment - 1);
    if (size + gap > left_) [[unlikely]]
      return take_from_new(size);
    char* const to = next_ + gap;
    next_ += gap + size;
    left_ -= gap + size;
    return to;
  }

 private:
  struct alignas(std::max_align_t) Chunk {
    Chunk* before = nullptr;
  };
  static constexpr size_t kChunkBytesMin = 1024 - sizeof(Chunk);
  static constexpr size_t kChunkBytesMax = 256 << 10;

  void free_chunks() {
    for (Chunk* at = chunks_; at != nullptr;) {
      Chunk* const before = at->before;
      ::operator delete(at);
      at = before;
    }
  }
  char* take_from_new(size_t size) {
    const size_t bytes = std::max(size, chunk_bytes_);
    Chunk* const made = new (::operator new(sizeof(Chunk) + bytes)) Chunk{chunks_};
    chunks_ = made;
    char* const to = reinterpret_cast<char*>(made + 1);
    next_ = to + size;
    left_ = bytes - size;
    if (chunk_bytes_ < kChunkBytesMax) chunk_bytes_ *= 2;
    return to;
  }

  char* next_ = nullptr;
  size_t left_ = 0;
  size_t chunk_bytes_ = kChunkBytesMin;
  Chunk* chunks_ = nullptr;
};

/// For a container beside an arena: what it gives back stays taken.
template <typename T>
class ArenaAllocator {
 public:
  using value_type = T;

  explicit ArenaAllocator(ByteArena& arena) : arena_(&arena) {}
  template <typename U>
  ArenaAllocator(const ArenaAllocator<U>& other) : arena_(other.arena_) {}  // NOLINT: implicit by design

  T* allocate(size_t count) {
    static_assert(alignof(T) <= alignof(std::max_align_t));
    return reinterpret_cast<T*>(arena_->take(count * sizeof(T), alignof(T)));
  }
  void deallocate(T*, size_t) {}
  template <typename U>
  bool operator==(const ArenaAllocator<U>& other) const {
    return arena_ == other.arena_;
  }

 private:
  template <typename U>
  friend class ArenaAllocator;

  ByteArena* arena_;
};

}  // namespace lightning
