#include "memtable/order_index.h"

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

namespace lightning {

namespace {

constexpr uint32_t kTailMax[] = {64, 512, 4096};
constexpr uint32_t kTails = std::size(kTailMax);

Status out_of_memory() { return Status(StatusCode::out_of_memory, "no memory to order a memtable"); }

void push_newest(std::shared_ptr<const SortedArray> array, ArraySet* set) {
  std::move_backward(set->arrays.begin(), set->arrays.begin() + set->count,
                     set->arrays.begin() + set->count + 1);
  set->arrays[0] = std::move(array);
  ++set->count;
}

std::shared_ptr<const SortedArray> pop_newest(ArraySet* set) {
  std::shared_ptr<const SortedArray> array = std::move(set->arrays[0]);
  std::move(set->arrays.begin() + 1, set->arrays.begin() + set->count, set->arrays.begin());
  --set->count;
  return array;
}

/// 0, 1, ... for arrays that are small enough to be a tail of that size, kTails for all others.
uint32_t size_class(const SortedArray& array) {
  uint32_t size = 0;
  while (size < kTails && array.size() > kTailMax[size]) ++size;
  return size;
}

/// Adds `array`, newer than all, merged with those that it outgrows; so there is one tail of a size at most.
void add(std::shared_ptr<const SortedArray> array, ArraySet* set) {
  const auto outgrows_next = [&] {
    if (set->count == 0) return false;
    const SortedArray& next = *set->arrays[0];
    const uint32_t next_class = size_class(next);
    if (next_class < kTails || size_class(*array) < kTails) return next_class <= size_class(*array);
    return next.size() < 2 * uint64_t{array->size()} || set->count >= kOrderArraysMax - kTails;
  };
  while (outgrows_next()) array = SortedArray::merge(*pop_newest(set), *array);
  push_newest(std::move(array), set);
}

}  // namespace

Result<std::unique_ptr<OrderIndex>> OrderIndex::create(const char* data) {
  try {
    std::unique_ptr<OrderIndex> index(new OrderIndex(data));
    index->publish(std::make_shared<ArraySet>());
    return index;
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
}

std::shared_ptr<const ArraySet> OrderIndex::arrays() const {
  MutexLock lock(set_mutex_);
  return set_;
}

Status OrderIndex::catch_up(uint64_t position, const Collect& collect) {
  if (position <= ordered_position()) return {};
  MutexLock lock(work_mutex_);
  const uint64_t from = ordered_position();
  if (position <= from) return {};
  try {
    std::vector<uint32_t> names;
    collect(from, position, &names);
    auto set = std::make_shared<ArraySet>(*arrays());
    set->position = position;
    if (!names.empty()) add(SortedArray::sort(data_, std::move(names)), set.get());
    publish(std::move(set));
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
  return {};
}

Status OrderIndex::settle() {
  MutexLock lock(work_mutex_);
  const std::shared_ptr<const ArraySet> from = arrays();
  if (from->count <= 1) return {};
  try {
    auto set = std::make_shared<ArraySet>();
    set->position = from->position;
    set->count = 1;
    set->arrays[0] = from->arrays[0];
    for (uint32_t i = 1; i < from->count; ++i) {
      set->arrays[0] = SortedArray::merge(*from->arrays[i], *set->arrays[0]);
    }
    publish(std::move(set));
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
  return {};
}

void OrderIndex::publish(std::shared_ptr<const ArraySet> set) {
  uint64_t bytes = sizeof(*this) + sizeof(ArraySet);
  for (uint32_t i = 0; i < set->count; ++i) bytes += set->arrays[i]->memory_bytes();
  memory_bytes_.store(bytes, std::memory_order_relaxed);
  const uint64_t position = set->position;
  {
    MutexLock lock(set_mutex_);
    set_.swap(set);  // the former set dies behind the lock
  }
  ordered_position_.store(position, std::memory_order_release);
}

}  // namespace lightning
