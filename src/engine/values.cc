// Large values: a flush leaves them in the segments of the log, which become value files; what of these no
// run refers to any more is given back as holes, and a file without a reference is removed by the merge that
// took the last one (docs/adr/0010-value-files.md).

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/interleave.h"
#include "engine/engine.h"
#include "engine/value_extents.h"

namespace lightning {

namespace {

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kReclaimDelayNs = 10'000'000;
constexpr uint64_t kReclaimRetryNs = 500'000'000;
// What a file may take beyond its values before somebody looks for holes: extent trees, and the header.
constexpr uint64_t kSlackBytes = 4 * kPageBytes;
// Without holes, a file is worth its space when five sixths of it are values.
constexpr uint64_t kWorthOfSix = 5;

enum class Reclaimed : uint8_t { done, later, shared, refused };

// Only whole pages: their neighbours keep what is theirs.
Status punch_around(File& file, const ValueExtents::OfFile& live) {
  uint64_t at = kSegmentHeaderBytes;
  const auto punch_to = [&](uint64_t to) {
    at = align_up(at, kPageBytes);
    return at < to ? file.punch(at, to - at) : Status();
  };
  for (const ValueExtents::Extent& extent : live.extents) {
    if (Status status = punch_to(extent.offset / kPageBytes * kPageBytes); !status.ok()) return status;
    at = extent.end;
  }
  return punch_to(align_up(live.file_bytes, kPageBytes));
}

// A failure leaves the garbage to the next open: it costs space alone.
Reclaimed reclaim_file(Directory& directory, uint64_t number, const ValueExtents::OfFile& live) {
  if (live.uses != live.runs) return Reclaimed::later;
  Result<std::unique_ptr<File>> file = directory.open(segment_file_name(number), OpenMode::read_write);
  if (!file) return Reclaimed::done;  // a merge may have removed it
  Result<uint64_t> taken = (*file)->disk_bytes();
  if (!taken || *taken <= kSegmentHeaderBytes + live.live_page_bytes + kSlackBytes) return Reclaimed::done;
  if (!(*file)->recyclable()) return Reclaimed::shared;
  INTERLEAVE("values.before_punch");
  const Status status = punch_around(**file, live);
  return status.is(StatusCode::not_supported) ? Reclaimed::refused : Reclaimed::done;
}

bool wasteful(uint64_t live_bytes, uint64_t file_bytes) { return live_bytes * 6 < file_bytes * kWorthOfSix; }

}  // namespace

bool Engine::becomes_value_file(const Segment& segment, uint64_t large_bytes) const {
  if (large_bytes == 0) return false;
  return punches_.load(std::memory_order_relaxed) ||
         !wasteful(large_bytes, kSegmentHeaderBytes + segment.capacity());
}

// The memory of a segment and its file hold the same bytes, and all of them are durable.
Engine::PlaceValues Engine::stay_in_segments(std::vector<const Segment*> segments) const {
  if (segments.empty()) return nullptr;
  return [this, segments = std::move(segments)](std::span<Version> versions) -> Status {
    for (Version& version : versions) {
      if (!large(version)) continue;
      const char* const bytes = version.value.data();
      const auto at = std::ranges::find_if(segments, [&](const Segment* segment) {
        return bytes >= segment->data() && bytes < segment->data() + segment->loaded_bytes();
      });
      if (at == segments.end()) continue;
      const Segment& segment = **at;
      const uint64_t offset = kSegmentHeaderBytes + static_cast<uint64_t>(bytes - segment.data());
      version.place = {
          .file = segment.number(),
          .offset = offset,
          .size = version.value.size(),
          .checksum = checksum(bytes, version.value.size(), value_file_seed(segment.number(), offset))};
    }
    return {};
  };
}

// Where no holes can be punched, a merge takes the values of files that are mostly garbage into its runs.
Engine::PlaceValues Engine::leave_wasteful_files(const View& view,
                                                 std::span<const std::shared_ptr<const SortedRun>> inputs) {
  if (punches_.load(std::memory_order_relaxed)) return nullptr;
  std::vector<std::shared_ptr<const RunFile>> files;
  for (const auto& run : inputs) files.insert(files.end(), run->files().begin(), run->files().end());
  const std::vector<uint64_t> numbers = value_files_of(files);
  const ValueExtents live(view, &numbers);
  std::vector<std::shared_ptr<const ValueFile>> left;
  for (const auto& [number, of_file] : live.files()) {
    Result<std::shared_ptr<const ValueFile>> file = value_files_->open(number);
    if (file && wasteful(of_file.live_bytes, (*file)->size())) left.push_back(*std::move(file));
  }
  if (left.empty()) return nullptr;
  return [left = std::move(left), owners = std::vector<std::shared_ptr<const void>>()](
             std::span<Version> versions) mutable -> Status {
    owners.clear();
    for (Version& version : versions) {
      const ValuePlace place = version.place;
      const auto at =
          std::ranges::find_if(left, [&](const auto& file) { return file->number() == place.file; });
      if (place.file == 0 || at == left.end()) continue;
      Status status;
      std::shared_ptr<const void> owner;
      if (!(*at)->read(place.offset, place.size, place.checksum, &version.value, &owner, &status))
        return status;
      if (owner != nullptr) owners.push_back(std::move(owner));
      version.place = {};
    }
    return {};
  };
}

void Engine::reclaim_soon(const std::vector<uint64_t>& numbers, bool retired) noexcept {
  try {
    MutexLock lock(reclaim_mutex_);
    if (numbers.empty() && !retired && reclaim_.empty() && !reclaim_all_.load()) return;
    reclaim_.insert(reclaim_.end(), numbers.begin(), numbers.end());
  } catch (const std::bad_alloc&) {
    reclaim_all_ = true;
  }
  reclaim_in_background(kReclaimDelayNs);
}

void Engine::reclaim_in_background(uint64_t delay_ns) {
  if (reclaim_scheduled_.exchange(true, std::memory_order_acq_rel)) return;
  const auto task = [this] {
    reclaim_scheduled_.store(false, std::memory_order_release);
    reclaim_values();
  };
  if (!background_.run_after(Lane::slow, delay_ns, task)) {
    reclaim_scheduled_.store(false, std::memory_order_release);
  }
}

void Engine::reclaim_values() {
  if (options_.read_only || log_.failed()) return;
  bool again = true;
  try {
    (void)epoch_reclaim();  // Views that nobody reads by hold runs as well
    again = !retired_files_.remove_waiting(*directory_);
    again |= punch_values();
  } catch (const std::bad_alloc&) {
    reclaim_all_ = true;
  }
  if (again) reclaim_in_background(kReclaimRetryNs);
}

// A value file that anybody may read by another View than the present one waits, as all do while somebody
// copies; and one with a second name until somebody else gives it garbage.
bool Engine::punch_values() {
  // Until the first commit it waits for the first flush or merge.
  if (!punches_.load(std::memory_order_relaxed) || !store_->has_committed()) return false;
  std::vector<uint64_t> numbers;
  {
    MutexLock lock(reclaim_mutex_);
    numbers.swap(reclaim_);
  }
  const bool all = reclaim_all_.exchange(false);
  if (numbers.empty() && !all) return false;
  std::ranges::sort(numbers);
  const std::shared_ptr<const View> now = view();
  const ValueExtents live(*now, all ? nullptr : &numbers);
  std::vector<uint64_t> kept;
  bool again = false;
  for (const auto& [number, of_file] : live.files()) {
    Reclaimed outcome = Reclaimed::later;
    (void)retired_files_.unless_kept([&] { outcome = reclaim_file(*directory_, number, of_file); });
    if (outcome == Reclaimed::refused) {
      punches_ = false;
      return false;
    }
    if (outcome != Reclaimed::done) kept.push_back(number);
    again |= outcome == Reclaimed::later;
  }
  MutexLock lock(reclaim_mutex_);
  reclaim_.insert(reclaim_.end(), kept.begin(), kept.end());
  return again;
}

}  // namespace lightning
