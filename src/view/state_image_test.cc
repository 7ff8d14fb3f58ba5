#include "view/state_image.h"

#include <gtest/gtest.h>

#include "view/state_test_util.h"

namespace lightning {
namespace {

class Sample {
 public:
  explicit Sample(uint64_t seed) : random(seed), state(sample_initial_state(random)) {
    state.next_segment_number = 1 + random.below(5);
  }
  void edit(int times = 1) {
    for (int i = 0; i < times; ++i) {
      sample_edit(random, &state, [this] { return state.next_file_id++; });
    }
  }

  Random random;
  DurableState state;
};

Image sample_image(uint64_t seed, int edits) {
  Sample sample(seed);
  sample.edit(edits);
  return image_of(sample.state);
}

TEST(StateImage, RoundTrip) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Sample sample(seed);
    sample.edit(static_cast<int>(seed % 30));
    ASSERT_EQ(check_state(sample.state), "");
    sample.state.removal_floor = sample.random.below(sample.state.next_file_id + 1);
    const Result<DurableState> decoded = state_of(image_of(sample.state));
    ASSERT_TRUE(decoded) << decoded.status().to_string();
    EXPECT_TRUE(same_state(*decoded, sample.state));
    EXPECT_EQ(decoded->next_file_id, sample.state.next_file_id);
    EXPECT_EQ(decoded->removal_floor, sample.state.removal_floor);
  }
}

TEST(StateImage, EditsLeadFromEachStateToTheNext) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Sample sample(seed);
    Image replayed, before;
    for (int i = 0; i < 40; ++i) {
      const Image now = image_of(sample.state);
      ASSERT_TRUE(apply_edit(edit_between(before, now), &replayed).ok());
      ASSERT_EQ(replayed, now);
      before = now;
      sample.edit();
    }
    EXPECT_EQ(edit_between(before, before), "");
  }
}

// Lists that no state has: repeated items, changed orders.
TEST(StateImage, EditsOfAnyLists) {
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    Random random(seed);
    Image from, to;
    for (Image* image : {&from, &to}) {
      for (uint64_t n = random.below(8); n > 0; --n)
        image->items.push_back(std::string(random.below(4), 'x'));
      for (uint64_t n = random.below(4); n > 0; --n) image->fields[100 + random.below(4)] = "value";
    }
    Image result = from;
    ASSERT_TRUE(apply_edit(edit_between(from, to), &result).ok()) << "seed " << seed;
    ASSERT_EQ(result, to) << "seed " << seed;
  }
}

TEST(StateImage, AnEditIsAsSmallAsWhatChanged) {
  Sample sample(1);
  const auto new_id = [&] { return sample.state.next_file_id++; };
  sample.state.runs = {sample_run(sample.random, 0, 1, new_id), sample_run(sample.random, 2, 1000, new_id)};
  const Image before = image_of(sample.state);
  sample.state.runs.insert(sample.state.runs.begin(), sample_run(sample.random, 0, 1, new_id));
  EXPECT_LT(edit_between(before, image_of(sample.state)).size(), 100u);
  sample.state.runs.erase(sample.state.runs.begin() + 1);
  sample.state.runs.back().pieces[500].file.id = new_id();
  EXPECT_LT(edit_between(before, image_of(sample.state)).size(), 250u);
}

TEST(StateImage, UnknownFields) {
  Image image = sample_image(1, 5);
  image.fields[1001] = "may be ignored";
  EXPECT_TRUE(state_of(image).ok());
  image.fields[1002] = "must be understood";
  const Status status = state_of(image).status();
  EXPECT_TRUE(status.is(StatusCode::not_supported)) << status.to_string();
  EXPECT_NE(status.message().find("1002"), std::string_view::npos);
}

void expect_sane(std::string_view edit, const Image& base) {
  Image image = base;
  if (Status status = apply_edit(edit, &image); !status.ok()) {
    EXPECT_TRUE(status.is(StatusCode::corruption));
    return;
  }
  const Result<DurableState> state = state_of(image);
  if (state) {
    EXPECT_EQ(check_state(*state), "");
  } else {
    EXPECT_TRUE(state.status().is(StatusCode::corruption) || state.status().is(StatusCode::not_supported));
  }
}

TEST(StateImage, HostileEdits) {
  const Image base = sample_image(7, 10);
  const std::string edit = edit_between(base, sample_image(8, 12));
  for (size_t length = 0; length < edit.size(); ++length) {
    expect_sane(std::string(edit, 0, length), base);
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = edit;
      flipped[length] = static_cast<char>(flipped[length] ^ (1 << bit));
      expect_sane(flipped, base);
    }
  }
  Random random(3);
  for (int i = 0; i < 20'000; ++i) {
    std::string noise(random.below(40), '\0');
    for (char& c : noise) c = static_cast<char>(random.chance(0.5) ? random.below(40) : random.next());
    expect_sane(noise, base);
  }
}

TEST(StateImage, StatesThatContradictThemselves) {
  const auto wrong = [](const std::function<void(DurableState&)>& spoil) {
    Sample sample(1);
    const auto new_id = [&] { return sample.state.next_file_id++; };
    sample.state.runs = {sample_run(sample.random, 0, 2, new_id), sample_run(sample.random, 1, 3, new_id)};
    for (SortedRunInfo& run : sample.state.runs) {
      for (RunPiece& piece : run.pieces) piece.from = piece.to = "";
    }
    sample.state.next_base_lsn = 100;
    sample.state.next_segment_number = 5;
    sample.state.log_segments = {{1, 0, 10}, {2, 10, kOpenEnd}, {3, 20, kOpenEnd}};
    EXPECT_EQ(check_state(sample.state), "");
    spoil(sample.state);
    EXPECT_TRUE(state_of(image_of(sample.state)).status().is(StatusCode::corruption));
    return std::string(check_state(sample.state));
  };
  EXPECT_EQ(wrong([](DurableState& s) { s.database_id = 0; }), "a database id of zero");
  EXPECT_EQ(wrong([](DurableState& s) { s.removal_floor = s.next_file_id + 1; }), "the removal floor");
  EXPECT_EQ(wrong([](DurableState& s) { s.log_floor = 101; }), "the log floor");
  EXPECT_EQ(wrong([](DurableState& s) { s.durable_lsn = 101; }), "the durable LSN");
  EXPECT_EQ(wrong([](DurableState& s) { s.log_segments[2].number = 5; }), "a segment's number");
  EXPECT_EQ(wrong([](DurableState& s) { s.log_segments[0].number = 0; }), "a segment's number");
  EXPECT_EQ(wrong([](DurableState& s) { s.log_segments[2].base_lsn = 100; }), "a segment's base LSN");
  EXPECT_EQ(wrong([](DurableState& s) { s.log_segments[1].end_lsn = 9; }), "a segment's end");
  EXPECT_EQ(wrong([](DurableState& s) { s.log_segments[0].end_lsn = 11; }), "the order of segments");
  EXPECT_EQ(wrong([](DurableState& s) { s.log_segments[1].number = 1; }), "the order of segments");
  EXPECT_EQ(wrong([](DurableState& s) { s.runs[0].level = 2; }), "the order of levels");
  EXPECT_EQ(wrong([](DurableState& s) { s.runs[1].level = kLastLevel + 1; }), "the order of levels");
  EXPECT_EQ(wrong([](DurableState& s) { s.runs[0].pieces[0].file.id = s.next_file_id; }), "a run's id");
  EXPECT_EQ(wrong([](DurableState& s) { s.runs[0].pieces[0].file.id = 0; }), "a run's id");
  EXPECT_EQ(wrong([](DurableState& s) { s.runs[0].pieces[0].file.lsn_min = 1u << 30; }), "a run's LSNs");
  EXPECT_EQ(wrong([](DurableState& s) { s.runs[0].pieces[0].file.smallest = ""; }), "a run's keys");
  EXPECT_EQ(wrong([](DurableState& s) { s.runs[0].pieces[0].file.smallest = "z"; }), "a run's keys");
  EXPECT_EQ(wrong([](DurableState& s) { s.runs[0].pieces[0].from = "z"; }), "a run's interval");
  EXPECT_EQ(wrong([](DurableState& s) { s.runs[0].pieces[0].to = sample_key(0); }), "a run's interval");
  EXPECT_EQ(wrong([](DurableState& s) { std::swap(s.runs[1].pieces[0], s.runs[1].pieces[1]); }),
            "the order of a run's files");
  EXPECT_EQ(wrong([](DurableState& s) { s.runs[1].pieces[1] = s.runs[1].pieces[0]; }),
            "the order of a run's files");
}

TEST(StateImage, TwoPiecesOfOneFile) {
  Sample sample(1);
  SortedRunInfo run = sample_run(sample.random, 1, 1, [&] { return sample.state.next_file_id++; });
  run.pieces[0].from.clear();
  run.pieces.push_back(run.pieces[0]);
  run.pieces[0].to = sample_key(10);
  run.pieces[1].from = sample_key(20);
  sample.state.runs = {run};
  EXPECT_EQ(check_state(sample.state), "");
  EXPECT_TRUE(same_state(*state_of(image_of(sample.state)), sample.state));
  sample.state.runs[0].pieces[1].from = sample_key(9);
  EXPECT_EQ(check_state(sample.state), "the order of a run's files");
}

TEST(StateImage, NothingGoesBack) {
  DurableState from;
  from.database_id = 1;
  from.next_segment_number = from.next_base_lsn = from.log_floor = from.durable_lsn = 10;
  from.next_file_id = from.next_keyspace_id = 10;
  from.removal_floor = 5;
  EXPECT_EQ(check_transition(from, from), "");
  const auto refused = [&](const std::function<void(DurableState&)>& change) {
    DurableState to = from;
    change(to);
    return !check_transition(from, to).empty() && check_transition(to, to).empty();
  };
  EXPECT_TRUE(refused([](DurableState& s) { s.database_id = 2; }));
  EXPECT_TRUE(refused([](DurableState& s) { --s.next_file_id; }));
  EXPECT_TRUE(refused([](DurableState& s) { --s.next_segment_number; }));
  EXPECT_TRUE(refused([](DurableState& s) { --s.next_base_lsn; }));
  EXPECT_TRUE(refused([](DurableState& s) { --s.log_floor; }));
  EXPECT_TRUE(refused([](DurableState& s) { --s.durable_lsn; }));
  EXPECT_TRUE(refused([](DurableState& s) { --s.time_max_us; }));
  EXPECT_TRUE(refused([](DurableState& s) { --s.next_keyspace_id; }));
  EXPECT_TRUE(refused([](DurableState& s) { --s.removal_floor; }));
}

}  // namespace
}  // namespace lightning
