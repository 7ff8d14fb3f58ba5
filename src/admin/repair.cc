#include "admin/repair.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "admin/log_walk.h"
#include "admin/repair_output.h"
#include "admin/run_salvage.h"
#include "admin/state_remains.h"
#include "admin/verify.h"
#include "engine/catalogue.h"
#include "engine/prepared.h"
#include "engine/recovery.h"
#include "format/internal_key.h"
#include "index/definition.h"
#include "index/entries.h"
#include "view/state_store.h"

namespace lightning {

namespace {

/// All that the log holds, as one source.
class LogSource final : public RepairSource {
 public:
  void add(uint64_t lsn, const LogEntry& entry) {
    if (entry.kind == EntryKind::remove_range) {
      ranges_.push_back({.from = entry.key, .to = entry.value, .lsn = lsn});
    } else {
      versions_.push_back({entry, lsn});
    }
  }
  void sort() {
    removals_ = RangeMap::of(ranges_, {});
    std::sort(versions_.begin(), versions_.end(), [](const LogVersion& a, const LogVersion& b) {
      return a.entry.key != b.entry.key ? a.entry.key < b.entry.key : a.lsn > b.lsn;
    });
  }

  bool next() override {
    while (at_ < versions_.size() && versions_[at_].entry.key == key_) ++at_;
    if (at_ == versions_.size()) return false;
    const LogEntry& entry = versions_[at_].entry;
    key_ = entry.key;
    kind_ = removals_.newest(key_, kReadAllLsn) > versions_[at_].lsn ? EntryKind::remove : entry.kind;
    value_ = entry.value;
    return true;
  }
  bool removes(std::string_view key) const override { return removals_.newest(key, kReadAllLsn) != 0; }

 private:
  struct LogVersion {
    LogEntry entry;  // into a segment's memory
    uint64_t lsn;
  };
  std::vector<LogVersion> versions_;
  std::vector<RangeRemoval> ranges_;  // into a segment's memory
  RangeMap removals_;
  size_t at_ = 0;
};

/// Internal keys that may be lost; what they mean to a user is known once the keyspaces are.
struct LostKeys {
  Status why;
  bool everything = false;
  std::string from;
  std::string to;
};

class Repair {
 public:
  Repair(Env& env, Directory& directory, const RepairOptions& options)
      : env_(env), directory_(directory), options_(options) {}

  Result<RepairReport> run(const std::string& into) {
    Result<std::vector<FileInfo>> files = directory_.list();
    if (!files) return files.status();
    files_ = *std::move(files);
    for (const FileInfo& file : files_) progress_.bytes_total += file.size;
    Result<StateRemains> remains = read_state_remains(directory_, files_);
    if (!remains) return remains.status();
    remains_ = *std::move(remains);
    for (const Status& damage : remains_.damage) {
      note(damage);
      if (!remains_.certain) lose_everything(damage);
    }
    Result<std::unique_ptr<RepairOutput>> output =
        RepairOutput::create(env_, into, options_.value_separation);
    if (!output) return output.status();
    open_runs();
    if (Status status = read_log(); !status.ok()) return status;
    if (Status status = merge(**output); !status.ok()) return status;
    if (Status status = leave_out_resolved(); !status.ok()) return status;
    name_keyspaces();
    const Status finished = (*output)->finish({.names = names_,
                                               .default_ttls = of_names(catalogue_.default_ttls()),
                                               .compressions = of_names(catalogue_.compressions()),
                                               .prepared = prepared_,
                                               .indexes = indexes(),
                                               .time_us = remains_.state.time_max_us});
    if (!finished.ok()) return finished;
    Result<VerifyReport> verified = verify_directory(env_, (*output)->directory(), {});
    if (!verified) return verified.status();
    if (!verified->ok())
      return Status(StatusCode::corruption, "what was written does not verify: " + verified->findings[0].what,
                    verified->findings[0].file, verified->findings[0].offset);
    for (const LostKeys& lost : lost_) report_lost(lost);
    return std::move(report_);
  }

 private:
  void note(const Status& status) {
    report_.findings.push_back({.file = std::string(status.file()),
                                .offset = status.offset(),
                                .what = std::string(status.message()),
                                .code = status.code()});
  }
  void lose_everything(const Status& why) {
    lost_.push_back({.why = why, .everything = true, .from = {}, .to = {}});
  }
  bool present(const std::string& name) const {
    return std::any_of(files_.begin(), files_.end(), [&](const FileInfo& file) { return file.name == name; });
  }
  DamageEvents damage_events() {
    return {.damage = [this](const Status& status) { note(status); },
            .lost =
                [this](const Status& why, std::string from, std::string to) {
                  lost_.push_back({.why = why, .from = std::move(from), .to = std::move(to)});
                }};
  }

  // Sources.

  void open_runs() {
    std::set<uint64_t> named;
    std::vector<std::unique_ptr<RunSalvage>> listed;
    for (const SortedRunInfo& run : remains_.state.runs) {
      for (const RunPiece& piece : run.pieces) {
        named.insert(piece.file.id);
        // Later states, which are lost, may have given it up.
        if (!remains_.certain && !present(run_file_name(piece.file.id))) continue;
        listed.push_back(std::make_unique<RunSalvage>(directory_, piece, damage_events()));
        if (!listed.back()->usable()) report_.left_out.push_back(run_file_name(piece.file.id));
        floor_ = std::max(floor_, piece.file.lsn_max);
      }
    }
    if (!remains_.certain) open_unlisted_runs(named);
    for (auto& run : listed) runs_.push_back(std::move(run));
    report_.runs_read = runs_.size();
  }

  // Newer than what the state names, as far as one can tell.
  void open_unlisted_runs(const std::set<uint64_t>& named) {
    for (const FileInfo& file : files_) {
      const NumberedName name = parse_numbered_name(file.name);
      if (name.kind != ".run" || run_file_name(name.number) != file.name || named.contains(name.number))
        continue;
      auto run = std::make_unique<RunSalvage>(directory_, name.number, damage_events());
      if (run->usable()) {
        floor_ = std::max(floor_, run->lsn_max());
        runs_.push_back(std::move(run));
      } else {
        report_.left_out.push_back(file.name);
      }
    }
    std::sort(runs_.begin(), runs_.end(), [](const auto& a, const auto& b) {
      return std::pair(a->lsn_max(), a->id()) > std::pair(b->lsn_max(), b->id());
    });
  }

  std::vector<LogSegmentInfo> segments() {
    if (remains_.certain) return remains_.state.log_segments;
    std::map<uint64_t, LogSegmentInfo> found;
    for (const LogSegmentInfo& info : remains_.state.log_segments) {
      if (present(segment_file_name(info.number))) found[info.base_lsn] = info;
    }
    std::vector<std::shared_ptr<Segment>> others;
    for (const FileInfo& file : files_) {
      uint64_t number = 0;
      if (!parse_segment_file_name(file.name, &number)) continue;
      if (is_value_file(remains_.state, number)) continue;
      const bool listed = std::any_of(found.begin(), found.end(),
                                      [&](const auto& one) { return one.second.number == number; });
      if (listed) continue;
      Result<std::shared_ptr<Segment>> segment = Segment::open(directory_, number, false);
      if (!segment) {
        note(segment.status());
        report_.left_out.push_back(file.name);
      } else {
        others.push_back(*std::move(segment));
      }
    }
    if (remains_.state.database_id == 0 && !others.empty())
      remains_.state.database_id = others.back()->identity().database_id;
    for (const auto& segment : others) {
      if (segment->identity().database_id != remains_.state.database_id) {
        report_.left_out.push_back(segment->file_name());
      } else {
        found[segment->base_lsn()] = {.number = segment->number(), .base_lsn = segment->base_lsn()};
      }
    }
    std::vector<LogSegmentInfo> infos;
    for (const auto& [base, info] : found) infos.push_back(info);
    return infos;
  }

  Status read_log() {
    floor_ = std::max(floor_, remains_.state.log_floor);
    LogEvents events;
    events.damage = [&](const Status& status, bool lost) {
      note(status);
      if (lost) lose_everything(status);
    };
    events.record = [&](const Segment& segment, uint64_t lsn, const RecordHeader& header) {
      if (header.kind != RecordKind::commit || lsn < floor_) return;
      ++report_.log_records;
      for_each_entry(segment.at(lsn), header.length,
                     [&](uint64_t offset, const LogEntry& entry) { log_.add(lsn + offset, entry); });
    };
    events.segment = [&](const Segment& segment, uint64_t, uint64_t) {
      progress_.bytes_done += kSegmentHeaderBytes + segment.loaded_bytes();
      tell_progress(segment.file_name());
    };
    LogWalk walk(directory_,
                 {.segments = segments(),
                  .database_id = remains_.state.database_id,
                  .durable_lsn = remains_.state.durable_lsn,
                  .page_cache_id = page_cache_id(env_, directory_),
                  .certain = remains_.certain,
                  .salvage = true,
                  .keep = true},
                 std::move(events));
    const Status status = walk.run();
    segments_ = walk.segments();
    log_.sort();
    return status;
  }

  // The merge.

  Status merge(RepairOutput& output) {
    std::vector<RepairSource*> live = {&log_};
    for (const auto& run : runs_) live.push_back(run.get());
    const std::vector<RepairSource*> all = live;
    std::erase_if(live, [](RepairSource* source) { return !source->next(); });
    uint64_t steps = 0;
    std::string key;
    while (!live.empty()) {
      // The first of those that have the least key is the newest.
      const RepairSource* newest = live.front();
      for (const RepairSource* source : live) {
        if (source->key() < newest->key()) newest = source;
      }
      key = newest->key();
      const bool removed = std::any_of(all.begin(), std::find(all.begin(), all.end(), newest),
                                       [&](const RepairSource* source) { return source->removes(key); });
      if (!removed) {
        if (Status status = take(*newest, output); !status.ok()) return status;
      }
      std::erase_if(live, [&](RepairSource* source) { return source->key() == key && !source->next(); });
      if (++steps % 1024 == 0) tell_progress("");
    }
    return {};
  }

  Status take(const RepairSource& source, RepairOutput& output) {
    uint32_t keyspace;
    const std::string_view key = source.key();
    const size_t prefix = parse_keyspace_prefix(key, &keyspace);
    if (!source.lost().ok()) {
      note(source.lost());
      lost_.push_back({.why = source.lost(), .from = std::string(key), .to = std::string(key) + '\0'});
      return {};
    }
    if (source.kind() == EntryKind::remove) return {};
    if (prefix == 0) {
      note(Status(StatusCode::corruption, "a key of no keyspace is left out"));
      return {};
    }
    if (keyspace == kCatalogueKeyspaceId) {
      const std::string_view name = key.substr(prefix);
      const bool prepared = is_prepared_key(name);
      const Status status =
          prepared ? decode_prepared(source.value()).status() : catalogue_.load(name, source.value());
      if (status.ok() && prepared) {
        prepared_.keys.emplace_back(name);
        prepared_.records.emplace_back(source.value());
      } else if (!status.ok()) {
        note(status);
        lost_.push_back({.why = status, .from = std::string(key), .to = std::string(key) + '\0'});
      }
      return {};
    }
    if (keyspace >= kFirstUserKeyspaceId) {
      if (std::ranges::binary_search(dropped(), keyspace)) return {};
      // An index is built anew, of the rows that survive.
      if (is_of_index(keyspace)) return {};
      nameless_.insert(keyspace);
    }
    ++report_.entries;
    const bool expires = source.kind() == EntryKind::put_expiring;
    report_.raw_bytes += key.size() - prefix + source.value().size() - (expires ? kExpiryBytes : 0);
    return output.add(key, source.kind(), source.value());
  }

  // A keyspace is dropped when what was prepared in it was resolved.
  bool writes_to_dropped(const PreparedRecord& record) {
    return std::ranges::any_of(record.operations, [&](const Operation& operation) {
      uint32_t keyspace = 0;
      (void)parse_keyspace_prefix(operation.entry.key, &keyspace);
      if (keyspace < kFirstUserKeyspaceId) return false;
      if (std::ranges::binary_search(dropped(), keyspace)) return true;
      nameless_.insert(keyspace);  // its number is taken, whatever is lost of it
      return false;
    });
  }

  // Of two prepared transactions that stand against each other the earlier one was resolved before the later
  // one could be prepared; that is lost.
  Status leave_out_resolved() {
    std::vector<uint64_t> left;  // when they were prepared; 0: looked at
    for (const std::string& record : prepared_.records)
      left.push_back(std::max<uint64_t>(1, decode_prepared(record)->prepared_us));
    LockTable locks(env_.clock());
    for (LockOwner owner = 1; owner <= left.size(); ++owner) {
      const auto latest = std::max_element(left.begin(), left.end());
      *latest = 0;
      const auto at = static_cast<size_t>(latest - left.begin());
      std::string& record = prepared_.records[at];
      const Result<PreparedRecord> decoded = decode_prepared(record);
      const Status status = lock_prepared(locks, *decoded, owner);
      if (!status.ok() && !status.is(StatusCode::busy)) return status;
      const bool gone = writes_to_dropped(*decoded);
      if (status.ok() && !gone) continue;
      note(Status(
          StatusCode::corruption,
          "the prepared transaction " + readable_bytes(prepared_.keys[at].substr(1)) + " is left out: " +
              (gone ? "its keyspace was dropped later" : "one that was prepared later stands against it")));
      record.clear();
    }
    return {};
  }

  /// The catalogue stands before all keyspaces that can be dropped.
  const std::vector<uint32_t>& dropped() {
    if (!dropped_) dropped_ = catalogue_.dropped_ids();
    return *dropped_;
  }

  bool is_of_index(uint32_t keyspace) {
    if (indexes_ == nullptr) indexes_ = catalogue_.index_records();
    return std::ranges::any_of(indexes_->all,
                               [&](const IndexRecord& record) { return record.entries == keyspace; });
  }

  /// Of the keyspaces that are left, to be built at the next open.
  std::vector<IndexRecord> indexes() {
    std::vector<IndexRecord> left;
    const std::shared_ptr<const IndexRecords> records = catalogue_.index_records();
    for (IndexRecord record : records->all) {
      if (record.keyspace != kDefaultKeyspaceId && !names_.contains(record.keyspace)) continue;
      Result<std::string> definition = definition_to_build(record.definition);
      if (!definition) {
        note(definition.status());
        continue;
      }
      record.definition = *std::move(definition);
      left.push_back(std::move(record));
    }
    return left;
  }

  /// What there is of the keyspaces that are left.
  template <typename T>
  std::map<uint32_t, T> of_names(std::map<uint32_t, T> all) const {
    std::erase_if(
        all, [&](const auto& one) { return one.first != kDefaultKeyspaceId && !names_.contains(one.first); });
    return all;
  }

  void name_keyspaces() {
    for (const std::string& name : catalogue_.names()) {
      const uint32_t id = catalogue_.find(name);
      if (!std::ranges::binary_search(dropped(), id)) names_.emplace(id, name);
      nameless_.erase(id);
    }
    for (const uint32_t id : nameless_) {
      std::string name = "recovered-" + std::to_string(id);
      while (catalogue_.find(name) != 0) name += "-again";
      names_.emplace(id, name);
      report_.recovered_keyspaces.push_back(name);
    }
  }

  // The report.

  void report_lost(const LostKeys& lost) {
    LostRange range{.file = std::string(lost.why.file()),
                    .offset = lost.why.offset(),
                    .reason = std::string(lost.why.message()),
                    .scope = lost.everything ? LostScope::everything : LostScope::keys,
                    .keyspace = {},
                    .from = {},
                    .to = {}};
    if (lost.everything) {
      report_.lost.push_back(std::move(range));
      return;
    }
    report_lost_in(kDefaultKeyspaceId, "", lost, range);
    if (clip(kCatalogueKeyspaceId, lost, &range)) {
      range.scope = LostScope::named_keyspaces;
      range.from.clear();
      range.to.reset();
      report_.lost.push_back(range);
      range.scope = LostScope::keys;
    }
    for (const auto& [id, name] : names_) report_lost_in(id, name, lost, range);
  }

  void report_lost_in(uint32_t id, const std::string& name, const LostKeys& lost, LostRange range) {
    range.keyspace = name;
    if (clip(id, lost, &range)) report_.lost.push_back(std::move(range));
  }

  /// What of the internal keys lies in a keyspace, as user keys; false if nothing does.
  static bool clip(uint32_t id, const LostKeys& lost, LostRange* range) {
    char bytes[kKeyspaceIdBytesMax];
    const std::string prefix(bytes, put_keyspace_prefix(bytes, id));
    if (!lost.to.empty() && lost.to <= prefix) return false;
    const bool from_inside = lost.from.starts_with(prefix);
    if (!from_inside && lost.from > prefix) return false;
    range->from = from_inside ? lost.from.substr(prefix.size()) : "";
    range->to.reset();
    if (lost.to.starts_with(prefix)) range->to = lost.to.substr(prefix.size());
    return true;
  }

  void tell_progress(std::string_view file) {
    if (!options_.on_progress) return;
    AdminProgress now = progress_;
    now.file = file;
    for (const auto& run : runs_) now.bytes_done += run->bytes_passed();
    options_.on_progress(now);
  }

  Env& env_;
  Directory& directory_;
  const RepairOptions& options_;
  std::vector<FileInfo> files_;
  StateRemains remains_;
  uint64_t floor_ = 0;  // everything below is in runs
  std::vector<std::shared_ptr<Segment>> segments_;
  LogSource log_;
  std::vector<std::unique_ptr<RunSalvage>> runs_;  // newest first
  Catalogue catalogue_;
  RepairOutput::PreparedRecords prepared_;
  std::optional<std::vector<uint32_t>> dropped_;
  std::shared_ptr<const IndexRecords> indexes_;
  std::set<uint32_t> nameless_;  // keyspaces that have entries
  std::map<uint32_t, std::string> names_;
  std::vector<LostKeys> lost_;
  AdminProgress progress_;
  RepairReport report_;
};

}  // namespace

Result<RepairReport> repair_in(Env& env, const std::string& from, const std::string& into,
                               const RepairOptions& options) {
  Result<std::unique_ptr<Directory>> directory = env.files().open_directory(from, false);
  if (!directory) return directory.status();
  Result<std::unique_ptr<DirectoryLock>> lock = lock_as_reader(**directory);
  if (!lock) return lock.status();
  return Repair(env, **directory, options).run(into);
}

}  // namespace lightning
