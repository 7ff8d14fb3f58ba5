// History: a state of a database that commits lead through random edits, for tests of StateStore.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "testing/sim_env.h"
#include "view/state_store.h"
#include "view/state_test_util.h"

namespace lightning {

using StorePtr = std::unique_ptr<StateStore>;

inline std::unique_ptr<Directory> directory_of(Env& env) {
  Result<std::unique_ptr<Directory>> directory = env.files().open_directory("db", true);
  return directory ? *std::move(directory) : nullptr;
}

inline std::vector<std::string> files_of(SimEnv& env) { return env.disk().file_paths(); }

/// A state that commits lead through history, each with the files that it names, as an engine would.
class History {
 public:
  explicit History(uint64_t seed) : random_(seed), states_{sample_initial_state(random_)} {}

  const DurableState& initial() const { return states_.front(); }
  const std::vector<DurableState>& states() const { return states_; }
  const DurableState& last() const { return states_.back(); }

  /// One more state, made durable in `store`. The state is part of the history whatever comes of it.
  Status advance(StateStore& store, Directory& directory) {
    Status failure;
    DurableState next = states_.back();
    sample_edit(random_, &next, [&] {
      Result<uint64_t> id = store.new_file_id();
      if (!id) failure = id.status();
      if (!id) return uint64_t{1};
      if (!used_.insert(*id).second) ADD_FAILURE() << "file id " << *id << " given out twice";
      if (failure.ok()) failure = make_run(directory, *id);
      return *id;
    });
    if (!failure.ok()) return failure;
    states_.push_back(next);
    return store.commit([&](DurableState& state) { state = next; });
  }

  /// The number of the state in the history, -1 if it is none of them.
  int find(const DurableState& state) const {
    for (int i = static_cast<int>(states_.size()) - 1; i >= 0; --i) {
      if (same_state(states_[i], state)) return i;
    }
    return -1;
  }
  uint64_t file_id_max() const { return used_.empty() ? 0 : *used_.rbegin(); }
  int attempted() const { return static_cast<int>(states_.size()) - 1; }
  /// A crash took back what came behind them.
  void forget_after(int index) { states_.resize(index + 1); }
  void forget_file_ids_after(uint64_t id) { used_.erase(used_.upper_bound(id), used_.end()); }

 private:
  static Status make_run(Directory& directory, uint64_t id) {
    Result<std::unique_ptr<File>> file = directory.open(run_file_name(id), OpenMode::create);
    if (!file) return file.status();
    if (Status status = (*file)->write(0, "run"); !status.ok()) return status;
    return (*file)->sync();
  }

  Random random_;
  std::vector<DurableState> states_;
  std::set<uint64_t> used_;
};

}  // namespace lightning
