// The process that tests/kill_test.cc kills: opens a database and writes from several threads until the end,
// saying after each write that it was acknowledged. Arguments: directory, seed, number of threads.
#include <lightning/database.h>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "tests/kill_script.h"

namespace lightning {
namespace {

void say(uint32_t thread, uint32_t operations) {
  const KillMessage message{thread, operations};
  if (write(STDOUT_FILENO, &message, sizeof(message)) != sizeof(message)) std::_Exit(3);
}

[[noreturn]] void fail(const Status& status) {
  std::fprintf(stderr, "kill_writer: %s\n", status.to_string().c_str());
  say(KillMessage::kFailed, 0);
  std::_Exit(1);
}

void write_on(Database& database, Keyspace second, uint64_t seed, uint32_t thread) {
  for (uint32_t number = 0;; ++number) {
    const KillOperation operation = kill_operation(seed, thread, number);
    const WriteOptions options{.durability = operation.durability};
    Status status;
    if (operation.writes.size() == 1) {
      const ModelWrite& only = operation.writes[0];
      Keyspace& keyspace = only.keyspace.empty() ? database : second;
      status = only.value ? keyspace.put(only.key, *only.value, options) : keyspace.remove(only.key, options);
    } else {
      WriteBatch batch;
      for (const ModelWrite& one : operation.writes) {
        const Keyspace& keyspace = one.keyspace.empty() ? database : second;
        one.value ? batch.put(keyspace, one.key, *one.value) : batch.remove(keyspace, one.key);
      }
      status = database.write(batch, options);
    }
    if (!status.ok()) fail(status);
    say(thread, number + 1);
  }
}

// Flushes, merges and reads beside the writers.
void disturb(Database& database, uint64_t seed) {
  Random random(seed);
  for (;;) {
    Status status;
    switch (random.below(4)) {
      case 0:
        status = database.flush();
        break;
      case 1:
        status = database.compact();
        break;
      case 2:
        status = database.sync();
        break;
      default:
        status = for_each(database.scan(), [](std::string_view, std::string_view) {});
    }
    if (!status.ok()) fail(status);
    usleep(static_cast<useconds_t>(random.below(10'000)));
  }
}

int run(const char* directory, uint64_t seed, uint32_t threads) {
  Options options;
  options.write_buffer_size = seed % 2 == 0 ? 64 * KiB : 256 * KiB;
  options.sigbus_guard = seed % 5 != 0;
  Result<Database> database = Database::open(directory, options);
  if (!database) fail(database.status());
  Result<Keyspace> second = database->keyspace(kKillKeyspace);
  if (!second) fail(second.status());
  say(KillMessage::kOpened, 0);
  std::vector<std::thread> running;
  for (uint32_t thread = 0; thread < threads; ++thread) {
    running.emplace_back([&, thread] { write_on(*database, *second, seed, thread); });
  }
  running.emplace_back([&] { disturb(*database, seed); });
  for (std::thread& thread : running) thread.join();
  return 0;
}

}  // namespace
}  // namespace lightning

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  return lightning::run(argv[1], std::strtoull(argv[2], nullptr, 10),
                        static_cast<uint32_t>(std::strtoul(argv[3], nullptr, 10)));
}
