// Readers: which there are, what they hold, and how the background makes them let go of it.

#include <algorithm>
#include <new>

#include "engine/engine.h"

namespace lightning {

namespace {

constexpr uint64_t kNanosPerMilli = 1'000'000;
constexpr uint64_t kWatchNsMax = 1'000'000'000;
constexpr uint64_t kWatchNsMin = 10'000'000;

bool has_file(const View& view, const RunFile* file) {
  return std::any_of(view.runs.begin(), view.runs.end(), [file](const auto& run) {
    return std::any_of(run->files().begin(), run->files().end(),
                       [file](const auto& other) { return other.get() == file; });
  });
}

bool has_segment(const View& view, const std::shared_ptr<Segment>& segment) {
  if (view.active != nullptr && view.active->segment == segment) return true;
  return std::any_of(view.sealed.begin(), view.sealed.end(),
                     [&](const auto& source) { return source->segment == segment; });
}

/// Of what `held` names and `now` does not.
uint64_t bytes_held(const View& held, const View& now) {
  uint64_t bytes = 0;
  const auto add = [&](const std::shared_ptr<const MemSource>& source) {
    if (source != nullptr && !has_segment(now, source->segment)) bytes += source->memory_bytes();
  };
  add(held.active);
  for (const auto& source : held.sealed) add(source);
  for (const auto& run : held.runs) {
    for (const auto& file : run->files()) {
      if (!has_file(now, file.get())) bytes += file->info().size;
    }
  }
  return bytes;
}

}  // namespace

Result<std::vector<Reader>> Engine::readers() const {
  if (Status status = usable(); !status.ok()) return status;
  struct Seen {
    Reader reader;
    uint64_t since_ns;
    std::shared_ptr<const View> view;
  };
  std::vector<Seen> all;
  snapshots_.for_each([&](const RegisteredReader& reader, const std::weak_ptr<const View>& view) {
    all.push_back({{.kind = reader.kind(), .lsn = reader.lsn()}, reader.since_ns(), view.lock()});
  });
  const std::shared_ptr<const View> now = view();
  const uint64_t published = log_.published();
  const uint64_t now_ns = env_.clock().monotonic_ns();
  std::stable_sort(all.begin(), all.end(),
                   [](const Seen& a, const Seen& b) { return a.since_ns < b.since_ns; });
  std::vector<Reader> readers;
  for (Seen& seen : all) {
    seen.reader.age_ms = (std::max(now_ns, seen.since_ns) - seen.since_ns) / kNanosPerMilli;
    seen.reader.behind_bytes = published - std::min(published, seen.reader.lsn);
    if (seen.view != nullptr) seen.reader.held_bytes = bytes_held(*seen.view, *now);
    readers.push_back(seen.reader);
  }
  return readers;
}

uint64_t Engine::reader_watch_ns() const {
  if (options_.max_snapshot_age_ms == 0) return kWatchNsMax;
  const uint64_t quarter_ms = std::min(options_.max_snapshot_age_ms / 4, kWatchNsMax / kNanosPerMilli);
  return std::max(quarter_ms * kNanosPerMilli, kWatchNsMin);
}

void Engine::watch_readers() {
  if (reader_watch_.exchange(true, std::memory_order_acq_rel)) return;
  if (!background_.run_after(Lane::quick, reader_watch_ns(), [this] { look_at_readers(); }))
    reader_watch_.store(false, std::memory_order_release);
}

void Engine::look_at_readers() {
  reader_watch_.store(false, std::memory_order_release);
  bool more = false;
  try {
    if (const uint64_t age_ms = options_.max_snapshot_age_ms; age_ms != 0) {
      const uint64_t now = env_.clock().monotonic_ns();
      if (age_ms < now / kNanosPerMilli) snapshots_.give_up(now - age_ms * kNanosPerMilli);
      more = snapshots_.count() != 0;
    }
    (void)snapshots_.take_from_idle(view_sequence(), &more);  // what they leave is freed here
  } catch (const std::bad_alloc&) {
    more = true;
  }
  memory_freed_.notify_all();
  if (more) watch_readers();
}

}  // namespace lightning
