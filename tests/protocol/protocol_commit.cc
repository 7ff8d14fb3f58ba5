// The steps of a commit (1 to 7) and of the wait until `published` has reached a target.
#include "tests/protocol/protocol_machine.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace lightning::protocol {
namespace {

uint8_t size_of(const Commit& commit) { return static_cast<uint8_t>(std::popcount(commit.writes)); }

void unlock_and(Actor& a, Step resume) {
  a.resume = resume;
  a.step = Step::unlock;
}

void end_wait(Actor& a) {
  a.step = std::exchange(a.resume, Step::done);
  a.target = a.seen = kNone;
  a.waiting = a.moved = 0;
}

// A publisher goes on; one who waits leaves if the target is reached, else sleeps.
void after_walk(Actor& a) {
  if (!a.waiting) return end_wait(a);
  a.step = a.seen >= a.target ? Step::unpark : Step::sleep;
}

}  // namespace

// ---- steps 1 and 2

uint8_t Machine::next_key(int actor, uint8_t keys, uint8_t after) const {
  const bool descending = is(Mutation::unordered_locks) && actor % 2 == 1;
  for (int i = 0; i < kKeys; ++i) {
    const int key = descending ? kKeys - 1 - i : i;
    const bool passed = after != kNone && (descending ? key >= after : key <= after);
    if (has(keys, static_cast<uint8_t>(key)) && !passed) return static_cast<uint8_t>(key);
  }
  return kNone;
}

void Machine::take_start(State& s, int actor) {
  Actor& a = s.actors[actor];
  const Commit& c = commit(actor);
  const Step locked_first = is(Mutation::lock_after_reserve) ? Step::reserve : Step::lock_bucket;
  switch (a.step) {
    case Step::take_segment:
      if (s.open == kNone) {
        s.making = 1;
        a.step = Step::make_segment;
        return;
      }
      a.segment = s.open;
      a.key = next_key(actor, c.writes, kNone);
      a.step = c.kind == CommitKind::put ? locked_first : Step::take_view;
      return;
    case Step::take_view:
      a.view = s.view;
      a.step = locked_first;
      return;
    case Step::lock_bucket:
      s.segments[a.segment].locks[a.key] = 1;
      a.key = next_key(actor, c.writes, a.key);
      if (a.key == kNone) after_locks(s, actor);
      return;
    default:
      break;
  }
  a.step = Step::reserve;
  if (c.kind == CommitKind::compare) {
    for (uint8_t key = 0; key < kKeys; ++key) {
      if (has(c.writes, key)) a.observed = lookup(s, a.view, key, kNone);
    }
    if (a.observed != kNone) unlock_and(a, Step::exists_wait);
    return;
  }
  if (!is(Mutation::ignore_flushed_memtables) && a.checked < s.segments[a.view.oldest].base) {
    unlock_and(a, Step::check_view);
    return;
  }
  if (c.kind != CommitKind::snapshot || is(Mutation::no_head_check)) return;
  for (uint8_t key = 0; key < kKeys; ++key) {
    if (!has(c.writes, key)) continue;
    for (int segment = a.view.active; segment >= a.view.oldest; --segment) {
      const uint8_t head = s.segments[segment].heads[key];
      if (head != kNone && head >= a.checked) {
        a.outcome = Outcome::conflict;
        unlock_and(a, Step::registry_remove);
        return;
      }
    }
  }
}

void Machine::after_locks(State& s, int actor) {
  Actor& a = s.actors[actor];
  if (is(Mutation::lock_after_reserve)) {
    after_reserve(s, actor);
  } else if (commit(actor).kind == CommitKind::put) {
    a.step = Step::reserve;
  } else if (is(Mutation::no_base_wait) || (is(Mutation::serializable_without_base_wait) &&
                                            commit(actor).kind == CommitKind::serializable)) {
    a.step = Step::check_heads;
  } else {
    begin_wait(a, s.segments[a.segment].base, Step::check_heads);
  }
}

// ---- step 3

void Machine::take_reserve(State& s, int actor) {
  Actor& a = s.actors[actor];
  Segment& segment = s.segments[a.segment];
  const uint8_t size = size_of(commit(actor));
  const uint8_t lsn = segment.tail;
  segment.tail += size;
  if (lsn > segment.end) {
    unlock_and(a, Step::await_segment);
  } else if (lsn + size > segment.end) {
    a.lsn = lsn;
    a.step = is(Mutation::no_end_record) ? Step::unlock : Step::end_record;
    a.resume = Step::make_segment;
  } else {
    a.lsn = lsn;
    s.slots[lsn].length = size;
    a.step = Step::lock_bucket;
    a.key = next_key(actor, commit(actor).writes, kNone);
    if (!is(Mutation::lock_after_reserve)) after_reserve(s, actor);
  }
}

void Machine::after_reserve(State& s, int actor) {
  Actor& a = s.actors[actor];
  if (commit(actor).kind != CommitKind::serializable) {
    a.step = Step::fill;
  } else if (is(Mutation::no_turn_wait)) {
    a.step = Step::check_log;
  } else {
    begin_wait(a, a.lsn, Step::check_log);
  }
}

void Machine::make_segment(State& s, uint8_t size) {
  const uint8_t base = s.segment_count == 0 ? 0 : limit_of(s.segments[s.segment_count - 1]);
  const uint8_t end = base + std::max(size, scenario_.slots_per_segment);
  if (s.segment_count == kSegments || end >= kSlots) {
    return violate("the scenario is too large for the model");
  }
  Segment& segment = s.segments[s.segment_count++];
  segment.base = segment.tail = base;
  segment.end = end;
}

void Machine::take_switch(State& s, int actor, unsigned choice) {
  Actor& a = s.actors[actor];
  const uint8_t size = size_of(commit(actor));
  const uint8_t last = s.segment_count - 1;
  switch (a.step) {
    case Step::end_record:
      s.slots[a.lsn] = {Content::end, 0, static_cast<uint8_t>(limit_of(s.segments[a.segment]) - a.lsn), kNone,
                        1};
      unlock_and(a, Step::publish_end);
      return;
    case Step::publish_end:
      a.step = Step::make_segment;
      if (s.published == a.lsn && !is(Mutation::end_record_left_to_walkers)) {
        move_published(s, limit_of(s.segments[a.segment]));
        a.resume = Step::make_segment;
        a.step = Step::load_parked;
      }
      return;
    case Step::make_segment:
      a.lsn = kNone;
      if (choice == 1) {
        --s.failures_left;
        s.open = kNone;
        s.making = 0;
        end_commit(s, actor, Outcome::no_space);
        return;
      }
      make_segment(s, size);
      a.step = is(Mutation::open_before_view) ? Step::open_segment : Step::install_view;
      return;
    case Step::install_view:
      s.view.active = last;
      a.step = is(Mutation::open_before_view) ? Step::take_segment : Step::open_segment;
      return;
    case Step::open_segment:
      s.open = a.segment = last;
      s.making = 0;
      a.step = is(Mutation::open_before_view) ? Step::install_view : Step::take_segment;
      if (size <= scenario_.slots_per_segment) return;
      a.lsn = s.segments[last].base;
      s.segments[last].tail += size;
      s.slots[a.lsn].length = size;
      for (uint8_t key = 0; key < kKeys; ++key) s.segments[last].locks[key] = has(commit(actor).writes, key);
      a.step = Step::fill;
      return;
    default:
      a.step = Step::take_segment;
      return;
  }
}

// ---- the second part of a serializable commit's validation, and steps 4 and 5

void Machine::take_insert(State& s, int actor) {
  Actor& a = s.actors[actor];
  const Commit& c = commit(actor);
  Step inserted = is(Mutation::mark_before_insert) ? Step::own_turn : Step::mark;
  if (is(Mutation::parked_loaded_before_mark)) inserted = Step::peek_parked;
  if (is(Mutation::turn_looked_at_before_mark)) inserted = Step::peek_turn;
  switch (a.step) {
    case Step::check_log:
      a.step = Step::fill;
      for (uint8_t lsn = a.checked; lsn < a.lsn; ++lsn) {
        const Slot& slot = s.slots[lsn];
        const bool concerns = has(c.reads | c.writes, slot.key);
        if (concerns && slot.content == Content::version) a.outcome = Outcome::conflict;
      }
      if (a.outcome == Outcome::conflict && is(Mutation::no_void_record)) {
        unlock_and(a, Step::registry_remove);
      }
      return;
    case Step::fill: {
      const bool is_void = a.outcome == Outcome::conflict;
      uint8_t lsn = a.lsn;
      for (uint8_t key = 0; key < kKeys; ++key) {
        if (!has(c.writes, key)) continue;
        Slot& slot = s.slots[lsn++];
        slot.content = is_void ? Content::voided : Content::version;
        slot.key = key;
        slot.prev = is_void ? kNone : s.segments[a.segment].heads[key];
      }
      a.key = next_key(actor, c.writes, kNone);
      a.step = is(Mutation::mark_before_insert) ? Step::mark : Step::insert;
      if (is_void) unlock_and(a, Step::mark);
      return;
    }
    case Step::insert: {
      uint8_t& head = s.segments[a.segment].heads[a.key];
      const auto keys_before = static_cast<uint8_t>(c.writes & ((1 << a.key) - 1));
      const auto lsn = static_cast<uint8_t>(a.lsn + std::popcount(keys_before));
      if (head != kNone && head > lsn) violate("I3: a key's chain is not ordered by LSN");
      head = lsn;
      a.key = next_key(actor, c.writes, a.key);
      if (a.key == kNone) unlock_and(a, inserted);
      return;
    }
    default:
      break;
  }
  for (uint8_t key = 0; key < kKeys; ++key) {
    if (has(c.writes, key)) s.segments[a.segment].locks[key] = 0;
  }
  a.step = std::exchange(a.resume, Step::done);
}

// ---- steps 6 and 7

void Machine::move_published(State& s, uint8_t to) {
  if (to < s.published) violate("I2: published moves back");
  s.published = to;
  for (int lsn = 0; lsn < to; ++lsn) {
    if (lsn + s.slots[lsn].length > to) violate("I2: published stands inside a record");
  }
  for (int i = 0; i < s.segment_count; ++i) {
    const Segment& segment = s.segments[i];
    if (to > segment.tail && to <= segment.end) violate("I4: published passes the tail");
  }
}

void Machine::take_publish(State& s, int actor) {
  Actor& a = s.actors[actor];
  const uint8_t size = size_of(commit(actor));
  const bool store = is(Mutation::publish_by_store);
  const bool peeks = is(Mutation::parked_loaded_before_swap) || is(Mutation::parked_loaded_before_mark);
  switch (a.step) {
    case Step::peek_parked:
      a.peeked = s.parked > 0;
      a.step = Step::mark;
      return;
    case Step::peek_turn:
      a.peeked = s.published != a.lsn;
      a.step = Step::mark;
      return;
    case Step::mark:
      s.slots[a.lsn].marked = 1;
      if (is(Mutation::turn_looked_at_before_mark) && std::exchange(a.peeked, uint8_t{0})) {
        return begin_wait(a, a.lsn + size, Step::put_return);
      }
      if (is(Mutation::parked_loaded_before_swap)) a.peeked = s.parked > 0;
      a.step = a.key != kNone && is(Mutation::mark_before_insert) ? Step::insert : Step::own_turn;
      return;
    case Step::own_turn:
      if (s.published != a.lsn) {
        begin_wait(a, a.lsn + size, Step::put_return);
        if (is(Mutation::return_after_mark)) a.step = Step::put_return;
        return;
      }
      a.resume = Step::put_return;
      a.step = store ? Step::store_published : Step::load_parked;
      if (!store) move_published(s, is(Mutation::publish_by_entry) ? a.lsn + 1 : a.lsn + size);
      return;
    case Step::store_published:
      move_published(s, a.lsn + size);
      a.step = Step::load_parked;
      return;
    case Step::load_parked:
      if (peeks ? a.peeked : s.parked > 0) {
        a.moved = 1;
        a.step = Step::walk;
      } else {
        end_wait(a);
      }
      a.peeked = 0;
      return;
    case Step::put_return:
      return_commit(s, actor);
      return;
    case Step::exists_wait:
      a.step = Step::exists_return;
      if (!is(Mutation::exists_returns_early)) begin_wait(a, a.observed + 1, Step::exists_return);
      return;
    default:
      s.returned = std::max<uint8_t>(s.returned, a.observed + 1);
      finish(s, actor, Outcome::exists);
      return;
  }
}

void Machine::return_commit(State& s, int actor) {
  const Actor& a = s.actors[actor];
  const Commit& c = commit(actor);
  const uint8_t end = a.lsn + size_of(c);
  if (s.published < end) violate("a put returns before published has passed it");
  if (a.outcome == Outcome::conflict) return end_commit(s, actor, Outcome::conflict);
  for (uint8_t key = 0; key < kKeys; ++key) {
    const uint8_t before = newest_in_log(s, key, a.lsn);
    if (c.kind == CommitKind::compare && has(c.writes, key) && before != kNone) {
      violate("lost update: put_if_absent wrote over " + version_name(before));
    }
    if (c.kind == CommitKind::snapshot && has(c.writes, key) && before != kNone && before >= a.snapshot) {
      violate("lost update: " + version_name(before) + " lies between snapshot and commit");
    }
    if (c.kind == CommitKind::serializable && has(c.reads, key) && before != a.reads[key]) {
      violate("write skew: read " + version_name(a.reads[key]) + ", at the commit there is " +
              version_name(before));
    }
  }
  s.returned = std::max(s.returned, end);
  end_commit(s, actor, Outcome::ok);
}

// ---- the wait until `published` has reached the target

void Machine::take_wait(State& s, int actor, unsigned choice) {
  Actor& a = s.actors[actor];
  const bool late = is(Mutation::parked_after_check);
  switch (a.step) {
    case Step::watch:
      if (choice == 1) {
        a.waiting = 1;
        a.step = late ? Step::walk : Step::park;
      } else if (s.published >= a.target) {
        end_wait(a);
      } else {
        a.peeked = s.parked > 0 && is(Mutation::parked_loaded_before_swap);
        a.step = Step::own_turn;
      }
      return;
    case Step::park:
      ++s.parked;
      a.counted = 1;
      a.step = late ? Step::sleeping : Step::walk;
      return;
    case Step::walk:
      // One step, although two loads: a mark is never taken back, so that a mark found unset still stands at
      // `published`, and one found set is checked by the swap.
      a.seen = s.published;
      if (marked_at(s, a.seen)) {
        a.step = Step::advance;
      } else if (a.moved) {
        a.step = Step::wake;
      } else {
        after_walk(a);
      }
      return;
    case Step::advance:
      a.step = Step::walk;
      if (s.published != a.seen) return;
      a.moved = 1;
      move_published(s, a.seen + s.slots[a.seen].length);
      return;
    case Step::wake:
      a.moved = 0;
      after_walk(a);
      if (a.counted && is(Mutation::walker_does_not_wake)) return;
      for (Actor& other : s.actors) {
        if (other.step == Step::sleeping) other.step = Step::walk;
      }
      return;
    case Step::sleep:
      if (s.published == a.seen || is(Mutation::sleep_without_compare)) {
        a.step = late && !a.counted ? Step::park : Step::sleeping;
      } else {
        a.step = Step::walk;
      }
      return;
    default:
      s.parked -= a.counted;
      a.counted = 0;
      end_wait(a);
      return;
  }
}

}  // namespace lightning::protocol
