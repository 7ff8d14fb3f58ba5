// Readers: which there are, what they hold, and how the background makes them let go of it.

#include <algorithm>
#include <array>
#include <new>

#include "engine/engine.h"

namespace lightning {

namespace {

constexpr uint64_t kNanosPerMilli = 1'000'000;
// A cursor stands still when it made no step for as long.
constexpr uint64_t kStandNs = 1'000'000'000;
constexpr uint64_t kAgeWatchNsMin = 1'000'000;
constexpr uint64_t kAgeWatchNsMax = 3'600'000'000'000;

uint64_t nanos_of(uint64_t ms) { return ms > UINT64_MAX / kNanosPerMilli ? UINT64_MAX : ms * kNanosPerMilli; }

/// What a View keeps alive: the owners of its bytes.
std::vector<const void*> owners_of(const View& view) {
  std::vector<const void*> owners;
  if (view.active != nullptr) owners.push_back(view.active->segment.get());
  for (const auto& source : view.sealed) owners.push_back(source->segment.get());
  for (const auto& run : view.runs) {
    for (const auto& file : run->files()) owners.push_back(file.get());
  }
  std::sort(owners.begin(), owners.end());
  return owners;
}

bool among(const std::vector<const void*>& owners, const void* owner) {
  return std::binary_search(owners.begin(), owners.end(), owner);
}

/// Of what `held` names and `now` does not.
uint64_t bytes_held(const View& held, const std::vector<const void*>& now) {
  uint64_t bytes = 0;
  const auto add = [&](const MemSource& source) {
    if (!among(now, source.segment.get())) bytes += source.memory_bytes();
  };
  if (held.active != nullptr) add(*held.active);
  for (const auto& source : held.sealed) add(*source);
  for (const auto& run : held.runs) {
    for (const auto& file : run->files()) {
      if (!among(now, file.get())) bytes += file->info().size;
    }
  }
  return bytes;
}

}  // namespace

Result<std::vector<Reader>> Engine::readers() const {
  if (Status status = usable(); !status.ok()) return status;
  std::vector<Snapshots::Seen> all = snapshots_.all();
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.since_ns != b.since_ns ? a.since_ns < b.since_ns : a.lsn < b.lsn;
  });
  const std::vector<const void*> owners = owners_of(*view());
  const uint64_t published = log_.published();
  const uint64_t now_ns = env_.clock().monotonic_ns();
  std::vector<Reader> readers;
  readers.reserve(all.size());
  for (const Snapshots::Seen& seen : all) {
    Reader& reader = readers.emplace_back();
    reader.kind = seen.kind;
    reader.lsn = seen.lsn;
    reader.age_ms = (std::max(now_ns, seen.since_ns) - seen.since_ns) / kNanosPerMilli;
    reader.too_old = seen.too_old;
    if (!seen.too_old) reader.behind_bytes = published - std::min(published, seen.lsn);
    if (seen.view != nullptr) reader.held_bytes = bytes_held(*seen.view, owners);
    if (seen.pinned != nullptr && !among(owners, seen.pinned.get())) reader.held_bytes = seen.pinned_bytes;
  }
  return readers;
}

Status Engine::too_old() {
  return Status(StatusCode::snapshot_too_old, "it was given up for its age (max_snapshot_age_ms)");
}

uint64_t Engine::add_moment(RegisteredReader* reader) {
  return snapshots_.add_moment(reader, [this] { return expiry_clock_.now(); });
}

void Engine::attach(RegisteredReader* reader, IdleCursor* cursor, const std::shared_ptr<const View>& view,
                    uint64_t bytes) {
  snapshots_.attach(reader, cursor, view, bytes);
  if (view->sequence != view_sequence()) [[unlikely]]
    watch_views();  // whoever replaced it may not have seen this cursor
}

void Engine::watch_views() {
  if (view_watch_.exchange(true, std::memory_order_acq_rel)) return;
  if (!background_.run_after(Lane::quick, kStandNs, [this] { look_at_views(); }))
    view_watch_.store(false, std::memory_order_release);
}

void Engine::look_at_views() {
  view_watch_.store(false, std::memory_order_release);
  bool more = false;
  try {
    (void)snapshots_.take_from_idle(view_sequence(), &more);  // what they leave is freed here
  } catch (const std::bad_alloc&) {
    more = true;
  }
  memory_freed_.notify_all();
  if (more) watch_views();
}

void Engine::watch_ages(uint64_t delay_ns) {
  if (age_watch_.exchange(true, std::memory_order_acq_rel)) return;
  if (!background_.run_after(Lane::quick, std::clamp(delay_ns, kAgeWatchNsMin, kAgeWatchNsMax),
                             [this] { look_at_ages(); }))
    age_watch_.store(false, std::memory_order_release);
}

void Engine::look_at_ages() {
  age_watch_.store(false, std::memory_order_release);
  const uint64_t age_ns = reader_age_ns();
  const uint64_t now = env_.clock().monotonic_ns();
  if (now < age_ns) return watch_ages(age_ns - now);
  const uint64_t oldest = snapshots_.give_up(now - age_ns);
  look_at_views();
  if (oldest != UINT64_MAX) watch_ages(oldest - (now - age_ns));
}

uint64_t Engine::reader_age_ns() const { return nanos_of(options_.max_snapshot_age_ms); }

void Engine::watch_transactions(uint64_t delay_ns) {
  if (transaction_watch_.exchange(true, std::memory_order_acq_rel)) return;
  if (!background_.run_after(Lane::quick, std::clamp(delay_ns, kAgeWatchNsMin, kAgeWatchNsMax),
                             [this] { look_at_transactions(); }))
    transaction_watch_.store(false, std::memory_order_release);
}

// What they wrote is freed by their own threads.
void Engine::look_at_transactions() {
  transaction_watch_.store(false, std::memory_order_release);
  const uint64_t idle_ns = transaction_idle_ns();
  const uint64_t now = env_.clock().monotonic_ns();
  if (now < idle_ns) return watch_transactions(idle_ns - now);
  std::array<uint64_t, 64> expired;
  uint64_t oldest = UINT64_MAX;
  for (size_t count = expired.size(); count == expired.size();) {
    count = transactions_.expire(now, idle_ns, expired, &oldest,
                                 [this](RegisteredReader* reader) { snapshots_.give_up_one(reader); });
    for (size_t i = 0; i < count; ++i) locks_.release_all(expired[i]);
  }
  if (oldest != UINT64_MAX) watch_transactions(oldest - (now - idle_ns));
}

uint64_t Engine::transaction_idle_ns() const { return nanos_of(options_.max_transaction_idle_ms); }

}  // namespace lightning
