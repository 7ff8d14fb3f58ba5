#include "run/run_output.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "run/run_format.h"

namespace lightning {

namespace {
constexpr std::align_val_t kPieceAlignment{kUnitBytes};
}

void RunOutput::FreePiece::operator()(char* piece) const { ::operator delete[](piece, kPieceAlignment); }

Status RunOutput::start() {
  piece_.reset(static_cast<char*>(::operator new[](piece_bytes_, kPieceAlignment, std::nothrow)));
  if (piece_ == nullptr) return Status(StatusCode::out_of_memory, "a buffer to write a run file");
  return Status();
}

Status RunOutput::make_room() {
  if (used_ < piece_bytes_) return Status();
  const uint64_t start = piece_start();
  used_ = 0;
  if (Status s = file_->write(start, {piece_.get(), piece_bytes_}); !s.ok()) return s;
  file_->start_sync(start, piece_bytes_);
  return Status();
}

Status RunOutput::align(uint64_t alignment) {
  const uint64_t start = end_;
  const uint64_t to = align_up(end_, alignment);
  while (end_ < to) {
    if (Status s = make_room(); !s.ok()) return s;
    const uint64_t size = std::min(to - end_, piece_bytes_ - used_);
    std::memset(piece_.get() + used_, 0, size);
    used_ += size;
    end_ += size;
  }
  const uint64_t present_gap = gap_ >= piece_start() ? gap_end_ - gap_ : 0;
  if (start >= piece_start() && end_ - start > present_gap) {
    gap_ = start;
    gap_end_ = end_;
  }
  return Status();
}

Status RunOutput::append(std::string_view bytes) {
  while (!bytes.empty()) {
    if (Status s = make_room(); !s.ok()) return s;
    const uint64_t size = std::min<uint64_t>(bytes.size(), piece_bytes_ - used_);
    std::memcpy(piece_.get() + used_, bytes.data(), size);
    used_ += size;
    end_ += size;
    bytes.remove_prefix(size);
  }
  return Status();
}

Result<char*> RunOutput::page(uint64_t size) {
  if (Status s = make_room(); !s.ok()) return s;
  char* page = piece_.get() + used_;
  std::memset(page, 0, size);
  used_ += size;
  end_ += size;
  return page;
}

Result<uint64_t> RunOutput::place(std::string_view bytes) {
  const uint64_t in_gap = align_up(gap_, kValueAlignment);
  if (in_gap >= piece_start() && in_gap + bytes.size() <= gap_end_) {
    std::memcpy(piece_.get() + (in_gap - piece_start()), bytes.data(), bytes.size());
    gap_ = in_gap + bytes.size();
    return in_gap;
  }
  if (Status s = align(kValueAlignment); !s.ok()) return s;
  const uint64_t at = end_;
  if (Status s = append(bytes); !s.ok()) return s;
  return at;
}

Status RunOutput::finish() {
  if (Status s = file_->write(piece_start(), {piece_.get(), used_}); !s.ok()) return s;
  used_ = 0;
  return file_->sync();
}

}  // namespace lightning
