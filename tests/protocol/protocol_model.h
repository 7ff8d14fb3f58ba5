// A small exhaustive model of the commit and read protocol: every interleaving of a few commits, readers and
// one flush over a log of a few slots is walked, and each state is checked.
//
// It is independent of the engine's code on purpose: it says what the protocol must be, the engine's comments
// name the steps by the numbers below, and a change of the protocol is tried here first. Each step is one
// atomic transition under sequential consistency; to give its loads and stores that order is the engine's
// duty, and the mutations that swap two steps show which orders matter. Not modelled: torn words, reclamation
// (epochs), durability, expiry, removals, range reads, the lock table.
//
// The abstract machine
// - An LSN is the number of a slot. An entry takes one slot; a commit of two keys is one record of two slots
//   with one mark. A segment holds `slots_per_segment` slots and one more, kept for its end record.
// - Memtable i indexes segment i: for each key a lock (its bucket) and a head; older versions hang on newer.
// - A View is {active memtable, oldest memtable}; once the oldest is not number 0 it also holds the run that
//   was flushed from memtable 0. A version v is visible to a reader at S when v < S.
//
// Commit. A batch is a put of two keys; the other kinds are "readers": they read before they write.
// - 1 take_segment: take the segment that is open for reservation. If none is, the first to come makes one.
// - 1 take_view: readers only: load the View and count it, so that its memtables outlive the waits below.
// - 2 lock_bucket: lock the keys' buckets, one by one, in address order.
// - 2 wait: readers only: until `published` has reached the segment's base. Locks belong to a segment; what
//   was reserved in an older one is installed by then.
// - 2 check_heads: put_if_absent looks for any version. A transaction looks at the heads of its keys at or
//   above P; if a memtable that held such positions has left the View, it unlocks and is checked anew from
//   check_view on. On a conflict: unlock and fail.
// - 3 reserve: lsn = tail.fetch_add(size). Exactly one reservation crosses the segment's end; that commit
//   does end_record (with its mark), unlock, publish_end (if it is its turn; no wait), make_segment (may
//   fail: then no segment is open and it returns no_space), install_view (the View with the new memtable)
//   and only then open_segment, and starts again at 1. A commit larger than a segment makes one of its own
//   size, with its buckets locked and its range reserved before it opens, and goes on with 4.
// - 3 await_segment: all others that overflowed have unlocked, wait for open_segment, and start again at 1.
// - 3 wait: serializable only: until `published` is the own LSN. All earlier commits are installed by then.
// - 3 check_log: serializable only: look at the records in [P, lsn); a conflict makes the own record void.
// - 4 fill: fill the record, each entry pointing at the key's present head.
// - 5 insert, unlock: make the entries the heads, one by one; unlock.
// - 6 mark: store the mark.
// - 6 own_turn: if `published` is the own LSN, move it to the own end by compare-and-swap; load_parked: and
//   only if somebody is parked, walk on and wake. If it is not the own turn: wait until it has passed.
// - 7 put_return.
//
// Wait until `published` has reached a target (in 2, 3 and 6, by the flush and by put_if_absent)
// - watch: look at `published`, and at one's own turn, for a while.
// - park: count oneself as parked.
// - walk, advance: while the record at `published` is marked, move `published` over it by compare-and-swap.
// - wake: who moved it wakes all who sleep.
// - sleep: if `published` still is what the walk ended on (one atomic step, as a futex does it); walk again
//   when woken.
// - unpark: once the target is reached.
// The order that needs sequential consistency is mark before load_parked against park before walk.
//
// Readers and flush
// - Transaction before its commit: registry_lock, registry_read (S = published), registry_add (and unlock),
//   load_view, probe each key; then check_view, check_published (P = published; repeat as a get does) and
//   check_keys: nothing of its keys in [S, P).
// - put_if_absent sees heads that are not published; when it answers "exists" because of one, it returns
//   only when that one is published (exists_wait), else its caller would not find what it was told of.
// - Get of both keys: get_view, get_published (repeat if it lies beyond the View's active segment) and
//   get_probe for each.
// - Lazy get of one key, twice: load the View, probe, and load `published` anew only if the hit is not below
//   the value that the thread saw last.
// - Snapshot reader: registers as a transaction does; loads a View and probes both keys, twice.
// - Flush: flush_begin (the View has a newer memtable), wait until `published` has passed the segment's end,
//   flush_list (read the registered snapshots under the registry's lock), flush_build, flush_install. An
//   entry of the run carries its LSN unless it is its key's only version there and lies below every
//   registered snapshot: a snapshot that is older than the entry must be able to pass it by.
//
// Checked in every state: (I2) `published` never stands inside a record and never moves back; (I3) a key's
// chain is ordered by LSN; (I4) published <= tail. Checked at each return: `published` has passed a put; a
// transaction saw nothing that a commit below its own LSN has changed (no lost update; serializable: no write
// skew); a get answers the state at one `published` that covers every put that had returned when it began; a
// snapshot answers the state at its LSN, both times. Checked at the end: (I1) every reserved slot is filled
// or void, and nobody is left waiting. The graph of states has no cycle: every execution ends, however
// threads are scheduled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lightning::protocol {

enum class CommitKind : uint8_t { put, compare, snapshot, serializable };

// Sets of keys; there are two keys.
inline constexpr uint8_t kKeyA = 1;
inline constexpr uint8_t kKeyB = 2;

struct Commit {
  CommitKind kind = CommitKind::put;
  uint8_t writes = kKeyA;
  uint8_t reads = 0;  // transactions only
};

enum class ReaderKind : uint8_t { get, lazy_get, snapshot };

// What runs side by side. At most five of commits, readers and flush together.
struct Scenario {
  std::string_view name;
  uint8_t slots_per_segment = 1;
  std::vector<Commit> commits;
  std::vector<ReaderKind> readers = {};
  bool flush = false;
  // A put of key a has returned before the start.
  bool preloaded = false;
  // The transactions had registered S = 0 and been checked up to P = 0 before that put.
  bool transactions_begun = false;
  // So many attempts to make a segment may fail.
  uint8_t install_failures = 0;
};

// One deliberate change to the protocol; the model must find each mistake.
enum class Mutation : uint8_t {
  none,

  // Steps 1 to 5.
  no_base_wait,              // 2: a reader does not wait for the segment's base
  no_head_check,             // 2: a snapshot commit is checked before its locks only
  ignore_flushed_memtables,  // 2: heads are looked for in those memtables that the View still has
  exists_returns_early,      // 2: put_if_absent answers "exists" of a version that is not published
  unordered_locks,           // 2: every other commit locks in descending order
  lock_after_reserve,        // 3 before 2
  no_turn_wait,              // 3: a serializable commit checks the log without waiting for its turn
  no_void_record,            // 3: a serializable commit that fails leaves its range unfilled
  no_end_record,             // 3: the crosser leaves the rest of the segment as it is
  open_before_view,          // 3: reservation opens before the View is published
  mark_before_insert,        // 6 before 5

  // Step 6 and the wait.
  return_after_mark,          // a put does not wait for its turn
  publish_by_entry,           // `published` moves entry by entry
  publish_by_store,           // compare, then a plain store
  parked_loaded_before_mark,  // load_parked overtakes mark
  parked_after_check,         // a last look at `published`, then park, then sleep
  sleep_without_compare,      // sleep whatever `published` is by now
  walker_does_not_wake,       // a parked thread that moves `published` leaves waking to the records' owners
  waiters_only_watch,         // who has no marked record of its own neither parks nor walks

  // Readers and flush.
  snapshot_lsn_outside_lock,   // S is read before the registry's lock is taken
  get_published_first,         // the get loads `published`, then the View
  get_does_not_repeat,         // the get keeps a View that ends before the `published` that it loaded
  lazy_get_trusts_head,        // the lazy get answers its hit without asking whether it is published
  flush_before_published,      // the flush takes a memtable that has late fillers
  flush_lists_early,           // the flush reads the registry before its input is published
  omit_lsn_of_single_version,  // an entry carries LSNs only if the run keeps several versions of its key
  stale_view_install,          // the flush derives its View from one that it loaded earlier

  // No mistakes: freedoms that an engine may take, and the model must confirm.
  parked_loaded_before_swap,       // 6: load_parked before own_turn
  turn_looked_at_before_mark,      // 6: not the own turn when looked at before mark: wait, which looks again
  end_record_left_to_walkers,      // 3: no publish_end; who waits walks over the end record
  serializable_without_base_wait,  // 2: the wait of step 3 covers that of step 2
};

struct Result {
  size_t states = 0;
  size_t transitions = 0;
  size_t ends = 0;                   // states in which everybody has finished
  std::set<std::string> outcomes;    // how the commits ended: "ok conflict", one word a commit
  std::string violation;             // empty if every state is as it must be
  std::vector<std::string> history;  // the steps that lead to the violation
};

// Walks all interleavings of `scenario`, depth first, up to the first violation. Memory: 32 to 96 bytes a
// state. States are told apart by 128-bit fingerprints. More than `states_max` states count as a violation.
Result explore(const Scenario& scenario, Mutation mutation, size_t states_max = 20'000'000);

}  // namespace lightning::protocol
