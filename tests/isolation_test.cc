// Transactions of all levels at once, over real threads and over the seeded scheduler, with flushes, merges,
// kills and reopenings among them: what they read must have been possible (testing/isolation_checker.h).
//
// LIGHTNING_ISOLATION_SEEDS=n   so many interleavings, and eight histories of threads for each
// LIGHTNING_ISOLATION_SEED=s    the first of them
#include "testing/isolation_checker.h"

#include <gtest/gtest.h>
#include <lightning/database.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "api/open_in.h"
#include "io/scratch_directory.h"
#include "testing/counts.h"
#include "testing/sim_env.h"

namespace lightning {
namespace {

constexpr int kLists = 4;
#if defined(NDEBUG)
constexpr uint64_t kSeedsByDefault = 200;
#else
constexpr uint64_t kSeedsByDefault = 40;  // slow builds: sanitizers
#endif

/// Where clients of one history write, and what they note.
class Recorder {
 public:
  explicit Recorder(std::string prefix) : prefix_(std::move(prefix)) {}

  std::string key_of(int list) const { return prefix_ + "l" + std::to_string(list); }
  const std::string& prefix() const { return prefix_; }
  uint64_t tick() { return clock_.fetch_add(1) + 1; }
  int next_value() { return static_cast<int>(values_.fetch_add(1)) + 1; }

 private:
  const std::string prefix_;
  std::atomic<uint64_t> clock_{0};
  std::atomic<uint64_t> values_{0};
};

std::vector<int> parse(std::string_view text) {
  std::vector<int> list;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    int value = 0;
    at = std::from_chars(at, end, value).ptr;
    list.push_back(value);
    while (at != end && (*at == ' ' || *at == '.')) ++at;  // filler behind the number
  }
  return list;
}

/// One process: runs one transaction after the other.
class Client {
 public:
  Client(Recorder& recorder, Database& db, uint64_t seed, int process, std::optional<Isolation> level,
         bool shares_at_read_committed = false)
      : recorder_(recorder),
        db_(db),
        random_(seed * 1000 + static_cast<uint64_t>(process)),
        process_(process),
        level_(level),
        shares_(shares_at_read_committed) {}

  void run(int transactions) {
    for (int i = 0; i < transactions; ++i) {
      if (!level_ && random_.chance(0.2)) {
        update();
      } else {
        transact();
      }
    }
  }
  std::vector<ListTransaction>& history() { return history_; }

 private:
  Isolation random_level() {
    constexpr Isolation kLevels[] = {Isolation::read_committed, Isolation::repeatable_read,
                                     Isolation::snapshot, Isolation::serializable, Isolation::serializable};
    return level_ ? *level_ : kLevels[random_.below(5)];
  }

  std::string appended(std::string_view list, int value) {
    std::string text;
    for (const int one : parse(list)) text.append(std::to_string(one)).append(" ");
    text.append(std::to_string(value));
    // Segments end often.
    if (random_.chance(0.25)) text.append(random_.below(12'000), '.');
    return text;
  }

  void transact() {
    ListTransaction& noted = history_.emplace_back();
    // At read committed, with a lock of all that it reads, it is as good as serializable.
    const bool locks = !level_ && random_.chance(0.25);
    noted.isolation = locks ? Isolation::serializable : random_level();
    noted.began = recorder_.tick();
    noted.outcome = Outcome::aborted;
    {
      Transaction tx = db_.begin({.isolation = locks ? Isolation::read_committed : noted.isolation,
                                  .durability = Durability::process});
      if (operate(tx, &noted, locks) && !random_.chance(0.1)) {
        const Status status = tx.commit();
        noted.outcome = status.ok()                              ? Outcome::committed
                        : status.is(StatusCode::unknown_outcome) ? Outcome::unknown
                                                                 : Outcome::aborted;
        if (!status.ok() && !transaction_detail::worth_retrying(status)) failure_ = status;
      }
    }
    noted.ended = recorder_.tick();
  }

  bool operate(Transaction& tx, ListTransaction* noted, bool locks) {
    for (uint64_t left = 1 + random_.below(5); left > 0; --left) {
      const int list = static_cast<int>(random_.below(kLists));
      if (!locks && random_.chance(0.15)) {
        if (!scan(tx, noted)) return false;
        continue;
      }
      const bool append = random_.chance(0.5);
      // Without validation only lists that nobody else appends to.
      const bool own = append && noted->isolation == Isolation::read_committed && !shares_;
      const int key = own ? kLists + process_ : list;
      const Lookup found = locks ? tx.get_for_update(recorder_.key_of(key)) : tx.get(recorder_.key_of(key));
      if (!found.status().ok()) return false;
      noted->operations.push_back(ListOperation::reads(key, parse(found.value())));
      if (!append) continue;
      const int value = recorder_.next_value();
      if (!tx.put(recorder_.key_of(key), appended(found.value(), value)).ok()) return false;
      noted->operations.push_back(ListOperation::appends(key, value));
    }
    return true;
  }

  // All lists, whether they are there or not.
  bool scan(Transaction& tx, ListTransaction* noted) {
    std::map<std::string, std::vector<int>> found;
    Scan scan = tx.scan_prefix(recorder_.prefix());
    if (random_.chance(0.5)) scan = std::move(scan).reverse();
    while (scan.advance()) found[std::string(scan.entry().key())] = parse(scan.entry().value());
    if (!scan.status().ok()) return false;
    for (int list = 0; list < kLists; ++list) {
      // At repeatable read a key that came into the range is not noticed.
      const bool there = found.contains(recorder_.key_of(list));
      if (!there && noted->isolation == Isolation::repeatable_read) continue;
      noted->operations.push_back(ListOperation::reads(list, found[recorder_.key_of(list)]));
    }
    return true;
  }

  void update() {
    const int list = static_cast<int>(random_.below(kLists));
    const int value = recorder_.next_value();
    ListTransaction noted{.isolation = Isolation::serializable};
    noted.began = recorder_.tick();
    std::vector<int> seen;
    const Status status = db_.update(recorder_.key_of(list),
                                     [&](std::optional<std::string_view> now) {
                                       seen = parse(now.value_or(""));
                                       return std::optional<std::string>(appended(now.value_or(""), value));
                                     },
                                     {.durability = Durability::process});
    noted.ended = recorder_.tick();
    noted.outcome = status.ok() ? Outcome::committed : Outcome::unknown;
    noted.operations = {ListOperation::reads(list, seen), ListOperation::appends(list, value)};
    history_.push_back(std::move(noted));
  }

  Recorder& recorder_;
  Database& db_;
  Random random_;
  const int process_;
  const std::optional<Isolation> level_;
  const bool shares_;
  std::vector<ListTransaction> history_;
  Status failure_;
};

void read_all(Recorder& recorder, Database& db, int lists, std::vector<ListTransaction>* history) {
  ListTransaction noted{.isolation = Isolation::serializable};
  noted.began = recorder.tick();
  for (int list = 0; list < lists; ++list) {
    const Lookup found = db.get(recorder.key_of(list));
    ASSERT_TRUE(found.status().ok()) << found.status().to_string();
    noted.operations.push_back(ListOperation::reads(list, parse(found.value())));
  }
  noted.ended = recorder.tick();
  history->push_back(std::move(noted));
}

/// A part of a run's transactions without errors of its own.
void take(Client& client, std::vector<ListTransaction>* history) {
  history->insert(history->end(), client.history().begin(), client.history().end());
}

std::vector<ListTransaction> run_threads(Database& db, uint64_t seed, std::optional<Isolation> level,
                                         bool shares = false) {
  constexpr int kClients = 4;
  Recorder recorder("h" + std::to_string(seed) + ":");
  std::vector<std::unique_ptr<Client>> clients;
  for (int c = 0; c < kClients; ++c)
    clients.push_back(std::make_unique<Client>(recorder, db, seed, c, level, shares));
  std::vector<std::thread> threads;
  for (const auto& client : clients) threads.emplace_back([&client] { client->run(12); });
  for (std::thread& thread : threads) thread.join();
  std::vector<ListTransaction> history;
  for (const auto& client : clients) take(*client, &history);
  read_all(recorder, db, kLists + kClients, &history);
  return history;
}

void claim(std::vector<ListTransaction>* history, Isolation level) {
  for (ListTransaction& one : *history) one.isolation = level;
}

TEST(Isolation, ThreadsOfAllLevels) {
  ScratchDirectory scratch;
  Result<Database> db = Database::open(
      scratch.path() + "/db",
      {.durability = Durability::process, .memory_limit = 4 * MiB, .write_buffer_size = 64 * KiB});
  ASSERT_TRUE(db) << db.status().to_string();
  constexpr uint64_t kHistories = 8;  // of a seed
  const uint64_t seeds = kHistories * uint_from_environment("LIGHTNING_ISOLATION_SEEDS", kSeedsByDefault);
  const uint64_t first = kHistories * uint_from_environment("LIGHTNING_ISOLATION_SEED", 1);
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    const IsolationReport report = check_isolation(run_threads(*db, seed, std::nullopt));
    ASSERT_TRUE(report.clean()) << "seed " << seed << ":\n" << report.text;
    if (seed % 50 == 0) {
      ASSERT_TRUE(db->compact().ok());
    }
    count("histories", 1);
  }
}

// What a level allows does happen, and the checker sees it where more is claimed.
TEST(Isolation, TheCheckerSeesWhatALevelAllows) {
  ScratchDirectory scratch;
  Result<Database> db = Database::open(scratch.path() + "/db", {.durability = Durability::process});
  ASSERT_TRUE(db) << db.status().to_string();
  std::set<Anomaly> skewed, lost;
  for (uint64_t seed = 1; seed <= 2000 && skewed.empty(); ++seed) {
    std::vector<ListTransaction> history = run_threads(*db, seed, Isolation::snapshot);
    ASSERT_TRUE(check_isolation(history).clean());
    claim(&history, Isolation::serializable);
    skewed = check_isolation(history).anomalies;
  }
  EXPECT_TRUE(skewed.contains(Anomaly::g2));
  for (uint64_t seed = 10'001; seed <= 12'000 && lost.empty(); ++seed) {
    std::vector<ListTransaction> history = run_threads(*db, seed, Isolation::read_committed, true);
    claim(&history, Isolation::snapshot);
    lost = check_isolation(history).anomalies;
  }
  EXPECT_FALSE(lost.empty());
}

/// One interleaving by a seed, killed in the middle of it by some seeds, opened again and gone on with.
class Simulated {
 public:
  explicit Simulated(uint64_t seed) : seed_(seed), random_(seed ^ 0xabcdef) {}

  std::vector<ListTransaction> run() {
    const bool killed = seed_ % 2 == 0;
    const bool mapped = seed_ % 3 != 0;  // the log's segments
    SimDisk disk;
    {
      SimEnv env({.seed = seed_, .switch_probability = switching(), .supports_allocate = mapped});
      uint64_t killed_at = UINT64_MAX;  // the recorder's tick
      bool was_killed = false;
      const uint64_t step_of_kill = 200 + random_.below(3000);
      if (killed) {
        env.watch([&](const SimStep& step) {
          if (was_killed || step.number < step_of_kill) return;
          was_killed = true;
          killed_at = recorder_.tick();
          disk = env.disk().kill_image();
        });
      }
      run_clients(env, OpenKind::create);
      env.watch(nullptr);
      if (!was_killed) disk = env.kill();
      forget_after(killed_at);
      if (was_killed && !mapped) forget_readers();
    }
    SimEnv after({.seed = seed_ + 1, .switch_probability = switching(), .supports_allocate = mapped},
                 std::move(disk));
    run_clients(after, OpenKind::open_or_create);
    return std::move(history_);
  }

 private:
  // With few switches a thread stands still while others go on for long, into the next segment even.
  double switching() { return random_.chance(0.5) ? 0.2 : random_.chance(0.5) ? 0.05 : 0.01; }

  // Nobody was told what came behind the kill; what began before may be there or not.
  void forget_after(uint64_t tick) {
    std::erase_if(history_, [&](const ListTransaction& one) { return one.began > tick; });
    for (ListTransaction& one : history_) {
      if (one.ended <= tick) continue;
      if (one.outcome != Outcome::aborted) one.outcome = Outcome::unknown;
      one.ended = 0;
      std::erase_if(one.operations, [](const ListOperation& operation) { return !operation.append; });
    }
  }

  // Where segments are written and not mapped, a kill may take back a commit that had not returned, whoever
  // saw it; not if that one's own commit returned, which has all in front of it written. So those who
  // committed nothing are held to their life alone.
  void forget_readers() {
    const IsolationReport report = check_isolation(history_);
    EXPECT_TRUE(report.clean()) << report.text;
    std::erase_if(history_, [](const ListTransaction& one) {
      return one.outcome == Outcome::aborted ||
             std::none_of(one.operations.begin(), one.operations.end(),
                          [](const ListOperation& operation) { return operation.append; });
    });
  }

  void run_clients(SimEnv& env, OpenKind kind) {
    constexpr int kClients = 3;
    const Options options{
        .durability = Durability::process, .memory_limit = 4 * MiB, .write_buffer_size = 64 * KiB};
    Result<Database> opened = open_in(env, "db", options, kind);
    ASSERT_TRUE(opened) << opened.status().to_string();
    Database db = *std::move(opened);
    std::vector<std::unique_ptr<Client>> clients;
    for (int c = 0; c < kClients; ++c) {
      clients.push_back(
          std::make_unique<Client>(recorder_, db, seed_ + 7 * runs_, c + kClients * runs_, std::nullopt));
      env.spawn("client", [&clients, c] { clients[static_cast<size_t>(c)]->run(10); });
    }
    ++runs_;
    env.spawn("flusher", [&db] {
      for (int i = 0; i < 3; ++i) (void)(i == 2 ? db.compact() : db.flush()).ok();
    });
    const Status outcome = env.run();
    ASSERT_TRUE(outcome.ok()) << outcome.to_string();
    for (const auto& client : clients) take(*client, &history_);
    read_all(recorder_, db, kLists + kClients * runs_, &history_);
  }

  const uint64_t seed_;
  Random random_;
  Recorder recorder_{"h:"};
  int runs_ = 0;
  std::vector<ListTransaction> history_;
};

TEST(Isolation, EverySeedOfTheSchedulerKeepsItsLevels) {
  const uint64_t seeds = uint_from_environment("LIGHTNING_ISOLATION_SEEDS", kSeedsByDefault);
  const uint64_t first = uint_from_environment("LIGHTNING_ISOLATION_SEED", 1);
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    const IsolationReport report = check_isolation(Simulated(seed).run());
    ASSERT_TRUE(report.clean()) << "seed " << seed << ":\n" << report.text;
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
    count("histories", 1);
  }
}

}  // namespace
}  // namespace lightning
