#include "query/join_state.h"

#include "engine/snapshot_state.h"
#include "query/moment.h"

namespace lightning {

namespace {

constexpr int kStepsBeforeOpen = 16;  // a step is a good deal cheaper than to open a scan

Status differ(const LiveIndex& left, const LiveIndex& right, std::string_view why) {
  return Status(StatusCode::invalid_argument, "the indexes " + left.definition().name + " and " +
                                                  right.definition().name +
                                                  " cannot be joined: " + std::string(why));
}

Status check_alike(const LiveIndex& left, const LiveIndex& right) {
  if (left.hashed() != right.hashed()) return differ(left, right, "one is ordered, the other of kind hash");
  const std::vector<IndexField>& a = left.definition().key;
  const std::vector<IndexField>& b = right.definition().key;
  if (a.size() != b.size()) return differ(left, right, "their keys have different numbers of fields");
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].type != b[i].type)
      return differ(left, right, "field " + std::to_string(i) + " of their keys is of different types");
  }
  return {};
}

}  // namespace

std::string_view JoinState::Side::key() const {
  std::string_view key = scan->entry_key();
  if (!index->unique()) key.remove_suffix(scan->parts().primary_key.size());
  return key;
}

std::unique_ptr<JoinState> JoinState::make(const IndexPlace& place, std::shared_ptr<const LiveIndex> left,
                                           std::shared_ptr<const LiveIndex> right) {
  auto state = std::make_unique<JoinState>(check_alike(*left, *right));
  state->place_ = place;
  if (place.transaction == nullptr && state->status_.ok())
    state->status_ = fix_moment(&state->place_, &state->moment_);
  state->left_.index = std::move(left);
  state->right_.index = std::move(right);
  return state;
}

bool JoinState::open(Side& side, std::string_view from) {
  // `from` may be of the scan that goes.
  auto scan = std::make_unique<IndexScanState>(place_, side.index, std::string(from), std::string());
  side.scan = std::move(scan);
  return step(side);
}

bool JoinState::step(Side& side) {
  if (side.scan->advance()) return true;
  status_ = side.scan->status();
  ended_ = true;
  return false;
}

bool JoinState::catch_up(Side& side, std::string_view key) {
  for (int steps = 0; side.key() < key; ++steps) {
    if (!(steps < kStepsBeforeOpen ? step(side) : open(side, key))) return false;
  }
  return true;
}

bool JoinState::meet() {
  while (left_.key() != right_.key()) {
    const bool left_behind = left_.key() < right_.key();
    if (!(left_behind ? catch_up(left_, right_.key()) : catch_up(right_, left_.key()))) return false;
  }
  key_ = left_.key();
  return true;
}

bool JoinState::advance() {
  present_ = false;
  present_ = find_next();
  return present_;
}

bool JoinState::find_next() {
  if (!status_.ok() || ended_) return false;
  if (key_.empty()) return open(left_, {}) && open(right_, {}) && meet();
  const bool more_right = right_.scan->advance();
  if (!more_right && !right_.scan->status().ok()) return step(right_);
  if (more_right && right_.key() == key_) return true;
  if (!step(left_)) return false;
  if (left_.key() == key_) return open(right_, key_) && meet();
  if (!more_right) {
    ended_ = true;
    return false;
  }
  return meet();
}

const Value* JoinState::row(IndexScanState& side) {
  if (!present_) return nullptr;
  const Value* const row = side.row();
  if (status_.ok()) status_ = side.status();
  return row;
}

std::unique_ptr<JoinState> join_indexes(const IndexPlace& place, uint32_t left_keyspace,
                                        std::string_view left_name, uint32_t right_keyspace,
                                        std::string_view right_name) {
  Result<std::shared_ptr<const LiveIndex>> left = readable_index(place, left_keyspace, left_name);
  if (!left) return std::make_unique<JoinState>(left.status());
  Result<std::shared_ptr<const LiveIndex>> right = readable_index(place, right_keyspace, right_name);
  if (!right) return std::make_unique<JoinState>(right.status());
  return JoinState::make(place, *std::move(left), *std::move(right));
}

}  // namespace lightning
