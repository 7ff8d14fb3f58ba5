#include <lightning/value.h>

#include <cstdlib>

namespace lightning {

namespace {
constexpr size_t kFirstCapacity = 128;
}  // namespace

void Value::release_buffer() { std::free(buffer_); }

void Value::swap(Value& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(buffer_, other.buffer_);
  std::swap(capacity_, other.capacity_);
  std::swap(present_, other.present_);
  std::swap(owner_, other.owner_);
}

Status Value::grow(size_t size) {
  size_t capacity = capacity_ == 0 ? kFirstCapacity : capacity_;
  while (capacity < size) capacity *= 2;
  char* buffer = static_cast<char*>(std::malloc(capacity));
  if (buffer == nullptr) return Status(StatusCode::out_of_memory, "a value's buffer");
  std::free(buffer_);
  buffer_ = buffer;
  capacity_ = capacity;
  return {};
}

void Value::refer(std::string_view bytes, std::shared_ptr<const void> owner) {
  owner_ = std::move(owner);
  data_ = bytes.data();
  size_ = bytes.size();
  present_ = true;
}

}  // namespace lightning
