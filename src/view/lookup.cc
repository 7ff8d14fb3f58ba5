#include "view/lookup.h"

#include <algorithm>
#include <array>

#include "run/page_batch.h"

namespace lightning {

namespace {

constexpr size_t kStagedRuns = 24;

// What the memtable has of `key`; false when it does not know the key.
bool find_in_memory(const MemSource& source, std::string_view key, uint32_t head, uint64_t read_lsn,
                    Hit* hit) {
  const MemTable& table = *source.table;
  const uint32_t entry = table.visible(head, key, read_lsn);
  if (entry == kNoEntry) return false;
  const LogEntry version = table.entry(entry);
  hit->kind = version.kind;
  hit->value = version.value;
  if (version.value.size() > kCopiedValueBytesMax) hit->owner = table.memory();
  return true;
}

// The answer of a source that knows the key.
Found answer_of(const Hit& hit) { return hit.kind == EntryKind::remove ? Found::absent : Found::found; }

// The answer of a run file that knows the key or failed.
Found take_run_hit(RunFile::Found outcome, const std::shared_ptr<const RunFile>& file, Hit* hit) {
  if (outcome >= RunFile::Found::error) [[unlikely]]
    return outcome == RunFile::Found::error ? Found::error : Found::away;
  if (hit->value.size() > kCopiedValueBytesMax && hit->owner == nullptr) [[unlikely]]
    hit->owner = file;
  return answer_of(*hit);
}

/// Does a run answer? `file` is its file_of(key).
inline bool ask_run(const SortedRun& run, const std::shared_ptr<const RunFile>* file, std::string_view key,
                    uint64_t hash, ReadPoint point, Hit* hit, Found* found) {
  if (file == nullptr) return false;
  const RunFile::Found outcome = (*file)->find(key, hash, point.run_lsn(), hit);
  if (outcome == RunFile::Found::absent) return false;
  if (run.ingested_at() != 0 && !run.shows(file, point.lsn())) [[unlikely]] {
    *hit = {};
    return false;
  }
  *found = take_run_hit(outcome, *file, hit);
  return true;
}

}  // namespace

// A View with range removals. A source's own entry counts if it is newer than the range removals over its
// key: in a run it always is.
Found lookup_below_ranges(const View& view, std::string_view key, uint64_t hash, ReadPoint point, Hit* hit) {
  const uint64_t read_lsn = point.lsn();
  Found found = Found::absent;
  const auto answers = [&](const MemSource& source) {
    const MemTable& table = *source.table;
    const uint64_t removed = table.range_removals().newest(key, read_lsn);
    const uint32_t head = table.point_index().find(hash);
    const uint32_t entry = head == kNoEntry ? kNoEntry : table.visible(head, key, read_lsn);
    if (entry == kNoEntry || table.lsn_of(entry) < removed) return removed != 0;
    (void)find_in_memory(source, key, entry, read_lsn, hit);
    found = answer_of(*hit);
    return true;
  };
  if (view.active != nullptr && answers(*view.active)) return found;
  for (const auto& source : view.sealed) {
    if (answers(*source)) return found;
  }
  for (const auto& run : view.runs) {
    if (const std::shared_ptr<const RunFile>* file = run->file_of(key)) {
      const RunFile::Found outcome = (*file)->find(key, hash, point.run_lsn(), hit);
      const bool shown = run->ingested_at() == 0 || run->shows(file, read_lsn);
      if (outcome != RunFile::Found::absent && shown) return take_run_hit(outcome, *file, hit);
      *hit = {};
    }
    if (run->removals().newest(key, point.run_lsn()) != 0) return Found::absent;
  }
  return Found::absent;
}

// Where more than one source may be asked, the lines of all runs are fetched side by side.
Found lookup_in_all(const View& view, std::string_view key, uint64_t hash, ReadPoint point, Hit* hit) {
  std::array<const std::shared_ptr<const RunFile>*, kStagedRuns> files;
  const size_t staged = std::min(view.runs.size(), files.size());
  for (size_t i = 0; i < staged; ++i) {
    files[i] = view.runs[i]->file_of(key);
    if (files[i] != nullptr) (*files[i])->prefetch(hash);
  }
  const auto memory_answers = [&](const MemSource& source) {
    const uint32_t head = source.table->point_index().find(hash);
    return head != kNoEntry && find_in_memory(source, key, head, point.lsn(), hit);
  };
  if (view.active != nullptr && memory_answers(*view.active)) return answer_of(*hit);
  for (const auto& source : view.sealed) {
    if (memory_answers(*source)) return answer_of(*hit);
  }
  Found found = Found::absent;
  for (size_t i = 0; i < view.runs.size(); ++i) {
    const SortedRun& run = *view.runs[i];
    if (ask_run(run, i < staged ? files[i] : run.file_of(key), key, hash, point, hit, &found)) break;
  }
  return found;
}

Found lookup_in_run(const SortedRun& run, std::string_view key, uint64_t hash, ReadPoint point, Hit* hit) {
  Found found = Found::absent;
  (void)ask_run(run, run.file_of(key), key, hash, point, hit, &found);
  return found;
}

Found lookup_apart(const View& view, std::string_view key, uint64_t hash, ReadPoint point, Hit* hit) {
  return view.range_removals.load(std::memory_order_relaxed)
             ? lookup_below_ranges(view, key, hash, point, hit)
             : lookup_in_all(view, key, hash, point, hit);
}

namespace {

void ask_memory(const MemSource& source, std::span<ManyKey> keys, uint64_t read_lsn) {
  const PointIndex& index = source.table->point_index();
  for (const ManyKey& one : keys) {
    if (!one.done) index.prefetch(one.hash);
  }
  for (ManyKey& one : keys) {
    if (one.done) continue;
    const uint32_t head = index.find(one.hash);
    one.locator = head;
    if (head != kNoEntry) __builtin_prefetch(source.segment->data() + head * kLogAlignment);
  }
  for (ManyKey& one : keys) {
    if (one.done || one.locator == kNoEntry) continue;
    one.done = find_in_memory(source, one.key, static_cast<uint32_t>(one.locator), read_lsn, &one.hit);
    if (one.done) one.found = answer_of(one.hit);
  }
}

void find_located(const SortedRun& run, std::span<ManyKey> keys, uint64_t read_lsn) {
  for (ManyKey& one : keys) {
    if (one.done || one.locator == RunFile::kNotHere) continue;
    const auto* file = run.file_of(one.key);
    const RunFile::Found outcome = (*file)->find_at(one.locator, one.key, one.hash, read_lsn, &one.hit);
    one.done = outcome != RunFile::Found::absent;
    if (one.done) one.found = take_run_hit(outcome, *file, &one.hit);
  }
}

// Where pages must be read: what is missing of the point indexes together, then what is of the leaves.
[[gnu::noinline]] void read_located(const SortedRun& run, std::span<ManyKey> keys, uint64_t read_lsn) {
  std::array<const RunFile*, PageBatch::kReads> files;
  std::array<bool, PageBatch::kReads> comes;
  PageBatch leaves;
  {
    PageBatch buckets;
    for (size_t i = 0; i < keys.size(); ++i) {
      const bool away = !keys[i].done && keys[i].locator == RunFile::kUnknownPlace;
      files[i] = away ? run.file_of(keys[i].key)->get() : nullptr;
      comes[i] = away && files[i]->want(keys[i].hash, &buckets);
    }
    buckets.read();
    for (size_t i = 0; i < keys.size(); ++i) {
      if (files[i] != nullptr) keys[i].locator = files[i]->locate_in(keys[i].hash, comes[i], &leaves);
    }
  }
  leaves.read();
  find_located(run, keys, read_lsn);
}

void ask_run_for_many(const SortedRun& run, std::span<ManyKey> keys, uint64_t read_lsn) {
  const bool shows_all = run.ingested_at() < read_lsn;
  for (const ManyKey& one : keys) {
    if (one.done) continue;
    if (const auto* file = run.file_of(one.key)) (*file)->prefetch(one.hash);
  }
  bool away = false;
  for (ManyKey& one : keys) {
    one.locator = RunFile::kNotHere;
    if (one.done) continue;
    const auto* file = run.file_of(one.key);
    if (file != nullptr && (shows_all || run.shows(file, read_lsn))) one.locator = (*file)->locate(one.hash);
    away |= one.locator == RunFile::kUnknownPlace;
  }
  if (!away) [[likely]]
    return find_located(run, keys, read_lsn);
  for (; !keys.empty(); keys = keys.subspan(std::min(keys.size(), PageBatch::kReads)))
    read_located(run, keys.first(std::min(keys.size(), PageBatch::kReads)), read_lsn);
}

}  // namespace

bool lookup_many(const View& view, std::span<ManyKey> keys, uint64_t read_lsn) {
  if (view.range_removals.load(std::memory_order_relaxed)) [[unlikely]] {
    for (ManyKey& one : keys) {
      one.found = lookup_below_ranges(view, one.key, one.hash, ReadPoint::at(read_lsn), &one.hit);
      if (one.found == Found::error) return false;
    }
    return true;
  }
  if (view.active != nullptr) ask_memory(*view.active, keys, read_lsn);
  for (const auto& source : view.sealed) ask_memory(*source, keys, read_lsn);
  for (const auto& run : view.runs) ask_run_for_many(*run, keys, read_lsn);
  for (const ManyKey& one : keys) {
    if (one.found == Found::error) return false;
  }
  return true;
}

}  // namespace lightning
