#include "compaction/churn_simulator.h"

#include <algorithm>

#include "compaction/older_keys.h"
#include "compaction/retention.h"

namespace lightning {

namespace {

constexpr uint64_t kKeyBytes = 16;
constexpr uint64_t kPutBytes = 116;
// What an entry takes in a segment and in a run file, index included.
constexpr uint64_t kPutLogBytes = 144;
constexpr uint64_t kRemoveLogBytes = 44;
constexpr uint64_t kPutRunBytes = 123;
constexpr uint64_t kRemoveRunBytes = 26;

uint64_t bytes_of(const std::vector<ChurnSimulator::Entry>& entries) {
  uint64_t bytes = 0;
  for (const auto& entry : entries) {
    for (const auto& version : entry.versions)
      bytes += version.kind == EntryKind::put ? kPutRunBytes : kRemoveRunBytes;
  }
  return bytes;
}

}  // namespace

class ChurnSimulator::Probe final : public RunProbe {
 public:
  explicit Probe(const ChurnSimulator& simulator) : simulator_(simulator) {}

  double share(size_t run, size_t piece) const override {
    const RunPiece& one = simulator_.runs_[run].pieces[piece];
    const SortedRunInfo alone{.level = 0, .pieces = {one}};
    return static_cast<double>(simulator_.entries_of(alone, 0, 1).size()) /
           static_cast<double>(one.file.entries);
  }
  bool first_key_from(size_t run, std::string_view key, std::string* found) const override {
    for (const RunPiece& piece : simulator_.runs_[run].pieces) {
      if (range_of(piece).ends_before(key)) continue;
      const std::string_view from = std::max(range_of(piece).smallest, key);
      const std::vector<Entry>& entries = simulator_.files_.at(piece.file.id);
      const auto at = std::partition_point(entries.begin(), entries.end(),
                                           [&](const Entry& entry) { return entry.key < from; });
      if (at == entries.end()) continue;
      *found = at->key;
      return true;
    }
    return false;
  }
  uint64_t first_reader() const override { return simulator_.snapshot_.value_or(UINT64_MAX); }
  uint64_t covered_bytes(size_t, size_t) const override { return 0; }

 private:
  const ChurnSimulator& simulator_;
};

std::string ChurnSimulator::key_of(uint64_t number) {
  std::string digits = std::to_string(number);
  return std::string(1, '\0') + std::string(10 - digits.size(), '0') + digits;
}

ChurnSimulator::ChurnSimulator(uint64_t memtable_puts)
    : buffer_bytes_(memtable_puts * kPutLogBytes), limits_(PolicyLimits::of(buffer_bytes_)) {}

void ChurnSimulator::expect(bool good, std::string_view what) {
  if (!good && broken.empty()) broken = what;
}

void ChurnSimulator::put(uint64_t number) { write(number, EntryKind::put); }
void ChurnSimulator::remove(uint64_t number) { write(number, EntryKind::remove); }

void ChurnSimulator::write(uint64_t number, EntryKind kind) {
  const bool is_put = kind == EntryKind::put;
  const std::string key = key_of(number);
  memtable_[key].push_back({.lsn = lsn_, .kind = kind, .value = lsn_});
  std::optional<uint64_t>& known = model_[key];
  alive_ += static_cast<uint64_t>(is_put) - static_cast<uint64_t>(known.has_value());
  known = is_put ? std::optional(lsn_) : std::nullopt;
  ++lsn_;
  totals.user_bytes += is_put ? kPutBytes : kKeyBytes;
  log_bytes_ += is_put ? kPutLogBytes : kRemoveLogBytes;
  if (log_bytes_ < buffer_bytes_) return;
  flush();
  work(Goal::keep_up, work_);
}

bool ChurnSimulator::retain(Entry* entry, bool oldest) const {
  std::vector<lightning::Version> versions;
  for (const Version& version : entry->versions) {
    versions.push_back({.lsn = version.lsn,
                        .kind = version.kind,
                        .value = {reinterpret_cast<const char*>(&version.value), sizeof(uint64_t)}});
  }
  std::vector<uint64_t> readers;
  if (snapshot_) readers.push_back(*snapshot_);
  retain_versions(readers, oldest, &versions);
  std::vector<Version> kept;
  for (const lightning::Version& version : versions) {
    uint64_t value;
    std::copy_n(version.value.data(), sizeof(value), reinterpret_cast<char*>(&value));
    kept.push_back({version.lsn, version.kind, value});
  }
  entry->versions = std::move(kept);
  return !entry->versions.empty();
}

void ChurnSimulator::flush() {
  log_bytes_ = 0;
  OlderKeys older;
  for (const SortedRunInfo& run : runs_) {
    std::vector<KeyRange> ranges;
    for (const RunPiece& piece : run.pieces) ranges.push_back(range_of(piece));
    older.add(std::move(ranges));
  }
  std::vector<Entry> entries;
  for (auto& [key, versions] : memtable_) {
    Entry entry{key, {versions.rbegin(), versions.rend()}};
    if (retain(&entry, !older.may_hold(key))) entries.push_back(std::move(entry));
  }
  memtable_.clear();
  if (entries.empty()) return;
  totals.flush_bytes += bytes_of(entries);
  const uint64_t file_bytes =
      flush_file_bytes(older.may_hold_any(entries.front().key, entries.back().key), limits_);
  SortedRunInfo run;
  std::vector<Entry> of_file;
  uint64_t bytes = 0;
  for (Entry& entry : entries) {
    if (bytes >= file_bytes) {
      run.pieces.push_back({.file = add_file(std::exchange(of_file, {})), .from = {}, .to = {}});
      bytes = 0;
    }
    bytes += bytes_of({entry});
    of_file.push_back(std::move(entry));
  }
  run.pieces.push_back({.file = add_file(std::move(of_file)), .from = {}, .to = {}});
  runs_.insert(runs_.begin(), std::move(run));
  note_shape(0);
}

RunFileInfo ChurnSimulator::add_file(std::vector<Entry> entries) {
  RunFileInfo info;
  info.id = next_id_++;
  info.size = bytes_of(entries);
  info.entries = entries.size();
  info.plain = true;
  info.raw_bytes = info.size;
  for (const Entry& entry : entries) {
    info.removals += entry.versions.front().kind == EntryKind::remove ? 1 : 0;
    const std::vector<Version> old(entry.versions.begin() + 1, entry.versions.end());
    info.old_bytes += bytes_of({{entry.key, old}});
    info.plain &= entry.versions.size() == 1 && entry.versions[0].lsn == kSettledLsn;
  }
  info.smallest = entries.front().key;
  info.largest = entries.back().key;
  info.lsn_max = lsn_;
  disk_bytes_ += info.size;
  files_[info.id] = std::move(entries);
  return info;
}

Shape ChurnSimulator::shape() const {
  std::vector<const SortedRunInfo*> infos;
  for (const SortedRunInfo& run : runs_) infos.push_back(&run);
  return shape_of(infos, {}, Probe(*this), [] { return uint64_t{0}; });
}

void ChurnSimulator::work(Goal goal, uint64_t choices) {
  for (; choices > 0; --choices) {
    const Shape now = shape();
    if (!execute(choose(now, goal, limits_), now)) return;
  }
}

void ChurnSimulator::compact(const std::string& from, const std::string& to) {
  flush();
  const KeySpan span = {.from = from, .to = to};
  const Shape now = shape();
  if (!execute(begin_compaction(now, limits_, span), now)) return;
  const auto drains = [&](const SortedRunInfo& run) {
    return run.level == kDrainLevel &&
           std::any_of(run.pieces.begin(), run.pieces.end(),
                       [&](const RunPiece& piece) { return span.meets(range_of(piece)); });
  };
  while (std::any_of(runs_.begin(), runs_.end(), drains)) work(Goal::compact, 1);
}

bool ChurnSimulator::execute(const Choice& choice, const Shape& shape) {
  if (choice.kind == Choice::Kind::nothing) return false;
  expect(check_choice(shape, choice).empty(), check_choice(shape, choice));
  const std::vector<SortedRunInfo> before = runs_;
  MergeOutput output;
  if (choice.kind == Choice::Kind::merge) {
    output = merge(choice);
    ++(choice.level == kLastLevel ? totals.drain_steps : totals.tier_merges);
  } else if (choice.level == kLastLevel) {
    for (size_t i = choice.file_first; i < choice.file_end; ++i) {
      ++totals.moves;
      totals.moved_bytes += runs_[choice.first].pieces[i].file.size;
    }
  }
  uint64_t written = 0;
  for (const RunFileInfo& file : output.files) written += file.size;
  totals.merge_bytes += written;
  apply_choice(choice, runs_.size(), output, &runs_);
  uint64_t freed = 0;
  for (const uint64_t id : files_gone(before, runs_)) {
    freed += bytes_of(files_.at(id));
    files_.erase(id);
  }
  disk_bytes_ -= freed;
  note_shape(freed);
  DurableState state;
  state.database_id = 1;
  state.next_file_id = next_id_;
  state.runs = runs_;
  expect(check_state(state).empty(), check_state(state));
  return true;
}

std::vector<ChurnSimulator::Entry> ChurnSimulator::entries_of(const SortedRunInfo& run, size_t first,
                                                              size_t end) const {
  std::vector<Entry> entries;
  for (size_t i = first; i < end; ++i) {
    const KeyRange range = range_of(run.pieces[i]);
    for (const Entry& entry : files_.at(run.pieces[i].file.id)) {
      if (entry.key >= range.smallest && !range.ends_before(entry.key)) entries.push_back(entry);
    }
  }
  return entries;
}

/// Sources newest first.
std::vector<ChurnSimulator::Entry> ChurnSimulator::merged(const std::vector<std::vector<Entry>>& sources) {
  std::map<std::string, Entry> all;
  for (const std::vector<Entry>& source : sources) {
    for (const Entry& entry : source) {
      Entry& one = all[entry.key];
      one.key = entry.key;
      one.versions.insert(one.versions.end(), entry.versions.begin(), entry.versions.end());
    }
  }
  std::vector<Entry> entries;
  for (auto& [key, entry] : all) entries.push_back(std::move(entry));
  return entries;
}

/// Of the runs that come down, which are the first sources; empty: no key of theirs is at or above it.
std::string ChurnSimulator::drained_from(const Choice& choice, const std::vector<std::vector<Entry>>& sources,
                                         const std::string& key) {
  std::string first;
  for (size_t i = 0; i < choice.end - choice.first; ++i) {
    const auto at = std::ranges::lower_bound(sources[i], key, {}, &Entry::key);
    if (at != sources[i].end() && (first.empty() || at->key < first)) first = at->key;
  }
  return first;
}

bool ChurnSimulator::are_together(const Choice& choice, const std::string& key,
                                  const std::string& later) const {
  for (size_t file = choice.file_first; file < choice.file_end; ++file) {
    const KeyRange range = range_of(runs_.back().pieces[file]);
    if (!range.ends_before(key) && range.ends_before(later)) return false;
  }
  return true;
}

MergeOutput ChurnSimulator::merge(const Choice& choice) {
  const bool into_last = choice.level == kLastLevel;
  std::vector<std::vector<Entry>> sources;
  // Of what a file answers for there may be nothing.
  std::string drained_smallest(range_of(runs_[choice.first].pieces.front()).smallest);
  for (size_t i = choice.first; i < choice.end; ++i) {
    sources.push_back(entries_of(runs_[i], 0, runs_[i].pieces.size()));
    drained_smallest = std::min(drained_smallest, std::string(range_of(runs_[i].pieces.front()).smallest));
  }
  OlderKeys older;
  for (size_t i = choice.end; i < runs_.size(); ++i) {
    std::vector<KeyRange> ranges;
    const bool is_last = into_last && runs_[i].level == kLastLevel;
    for (size_t p = 0; p < runs_[i].pieces.size(); ++p) {
      if (is_last && p >= choice.file_first && p < choice.file_end) continue;
      ranges.push_back(range_of(runs_[i].pieces[p]));
    }
    older.add(std::move(ranges));
    if (is_last) sources.push_back(entries_of(runs_[i], choice.file_first, choice.file_end));
  }
  std::vector<Entry> entries = merged(sources);
  MergeOutput output;
  std::vector<Entry> file;
  uint64_t file_bytes = 0;
  for (Entry& entry : entries) {
    if (!choice.to.empty() && entry.key >= choice.to) {
      output.next = drained_from(choice, sources, entry.key);
      break;
    }
    if (file_bytes >= choice.file_bytes) {
      file_bytes = 0;
      output.files.push_back(add_file(std::move(file)));
      file.clear();
      const std::string drained = drained_from(choice, sources, entry.key);
      if (into_last && entry.key > drained_smallest && !drained.empty() &&
          are_together(choice, entry.key, drained)) {
        output.next = drained;
        output.last_from = entry.key;
        break;
      }
    }
    Entry kept = entry;
    if (!retain(&kept, !older.may_hold(entry.key))) continue;
    file_bytes += bytes_of({kept});
    file.push_back(std::move(kept));
  }
  if (!file.empty()) output.files.push_back(add_file(std::move(file)));
  return output;
}

void ChurnSimulator::note_shape(uint64_t transient_bytes) {
  totals.runs_max = std::max<uint64_t>(totals.runs_max, runs_.size());
  std::map<uint32_t, uint64_t> counts;
  for (const SortedRunInfo& run : runs_) {
    if (run.level < kTiers) totals.tier_runs_max = std::max(totals.tier_runs_max, ++counts[run.level]);
  }
  if (live_bytes() < 8 * buffer_bytes_) return;
  totals.space_max = std::max(totals.space_max, static_cast<double>(disk_bytes() + transient_bytes) /
                                                    static_cast<double>(live_bytes()));
}

uint64_t ChurnSimulator::live_bytes() const { return alive_ * kPutBytes; }

uint64_t ChurnSimulator::removals() const {
  uint64_t count = 0;
  for (const SortedRunInfo& run : runs_) {
    for (const RunPiece& piece : run.pieces) count += piece.file.removals;
  }
  return count;
}

uint64_t ChurnSimulator::entries() const {
  uint64_t count = 0;
  for (const SortedRunInfo& run : runs_) count += entries_of(run, 0, run.pieces.size()).size();
  return count;
}

void ChurnSimulator::take_snapshot() {
  snapshot_ = lsn_;
  at_snapshot_ = model_;
}

void ChurnSimulator::release_snapshot() { snapshot_.reset(); }

std::optional<uint64_t> ChurnSimulator::read(std::string_view key, uint64_t read_lsn) const {
  if (const auto found = memtable_.find(std::string(key)); found != memtable_.end()) {
    for (auto version = found->second.rbegin(); version != found->second.rend(); ++version) {
      if (version->lsn >= read_lsn) continue;
      return version->kind == EntryKind::put ? std::optional(version->value) : std::nullopt;
    }
  }
  for (const SortedRunInfo& run : runs_) {
    for (const RunPiece& piece : run.pieces) {
      const KeyRange range = range_of(piece);
      if (key < range.smallest || range.ends_before(key)) continue;
      const std::vector<Entry>& entries = files_.at(piece.file.id);
      const auto at = std::partition_point(entries.begin(), entries.end(),
                                           [key](const Entry& entry) { return entry.key < key; });
      if (at == entries.end() || at->key != key) continue;
      for (const Version& version : at->versions) {
        if (version.lsn >= read_lsn) continue;
        return version.kind == EntryKind::put ? std::optional(version.value) : std::nullopt;
      }
    }
  }
  return std::nullopt;
}

std::string ChurnSimulator::verify() const {
  if (!broken.empty()) return broken;
  for (const auto& [key, value] : model_) {
    if (read(key, UINT64_MAX) != value) return "a wrong answer to " + key.substr(1);
  }
  if (!snapshot_) return {};
  for (const auto& [key, value] : model_) {
    const auto then = at_snapshot_.find(key);
    const std::optional<uint64_t> expected = then == at_snapshot_.end() ? std::nullopt : then->second;
    if (read(key, *snapshot_) != expected) return "a wrong answer of the snapshot to " + key.substr(1);
  }
  return {};
}

}  // namespace lightning
