// The abstract machine of protocol_model.h: its state, which steps an actor may take in a state, and what a
// step does.
//
// Its steps stand in protocol_commit.cc (commit and wait) and protocol_readers.cc (readers and flush), the
// rest in protocol_machine.cc. Thread safety: externally synchronised; a step records the violation that it
// finds.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <type_traits>

#include "tests/protocol/protocol_model.h"

namespace lightning::protocol {

inline constexpr uint8_t kNone = 0xff;
inline constexpr int kKeys = 2;
inline constexpr int kSlots = 16;
inline constexpr int kSegments = 5;
inline constexpr int kActors = 5;

// Grouped as the machine's functions are: registered reader, its check before the commit, steps 1 and 2, step
// 3 and the switch of segments, steps 3 to 5, steps 6 and 7, wait, get, lazy get, flush.
// clang-format off
#define LIGHTNING_PROTOCOL_STEPS(X)                                                                \
  X(done)                                                                                          \
  X(registry_lock) X(registry_read) X(registry_add) X(registry_remove) X(load_view) X(probe)       \
  X(check_view) X(check_published) X(check_keys)                                                   \
  X(take_segment) X(take_view) X(lock_bucket) X(check_heads)                                       \
  X(reserve) X(end_record) X(publish_end) X(make_segment) X(install_view) X(open_segment)          \
  X(await_segment)                                                                                 \
  X(check_log) X(fill) X(insert) X(unlock)                                                         \
  X(peek_parked) X(peek_turn) X(mark) X(own_turn) X(store_published) X(load_parked) X(put_return)  \
  X(exists_wait) X(exists_return) X(watch) X(park) X(walk) X(advance) X(wake) X(sleep) X(sleeping) \
  X(unpark)                                                                                        \
  X(get_view) X(get_published) X(get_probe)                                                        \
  X(lazy_view) X(lazy_probe) X(lazy_published)                                                     \
  X(flush_begin) X(flush_list) X(flush_build) X(flush_install)
// clang-format on

enum class Step : uint8_t {
#define LIGHTNING_PROTOCOL_STEP(name) name,
  LIGHTNING_PROTOCOL_STEPS(LIGHTNING_PROTOCOL_STEP)
#undef LIGHTNING_PROTOCOL_STEP
};

const char* step_name(Step step);

enum class Content : uint8_t { unwritten, version, voided, end };
enum class Outcome : uint8_t { pending, ok, conflict, exists, no_space };

struct Slot {
  Content content;
  uint8_t key;
  uint8_t length;  // of the record that starts here, in slots; 0 inside a record
  uint8_t prev;    // the key's former head
  uint8_t marked;
};

struct Segment {
  uint8_t base;
  uint8_t end;   // the first slot behind the usable ones: the last place for the end record
  uint8_t tail;  // >= end + 1 once it was crossed
  std::array<uint8_t, kKeys> heads;
  std::array<uint8_t, kKeys> locks;
};

struct View {
  uint8_t active;
  uint8_t oldest;  // > 0: the run of memtable 0 is part of it
};

// A thread and its registers. What a step no longer needs is set back to kNone or 0, so that equal states are
// equal.
struct Actor {
  Step step;
  Step resume;  // where a wait, an unlock or a publication goes on
  uint8_t key;  // loop over keys
  uint8_t segment;
  uint8_t lsn;         // of the own record
  uint8_t snapshot;    // S
  uint8_t registered;  // as the flush sees it
  uint8_t checked;     // P
  uint8_t target;      // of the wait
  uint8_t seen;        // `published` as last loaded
  uint8_t must_see;    // ghost: what had been acknowledged when the read began
  uint8_t observed;    // the version that a probe or a check hit on
  uint8_t round;
  uint8_t waiting;  // walks as one who waits, not as one who has published
  uint8_t counted;  // in `parked`
  uint8_t moved;    // the walk has moved `published`
  uint8_t peeked;   // mutations that load `parked` too early: what they saw
  View view;
  std::array<uint8_t, kKeys> reads;  // versions that a transaction read
  Outcome outcome;
};

struct alignas(8) State {
  std::array<Actor, kActors> actors;
  std::array<Segment, kSegments> segments;
  std::array<Slot, kSlots> slots;
  View view;
  uint8_t segment_count;
  uint8_t open;    // the segment open for reservation, or kNone
  uint8_t making;  // somebody makes a segment because none is open
  uint8_t published;
  uint8_t parked;
  uint8_t registry_locked;
  uint8_t failures_left;
  uint8_t returned;    // ghost: the largest end of an acknowledged record
  uint8_t run_single;  // keys whose entry in the run carries no LSN
  uint16_t run_kept;   // versions in the run, a bit a slot
  uint16_t listed;     // snapshots that the flush has read, a bit an LSN
};
static_assert(std::has_unique_object_representations_v<State> && sizeof(State) % 8 == 0);

inline bool has(uint8_t keys, uint8_t key) { return (keys >> key) & 1; }
inline uint8_t limit_of(const Segment& segment) { return segment.end + 1; }  // the base of the next one

// The newest version of `key` below `bound` that the log holds: the truth that answers are held against.
uint8_t newest_in_log(const State& s, uint8_t key, uint8_t bound);

// What a reader finds: newest source first, the first that has a version below `bound` answers.
uint8_t lookup(const State& s, const View& view, uint8_t key, uint8_t bound);

std::string version_name(uint8_t version);
bool marked_at(const State& s, uint8_t lsn);
bool owns_turn(const State& s, const Actor& a);
void begin_wait(Actor& a, uint8_t target, Step resume);

class Machine {
 public:
  Machine(const Scenario& scenario, Mutation mutation) : scenario_(scenario), mutation_(mutation) {}

  State initial();
  int actor_count() const;
  std::string actor_name(int actor) const;

  // The choices that `actor` has in `state`: bit 0 its step, bit 1 the other way out of it (`watch` gives up,
  // `make_segment` fails). 0: it has finished or must wait.
  unsigned choices(const State& state, int actor) const;

  // Takes a step. Afterwards violation() is not empty if it broke a promise.
  void take(State& state, int actor, unsigned choice);

  // For a state in which nobody has a choice: true if everybody has finished as promised.
  bool check_end(const State& state);

  std::string outcome(const State& state) const;
  const std::string& violation() const { return violation_; }

 private:
  bool is(Mutation mutation) const { return mutation_ == mutation; }
  bool is_commit(int actor) const { return actor < static_cast<int>(scenario_.commits.size()); }
  const Commit& commit(int actor) const { return scenario_.commits[actor]; }
  bool is_transaction(int actor) const;
  uint8_t next_key(int actor, uint8_t keys, uint8_t after) const;

  void take_registered(State& s, int actor);
  void take_check(State& s, int actor);
  void take_start(State& s, int actor);
  void take_reserve(State& s, int actor);
  void take_switch(State& s, int actor, unsigned choice);
  void take_insert(State& s, int actor);
  void take_publish(State& s, int actor);
  void take_wait(State& s, int actor, unsigned choice);
  void take_get(State& s, int actor);
  void take_lazy_get(State& s, int actor);
  void take_flush(State& s, int actor);

  void after_locks(State& s, int actor);
  void cross(State& s, int actor, uint8_t tail);
  void after_reserve(State& s, int actor);
  void return_commit(State& s, int actor);
  void build_run(State& s) const;
  void make_segment(State& s, uint8_t size);
  void finish(State& s, int actor, Outcome outcome);
  void end_commit(State& s, int actor, Outcome outcome);
  void move_published(State& s, uint8_t to);
  void check_answer(const State& s, int actor, uint8_t key, uint8_t answer, uint8_t at);
  void violate(std::string text);

  const Scenario& scenario_;
  const Mutation mutation_;
  std::string violation_;
};

}  // namespace lightning::protocol
