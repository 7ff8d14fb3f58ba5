// Ingestion: all of it at once or nothing, in the order of commits, whatever runs beside; snapshots that were
// taken before never see it.
//
// LIGHTNING_INTERLEAVE_SEEDS=n, LIGHTNING_INTERLEAVE_SEED=s   as in interleave_test
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <map>
#include <string>
#include <vector>

#include "admin/verify.h"
#include "api/open_in.h"
#include "testing/counts.h"
#include "testing/sim_env.h"
#include "tests/each_seed.h"
#include "tests/entries_source.h"
#include "tests/order_rules.h"

namespace lightning {
namespace {

constexpr WriteOptions kProcess{.durability = Durability::process};

using Entries = EntriesSource::Entries;

Options small() {
  return {.durability = Durability::process, .memory_limit = 4 * MiB, .write_buffer_size = 64 * KiB};
}

std::string key_of(uint64_t number) {
  std::string digits = std::to_string(number);
  return "key" + std::string(6 - digits.size(), '0') + digits;
}

class Ingest : public testing::Test {
 protected:
  void SetUp() override {
    add_order_rules(env_.order());
    open();
  }
  void TearDown() override {
    expect_model(*db_);
    ASSERT_TRUE(db_->close().ok());
    const Result<VerifyReport> verified = verify_in(env_, "db", {});
    ASSERT_TRUE(verified);
    EXPECT_TRUE(verified->ok()) << verified->findings[0].what << " in " << verified->findings[0].file;
    EXPECT_EQ(verified->unknown_files, std::vector<std::string>());
    open();
    expect_model(*db_);
    for (const std::string& violation : env_.order().violations()) ADD_FAILURE() << violation;
  }

  void open() {
    db_.reset();
    Result<Database> opened = open_in(env_, "db", small(), OpenKind::open_or_create);
    ASSERT_TRUE(opened) << opened.status().to_string();
    db_.emplace(*std::move(opened));
  }
  void put(const std::string& key, const std::string& value) {
    ASSERT_TRUE(db_->put(key, value, kProcess).ok());
    model_[key] = value;
  }
  void remove(const std::string& key) {
    ASSERT_TRUE(db_->remove(key, kProcess).ok());
    model_.erase(key);
  }
  void ingest(const Entries& entries) {
    EntriesSource source(entries);
    const Result<IngestReport> report = db_->ingest(source);
    ASSERT_TRUE(report) << report.status().to_string();
    EXPECT_EQ(report->entries, entries.size());
    for (const auto& [key, value] : entries) model_[key] = value;
  }
  Entries many(uint64_t from, uint64_t count, const std::string& value) {
    Entries entries;
    for (uint64_t i = from; i < from + count; ++i) entries.emplace_back(key_of(i), value + std::to_string(i));
    return entries;
  }

  void expect_model(Database& db) { expect(db, model_, {}); }
  /// By every way of reading.
  void expect(Database& db, const std::map<std::string, std::string>& model, const ReadOptions& how) {
    auto expected = model.begin();
    const Status scanned = for_each(db.scan(how), [&](std::string_view key, std::string_view value) {
      ASSERT_NE(expected, model.end()) << key;
      ASSERT_EQ(key, expected->first);
      ASSERT_EQ(value, expected->second) << key;
      ++expected;
    });
    ASSERT_TRUE(scanned.ok()) << scanned.to_string();
    ASSERT_EQ(expected, model.end());
    auto backward = model.rbegin();
    const Status reverse =
        for_each(db.scan(how).reverse(), [&](std::string_view key, std::string_view value) {
          ASSERT_EQ(key, backward->first);
          ASSERT_EQ(value, backward++->second);
        });
    ASSERT_TRUE(reverse.ok());
    std::vector<std::string> keys;
    for (uint64_t i = 0; i < 400; i += 3) keys.push_back(key_of(i));
    std::vector<std::string_view> views(keys.begin(), keys.end());
    std::vector<Value> values(keys.size());
    ASSERT_TRUE(db.get_many(views, values, how).ok());
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto found = model.find(keys[i]);
      const Lookup got = db.get(keys[i], how);
      ASSERT_TRUE(got.status().ok());
      ASSERT_EQ(bool(got), found != model.end()) << keys[i];
      ASSERT_EQ(values[i].present(), found != model.end()) << keys[i];
      if (!got) continue;
      ASSERT_EQ(got.value(), found->second);
      ASSERT_EQ(values[i].view(), found->second);
    }
  }

  SimEnv env_;
  std::optional<Database> db_;
  std::map<std::string, std::string> model_;
};

TEST_F(Ingest, IsReadInEveryWay) {
  ingest({});
  ingest({{"", "the empty key"}, {"a", ""}, {key_of(7), std::string(5000, 'l')}});
  expect_model(*db_);
  ingest(many(0, 4000, std::string(100, 'v')));  // several files
  EXPECT_GT(db_->stats()->run_files, 1u);
  expect_model(*db_);
  EXPECT_EQ(db_->get(key_of(3), {.level = ReadLevel::durable}).value(), model_[key_of(3)]);
  ASSERT_TRUE(env_.run_until_idle().ok());
  expect_model(*db_);
  ASSERT_TRUE(db_->compact().ok());
}

TEST_F(Ingest, StandsBetweenWhatWasWrittenBeforeAndAfter) {
  for (uint64_t i = 0; i < 30; ++i) put(key_of(i), "before");
  ASSERT_TRUE(db_->flush().ok());
  for (uint64_t i = 10; i < 40; ++i) put(key_of(i), "before, in memory");
  for (uint64_t i = 5; i < 15; ++i) remove(key_of(i));
  ingest(many(0, 200, "ingested"));
  for (uint64_t i = 20; i < 50; ++i) put(key_of(i), "after");
  remove(key_of(60));
  expect_model(*db_);
  ingest(many(45, 20, "again"));
  expect_model(*db_);
  ASSERT_TRUE(db_->flush().ok());
  expect_model(*db_);
  ASSERT_TRUE(env_.run_until_idle().ok());
  expect_model(*db_);
  open();
  put(key_of(100), "later still");
  ingest(many(90, 20, "third"));
}

TEST_F(Ingest, IsRefusedOutOfOrderAndLeavesNothing) {
  put("k", "v");
  const std::vector<std::pair<Entries, std::string>> wrong = {
      {{{"b", "1"}, {"a", "2"}}, "the key \"a\" does not stand behind \"b\""},
      {{{"b", "1"}, {"b", "2"}}, "the key \"b\" does not stand behind \"b\""},
      {{{"b", "1"}, {"c", "2"}, {std::string("\0\xff", 2), "3"}}, "the key \"\\x00\\xff\" does not stand"},
      {{{std::string(kKeyBytesMax + 1, 'k'), "1"}}, "65,535"},
  };
  for (const auto& [entries, words] : wrong) {
    EntriesSource source(entries);
    const Status status = db_->ingest(source).status();
    EXPECT_TRUE(status.is(StatusCode::invalid_argument)) << status.to_string();
    EXPECT_NE(status.message().find(words), std::string::npos) << status.to_string();
    expect_model(*db_);
  }
  EntriesSource failing(many(0, 3000, "x"), Status(StatusCode::io_error, "the source is gone"));
  const Status status = db_->ingest(failing).status();
  EXPECT_EQ(status.message(), "the source is gone");
  for (const std::string& path : env_.disk().file_paths()) EXPECT_FALSE(path.ends_with(".run")) << path;
}

TEST_F(Ingest, GoesIntoKeyspaces) {
  Result<Keyspace> one = db_->keyspace("one");
  Result<Keyspace> gone = db_->keyspace("gone");
  put("a", "default");
  EntriesSource source({{"a", "one's"}, {"z", "one's"}});
  ASSERT_TRUE(one->ingest(source));
  EXPECT_EQ(one->get("a").value(), "one's");
  ASSERT_TRUE(db_->drop_keyspace("gone").ok());
  EntriesSource again(Entries{{"a", "1"}});
  EXPECT_TRUE(gone->ingest(again).status().is(StatusCode::not_found));
  Keyspace closed;
  EXPECT_TRUE(closed.ingest(again).status().is(StatusCode::closed));
  // Dropped under its feet.
  Result<Keyspace> going = db_->keyspace("going");
  EntriesSource dropping({{"a", "1"}, {"b", "2"}});
  dropping.on_next([&] { (void)db_->drop_keyspace("going"); });
  EXPECT_TRUE(going->ingest(dropping).status().is(StatusCode::not_found));
}

// Whatever is flushed and merged meanwhile.
TEST_F(Ingest, IsNotSeenBySnapshotsOfBefore) {
  for (uint64_t i = 0; i < 100; i += 2) put(key_of(i), "before");
  ASSERT_TRUE(db_->compact().ok());
  for (uint64_t i = 0; i < 20; ++i) put(key_of(i), "before, in memory");
  Result<Snapshot> before = db_->snapshot();
  const std::map<std::string, std::string> then = model_;
  Cursor cursor = db_->cursor({.snapshot = &*before});
  cursor.seek_first();
  ingest(many(0, 300, "ingested"));
  Result<Snapshot> after = db_->snapshot();
  const std::map<std::string, std::string> now = model_;
  const auto check = [&] {
    expect(*db_, then, {.snapshot = &*before});
    expect(*db_, now, {.snapshot = &*after});
    expect_model(*db_);
  };
  check();
  ASSERT_TRUE(db_->flush().ok());
  ASSERT_TRUE(db_->compact().ok());
  check();
  for (uint64_t i = 0; i < 400; i += 5) put(key_of(i), "after");
  for (uint64_t i = 1; i < 400; i += 5) remove(key_of(i));
  check();
  ingest(many(100, 300, "again"));
  check();
  ASSERT_TRUE(db_->compact().ok());
  check();
  size_t walked = 0;
  for (; cursor.valid(); cursor.next()) ++walked;
  EXPECT_EQ(walked, then.size());
  *before = {};
  cursor = {};
  ASSERT_TRUE(db_->compact().ok());
  expect(*db_, now, {.snapshot = &*after});
}

TEST_F(Ingest, IsCopied) {
  put("k", "v");
  ingest(many(0, 500, "ingested"));
  put(key_of(1), "after");
  ASSERT_TRUE(db_->checkpoint("copy"));
  Result<Database> copy = open_in(env_, "copy", small(), OpenKind::open);
  ASSERT_TRUE(copy);
  expect_model(*copy);
}

TEST_F(Ingest, SourcesMayUseTheDatabase) {
  EntriesSource source(many(0, 50, "ingested"));
  int asked = 0;
  source.on_next([&] {
    if (asked++ % 10 == 0) {
      EXPECT_TRUE(db_->put(key_of(5), "during", kProcess).ok());
      EXPECT_TRUE(db_->flush().ok());
    }
  });
  ASSERT_TRUE(db_->ingest(source));
  for (const auto& [key, value] : many(0, 50, "ingested")) model_[key] = value;
}

// Threads of the simulation. A key's value says who wrote it and as which write; what a write finds later is
// its own value or one of a write that had not ended when it began.
class Beside {
 public:
  explicit Beside(uint64_t seed)
      : seed_(seed), env_({.seed = seed, .switch_probability = 0.2, .supports_allocate = seed % 3 != 0}) {}

  void run() {
    Result<Database> opened = open_in(env_, "db", small(), OpenKind::create);
    ASSERT_TRUE(opened);
    Database& db = *opened;
    env_.spawn("ingester", [&] { ingest(db, 'i'); });
    env_.spawn("another ingester", [&] { ingest(db, 'j'); });
    env_.spawn("writer", [&] { write(db); });
    env_.spawn("reader", [&] { read(db); });
    env_.spawn("scanner", [&] { scan(db); });
    env_.spawn("compactor", [&] {
      for (int i = 0; i < 4; ++i) EXPECT_TRUE((i % 2 == 0 ? db.flush() : db.compact()).ok());
    });
    const Status outcome = env_.run();
    ASSERT_TRUE(outcome.ok()) << outcome.to_string();
    const std::string last(db.get("k1").value());
    if (seed_ % 2 == 0) {
      ASSERT_TRUE(db.close().ok());
    }
    SimEnv after({.seed = seed_}, env_.kill());
    Result<Database> again = open_in(after, "db", small(), OpenKind::open);
    ASSERT_TRUE(again) << again.status().to_string();
    ASSERT_EQ(again->get("k1").value(), last);
    ASSERT_TRUE(again->close().ok());
    ASSERT_TRUE(verify_in(after, "db", {})->ok());
    ASSERT_EQ(verify_in(after, "db", {})->unknown_files, std::vector<std::string>());
  }

 private:
  static constexpr uint64_t kIngestions = 6;

  /// How many writes of each writer had begun, and ended, at a moment.
  struct Progress {
    std::map<char, uint64_t> begun;
    std::map<char, uint64_t> ended;
  };

  void check_own(Database& db, char mine, uint64_t number, const Progress& at_begin, const char* key) {
    const Lookup found = db.get(key);
    ASSERT_TRUE(found) << found.status().to_string();
    const char writer = found.value()[0];
    const uint64_t of = std::stoull(std::string(found.value().substr(1)));
    if (writer == mine) {
      ASSERT_EQ(of, number);
    } else {
      const auto ended = at_begin.ended.find(writer);
      ASSERT_GT(of, ended == at_begin.ended.end() ? 0 : ended->second)
          << key << " of " << writer << " is older than what overwrote it";
    }
  }

  void ingest(Database& db, char mine) {
    for (uint64_t i = 1; i <= kIngestions; ++i) {
      const Progress begin = progress_;
      progress_.begun[mine] = i;
      const std::string value = mine + std::to_string(i);
      EntriesSource source({{"k1", value}, {"k2", value}, {"k3", value}, {std::string("n") + mine, value}});
      const Result<IngestReport> report = db.ingest(source);
      ASSERT_TRUE(report) << report.status().to_string();
      progress_.ended[mine] = i;
      for (const char* key : {"k1", "k2", "k3"}) check_own(db, mine, i, begin, key);
    }
  }

  void write(Database& db) {
    for (uint64_t i = 1; i <= 40; ++i) {
      const Progress begin = progress_;
      progress_.begun['w'] = i;
      WriteBatch batch;
      const std::string value = "w" + std::to_string(i);
      for (const char* key : {"k1", "k2", "k3"}) batch.put(key, value);
      batch.put("filler", std::string(3000, 'f'));
      ASSERT_TRUE(db.write(batch).ok());
      progress_.ended['w'] = i;
      for (const char* key : {"k1", "k2", "k3"}) check_own(db, 'w', i, begin, key);
    }
  }

  // Each commit writes all three: equal at each moment.
  void read(Database& db) {
    for (int round = 0; round < 60; ++round) {
      const std::string_view keys[] = {"k1", "k2", "k3"};
      Value values[3];
      ASSERT_TRUE(db.get_many(keys, values).ok());
      for (const Value& value : values) {
        ASSERT_EQ(value.present(), values[0].present());
        if (value.present()) {
          ASSERT_EQ(value.view(), values[0].view());
        }
      }
      // A snapshot taken now sees what was read before it, and does not change.
      const Lookup latest = db.get(std::string("ni"));
      const Result<Snapshot> snapshot = db.snapshot();
      ASSERT_TRUE(snapshot);
      const Lookup first = db.get("ni", {.snapshot = &*snapshot});
      if (latest) {
        ASSERT_TRUE(first);
        ASSERT_GE(std::stoull(std::string(first.value().substr(1))),
                  std::stoull(std::string(latest.value().substr(1))));
      }
      const std::string then(first ? first.value() : "");
      env_.sleep(1000);
      const Lookup again = db.get("ni", {.snapshot = &*snapshot});
      ASSERT_EQ(then, again ? again.value() : "");
    }
  }

  void scan(Database& db) {
    for (int round = 0; round < 40; ++round) {
      const Result<Snapshot> snapshot = db.snapshot();
      ASSERT_TRUE(snapshot);
      for (int pass = 0; pass < 2; ++pass) {
        std::vector<std::string> seen;
        ASSERT_TRUE(for_each(db.scan_prefix("k", {.snapshot = &*snapshot}), [&](std::string_view,
                                                                                std::string_view value) {
                      seen.emplace_back(value);
                    }).ok());
        ASSERT_TRUE(seen.empty() || seen.size() == 3);
        for (const std::string& value : seen) ASSERT_EQ(value, seen[0]);
        if (pass == 0) env_.sleep(1000);
      }
    }
  }

  const uint64_t seed_;
  SimEnv env_;
  Progress progress_;  // of threads that run one at a time
};

TEST(IngestBeside, KeepsTheOrderOfCommits) {
  for_each_seed(40, [](uint64_t seed) { Beside(seed).run(); });
}

// A close beside it: all of it is there, or nothing and no file; neither waits for ever.
TEST(IngestBeside, EndsWithTheDatabase) {
  uint64_t whole = 0;
  uint64_t ended = 0;
  for (uint64_t seed = 1; seed <= 40 && !testing::Test::HasFailure(); ++seed) {
    SimEnv env({.seed = seed, .switch_probability = 0.3});
    Result<std::shared_ptr<Engine>> engine = Engine::open(env, "db", small(), OpenKind::create);
    ASSERT_TRUE(engine);
    Status status;
    uint64_t asked = 0;
    bool done = false;
    env.spawn("ingester", [&] {
      Entries entries;
      for (int i = 0; i < 1500; ++i) entries.emplace_back(key_of(i), "v");
      EntriesSource source(entries);
      source.on_next([&] {
        if (++asked % 100 == 0) env.sleep(1000);
      });
      status = (*engine)->ingest(kDefaultKeyspaceId, source).status();
      done = true;
    });
    env.spawn("closer", [&] {
      while (asked < seed * 97 % 1600 && !done) env.sleep(700);
      EXPECT_TRUE((*engine)->close().ok());
    });
    const Status outcome = env.run();
    ASSERT_TRUE(outcome.ok()) << outcome.to_string();
    ASSERT_TRUE(status.ok() || status.is(StatusCode::closed)) << status.to_string();
    (status.ok() ? whole : ended) += 1;
    const Result<VerifyReport> verified = verify_in(env, "db", {});
    ASSERT_TRUE(verified->ok());
    EXPECT_EQ(verified->unknown_files, std::vector<std::string>());
    Result<Database> again = open_in(env, "db", small(), OpenKind::open);
    uint64_t found = 0;
    ASSERT_TRUE(for_each(again->scan(), [&](std::string_view, std::string_view) { ++found; }).ok());
    EXPECT_EQ(found, status.ok() ? 1500u : 0u);
  }
  EXPECT_GT(whole, 0u);
  EXPECT_GT(ended, 0u);
}

// Its files may be named on the disk, or not: it is seen, and nothing says that it stays.
TEST(IngestOfUnknownOutcome, IsNotDurable) {
  uint64_t unknown = 0;
  for (const char* file : {"SUPER", ".manifest", "db"}) {
    for (uint64_t k = 0; k < 8; ++k) {
      SCOPED_TRACE(std::string(file) + ", sync " + std::to_string(k));
      SimEnv env({.seed = k});
      Result<Database> db = open_in(env, "db", small(), OpenKind::create);
      ASSERT_TRUE(db);
      ASSERT_TRUE(db->put("before", "1", {.durability = Durability::power}).ok());
      for (const SimCall call : {SimCall::sync, SimCall::sync_directory})
        env.faults().add({.call = call, .name_part = file, .after = k});
      EntriesSource source(Entries{{"ingested", "2"}});
      if (!db->ingest(source).status().is(StatusCode::unknown_outcome)) continue;
      ++unknown;
      EXPECT_EQ(db->get("ingested").value(), "2");
      EXPECT_TRUE(db->get("ingested", {.level = ReadLevel::durable}).absent());
      EXPECT_EQ(db->get("before", {.level = ReadLevel::durable}).value(), "1");
      EXPECT_TRUE(db->sync().is(StatusCode::io_error));
      EXPECT_FALSE(db->compact().ok());
      EXPECT_FALSE(db->checkpoint("copy").ok());
      EXPECT_FALSE(db->close().ok());
      env.faults().clear();
      ASSERT_TRUE(open_in(env, "db", small(), OpenKind::open));
    }
  }
  EXPECT_GE(unknown, 3u);
}

TEST_F(Ingest, EntriesLiveAsLongAsTheirKeyspaceSays) {
  ASSERT_TRUE(db_->set_default_ttl(1000).ok());
  EntriesSource source({{"a", "1"}, {"b", "2"}});
  ASSERT_TRUE(db_->ingest(source));
  EXPECT_EQ(db_->get("a").value(), "1");
  env_.sleep(1'001'000'000);
  EXPECT_FALSE(db_->get("a"));
  ASSERT_TRUE(db_->compact().ok());
  EXPECT_EQ(db_->stats()->run_entries, 1u);  // of the catalogue
}

}  // namespace
}  // namespace lightning
