#include "tests/crash_check.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "api/open_in.h"
#include "testing/allocation_truce.h"
#include "tests/index_agreement.h"
#include "tests/order_rules.h"
#include "view/state_store.h"

namespace lightning {

namespace {

/// How crashes during recoveries are thinned out, by their depth.
struct NestedPlan {
  uint64_t moments_max;  // of one recovery, merges of its background work included
  uint64_t images_max;   // of each
  uint64_t deeper_every;
};
constexpr std::array<NestedPlan, 3> kNestedPlans = {{{60, 6, 30}, {3, 3, 3}, {3, 3, 0}}};

constexpr uint64_t kOrderEvery = 8;  // so many images, the order of one recovery is checked

constexpr char kAfterKey[] = "after the crash";
constexpr char kAfterValue[] = "written";

/// Whatever a crash left of indexes: they can be built, and say what the rows do.
std::string check_indexes(Database& database) {
  const Result<std::vector<IndexInfo>> infos = database.indexes();
  if (!infos) return "indexes: " + infos.status().to_string();
  for (const IndexInfo& info : *infos) {
    const Status built = database.wait_for_index(info.definition.name);
    if (!built.ok()) return "building an index after recovery: " + built.to_string();
  }
  Status status;
  const std::string said = index_disagreement(database, {}, &status);
  if (!status.ok()) return "a read by index: " + status.to_string();
  return said.empty() ? said : "an index and its rows: " + said;
}

/// Run files, manifests and segments that the durable state does not name: a closed database has none.
std::string orphans(Env& env, const std::string& directory_name) {
  Result<std::unique_ptr<Directory>> directory = env.files().open_directory(directory_name, false);
  if (!directory) return "directory: " + directory.status().to_string();
  Result<std::unique_ptr<StateStore>> store = StateStore::open(**directory, StoreAccess::read);
  if (!store) return "state: " + store.status().to_string();
  std::set<std::string> named = {manifest_file_name((*store)->manifest_id())};
  for (const SortedRunInfo& run : (*store)->state().runs) {
    for (const RunPiece& piece : run.pieces) named.insert(run_file_name(piece.file.id));
  }
  for (const LogSegmentInfo& segment : (*store)->state().log_segments)
    named.insert(segment_file_name(segment.number));
  for (const ValueFileInfo& file : (*store)->state().value_files)
    named.insert(segment_file_name(file.number));
  Result<std::vector<FileInfo>> files = (*directory)->list();
  if (!files) return "list: " + files.status().to_string();
  for (const FileInfo& file : *files) {
    const bool ours = !parse_numbered_name(file.name).kind.empty();
    if (ours && !named.contains(file.name)) return "an orphan: " + file.name;
  }
  return {};
}

}  // namespace

std::string check_opening(Env& env, const std::string& directory, const std::vector<uint64_t>& allowed,
                          const std::function<void(const std::vector<uint64_t>&)>& narrow) {
  const Options options = CrashWorkload::usual_options();
  Result<Database> opened = open_in(env, directory, options, OpenKind::open_or_create, kCrashLargeBytes);
  if (!opened) return "open: " + opened.status().to_string();
  const Result<uint64_t> found = digest_of(*opened);
  if (!found) return "scan: " + found.status().to_string();
  if (std::find(allowed.begin(), allowed.end(), *found) == allowed.end()) {
    return "a state that is not among the " + std::to_string(allowed.size()) +
           " allowed ones:" + contents(*opened);
  }
  if (std::string said = check_indexes(*opened); !said.empty()) return said;
  const uint64_t after = *found + Model::digest_of_entry("", kAfterKey, kAfterValue);
  narrow({*found, after});
  if (opened->get(kAfterKey)) return {};  // the crash of a run that this function made: its write is there
  if (Status status = opened->put(kAfterKey, kAfterValue, {.durability = Durability::power}); !status.ok()) {
    return "put after recovery: " + status.to_string();
  }
  narrow({after});
  if (Status status = opened->close(); !status.ok()) return "close after recovery: " + status.to_string();
  if (std::string said = orphans(env, directory); !said.empty()) return said;
  opened = open_in(env, directory, options, OpenKind::open, kCrashLargeBytes);
  if (!opened) return "the second open: " + opened.status().to_string();
  const Result<uint64_t> again = digest_of(*opened);
  if (!again) return "the second scan: " + again.status().to_string();
  if (*again != after) return "the second open found something else:" + contents(*opened);
  const Result<Stats> stats = opened->stats();
  if (!stats) return stats.status().to_string();
  uint64_t left = after;
  for (const PreparedTransaction& prepared : stats->prepared_transactions) {
    const uint64_t before = std::exchange(left, left - Model::digest_of_prepared(prepared.gid));
    narrow({before, left});
    if (Status status = opened->abort_prepared(prepared.gid, {.durability = Durability::power}); !status.ok())
      return "what is prepared cannot be given up: " + status.to_string();
    narrow({left});
  }
  return check_indexes(*opened);
}

std::string check_crash(CrashCheck& check, CrashImage image, const AllowedStates& allowed_states) {
  ++check.images;
  const std::vector<uint64_t>& allowed = image.killed_only ? allowed_states.kill : allowed_states.power_cut;
  AllowedStates left = {allowed_states.power_cut, allowed};  // after a kill, power may still be cut
  SimEnv env(check.sim, std::move(image.disk));
  if (check.images % kOrderEvery == 0) add_order_rules(env.order());
  const bool nested =
      check.nested_every != 0 && check.depth < kNestedPlans.size() && check.images % check.nested_every == 0;
  std::vector<CrashMoment> moments;
  if (nested) {
    env.watch([&](const SimStep& step) {
      if (!env.disk_changed()) return;
      moments.push_back({env.disk().kill_image(), left, "recovery, before " + std::string(step.what)});
    });
  }
  std::string said = check_opening(env, kCrashDirectory, allowed,
                                   [&](const std::vector<uint64_t>& states) { left = {states, states}; });
  env.watch(nullptr);
  if (said.empty() && !env.order().violations().empty()) said = "order: " + env.order().violations().front();
  if (!said.empty()) return image.what + ": " + said;
  const NestedPlan& plan = kNestedPlans[std::min(check.depth, kNestedPlans.size() - 1)];
  CrashCheck inner{
      .sim = check.sim, .grain = check.grain, .nested_every = plan.deeper_every, .depth = check.depth + 1};
  thin_out(moments, plan.moments_max, check.sim.seed + check.images);
  said = check_moments(inner, moments, plan.images_max);
  check.nested += inner.images + inner.nested;
  return said.empty() ? said : image.what + ", then " + said;
}

void thin_out(std::vector<CrashMoment>& moments, uint64_t moments_max, uint64_t seed) {
  if (moments.size() <= moments_max) return;
  Random random(seed);
  const double share = static_cast<double>(moments_max) / static_cast<double>(moments.size());
  std::erase_if(moments, [&](const CrashMoment&) { return !random.chance(share); });
}

std::string check_moments(CrashCheck& check, std::vector<CrashMoment>& moments, uint64_t limit) {
  std::string said;
  uint64_t number = 0;
  for (CrashMoment& moment : moments) {
    for_each_crash_image(moment.disk,
                         {.limit = limit, .seed = check.sim.seed + number++, .grain = check.grain},
                         [&](CrashImage image) {
                           if (said.empty()) said = check_crash(check, std::move(image), moment.allowed);
                         });
    if (!said.empty()) return moment.where + ": " + said;
  }
  return said;
}

}  // namespace lightning
