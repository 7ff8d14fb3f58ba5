#include "run/fences.h"

#include <algorithm>

#include "run/leaf_builder.h"

namespace lightning {

namespace {

/// Eight bytes of `key` behind a prefix of `prefix_size` bytes.
uint64_t head_behind(std::string_view key, uint64_t prefix_size) {
  const std::string_view rest = key.substr(std::min<size_t>(prefix_size, key.size()));
  return key_head(rest.data(), rest.size());
}

/// How many of `count` ascending heads are below `limit`.
uint32_t heads_below(const char* heads, uint32_t count, uint64_t limit) {
  uint32_t base = 0;
  while (count > 1) {
    const uint32_t half = count / 2;
    base += load<uint64_t>(heads + (base + half - 1) * 8ull) < limit ? half : 0;  // a conditional move
    count -= half;
  }
  return base + (count == 1 && load<uint64_t>(heads + base * 8ull) < limit ? 1 : 0);
}

}  // namespace

void FencesBuilder::add(uint64_t page_number, std::string_view first_key, std::string_view before) {
  size_t size = first_key.size();
  if (!pages_.empty()) size = common_prefix(first_key, before) + 1;
  const bool cut = !pages_.empty() && size > kFenceBytesMax;
  offsets_.push_back(static_cast<uint32_t>(bytes_.size()) | (cut ? kFenceCut : 0));
  bytes_.append(first_key.substr(0, std::min<size_t>(size, kFenceBytesMax)));
  pages_.push_back(static_cast<uint16_t>(page_number));
}

std::string_view FencesBuilder::fence(uint64_t leaf) const {
  const uint32_t from = offsets_[leaf] & ~kFenceCut;
  const uint32_t to =
      leaf + 1 < offsets_.size() ? offsets_[leaf + 1] & ~kFenceCut : static_cast<uint32_t>(bytes_.size());
  return std::string_view(bytes_).substr(from, to - from);
}

std::string FencesBuilder::encode(std::string_view smallest, std::string_view largest) const {
  const uint64_t leaves = pages_.size();
  const uint64_t blocks = fence_blocks(leaves);
  const auto shared = [](std::string_view a, std::string_view b) {
    return std::min<uint64_t>(common_prefix(a, b), kFencePrefixMax);
  };
  const uint64_t prefix_size = shared(fence(0), largest);
  const FencesHeader header = {.leaves = static_cast<uint32_t>(leaves),
                               .prefix_size = static_cast<uint32_t>(prefix_size),
                               .smallest_size = static_cast<uint32_t>(smallest.size()),
                               .largest_size = static_cast<uint32_t>(largest.size())};
  std::string block_heads, heads, offsets, pages, block_prefixes;
  const auto append = [](std::string& to, auto value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  uint64_t block_prefix = 0;
  for (uint64_t leaf = 0; leaf < leaves; ++leaf) {
    if (leaf % kFenceBlock == 0) {
      const uint64_t following = leaf + kFenceBlock;
      block_prefix = shared(fence(leaf), following < leaves ? fence(following) : largest);
      append(block_heads, head_behind(fence(leaf), prefix_size));
      append(block_prefixes, static_cast<uint8_t>(block_prefix));
    }
    append(heads, head_behind(fence(leaf), block_prefix));
    append(offsets, offsets_[leaf]);
    append(pages, pages_[leaf]);
  }
  append(offsets, static_cast<uint32_t>(bytes_.size()));
  std::string section;
  append(section, header);
  section.reserve(section.size() + blocks * 9 + leaves * 14 + 4 + bytes_.size() + smallest.size() +
                  largest.size());
  return section.append(block_heads)
      .append(heads)
      .append(offsets)
      .append(pages)
      .append(block_prefixes)
      .append(bytes_)
      .append(smallest)
      .append(largest);
}

bool Fences::load(std::unique_ptr<char[]> section, uint64_t size, uint64_t leaves_end) {
  if (size < sizeof(FencesHeader)) return false;
  const auto header = lightning::load<FencesHeader>(section.get());
  const uint64_t leaves = header.leaves;
  const uint64_t blocks = fence_blocks(leaves);
  const uint64_t fixed = sizeof(header) + blocks * 9 + leaves * 14 + 4;
  if (leaves == 0 || leaves > kLeafStartMax / kUnitBytes || size < fixed) return false;
  block_heads_ = section.get() + sizeof(header);
  heads_ = block_heads_ + blocks * 8;
  key_offsets_ = heads_ + leaves * 8;
  pages_ = key_offsets_ + (leaves + 1) * 4;
  block_prefixes_ = pages_ + leaves * 2;
  key_bytes_ = block_prefixes_ + blocks;
  const uint64_t key_bytes = load_at<uint32_t>(key_offsets_, leaves);
  if (size != fixed + key_bytes + header.smallest_size + header.largest_size) return false;
  uint64_t before = 0;
  for (uint64_t leaf = 0; leaf < leaves; ++leaf) {
    const uint64_t from = load_at<uint32_t>(key_offsets_, leaf) & ~kFenceCut;
    const uint64_t to = load_at<uint32_t>(key_offsets_, leaf + 1) & ~kFenceCut;
    const uint64_t page = load_at<uint16_t>(pages_, leaf);
    if (from > to || to > key_bytes || to - from > kFenceBytesMax || (leaf > 0 && page <= before) ||
        page * kUnitBytes >= leaves_end) {
      return false;
    }
    before = page;
  }
  leaves_ = header.leaves;
  prefix_size_ = header.prefix_size;
  smallest_ = {key_bytes_ + key_bytes, header.smallest_size};
  largest_ = {smallest_.data() + smallest_.size(), header.largest_size};
  size_ = size;
  section_ = std::move(section);
  return true;
}

bool Fences::heads_agree() const {
  const auto share = [](std::string_view a, std::string_view b, uint64_t prefix_size) {
    return prefix_size <= kFencePrefixMax && common_prefix(a, b) >= prefix_size;
  };
  bool cut;
  if (!share(fence(0, &cut), largest_, prefix_size_)) return false;
  for (uint32_t leaf = 0; leaf < leaves_; ++leaf) {
    const uint32_t block = leaf / kFenceBlock;
    const uint64_t block_prefix = load_at<uint8_t>(block_prefixes_, block);
    const std::string_view bytes = fence(leaf, &cut);
    if (load_at<uint64_t>(heads_, leaf) != head_behind(bytes, block_prefix)) return false;
    if (leaf % kFenceBlock != 0) continue;
    if (load_at<uint64_t>(block_heads_, block) != head_behind(bytes, prefix_size_)) return false;
    const uint32_t following = leaf + kFenceBlock;
    if (!share(bytes, following < leaves_ ? fence(following, &cut) : largest_, block_prefix)) return false;
  }
  return true;
}

std::string_view Fences::fence(uint32_t leaf, bool* cut) const {
  const auto from = load_at<uint32_t>(key_offsets_, leaf);
  const uint32_t to = load_at<uint32_t>(key_offsets_, leaf + 1) & ~kFenceCut;
  *cut = (from & kFenceCut) != 0;
  return {key_bytes_ + (from & ~kFenceCut), to - (from & ~kFenceCut)};
}

Status Fences::compare(uint32_t leaf, std::string_view key, const LeafKeys& keys, int* order) const {
  bool cut;
  const std::string_view bytes = fence(leaf, &cut);
  if (!cut) {
    *order = bytes.compare(key);
    return Status();
  }
  *order = bytes.compare(key.substr(0, bytes.size()));
  return *order != 0 ? Status() : keys.compare_first_key(leaf, key, order);
}

// How many of `count` fences are <= `key`; `fence_of` names the leaf of each.
template <typename FenceOf>
Status Fences::upper_bound(const char* heads, uint32_t count, std::string_view key, uint64_t prefix_size,
                           const LeafKeys& keys, FenceOf fence_of, uint32_t* result) const {
  const uint64_t head = head_behind(key, prefix_size);
  uint32_t low = heads_below(heads, count, head);
  uint32_t high = low;
  if (low < count && load_at<uint64_t>(heads, low) == head) {  // equal heads: the bytes decide
    high = head == UINT64_MAX ? count : heads_below(heads, count, head + 1);
  }
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    int order;
    if (Status s = compare(fence_of(middle), key, keys, &order); !s.ok()) return s;
    if (order <= 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  *result = low;
  return Status();
}

Status Fences::find(std::string_view key, const LeafKeys& keys, uint32_t* leaf) const {
  *leaf = 0;
  if (key <= smallest_) return Status();
  *leaf = leaves_ - 1;
  if (key >= largest_) return Status();  // from here on E2 holds
  const auto blocks = static_cast<uint32_t>(fence_blocks(leaves_));
  uint32_t above;
  const auto first_of = [](uint32_t block) { return block * kFenceBlock; };
  if (Status s = upper_bound(block_heads_, blocks, key, prefix_size_, keys, first_of, &above); !s.ok())
    return s;
  const uint32_t block = above == 0 ? 0 : above - 1;
  const uint32_t start = block * kFenceBlock;
  const uint32_t count = std::min(kFenceBlock, leaves_ - start);
  const auto within = [start](uint32_t index) { return start + index; };
  const uint64_t prefix_size = load_at<uint8_t>(block_prefixes_, block);
  if (Status s = upper_bound(heads_ + start * 8ull, count, key, prefix_size, keys, within, &above); !s.ok())
    return s;
  *leaf = above == 0 ? start : start + above - 1;
  return Status();
}

}  // namespace lightning
