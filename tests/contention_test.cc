// Calls that compete for the same few places of the commit path: close() beside writers, commits with a
// segment of their own beside small ones under a tight memory limit, flush() beside writers that never pause.
// Each hung or lost writes once.

#include <gtest/gtest.h>
#include <lightning/database.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "engine/memory_queue.h"
#include "io/scratch_directory.h"

namespace lightning {
namespace {

std::string key_of(int writer, uint64_t number) {
  char key[32];
  std::snprintf(key, sizeof(key), "%d:%010llu", writer, static_cast<unsigned long long>(number));
  return key;
}

class CloseBesideWriters : public testing::TestWithParam<Durability> {};

TEST_P(CloseBesideWriters, LosesNothingThatWasAcknowledged) {
  constexpr int kWriters = 6;
  const std::string value(100, 'v');
  const std::string long_value(1'500'000, 'B');
  for (int round = 0; round < 40; ++round) {
    ScratchDirectory scratch;
    const Options options{.durability = GetParam(), .memory_limit = 64 * MiB, .write_buffer_size = 1 * MiB};
    std::vector<uint64_t> acknowledged(kWriters, 0);
    {
      Result<Database> db = Database::open(scratch.path("db"), options);
      ASSERT_TRUE(db.ok()) << db.status().to_string();
      Result<Keyspace> keyspace = db->keyspace("k");
      ASSERT_TRUE(keyspace.ok());
      std::vector<std::thread> writers;
      for (int w = 0; w < kWriters; ++w) {
        writers.emplace_back([&, w, mine = *keyspace]() mutable {
          for (uint64_t i = 0;; ++i) {
            const bool is_long = round % 4 == 0 && i % 50 == 49;
            const Status status = mine.put(key_of(w, i), is_long ? long_value : value);
            if (!status.ok()) return;
            acknowledged[w] = i + 1;
          }
        });
      }
      std::this_thread::sleep_for(std::chrono::microseconds(500 + 137 * round % 3000));
      EXPECT_TRUE(db->close().ok());
      for (std::thread& writer : writers) writer.join();
    }
    Result<Database> db = Database::open(scratch.path("db"), options);
    ASSERT_TRUE(db.ok()) << db.status().to_string();
    Result<Keyspace> keyspace = db->keyspace("k", false);
    ASSERT_TRUE(keyspace.ok());
    for (int w = 0; w < kWriters; ++w) {
      for (uint64_t i = 0; i < acknowledged[w]; ++i) {
        ASSERT_TRUE(keyspace->get(key_of(w, i)))
            << "round " << round << " lost " << key_of(w, i) << " of " << acknowledged[w];
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Durabilities, CloseBesideWriters,
                         testing::Values(Durability::process, Durability::power), [](const auto& kind) {
                           return kind.param == Durability::process ? "process" : "power";
                         });

TEST(OversizedCommits, GoOnBesideSmallOnesUnderATightMemoryLimit) {
  ScratchDirectory scratch;
  Options options = Options::low_memory();
  options.durability = Durability::process;
  Result<Database> db = Database::open(scratch.path("db"), options);
  ASSERT_TRUE(db.ok()) << db.status().to_string();
  std::atomic<int> long_writers{2};
  std::vector<std::thread> writers;
  for (int w = 0; w < 2; ++w) {
    writers.emplace_back([&, w] {
      const std::string value(1'500'000 + 700'000 * w, 'b');
      for (uint64_t i = 0; i < 30; ++i) {
        const Status status = db->put(key_of(w, i % 4), value);
        ASSERT_TRUE(status.ok()) << status.to_string();
      }
      --long_writers;
    });
  }
  for (int w = 2; w < 5; ++w) {
    writers.emplace_back([&, w] {
      const std::string value(300, 's');
      for (uint64_t i = 0; long_writers.load() != 0; ++i) {
        const Status status = db->put(key_of(w, i % 1000), value);
        ASSERT_TRUE(status.ok()) << status.to_string();
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(db->get(key_of(1, 3)).value().size(), 2'200'000u);
  EXPECT_TRUE(db->close().ok());
}

TEST(MemoryQueue, ServesInTheOrderOfArrival) {
  CondVar freed;
  MemoryQueue queue(freed);
  MemoryQueue::Place last(queue);
  {
    MemoryQueue::Place first(queue);
    MemoryQueue::Place gives_up(queue);
    first.join();
    {
      MemoryQueue::Place second(queue);
      second.join();
      EXPECT_FALSE(second.first());
    }
    last.join();
    first.join();
    EXPECT_TRUE(first.first());
    EXPECT_FALSE(last.first());
    EXPECT_FALSE(gives_up.first());
  }
  EXPECT_TRUE(last.first());
}

TEST(HeldMemory, CountsUntilItsLastReaderIsGone) {
  ScratchDirectory scratch;
  Result<Database> db = Database::open(scratch.path("db"));
  ASSERT_TRUE(db.ok()) << db.status().to_string();
  ASSERT_TRUE(db->put("key", std::string(2000, 'v')).ok());
  {
    const Lookup found = db->get("key");  // a counted reference into the log's memory
    ASSERT_TRUE(found);
    ASSERT_TRUE(db->flush().ok());
    const Result<Stats> stats = db->stats();
    ASSERT_TRUE(stats);
    EXPECT_EQ(stats->memtables, 0u);
    EXPECT_GE(stats->held_bytes, 1 * MiB - 4096);
    EXPECT_GE(stats->memory_bytes, stats->held_bytes);
    EXPECT_EQ(found.value(), std::string(2000, 'v'));
  }
  // The memtable beside it goes when its View does, which the background sees to.
  for (;;) {
    const Result<Stats> stats = db->stats();
    ASSERT_TRUE(stats);
    if (stats->held_bytes == 0) break;
    std::this_thread::yield();
  }
}

TEST(Flush, EndsWhileWritersNeverPause) {
  ScratchDirectory scratch;
  Result<Database> db = Database::open(
      scratch.path("db"),
      {.durability = Durability::process, .memory_limit = 16 * MiB, .write_buffer_size = 64 * KiB});
  ASSERT_TRUE(db.ok()) << db.status().to_string();
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (int w = 0; w < 4; ++w) {
    writers.emplace_back([&, w] {
      const std::string value(100, 'v');
      for (uint64_t i = 0; !stop.load(); ++i) {
        const Status status = db->put(key_of(w, i % 10'000), value);
        ASSERT_TRUE(status.ok()) << status.to_string();
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(db->put("marker", std::to_string(i)).ok());
    ASSERT_TRUE(db->flush().ok());
  }
  EXPECT_TRUE(db->compact().ok());
  stop = true;
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(db->get("marker").value(), "19");
  EXPECT_TRUE(db->background_error().ok());
}

}  // namespace
}  // namespace lightning
