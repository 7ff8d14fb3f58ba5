// Recovery: a database whose log segment has any bytes: it is refused, or opens in a state in which all reads
// agree, also when it was flushed, and when it was closed and opened again.
#include "api/open_in.h"
#include "fuzz/mend_segment.h"
#include "fuzz/pages.h"
#include "fuzz/target.h"
#include "testing/model.h"
#include "testing/sim_env.h"

namespace lightning::fuzz {
namespace {

constexpr char kDirectory[] = "db";

Options options() {
  Options options;
  options.write_buffer_size = 64 * KiB;
  options.flush_interval_ms = 0;
  return options;
}

/// What a killed process leaves behind: some commits in one segment.
SimDisk killed() {
  SimEnv env({.seed = 1});
  SimDisk moment;
  {
    Database database = *open_in(env, kDirectory, options(), OpenKind::open_or_create);
    const WriteOptions process = {.durability = Durability::process};
    expect(database.put("key", "value", process).ok(), "put");
    Keyspace second = *database.keyspace("second");
    WriteBatch batch;
    batch.put("", std::string(200, 'v'));
    batch.put(second, "a", "1");
    batch.remove("key");
    batch.remove_range("k", "l");
    expect(database.write(batch, process).ok(), "write");
    expect(database.keyspace("dropped").ok() && database.drop_keyspace("dropped").ok(), "a dropped keyspace");
    expect(second.put(std::string(300, 'k'), "", {.durability = Durability::power}).ok(), "put");
    expect(database.put("key", "again", process).ok(), "put");
    moment = env.kill();
  }
  return moment;
}

SimDisk& original() {
  static SimDisk disk = killed();
  return disk;
}

std::string segment_path() {
  for (const std::string& path : original().file_paths()) {
    if (path.ends_with(".log")) return path;
  }
  fail("a database without a log");
}

/// Everything that the database holds, read in several ways that must agree.
Model contents(Database& database) {
  Model model;
  const Result<std::vector<std::string>> names = database.keyspaces();
  expect(names.ok(), "keyspaces()");
  for (const std::string& name : *names) model.create_keyspace(name);
  const auto take = [&](const std::string& name, Keyspace& keyspace) {
    const Status status = for_each(
        keyspace.scan(), [&](std::string_view key, std::string_view value) { model.put(name, key, value); });
    expect(status.ok(), "a scan of what recovery accepted: " + status.to_string());
  };
  take("", database);
  for (const std::string& name : *names) {
    Result<Keyspace> keyspace = database.keyspace(name, false);
    expect(keyspace.ok(), "a keyspace that is listed");
    take(name, *keyspace);
  }
  const std::string said = difference(model, database);
  expect(said.empty(), said);
  return model;
}

/// Refused with a reason, or open.
Result<Database> open(SimEnv& env) {
  Result<Database> database = open_in(env, kDirectory, options(), OpenKind::open);
  if (!database) {
    const Status& status = database.status();
    expect(status.is(StatusCode::corruption) || status.is(StatusCode::not_supported), status.to_string());
  }
  return database;
}

bool run(std::string_view input) {
  SimEnv env({.seed = 1, .keeps_unsynced = false}, original().kill_image());
  env.disk().put_file(segment_path(), unpack(input));
  Result<Database> database = open(env);
  if (!database) return false;
  const Model before = contents(*database);
  expect(database->flush().ok(), "a flush of what recovery accepted");
  expect(contents(*database).digest() == before.digest(), "a flush changes what is read");
  expect(database->close().ok(), "close");
  database = open(env);
  expect(database.ok() && contents(*database).digest() == before.digest(),
         "the next open reads something else");
  return before.digest() != Model().digest();
}

void seeds(const SeedSink& sink) { sink("killed", pack(original().file_bytes(segment_path()))); }

}  // namespace

const Target kTarget = {.run = run, .mend = mend_segment, .seeds = seeds};

}  // namespace lightning::fuzz
