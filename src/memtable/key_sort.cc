#include "memtable/key_sort.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "io/page_allocator.h"
#include "memtable/sorted_array.h"

namespace lightning {
namespace {

constexpr size_t kCompareItems = 24;  // ranges up to here are sorted by comparing whole keys
constexpr size_t kRadixItems = 768;   // ranges from here on by radix
constexpr size_t kAhead = 8;          // entries between a prefetch and its use

struct Item {
  uint64_t head;
  uint32_t name;
  uint32_t key_size;
};

using Items = std::vector<Item, PageAllocator<Item>>;

class KeySorter {
 public:
  KeySorter(const char* data, const std::vector<uint32_t>& names) : data_(data), items_(names.size()) {
    for (size_t i = 0; i < names.size(); ++i) items_[i].name = names[i];
  }

  /// Replaced entries get the name kNoEntry.
  const Items& run() {
    pending_.push_back({0, items_.size(), 0});
    while (!pending_.empty()) {
      const Range range = pending_.back();
      pending_.pop_back();
      const std::span<Item> items = std::span(items_).subspan(range.begin, range.count);
      if (items.size() <= kCompareItems) {
        sort_whole_keys(items);
      } else {
        const uint32_t depth = read_heads(items, range.depth);
        sort_heads(items);
        sort_ties(range.begin, items, depth + 8);
      }
    }
    return items_;
  }

 private:
  struct Range {
    size_t begin;
    size_t count;
    uint32_t depth;  // bytes that all keys of the range share
  };

  std::string_view key(const Item& item) const { return log_key(data_, item.name); }
  void prefetch(std::span<const Item> items, size_t i) const {
    if (i < items.size()) __builtin_prefetch(data_ + items[i].name * kLogAlignment);
  }

  void sort_whole_keys(std::span<Item> items) {
    if (items.size() < 2) return;
    for (size_t i = 0; i < items.size(); ++i) prefetch(items, i);
    std::sort(items.begin(), items.end(), [this](const Item& a, const Item& b) {
      const int order = compare_keys(key(a), key(b));
      return order != 0 ? order < 0 : a.name > b.name;
    });
    std::string_view last = key(items[0]);
    for (Item& item : items.subspan(1)) {
      const std::string_view next = key(item);
      if (next == last) item.name = kNoEntry;
      last = next;
    }
  }

  /// Finds what the keys share beyond `depth`, notes sizes and the heads behind it; returns the bytes shared.
  uint32_t read_heads(std::span<Item> items, uint32_t depth) {
    const std::string_view first = key(items[0]);
    size_t shared = first.size();
    for (size_t i = 0; i < items.size(); ++i) {
      prefetch(items, i + kAhead);
      const std::string_view next = key(items[i]);
      items[i].key_size = static_cast<uint32_t>(next.size());
      shared = std::min(shared, next.size());
      shared = depth + shared_prefix(first.substr(depth, shared - depth), next.substr(depth, shared - depth));
    }
    for (size_t i = 0; i < items.size(); ++i) {
      prefetch(items, i + kAhead);
      items[i].head = key_head(key(items[i]).data() + shared, items[i].key_size - shared);
    }
    return static_cast<uint32_t>(shared);
  }

  void sort_heads(std::span<Item> items) {
    if (items.size() < kRadixItems) {
      std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.head < b.head; });
    } else {
      sort_heads_by_radix(items);
    }
  }

  void sort_heads_by_radix(std::span<Item> items) {
    std::array<std::array<uint32_t, 256>, 8> counts{};
    for (const Item& item : items) {
      for (int byte = 0; byte < 8; ++byte) ++counts[byte][item.head >> (8 * byte) & 0xff];
    }
    if (scratch_.size() < items.size()) scratch_.resize(items.size());
    Item* from = items.data();
    Item* to = scratch_.data();
    for (int byte = 0; byte < 8; ++byte) {
      std::array<uint32_t, 256>& starts = counts[byte];
      if (starts[from->head >> (8 * byte) & 0xff] == items.size()) continue;  // all equal
      uint32_t start = 0;
      for (uint32_t& at : starts) start += std::exchange(at, start);
      for (size_t i = 0; i < items.size(); ++i) to[starts[from[i].head >> (8 * byte) & 0xff]++] = from[i];
      std::swap(from, to);
    }
    if (from != items.data()) std::copy(from, from + items.size(), items.data());
  }

  /// Among equal heads the keys that end within them come first, by size: the bytes that fill up a head are
  /// zeros, and so were the bytes of a longer key there. The others are sorted later by what follows.
  void sort_ties(size_t begin, std::span<Item> items, uint32_t depth) {
    for (size_t from = 0, to; from < items.size(); from = to) {
      for (to = from + 1; to < items.size() && items[to].head == items[from].head;) ++to;
      if (to - from == 1) continue;
      const auto longer = std::partition(items.begin() + from, items.begin() + to,
                                         [depth](const Item& item) { return item.key_size <= depth; });
      std::sort(items.begin() + from, longer, [](const Item& a, const Item& b) {
        return a.key_size != b.key_size ? a.key_size < b.key_size : a.name > b.name;
      });
      const size_t ended = longer - (items.begin() + from);
      for (size_t i = from + 1; i < from + ended; ++i) {
        if (items[i].key_size == items[i - 1].key_size) items[i].name = kNoEntry;
      }
      const size_t left = to - from - ended;
      if (left > 1) pending_.push_back({begin + from + ended, left, depth});
    }
  }

  const char* const data_;
  Items items_;
  Items scratch_;
  std::vector<Range> pending_;
};

}  // namespace

void sort_by_key(const char* data, std::vector<uint32_t>* names) {
  KeySorter sorter(data, *names);
  const Items& items = sorter.run();
  names->clear();
  for (const Item& item : items) {
    if (item.name != kNoEntry) names->push_back(item.name);
  }
}

}  // namespace lightning
