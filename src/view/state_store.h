// StateStore: the durable state of one database directory, kept by SUPER and a manifest. It alone touches
// these files.
//
// A commit makes the next state durable, whole or not at all:
//   1. (the caller) what the state names is written and synced;
//   2. the directory is synced: what the state names has its name;
//   3. the edit is appended to the manifest, which is synced;
//   4. the pair of slots of the older generation is written in SUPER, which is synced.
// Only then may the caller remove what the former state named and this one does not.
//
// An open for writing makes durable what it read, before anybody relies on it: it syncs the directory, since
// a killed process may have given SUPER its name without that, and then no other file may become durable
// first; and it writes the newest record of SUPER once more, into the other slot of its pair.
//
// The first commit after an open, and one that finds the manifest long, write the manifest anew instead: a
// file with the new state as its snapshot is written and synced, the directory synced, both pairs of SUPER
// written one after the other, each synced, and the former manifest removed. So an open puts nothing behind
// bytes that it has not written itself, and afterwards every slot names what this process made durable.
//
// Cut by a crash or a failure, the disk holds the former state or the next:
//   - in 2 or 3: SUPER names the former length of the manifest; what stands behind it does not count. It is
//     never taken for part of a later state: the chain of checksums goes through every byte, and the next
//     open writes another file.
//   - in 4: each slot of the pair is as it was or new. One new one is enough: it is the highest generation,
//     and what it names is durable. None: the other pair is untouched.
//   - in a rewrite before SUPER: a crash leaves a manifest behind that nothing names, a failure removes it;
//     between the pairs: either manifest is whole, and the former one is not yet removed.
// A failure ends all commits of this store: state() stays what it was, the disk may hold the next state, and
// the caller removes neither what the former nor what the next state names. It is never `no_space`: not final
// are `no_space`, `out_of_memory` or a file that cannot be made, before anything but unnamed manifest bytes
// was written: failure() is then ok, the commit may be repeated, and what the next state would have named
// may be removed.
//
// Creation: SUPER.new, empty, is made and its name synced; then the manifest; then SUPER.new is filled, all
// is synced, and it gets the name SUPER, then loses the other. So a directory without SUPER is one that never
// was a database when it holds SUPER.new or no numbered file of ours, and otherwise a database that lost its
// SUPER: `corruption`, never created over. A copy makes SUPER.new first, then runs and segments, then the
// rest as above: cut before the end, it is `corruption`, too, and says that it is an unfinished copy.
//
// Damage: a slot that does not verify is reported (damage()) and nothing is removed in this session. If both
// slots that could hold a newer generation are damaged, the manifest is read one record further: it was
// synced before SUPER named it. If it has none, nobody can tell whether a newer state is lost; then the
// counters of files and segments are raised above every number in the directory and removal_floor with them,
// so that no file that the lost state named is ever overwritten or removed. Damage to the part of a manifest
// that counts is `corruption`.
//
// File ids are given out by new_file_id() and set aside in the manifest a thousand at a time, so that a file
// of an id at or above the recorded next_file_id is not ours; but for manifests of the next ids, which first
// commits after an open made, and were cut, before they set any aside: the next such commit removes those
// in its way, and takes the id behind them.
//
// Thread safety: internally synchronised; state() waits for a commit that is being written.
// Ownership: the Directory must outlive the store.
// Costs: an open reads two files (15 us for three runs, 5 ms for 10,000), one for writing syncs twice; a
// commit is three syncs, a rewrite four. Both walk all pieces: with 10,000 of them 6 ms.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "io/env.h"
#include "view/durable_state.h"
#include "view/manifest.h"
#include "view/super.h"

namespace lightning {

inline constexpr char kUnfinishedSuperName[] = "SUPER.new";

/// A file name of ours that has a number in it: "0000000007.run".
struct NumberedName {
  uint64_t number = 0;
  std::string_view kind;  // ".manifest", ".run", ".log", ".value"; empty: it is none
};
NumberedName parse_numbered_name(std::string_view name);

enum class StoreAccess { read, read_write };

class StateStore {
 public:
  /// Makes SUPER.new: the files of a database may be written here, which is none until create().
  static Status announce(Directory& directory);

  /// Makes a database of the state `initial` in a directory that has none; nothing of it but the lock may
  /// exist before, and, after announce(), what `initial` names, all of it synced. `already_exists`;
  /// `corruption` when a database lost its SUPER there. May be repeated after a failure or a crash.
  static Result<std::unique_ptr<StateStore>> create(Directory& directory, const DurableState& initial);

  /// Reads the state; writes nothing. `not_found`: no database, or one whose creation was cut.
  /// `not_supported`: of a newer format. `corruption`.
  /// A test may have it refuse smaller manifests.
  static Result<std::unique_ptr<StateStore>> open(Directory& directory, StoreAccess access,
                                                  uint64_t manifest_bytes_max = kManifestBytesMax);

  DurableState state() const;

  /// Makes durable what `edit` makes of the present state. `invalid_argument` and no change when the outcome
  /// breaks D1 to D3; `out_of_memory` and no change when a manifest cannot hold it.
  Status commit(const std::function<void(DurableState&)>& edit);

  /// An id for a file to come, never given out before. May commit.
  Result<uint64_t> new_file_id();

  /// Is the present state known to be durable? What an open read may be in the page cache alone, and a power
  /// cut may bring back the state before, until the first commit.
  bool has_committed() const;

  /// The failure that ended all commits; ok while there was none.
  Status failure() const;

  /// Calls `look` with the present state while no commit goes on: SUPER and manifest say just that.
  void without_commits(const std::function<void(const DurableState&)>& look) const;

  /// What was damaged when it was opened, for a person; empty: nothing.
  const std::string& damage() const { return damage_; }

  /// Those of `files` that a crash left behind: runs and manifests that the state does not name, and whose
  /// ids were given out before this open. They may be removed after the first commit. None while damage()
  /// says something.
  std::vector<std::string> orphans(const std::vector<FileInfo>& files) const;

  uint64_t manifest_id() const;
  uint64_t generation() const;

 private:
  StateStore(Directory& directory, StoreAccess access, uint64_t manifest_bytes_max)
      : directory_(directory), access_(access), manifest_bytes_max_(manifest_bytes_max) {}
  Status commit_locked(const std::function<void(DurableState&)>& edit) REQUIRES(mutex_);
  Status make_durable(const std::function<void(DurableState&)>& edit) REQUIRES(mutex_);
  Status append(DurableState next) REQUIRES(mutex_);
  Status rewrite(DurableState next) REQUIRES(mutex_);
  Result<std::unique_ptr<File>> make_manifest(uint64_t* id) REQUIRES(mutex_);
  Status fail(Status status) REQUIRES(mutex_);

  Directory& directory_;
  const StoreAccess access_;
  const uint64_t manifest_bytes_max_;
  std::string damage_;
  uint64_t first_file_id_ = 0;  // of this session

  mutable Mutex mutex_;
  Status failed_ GUARDED_BY(mutex_);       // sticky
  bool syncs_ GUARDED_BY(mutex_) = false;  // what a sync that goes on does is not known
  DurableState state_ GUARDED_BY(mutex_);
  Image image_ GUARDED_BY(mutex_);  // of state_, once this session has written a manifest
  SuperRecord super_ GUARDED_BY(mutex_);
  uint64_t next_file_id_ GUARDED_BY(mutex_) = 0;
  uint64_t snapshot_bytes_ GUARDED_BY(mutex_) = 0;
  std::unique_ptr<File> super_file_ GUARDED_BY(mutex_);
  std::unique_ptr<File> manifest_file_ GUARDED_BY(mutex_);  // null until this session has written one
};

}  // namespace lightning
