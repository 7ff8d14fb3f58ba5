// Opens a database from another process, for tests: prints "CODE message" of the outcome on one line.
//   other_process open DIR         for writing
//   other_process read DIR         read-only; scans everything
//   other_process read-hold DIR    the same, then keeps it open until standard input ends
// other_process race DIR N       opens for writing until it was let in N times, each time counting in the
// database
#include <lightning/database.h>

#include <cstdio>
#include <string>

namespace lightning {
namespace {

Status visit(const std::string& verb, const std::string& directory) {
  Options options;
  options.create = false;
  options.read_only = verb != "open";
  Result<Database> database = Database::open(directory, options);
  if (!database) return database.status();
  if (Status status = for_each(database->scan(), [](std::string_view, std::string_view) {}); !status.ok())
    return status;
  if (verb == "read-hold") {
    std::puts("held");
    std::fflush(stdout);
    while (std::getchar() != EOF) {
    }
  }
  return database->close();
}

/// One opening: `busy`, or what came of counting one further.
Status count_further(const std::string& directory) {
  Result<Database> database = Database::open(directory);
  if (!database) return database.status();
  const Lookup wins = database->get("wins");
  if (!wins.status().ok()) return wins.status();
  const uint64_t before = wins ? std::stoull(std::string(wins.value())) : 0;
  const Status status =
      database->put("wins", std::to_string(before + 1), {.durability = Durability::process});
  const Status closed = database->close();
  return status.ok() ? closed : status;
}

Status race(const std::string& directory, uint64_t wins) {
  while (wins > 0) {
    const Status status = count_further(directory);
    if (status.ok()) {
      --wins;
    } else if (!status.is(StatusCode::busy) ||
               status.message().find("this process") != std::string_view::npos) {
      return status;
    }
  }
  return {};
}

}  // namespace
}  // namespace lightning

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) return 2;
  const lightning::Status status =
      argc == 4 ? lightning::race(argv[2], std::stoull(argv[3])) : lightning::visit(argv[1], argv[2]);
  std::printf("%s\n", status.to_string().c_str());
  return 0;
}
