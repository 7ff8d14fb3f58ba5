// Prepared transactions: those that promised to commit, whatever happens, and wait to be told to.
//
// One is an entry of the catalogue's keyspace, "p" + gid -> its record, put by an ordinary commit; what
// resolves it removes that entry in the commit that holds its writes. So log, runs, recovery and copies carry
// it as they carry any other entry. Its locks (engine/lock_table.h) are made of the record at each open.
//
// Format of a record:
//   u64     when it was prepared, microseconds since 1970
//   varint  count of operations, each as format/batch_codec.h says, range removals first
//   varint  count of guards, ranges and keys that nobody else may write, each:
//           varint size, varint size, bytes of its first key, bytes of the key behind it (none: one key)
//   varint  count of those that nobody else may promise to rely on either, likewise; may be missing
// Thread safety: PreparedTransactions is internally synchronised; the rest values.
#pragma once

#include <lightning/stats.h>
#include <lightning/status.h>

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "engine/commit_plan.h"
#include "engine/footprint.h"
#include "engine/lock_table.h"

namespace lightning {

inline constexpr size_t kGidBytesMax = 255;

inline bool is_prepared_key(std::string_view key) { return key.starts_with('p'); }
inline std::string prepared_key(std::string_view gid) { return "p" + std::string(gid); }

struct PreparedRecord {
  uint64_t prepared_us = 0;
  /// `expiry` is the time to live.
  std::vector<Operation> operations;
  struct Guard {
    std::string_view from;
    std::string_view to;  // empty: `from` alone
    KeyLock mode = KeyLock::shared;
  };
  std::vector<Guard> guards;
};

/// What nobody else may write (shared) or lock (exclusive) before the transaction is resolved, beside what it
/// writes; both are sealed.
struct PreparedGuards {
  Footprint shared;
  Footprint exclusive;
};
std::string encode_prepared(uint64_t prepared_us, std::span<const Operation> operations,
                            const PreparedGuards& guards);
/// Refers to `record`. `corruption` where it is malformed.
Result<PreparedRecord> decode_prepared(std::string_view record);
/// Takes the locks of a record for `owner`, without waiting: `busy` where another owner is in the way, who
/// then has some of them.
Status lock_prepared(LockTable& locks, const PreparedRecord& record, LockOwner owner);

class PreparedTransactions {
 public:
  struct Row {
    LockOwner owner = 0;  // of its locks
    uint64_t prepared_us = 0;
    uint64_t operations = 0;
    uint64_t bytes = 0;  // of its record
  };

  /// The right of one call to prepare a transaction, or to resolve it. In the end the transaction is prepared
  /// as it was before, unless the call said what became of it.
  class [[nodiscard]] Claim {
   public:
    Claim(PreparedTransactions& all, std::string_view gid, LockOwner owner, bool prepared)
        : all_(&all), gid_(gid), owner_(owner), prepared_(prepared) {}
    Claim(Claim&& other) noexcept
        : all_(std::exchange(other.all_, nullptr)),
          gid_(other.gid_),
          owner_(other.owner_),
          prepared_(other.prepared_) {}
    Claim& operator=(Claim&&) = delete;
    ~Claim() {
      if (all_ != nullptr) prepared_ ? all_->settle(gid_) : all_->erase(gid_);
    }
    /// It is prepared now.
    void prepared() { prepared_ = true; }
    /// It is no more: the name is free.
    void resolved() { prepared_ = false; }
    LockOwner owner() const { return owner_; }

   private:
    PreparedTransactions* all_;
    std::string_view gid_;  // the caller's
    LockOwner owner_;
    bool prepared_;
  };

  /// For one that is to be prepared: already_exists if the name is in use.
  Result<Claim> reserve(std::string_view gid, const Row& row) EXCLUDES(mutex_);
  /// For one that is to be resolved: not_found, or busy while somebody else has it.
  Result<Claim> take(std::string_view gid) EXCLUDES(mutex_);
  /// In order of their names; those that are claimed included.
  std::vector<PreparedTransaction> list() const EXCLUDES(mutex_);

 private:
  struct Entry {
    Row row;
    bool claimed = true;
  };

  void settle(std::string_view gid) EXCLUDES(mutex_);
  void erase(std::string_view gid) EXCLUDES(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_ GUARDED_BY(mutex_);
};

}  // namespace lightning
