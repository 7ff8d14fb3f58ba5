// SUPER: what read_super() makes of any 16 KiB, and that the next state can always be written over it.
#include "view/super.h"

#include "base/coding.h"
#include "base/hash.h"
#include "fuzz/pages.h"
#include "fuzz/target.h"
#include "run/run_test_support.h"

namespace lightning::fuzz {
namespace {

std::unique_ptr<File> file_of(MemoryDirectory& directory, std::string_view bytes) {
  std::unique_ptr<File> file = *directory.open(kSuperFileName, OpenMode::create);
  expect(file->write(0, bytes).ok(), "write into memory");
  return file;
}

Result<SuperContents> read(std::string_view bytes) {
  MemoryDirectory directory;
  return read_super(*file_of(directory, bytes));
}

SuperRecord following(SuperRecord record) {
  ++record.generation;
  ++record.manifest_length;
  record.manifest_hash = ~record.manifest_hash;
  return record;
}

/// Whatever stood there: once the next generation is written, it is the newest and nothing is in doubt.
void check_next_state(std::string_view bytes, const SuperRecord& newest) {
  MemoryDirectory directory;
  const std::unique_ptr<File> file = file_of(directory, bytes);
  const SuperRecord next = following(newest);
  expect(write_super(*file, next).ok(), "write_super");
  const Result<SuperContents> read_again = read_super(*file);
  expect(read_again.ok() && read_again->newest == next, "the next generation is not read back");
  const SuperRecord after = following(next);
  expect(write_super(*file, after).ok(), "write_super");
  const Result<SuperContents> whole = read_super(*file);
  expect(whole.ok() && whole->newest == after && !whole->newest_in_doubt && whole->damage.empty(),
         "two generations later SUPER is not whole");
}

bool run(std::string_view input) {
  const std::string bytes = unpack(input);
  const Result<SuperContents> contents = read(bytes);
  if (!contents) {
    const StatusCode code = contents.status().code();
    expect(code == StatusCode::corruption || code == StatusCode::not_supported, "the kind of error");
    expect(contents.status().file() == kSuperFileName, "the error's file");
    return false;
  }
  const SuperRecord& newest = contents->newest;
  expect(newest.generation != 0, "a generation of zero");
  // The pair in front of which nothing may be missing was damaged, or it was not.
  expect(!contents->newest_in_doubt || !contents->damage.empty(), "doubt without damage");
  if (newest.generation < uint64_t{1} << 61) check_next_state(bytes, newest);

  SuperRecord first = newest;
  first.generation |= 1;
  const Result<SuperContents> whole = read(encode_whole_super(first));
  ++first.generation;
  expect(newest.generation >= uint64_t{1} << 61 ||
             (whole.ok() && whole->newest == first && whole->damage.empty()),
         "what was encoded is not read back");
  return true;
}

void mend(std::string* input) {
  std::string file = unpack(*input);
  for (uint64_t slot = 0; (slot + 1) * kSuperSlotBytes <= file.size(); ++slot) {
    char* const at = file.data() + slot * kSuperSlotBytes;
    store<uint64_t>(at, checksum(at + 8, kSuperSlotBytes - 8, slot));
  }
  *input = pack(file);
}

void seeds(const SeedSink& sink) {
  const SuperRecord record = {.generation = 1,
                              .database_id = 0x1122334455667788,
                              .incarnation = 3,
                              .log_floor = 4096,
                              .manifest_id = 7,
                              .manifest_length = 123,
                              .manifest_hash = 0x99aabbccddeeff00};
  const std::string whole = encode_whole_super(record);
  sink("created", pack(whole));
  MemoryDirectory directory;
  const std::unique_ptr<File> file = file_of(directory, whole);
  SuperRecord later = following(following(record));
  expect(write_super(*file, later).ok(), "write_super");
  later.log_floor += 1 << 20;
  later = following(later);
  expect(write_super(*file, later).ok(), "write_super");
  std::string bytes(kSuperBytes, '\0');
  expect(file->read(0, bytes.data(), bytes.size()).ok(), "read");
  sink("used", pack(bytes));
}

}  // namespace

const Target kTarget = {.run = run, .mend = mend, .seeds = seeds};

}  // namespace lightning::fuzz
