// The steps of readers, of a transaction before its commit, and of the flush.
#include "tests/protocol/protocol_machine.h"

#include <algorithm>
#include <utility>

namespace lightning::protocol {
namespace {

void load_view_into(Actor& a, const State& s, Step next) {
  a.view = s.view;
  a.key = 0;
  a.step = next;
}

}  // namespace

// ---- registered readers and the first part of validation

void Machine::take_registered(State& s, int actor) {
  Actor& a = s.actors[actor];
  const bool read_first = is(Mutation::snapshot_lsn_outside_lock);
  switch (a.step) {
    case Step::registry_lock:
      s.registry_locked = 1;
      a.step = read_first ? Step::registry_add : Step::registry_read;
      return;
    case Step::registry_read:
      a.must_see = s.returned;
      a.snapshot = s.published;
      if (a.snapshot < a.must_see) violate("a snapshot does not cover a put that had returned");
      a.step = read_first ? Step::registry_lock : Step::registry_add;
      return;
    case Step::registry_add:
      a.registered = a.snapshot;
      s.registry_locked = 0;
      a.step = Step::load_view;
      return;
    case Step::registry_remove:
      finish(s, actor, a.outcome);
      return;
    case Step::load_view:
      load_view_into(a, s, Step::probe);
      a.key = is_commit(actor) ? next_key(actor, commit(actor).reads, kNone) : 0;
      return;
    default:
      break;
  }
  const uint8_t version = lookup(s, a.view, a.key, a.snapshot);
  check_answer(s, actor, a.key, version, a.snapshot);
  if (is_commit(actor)) {
    a.reads[a.key] = version;
    a.key = next_key(actor, commit(actor).reads, a.key);
    if (a.key == kNone) a.step = Step::check_view;
  } else if (++a.key == kKeys) {
    a.step = ++a.round == 2 ? Step::registry_remove : Step::load_view;
  }
}

void Machine::take_check(State& s, int actor) {
  Actor& a = s.actors[actor];
  if (a.step == Step::check_view) {
    load_view_into(a, s, Step::check_published);
  } else if (a.step == Step::check_published) {
    a.checked = s.published;
    a.step = a.checked > limit_of(s.segments[a.view.active]) ? Step::check_view : Step::check_keys;
  } else {
    a.step = Step::take_segment;
    const Commit& c = commit(actor);
    const uint8_t keys = c.kind == CommitKind::serializable ? c.reads | c.writes : c.writes;
    for (uint8_t key = 0; key < kKeys; ++key) {
      const uint8_t version = has(keys, key) ? lookup(s, a.view, key, a.checked) : kNone;
      if (version != kNone && version >= a.snapshot) end_commit(s, actor, Outcome::conflict);
    }
  }
}

// ---- readers that do not register

void Machine::take_get(State& s, int actor) {
  Actor& a = s.actors[actor];
  const bool published_first = is(Mutation::get_published_first);
  switch (a.step) {
    case Step::get_view:
      if (!published_first) a.must_see = s.returned;
      load_view_into(a, s, published_first ? Step::get_probe : Step::get_published);
      return;
    case Step::get_published:
      if (published_first) a.must_see = s.returned;
      a.seen = s.published;
      if (a.seen < a.must_see) violate("a get does not cover a put that had returned");
      a.step = Step::get_probe;
      if (published_first ||
          (a.seen > limit_of(s.segments[a.view.active]) && !is(Mutation::get_does_not_repeat))) {
        a.step = Step::get_view;
      }
      return;
    default:
      check_answer(s, actor, a.key, lookup(s, a.view, a.key, a.seen), a.seen);
      if (++a.key == kKeys) finish(s, actor, Outcome::ok);
      return;
  }
}

void Machine::take_lazy_get(State& s, int actor) {
  constexpr uint8_t key = 0;
  Actor& a = s.actors[actor];
  if (a.step == Step::lazy_view) {
    a.must_see = std::max(a.must_see, s.returned);
    load_view_into(a, s, Step::lazy_probe);
    return;
  }
  uint8_t answer = a.observed;
  if (a.step == Step::lazy_probe) {
    answer = lookup(s, a.view, key, kNone);
    if (answer != kNone && answer >= a.seen && !is(Mutation::lazy_get_trusts_head)) {
      a.observed = answer;
      a.step = Step::lazy_published;
      return;
    }
  } else {
    a.seen = s.published;
    if (answer >= a.seen) answer = lookup(s, a.view, key, a.seen);
  }
  const uint8_t due = newest_in_log(s, key, a.must_see);
  if (answer != kNone && answer >= s.published) {
    violate("a get answers " + version_name(answer) + ", unpublished");
  }
  if (due != kNone && (answer == kNone || answer < due)) {
    violate("a get answers " + version_name(answer) + ", after " + version_name(due) +
            " had been acknowledged");
  }
  if (++a.round == 2) return finish(s, actor, Outcome::ok);
  a.must_see = answer == kNone ? a.must_see : std::max<uint8_t>(a.must_see, answer + 1);  // never back
  a.observed = kNone;
  a.step = Step::lazy_view;
}

// ---- flush of memtable 0

void Machine::take_flush(State& s, int actor) {
  Actor& a = s.actors[actor];
  const bool early = is(Mutation::flush_lists_early);
  switch (a.step) {
    case Step::flush_begin:
      begin_wait(a, limit_of(s.segments[0]), early ? Step::flush_build : Step::flush_list);
      if (is(Mutation::flush_before_published)) a.step = Step::flush_list;
      return;
    case Step::flush_list:
      for (const Actor& other : s.actors) {
        if (other.registered != kNone) s.listed |= static_cast<uint16_t>(1 << other.registered);
      }
      a.step = early ? Step::flush_begin : Step::flush_build;
      return;
    case Step::flush_build:
      build_run(s);
      a.view = s.view;
      a.step = Step::flush_install;
      return;
    default:
      s.view.oldest = 1;
      if (is(Mutation::stale_view_install)) s.view.active = a.view.active;
      finish(s, actor, Outcome::ok);
      return;
  }
}

// Keeps each key's newest version, and an older one v below w if a listed snapshot S has v < S <= w (I6).
void Machine::build_run(State& s) const {
  const auto listed_in = [&s](int after, int upto) {
    for (int snapshot = after + 1; snapshot <= upto; ++snapshot) {
      if ((s.listed >> snapshot) & 1) return true;
    }
    return false;
  };
  for (uint8_t key = 0; key < kKeys; ++key) {
    const uint8_t newest = s.segments[0].heads[key];
    if (newest == kNone) continue;
    int kept = 0;
    uint8_t above = kNone;
    for (uint8_t version = newest; version != kNone; above = version, version = s.slots[version].prev) {
      if (above != kNone && !listed_in(version, above)) continue;
      s.run_kept |= static_cast<uint16_t>(1 << version);
      ++kept;
    }
    const bool all_see_it = is(Mutation::omit_lsn_of_single_version) || !listed_in(-1, newest);
    if (kept == 1 && all_see_it) s.run_single |= static_cast<uint8_t>(1 << key);
  }
  s.listed = 0;
}

}  // namespace lightning::protocol
