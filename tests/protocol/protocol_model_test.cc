// The protocol holds in every scenario, and each deliberate mistake is found: a model that finds nothing
// proves nothing. protocol_model.h names the steps.
#include "tests/protocol/protocol_model.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <ostream>

namespace lightning::protocol {

void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }

namespace {

constexpr Commit kPutA{CommitKind::put, kKeyA};
constexpr Commit kPutB{CommitKind::put, kKeyB};
constexpr Commit kBatch{CommitKind::put, kKeyA | kKeyB};
constexpr Commit kPutIfAbsentA{CommitKind::compare, kKeyA};
constexpr Commit kSnapshotA{CommitKind::snapshot, kKeyA, kKeyA};
constexpr Commit kSerializableA{CommitKind::serializable, kKeyA, kKeyB};
constexpr Commit kSerializableB{CommitKind::serializable, kKeyB, kKeyA};

// Named by what runs and by the slots of a segment.
const Scenario kBatches4 = {.name = "batches_4", .slots_per_segment = 4, .commits = {kBatch, kBatch, kPutB}};
const Scenario kBatch2 = {.name = "batch_2", .slots_per_segment = 2, .commits = {kPutA, kBatch, kPutB}};
const Scenario kGet1 = {.name = "get_1",
                        .slots_per_segment = 1,
                        .commits = {kPutA, kPutA},
                        .readers = {ReaderKind::get},
                        .preloaded = true};
const Scenario kGetDisjoint2 = {.name = "get_disjoint_2",
                                .slots_per_segment = 2,
                                .commits = {kPutA, kPutB},
                                .readers = {ReaderKind::get}};
const Scenario kGet2 = {
    .name = "get_2", .slots_per_segment = 2, .commits = {kPutA, kBatch}, .readers = {ReaderKind::get}};
const Scenario kGet4 = {
    .name = "get_4", .slots_per_segment = 4, .commits = {kPutA, kBatch}, .readers = {ReaderKind::get}};
const Scenario kLazyGet2 = {.name = "lazy_get_2",
                            .slots_per_segment = 2,
                            .commits = {kPutA, kBatch},
                            .readers = {ReaderKind::lazy_get},
                            .flush = true};
const Scenario kSnapshot1 = {.name = "snapshot_1",
                             .slots_per_segment = 1,
                             .commits = {kPutA, kPutB},
                             .readers = {ReaderKind::snapshot},
                             .preloaded = true};
const Scenario kGetFlush2 = {.name = "get_flush_2",
                             .slots_per_segment = 2,
                             .commits = {kPutA, kBatch},
                             .readers = {ReaderKind::get},
                             .flush = true,
                             .preloaded = true};
const Scenario kSnapshotFlush2 = {.name = "snapshot_flush_2",
                                  .slots_per_segment = 2,
                                  .commits = {kPutA, kPutB},
                                  .readers = {ReaderKind::snapshot},
                                  .flush = true,
                                  .preloaded = true};
const Scenario kNoSpace1 = {
    .name = "no_space_1", .slots_per_segment = 1, .commits = {kPutA, kPutB, kPutA}, .install_failures = 2};
const Scenario kOversized1 = {
    .name = "oversized_1", .slots_per_segment = 1, .commits = {kPutA, kBatch}, .readers = {ReaderKind::get}};
const Scenario kPutIfAbsent1 = {
    .name = "put_if_absent_1", .slots_per_segment = 1, .commits = {kPutIfAbsentA, kPutIfAbsentA, kPutB}};
const Scenario kPutIfAbsentGet2 = {.name = "put_if_absent_get_2",
                                   .slots_per_segment = 2,
                                   .commits = {kPutIfAbsentA, kPutA},
                                   .readers = {ReaderKind::get}};
const Scenario kLostUpdate1 = {
    .name = "lost_update_1", .slots_per_segment = 1, .commits = {kSnapshotA, kSnapshotA, kPutB}};
const Scenario kLostUpdate4 = {
    .name = "lost_update_4", .slots_per_segment = 4, .commits = {kSnapshotA, kSnapshotA, kBatch}};
// The transaction has begun, and has been checked up to its snapshot, before the preloaded put of its key.
const Scenario kSnapshotCommitFlush1 = {.name = "snapshot_commit_flush_1",
                                        .slots_per_segment = 1,
                                        .commits = {kSnapshotA, kPutB},
                                        .flush = true,
                                        .preloaded = true,
                                        .transactions_begun = true};
const Scenario kWriteSkew1 = {
    .name = "write_skew_1", .slots_per_segment = 1, .commits = {kSerializableA, kSerializableB, kPutB}};
const Scenario kWriteSkew4 = {
    .name = "write_skew_4", .slots_per_segment = 4, .commits = {kSerializableA, kSerializableB, kPutA}};
const Scenario kSerializableSameKey2 = {.name = "serializable_same_key_2",
                                        .slots_per_segment = 2,
                                        .commits = {kSerializableA, kSerializableA, kPutB}};
const Scenario kMixed2 = {
    .name = "mixed_2", .slots_per_segment = 2, .commits = {kSerializableB, kSnapshotA, kPutIfAbsentA}};
const Scenario kSerializableFlush1 = {.name = "serializable_flush_1",
                                      .slots_per_segment = 1,
                                      .commits = {kSerializableA, kPutB},
                                      .flush = true};

Result explore_and_print(const Scenario& scenario, Mutation mutation) {
  Result result = explore(scenario, mutation);
  std::printf("%zu states, %zu transitions, %zu ends\n", result.states, result.transitions, result.ends);
  return result;
}

std::string history_of(const Result& result) {
  std::string text = result.violation;
  for (const std::string& step : result.history) text += "\n  " + step;
  return text;
}

// ---- the protocol holds

struct Expectation {
  Scenario scenario;
  std::vector<std::string>
      outcomes;  // that must be among the ends: a model that forbids them checks too little
};

void PrintTo(const Expectation& expectation, std::ostream* out) { *out << expectation.scenario.name; }

class Protocol : public testing::TestWithParam<Expectation> {};

TEST_P(Protocol, holds) {
  const Result result = explore_and_print(GetParam().scenario, Mutation::none);
  EXPECT_EQ(result.violation, "") << history_of(result);
  EXPECT_GT(result.ends, 0u);
  for (const std::string& outcome : GetParam().outcomes)
    EXPECT_TRUE(result.outcomes.contains(outcome)) << outcome;
}

const Expectation kExpectations[] = {
    {kBatches4, {"ok ok ok"}},
    {kBatch2, {"ok ok ok"}},
    {kGet1, {"ok ok"}},
    {kGetDisjoint2, {"ok ok"}},
    {kGet2, {"ok ok"}},
    {kGet4, {"ok ok"}},
    {kLazyGet2, {"ok ok"}},
    {kSnapshot1, {"ok ok"}},
    {kGetFlush2, {"ok ok"}},
    {kSnapshotFlush2, {"ok ok"}},
    {kNoSpace1, {"ok ok ok", "no_space ok ok", "ok no_space no_space"}},
    {kOversized1, {"ok ok"}},
    {kPutIfAbsent1, {"ok exists ok", "exists ok ok"}},
    {kPutIfAbsentGet2, {"ok ok", "exists ok"}},
    {kLostUpdate1, {"ok ok ok", "conflict ok ok", "ok conflict ok"}},
    {kLostUpdate4, {"ok ok ok", "conflict ok ok", "ok conflict ok", "conflict conflict ok"}},
    {kSnapshotCommitFlush1, {"conflict ok"}},
    {kWriteSkew1, {"ok ok ok", "conflict ok ok", "ok conflict ok"}},
    {kWriteSkew4, {"ok ok ok", "conflict ok ok", "ok conflict ok"}},
    {kSerializableSameKey2, {"ok ok ok", "conflict ok ok", "ok conflict ok"}},
    {kMixed2, {"ok ok exists", "conflict conflict ok"}},
    {kSerializableFlush1, {"ok ok", "conflict ok"}},
};
INSTANTIATE_TEST_SUITE_P(Scenarios, Protocol, testing::ValuesIn(kExpectations),
                         [](const auto& param) { return std::string(param.param.scenario.name); });

// ---- each mistake is found

struct Mistake {
  const char* name;
  Mutation mutation;
  Scenario scenario;
  const char* violation;  // a part of what the model must say
};

void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.name; }

class ProtocolMistake : public testing::TestWithParam<Mistake> {};

TEST_P(ProtocolMistake, is_found) {
  const Result result = explore_and_print(GetParam().scenario, GetParam().mutation);
  EXPECT_NE(result.violation.find(GetParam().violation), std::string::npos) << history_of(result);
  EXPECT_FALSE(result.history.empty());
}

const Mistake kMistakes[] = {
    {"no_base_wait", Mutation::no_base_wait, kLostUpdate1, "lost update"},
    {"no_base_wait_put_if_absent", Mutation::no_base_wait, kPutIfAbsent1, "lost update"},
    {"no_turn_wait", Mutation::no_turn_wait, kWriteSkew4, "write skew"},
    {"no_head_check", Mutation::no_head_check, kLostUpdate4, "lost update"},
    {"ignore_flushed_memtables", Mutation::ignore_flushed_memtables, kSnapshotCommitFlush1, "lost update"},
    {"snapshot_lsn_outside_lock", Mutation::snapshot_lsn_outside_lock, kSnapshotFlush2, "snapshot reader"},
    {"get_published_first", Mutation::get_published_first, kGetFlush2, "get at"},
    {"get_does_not_repeat", Mutation::get_does_not_repeat, kGet2, "get at"},
    {"lazy_get_trusts_head", Mutation::lazy_get_trusts_head, kLazyGet2, "unpublished"},
    {"lock_after_reserve", Mutation::lock_after_reserve, kBatches4, "I3"},
    {"lock_after_reserve_deadlock", Mutation::lock_after_reserve, kSerializableSameKey2, "deadlock"},
    {"unordered_locks", Mutation::unordered_locks, kBatches4, "deadlock"},
    {"mark_before_insert", Mutation::mark_before_insert, kGetDisjoint2, "get at"},
    {"return_after_mark", Mutation::return_after_mark, kGet4, "returns before published"},
    {"publish_by_entry", Mutation::publish_by_entry, kGet4, "inside a record"},
    {"publish_by_store", Mutation::publish_by_store, kBatch2, "moves back"},
    {"parked_loaded_before_mark", Mutation::parked_loaded_before_mark, kBatch2, "sleeping"},
    {"parked_after_check", Mutation::parked_after_check, kBatch2, "sleeping"},
    {"sleep_without_compare", Mutation::sleep_without_compare, kBatch2, "sleeping"},
    {"walker_does_not_wake", Mutation::walker_does_not_wake, kBatch2, "sleeping"},
    {"waiters_only_watch", Mutation::waiters_only_watch, kLostUpdate1, "left in watch"},
    {"waiters_only_watch_serializable", Mutation::waiters_only_watch, kWriteSkew1, "left in watch"},
    {"no_end_record", Mutation::no_end_record, kBatch2, "sleeping"},
    {"open_before_view", Mutation::open_before_view, kSnapshot1, "snapshot reader"},
    {"open_before_view_get", Mutation::open_before_view, kGet1, "livelock"},
    {"no_void_record", Mutation::no_void_record, kWriteSkew4, "I1"},
    {"flush_before_published", Mutation::flush_before_published, kGetFlush2, "get at"},
    {"flush_lists_early", Mutation::flush_lists_early, kSnapshotFlush2, "snapshot reader"},
    {"omit_lsn_of_single_version", Mutation::omit_lsn_of_single_version, kSnapshotFlush2, "snapshot reader"},
    {"stale_view_install", Mutation::stale_view_install, kGetFlush2, "livelock"},
    {"exists_returns_early", Mutation::exists_returns_early, kPutIfAbsentGet2, "get does not cover"},
};
INSTANTIATE_TEST_SUITE_P(Mutations, ProtocolMistake, testing::ValuesIn(kMistakes),
                         [](const auto& param) { return std::string(param.param.name); });

// ---- what an engine may do otherwise

struct Freedom {
  const char* name;
  Mutation mutation;
  Scenario scenario;
};

void PrintTo(const Freedom& freedom, std::ostream* out) { *out << freedom.name; }

class ProtocolFreedom : public testing::TestWithParam<Freedom> {};

TEST_P(ProtocolFreedom, holds) {
  const Result result = explore_and_print(GetParam().scenario, GetParam().mutation);
  EXPECT_EQ(result.violation, "") << history_of(result);
  EXPECT_GT(result.ends, 0u);
}

const Freedom kFreedoms[] = {
    {"parked_loaded_before_swap", Mutation::parked_loaded_before_swap, kBatch2},
    {"parked_loaded_before_swap_readers", Mutation::parked_loaded_before_swap, kLostUpdate1},
    {"turn_looked_at_before_mark", Mutation::turn_looked_at_before_mark, kBatch2},
    {"end_record_left_to_walkers", Mutation::end_record_left_to_walkers, kBatch2},
    {"end_record_left_to_walkers_readers", Mutation::end_record_left_to_walkers, kLostUpdate1},
    {"serializable_without_base_wait", Mutation::serializable_without_base_wait, kSerializableSameKey2},
    {"serializable_without_base_wait_flush", Mutation::serializable_without_base_wait, kSerializableFlush1},
};
INSTANTIATE_TEST_SUITE_P(Mutations, ProtocolFreedom, testing::ValuesIn(kFreedoms),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace lightning::protocol
