#include "memtable/range_removals.h"

#include <new>
#include <utility>

#include "base/epoch.h"
#include "memtable/point_index.h"

namespace lightning {

namespace {
constexpr uint64_t kLooseMax = 32;  // about how many are in no block
}

RangeRemovals::~RangeRemovals() { delete set_.load(std::memory_order_relaxed); }

void RangeRemovals::lock() { PointIndex::lock_word(control_); }
void RangeRemovals::unlock() { PointIndex::unlock_word(control_); }

template <typename Fn>
bool RangeRemovals::walk(uint32_t entry, uint32_t end, uint64_t read_lsn, Fn&& fn) const {
  for (; entry != kNoEntry && entry > end; entry = before(entry)) {
    if (lsn_of(entry) < read_lsn && fn(removal(entry))) return true;
  }
  return false;
}

// Newest first, so that the first answer is the one that counts.
template <typename Fn, typename AskBlock>
void RangeRemovals::ask(uint64_t read_lsn, Fn&& ask_one, AskBlock&& ask_block) const {
  const EpochGuard epoch;
  const uint32_t newest = head();
  const Set* const set = set_.load(std::memory_order_acquire);
  if (walk(newest, set == nullptr ? kNoEntry : set->upto, read_lsn, ask_one) || set == nullptr) return;
  for (const auto& block : set->blocks) {
    if (lsn_of(block->oldest) >= read_lsn) continue;
    const bool whole = lsn_of(block->newest) < read_lsn;
    if (whole ? ask_block(block->map) : walk(block->newest, block->oldest - 1, read_lsn, ask_one)) return;
  }
}

uint64_t RangeRemovals::newest(std::string_view key, uint64_t read_lsn) const {
  uint64_t found = 0;
  ask(
      read_lsn,
      [&](const RangeRemoval& one) {
        if (key < one.from || key >= one.to) return false;
        found = one.lsn;
        return true;
      },
      [&](const RangeMap& map) {
        found = map.newest(key, kReadAllLsn);
        return found != 0;
      });
  return found;
}

Cover RangeRemovals::cover(std::string_view key, uint64_t read_lsn) const {
  Cover cover;
  ask(
      read_lsn,
      [&](const RangeRemoval& one) {
        if (key < one.from || key >= one.to) {
          cover.avoid(one.from, one.to, key);
          return false;
        }
        cover = {.covered = true, .from = one.from, .to = one.to};
        return true;
      },
      [&](const RangeMap& map) {
        const Cover of_block = map.cover(key, kReadAllLsn);
        if (of_block.covered) {
          cover = of_block;
          return true;
        }
        if (of_block.from > cover.from) cover.from = of_block.from;
        if (!of_block.to.empty() && (cover.to.empty() || of_block.to < cover.to)) cover.to = of_block.to;
        return false;
      });
  return cover;
}

void RangeRemovals::list(uint64_t end_lsn, std::vector<RangeRemoval>* removals) const {
  walk(head(), kNoEntry, end_lsn, [&](const RangeRemoval& one) {
    removals->push_back(one);
    return false;
  });
}

void RangeRemovals::gather(uint64_t published) try {
  if (installed_.load(std::memory_order_relaxed) < gathered_.load(std::memory_order_relaxed) + kLooseMax)
    return;
  MutexLock lock(gather_mutex_);
  const Set* const set = set_.load(std::memory_order_relaxed);
  std::vector<uint32_t> names;  // newest first
  const uint32_t end = set == nullptr ? kNoEntry : set->upto;
  for (uint32_t entry = head(); entry != kNoEntry && entry > end; entry = before(entry)) {
    if (lsn_of(entry) < published) names.push_back(entry);
  }
  if (names.size() >= kLooseMax) add(std::move(names));
} catch (const std::bad_alloc&) {
  // Reads walk the chain further.
}

void RangeRemovals::add(std::vector<uint32_t> names) {
  auto next = std::make_unique<Set>();
  const Set* const set = set_.load(std::memory_order_relaxed);
  if (set != nullptr) *next = *set;
  std::vector<RangeRemoval> removals;
  removals.reserve(names.size());
  for (const uint32_t name : names) removals.push_back(removal(name));
  auto block = std::make_shared<Block>();
  *block = {.map = RangeMap::of(removals, {}),
            .oldest = names.back(),
            .newest = names.front(),
            .count = names.size()};
  while (!next->blocks.empty() && next->blocks.front()->count < 2 * block->count) {
    const std::shared_ptr<const Block> older = next->blocks.front();
    next->blocks.erase(next->blocks.begin());
    const RangeMap* const both[] = {&block->map, &older->map};
    auto merged = std::make_shared<Block>();
    *merged = {.map = RangeMap::merge(both, {}),
               .oldest = older->oldest,
               .newest = block->newest,
               .count = older->count + block->count};
    block = std::move(merged);
  }
  next->blocks.insert(next->blocks.begin(), std::move(block));
  next->upto = names.front();
  next->count += names.size();
  uint64_t bytes = 0;
  for (const auto& one : next->blocks) bytes += sizeof(Block) + one->map.memory_bytes();
  memory_bytes_.store(bytes, std::memory_order_relaxed);
  gathered_.store(next->count, std::memory_order_relaxed);
  set_.store(next.release(), std::memory_order_release);
  if (set != nullptr) epoch_retire(set);
  (void)epoch_reclaim();
}

}  // namespace lightning
