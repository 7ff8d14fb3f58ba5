#include <lightning/status.h>

#include <atomic>
#include <cstring>
#include <new>

namespace lightning {

// Shared by all copies of a Status; the characters of both views stand behind it in the same block.
struct Status::Detail {
  mutable std::atomic<uint32_t> references;  // partner: release()
  StatusCode code;
  uint64_t offset;
  std::string_view message;
  std::string_view file;

  /// One for each code, where there is no memory for another: never freed, so that their counts do not
  /// matter.
  static const Detail kWithoutMemory[];
  bool stands() const;
  static const Detail* make(StatusCode code, std::string_view message, std::string_view file,
                            uint64_t offset);
};

namespace {
constexpr std::string_view kNoWords = "there was no memory to say more";
}

constinit const Status::Detail Status::Detail::kWithoutMemory[] = {
    {{1}, StatusCode::ok, kWholeFile, kNoWords, ""},
    {{1}, StatusCode::not_found, kWholeFile, kNoWords, ""},
    {{1}, StatusCode::already_exists, kWholeFile, kNoWords, ""},
    {{1}, StatusCode::invalid_argument, kWholeFile, kNoWords, ""},
    {{1}, StatusCode::corruption, kWholeFile, kNoWords, ""},
    {{1}, StatusCode::io_error, kWholeFile, kNoWords, ""},
    {{1}, StatusCode::no_space, kWholeFile, kNoWords, ""},
    {{1}, StatusCode::out_of_memory, kWholeFile, kNoWords, ""},
    {{1}, StatusCode::busy, kWholeFile, kNoWords, ""},
    {{1}, StatusCode::closed, kWholeFile, kNoWords, ""},
    {{1}, StatusCode::not_supported, kWholeFile, kNoWords, ""},
    {{1}, StatusCode::unknown_outcome, kWholeFile, kNoWords, ""},
    {{1}, StatusCode::conflict, kWholeFile, kNoWords, ""},
    {{1}, StatusCode::deadlock, kWholeFile, kNoWords, ""},
    {{1}, StatusCode::snapshot_too_old, kWholeFile, kNoWords, ""},
    {{1}, StatusCode::cancelled, kWholeFile, kNoWords, ""},
};

bool Status::Detail::stands() const { return this == &kWithoutMemory[static_cast<size_t>(code)]; }

const Status::Detail* Status::Detail::make(StatusCode code, std::string_view message, std::string_view file,
                                           uint64_t offset) {
  if (code == StatusCode::ok) return nullptr;
  void* block = ::operator new(sizeof(Detail) + message.size() + file.size(), std::nothrow);
  if (block == nullptr) return &kWithoutMemory[static_cast<size_t>(code)];
  char* characters = static_cast<char*>(block) + sizeof(Detail);
  if (!message.empty()) std::memcpy(characters, message.data(), message.size());
  if (!file.empty()) std::memcpy(characters + message.size(), file.data(), file.size());
  return new (block)
      Detail{{1}, code, offset, {characters, message.size()}, {characters + message.size(), file.size()}};
}

std::string_view status_code_name(StatusCode code) {
  switch (code) {
    case StatusCode::ok:
      return "ok";
    case StatusCode::not_found:
      return "not_found";
    case StatusCode::already_exists:
      return "already_exists";
    case StatusCode::invalid_argument:
      return "invalid_argument";
    case StatusCode::corruption:
      return "corruption";
    case StatusCode::io_error:
      return "io_error";
    case StatusCode::no_space:
      return "no_space";
    case StatusCode::out_of_memory:
      return "out_of_memory";
    case StatusCode::busy:
      return "busy";
    case StatusCode::closed:
      return "closed";
    case StatusCode::not_supported:
      return "not_supported";
    case StatusCode::unknown_outcome:
      return "unknown_outcome";
    case StatusCode::conflict:
      return "conflict";
    case StatusCode::deadlock:
      return "deadlock";
    case StatusCode::snapshot_too_old:
      return "snapshot_too_old";
    case StatusCode::cancelled:
      return "cancelled";
  }
  return "unknown";
}

Status::Status(StatusCode code, std::string_view message) noexcept
    : detail_(Detail::make(code, message, {}, kWholeFile)) {}

Status::Status(StatusCode code, std::string_view message, std::string_view file, uint64_t offset) noexcept
    : detail_(Detail::make(code, message, file, offset)) {}

Status::Status(const Status& other) noexcept : detail_(other.detail_) {
  if (detail_ != nullptr) detail_->references.fetch_add(1, std::memory_order_relaxed);
}

Status& Status::operator=(const Status& other) noexcept {
  Status copy(other);
  std::swap(detail_, copy.detail_);
  return *this;
}

void Status::release() {
  if (detail_->stands()) return;
  if (detail_->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  detail_->~Detail();
  ::operator delete(const_cast<Detail*>(detail_));
}

StatusCode Status::error_code() const { return detail_->code; }

std::string_view Status::message() const {
  return detail_ == nullptr ? std::string_view() : detail_->message;
}

std::string_view Status::file() const { return detail_ == nullptr ? std::string_view() : detail_->file; }

uint64_t Status::offset() const { return detail_ == nullptr ? 0 : detail_->offset; }

std::string Status::to_string() const {
  std::string text(status_code_name(code()));
  if (ok()) return text;
  if (!message().empty()) text.append(": ").append(message());
  if (file().empty()) return text;
  text.append(" (").append(file());
  if (offset() != kWholeFile) text.append(" at ").append(std::to_string(offset()));
  return text.append(")");
}

}  // namespace lightning
