// Writes the golden databases of the present format version:
//   make_golden tests/golden/<format version>
// Each is the reference set of tests/damage_set.h in a folder of its own, and beside its files contents.txt:
// of each entry a line of keyspace, key, value size and hash, between tabs. Made once for a format version,
// committed, and never made again (what is there is left alone): golden_test opens them with later builds.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/hash.h"
#include "tests/damage_set.h"

namespace fs = std::filesystem;

namespace {

void write_file(const fs::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
}

std::string contents(const lightning::DamageSet& set) {
  std::string text;
  for (const lightning::DamageSetEntry& entry : set.entries()) {
    const uint64_t hash = lightning::checksum(entry.value.data(), entry.value.size(), 0);
    text += entry.keyspace + "\t" + entry.key + "\t" + std::to_string(entry.value.size()) + "\t" +
            std::to_string(hash) + "\n";
  }
  return text;
}

void write_set(const fs::path& folder, const lightning::DamageSetOptions& how) {
  if (fs::exists(folder)) return;
  lightning::DamageSet set(how);
  fs::create_directories(folder);
  for (const std::string& path : set.paths())
    write_file(folder / lightning::DamageSet::name_of(path), set.bytes(path));
  write_file(folder / "contents.txt", contents(set));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: make_golden DIRECTORY\n", stderr);
    return 2;
  }
  const fs::path version = argv[1];
  for (const bool clean : {true, false}) {
    for (const bool mapped : {true, false}) {
      const std::string name = std::string(clean ? "closed" : "killed") + (mapped ? "-mapped" : "-written");
      write_set(version / name, {.clean = clean, .mapped = mapped});
    }
  }
  write_set(version / "closed-lz4", {.compression = lightning::Compression::lz4});
  write_set(version / "closed-zstd", {.compression = lightning::Compression::zstd});
  return 0;
}
