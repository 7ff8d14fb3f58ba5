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

struct EntrySizes {
  uint32_t of_key;
  uint32_t shared;
  uint32_t of_value;

  /// Do those that stand in the page take a byte each?
  bool short_ones() const { return (of_key | of_value) < 0x80; }
  /// What an entry has in front of its key.
  uint64_t bytes() const {
    return short_ones() ? 3 : 1 + static_cast<uint64_t>(varint_size(of_key) + varint_size(of_value));
  }
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
  /// Of the next entry; false when there are none, or they contradict themselves.
  [[gnu::always_inline]] bool next_sizes(EntrySizes* sizes) {
    return key_sizes.next_size(&sizes->of_key) && shared_sizes.next_size(&sizes->shared) &&
           value_sizes.next_size(&sizes->of_value) && sizes->shared <= sizes->of_key;
  }
  bool empty() const {
    return key_sizes.empty() && shared_sizes.empty() && value_sizes.empty() && keys.empty() && bodies.empty();
  }
};

/// Fills a page from the front.
class PageFiller {
 public:
  PageFiller(char* at, char* end) : at_(at), end_(end) {}

  char* at() const { return at_; }
  const char* end() const { return end_; }
  bool has(uint64_t size) const { return size <= static_cast<uint64_t>(end_ - at_); }

  // Where it has() that.

  [[gnu::always_inline]] void put_sizes(uint8_t flags, const EntrySizes& sizes) {
    at_[0] = static_cast<char>(flags);
    if (sizes.short_ones()) [[likely]] {
      at_[1] = static_cast<char>(sizes.of_key);
      at_[2] = static_cast<char>(sizes.of_value);
      at_ += 3;
    } else {
      at_ = put_varint(put_varint(at_ + 1, sizes.of_key), sizes.of_value);
    }
  }
  /// Bytes that stand before `readable_end`. Behind few of them others come along, which what is put next
  /// covers.
  [[gnu::always_inline]] void put(std::string_view bytes, const char* readable_end) {
    if (bytes.size() <= sizeof(Sixteen) && has(sizeof(Sixteen)) &&
        readable_end - bytes.data() >= static_cast<ptrdiff_t>(sizeof(Sixteen))) {
      store(at_, load<Sixteen>(bytes.data()));
    } else {
      std::copy(bytes.begin(), bytes.end(), at_);
    }
    at_ += bytes.size();
  }
  /// The first `size` bytes of sixteen.
  [[gnu::always_inline]] void put(Uint128 bytes, uint64_t size) {
    store(at_, bytes);
    at_ += size;
  }
  /// Zeros to a multiple of kEntryAlignment from the end.
  [[gnu::always_inline]] void align() {
    char* const aligned = at_ + (static_cast<uint64_t>(end_ - at_) & (kEntryAlignment - 1));
    if (has(kEntryAlignment)) {
      store<uint32_t>(at_, 0);
    } else {
      std::fill(at_, aligned, '\0');
    }
    at_ = aligned;
  }
  void fill_up() { std::fill(at_, end_, '\0'); }

 private:
  char* at_;
  char* const end_;
};
static_assert(kEntryAlignment == sizeof(uint32_t));

/// Puts keys, each of what it shares with the one before and the rest.
class KeyFiller {
 public:
  explicit KeyFiller(PageFiller& filler) : filler_(filler), before_(filler.at(), 0) {}

  uint64_t size_before() const { return before_.size(); }
  /// Puts the next key, and answers its head. Short ones are put together in a register: what was stored a
  /// moment ago, in pieces, is slow to load.
  [[gnu::always_inline]] uint32_t put(uint64_t shared, std::string_view rest, const char* readable_end) {
    const std::string_view key(filler_.at(), shared + rest.size());
    if (key.size() <= sizeof(Uint128) && shared < sizeof(Uint128) && filler_.has(sizeof(Uint128)) &&
        readable_end - rest.data() >= static_cast<ptrdiff_t>(sizeof(Uint128))) {
      const auto bits = static_cast<uint32_t>(shared * 8);
      first_bytes_ = (first_bytes_ & ((Uint128{1} << bits) - 1)) | load<Uint128>(rest.data()) << bits;
      filler_.put(first_bytes_, key.size());
    } else {
      put_long(shared, rest, readable_end);
    }
    before_ = key;
    const auto head = static_cast<uint32_t>(first_bytes_);
    return __builtin_bswap32(key.size() < 4 ? head & ((1u << key.size() * 8) - 1) : head);
  }

 private:
  void put_long(uint64_t shared, std::string_view rest, const char* readable_end) {
    const char* const key = filler_.at();
    filler_.put(before_.substr(0, shared), filler_.end());
    filler_.put(rest, readable_end);
    std::memcpy(&first_bytes_, key, std::min(shared + rest.size(), sizeof(first_bytes_)));
  }

  PageFiller& filler_;
  std::string_view before_;
  Uint128 first_bytes_ = 0;  // of it, and bytes that mean nothing behind it
};

}  // namespace

bool restore_leaf(const PageHeader& header, std::string_view dense, char* page) {
  Columns columns;
  const uint64_t heads = align_up(sizeof(header) + uint64_t{header.prefix_size}, kEntryAlignment);
  const uint64_t slots = heads + header.count * 4ull;
  const uint64_t entries = align_up(slots + header.count * 2ull, kEntryAlignment);
  if (header.count == 0 || entries > kLargeLeafBytes || !columns.parse(header, dense)) return false;
  store<uint32_t>(page + heads - kEntryAlignment, 0);
  store<uint32_t>(page + entries - kEntryAlignment, 0);
  store(page, header);
  columns.prefix.copy(page + sizeof(header), columns.prefix.size());

  const char* const dense_end = dense.data() + dense.size();
  PageFiller filler(page + entries, page + kLargeLeafBytes);
  KeyFiller keys(filler);
  for (uint32_t i = 0; i < header.count; ++i) {
    EntrySizes sizes;
    if (!columns.next_sizes(&sizes) || sizes.shared > keys.size_before()) return false;
    const auto flags = static_cast<uint8_t>(columns.flags[i]);
    const uint64_t body_size = (flags & kEntryOutside) != 0 ? sizeof(ValueRef) : sizes.of_value;
    const uint64_t rest_size = sizes.of_key - sizes.shared;
    if (!columns.keys.has(rest_size) || !columns.bodies.has(body_size) ||
        !filler.has(sizes.bytes() + sizes.of_key + body_size)) {
      return false;
    }
    store(page + slots + i * 2ull, static_cast<uint16_t>((filler.at() - page) / kEntryAlignment));
    filler.put_sizes(flags, sizes);
    store(page + heads + i * 4ull, keys.put(sizes.shared, columns.keys.next_bytes(rest_size), dense_end));
    filler.put(columns.bodies.next_bytes(body_size), dense_end);
    filler.align();
  }
  filler.fill_up();
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
