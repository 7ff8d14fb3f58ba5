// ClockEnv: another Env, with a wall clock that stands still until it is set, and counts who asks.
//
// Thread safety: any threads. Ownership: the other Env must outlive it.
#pragma once

#include <atomic>
#include <cstdint>

#include "io/env.h"

namespace lightning {

class ClockEnv final : public Env, private Clock {
 public:
  static constexpr int64_t kBeginMicros = 1'700'000'000'000'000;

  explicit ClockEnv(Env& env, int64_t unix_micros = kBeginMicros) : env_(env), now_(unix_micros) {}

  FileSystem& files() override { return env_.files(); }
  Executor& executor() override { return env_.executor(); }
  Clock& clock() override { return *this; }
  uint64_t random() override { return env_.random(); }
  uint64_t boot_id() override { return env_.boot_id(); }
  const std::atomic<uint32_t>& process_word() override { return env_.process_word(); }
  bool guards_mappings() override { return env_.guards_mappings(); }
  uint64_t memory_bytes() override { return env_.memory_bytes(); }
  uint64_t open_files_max() override { return env_.open_files_max(); }
  size_t processors() override { return env_.processors(); }

  void set_micros(int64_t now) { now_ = now; }
  void pass_ms(int64_t ms) { now_ += ms * 1000; }
  int64_t micros() const { return now_; }
  /// How often the wall clock was asked.
  uint64_t asked() const { return asked_; }

 private:
  uint64_t monotonic_ns() override { return env_.clock().monotonic_ns(); }
  uint64_t stopwatch_ns() override { return env_.clock().stopwatch_ns(); }
  int64_t unix_micros() override {
    ++asked_;
    return now_;
  }

  Env& env_;
  std::atomic<int64_t> now_;
  std::atomic<uint64_t> asked_{0};
};

}  // namespace lightning
