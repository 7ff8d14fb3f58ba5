#include "log/log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "io/scratch_directory.h"
#include "log/scan.h"

namespace lightning {
namespace {

constexpr uint64_t kCapacity = 1 << 20;
constexpr uint64_t kBase = 4096;

SegmentIdentity identity(uint64_t number, uint64_t base_lsn) {
  return {.number = number,
          .base_lsn = base_lsn,
          .capacity = kCapacity,
          .salt = 0x5a17 + number,
          .database_id = 7,
          .incarnation = 9,
          .page_cache_id = 11};
}

class LogTest : public testing::TestWithParam<SegmentFileKind> {
 protected:
  LogTest() { directory_ = *posix_env().files().open_directory(scratch_.path("db"), true); }

  std::shared_ptr<Segment> make(uint64_t number, uint64_t base_lsn) {
    auto segment = Segment::create(*directory_, identity(number, base_lsn), GetParam(), nullptr);
    EXPECT_TRUE(segment.ok()) << segment.status().to_string();
    return *segment;
  }

  ScratchDirectory scratch_;
  std::unique_ptr<Directory> directory_;
};

// Fills and completes a record of one entry whose value is `value`; publishing is the caller's.
void write_record(Segment& segment, uint64_t lsn, uint32_t length, uint64_t value, uint64_t durable) {
  char* const record = segment.at(lsn);
  put_record_header(record, RecordKind::commit, length, lsn, durable, segment.salt());
  std::memset(record + kRecordHeaderBytes, 0, length - kRecordHeaderBytes);
  put_log_entry(record + kFirstEntryOffset, EntryKind::put, "key",
                {reinterpret_cast<const char*>(&value), 8});
  seal_record_body(record, length, lsn, segment.salt());
  segment.complete(lsn, length);
}

uint32_t one_record_length() {
  return static_cast<uint32_t>(record_length(kFirstEntryOffset, log_entry_size(3, 8)));
}

TEST_P(LogTest, WhatIsDurableIsReadBack) {
  std::shared_ptr<Segment> segment = make(1, kBase);
  Log log;
  log.start_at(kBase, kBase);
  log.append_segment(segment);
  const uint32_t length = one_record_length();
  for (uint64_t i = 0; i < 100; ++i) {
    uint64_t lsn = 0;
    ASSERT_EQ(segment->reserve(length, &lsn), Segment::Reserved::here);
    write_record(*segment, lsn, length, i, log.durable());
    log.publish(lsn, length);
    ASSERT_EQ(log.published(), lsn + length);
    if (i % 10 == 0) {
      ASSERT_TRUE(log.wait_durable(log.published()).ok());
      ASSERT_EQ(log.durable(), log.published());
    }
    ASSERT_TRUE(log.wait_written(log.published()).ok());
  }
  auto loaded = Segment::open(*directory_, 1, false);
  ASSERT_TRUE(loaded.ok()) << loaded.status().to_string();
  uint64_t records = 0;
  EXPECT_EQ(
      scan_records(**loaded, kBase, (*loaded)->end_lsn(), [&](uint64_t, const RecordHeader&) { ++records; }),
      log.published());
  EXPECT_EQ(records, 100u);
  EXPECT_GE(durable_stated_from(**loaded, kBase), kBase + 90 * length);
  EXPECT_EQ(durable_stated_from(**loaded, log.published()), 0u);
}

TEST_P(LogTest, ExactlyOneReservationCrossesTheEnd) {
  std::shared_ptr<Segment> segment = make(1, kBase);
  const uint32_t length = one_record_length();
  uint64_t here = 0;
  uint64_t lsn = 0;
  while (segment->reserve(length, &lsn) == Segment::Reserved::here) {
    ++here;
    ASSERT_LE(lsn + length, segment->end_lsn() - kEndRecordBytesMin);
  }
  EXPECT_LE(lsn, segment->end_lsn() - kEndRecordBytesMin);
  EXPECT_TRUE(segment->full());
  for (int i = 0; i < 10; ++i) ASSERT_EQ(segment->reserve(length, &lsn), Segment::Reserved::beyond);
  EXPECT_GT(here, (kCapacity - 2 * kEndRecordBytesMin) / length - 2);
}

// Writers on their own ranges, completing in any order: publication is in order, complete, and nobody sleeps
// for ever.
TEST_P(LogTest, PublishesInOrderWithManyWriters) {
  Log log;
  log.start_at(kBase, kBase);
  std::shared_ptr<Segment> segment = make(1, kBase);
  log.append_segment(segment);
  const uint32_t length = one_record_length();
  std::atomic<bool> stop{false};
  std::thread watcher([&] {
    uint64_t before = kBase;
    while (!stop.load()) {
      const uint64_t now = log.published();
      ASSERT_GE(now, before);
      ASSERT_EQ((now - kBase) % length, 0u);
      if (now > kBase) {
        ASSERT_TRUE(
            marked(segment->at(now - length), now - length, segment->salt(), std::memory_order_acquire));
      }
      before = now;
    }
  });
  std::vector<std::thread> writers;
  for (int w = 0; w < 8; ++w) {
    writers.emplace_back([&, w] {
      std::mt19937_64 random(w);
      for (int i = 0; i < 2000; ++i) {
        uint64_t lsn = 0;
        if (segment->reserve(length, &lsn) != Segment::Reserved::here) return;
        if (random() % 64 == 0) std::this_thread::yield();
        write_record(*segment, lsn, length, i, log.durable());
        if (!log.publish_if_next(lsn, length)) log.publish(lsn, length);
        ASSERT_GE(log.published(), lsn + length);
        if (random() % 500 == 0) {
          ASSERT_TRUE(log.wait_durable(lsn + length).ok());
          ASSERT_GE(log.durable(), lsn + length);
        }
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  stop = true;
  watcher.join();
  EXPECT_EQ(log.published(), kBase + 8 * 2000 * length);
}

TEST_P(LogTest, AFlushCoversEverySegmentThatItPasses) {
  Log log;
  log.start_at(kBase, kBase);
  std::shared_ptr<Segment> first = make(1, kBase);
  log.append_segment(first);
  const uint32_t length = one_record_length();
  uint64_t lsn = 0;
  while (first->reserve(length, &lsn) == Segment::Reserved::here) {
    write_record(*first, lsn, length, 1, log.durable());
    log.publish(lsn, length);
  }
  const auto end_length = static_cast<uint32_t>(first->end_lsn() - lsn);
  put_record_header(first->at(lsn), RecordKind::end, end_length, lsn, log.durable(), first->salt());
  seal_record_body(first->at(lsn), kEndRecordBytesMin, lsn, first->salt());
  first->complete(lsn, kEndRecordBytesMin);
  std::shared_ptr<Segment> second = make(2, first->end_lsn());
  log.append_segment(second);
  log.publish(lsn, end_length);
  ASSERT_EQ(second->reserve(length, &lsn), Segment::Reserved::here);
  write_record(*second, lsn, length, 2, log.durable());
  log.publish(lsn, length);
  ASSERT_TRUE(log.wait_durable(log.published()).ok());
  EXPECT_EQ(log.durable(), lsn + length);
  auto loaded = Segment::open(*directory_, 1, false);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(scan_records(**loaded, kBase, UINT64_MAX, [](uint64_t, const RecordHeader&) {}),
            first->end_lsn());
}

std::vector<SegmentFileKind> kinds() {
  std::vector<SegmentFileKind> kinds = {SegmentFileKind::written};
  if (posix_env().guards_mappings()) kinds.push_back(SegmentFileKind::mapped);  // not in a build without
  return kinds;
}

INSTANTIATE_TEST_SUITE_P(Kinds, LogTest, testing::ValuesIn(kinds()), [](const auto& kind) {
  return kind.param == SegmentFileKind::mapped ? "mapped" : "written";
});

}  // namespace
}  // namespace lightning
