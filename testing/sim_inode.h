// SimInode: one simulated file: its bytes as programs see them, as the disk has them, and what lies between.
//
// Invariants
//  S1  Without a failed sync, present bytes = durable bytes + the pending changes in their order.
//  S2  A pending change of bytes consists of whole sectors as they stood after the change. A power cut keeps
//  or loses
//      each sector of each change by itself, which gives a sector any of the states it had since the last
//      sync.
//  S3  A change of size is one pending change; what lies beyond the size reads as zeros.
// Stores into mappings are no calls: they become pending changes when capture() finds them. Whoever reads or
// changes the bytes captures first; SimEnv captures at every step while somebody watches. Thread safety:
// externally synchronised (one simulated thread runs at a time).
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "testing/sim_window.h"
#include "testing/sparse_bytes.h"

namespace lightning {

/// A change that no sync has covered yet.
struct PendingChange {
  uint64_t sequence = 0;                     // order over all files and directories of a disk
  uint64_t offset = 0;                       // where `bytes` belong, a multiple of the sector size
  std::shared_ptr<const std::string> bytes;  // null: the file became `size` bytes long
  uint64_t size = 0;
};

/// A part of a pending change that a power cut keeps or loses as one.
struct KeptBytes {
  const PendingChange* change = nullptr;
  uint64_t offset = 0;  // of the file, for bytes; 0 for a change of size
  uint64_t size = 0;
};

class SimInode {
 public:
  explicit SimInode(bool keeps_unsynced) { state_.keeps_unsynced = keeps_unsynced; }
  SimInode(const SimInode&) = delete;
  SimInode& operator=(const SimInode&) = delete;

  /// The same file without its mappings and openers: what another process would find.
  std::unique_ptr<SimInode> copy() const;
  /// The file as a power cut leaves it that kept `kept` of the pending changes, in their order.
  std::unique_ptr<SimInode> after_power_cut(const std::vector<KeptBytes>& kept) const;

  // As programs see it. `sequence` numbers the pending changes that the call makes.
  uint64_t size() const { return state_.size; }
  uint64_t read(uint64_t offset, uint64_t size, char* to) const;
  void write(uint64_t offset, std::string_view bytes, uint64_t sequence);
  void resize(uint64_t size, uint64_t sequence);
  /// Zeros in [offset, offset + size); whole pages of it take no disk space any more.
  void punch(uint64_t offset, uint64_t size, uint64_t sequence);
  /// Takes disk space for [0, size) and makes the file that long.
  void reserve(uint64_t size, uint64_t sequence);
  /// Pages of disk space that it takes, and that a write of a range would take more.
  uint64_t allocated_pages() const { return state_.allocated_pages; }
  uint64_t missing_pages(uint64_t offset, uint64_t size) const;

  // Mappings.
  /// The window for a new mapping; null when the range overlaps a window without lying inside it, or without
  /// memory.
  SimWindow* map(uint64_t offset, uint64_t size, bool writable);
  void unmap(SimWindow* window);
  /// Notes what was stored into mappings since it was called last. True when there was something.
  bool capture(uint64_t sequence);
  /// Answers a fault: stores into present mappings no longer reach the file.
  void detach_mappings();
  bool has_writable_mapping() const;

  // Durability.
  const std::vector<PendingChange>& pending() const { return state_.pending; }
  /// fdatasync of what was changed up to `sequence`.
  void make_durable(uint64_t sequence);
  /// A sync that failed: the first `kept` pending changes of bytes up to `sequence` reached the disk, the
  /// others are clean in the cache and nowhere else. A later sync succeeds without them (S1 no longer holds).
  void lose_unsynced(uint64_t sequence, uint64_t kept);
  /// What a write fault on [offset, offset + size) does: what lose_unsynced() lost there is dirty again.
  void dirty_lost(uint64_t offset, uint64_t size, uint64_t sequence);
  /// The kernel drops clean pages: what lose_unsynced() lost reads as the disk has it.
  void evict_lost();
  std::string durable_bytes() const {
    return state_.keeps_unsynced ? state_.durable.read(0, state_.durable_size) : present_bytes();
  }
  std::string present_bytes() const { return state_.present.read(0, state_.size); }
  /// No pending change alters [0, size), and the durable file is that long.
  bool is_durable_up_to(uint64_t size) const;

  // Kept by SimDisk.
  std::string name;      // the last one it got
  uint32_t links = 0;    // present names
  uint32_t openers = 0;  // File and MappedRegion objects

 private:
  struct State {
    SparseBytes present;
    uint64_t size = 0;
    SparseBytes durable;
    uint64_t durable_size = 0;
    std::vector<PendingChange> pending;
    uint64_t reserved_pages = 0;
    std::set<uint64_t> holes;  // of these, those that were punched
    uint64_t allocated_pages = 0;
    bool lost = false;
    bool keeps_unsynced = true;  // false: every change is durable at once and nothing is ever pending
  };

  bool same_up_to(uint64_t size) const;  // present and durable bytes
  void put(uint64_t offset, std::string_view bytes);
  void note_bytes(uint64_t offset, uint64_t size, uint64_t sequence);
  void note_size(uint64_t sequence);
  void apply_to_durable(const PendingChange& change);
  bool capture(const SimWindow& window, uint64_t sequence);
  void refresh_windows(uint64_t offset, uint64_t size);
  void count_pages();

  State state_;
  std::vector<std::unique_ptr<SimWindow>> windows_;
};

}  // namespace lightning
