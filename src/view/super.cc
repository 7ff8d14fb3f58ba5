#include "view/super.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/coding.h"
#include "base/hash.h"

namespace lightning {

namespace {

constexpr uint64_t kChecksumAt = 0;
constexpr uint64_t kMagicAt = 8;
constexpr uint64_t kVersionAt = 16;
constexpr uint64_t kFeaturesAt = 24;
constexpr uint64_t kRecordAt = 32;
constexpr uint64_t kGenerationMax = uint64_t{1} << 62;

/// Stands in the file as it stands in memory.
struct SlotRecord {
  uint64_t generation, database_id, incarnation, log_floor, manifest_id, manifest_length, manifest_hash;
};
static_assert(sizeof(SlotRecord) == 56 && kRecordAt + sizeof(SlotRecord) <= 512);

int first_slot(uint64_t generation) { return static_cast<int>(generation % 2) * 2; }

Status corrupt(std::string_view what, int slot) {
  return Status(StatusCode::corruption, what, kSuperFileName, static_cast<uint64_t>(slot) * kSuperSlotBytes);
}

void encode_slot(const SuperRecord& record, int slot, char* to) {
  store<uint64_t>(to + kMagicAt, kSuperMagic);
  store<uint32_t>(to + kVersionAt, kFormatVersion);
  store<uint64_t>(to + kFeaturesAt, 0);
  store(to + kRecordAt,
        SlotRecord{record.generation, record.database_id, record.incarnation, record.log_floor,
                   record.manifest_id, record.manifest_length, record.manifest_hash});
  store(to + kChecksumAt, checksum(to + kMagicAt, kSuperSlotBytes - kMagicAt, static_cast<uint64_t>(slot)));
}

// `to` is zeros.
void encode_pair(const SuperRecord& record, char* to) {
  const int first = first_slot(record.generation);
  encode_slot(record, first, to);
  encode_slot(record, first + 1, to + kSuperSlotBytes);
}

bool verifies(const char* from, int slot) {
  const uint64_t sum = checksum(from + kMagicAt, kSuperSlotBytes - kMagicAt, static_cast<uint64_t>(slot));
  return load<uint64_t>(from + kChecksumAt) == sum && load<uint64_t>(from + kMagicAt) == kSuperMagic;
}

Status check_format(const char* from) {
  const auto version = load<uint32_t>(from + kVersionAt);
  if (version > kFormatVersion) {
    return Status(StatusCode::not_supported,
                  "the database has format version " + std::to_string(version) + "; this build knows " +
                      std::to_string(kFormatVersion),
                  kSuperFileName, kVersionAt);
  }
  if (const uint64_t unknown = load<uint64_t>(from + kFeaturesAt) & ~kSuperFeaturesKnown; unknown != 0) {
    return Status(
        StatusCode::not_supported,
        "the database uses features (bits " + std::to_string(unknown) + ") that this build does not know",
        kSuperFileName, kFeaturesAt);
  }
  return Status();
}

/// A slot that verifies; none where a generation does not stand in its place.
std::optional<SuperRecord> decode_slot(const char* from, int slot) {
  const auto at = load<SlotRecord>(from + kRecordAt);
  const bool placed =
      at.generation != 0 && at.generation < kGenerationMax && first_slot(at.generation) == slot / 2 * 2;
  if (!placed) return std::nullopt;
  return SuperRecord{at.generation,  at.database_id,     at.incarnation,  at.log_floor,
                     at.manifest_id, at.manifest_length, at.manifest_hash};
}

using Slots = std::optional<SuperRecord>[kSuperSlots];

/// What is said of SUPER as a whole once a newest slot is known.
Status judge(const Slots& slots, SuperContents* contents) {
  const SuperRecord& newest = contents->newest;
  for (int slot = 0; slot < kSuperSlots; ++slot) {
    contents->verified[static_cast<size_t>(slot)] = slots[slot].has_value();
    if (!slots[slot].has_value()) {
      contents->damage += (contents->damage.empty() ? "SUPER: slot " : ", slot ") + std::to_string(slot);
      continue;
    }
    if (slots[slot]->database_id != newest.database_id) return corrupt("slots of two databases", slot);
    if (slots[slot]->generation == newest.generation && *slots[slot] != newest) {
      return corrupt("two slots of one generation differ", slot);
    }
  }
  if (!contents->damage.empty()) contents->damage += " does not verify";
  const int other = first_slot(newest.generation + 1);
  contents->newest_in_doubt = !slots[other].has_value() && !slots[other + 1].has_value();
  const auto precedes = [&](int slot) {
    return slots[slot].has_value() && slots[slot]->generation + 1 == newest.generation;
  };
  if (contents->damage.empty() && !precedes(other) && !precedes(other + 1)) {
    contents->damage = "SUPER: a generation is missing";
  }
  return Status();
}

}  // namespace

Result<SuperContents> read_super(File& file) {
  std::string bytes(kSuperBytes, '\0');
  Result<uint64_t> size = file.read(0, bytes.data(), kSuperBytes);
  if (!size) return size.status();

  Slots slots;
  SuperContents contents;
  for (int slot = 0; slot < kSuperSlots; ++slot) {
    const char* const from = bytes.data() + static_cast<uint64_t>(slot) * kSuperSlotBytes;
    if (!verifies(from, slot)) continue;
    if (Status status = check_format(from); !status.ok()) return status;
    slots[slot] = decode_slot(from, slot);
    if (slots[slot].has_value() && slots[slot]->generation > contents.newest.generation) {
      contents.newest = *slots[slot];
      contents.newest_slot = slot;
    }
  }
  if (contents.newest.generation == 0) return corrupt("no slot verifies", 0);
  if (Status status = judge(slots, &contents); !status.ok()) return status;
  return contents;
}

std::string encode_whole_super(const SuperRecord& record) {
  SuperRecord next = record;
  ++next.generation;
  std::string slots(kSuperBytes, '\0');
  encode_pair(next, slots.data());
  encode_pair(record, slots.data() + 2 * kSuperSlotBytes);
  return slots;
}

Status write_super(File& file, const SuperRecord& record) {
  const uint64_t offset = static_cast<uint64_t>(first_slot(record.generation)) * kSuperSlotBytes;
  char pair[2 * kSuperSlotBytes] = {};  // no memory is asked for in the middle of a commit
  encode_pair(record, pair);
  if (Status status = file.write(offset, {pair, sizeof(pair)}); !status.ok()) return status;
  return file.sync();
}

Status write_super_again(File& file, const SuperContents& contents) {
  const int first = first_slot(contents.newest.generation);
  const int slot = contents.newest_slot == first ? first + 1 : first;
  char bytes[kSuperSlotBytes] = {};
  encode_slot(contents.newest, slot, bytes);
  const uint64_t offset = static_cast<uint64_t>(slot) * kSuperSlotBytes;
  if (Status status = file.write(offset, {bytes, sizeof(bytes)}); !status.ok()) return status;
  return file.sync();
}

}  // namespace lightning
