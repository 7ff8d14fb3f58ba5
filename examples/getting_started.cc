// Getting started: the first steps with a database, as the README shows them.
//
//   getting_started [DIRECTORY]
#include <lightning/database.h>

#include <iostream>
#include <string>

using namespace lightning;

// Stops at the first call that fails; a Status or Result cannot be ignored by mistake.
#define TRY(call)                                               \
  do {                                                          \
    if (Status status = (call); !status.ok()) {                 \
      std::cerr << #call << ": " << status.to_string() << "\n"; \
      return 1;                                                 \
    }                                                           \
  } while (false)

int main(int argc, char** argv) {
  // Opens the database, makes it when there is none. One number caps its memory.
  Result<Database> opened = Database::open(argc > 1 ? argv[1] : "./mydb", {.memory_limit = 256 * MiB});
  TRY(opened.status());
  Database& db = *opened;

  // A put that returned ok survives power loss; one of durability `process` a killed process, and is far
  // faster.
  TRY(db.put("user:1", "Alice"));
  TRY(db.put("user:2", "Bob", {.durability = Durability::process}));

  if (Lookup found = db.get("user:1")) std::cout << "user:1 is " << found.value() << "\n";
  if (db.get("user:9").absent()) std::cout << "there is no user:9\n";

  // All of a batch becomes visible at once, or nothing of it.
  WriteBatch batch;
  batch.put("user:3", "Carol");
  batch.remove("user:2");
  batch.remove_range("session:", "session;");  // all keys between the two
  TRY(db.write(batch));

  // Keys are ordered; a range is read in either direction.
  Scan users = db.scan_prefix("user:").limit(10);
  for (const Entry& user : users) std::cout << user.key() << " = " << user.value() << "\n";
  TRY(users.status());

  // A snapshot is the database as of one moment.
  Result<Snapshot> snapshot = db.snapshot();
  TRY(snapshot.status());
  TRY(db.put("user:1", "Alicia"));
  std::cout << "before: " << db.get("user:1", {.snapshot = &*snapshot}).value()
            << ", now: " << db.get("user:1").value() << "\n";

  // A keyspace has keys of its own; batches are atomic across keyspaces.
  Result<Keyspace> cities = db.keyspace("cities");
  TRY(cities.status());
  TRY(cities->put("Alice", "Lisbon"));

  TRY(db.close());  // reports what the destructor could not
  return 0;
}
