#include "format/codec.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>
#include <string>

#if LIGHTNING_HAS_LZ4
#include <lz4.h>
#include <lz4hc.h>
#endif
#if LIGHTNING_HAS_ZSTD
#include <zstd.h>
#endif

namespace lightning {

namespace {

Status damaged() { return Status(StatusCode::corruption, "compressed bytes"); }

class Plain final : public Codec {
 public:
  constexpr Plain() : Codec(codec_id(Compression::none), "none", 0) {}
  std::unique_ptr<Compressor> compressor(uint64_t) const override {
    return std::unique_ptr<Compressor>(new (std::nothrow) Copier);
  }
  Status decompress(std::string_view bytes, char* to, uint64_t size) const override {
    if (bytes.size() != size) return damaged();
    std::copy(bytes.begin(), bytes.end(), to);
    return {};
  }

 private:
  class Copier final : public Compressor {
   public:
    uint64_t compress(std::string_view bytes, char* to, uint64_t room) override {
      if (bytes.size() > room) return 0;
      std::copy(bytes.begin(), bytes.end(), to);
      return bytes.size();
    }
  };
};

constexpr Plain kPlain;

#if LIGHTNING_HAS_LZ4

constexpr uint64_t kLz4DenseFrom = 3;

class Lz4Compressor final : public Compressor {
 public:
  Lz4Compressor(uint64_t level, std::unique_ptr<char[]> state) : level_(level), state_(std::move(state)) {}
  uint64_t compress(std::string_view bytes, char* to, uint64_t room) override {
    if (bytes.size() > LZ4_MAX_INPUT_SIZE) return 0;
    const auto size = static_cast<int>(bytes.size());
    const auto limit = static_cast<int>(std::min<uint64_t>(room, std::numeric_limits<int>::max()));
    const int written = level_ < kLz4DenseFrom
                            ? LZ4_compress_fast_extState(state_.get(), bytes.data(), to, size, limit, 1)
                            : LZ4_compress_HC_extStateHC(state_.get(), bytes.data(), to, size, limit,
                                                         static_cast<int>(level_));
    return written < 0 ? 0 : static_cast<uint64_t>(written);
  }

 private:
  const uint64_t level_;
  const std::unique_ptr<char[]> state_;
};

class Lz4 final : public Codec {
 public:
  constexpr Lz4() : Codec(codec_id(Compression::lz4), "lz4", LZ4HC_CLEVEL_MAX) {}
  std::unique_ptr<Compressor> compressor(uint64_t level) const override {
    const int size = level < kLz4DenseFrom ? LZ4_sizeofState() : LZ4_sizeofStateHC();
    std::unique_ptr<char[]> state(new (std::nothrow) char[static_cast<size_t>(size)]);
    if (state == nullptr) return nullptr;
    return std::unique_ptr<Compressor>(new (std::nothrow) Lz4Compressor(level, std::move(state)));
  }
  Status decompress(std::string_view bytes, char* to, uint64_t size) const override {
    constexpr uint64_t kMax = std::numeric_limits<int>::max();
    if (bytes.size() > kMax || size > kMax) return damaged();
    const int read =
        LZ4_decompress_safe(bytes.data(), to, static_cast<int>(bytes.size()), static_cast<int>(size));
    return read >= 0 && static_cast<uint64_t>(read) == size ? Status() : damaged();
  }
};

constexpr Lz4 kLz4;

#endif
#if LIGHTNING_HAS_ZSTD

constexpr uint64_t kZstdLevelMax = 19;  // beyond it takes hundreds of megabytes
constexpr uint64_t kZstdLevelUsual = 3;

struct FreeContext {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

class ZstdCompressor final : public Compressor {
 public:
  ZstdCompressor(uint64_t level, std::unique_ptr<ZSTD_CCtx, FreeContext> context)
      : level_(level), context_(std::move(context)) {}
  uint64_t compress(std::string_view bytes, char* to, uint64_t room) override {
    const size_t written = ZSTD_compressCCtx(context_.get(), to, room, bytes.data(), bytes.size(),
                                             static_cast<int>(level_ == 0 ? kZstdLevelUsual : level_));
    return ZSTD_isError(written) != 0 ? 0 : written;
  }

 private:
  const uint64_t level_;
  const std::unique_ptr<ZSTD_CCtx, FreeContext> context_;
};

class Zstd final : public Codec {
 public:
  constexpr Zstd() : Codec(codec_id(Compression::zstd), "zstd", kZstdLevelMax) {}
  std::unique_ptr<Compressor> compressor(uint64_t level) const override {
    std::unique_ptr<ZSTD_CCtx, FreeContext> context(ZSTD_createCCtx());
    if (context == nullptr) return nullptr;
    return std::unique_ptr<Compressor>(new (std::nothrow) ZstdCompressor(level, std::move(context)));
  }
  Status decompress(std::string_view bytes, char* to, uint64_t size) const override {
    thread_local std::unique_ptr<ZSTD_DCtx, FreeContext> context;
    if (context == nullptr) context.reset(ZSTD_createDCtx());
    if (context == nullptr) return Status(StatusCode::out_of_memory, "to decompress");
    const size_t read = ZSTD_decompressDCtx(context.get(), to, size, bytes.data(), bytes.size());
    return ZSTD_isError(read) == 0 && read == size ? Status() : damaged();
  }
};

constexpr Zstd kZstd;

#endif

}  // namespace

Result<const Codec*> codec_of(uint8_t id) {
  switch (id) {
    case codec_id(Compression::none):
      return static_cast<const Codec*>(&kPlain);
    case codec_id(Compression::lz4):
#if LIGHTNING_HAS_LZ4
      return static_cast<const Codec*>(&kLz4);
#else
      return Status(StatusCode::not_supported, "this build of Lightning DB is without lz4");
#endif
    case codec_id(Compression::zstd):
#if LIGHTNING_HAS_ZSTD
      return static_cast<const Codec*>(&kZstd);
#else
      return Status(StatusCode::not_supported, "this build of Lightning DB is without zstd");
#endif
    default:
      return Status(StatusCode::not_supported, "codec " + std::to_string(id) + " is of a later version");
  }
}

}  // namespace lightning
