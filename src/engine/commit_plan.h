// CommitPlan: a batch laid out as a commit record, before anything is locked or reserved.
//
// Whatever can fail or allocate happens here (step 1 of the commit protocol): sizes, hashes, limits, room for
// the list of buckets.
// Thread safety: one thread. Refers to the caller's bytes.
#pragma once

#include <lightning/keyspace.h>
#include <lightning/status.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "format/batch_codec.h"
#include "format/internal_key.h"
#include "log/record.h"
#include "memtable/memtable.h"

namespace lightning {

inline Status check_key(std::string_view key) {
  if (key.size() <= kKeyBytesMax) return {};
  return Status(StatusCode::invalid_argument, "a key is at most 65,535 bytes long");
}
inline Status check_value(std::string_view value) {
  if (value.size() <= kValueBytesMax) return {};
  return Status(StatusCode::invalid_argument, "a value is at most 1 GiB long");
}
/// Of a commit that is visible, so that no other code may be answered, with or without memory for the reason.
Status unknown_outcome(const Status& cause);

/// The limits of what a WriteBatch holds.
Status check_batch(std::string_view encoded);

struct Operation {
  LogEntry entry;  // its value is the user's, whatever its kind
  uint64_t hash = 0;
  uint32_t offset = 0;  // of the entry from the record's start
  uint64_t expiry = 0;  // of kind put_expiring

  uint64_t stored_value_size() const {
    return entry.value.size() + (entry.kind == EntryKind::put_expiring ? kExpiryBytes : 0);
  }
};

class CommitPlan {
 public:
  /// One operation, kept by the caller.
  explicit CommitPlan(Operation& only) : operations_(&only, 1) { lay_out(); }
  /// Several, kept by the caller.
  explicit CommitPlan(std::span<Operation> operations) : operations_(operations) {
    make_room();
    lay_out();
  }
  /// The operations of an encoded batch of at most kBatchBytesMax, each as `finish` makes it of what the
  /// batch says.
  template <typename Fn>
  CommitPlan(std::string_view encoded, size_t count, Fn&& finish) {
    many_.reserve(count);
    BatchReader reader(encoded);
    Operation operation;
    while (reader.next(&operation.entry)) finish(many_.emplace_back(operation));
    operations_ = many_;
    make_room();
    lay_out();
  }
  CommitPlan(const CommitPlan&) = delete;
  CommitPlan& operator=(const CommitPlan&) = delete;

  std::span<Operation> operations() { return operations_; }
  std::span<const Operation> operations() const { return operations_; }
  /// The version of the indexes that its maker knew; the engine's own plans know all.
  static constexpr uint64_t kAnyIndexes = UINT64_MAX;
  uint64_t index_version = 0;
  /// Of all waits of the write; 0: there was nothing to wait for yet, and nobody asked the clock.
  uint64_t deadline = 0;

  /// Of the record; more than kRecordLengthMax cannot be committed.
  uint64_t length() const { return length_; }
  uint64_t user_bytes() const { return user_bytes_; }
  /// Of keys.
  uint64_t removals() const { return removals_; }
  /// Is there a range removal among them?
  bool has_ranges() const { return has_ranges_; }

  /// Locks every bucket that the operations touch, in ascending order, with room for them, and at last the
  /// range removals if there are any among them; all or none.
  Status lock(MemTable& table) {
    PointIndex& index = table.point_index();
    if (one_key_) [[likely]]
      return index.lock(index.bucket_number(operations_[0].hash), 1);
    uint64_t* const buckets = more_buckets_.empty() ? few_buckets_.data() : more_buckets_.data();
    size_t count = 0;
    for (const Operation& operation : operations_) {
      if (operation.entry.kind != EntryKind::remove_range)
        buckets[count++] = index.bucket_number(operation.hash);
    }
    buckets_ = {buckets, count};
    std::sort(buckets_.begin(), buckets_.end());
    for (size_t at = 0; at < buckets_.size();) {
      size_t next = at + 1;
      while (next < buckets_.size() && buckets_[next] == buckets_[at]) ++next;
      if (Status status = index.lock(buckets_[at], static_cast<uint32_t>(next - at)); !status.ok()) {
        unlock_first(index, at);
        return status;
      }
      at = next;
    }
    if (has_ranges_) table.range_removals().lock();
    return {};
  }
  void unlock(MemTable& table) {
    PointIndex& index = table.point_index();
    if (one_key_) [[likely]]
      return index.unlock(index.bucket_number(operations_[0].hash));
    if (has_ranges_) table.range_removals().unlock();
    unlock_first(index, buckets_.size());
  }

 private:
  void lay_out() {
    uint64_t position = kFirstEntryOffset;
    uint64_t size = 0;
    for (Operation& operation : operations_) {
      if (size != 0) position = next_entry_position(position, size);
      operation.offset = static_cast<uint32_t>(position);
      operation.hash = hash_key(operation.entry.key);
      size = log_entry_size(operation.entry.key.size(), operation.stored_value_size());
      has_ranges_ |= operation.entry.kind == EntryKind::remove_range;
      removals_ += operation.entry.kind == EntryKind::remove ? 1 : 0;
      user_bytes_ += operation.entry.key.size() + operation.entry.value.size();
    }
    length_ = record_length(position, size);
    one_key_ = operations_.size() == 1 && !has_ranges_;
  }
  void make_room() {
    if (operations_.size() > kFewBuckets) more_buckets_.resize(operations_.size());
  }
  void unlock_first(PointIndex& index, size_t count) {
    for (size_t at = 0; at < count; ++at) {
      if (at == 0 || buckets_[at] != buckets_[at - 1]) index.unlock(buckets_[at]);
    }
  }

  std::span<Operation> operations_;
  std::vector<Operation> many_;
  static constexpr size_t kFewBuckets = 8;  // more of them take memory
  std::array<uint64_t, kFewBuckets> few_buckets_;
  std::vector<uint64_t> more_buckets_;
  std::span<uint64_t> buckets_;  // of either: sorted, with repetitions, while locked
  uint64_t length_ = 0;
  uint64_t user_bytes_ = 0;
  uint64_t removals_ = 0;
  bool has_ranges_ = false;
  bool one_key_ = false;  // a put or removal alone
};

}  // namespace lightning
