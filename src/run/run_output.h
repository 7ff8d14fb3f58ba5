// RunOutput: the bytes of a run file on their way to it, in aligned pieces.
//
// Thread safety: externally synchronised.
#pragma once

#include <lightning/status.h>

#include <memory>
#include <string_view>

#include "io/env.h"

namespace lightning {

class RunOutput {
 public:
  static constexpr uint64_t kPieceBytes = 2u << 20;

  /// `piece_bytes`: a power of two, and a multiple of the largest page.
  explicit RunOutput(std::unique_ptr<File> file, uint64_t piece_bytes = kPieceBytes)
      : piece_bytes_(piece_bytes), file_(std::move(file)) {}
  /// Allocates the piece.
  Status start();

  /// Where the next byte goes.
  uint64_t end() const { return end_; }
  uint64_t memory_bytes() const { return piece_bytes_; }

  /// Zeros up to a multiple of `alignment`. The gap may be filled by place().
  Status align(uint64_t alignment);
  Status append(std::string_view bytes);
  /// Appends `size` zeroed bytes, to be filled before the next call. `size` divides end() and the piece.
  Result<char*> page(uint64_t size);
  /// Puts `bytes` into a gap that align() left, or at the end; answers where.
  Result<uint64_t> place(std::string_view bytes);

  /// Writes what is left and syncs the file.
  Status finish();

 private:
  struct FreePiece {
    void operator()(char* piece) const;
  };
  uint64_t piece_start() const { return end_ - used_; }
  Status make_room();

  const uint64_t piece_bytes_;
  std::unique_ptr<File> file_;
  std::unique_ptr<char, FreePiece> piece_;
  uint64_t used_ = 0;  // bytes of the piece
  uint64_t end_ = 0;
  uint64_t gap_ = 0;  // [gap_, gap_end_) is the largest gap, as far as it still is in the piece
  uint64_t gap_end_ = 0;
};

}  // namespace lightning
