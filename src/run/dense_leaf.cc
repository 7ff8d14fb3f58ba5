#include "run/dense_leaf.h"

#include <algorithm>
#include <cstring>

#include "base/coding.h"
#include "run/leaf_builder.h"
#include "run/leaf_page.h"

namespace lightning {

namespace {

/// In front of the columns: how many bytes those of them have whose sizes do not follow from the header.
struct ColumnSizes {
  uint16_t key_sizes;
  uint16_t shared_sizes;
  uint16_t value_sizes;
  uint16_t keys;
};
static_assert(sizeof(ColumnSizes) == 8);

class Column {
 public:
  Column() = default;
  explicit Column(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool empty() const { return at_ == end_; }
  /// False when there is no further one.
  [[gnu::always_inline]] bool next_size(uint32_t* size) {
    if (at_ == end_) [[unlikely]]
      return false;
    const auto byte = static_cast<unsigned char>(*at_);
    if (byte < 0x80) [[likely]] {
      *size = byte;
      ++at_;
      return true;
    }
    const char* const behind = get_varint(at_, end_, size);
    if (behind == nullptr) return false;
    at_ = behind;
    return true;
  }
  bool has(uint64_t size) const { return size <= static_cast<uint64_t>(end_ - at_); }
  /// Only what has() them.
  std::string_view next_bytes(uint64_t size) {
    const std::string_view bytes(at_, size);
    at_ += size;
    return bytes;
  }

 private:
  const char* at_ = nullptr;
  const char* end_ = nullptr;
};

struct Columns {
  std::string_view prefix;
  std::string_view flags;
  Column key_sizes;
  Column shared_sizes;
  Column value_sizes;
  Column keys;
  Column bodies;

  /// False when the form is shorter than its columns.
  bool parse(const PageHeader& header, std::string_view dense) {
    if (dense.size() < sizeof(ColumnSizes)) return false;
    const auto sizes = load<ColumnSizes>(dense.data());
    Column all(dense.substr(sizeof(sizes)));
    const uint64_t before_bodies = uint64_t{header.prefix_size} + header.count + sizes.key_sizes +
                                   sizes.shared_sizes + sizes.value_sizes + sizes.keys;
    if (!all.has(before_bodies)) return false;
    prefix = all.next_bytes(header.prefix_size);
    flags = all.next_bytes(header.count);
    key_sizes = Column(all.next_bytes(sizes.key_sizes));
    shared_sizes = Column(all.next_bytes(sizes.shared_sizes));
    value_sizes = Column(all.next_bytes(sizes.value_sizes));
    keys = Column(all.next_bytes(sizes.keys));
    bodies = all;
    return true;
  }
  bool empty() const {
    return key_sizes.empty() && shared_sizes.empty() && value_sizes.empty() && keys.empty() && bodies.empty();
  }
};

/// Copies few bytes to `to`, which what follows overwrites; `end` is that of what may be written.
[[gnu::always_inline]] inline char* put_bytes(char* to, std::string_view bytes, const char* end) {
  copy_bytes(to, bytes.data(), bytes.size());
  (void)end;
  return to + bytes.size();
}

}  // namespace

bool restore_leaf(const PageHeader& header, std::string_view dense, char* page) {
  Columns columns;
  const uint64_t heads = align_up(sizeof(header) + uint64_t{header.prefix_size}, kEntryAlignment);
  const uint64_t slots = heads + header.count * 4ull;
  uint64_t offset = align_up(slots + header.count * 2ull, kEntryAlignment);
  if (header.count == 0 || offset > kLargeLeafBytes || !columns.parse(header, dense)) return false;
  std::memset(page + heads - kEntryAlignment, 0, kEntryAlignment);
  store(page, header);
  columns.prefix.copy(page + sizeof(header), columns.prefix.size());
  std::memset(page + offset - kEntryAlignment, 0, kEntryAlignment);

  const char* const end = page + kLargeLeafBytes;
  std::string_view key_before;
  for (uint32_t i = 0; i < header.count; ++i) {
    uint32_t key_size;
    uint32_t shared;
    uint32_t value_size;
    if (!columns.key_sizes.next_size(&key_size) || !columns.shared_sizes.next_size(&shared) ||
        !columns.value_sizes.next_size(&value_size)) {
      return false;
    }
    const auto flags = static_cast<uint8_t>(columns.flags[i]);
    const uint64_t body_size = (flags & kEntryOutside) != 0 ? sizeof(ValueRef) : value_size;
    const auto sizes_size = static_cast<uint64_t>(varint_size(key_size) + varint_size(value_size));
    if (shared > key_size || shared > key_before.size() || !columns.keys.has(key_size - shared) ||
        !columns.bodies.has(body_size) || 1 + sizes_size + key_size + body_size > kLargeLeafBytes - offset) {
      return false;
    }
    char* at = page + offset;
    *at++ = static_cast<char>(flags);
    at = put_varint(at, key_size);
    at = put_varint(at, value_size);
    const std::string_view suffix(at, key_size);
    at = put_bytes(at, key_before.substr(0, shared), end);
    at = put_bytes(at, columns.keys.next_bytes(key_size - shared), end);
    at = put_bytes(at, columns.bodies.next_bytes(body_size), end);
    store<uint32_t>(page + heads + i * 4ull, leaf_head(suffix));
    store<uint16_t>(page + slots + i * 2ull, static_cast<uint16_t>(offset / kEntryAlignment));
    offset = align_up(static_cast<uint64_t>(at - page), kEntryAlignment);
    while (at != page + offset) *at++ = 0;
    key_before = suffix;
  }
  std::memset(page + offset, 0, kLargeLeafBytes - offset);
  return columns.empty();
}

bool DenseLeaf::gather(const char* page) {
  LeafPage leaf;
  if (!leaf.parse(page, kLargeLeafBytes)) return false;
  for (std::string* column : {&flags_, &key_sizes_, &shared_sizes_, &value_sizes_, &keys_, &bodies_})
    column->clear();
  const auto put_size = [](std::string* column, uint64_t size) {
    char bytes[kVarint64BytesMax];
    column->append(bytes, put_varint(bytes, size));
  };
  std::string_view key_before;
  for (uint32_t slot = 0; slot < leaf.count(); ++slot) {
    LeafEntry entry;
    if (!leaf.entry(slot, &entry)) return false;
    const size_t shared = common_prefix(key_before, entry.suffix);
    flags_ += static_cast<char>(entry.flags);
    put_size(&key_sizes_, entry.suffix.size());
    put_size(&shared_sizes_, shared);
    put_size(&value_sizes_, entry.value_size);
    keys_.append(entry.suffix.substr(shared));
    bodies_.append(entry.body);
    if (keys_.size() + bodies_.size() > kLargeLeafBytes) return false;  // entries on top of one another
    key_before = entry.suffix;
  }
  const ColumnSizes sizes = {.key_sizes = static_cast<uint16_t>(key_sizes_.size()),
                             .shared_sizes = static_cast<uint16_t>(shared_sizes_.size()),
                             .value_sizes = static_cast<uint16_t>(value_sizes_.size()),
                             .keys = static_cast<uint16_t>(keys_.size())};
  form_.assign(reinterpret_cast<const char*>(&sizes), sizeof(sizes));
  form_.append(leaf.prefix());
  for (const std::string* column : {&flags_, &key_sizes_, &shared_sizes_, &value_sizes_, &keys_, &bodies_})
    form_.append(*column);
  return true;
}

std::string_view DenseLeaf::of(const char* page) {
  if (!gather(page) || form_.size() > kDenseLeafBytesMax) return {};
  restored_.resize(kLargeLeafBytes);
  const bool same = restore_leaf(load<PageHeader>(page), form_, restored_.data()) &&
                    std::memcmp(restored_.data(), page, kLargeLeafBytes) == 0;
  return same ? std::string_view(form_) : std::string_view();
}

uint64_t DenseLeaf::memory_bytes() const {
  return flags_.capacity() + key_sizes_.capacity() + shared_sizes_.capacity() + value_sizes_.capacity() +
         keys_.capacity() + bodies_.capacity() + form_.capacity() + restored_.capacity();
}

}  // namespace lightning
