// CommitPlan: a batch laid out as a commit record, before anything is locked or reserved.
//
// Whatever can fail or allocate happens here (step 1 of the commit protocol): sizes, hashes, limits, room for
// the list of buckets.
// Thread safety: one thread. Refers to the caller's bytes.
#pragma once

#include <lightning/status.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include "format/batch_codec.h"
#include "format/internal_key.h"
#include "log/record.h"
#include "memtable/point_index.h"

namespace lightning {

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
  /// The operations of an encoded batch of at most kBatchBytesMax, each as `finish` makes it of what the
  /// batch says.
  template <typename Fn>
  CommitPlan(std::string_view encoded, size_t count, Fn&& finish) {
    many_.reserve(count);
    BatchReader reader(encoded);
    Operation operation;
    while (reader.next(&operation.entry)) finish(many_.emplace_back(operation));
    operations_ = many_;
    buckets_.reserve(many_.size());
    lay_out();
  }
  CommitPlan(const CommitPlan&) = delete;
  CommitPlan& operator=(const CommitPlan&) = delete;

  std::span<Operation> operations() { return operations_; }
  std::span<const Operation> operations() const { return operations_; }
  /// Of the record; more than kRecordLengthMax cannot be committed.
  uint64_t length() const { return length_; }
  uint64_t user_bytes() const { return user_bytes_; }

  /// Locks every bucket that the operations touch, in ascending order, with room for them; all or none.
  Status lock(PointIndex& index) {
    if (operations_.size() == 1) return index.lock(index.bucket_number(operations_[0].hash), 1);
    buckets_.clear();
    for (const Operation& operation : operations_) buckets_.push_back(index.bucket_number(operation.hash));
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
    return {};
  }
  void unlock(PointIndex& index) {
    if (operations_.size() == 1) return index.unlock(index.bucket_number(operations_[0].hash));
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
      user_bytes_ += operation.entry.key.size() + operation.entry.value.size();
    }
    length_ = record_length(position, size);
  }
  void unlock_first(PointIndex& index, size_t count) {
    for (size_t at = 0; at < count; ++at) {
      if (at == 0 || buckets_[at] != buckets_[at - 1]) index.unlock(buckets_[at]);
    }
  }

  std::span<Operation> operations_;
  std::vector<Operation> many_;
  std::vector<uint64_t> buckets_;  // sorted, with repetitions, while locked
  uint64_t length_ = 0;
  uint64_t user_bytes_ = 0;
};

}  // namespace lightning
