#include "tests/protocol/protocol_machine.h"

#include <algorithm>
#include <utility>

namespace lightning::protocol {
namespace {

constexpr char kKeyNames[] = "ab";

uint8_t newest_in_memtable(const State& s, uint8_t segment, uint8_t key, uint8_t bound) {
  uint8_t version = s.segments[segment].heads[key];
  while (version != kNone && version >= bound) version = s.slots[version].prev;
  return version;
}

uint8_t newest_in_run(const State& s, uint8_t key, uint8_t bound) {
  for (int lsn = kSlots - 1; lsn >= 0; --lsn) {
    const bool kept = (s.run_kept >> lsn) & 1;
    // An entry without LSN answers every reader, whatever its LSN was.
    if (kept && s.slots[lsn].key == key && (lsn < bound || has(s.run_single, key))) {
      return static_cast<uint8_t>(lsn);
    }
  }
  return kNone;
}

}  // namespace

// ---- what several steps use

uint8_t newest_in_log(const State& s, uint8_t key, uint8_t bound) {
  for (int lsn = std::min<int>(bound, kSlots) - 1; lsn >= 0; --lsn) {
    if (s.slots[lsn].content == Content::version && s.slots[lsn].key == key) return static_cast<uint8_t>(lsn);
  }
  return kNone;
}

uint8_t lookup(const State& s, const View& view, uint8_t key, uint8_t bound) {
  for (int segment = view.active; segment >= view.oldest; --segment) {
    const uint8_t version = newest_in_memtable(s, static_cast<uint8_t>(segment), key, bound);
    if (version != kNone) return version;
  }
  return view.oldest > 0 ? newest_in_run(s, key, bound) : kNone;
}

std::string version_name(uint8_t version) {
  return version == kNone ? std::string("nothing") : "version " + std::to_string(version);
}

bool marked_at(const State& s, uint8_t lsn) {
  return lsn < kSlots && s.slots[lsn].length > 0 && s.slots[lsn].marked;
}

bool owns_turn(const State& s, const Actor& a) {
  return a.lsn != kNone && a.target > a.lsn && s.published == a.lsn;
}

void begin_wait(Actor& a, uint8_t target, Step resume) {
  a.target = target;
  a.resume = resume;
  a.step = Step::watch;
}
const char* step_name(Step step) {
  static constexpr const char* kNames[] = {
#define LIGHTNING_PROTOCOL_STEP(name) #name,
      LIGHTNING_PROTOCOL_STEPS(LIGHTNING_PROTOCOL_STEP)
#undef LIGHTNING_PROTOCOL_STEP
  };
  return kNames[static_cast<int>(step)];
}

// ---- the actors, and what they may do

int Machine::actor_count() const {
  return static_cast<int>(scenario_.commits.size() + scenario_.readers.size()) + (scenario_.flush ? 1 : 0);
}

bool Machine::is_transaction(int actor) const {
  return commit(actor).kind == CommitKind::snapshot || commit(actor).kind == CommitKind::serializable;
}

std::string Machine::actor_name(int actor) const {
  static constexpr const char* kKinds[] = {"put", "put_if_absent", "snapshot commit", "serializable commit"};
  static constexpr const char* kReaders[] = {"get", "lazy get", "snapshot reader"};
  std::string name = std::to_string(actor) + " ";
  if (is_commit(actor)) {
    name += kKinds[static_cast<int>(commit(actor).kind)];
    for (uint8_t key = 0; key < kKeys; ++key) {
      if (has(commit(actor).writes, key)) name += std::string(" ") + kKeyNames[key];
    }
    return name;
  }
  const size_t reader = actor - scenario_.commits.size();
  if (reader >= scenario_.readers.size()) return name + "flush";
  return name + kReaders[static_cast<int>(scenario_.readers[reader])];
}

State Machine::initial() {
  State s{};
  for (Segment& segment : s.segments) segment.heads.fill(kNone);
  for (Slot& slot : s.slots) slot.prev = kNone;
  s.open = 0;
  s.failures_left = scenario_.install_failures;
  make_segment(s, scenario_.slots_per_segment);
  if (scenario_.preloaded) {
    s.slots[0] = {Content::version, 0, 1, kNone, 1};
    s.segments[0].heads[0] = 0;
    s.segments[0].tail = s.published = s.returned = 1;
  }
  for (int i = 0; i < actor_count(); ++i) {
    Actor& a = s.actors[i];
    finish(s, i, Outcome::pending);
    const size_t reader = i - scenario_.commits.size();
    if (is_commit(i)) {
      const bool begun = is_transaction(i) && scenario_.transactions_begun;
      if (begun) a.snapshot = a.registered = a.checked = 0;
      a.step = is_transaction(i) && !begun ? Step::registry_lock : Step::take_segment;
    } else if (reader < scenario_.readers.size()) {
      static constexpr Step kFirst[] = {Step::get_view, Step::lazy_view, Step::registry_lock};
      a.step = kFirst[static_cast<int>(scenario_.readers[reader])];
      if (is(Mutation::get_published_first) && a.step == Step::get_view) a.step = Step::get_published;
      if (a.step == Step::lazy_view) a.seen = 0;
    } else {
      a.step = is(Mutation::flush_lists_early) ? Step::flush_list : Step::flush_begin;
    }
    if (a.step == Step::registry_lock && is(Mutation::snapshot_lsn_outside_lock))
      a.step = Step::registry_read;
  }
  return s;
}

unsigned Machine::choices(const State& s, int actor) const {
  const Actor& a = s.actors[actor];
  switch (a.step) {
    case Step::done:
    case Step::sleeping:
      return 0;
    case Step::registry_lock:
    case Step::registry_remove:
    case Step::flush_list:
      return !s.registry_locked;
    case Step::take_segment:
      return s.open != kNone || !s.making;
    case Step::await_segment:
      return s.open != a.segment;
    case Step::lock_bucket:
      return !s.segments[a.segment].locks[a.key];
    case Step::make_segment:
      return s.failures_left > 0 ? 3 : 1;
    case Step::flush_begin:
      return s.view.active > 0;
    case Step::watch:
      if (s.published >= a.target || owns_turn(s, a)) return 1;
      return is(Mutation::waiters_only_watch) && a.target <= a.lsn ? 0 : 2;
    default:
      return 1;
  }
}

void Machine::take(State& s, int actor, unsigned choice) {
  const Step step = s.actors[actor].step;
  if (step <= Step::probe) {
    take_registered(s, actor);
  } else if (step <= Step::check_keys) {
    take_check(s, actor);
  } else if (step <= Step::check_heads) {
    take_start(s, actor);
  } else if (step == Step::reserve) {
    take_reserve(s, actor);
  } else if (step <= Step::await_segment) {
    take_switch(s, actor, choice);
  } else if (step <= Step::unlock) {
    take_insert(s, actor);
  } else if (step <= Step::exists_return) {
    take_publish(s, actor);
  } else if (step <= Step::unpark) {
    take_wait(s, actor, choice);
  } else if (step <= Step::get_probe) {
    take_get(s, actor);
  } else if (step <= Step::lazy_published) {
    take_lazy_get(s, actor);
  } else {
    take_flush(s, actor);
  }
}

// ---- ends and checks

void Machine::finish(State& s, int actor, Outcome outcome) {
  Actor& a = s.actors[actor];
  a = Actor{};
  a.key = a.segment = a.lsn = a.snapshot = a.registered = a.checked = a.target = a.seen = a.observed = kNone;
  a.reads.fill(kNone);
  a.outcome = outcome;
}

void Machine::end_commit(State& s, int actor, Outcome outcome) {
  s.actors[actor].outcome = outcome;
  s.actors[actor].step = Step::registry_remove;
  if (!is_transaction(actor)) finish(s, actor, outcome);
}

void Machine::check_answer(const State& s, int actor, uint8_t key, uint8_t answer, uint8_t at) {
  const uint8_t right = newest_in_log(s, key, at);
  if (answer == right) return;
  violate(actor_name(actor) + " at " + std::to_string(at) + " reads " + version_name(answer) + " of key " +
          kKeyNames[key] + " instead of " + version_name(right));
}

bool Machine::check_end(const State& s) {
  for (int i = 0; i < actor_count(); ++i) {
    const Step step = s.actors[i].step;
    if (step == Step::done || step == Step::flush_begin) continue;
    violate("deadlock: " + actor_name(i) + " is left in " + step_name(step));
  }
  uint8_t lsn = 0;
  while (marked_at(s, lsn)) lsn += s.slots[lsn].length;
  const Segment& last = s.segments[s.segment_count - 1];
  if (lsn != (last.tail > last.end ? limit_of(last) : last.tail))
    violate("I1: a reserved range is not filled");
  return violation_.empty();
}

std::string Machine::outcome(const State& s) const {
  static constexpr const char* kOutcomes[] = {"pending", "ok", "conflict", "exists", "no_space"};
  std::string text;
  for (size_t i = 0; i < scenario_.commits.size(); ++i) {
    text += (i == 0 ? "" : " ") + std::string(kOutcomes[static_cast<int>(s.actors[i].outcome)]);
  }
  return text;
}

void Machine::violate(std::string text) {
  if (violation_.empty()) violation_ = std::move(text);
}

}  // namespace lightning::protocol
