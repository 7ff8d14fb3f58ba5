// SUPER: the one file that says which manifest, and how much of it, is the database.
//
// Four blocks of 4 KiB, the slots. A generation is one state of the database; it stands twice, generation g
// in slots 2 * (g % 2) and the next one. The slots of generation g - 2 are overwritten by those of g, so that
// the pair of g - 1 is whole whatever happens meanwhile. What is named must be durable before it is named
// (state_store.h).
//
// Format of a slot; all that is not zero stands in one 512-byte sector, so that a device which writes sectors
// whole never tears it:
//    0  u64 checksum of the bytes 8 to 4095, seeded with the slot's number
//    8  u64 magic            16  u32 format version       20  u32 zero
//   24  u64 features that a reader must know (bits)       32  u64 generation
//   40  u64 database id      48  u64 incarnation          56  u64 log floor
//   64  u64 manifest id      72  u64 manifest length      80  u64 manifest hash
// The checksum, magic and version stand where they stand in every version to come.
//
// Reading takes the highest valid generation. A slot that does not verify is damage, never a normal outcome
// of a crash: SUPER gets its name only when all four are written, and sectors are not torn. It is reported,
// and its partner used. If both slots that would hold generation g + 1 are damaged, g + 1 may have existed:
// `newest_in_doubt`.
//
// Thread safety: none; StateStore's lock stands around it.
#pragma once

#include <lightning/status.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "io/env.h"

namespace lightning {

inline constexpr char kSuperFileName[] = "SUPER";
inline constexpr uint64_t kSuperSlotBytes = 4096;
inline constexpr int kSuperSlots = 4;
inline constexpr uint64_t kSuperBytes = kSuperSlots * kSuperSlotBytes;
inline constexpr uint64_t kSuperMagic = 0x4e544847494c4244ull;  // "DBLIGHTN"
inline constexpr uint32_t kFormatVersion = 1;
inline constexpr uint64_t kSuperFeaturesKnown = 0;

struct SuperRecord {
  uint64_t generation = 0;
  uint64_t database_id = 0;
  uint64_t incarnation = 0;
  uint64_t log_floor = 0;
  uint64_t manifest_id = 0;
  uint64_t manifest_length = 0;  // bytes of the manifest that count; what stands behind them does not
  uint64_t manifest_hash = 0;    // of these bytes: the manifest's last chained checksum

  bool operator==(const SuperRecord&) const = default;
};

struct SuperContents {
  SuperRecord newest;
  int newest_slot = 0;  // where it was read
  bool newest_in_doubt = false;
  std::string damage;                        // empty: all four slots are what was written
  std::array<bool, kSuperSlots> verified{};  // by slot
};

/// `not_found`: no such file. `corruption`: no slot verifies, or two disagree. `not_supported`: of a newer
/// format.
Result<SuperContents> read_super(File& file);

/// All four slots, for a file that has none: `record` under its generation (odd) and under the next one.
std::string encode_whole_super(const SuperRecord& record);

/// Overwrites the pair of slots of record.generation and syncs.
Status write_super(File& file, const SuperRecord& record);

/// Makes the newest record durable, which the page cache alone may have, since who wrote it was killed before
/// its sync, or the sync failed. It is written once more, into the other slot of its pair: cut, the slot that
/// it was read from is as it was.
Status write_super_again(File& file, const SuperContents& contents);

}  // namespace lightning
