#include "txn/one_key.h"

#include <array>
#include <charconv>
#include <string>

#include "engine/snapshot_state.h"
#include "format/internal_key.h"

namespace lightning {

namespace {

/// What becomes of a key.
struct Decision {
  Status refusal;                         // nothing is written
  std::optional<std::string_view> value;  // nothing: it is removed
};

/// `decide(value or nothing)` answers a Decision, whose bytes are good until it is called again.
template <typename Fn>
Status change_key(Engine& engine, uint32_t keyspace, std::string_view key, const WriteOptions& options,
                  CommitExtension* extension, Fn&& decide) {
  if (Status status = check_key(key); !status.ok()) return status;
  const InternalKey internal(keyspace, key);
  if (!internal.ok()) return Status(StatusCode::out_of_memory, "the key of a write");
  Value value;
  std::vector<Operation> operations;
  const Operation row{.entry = {EntryKind::remove, internal.view(), {}}, .hash = 0, .offset = 0, .expiry = 0};
  RetriedCommit retried(engine);
  for (bool first = true;; first = false) {
    // Whoever was first may have held a lock, and others wait for it. And who makes entries takes long.
    const bool indexed = !first && extension != nullptr && extension->concerns({&row, 1});
    if (indexed || (!first && engine.locks().count() != 0)) {
      if (Status status = retried.hold_off({&row, 1}, options); !status.ok()) return status;
    }
    if (Status status = retried.begin(); !status.ok()) return status;
    const Lookup found = engine.get(keyspace, key, retried.read(), &value);
    if (found.status().is(StatusCode::snapshot_too_old)) continue;
    if (!found.status().ok()) return found.status();
    const Decision decision = decide(found ? std::optional<std::string_view>(value.view()) : std::nullopt);
    if (!decision.refusal.ok()) return decision.refusal;
    if (decision.value) {
      if (Status status = check_value(*decision.value); !status.ok()) return status;
    }
    operations.assign(1, {.entry = {decision.value ? EntryKind::put : EntryKind::remove, internal.view(),
                                    decision.value.value_or(std::string_view())},
                          .hash = 0,
                          .offset = 0,
                          .expiry = options.ttl_ms});
    Status status = retried.commit(operations, options, extension);
    if (!RetriedCommit::overtaken(status)) return status;
  }
}

}  // namespace

Status RetriedCommit::begin() {
  moment_.release();
  read_ = {};
  check_ = {.since = 0, .reader = nullptr, .writes = true, .reads = nullptr, .owner = owner_};
  if (tries_++ == 0) {
    check_.since = engine_.published_lsn();
    return {};
  }
  Result<std::shared_ptr<const SnapshotState>> state = engine_.checked_snapshot();
  if (!state) return state.status();
  moment_ = Snapshot(*std::move(state));
  check_.since = moment_.lsn();
  check_.reader = &moment_.state()->reader();
  read_.snapshot = &moment_;
  return {};
}

Status RetriedCommit::hold_off(std::span<const Operation> rows, const WriteOptions& options) {
  const bool over = engine_.env().clock().monotonic_ns() >= deadline(options);
  if (over && tries_ > 1)
    return Status(StatusCode::busy, "others were first to write the same until timeout_ms was over");
  if (owner_ == 0) owner_ = locks_.emplace(engine_).owner();
  return lock(rows);
}

// What would take too much memory stays without locks.
Status RetriedCommit::lock(std::span<const Operation> operations) {
  constexpr uint64_t kLockBytes = 400;  // with nodes and queues, about
  uint64_t bytes = 0;
  for (const Operation& operation : operations) bytes += kLockBytes + operation.entry.key.size();
  if (bytes > engine_.options().memory_limit / 4) return {};
  for (;;) {
    Status status;
    for (size_t i = 0; i < operations.size() && status.ok(); ++i) {
      const LogEntry& entry = operations[i].entry;
      status = entry.kind == EntryKind::remove_range
                   ? engine_.lock_range(owner_, entry.key, entry.value, KeyLock::exclusive, deadline_)
                   : engine_.lock_key(owner_, entry.key, KeyLock::exclusive, deadline_);
    }
    // As in Engine::wait_for_lock(): without anything nobody can wait for a write.
    if (!status.is(StatusCode::deadlock) || !LockTable::is_write(owner_)) return status;
    engine_.release_locks(owner_);
  }
}

Status RetriedCommit::commit(std::vector<Operation>& operations, const WriteOptions& options,
                             CommitExtension* extension) {
  if (extension != nullptr && extension->concerns(operations)) {
    const size_t rows = operations.size();
    if (Status status = extension->extend(&operations, read_, nullptr); !status.ok()) {
      // Without a moment its reads may be of several, between which keys went from row to row.
      const bool mixed = read_.snapshot == nullptr && engine_.published_lsn() != check_.since;
      if (!mixed || !status.is(StatusCode::already_exists)) return status;
      return Status(StatusCode::conflict, "others wrote while a key was found to be taken");
    }
    if (tries_ > 2) {
      if (Status status = lock(std::span(operations).subspan(rows)); !status.ok()) return status;
    }
    check_.index_version = extension->index_version();
  }
  check_.deadline = &deadline_;
  return engine_.commit_checked(operations, check_, options);
}

Status compare_and_set(Engine& engine, uint32_t keyspace, std::string_view key,
                       std::optional<std::string_view> expected, std::optional<std::string_view> desired,
                       const WriteOptions& options, CommitExtension* extension) {
  return change_key(
      engine, keyspace, key, options, extension, [&](std::optional<std::string_view> now) -> Decision {
        if (now != expected)
          return {.refusal = Status(StatusCode::conflict, "the key holds another value"), .value = {}};
        return {.refusal = {}, .value = desired};
      });
}

Status put_if_absent(Engine& engine, uint32_t keyspace, std::string_view key, std::string_view value,
                     const WriteOptions& options, CommitExtension* extension) {
  return change_key(
      engine, keyspace, key, options, extension, [&](std::optional<std::string_view> now) -> Decision {
        if (now) return {.refusal = Status(StatusCode::already_exists, "the key is there"), .value = {}};
        return {.refusal = {}, .value = value};
      });
}

Status update_key(Engine& engine, uint32_t keyspace, std::string_view key, const Keyspace::UpdateFn& fn,
                  const WriteOptions& options, CommitExtension* extension) {
  std::optional<std::string> next;
  return change_key(
      engine, keyspace, key, options, extension, [&](std::optional<std::string_view> now) -> Decision {
        next = fn(now);
        return {.refusal = {}, .value = next ? std::optional<std::string_view>(*next) : std::nullopt};
      });
}

Result<int64_t> add_to_key(Engine& engine, uint32_t keyspace, std::string_view key, int64_t delta,
                           const WriteOptions& options, CommitExtension* extension) {
  int64_t sum = 0;
  std::array<char, 24> text{};
  const auto refuse = [](std::string_view why) -> Decision {
    return {.refusal = Status(StatusCode::invalid_argument, why), .value = {}};
  };
  Status status = change_key(
      engine, keyspace, key, options, extension, [&](std::optional<std::string_view> now) -> Decision {
        int64_t number = 0;
        if (now) {
          const auto [end, error] = std::from_chars(now->data(), now->data() + now->size(), number);
          if (error != std::errc() || end != now->data() + now->size())
            return refuse("the key holds no decimal number of 64 bits");
        }
        if (__builtin_add_overflow(number, delta, &sum)) return refuse("the sum does not fit into 64 bits");
        const auto written = std::to_chars(text.data(), text.data() + text.size(), sum);
        return {.refusal = {},
                .value = std::string_view(text.data(), static_cast<size_t>(written.ptr - text.data()))};
      });
  if (!status.ok()) return status;
  return sum;
}

}  // namespace lightning
