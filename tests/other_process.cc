// Opens a database from another process, for tests: prints "CODE message" of the outcome on one line.
//   other_process open DIR         for writing
//   other_process read DIR         read-only; scans everything
//   other_process read-hold DIR    the same, then keeps it open until standard input ends
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

}  // namespace
}  // namespace lightning

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const lightning::Status status = lightning::visit(argv[1], argv[2]);
  std::printf("%s\n", status.to_string().c_str());
  return 0;
}
