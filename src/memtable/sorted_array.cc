#include "memtable/sorted_array.h"

#include <cstring>

#include "memtable/key_sort.h"

namespace lightning {

namespace {

constexpr uint32_t kBlockLines = sizeof(KeyBlock) / 64;

void prefetch_block(const KeyBlock& block) {
  const char* line = reinterpret_cast<const char*>(&block);
  for (uint32_t i = 0; i < kBlockLines; ++i) __builtin_prefetch(line + 64 * i);
}

/// The first index in [low, high) for which `is_below` is false, without branches on its outcome.
template <typename IsBelow>
uint32_t partition_point(uint32_t low, uint32_t high, IsBelow is_below) {
  uint32_t count = high - low;
  while (count > 0) {
    const uint32_t half = (count + 1) / 2;
    low += is_below(low + half - 1) ? half : 0;
    count -= half;
  }
  return low;
}

}  // namespace

uint32_t KeyBlock::lower_bound(std::string_view key, const char* data) const {
  const size_t common = std::min<size_t>(key.size(), prefix_size);
  const int order = std::memcmp(key.data(), prefix, common);
  if (order != 0) return order < 0 ? 0 : count;
  if (key.size() < prefix_size) return 0;
  const uint64_t head = key_head(key.data() + prefix_size, key.size() - prefix_size);
  const uint32_t first = partition_point(0, count, [&](uint32_t i) { return heads[i] < head; });
  if (first == count || heads[first] != head) return first;
  const uint32_t last = partition_point(first, count, [&](uint32_t i) { return heads[i] <= head; });
  return partition_point(first, last,
                         [&](uint32_t i) { return compare_keys(log_key(data, names[i]), key) < 0; });
}

/// Fills an array from entries that come in ascending order of their keys.
class SortedArrayBuilder {
 public:
  SortedArrayBuilder(const char* data, uint32_t entries_max)
      : data_(data), array_(std::make_shared<SortedArray>()) {
    uint64_t blocks = 0;
    for (uint64_t level = entries_max; level > 1 || blocks == 0;) {
      level = (level + kBlockEntries - 1) / kBlockEntries;
      blocks += level;
    }
    array_->data_ = data;
    array_->blocks_.reserve(blocks);
  }

  /// An entry of which nothing is known but its name.
  void add(uint32_t name) { add(name, kUnknown, 0, nullptr); }
  /// An entry of another block: what that knows of the key need not be read again.
  void add(const KeyBlock& source, uint32_t slot) {
    add(source.names[slot], source.prefix_size, source.heads[slot], &source);
  }

  std::shared_ptr<const SortedArray> finish() {
    SortedArray& array = *array_;
    array.size_ = static_cast<uint32_t>(array.blocks_.size()) * kBlockEntries + count_;
    finish_block();
    array.levels_ = 1;
    uint32_t begin = 0;
    while (array.blocks_.size() - begin > 1) {
      const uint32_t end = static_cast<uint32_t>(array.blocks_.size());
      for (uint32_t block = begin; block < end; ++block)
        add(array.blocks_[block], 0);  // they do not move: reserved
      finish_block();
      begin = end;
      array.level_begin_[array.levels_++] = begin;
    }
    // Entries that were replaced leave room behind; small remainders are not worth the copy.
    if (array.blocks_.capacity() > 2 * array.blocks_.size()) array.blocks_.shrink_to_fit();
    return std::move(array_);
  }

 private:
  static constexpr uint32_t kUnknown = UINT32_MAX;

  void add(uint32_t name, uint32_t depth, uint64_t head, const KeyBlock* source) {
    if (count_ == kBlockEntries) finish_block();
    names_[count_] = name;
    depths_[count_] = depth;
    heads_[count_] = head;
    sources_[count_] = source;
    ++count_;
  }

  void finish_block() {
    if (count_ == 0) return;
    KeyBlock& block = array_->blocks_.emplace_back();
    const std::string_view first = log_key(data_, names_[0]);
    const std::string_view last = log_key(data_, names_[count_ - 1]);
    const uint32_t depth = static_cast<uint32_t>(
        shared_prefix(first.substr(0, kBlockPrefixBytes), last.substr(0, kBlockPrefixBytes)));
    block.count = static_cast<uint16_t>(count_);
    block.prefix_size = static_cast<uint16_t>(depth);
    std::memcpy(block.prefix, first.data(), depth);
    std::memcpy(block.names, names_.data(), count_ * sizeof(uint32_t));
    fill_heads(&block, depth);
    count_ = 0;
  }

  void fill_heads(KeyBlock* block, uint32_t depth) {
    uint32_t reads = 0;
    for (uint32_t i = 0; i < count_; ++i) {
      if (depths_[i] == depth) {
        block->heads[i] = heads_[i];
      } else if (depths_[i] != kUnknown && depths_[i] > depth) {
        block->heads[i] = head_from(sources_[i]->prefix, depths_[i], heads_[i], depth);
      } else {
        __builtin_prefetch(data_ + names_[i] * kLogAlignment);
        reads_[reads++] = static_cast<uint8_t>(i);
      }
    }
    for (uint32_t i = 0; i < reads; ++i) {
      const std::string_view key = log_key(data_, names_[reads_[i]]);
      block->heads[reads_[i]] = key_head(key.data() + depth, key.size() - depth);
    }
  }

  const char* const data_;
  std::shared_ptr<SortedArray> array_;
  uint32_t count_ = 0;  // entries of the block in the making, and of each:
  std::array<uint32_t, kBlockEntries> names_;
  std::array<uint32_t, kBlockEntries> depths_;  // key bytes before its head; kUnknown = no head
  std::array<uint64_t, kBlockEntries> heads_;
  std::array<const KeyBlock*, kBlockEntries> sources_;
  std::array<uint8_t, kBlockEntries> reads_;  // indexes of those whose keys have to be read
};

std::shared_ptr<const SortedArray> SortedArray::sort(const char* data, std::vector<uint32_t> names) {
  sort_by_key(data, &names);
  SortedArrayBuilder builder(data, static_cast<uint32_t>(names.size()));
  for (const uint32_t name : names) builder.add(name);
  return builder.finish();
}

namespace {

/// Where a merge stands in one of its inputs.
struct MergeInput {
  explicit MergeInput(std::span<const KeyBlock> all) : blocks(all) {}

  bool done() const { return blocks.empty(); }
  const KeyBlock& block() const { return blocks.front(); }
  void step_to(uint32_t next) {
    slot = next;
    if (slot == block().count) {
      blocks = blocks.subspan(1);
      slot = 0;
    }
  }
  void copy_block(SortedArrayBuilder* to) {
    for (uint32_t i = slot; i < block().count; ++i) to->add(block(), i);
    step_to(block().count);
  }
  /// Heads of the block after `depth` bytes: its own, or derived ones in `space`.
  const uint64_t* heads(uint32_t depth, std::array<uint64_t, kBlockEntries>* space) const {
    if (depth == block().prefix_size) return block().heads;
    for (uint32_t i = slot; i < block().count; ++i) (*space)[i] = block().head_at(i, depth);
    return space->data();
  }

  std::span<const KeyBlock> blocks;
  uint32_t slot = 0;
};

/// Merges the blocks on which both stand until one is used up.
void merge_blocks(const char* data, MergeInput* older, MergeInput* newer, SortedArrayBuilder* to) {
  const KeyBlock& x = older->block();
  const KeyBlock& y = newer->block();
  const uint32_t depth = std::min(x.prefix_size, y.prefix_size);
  if (const int order = std::memcmp(x.prefix, y.prefix, depth); order != 0) {
    (order < 0 ? older : newer)->copy_block(to);
    return;
  }
  std::array<uint64_t, kBlockEntries> x_space, y_space;
  const uint64_t* const x_heads = older->heads(depth, &x_space);
  const uint64_t* const y_heads = newer->heads(depth, &y_space);
  uint32_t i = older->slot;
  uint32_t j = newer->slot;
  while (i < x.count && j < y.count) {
    if (x_heads[i] != y_heads[j]) [[likely]] {
      const bool from_x = x_heads[i] < y_heads[j];
      to->add(from_x ? x : y, from_x ? i : j);
      i += from_x;
      j += !from_x;
      continue;
    }
    const int order = compare_keys(log_key(data, x.names[i]), log_key(data, y.names[j]));
    if (order < 0) {
      to->add(x, i++);
    } else {
      to->add(y, j++);
      i += order == 0;
    }
  }
  older->step_to(i);
  newer->step_to(j);
}

}  // namespace

std::shared_ptr<const SortedArray> SortedArray::merge(const SortedArray& older, const SortedArray& newer) {
  SortedArrayBuilder builder(older.data_, older.size_ + newer.size_);
  MergeInput x(older.leaves());
  MergeInput y(newer.leaves());
  while (!x.done() && !y.done()) merge_blocks(older.data_, &x, &y, &builder);
  while (!x.done()) x.copy_block(&builder);
  while (!y.done()) y.copy_block(&builder);
  return builder.finish();
}

SortedArray::Search::Search(const SortedArray& array) : array_(&array), level_(array.levels_) {
  if (level_ != 0) prefetch_block(array.blocks_.back());
}

bool SortedArray::Search::step(std::string_view key) {
  if (level_ == 0) return false;
  --level_;
  const uint32_t below = array_->block(level_, at_).lower_bound(key, array_->data_);
  // Above level 0: the child whose first key is the last one below `key`.
  at_ = at_ * kBlockEntries + (level_ == 0 || below == 0 ? below : below - 1);
  if (level_ != 0) {
    prefetch_block(array_->block(level_ - 1, at_));
  } else if (at_ < array_->size_) {
    __builtin_prefetch(array_->data_ + array_->name(at_) * kLogAlignment);
  }
  return level_ != 0;
}

uint32_t SortedArray::lower_bound(std::string_view key) const {
  Search search(*this);
  while (search.step(key)) {
  }
  return search.position();
}

}  // namespace lightning
