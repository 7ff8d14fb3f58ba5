#include "tests/protocol/protocol_model.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "tests/protocol/protocol_machine.h"

namespace lightning::protocol {
namespace {

struct Fingerprint {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const Fingerprint&) const = default;
};

uint64_t mixed(uint64_t word) {
  word = (word ^ (word >> 32)) * 0xd6e8feb86659fd93;
  word = (word ^ (word >> 32)) * 0xd6e8feb86659fd93;
  return word ^ (word >> 32);
}

Fingerprint fingerprint_of(const State& state) {
  Fingerprint f{0x243f6a8885a308d3, 0x13198a2e03707344};
  const auto* bytes = reinterpret_cast<const unsigned char*>(&state);
  for (size_t i = 0; i < sizeof(State); i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes + i, sizeof word);
    f.high = (std::rotl(f.high, 23) ^ word) * 0x9e3779b97f4a7c15;
    f.low += mixed(word + i * 0xc2b2ae3d27d4eb4f);
  }
  return {mixed(f.high), mixed(f.low)};
}

// The states seen so far. Open addressing, at most half full; a fingerprint of all zeros does not occur.
class FingerprintSet {
 public:
  size_t size() const { return size_; }

  // False if it was there.
  bool insert(const Fingerprint& fingerprint) {
    if (2 * size_ >= slots_.size()) grow();
    Fingerprint& slot = place_of(fingerprint);
    if (slot == fingerprint) return false;
    slot = fingerprint;
    ++size_;
    return true;
  }

 private:
  Fingerprint& place_of(const Fingerprint& fingerprint) {
    size_t i = fingerprint.low & (slots_.size() - 1);
    while (slots_[i] != Fingerprint{} && slots_[i] != fingerprint) i = (i + 1) & (slots_.size() - 1);
    return slots_[i];
  }

  void grow() {
    std::vector<Fingerprint> full(std::max<size_t>(1024, 2 * slots_.size()));
    full.swap(slots_);
    for (const Fingerprint& fingerprint : full) {
      if (fingerprint != Fingerprint{}) place_of(fingerprint) = fingerprint;
    }
  }

  std::vector<Fingerprint> slots_;
  size_t size_ = 0;
};

// A state on the way from the start to the present one, and which of its successors comes next.
struct Frame {
  State state;
  Fingerprint fingerprint;
  int actor = 0;  // the present state, or the next frame, is what this actor's step leads to
  unsigned choice = 0;
  unsigned untried = 0;
  bool moved = false;
};

class Explorer {
 public:
  Explorer(const Scenario& scenario, Mutation mutation, size_t states_max)
      : machine_(scenario, mutation), states_max_(states_max) {}

  Result run() {
    push(machine_.initial());
    while (!path_.empty() && result_.violation.empty()) {
      if (!step(path_.back())) close(path_.back());
    }
    result_.states = visited_.size();
    return std::move(result_);
  }

 private:
  void push(const State& state) {
    const Fingerprint fingerprint = fingerprint_of(state);
    if (!visited_.insert(fingerprint)) {
      const auto same = [&](const Frame& frame) { return frame.fingerprint == fingerprint; };
      if (std::any_of(path_.begin(), path_.end(), same)) fail("livelock: a state comes again");
      return;
    }
    if (visited_.size() > states_max_) return fail("the scenario has too many states");
    path_.push_back({state, fingerprint, 0, 0, machine_.choices(state, 0), false});
  }

  // Tries the next successor of `frame`; false if there is none left.
  bool step(Frame& frame) {
    while (frame.untried == 0) {
      if (frame.actor + 1 == machine_.actor_count()) return false;
      frame.untried = machine_.choices(frame.state, ++frame.actor);
    }
    frame.choice = frame.untried & 1 ? 0 : 1;
    frame.untried &= frame.untried - 1;
    frame.moved = true;
    ++result_.transitions;
    State next = frame.state;
    machine_.take(next, frame.actor, frame.choice);
    if (!machine_.violation().empty()) {
      fail(machine_.violation());
    } else {
      push(next);
    }
    return true;
  }

  void close(const Frame& frame) {
    if (!frame.moved) {
      ++result_.ends;
      result_.outcomes.insert(machine_.outcome(frame.state));
      if (!machine_.check_end(frame.state)) return fail(machine_.violation());
    }
    path_.pop_back();
  }

  void fail(const std::string& violation) {
    result_.violation = violation;
    for (const Frame& frame : path_) {
      if (!frame.moved) continue;
      std::string line =
          machine_.actor_name(frame.actor) + ": " + step_name(frame.state.actors[frame.actor].step);
      if (frame.choice == 1) line += " (gives up)";
      line += "  published " + std::to_string(frame.state.published);
      result_.history.push_back(std::move(line));
    }
  }

  Machine machine_;
  const size_t states_max_;
  FingerprintSet visited_;
  std::vector<Frame> path_;
  Result result_;
};

}  // namespace

Result explore(const Scenario& scenario, Mutation mutation, size_t states_max) {
  return Explorer(scenario, mutation, states_max).run();
}

}  // namespace lightning::protocol
