// State: edits of the manifest without their checksums: apply_edit(), state_of(), and back.
//
// An input is edits one after the other, each behind its length (u16).
#include "fuzz/target.h"
#include "view/state_image.h"
#include "view/state_test_util.h"

namespace lightning::fuzz {
namespace {

void check_edit(const Image& from, const Image& to) {
  Image image = from;
  expect(apply_edit(edit_between(from, to), &image).ok() && image == to,
         "an edit does not lead where it should");
}

/// A state that was read, as this build writes it.
void check_state_of(const Image& image, const DurableState& state) {
  expect(check_state(state).empty(), "a state that contradicts itself was accepted");
  const Image written = image_of(state);
  const Result<DurableState> again = state_of(written);
  expect(again.ok() && image_of(*again) == written, "a state changes when it is written and read");
  check_edit({}, written);
  check_edit(image, written);
  check_edit(written, image);
}

bool run(std::string_view input) {
  Image image;
  for (Bytes bytes(input); !bytes.done();) {
    const Image before = image;
    const size_t size = bytes.word();
    if (Status status = apply_edit(bytes.take(size), &image); !status.ok()) {
      expect(status.is(StatusCode::corruption), "the kind of error of an edit");
      return false;
    }
    check_edit(before, image);
    check_edit(image, before);
  }
  const Result<DurableState> state = state_of(image);
  if (!state) {
    expect(state.status().is(StatusCode::corruption) || state.status().is(StatusCode::not_supported),
           "the kind of error of a state");
    return false;
  }
  check_state_of(image, *state);
  return true;
}

void seeds(const SeedSink& sink) {
  Random random(1);
  DurableState state = sample_initial_state(random);
  Image before;
  std::string input;
  for (const int edits : {1, 4, 16}) {
    for (int i = 0; i < edits; ++i) {
      sample_edit(random, &state, [&] { return state.next_file_id++; });
      const Image image = image_of(state);
      const std::string edit = edit_between(before, image);
      input.push_back(static_cast<char>(edit.size()));
      input.push_back(static_cast<char>(edit.size() >> 8));
      input += edit;
      before = image;
    }
    sink("history-of-" + std::to_string(edits), input);
  }
}

}  // namespace

const Target kTarget = {.run = run, .mend = nullptr, .seeds = seeds};

}  // namespace lightning::fuzz
