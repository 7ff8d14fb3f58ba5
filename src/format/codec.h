// Codec: how bytes are compressed, behind one interface, known by a byte in the format.
//
//   id  name  levels
//   0   none  -        the bytes as they are
//   1   lz4   1 to 12  from 3 on its slower, denser way; 1 unless said
//   2   zstd  1 to 19  3 unless said
// An id keeps its meaning for ever. A build without a codec says so by `not_supported` when it meets its id.
//
// Thread safety: Codec: any threads; Compressor: one thread at a time.
// Ownership: codecs live as long as the process; a compressor belongs to who made it.
// Costs: a compressor up to 4 MiB (zstd at high levels); decompress() with zstd 160 KB a thread that uses it.
#pragma once

#include <lightning/options.h>
#include <lightning/status.h>

#include <cstdint>
#include <memory>
#include <string_view>

namespace lightning {

class Compressor {
 public:
  virtual ~Compressor() = default;
  /// Compresses into [to, to + room); 0 when that does not suffice: for bytes that are not to be compressed.
  virtual uint64_t compress(std::string_view bytes, char* to, uint64_t room) = 0;
};

class Codec {
 public:
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;

  uint8_t id() const { return id_; }
  std::string_view name() const { return name_; }
  uint64_t level_max() const { return level_max_; }
  /// `level` 0 is the codec's usual one. Null when memory is short.
  virtual std::unique_ptr<Compressor> compressor(uint64_t level) const = 0;
  /// Fills [to, to + size), which is all that `bytes` must hold. `corruption` when it does not, whatever its
  /// bytes are; `out_of_memory`.
  virtual Status decompress(std::string_view bytes, char* to, uint64_t size) const = 0;

 protected:
  constexpr Codec(uint8_t id, std::string_view name, uint64_t level_max)
      : id_(id), name_(name), level_max_(level_max) {}
  ~Codec() = default;

 private:
  const uint8_t id_;
  const std::string_view name_;
  const uint64_t level_max_;
};

inline constexpr uint8_t kCodecNone = 0;

/// The codec with an id. `not_supported` when it is of a later version, or not part of this build.
Result<const Codec*> codec_of(uint8_t id);
/// The id of an option's value.
constexpr uint8_t codec_id(Compression compression) { return static_cast<uint8_t>(compression); }

}  // namespace lightning
