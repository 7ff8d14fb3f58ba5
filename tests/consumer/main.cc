// A user's program: writes a value, closes, opens again and reads it.
#include <lightning/database.h>
#include <cstdio>

namespace {

int fail(const lightning::Status& status) {
  std::fprintf(stderr, "%s\n", status.to_string().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  {
    lightning::Result<lightning::Database> made = lightning::Database::create(argv[1]);
    if (!made) return fail(made.status());
    if (lightning::Status s = made->put("greeting", "hello"); !s.ok()) return fail(s);
    if (lightning::Status s = made->close(); !s.ok()) return fail(s);
  }
  lightning::Result<lightning::Database> opened = lightning::Database::open(argv[1], {.create = false});
  if (!opened) return fail(opened.status());
  lightning::Lookup found = opened->get("greeting");
  if (!found) return fail(found.status());
  return found.value() == "hello" ? 0 : 1;
}
