#include "engine/lock_table.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/epoch.h"
#include "base/interleave.h"
#include "base/park.h"
#include "engine/commit_check.h"

namespace lightning {

bool LockTable::overlap(const Request& a, const Request& b) {
  if (!a.range && !b.range) return a.from == b.from;
  if (!a.range) return b.from <= a.from && a.from < b.to;
  if (!b.range) return a.from <= b.from && b.from < a.to;
  return a.from < b.to && b.from < a.to;
}

Status LockTable::refusal(StatusCode code, const Request& blocker) {
  try {
    std::string text =
        blocker.range ? "the range from " + printable_key(blocker.from) + " to " + printable_key(blocker.to)
                      : printable_key(blocker.from);
    text += blocker.granted ? " is locked by " : " is awaited by ";
    text += is_write(blocker.party->id) ? "a write" : "transaction " + std::to_string(blocker.party->id);
    if (code == StatusCode::deadlock) text += "; to wait for it would close a circle";
    return Status(code, text);
  } catch (const std::bad_alloc&) {
    return Status(code, "locked by another");
  }
}

Status LockTable::acquire(LockOwner owner, std::string_view from, std::string_view to, bool range,
                          KeyLock mode, uint64_t deadline) {
  LIGHTNING_INVARIANT("E1", !inside_epoch());
  Request wanted;
  wanted.mode = mode;
  wanted.range = range;
  wanted.from = from;
  wanted.to = to;
  MutexLock lock(mutex_);
  try {
    Party& party = party_of(owner);
    Status status;
    try {
      status = take(party, wanted, deadline);
    } catch (const std::bad_alloc&) {
      status = Status(StatusCode::out_of_memory, "a lock");
    }
    forget_if_empty(party);
    return status;
  } catch (const std::bad_alloc&) {
    return Status(StatusCode::out_of_memory, "the owner of a lock");
  }
}

Status LockTable::take(Party& party, const Request& asked, uint64_t deadline) {
  LIGHTNING_INVARIANT("K3", party.waiting == nullptr);
  Request wanted;
  wanted.party = &party;
  wanted.mode = asked.mode;
  wanted.range = asked.range;
  wanted.from = asked.from;
  wanted.to = asked.to;
  wanted.ticket = ++last_ticket_;
  if (covered(party, wanted)) return {};
  const Request* const first = blocker(wanted);
  if (first == nullptr) {
    Request& request = insert(wanted);
    grant(request);
    join_upgrade(request);
    return {};
  }
  if (closes_circle(wanted)) return refusal(StatusCode::deadlock, *first);
  if (deadline == 0) return refusal(StatusCode::busy, *first);
  return wait(insert(wanted), deadline);
}

Status LockTable::wait(Request& request, uint64_t deadline) {
  Party& party = *request.party;
  party.waiting = &request;
  if (request.range) ++waiting_ranges_;
  Status status;
  while (!request.granted) {
    if (closed_) {
      status = Status(StatusCode::closed, "the database was closed while a lock was waited for");
      break;
    }
    const uint64_t now = clock_.monotonic_ns();
    if (now >= deadline) {
      status = refusal(StatusCode::busy, *blocker(request));
      break;
    }
    request.word.store(0, std::memory_order_relaxed);
    mutex_.unlock();
    INTERLEAVE("lock.waits");
    park(request.word, 0, deadline - now);
    mutex_.lock();
  }
  party.waiting = nullptr;
  if (request.range) --waiting_ranges_;
  if (request.granted) {
    join_upgrade(request);
    return {};
  }
  remove(request);
  return status;
}

LockTable::Party& LockTable::party_of(LockOwner owner) {
  Party& party = parties_[owner];
  party.id = owner;
  return party;
}

void LockTable::forget_if_empty(Party& party) {
  if (party.first == nullptr) parties_.erase(party.id);
}

bool LockTable::covered(const Party& party, const Request& wanted) const {
  return any_overlapping(wanted, [&](const Request& other) {
    if (other.party != &party || !other.granted || other.mode < wanted.mode) return false;
    if (!other.range) return !wanted.range;
    return other.from <= wanted.from && (!wanted.range || wanted.to <= other.to);
  });
}

template <typename Fn>
bool LockTable::any_overlapping(const Request& wanted, Fn&& fn) const {
  auto at = wanted.range ? points_.lower_bound(wanted.from) : points_.find(wanted.from);
  for (; at != points_.end() && (!wanted.range || at->first < wanted.to); ++at) {
    for (const Request& other : at->second) {
      if (fn(other)) return true;
    }
    if (!wanted.range) break;
  }
  for (const Request& other : ranges_) {
    if (overlap(other, wanted) && fn(other)) return true;
  }
  return false;
}

bool LockTable::waits_for_party(const Request& waiter, const Party& party) const {
  const auto holds = [&](const Request& other) {
    return other.party == &party && other.granted && conflict(other, waiter);
  };
  if (!waiter.range) return any_overlapping(waiter, holds);
  for (const Request* at = party.first; at != nullptr; at = at->after) {
    if (holds(*at) && overlap(*at, waiter)) return true;
  }
  return false;
}

bool LockTable::blocks(const Request& other, const Request& wanted) const {
  if (!conflict(other, wanted)) return false;
  if (other.granted) return true;
  return other.ticket < wanted.ticket && !waits_for_party(other, *wanted.party);
}

const LockTable::Request* LockTable::blocker(const Request& wanted) const {
  const Request* found = nullptr;
  any_overlapping(wanted, [&](const Request& other) REQUIRES(mutex_) {
    if (!blocks(other, wanted)) return false;
    if (found == nullptr || other.granted) found = &other;
    return other.granted;
  });
  return found;
}

// Source: the waits-for graph as of J. Gray and A. Reuter, "Transaction Processing" (1992), walked from the
// one edge that is added, breadth first. Every owner waits for one request at a time.
bool LockTable::closes_circle(const Request& wanted) {
  const uint64_t walk = ++last_walk_;
  Party begin;  // those to come hang behind one another
  Party* last = &begin;
  bool closes = false;
  const auto follow = [&](const Request& waiting) REQUIRES(mutex_) {
    any_overlapping(waiting, [&](const Request& other) REQUIRES(mutex_) {
      if (!blocks(other, waiting)) return false;
      if (other.party == wanted.party) closes = true;
      Party& next = *other.party;
      if (!closes && next.walk != walk && next.waiting != nullptr) {
        next.walk = walk;
        next.next_in_walk = nullptr;
        last->next_in_walk = &next;
        last = &next;
      }
      return closes;
    });
  };
  follow(wanted);
  for (Party* at = begin.next_in_walk; at != nullptr && !closes; at = at->next_in_walk) follow(*at->waiting);
  return closes;
}

LockTable::Request& LockTable::insert(const Request& wanted) {
  Requests made(1);
  Request& request = made.front();
  request.party = wanted.party;
  request.mode = wanted.mode;
  request.range = wanted.range;
  request.ticket = wanted.ticket;
  request.place = made.begin();
  if (wanted.range) {
    request.kept_from = wanted.from;
    request.kept_to = wanted.to;
    request.from = request.kept_from;
    request.to = request.kept_to;
    ranges_.splice(ranges_.end(), made);
  } else {
    auto found = points_.find(wanted.from);
    if (found == points_.end()) found = points_.try_emplace(std::string(wanted.from)).first;
    request.from = found->first;
    found->second.splice(found->second.end(), made);
  }
  Party& party = *request.party;
  request.after = party.first;
  if (party.first != nullptr) party.first->before = &request;
  party.first = &request;
  return request;
}

void LockTable::grant(Request& request) {
  LIGHTNING_INVARIANT("K1", !granted_to_other(request.party->id, request));
  request.granted = true;
  ++request.party->held;
  count_.fetch_add(1, std::memory_order_seq_cst);
}

void LockTable::grant_waiters(Requests& requests) {
  for (Request& request : requests) {
    if (request.granted || blocker(request) != nullptr) continue;
    grant(request);
    request.word.store(1, std::memory_order_release);
    unpark_one(request.word);
  }
}

void LockTable::remove(Request& request) {
  Party& party = *request.party;
  (request.before == nullptr ? party.first : request.before->after) = request.after;
  if (request.after != nullptr) request.after->before = request.before;
  if (request.granted) {
    --party.held;
    count_.fetch_sub(1, std::memory_order_seq_cst);
  }
  Requests gone;
  if (request.range) {
    gone.splice(gone.end(), ranges_, request.place);
    for (auto at = points_.lower_bound(request.from); at != points_.end() && at->first < request.to; ++at)
      grant_waiters(at->second);
  } else {
    const auto found = points_.find(request.from);
    gone.splice(gone.end(), found->second, request.place);
    if (found->second.empty()) {
      points_.erase(found);
    } else {
      grant_waiters(found->second);
    }
  }
  if (waiting_ranges_ != 0) grant_waiters(ranges_);
}

void LockTable::join_upgrade(Request& request) {
  if (request.range) return;
  for (Request& other : points_.find(request.from)->second) {
    if (other.party == request.party && &other != &request) return remove(other);
  }
}

bool LockTable::granted_to_other(LockOwner owner, const Request& wanted) const {
  return any_overlapping(wanted, [&](const Request& other) {
    return other.granted && other.party->id != owner &&
           (other.mode == KeyLock::exclusive || wanted.mode == KeyLock::exclusive);
  });
}

void LockTable::release_all(LockOwner owner) {
  while (release_some(owner)) {
  }
}

bool LockTable::release_some(LockOwner owner) {
  constexpr int kAtATime = 64;
  MutexLock lock(mutex_);
  const auto found = parties_.find(owner);
  if (found == parties_.end()) return false;
  Party& party = found->second;
  LIGHTNING_INVARIANT("K4", party.waiting == nullptr);
  for (int i = 0; i < kAtATime && party.first != nullptr; ++i) remove(*party.first);
  if (party.first != nullptr) return true;
  parties_.erase(found);
  return false;
}

const Operation* LockTable::first_blocked(LockOwner owner, std::span<const Operation> operations) const {
  MutexLock lock(mutex_);
  for (const Operation& operation : operations) {
    Request wanted;
    wanted.from = operation.entry.key;
    wanted.range = operation.entry.kind == EntryKind::remove_range;
    if (wanted.range) wanted.to = operation.entry.value;
    if (granted_to_other(owner, wanted)) return &operation;
  }
  return nullptr;
}

bool LockTable::range_blocked(LockOwner owner, std::string_view from, std::string_view to) const {
  Request wanted;
  wanted.range = true;
  wanted.from = from;
  wanted.to = to;
  MutexLock lock(mutex_);
  return granted_to_other(owner, wanted);
}

uint64_t LockTable::held(LockOwner owner) const {
  MutexLock lock(mutex_);
  const auto found = parties_.find(owner);
  return found == parties_.end() ? 0 : found->second.held;
}

std::vector<std::string> LockTable::exclusive_keys(LockOwner owner) const {
  std::vector<std::string> keys;
  MutexLock lock(mutex_);
  const auto found = parties_.find(owner);
  if (found == parties_.end()) return keys;
  for (const Request* at = found->second.first; at != nullptr; at = at->after) {
    if (at->granted && !at->range && at->mode == KeyLock::exclusive) keys.emplace_back(at->from);
  }
  return keys;
}

LockOwner LockTable::waits_for(LockOwner owner) const {
  MutexLock lock(mutex_);
  const auto found = parties_.find(owner);
  if (found == parties_.end() || found->second.waiting == nullptr) return 0;
  const Request* const first = blocker(*found->second.waiting);
  return first == nullptr ? 0 : first->party->id;
}

void LockTable::close() {
  MutexLock lock(mutex_);
  closed_ = true;
  for (auto& [id, party] : parties_) {
    if (party.waiting == nullptr) continue;
    party.waiting->word.store(1, std::memory_order_release);
    unpark_one(party.waiting->word);
  }
}

}  // namespace lightning
