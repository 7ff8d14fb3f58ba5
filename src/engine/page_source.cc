// Where the pages of runs come from: mapped files, or the page cache (run/run_pages.h).
//
// Each RunFile has one source from its opening to its end. To change it, a file is opened anew and a View
// that names it in place of the former one is installed: reads and cursors go on in theirs until they leave
// it. That is a step of merge_step(), which alone takes files from runs, so that no other change of runs
// comes between.

#include <algorithm>

#include "base/interleave.h"
#include "engine/engine.h"

namespace lightning {

namespace {

/// The part of the machine's memory that mapped runs and memory_limit may have.
constexpr uint64_t kMachineShares = 4;
constexpr uint64_t kMachineSharesUsed = 3;
// Between the bytes at which runs are pooled and those at which they are mapped again.
constexpr uint64_t kHysteresisShares = 4;
// A pooled file keeps a descriptor; this part of all may be theirs, to begin with half of that.
constexpr uint64_t kDescriptorShares = 2;

uint64_t less(uint64_t from, uint64_t bytes) { return from - std::min(from, bytes); }

}  // namespace

uint64_t machine_limit(Env& env, const Options& options) {
  const uint64_t machine = env.memory_bytes();
  const uint64_t usable = machine / kMachineShares * kMachineSharesUsed;
  return std::max(less(usable, options.memory_limit), machine / kMachineShares);
}

uint64_t mapped_limit(Env& env, const Options& options) {
  if (options.page_source == PageSource::mapped) return UINT64_MAX;
  const uint64_t fits = machine_limit(env, options);
  if (options.memory_limit == Options().memory_limit) return fits;
  return std::min(fits, less(options.memory_limit, 2 * options.write_buffer_size));
}

// What is so stays so until there is a clear reason for the other.
void Engine::choose_page_source(uint64_t files, uint64_t bytes) {
  const auto fit_in = [&](uint64_t limit, bool did) {
    return bytes <= less(limit, did ? 0 : limit / kHysteresisShares);
  };
  const bool mapped = maps_runs_.load(std::memory_order_relaxed);
  const bool directly = reads_directly_.load(std::memory_order_relaxed);
  const uint64_t descriptors = env_.open_files_max() / (mapped ? 2 * kDescriptorShares : kDescriptorShares);
  const bool never = !mapped_ || options_.page_source == PageSource::pooled;
  const bool maps = !never && (fit_in(mapped_bytes_max_, mapped) || files > descriptors);
  maps_runs_.store(maps, std::memory_order_relaxed);
  reads_directly_.store(!maps && !fit_in(machine_bytes_max_, !directly), std::memory_order_relaxed);
}

void Engine::measure_page_source(const View& view) {
  uint64_t files = 0;
  uint64_t bytes = 0;
  for (const auto& run : view.runs) {
    files += run->files().size();
    for (const auto& file : run->files()) bytes += file->info().size;
  }
  const bool mapped = maps_runs_.load(std::memory_order_relaxed);
  const bool directly = reads_directly_.load(std::memory_order_relaxed);
  choose_page_source(files, bytes);
  if (maps_runs_.load(std::memory_order_relaxed) != mapped ||
      reads_directly_.load(std::memory_order_relaxed) != directly)
    schedule_merge();
}

Result<Engine::Step> Engine::switch_page_source(const View& view) {
  if (closed_.load(std::memory_order_relaxed)) return Status(StatusCode::closed, "closing");
  const bool maps = maps_runs_.load(std::memory_order_relaxed);
  const bool directly = reads_directly_.load(std::memory_order_relaxed);
  if (unswitched_.maps != maps || unswitched_.directly != directly) unswitched_.files.clear();
  unswitched_.maps = maps;
  unswitched_.directly = directly;
  const std::vector<uint64_t>& stay = unswitched_.files;
  const auto is_right = [&](const RunFile& file) {
    return (file.mapped() == maps && (maps || file.directly() == directly)) ||
           std::ranges::find(stay, file.info().id) != stay.end();
  };
  for (const auto& run : view.runs) {
    std::vector<std::shared_ptr<const RunFile>> files = run->files();
    bool changed = false;
    for (std::shared_ptr<const RunFile>& file : files) {
      if (is_right(*file)) continue;
      Result<std::shared_ptr<const RunFile>> opened = open_run_file(file->info());
      if (opened) {
        file = *std::move(opened);
        changed = true;
      } else if (opened.status().is(StatusCode::out_of_memory)) {
        return opened.status();
      } else {
        unswitched_.files.push_back(file->info().id);  // what is open still reads what it could read
      }
    }
    if (!changed) continue;
    const auto replacement = std::make_shared<const SortedRun>(run->info(), std::move(files));
    INTERLEAVE("source.before_install");
    install_view([&](View& next) { std::ranges::replace(next.runs, run, replacement); },
                 room_for_view(kSealedMax, kRunsRoom));
    return Step::made;
  }
  return Step::none;
}

}  // namespace lightning
