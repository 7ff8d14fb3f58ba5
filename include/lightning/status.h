// Status and Result: how every call of Lightning DB reports its outcome. No exception crosses the API.
//
// Status is one pointer: null means ok, so that success costs nothing; an error owns its detail (code,
// message and, where a file is concerned, its name and the offset). Result<T> is a Status or a T. Both are
// [[nodiscard]].
//
// Thread safety: like an int: distinct objects are independent, one object is not synchronised.
#pragma once

#include <lightning/export.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace lightning {

enum class StatusCode : uint8_t {
  ok = 0,
  not_found,         // the named thing (database, keyspace) does not exist; an absent key is no error
  already_exists,    // the named thing exists and must not
  invalid_argument,  // the call can never succeed as it is; the message states the limit
  corruption,        // bytes on disk are not what was written; file and offset say where
  io_error,          // the system refused to read or write
  no_space,          // the disk is full; writes resume when space returns
  out_of_memory,     // the system or the memory limit refused memory; nothing was done
  busy,              // somebody else holds it, or a deadline passed before anything was done
  closed,            // the handle was closed, moved from, or inherited by a forked process
  not_supported,     // this build, file system or format version cannot do it
  unknown_outcome,   // visible; whether it survives a power cut is not known. Never retried by us
  conflict,          // another transaction was first
  deadlock,          // chosen as the victim among transactions that wait for one another
  snapshot_too_old,  // the snapshot's versions were given up
  cancelled,         // the caller asked for its end; nothing of it remains
};

/// The code's name, as in the enumeration: "corruption".
LIGHTNING_EXPORT std::string_view status_code_name(StatusCode code);

class [[nodiscard]] LIGHTNING_EXPORT Status {
 public:
  /// The offset of an error that concerns a file as a whole.
  static constexpr uint64_t kWholeFile = UINT64_MAX;

  Status() = default;
  /// An error. Without memory for its detail it keeps its code alone.
  Status(StatusCode code, std::string_view message) noexcept;
  /// An error about a place in a file.
  Status(StatusCode code, std::string_view message, std::string_view file, uint64_t offset) noexcept;
  Status(const Status& other) noexcept;
  Status& operator=(const Status& other) noexcept;
  Status(Status&& other) noexcept : detail_(std::exchange(other.detail_, nullptr)) {}
  Status& operator=(Status&& other) noexcept {
    std::swap(detail_, other.detail_);
    return *this;
  }
  ~Status() {
    if (detail_ != nullptr) release();
  }

  bool ok() const { return detail_ == nullptr; }
  StatusCode code() const { return detail_ == nullptr ? StatusCode::ok : error_code(); }
  bool is(StatusCode code) const { return this->code() == code; }
  /// Empty when ok.
  std::string_view message() const;
  /// The file concerned, empty if none.
  std::string_view file() const;
  /// The offset in file(), in bytes; kWholeFile where none is meant.
  uint64_t offset() const;
  /// One line for a person: "corruption: page checksum (000007.run at 4096)".
  std::string to_string() const;

 private:
  struct Detail;
  void release();
  StatusCode error_code() const;

  const Detail* detail_ = nullptr;
};

namespace status_detail {
/// Says what was wrong on standard error and stops: reading the value of a failed Result is a bug of the
/// caller.
[[noreturn]] LIGHTNING_EXPORT void stop_on_error(const Status& status);
}  // namespace status_detail

/// A value or the error that prevented it.
template <typename T>
class [[nodiscard]] Result {
  static_assert(!std::is_same_v<T, bool>, "a Result<bool> reads as its value where its success is meant");

 public:
  Result(T value) : value_(std::move(value)) {}       // NOLINT: implicit by design
  Result(Status error) : status_(std::move(error)) {  // NOLINT: implicit by design
    if (status_.ok())
      status_ = Status(StatusCode::invalid_argument, "a Result made of success without a value");
  }

  explicit operator bool() const { return value_.has_value(); }
  bool ok() const { return value_.has_value(); }
  const Status& status() const& { return status_; }
  Status status() && { return std::move(status_); }

  T& operator*() & { return checked(); }
  T&& operator*() && { return std::move(checked()); }
  const T& operator*() const& { return const_cast<Result*>(this)->checked(); }
  T* operator->() { return &checked(); }
  const T* operator->() const { return &const_cast<Result*>(this)->checked(); }

 private:
  T& checked() {
    if (!value_.has_value()) status_detail::stop_on_error(status_);
    return *value_;
  }

  std::optional<T> value_;
  Status status_;
};

}  // namespace lightning
