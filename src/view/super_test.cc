#include "view/super.h"

#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/hash.h"
#include "testing/random.h"

namespace lightning {
namespace {

/// SUPER in a string.
class BytesFile final : public File {
 public:
  explicit BytesFile(std::string from) : bytes(std::move(from)) {}
  Result<uint64_t> read(uint64_t offset, void* to, uint64_t size) override {
    const uint64_t part = offset < bytes.size() ? std::min<uint64_t>(size, bytes.size() - offset) : 0;
    std::memcpy(to, bytes.data() + offset, part);
    return part;
  }
  Status write(uint64_t offset, std::string_view from) override {
    bytes.replace(offset, from.size(), from);
    return Status();
  }
  Status sync() override {
    ++syncs;
    return Status();
  }
  Status allocate(uint64_t) override { return Status(StatusCode::not_supported, "allocate"); }
  Status truncate(uint64_t) override { return Status(StatusCode::not_supported, "truncate"); }
  Result<uint64_t> size() override { return uint64_t{bytes.size()}; }
  Result<uint64_t> disk_bytes() override { return uint64_t{bytes.size()}; }
  Status punch(uint64_t, uint64_t) override { return Status(StatusCode::not_supported, "punch"); }
  bool recyclable() override { return false; }
  void drop_cache(uint64_t, uint64_t) override {}
  Result<std::unique_ptr<MappedRegion>> map(uint64_t, uint64_t, MapMode) override {
    return Status(StatusCode::not_supported, "map");
  }

  std::string bytes;
  int syncs = 0;
};

SuperRecord record_of(uint64_t generation) {
  return {.generation = generation,
          .database_id = 77,
          .incarnation = 88,
          .log_floor = generation * 100,
          .manifest_id = 3,
          .manifest_length = generation * 10,
          .manifest_hash = generation * 12345};
}

/// The generations 1 to `last`, written one after the other.
BytesFile file_with(uint64_t last) {
  BytesFile file(encode_whole_super(record_of(1)));
  for (uint64_t generation = 2; generation <= last; ++generation) {
    EXPECT_TRUE(write_super(file, record_of(generation)).ok());
  }
  return file;
}

uint64_t slot_at(int slot) { return static_cast<uint64_t>(slot) * kSuperSlotBytes; }

void spoil(BytesFile* file, int slot) { file->bytes[slot_at(slot) + 40] ^= 1; }

/// Gives a slot other contents and the checksum for them.
template <typename T>
void forge(BytesFile* file, int slot, uint64_t offset, T value) {
  char* const at = file->bytes.data() + slot_at(slot);
  store<T>(at + offset, value);
  store(at, checksum(at + 8, kSuperSlotBytes - 8, static_cast<uint64_t>(slot)));
}

TEST(Super, HighestGenerationIsRead) {
  for (uint64_t last = 2; last < 9; ++last) {
    BytesFile file = file_with(last);
    EXPECT_EQ(file.bytes.size(), kSuperBytes);
    EXPECT_EQ(file.syncs, static_cast<int>(last) - 1);
    const Result<SuperContents> contents = read_super(file);
    ASSERT_TRUE(contents);
    EXPECT_EQ(contents->newest, record_of(last));
    EXPECT_EQ(contents->damage, "");
    EXPECT_FALSE(contents->newest_in_doubt);
  }
}

TEST(Super, FreshFileHoldsItsStateTwice) {
  BytesFile file(encode_whole_super(record_of(1)));
  const Result<SuperContents> contents = read_super(file);
  ASSERT_TRUE(contents);
  SuperRecord expected = record_of(1);
  expected.generation = 2;
  EXPECT_EQ(contents->newest, expected);
  EXPECT_EQ(contents->damage, "");
}

// Each slot of the pair that is being written is as it was or new: never damage.
TEST(Super, HalfWrittenPair) {
  for (int slot : {2, 3}) {
    BytesFile file = file_with(4);
    const BytesFile next = file_with(5);
    file.bytes.replace(slot_at(slot), kSuperSlotBytes, next.bytes, slot_at(slot), kSuperSlotBytes);
    Result<SuperContents> contents = read_super(file);
    ASSERT_TRUE(contents);
    EXPECT_EQ(contents->newest, record_of(5));
    EXPECT_EQ(contents->damage, "");
    EXPECT_FALSE(contents->newest_in_doubt);
    // The next generation goes to the other pair, half of it too.
    const BytesFile later = file_with(6);
    file.bytes.replace(0, kSuperSlotBytes, later.bytes, 0, kSuperSlotBytes);
    contents = read_super(file);
    ASSERT_TRUE(contents);
    EXPECT_EQ(contents->newest, record_of(6));
    EXPECT_EQ(contents->damage, "");
  }
}

TEST(Super, EveryFlippedBitIsSeenAndHarmless) {
  Random random(1);
  const BytesFile whole = file_with(7);
  for (uint64_t offset = 0; offset < kSuperBytes; ++offset) {
    BytesFile file = whole;
    file.bytes[offset] = static_cast<char>(file.bytes[offset] ^ (1 << random.below(8)));
    const Result<SuperContents> contents = read_super(file);
    ASSERT_TRUE(contents) << offset;
    EXPECT_EQ(contents->newest, record_of(7)) << offset;
    EXPECT_EQ(contents->damage,
              "SUPER: slot " + std::to_string(offset / kSuperSlotBytes) + " does not verify");
    EXPECT_FALSE(contents->newest_in_doubt) << offset;
  }
}

TEST(Super, AnySlotsDamaged) {
  for (int damaged = 1; damaged < 16; ++damaged) {
    BytesFile file = file_with(6);  // the newest in slots 0 and 1
    for (int slot = 0; slot < kSuperSlots; ++slot) {
      if ((damaged >> slot & 1) != 0) spoil(&file, slot);
    }
    const Result<SuperContents> contents = read_super(file);
    if (damaged == 15) {
      EXPECT_TRUE(contents.status().is(StatusCode::corruption));
      EXPECT_EQ(contents.status().file(), "SUPER");
      continue;
    }
    ASSERT_TRUE(contents) << damaged;
    const bool newest_lost = (damaged & 3) == 3;
    EXPECT_EQ(contents->newest, record_of(newest_lost ? 5 : 6)) << damaged;
    EXPECT_EQ(contents->newest_in_doubt, newest_lost || (damaged & 12) == 12) << damaged;
    EXPECT_NE(contents->damage, "") << damaged;
  }
}

TEST(Super, CutOff) {
  const BytesFile whole = file_with(7);  // the newest in slots 2 and 3
  for (uint64_t size = 0; size < kSuperBytes; size += 64) {
    BytesFile file(whole.bytes.substr(0, size));
    const Result<SuperContents> contents = read_super(file);
    // What is cut off reads as zeros; a slot ends with zeros anyway.
    const auto has = [size](int slot) { return size >= slot_at(slot) + 88; };
    ASSERT_EQ(contents.ok(), has(0)) << size;
    if (!contents) continue;
    EXPECT_EQ(contents->newest, record_of(has(2) ? 7 : 6)) << size;
    EXPECT_EQ(contents->damage.empty(), has(3)) << size;
  }
}

TEST(Super, NewerFormat) {
  BytesFile file = file_with(5);
  forge<uint32_t>(&file, 2, 16, 9);
  const Status version = read_super(file).status();
  EXPECT_TRUE(version.is(StatusCode::not_supported));
  EXPECT_NE(version.message().find("version 9"), std::string_view::npos) << version.message();
  EXPECT_NE(version.message().find("knows 1"), std::string_view::npos) << version.message();
  file = file_with(5);
  forge<uint64_t>(&file, 3, 24, 4);
  EXPECT_TRUE(read_super(file).status().is(StatusCode::not_supported));
}

TEST(Super, SlotsThatContradictEachOther) {
  BytesFile file = file_with(5);
  forge<uint64_t>(&file, 3, 56, 1);  // the log floor in one of two copies
  EXPECT_TRUE(read_super(file).status().is(StatusCode::corruption));
  file = file_with(5);
  forge<uint64_t>(&file, 0, 40, 78);  // another database
  EXPECT_TRUE(read_super(file).status().is(StatusCode::corruption));
}

TEST(Super, SlotsInTheWrongPlace) {
  BytesFile file = file_with(5);
  forge<uint64_t>(&file, 0, 32, 7);  // an odd generation among the even ones
  Result<SuperContents> contents = read_super(file);
  ASSERT_TRUE(contents);
  EXPECT_EQ(contents->newest, record_of(5));
  EXPECT_NE(contents->damage, "");
  file = file_with(5);
  file.bytes.replace(0, kSuperSlotBytes, file.bytes, kSuperSlotBytes, kSuperSlotBytes);
  contents = read_super(file);
  ASSERT_TRUE(contents);
  EXPECT_NE(contents->damage, "");
}

TEST(Super, LostWriteOfAPair) {
  BytesFile file = file_with(5);
  ASSERT_TRUE(write_super(file, record_of(7)).ok());  // 6 never reached the disk
  const Result<SuperContents> contents = read_super(file);
  ASSERT_TRUE(contents);
  EXPECT_EQ(contents->newest, record_of(7));
  EXPECT_NE(contents->damage, "");
}

}  // namespace
}  // namespace lightning
