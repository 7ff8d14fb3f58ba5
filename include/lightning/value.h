// Value: bytes that a read gave, kept in a buffer that the next read reuses. Lookup: what a point read found.
//
// A value of up to 1 KiB is copied into the Value's own buffer (no allocation once that has grown); a longer
// one is a counted reference to where it stands, which stays valid for as long as the Value lives, whatever
// happens to the database meanwhile.
// Thread safety: one thread at a time; may be destroyed in any thread.
#pragma once

#include <lightning/export.h>
#include <lightning/status.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace lightning {

class LIGHTNING_EXPORT Value {
 public:
  Value() = default;
  Value(Value&& other) noexcept { swap(other); }
  Value& operator=(Value&& other) noexcept {
    swap(other);
    return *this;
  }
  Value(const Value&) = delete;
  Value& operator=(const Value&) = delete;
  ~Value() {
    if (buffer_ != nullptr) release_buffer();
  }

  /// Did the read that filled it find the key? False for a fresh one.
  bool present() const { return present_; }
  std::string_view view() const { return {data_, size_}; }
  std::string string() const { return std::string(view()); }
  const char* data() const { return data_; }
  size_t size() const { return size_; }

  // For the engine: how a read fills it. Each replaces what was there.
  void clear() {
    data_ = nullptr;
    size_ = 0;
    present_ = false;
    if (owner_ != nullptr) owner_ = nullptr;
  }
  [[gnu::always_inline]] Status copy(std::string_view bytes) {
    if (owner_ != nullptr) owner_ = nullptr;
    if (bytes.size() > capacity_) {
      if (Status status = grow(bytes.size()); !status.ok()) return status;
    }
    if (!bytes.empty()) std::memcpy(buffer_, bytes.data(), bytes.size());
    data_ = buffer_;
    size_ = bytes.size();
    present_ = true;
    return {};
  }
  /// Refers to bytes that live as long as `owner` does.
  void refer(std::string_view bytes, std::shared_ptr<const void> owner);

 private:
  void swap(Value& other) noexcept;
  Status grow(size_t size);
  void release_buffer();

  const char* data_ = nullptr;
  size_t size_ = 0;
  char* buffer_ = nullptr;
  size_t capacity_ = 0;
  bool present_ = false;
  std::shared_ptr<const void> owner_;
};

/// What a point read found: true only when the key is there.
class [[nodiscard]] Lookup {
 public:
  explicit operator bool() const { return found_; }
  /// The read succeeded and the key is not there.
  bool absent() const { return !found_ && status_.ok(); }
  const Status& status() const { return status_; }
  /// The value; empty unless found. Points into the Value that was given to the read, if one was.
  std::string_view value() const { return reused_ != nullptr ? reused_->view() : own_.view(); }
  /// Takes the value out (unless the read was given one to fill).
  Value take() { return std::move(own_); }

  // For the engine.
  /// Of an error, or of ok for an absent key.
  Lookup(Status status) : status_(std::move(status)) {}  // NOLINT: implicit by design
  /// The key is there; its value is in `reused`, or not asked for.
  explicit Lookup(const Value* reused) : found_(true), reused_(reused) {}
  /// The same read, whose value it owns.
  Lookup(Lookup found, Value value)
      : status_(std::move(found.status_)), found_(found.found_), own_(std::move(value)) {}

 private:
  Status status_;
  bool found_ = false;
  const Value* reused_ = nullptr;
  Value own_;
};

}  // namespace lightning
