#include "view/state_store.h"

#include <algorithm>
#include <charconv>
#include <new>
#include <unordered_set>
#include <utility>

#include "format/file_number.h"

namespace lightning {

namespace {

constexpr uint64_t kFileIdReserve = 1024;
constexpr uint64_t kRewriteBytesMin = 64 << 10;
constexpr uint64_t kRewriteFactor = 4;
constexpr uint64_t kManifestAttempts = 1000;

constexpr std::string_view kManifestKind = ".manifest";
constexpr std::string_view kRunKind = ".run";
constexpr std::string_view kNumberedKinds[] = {kManifestKind, kRunKind, ".log", ".value"};

struct Leftovers {
  bool unfinished_super = false;
  std::vector<std::string> manifests;
};

bool names(const DurableState* state, const NumberedName& file) {
  if (state == nullptr) return false;
  if (file.kind == ".log") {
    return is_value_file(*state, file.number) ||
           std::any_of(state->log_segments.begin(), state->log_segments.end(),
                       [&](const LogSegmentInfo& segment) { return segment.number == file.number; });
  }
  for (const SortedRunInfo& run : state->runs) {
    for (const RunPiece& piece : run.pieces) {
      if (file.kind == kRunKind && piece.file.id == file.number) return true;
    }
  }
  return false;
}

/// What stands in a directory without SUPER: what a cut creation left; `corruption` if it was a database, or
/// was to become one by a copy that was cut; `already_exists` if there is a SUPER. What `to_be` names, if it
/// is not null, was written for it.
Result<Leftovers> look_for_leftovers(Directory& directory, const DurableState* to_be) {
  Result<std::vector<FileInfo>> files = directory.list();
  if (!files) return files.status();
  Leftovers leftovers;
  std::string other;
  std::string written;  // for what is to be
  for (const FileInfo& file : *files) {
    const NumberedName name = parse_numbered_name(file.name);
    if (file.name == kSuperFileName) {
      return Status(StatusCode::already_exists, "there is a database", file.name, Status::kWholeFile);
    }
    if (file.name == kUnfinishedSuperName) leftovers.unfinished_super = true;
    if (name.kind == kManifestKind) leftovers.manifests.push_back(file.name);
    if (!name.kind.empty() && name.kind != kManifestKind) (names(to_be, name) ? written : other) = file.name;
  }
  if (leftovers.unfinished_super && !other.empty()) {
    return Status(StatusCode::corruption, "a copy of a database was not finished here, there is " + other,
                  kUnfinishedSuperName, Status::kWholeFile);
  }
  if (!leftovers.unfinished_super) {
    if (!leftovers.manifests.empty()) other = leftovers.manifests.front();
    if (!written.empty()) other = written;  // by nobody who announced it
  }
  if (other.empty()) return leftovers;
  return Status(StatusCode::corruption, "SUPER is missing, but there is " + other, kSuperFileName,
                Status::kWholeFile);
}

/// Nobody knows which numbers a lost state had used: they go above all that are there.
Status raise_counters(Directory& directory, DurableState* state) {
  Result<std::vector<FileInfo>> files = directory.list();
  if (!files) return files.status();
  for (const FileInfo& file : *files) {
    const NumberedName name = parse_numbered_name(file.name);
    if (!name.kind.empty()) state->next_file_id = std::max(state->next_file_id, name.number + 1);
  }
  // Later segments stand above the floor, too: below, nothing would ever remove them.
  state->next_segment_number = std::max(state->next_segment_number, state->next_file_id);
  state->removal_floor = state->next_file_id;
  return Status();
}

Status check_agreement(const DurableState& state, const SuperRecord& super) {
  if (state.database_id == super.database_id && state.incarnation == super.incarnation &&
      state.log_floor == super.log_floor) {
    return Status();
  }
  return Status(StatusCode::corruption, "the manifest contradicts SUPER",
                manifest_file_name(super.manifest_id), Status::kWholeFile);
}

Result<DurableState> interpret(const Image& image, uint64_t manifest_id) {
  Result<DurableState> state = state_of(image);
  if (state) return state;
  return Status(state.status().code(), state.status().message(), manifest_file_name(manifest_id),
                Status::kWholeFile);
}

/// Both slots of the generation after super->generation are damaged: it may have existed.
Status resolve_doubt(Directory& directory, const Image& image, SuperRecord* super, DurableState* state) {
  const ManifestEnd end{.length = super->manifest_length, .hash = super->manifest_hash};
  super->generation += 2;  // the next commit takes the place of the damaged pair, and a number never used
  Result<Image> further = read_manifest_further(directory, super->manifest_id, end, image);
  if (further) {
    Result<DurableState> newer = interpret(*further, super->manifest_id);
    if (!newer) return newer.status();
    *state = *std::move(newer);
    return {};
  }
  if (!further.status().is(StatusCode::not_found)) return further.status();
  return raise_counters(directory, state);
}

SuperRecord super_of(const DurableState& state, uint64_t generation, uint64_t manifest_id,
                     const ManifestEnd& end) {
  return {.generation = generation,
          .database_id = state.database_id,
          .incarnation = state.incarnation,
          .log_floor = state.log_floor,
          .manifest_id = manifest_id,
          .manifest_length = end.length,
          .manifest_hash = end.hash};
}

Status invalid(std::string_view wrong) {
  return Status(StatusCode::invalid_argument, "no state of a database: " + std::string(wrong));
}

/// A file of `bytes`, synced; its name is not.
Status write_file(Directory& directory, const std::string& name, OpenMode mode, std::string_view bytes) {
  Result<std::unique_ptr<File>> file = directory.open(name, mode);
  if (!file) return file.status();
  if (Status status = (*file)->write(0, bytes); !status.ok()) return status;
  return (*file)->sync();
}

/// Removes a manifest that SUPER never came to name.
class UnnamedManifest {
 public:
  UnnamedManifest(Directory& directory, std::string name) : directory_(directory), name_(std::move(name)) {}
  ~UnnamedManifest() {
    if (!stays_) (void)directory_.remove(name_).ok();
  }
  UnnamedManifest(const UnnamedManifest&) = delete;
  UnnamedManifest& operator=(const UnnamedManifest&) = delete;
  void stays() { stays_ = true; }

 private:
  Directory& directory_;
  const std::string name_;
  bool stays_ = false;
};

/// Two names for a while: of a rename a power cut may leave neither, as of a database that lost its SUPER.
Status name_super(Directory& directory) {
  Status status = directory.link(kUnfinishedSuperName, directory, kSuperFileName);
  if (status.is(StatusCode::not_supported)) {
    status = directory.rename(kUnfinishedSuperName, kSuperFileName);
  } else {
    if (status.ok()) status = directory.sync();
    if (status.ok()) status = directory.remove(kUnfinishedSuperName);
  }
  return status.ok() ? directory.sync() : status;
}

}  // namespace

NumberedName parse_numbered_name(std::string_view name) {
  constexpr std::ptrdiff_t kDigitsMin = 10;
  NumberedName parsed;
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data(), end, parsed.number);
  if (error != std::errc() || stop - name.data() < kDigitsMin) return {};
  if (parsed.number == 0 || parsed.number > kFileNumberMax) return {};
  const std::string_view kind(stop, static_cast<size_t>(end - stop));
  const auto* const known = std::find(std::begin(kNumberedKinds), std::end(kNumberedKinds), kind);
  if (known != std::end(kNumberedKinds)) parsed.kind = *known;
  return parsed;
}

Status StateStore::announce(Directory& directory) {
  Status status = write_file(directory, kUnfinishedSuperName, OpenMode::create, {});
  if (!status.ok() && !status.is(StatusCode::already_exists)) return status;
  return directory.sync();
}

Result<std::unique_ptr<StateStore>> StateStore::create(Directory& directory, const DurableState& initial) {
  Result<Leftovers> leftovers = look_for_leftovers(directory, &initial);
  if (!leftovers) return leftovers.status();
  DurableState state = initial;
  const uint64_t manifest_id = state.next_file_id++;
  if (std::string_view wrong = check_state(state); !wrong.empty()) return invalid(wrong);

  // As long as there is SUPER.new, the directory is no database.
  if (!leftovers->unfinished_super) {
    if (Status status = write_file(directory, kUnfinishedSuperName, OpenMode::create, {}); !status.ok())
      return status;
  }
  if (Status status = directory.sync(); !status.ok()) return status;
  for (const std::string& name : leftovers->manifests) {
    if (Status status = directory.remove(name); !status.ok()) return status;
  }

  ManifestEnd end;
  const std::string manifest =
      encode_manifest(state.database_id, manifest_id, edit_between(Image(), image_of(state)), &end);
  const std::string super = encode_whole_super(super_of(state, 1, manifest_id, end));
  Status status = write_file(directory, manifest_file_name(manifest_id), OpenMode::create, manifest);
  if (status.ok()) status = write_file(directory, kUnfinishedSuperName, OpenMode::read_write, super);
  if (status.ok()) status = directory.sync();
  if (status.ok()) status = name_super(directory);
  if (!status.ok()) return status;
  return open(directory, StoreAccess::read_write);
}

Result<std::unique_ptr<StateStore>> StateStore::open(Directory& directory, StoreAccess access,
                                                     uint64_t manifest_bytes_max) {
  const OpenMode mode = access == StoreAccess::read ? OpenMode::read : OpenMode::read_write;
  Result<std::unique_ptr<File>> file = directory.open(kSuperFileName, mode);
  if (file.status().is(StatusCode::not_found)) {
    Result<Leftovers> leftovers = look_for_leftovers(directory, nullptr);
    if (!leftovers) return leftovers.status();
    return Status(StatusCode::not_found, "there is no database", directory.path(), Status::kWholeFile);
  }
  if (!file) return file.status();
  Result<SuperContents> contents = read_super(**file);
  if (!contents) return contents.status();
  SuperRecord super = contents->newest;

  Result<Image> image = read_manifest(directory, super.database_id, super.manifest_id,
                                      {.length = super.manifest_length, .hash = super.manifest_hash});
  if (!image) return image.status();
  Result<DurableState> state = interpret(*image, super.manifest_id);
  if (!state) return state.status();
  if (Status status = check_agreement(*state, super); !status.ok()) return status;
  if (contents->newest_in_doubt) {
    if (Status status = resolve_doubt(directory, *image, &super, &*state); !status.ok()) return status;
  }

  if (access == StoreAccess::read_write) {
    if (Status status = directory.sync(); !status.ok()) return status;
    if (Status status = write_super_again(**file, *contents); !status.ok()) return status;
  }
  std::unique_ptr<StateStore> store(new StateStore(directory, access, manifest_bytes_max));
  const MutexLock lock(store->mutex_);
  store->damage_ = std::move(contents->damage);
  store->first_file_id_ = state->next_file_id;
  store->next_file_id_ = state->next_file_id;
  store->state_ = *std::move(state);
  store->super_ = super;
  store->super_file_ = *std::move(file);
  // A record of the manifest that SUPER may never have named may be in the page cache alone.
  if (contents->newest_in_doubt && access == StoreAccess::read_write) {
    if (Status status = store->commit_locked([](DurableState&) {}); !status.ok()) return status;
  }
  return store;
}

DurableState StateStore::state() const {
  const MutexLock lock(mutex_);
  return state_;
}

void StateStore::without_commits(const std::function<void(const DurableState&)>& look) const {
  const MutexLock lock(mutex_);
  look(state_);
}

uint64_t StateStore::manifest_id() const {
  const MutexLock lock(mutex_);
  return super_.manifest_id;
}

uint64_t StateStore::generation() const {
  const MutexLock lock(mutex_);
  return super_.generation;
}

Status StateStore::commit(const std::function<void(DurableState&)>& edit) {
  const MutexLock lock(mutex_);
  return commit_locked(edit);
}

Result<uint64_t> StateStore::new_file_id() {
  const MutexLock lock(mutex_);
  // Above it after a manifest that could not be made.
  if (next_file_id_ >= state_.next_file_id) {
    if (Status status = commit_locked([](DurableState&) {}); !status.ok()) return status;
  }
  return next_file_id_++;
}

std::vector<std::string> StateStore::orphans(const std::vector<FileInfo>& files) const {
  const MutexLock lock(mutex_);
  std::vector<std::string> found;
  if (!damage_.empty()) return found;
  std::unordered_set<std::string> named = {manifest_file_name(super_.manifest_id)};
  for (const SortedRunInfo& run : state_.runs) {
    for (const RunPiece& piece : run.pieces) named.insert(run_file_name(piece.file.id));
  }
  for (const FileInfo& file : files) {
    if (file.name == kUnfinishedSuperName) found.push_back(file.name);
    const NumberedName name = parse_numbered_name(file.name);
    const bool ours = name.kind == kManifestKind || name.kind == kRunKind;
    if (!ours || name.number < state_.removal_floor) continue;
    const uint64_t end = first_file_id_ + (name.kind == kManifestKind ? kManifestAttempts : 0);
    if (name.number >= end) continue;
    if (!named.contains(file.name)) found.push_back(file.name);
  }
  return found;
}

Status StateStore::commit_locked(const std::function<void(DurableState&)>& edit) {
  if (access_ == StoreAccess::read)
    return Status(StatusCode::invalid_argument, "the database is open for reading");
  if (!failed_.ok()) return failed_;
  try {
    return make_durable(edit);
  } catch (const std::bad_alloc&) {
    // What a manifest holds beyond what SUPER says counts for nothing; but what a sync did that did not come
    // to say so is not known.
    Status refused(StatusCode::out_of_memory, "a change of the database's state");
    return syncs_ ? fail(std::move(refused)) : refused;
  }
}

Status StateStore::make_durable(const std::function<void(DurableState&)>& edit) {
  DurableState next = state_;
  edit(next);
  next.removal_floor = state_.removal_floor;
  next.next_file_id = next_file_id_ + kFileIdReserve;
  if (std::string_view wrong = check_state(next); !wrong.empty()) return invalid(wrong);
  if (std::string_view wrong = check_transition(state_, next); !wrong.empty()) return invalid(wrong);
  const uint64_t length_max =
      std::min(manifest_bytes_max_ / 2, std::max(kRewriteBytesMin, kRewriteFactor * snapshot_bytes_));
  const bool anew = manifest_file_ == nullptr || super_.manifest_length > length_max;
  return anew ? rewrite(std::move(next)) : append(std::move(next));
}

Status StateStore::append(DurableState next) {
  Image image = image_of(next);
  ManifestEnd end{.length = super_.manifest_length, .hash = super_.manifest_hash};
  const std::string record = encode_manifest_record(edit_between(image_, image), &end);
  if (end.length > manifest_bytes_max_) return rewrite(std::move(next));
  const SuperRecord super = super_of(next, super_.generation + 1, super_.manifest_id, end);

  syncs_ = true;
  if (Status status = directory_.sync(); !status.ok()) return fail(std::move(status));
  syncs_ = false;
  if (Status status = manifest_file_->write(super_.manifest_length, record); !status.ok()) {
    return status.is(StatusCode::no_space) ? status : fail(std::move(status));
  }
  syncs_ = true;
  if (Status status = manifest_file_->sync(); !status.ok()) return fail(std::move(status));
  if (Status status = write_super(*super_file_, super); !status.ok()) return fail(std::move(status));
  syncs_ = false;
  super_ = super;
  image_ = std::move(image);
  state_ = std::move(next);
  return Status();
}

Status StateStore::rewrite(DurableState next) {
  uint64_t id = 0;
  Result<std::unique_ptr<File>> file = make_manifest(&id);
  if (!file) return file.status();
  UnnamedManifest unnamed(directory_, manifest_file_name(id));
  next.next_file_id = next_file_id_ + kFileIdReserve;
  Image image = image_of(next);
  ManifestEnd end;
  const std::string manifest = encode_manifest(next.database_id, id, edit_between(Image(), image), &end);
  if (end.length > manifest_bytes_max_)
    return Status(StatusCode::out_of_memory, "a manifest cannot hold the database's state");
  SuperRecord super = super_of(next, super_.generation + 1, id, end);
  const std::string former = manifest_file_name(super_.manifest_id);

  if (Status status = (*file)->write(0, manifest); !status.ok())
    return status.is(StatusCode::no_space) ? status : fail(std::move(status));
  syncs_ = true;
  if (Status status = (*file)->sync(); !status.ok()) return fail(std::move(status));
  if (Status status = directory_.sync(); !status.ok()) return fail(std::move(status));
  unnamed.stays();
  if (Status status = write_super(*super_file_, super); !status.ok()) return fail(std::move(status));
  ++super.generation;
  if (Status status = write_super(*super_file_, super); !status.ok()) return fail(std::move(status));
  syncs_ = false;
  // A former manifest that stays is an orphan of the next open.
  if (damage_.empty()) (void)directory_.remove(former).ok();
  manifest_file_ = *std::move(file);
  snapshot_bytes_ = manifest.size();
  super_ = super;
  image_ = std::move(image);
  state_ = std::move(next);
  return Status();
}

Result<std::unique_ptr<File>> StateStore::make_manifest(uint64_t* id) {
  Status status;
  for (uint64_t attempt = 0; attempt <= kManifestAttempts; ++attempt) {
    *id = next_file_id_++;
    const std::string name = manifest_file_name(*id);
    Result<std::unique_ptr<File>> file = directory_.open(name, OpenMode::create);
    if (file || !file.status().is(StatusCode::already_exists)) return file;
    status = file.status();
    // A crash left it behind, whose id was not yet set aside. It goes, or there would be one more after each;
    // its name is not used again, since who looked for orphans before may yet remove it.
    if (damage_.empty()) (void)directory_.remove(name).ok();
  }
  return status;
}

Status StateStore::fail(Status status) {
  // A full disk is no excuse any more: what is on disk is not known.
  failed_ = !status.is(StatusCode::no_space)
                ? std::move(status)
                : Status(StatusCode::io_error, status.message(), status.file(), status.offset());
  return failed_;
}

bool StateStore::has_committed() const {
  const MutexLock lock(mutex_);
  return manifest_file_ != nullptr;
}

Status StateStore::failure() const {
  const MutexLock lock(mutex_);
  return failed_;
}

}  // namespace lightning
