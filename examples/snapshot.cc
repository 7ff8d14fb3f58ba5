// A snapshot beside an overwrite: what was read before is read again, whatever is written meanwhile.
//
//   snapshot DIRECTORY KEY
#include <lightning/database.h>

#include <iostream>
#include <string>

using namespace lightning;

namespace {

int failed(const Status& status) {
  std::cerr << "snapshot: " << status.to_string() << "\n";
  return 1;
}

// The value of `key`; what is wrong instead of it, if anything is.
std::string read(const Database& db, std::string_view key, const Snapshot* snapshot) {
  const Lookup found = db.get(key, {.snapshot = snapshot});
  if (found) return std::string(found.value());
  return found.absent() ? "(absent)" : found.status().to_string();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: snapshot DIRECTORY KEY\n";
    return 2;
  }
  const std::string key = argv[2];
  Result<Database> opened = Database::open(argv[1]);
  if (!opened) return failed(opened.status());
  Database& db = *opened;

  const std::string before = read(db, key, nullptr);
  Result<Snapshot> snapshot = db.snapshot();
  if (!snapshot) return failed(snapshot.status());
  if (Status status = db.put(key, "overwritten"); !status.ok()) return failed(status);
  if (Status status = db.flush(); !status.ok())
    return failed(status);  // from memory to a file, the older one too

  const std::string now = read(db, key, nullptr);
  const std::string then = read(db, key, &*snapshot);
  std::cout << "latest:   " << now << "\nsnapshot: " << then << "\n";
  if (Status status = db.close(); !status.ok()) return failed(status);
  return now == "overwritten" && then == before ? 0 : 1;
}
