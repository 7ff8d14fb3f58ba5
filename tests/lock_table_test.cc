// LockTable by itself: who gets a lock in which order, who waits for whom, who is the victim of a circle.
//
// Threads of the simulation, so that time passes only when nobody can go on: a deadline that passes says that
// the lock was never given.
#include "engine/lock_table.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/park.h"
#include "format/internal_key.h"
#include "testing/random.h"
#include "testing/sim_env.h"

namespace lightning {
namespace {

constexpr uint64_t kLong = UINT64_MAX / 2;
constexpr uint64_t kMs = 1'000'000;

std::string key_of(std::string_view key) { return std::string(InternalKey(kDefaultKeyspaceId, key).view()); }

class Locks : public testing::TestWithParam<uint64_t> {
 protected:
  Status take(LockOwner owner, std::string_view key, KeyLock mode = KeyLock::exclusive,
              uint64_t deadline = 0) {
    return table_.acquire(owner, key_of(key), mode, deadline);
  }
  Status take_range(LockOwner owner, std::string_view from, std::string_view to,
                    KeyLock mode = KeyLock::exclusive, uint64_t deadline = 0) {
    return table_.acquire_range(owner, key_of(from), key_of(to), mode, deadline);
  }
  /// A thread that waits for what `call` asks for, is written down when it has it, and then releases it.
  void wait_in_thread(LockOwner owner, const std::function<Status()>& call) {
    env_.spawn(std::to_string(owner), [this, owner, call] {
      const Status status = call();
      EXPECT_TRUE(status.ok()) << status.to_string();
      order_ += std::to_string(owner);
      yield_thread();
      table_.release_all(owner);
    });
    wait_for([&] { return table_.waits_for(owner) != 0; });
  }
  void wait_in_queue(LockOwner owner, const std::string& key, KeyLock mode = KeyLock::exclusive) {
    wait_in_thread(owner, [=, this] { return take(owner, key, mode, kLong); });
  }
  static void wait_for(const std::function<bool()>& met) {
    while (!met()) yield_thread();
  }

  SimEnv env_{{.seed = GetParam()}};
  LockTable table_{env_.clock()};
  std::string order_;
};

TEST_P(Locks, AreReentrantAndExclusive) {
  EXPECT_EQ(table_.count(), 0U);
  EXPECT_TRUE(take(1, "a").ok());
  EXPECT_TRUE(take(1, "a").ok());
  EXPECT_TRUE(take(1, "a", KeyLock::shared).ok());
  EXPECT_TRUE(take(1, "b").ok());
  EXPECT_EQ(table_.held(1), 2U);
  EXPECT_EQ(table_.count(), 2U);
  const Status refused = take(2, "a");
  EXPECT_TRUE(refused.is(StatusCode::busy));
  EXPECT_EQ(refused.message(), "\"a\" is locked by transaction 1");
  EXPECT_TRUE(take(2, "a", KeyLock::shared).is(StatusCode::busy));
  EXPECT_EQ(table_.held(2), 0U);
  table_.release_all(1);
  EXPECT_EQ(table_.count(), 0U);
  EXPECT_TRUE(take(2, "a").ok());
  table_.release_all(2);
  table_.release_all(2);
}

TEST_P(Locks, OfAWriteAreNamedSo) {
  const LockOwner write = table_.write_owner();
  EXPECT_NE(write, table_.write_owner());
  EXPECT_TRUE(LockTable::is_write(write));
  EXPECT_TRUE(table_.acquire(write, key_of("a"), KeyLock::exclusive, 0).ok());
  EXPECT_EQ(take(1, "a").message(), "\"a\" is locked by a write");
}

TEST_P(Locks, SharedOnesGoTogether) {
  EXPECT_TRUE(take(1, "a", KeyLock::shared).ok());
  EXPECT_TRUE(take(2, "a", KeyLock::shared).ok());
  EXPECT_TRUE(take(3, "a").is(StatusCode::busy));
  EXPECT_TRUE(take(1, "a").is(StatusCode::busy));
  EXPECT_EQ(table_.held(1), 1U);
  table_.release_all(2);
  EXPECT_TRUE(take(1, "a").ok());
  EXPECT_EQ(table_.held(1), 1U);  // one that was raised
  EXPECT_EQ(table_.count(), 1U);
  EXPECT_TRUE(take(2, "a", KeyLock::shared).is(StatusCode::busy));
  table_.release_all(1);
  EXPECT_EQ(table_.count(), 0U);
}

TEST_P(Locks, RangesMeetKeysAndRanges) {
  EXPECT_TRUE(take_range(1, "b", "d").ok());
  EXPECT_TRUE(take(1, "c").ok());  // it has it already
  EXPECT_TRUE(take_range(1, "b", "c", KeyLock::shared).ok());
  EXPECT_EQ(table_.held(1), 1U);
  EXPECT_TRUE(take(2, "a").ok());
  EXPECT_TRUE(take(2, "b").is(StatusCode::busy));
  EXPECT_EQ(take(2, "c").message(), "the range from \"b\" to \"d\" is locked by transaction 1");
  EXPECT_TRUE(take(2, "d").ok());
  EXPECT_TRUE(take_range(2, "d", "f").ok());
  EXPECT_TRUE(take_range(2, "a", "b").ok());
  EXPECT_TRUE(take_range(2, "a", "bb").is(StatusCode::busy));
  EXPECT_EQ(take_range(1, "0", "aa").message(), "\"a\" is locked by transaction 2");
  table_.release_all(1);
  EXPECT_TRUE(take_range(2, "a", "bb").ok());
  EXPECT_TRUE(take_range(3, "g", "i", KeyLock::shared).ok());
  EXPECT_TRUE(take(4, "h", KeyLock::shared).ok());
  EXPECT_TRUE(take(4, "g").is(StatusCode::busy));
}

TEST_P(Locks, AreFoundByTheWritesThatTheyStop) {
  ASSERT_TRUE(take(1, "b", KeyLock::shared).ok());
  ASSERT_TRUE(take_range(2, "m", "o").ok());
  const auto blocked = [&](LockOwner owner, EntryKind kind, std::string_view key, std::string_view to = {}) {
    const std::string first = key_of(key);
    const std::string last = key_of(to);
    const Operation operation{
        .entry = {kind, first, kind == EntryKind::remove_range ? std::string_view(last) : ""},
        .hash = 0,
        .offset = 0,
        .expiry = 0};
    return table_.first_blocked(owner, {&operation, 1}) != nullptr;
  };
  EXPECT_TRUE(blocked(3, EntryKind::put, "b"));
  EXPECT_FALSE(blocked(1, EntryKind::put, "b"));
  EXPECT_TRUE(blocked(2, EntryKind::remove, "b"));
  EXPECT_FALSE(blocked(3, EntryKind::put, "ba"));
  EXPECT_TRUE(blocked(3, EntryKind::put, "n"));
  EXPECT_FALSE(blocked(3, EntryKind::put, "o"));
  EXPECT_TRUE(blocked(3, EntryKind::remove_range, "a", "c"));
  EXPECT_FALSE(blocked(3, EntryKind::remove_range, "a", "b"));
  EXPECT_TRUE(blocked(3, EntryKind::remove_range, "nn", "z"));
  EXPECT_FALSE(blocked(2, EntryKind::remove_range, "c", "z"));
  EXPECT_TRUE(table_.range_blocked(3, key_of("a"), key_of("c")));
  EXPECT_FALSE(table_.range_blocked(3, key_of("c"), key_of("m")));
}

TEST_P(Locks, GoToThoseWhoCameFirst) {
  ASSERT_TRUE(take(1, "a").ok());
  wait_in_queue(2, "a");
  wait_in_queue(3, "a", KeyLock::shared);
  wait_in_queue(4, "a", KeyLock::shared);
  wait_in_queue(5, "a");
  EXPECT_EQ(table_.waits_for(2), 1U);
  table_.release_all(1);
  EXPECT_TRUE(take(6, "a").is(StatusCode::busy));  // it was given on, not set free
  ASSERT_TRUE(env_.run().ok());
  EXPECT_TRUE(order_ == "2345" || order_ == "2435") << order_;
  EXPECT_EQ(table_.count(), 0U);
}

TEST_P(Locks, ASharedOneDoesNotPassAnExclusiveThatWaits) {
  ASSERT_TRUE(take(1, "a", KeyLock::shared).ok());
  wait_in_queue(2, "a");
  EXPECT_TRUE(take(3, "a", KeyLock::shared).is(StatusCode::busy));
  wait_in_queue(4, "a", KeyLock::shared);
  table_.release_all(1);
  ASSERT_TRUE(env_.run().ok());
  EXPECT_EQ(order_, "24");
}

TEST_P(Locks, RangesQueueWithKeys) {
  ASSERT_TRUE(take(1, "b").ok());
  wait_in_thread(2, [&] { return take_range(2, "a", "c", KeyLock::exclusive, kLong); });
  EXPECT_TRUE(take(3, "aa").is(StatusCode::busy));  // free, but awaited
  wait_in_queue(4, "aa");
  wait_in_queue(5, "b");
  table_.release_all(1);
  ASSERT_TRUE(env_.run().ok());
  EXPECT_EQ(order_.front(), '2');
  EXPECT_EQ(order_.size(), 3U);
}

TEST_P(Locks, AnUpgradePassesThoseWhoWaitForIt) {
  ASSERT_TRUE(take(1, "a", KeyLock::shared).ok());
  ASSERT_TRUE(take(2, "a", KeyLock::shared).ok());
  wait_in_queue(3, "a");
  wait_in_queue(1, "a");  // waits for 2 alone
  table_.release_all(2);
  ASSERT_TRUE(env_.run().ok());
  EXPECT_EQ(order_, "13");
}

TEST_P(Locks, AHolderPassesARangeThatWaitsForIt) {
  ASSERT_TRUE(take(1, "b").ok());
  wait_in_thread(2, [&] { return take_range(2, "a", "z", KeyLock::exclusive, kLong); });
  EXPECT_TRUE(take(1, "c").ok());
  table_.release_all(1);
  ASSERT_TRUE(env_.run().ok());
  EXPECT_EQ(order_, "2");
}

TEST_P(Locks, TwoUpgradesAreACircle) {
  ASSERT_TRUE(take(1, "a", KeyLock::shared).ok());
  ASSERT_TRUE(take(2, "a", KeyLock::shared).ok());
  wait_in_queue(1, "a");
  const Status victim = take(2, "a", KeyLock::exclusive, kLong);
  EXPECT_TRUE(victim.is(StatusCode::deadlock));
  EXPECT_EQ(victim.message(), "\"a\" is locked by transaction 1; to wait for it would close a circle");
  EXPECT_EQ(table_.held(2), 1U);
  table_.release_all(2);
  ASSERT_TRUE(env_.run().ok());
  EXPECT_EQ(order_, "1");
}

TEST_P(Locks, TwoInACircle) {
  ASSERT_TRUE(take(1, "a").ok());
  ASSERT_TRUE(take(2, "b").ok());
  wait_in_queue(1, "b");
  EXPECT_TRUE(take(2, "a", KeyLock::exclusive, kLong).is(StatusCode::deadlock));
  EXPECT_TRUE(take(3, "a").is(StatusCode::busy));  // no part of it
  table_.release_all(2);
  ASSERT_TRUE(env_.run().ok());
  EXPECT_EQ(order_, "1");
}

TEST_P(Locks, ThreeInACircle) {
  ASSERT_TRUE(take(1, "a").ok());
  ASSERT_TRUE(take(2, "b").ok());
  ASSERT_TRUE(take_range(3, "c", "d").ok());
  wait_in_queue(1, "b");
  wait_in_queue(2, "c");
  EXPECT_TRUE(take(3, "a", KeyLock::exclusive, kLong).is(StatusCode::deadlock));
  table_.release_all(3);
  ASSERT_TRUE(env_.run().ok());
  EXPECT_EQ(order_, "21");
}

// 2 waits behind 3, which waits for 1: a place in a queue is something to wait for, too.
TEST_P(Locks, ACircleThroughAQueue) {
  ASSERT_TRUE(take(1, "a", KeyLock::shared).ok());
  ASSERT_TRUE(take(2, "b").ok());
  wait_in_queue(3, "a");
  wait_in_queue(2, "a", KeyLock::shared);
  EXPECT_EQ(table_.waits_for(2), 3U);
  EXPECT_TRUE(take(1, "b", KeyLock::exclusive, kLong).is(StatusCode::deadlock));
  table_.release_all(1);
  ASSERT_TRUE(env_.run().ok());
  EXPECT_EQ(order_, "32");
}

TEST_P(Locks, ADeadlineThatPassesLeavesTheQueue) {
  ASSERT_TRUE(take(1, "a", KeyLock::shared).ok());
  Status late;
  uint64_t gave_up_at = 0;
  const uint64_t deadline = env_.clock().monotonic_ns() + 500 * kMs;
  env_.spawn("late", [&] {
    late = take(2, "a", KeyLock::exclusive, deadline);
    gave_up_at = env_.clock().monotonic_ns();
  });
  wait_for([&] { return table_.waits_for(2) != 0; });
  wait_in_queue(3, "a", KeyLock::shared);  // behind it
  ASSERT_TRUE(env_.run().ok());
  EXPECT_TRUE(late.is(StatusCode::busy));
  EXPECT_EQ(late.message(), "\"a\" is locked by transaction 1");
  EXPECT_GE(gave_up_at, deadline);
  EXPECT_EQ(order_, "3");  // whoever stood behind it goes on
  EXPECT_EQ(table_.count(), 1U);
  EXPECT_EQ(table_.held(2), 0U);
}

TEST_P(Locks, ACloseEndsAllWaits) {
  ASSERT_TRUE(take(1, "a").ok());
  Status status;
  env_.spawn("waits", [&] { status = take(2, "a", KeyLock::exclusive, kLong); });
  wait_for([&] { return table_.waits_for(2) != 0; });
  table_.close();
  ASSERT_TRUE(env_.run().ok());
  EXPECT_TRUE(status.is(StatusCode::closed));
  EXPECT_TRUE(take(2, "a", KeyLock::exclusive, kLong).is(StatusCode::closed));
  table_.release_all(1);
  EXPECT_EQ(table_.count(), 0U);
}

TEST_P(Locks, ManyAreReleasedTogether) {
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(take(1, "k" + std::to_string(i)).ok());
  ASSERT_TRUE(take_range(1, "l", "m").ok());
  EXPECT_EQ(table_.held(1), 1001U);
  wait_in_thread(2, [&] { return take_range(2, "a", "z", KeyLock::exclusive, kLong); });
  table_.release_all(1);
  ASSERT_TRUE(env_.run().ok());
  EXPECT_EQ(order_, "2");
  EXPECT_EQ(table_.count(), 0U);
}

// Whatever they do, no two hold what conflicts, everybody comes to an end, and nothing is left.
TEST_P(Locks, HoldUnderRandomCalls) {
  constexpr int kOwners = 5;
  std::vector<std::vector<int>> holds(kOwners, std::vector<int>(6));  // 0 nothing, 1 shared, 2 exclusive
  int victims = 0;
  for (int owner = 0; owner < kOwners; ++owner) {
    env_.spawn("owner" + std::to_string(owner), [&, owner] {
      Random random(GetParam() * 100 + static_cast<uint64_t>(owner));
      std::vector<int>& mine = holds[static_cast<size_t>(owner)];
      for (int round = 0; round < 40; ++round) {
        const size_t first = random.below(6);
        const size_t last = random.below(3) == 0 ? first + random.below(6 - first) : first;
        const bool shared = random.below(3) == 0;
        const auto id = static_cast<LockOwner>(owner + 1);
        const std::string from(1, static_cast<char>('a' + first));
        const std::string to(1, static_cast<char>('a' + last + 1));
        const KeyLock mode = shared ? KeyLock::shared : KeyLock::exclusive;
        const Status status =
            first == last ? take(id, from, mode, kLong) : take_range(id, from, to, mode, kLong);
        if (status.ok()) {
          for (size_t key = first; key <= last; ++key) {
            mine[key] = std::max(mine[key], shared ? 1 : 2);
            for (const std::vector<int>& theirs : holds) {
              if (&theirs == &mine) continue;
              EXPECT_LT(theirs[key] * mine[key], 2);
            }
          }
        } else {
          EXPECT_TRUE(status.is(StatusCode::deadlock)) << status.to_string();
          ++victims;
        }
        if (!status.ok() || random.below(4) == 0) {
          mine.assign(6, 0);
          table_.release_all(id);
        }
        yield_thread();
      }
      mine.assign(6, 0);
      table_.release_all(static_cast<LockOwner>(owner + 1));
    });
  }
  ASSERT_TRUE(env_.run().ok());
  EXPECT_EQ(table_.count(), 0U);
  RecordProperty("victims", victims);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Locks, testing::Range<uint64_t>(1, 9));

}  // namespace
}  // namespace lightning
