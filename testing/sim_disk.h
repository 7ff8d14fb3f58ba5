// SimDisk: a simulated disk as a value: directories and files, what is durable of them and what is not yet.
//
// A moment is a copy of a disk (kill_image()): what another process finds after the first was killed, with
// all that is still un-synced. From a moment come the images of a power cut: pending_units() lists what may
// be kept or lost, and power_cut_image() makes the disk that a chosen subset leaves. See crash_images.h for
// the enumeration.
//
// Invariants
//  D1  An entry (create, rename, remove, link) is durable only after sync_directory(); entries and bytes are
//  independent. D2  A unit of loss is a sector of one change of bytes, one change of size, or one change of
//  entries. A rename is one
//      unit (both names or neither), two with CrashGrain::split_renames.
//  D3  Directories themselves are durable at once (Env promises that they are made synced).
// Costs: a copy is a table of page references for each file, a few microseconds for a small database.
// Thread safety: externally synchronised.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "testing/sim_inode.h"

namespace lightning {

/// A change of entries that no directory sync has covered: `cleared` went, then `set` began to mean `inode`.
struct EntryChange {
  uint64_t sequence = 0;
  std::string cleared;
  std::string set;
  uint64_t inode = 0;
};

struct SimFolder {
  std::string path;
  std::map<std::string, uint64_t> present;
  std::map<std::string, uint64_t> durable;
  std::vector<EntryChange> pending;
  std::map<std::string, int>
      locks;  // shared holders, -1 = one exclusive holder; of this process, so never copied
};

/// How finely a power cut tears.
struct CrashGrain {
  uint64_t block_bytes = kSectorBytes;  // a multiple of the sector size
  bool split_renames = false;
};

/// One thing that a power cut keeps or loses. Means something only for the disk that listed it, until it
/// changes.
struct PendingUnit {
  enum class Kind : uint8_t { bytes, size, entry, entry_cleared, entry_set };
  Kind kind = Kind::bytes;
  uint64_t sequence = 0;
  uint64_t inode = 0;                 // bytes, size
  const SimFolder* folder = nullptr;  // entry*
  size_t change = 0;                  // index among the pending changes of inode or folder
  uint64_t offset = 0;                // bytes
  uint64_t size = 0;                  // bytes
  /// Same for units of one file or directory.
  uint64_t owner() const { return folder != nullptr ? reinterpret_cast<uintptr_t>(folder) : inode; }
};

class SimDisk {
 public:
  SimDisk() = default;
  /// With `keeps_unsynced` false every change is durable at once: cheaper, for tests that cut no power.
  explicit SimDisk(bool keeps_unsynced) : keeps_unsynced_(keeps_unsynced) {}
  SimDisk(SimDisk&&) = default;
  SimDisk& operator=(SimDisk&&) = default;

  // Moments and images.
  /// The disk as the next process finds it after a kill: nothing is lost, what was un-synced still is.
  SimDisk kill_image();
  /// What a power cut may keep or lose now, oldest first.
  std::vector<PendingUnit> pending_units(const CrashGrain& grain = {});
  /// The disk after a power cut that kept just `kept`, in the order of pending_units(). The machine boots
  /// anew.
  SimDisk power_cut_image(const std::vector<PendingUnit>& kept) const;
  /// One unit for a person: "000001.log +512 at 4096", "rename of SUPER.new to SUPER".
  std::string describe(const PendingUnit& unit) const;
  /// Grows with every change and sync: equal numbers, equal moments.
  uint64_t version();
  uint64_t boot_id() const { return boot_id_; }
  /// After a clean reboot: a new number, and nothing lost.
  void set_boot_id(uint64_t id) { boot_id_ = id; }
  /// Counts the processes that used this disk and its forebears; the caller is the next.
  uint64_t next_process() { return ++processes_; }

  // Damage and inspection by tests; every path is "directory/name". Changes are durable.
  std::vector<std::string> file_paths() const;
  bool has_file(const std::string& path) const;
  std::string file_bytes(const std::string& path);
  void put_file(const std::string& path, std::string_view bytes);
  void remove_file(const std::string& path);
  /// Stores into all present mappings of the file stop reaching it, and they report a fault.
  void break_mappings(const std::string& path);
  /// The kernel drops clean pages: what failed syncs lost is read as the disk has it from now on.
  void evict_lost_pages();

  // Space. The default is more than any test writes.
  void set_capacity(uint64_t bytes) { capacity_bytes_ = bytes; }
  uint64_t free_bytes() const;

  // The calls below are SimFileSystem's. Names are single components.
  SimFolder* folder(const std::string& path);
  SimFolder* make_folders(const std::string& path);
  std::vector<std::string> child_folders(const SimFolder& folder) const;
  SimInode* find(const SimFolder& folder, const std::string& name);
  SimInode* create(SimFolder& folder, const std::string& name);
  void unlink(SimFolder& folder, const std::string& name);
  void rename(SimFolder& folder, const std::string& from, const std::string& to);
  void link(const SimFolder& from, const std::string& name, SimFolder& to, const std::string& to_name);
  void sync_folder(SimFolder& folder, uint64_t sequence);
  /// Numbers a change that is about to be made.
  uint64_t next_sequence() { return ++sequence_; }
  /// Everything changed so far has this number or a lower one; stores into mappings included.
  uint64_t capture();
  SimInode* inode(uint64_t id);
  bool keeps_unsynced() const { return keeps_unsynced_; }

  /// "a//b/./c/" as "a/b/c".
  static std::string normal_path(const std::string& path);

 private:
  std::pair<SimFolder*, std::string> locate(const std::string& path) const;
  void change_entries(SimFolder& folder, const std::string& cleared, const std::string& set, uint64_t inode);
  void drop_unnamed();

  static constexpr uint64_t kCapacityBytes = 1ull << 40;

  bool keeps_unsynced_ = true;
  std::map<std::string, std::unique_ptr<SimFolder>> folders_;
  std::map<uint64_t, std::unique_ptr<SimInode>> inodes_;
  uint64_t inodes_made_ = 0;
  uint64_t sequence_ = 0;
  uint64_t boot_id_ = 1;
  uint64_t processes_ = 0;
  uint64_t capacity_bytes_ = kCapacityBytes;
};

}  // namespace lightning
