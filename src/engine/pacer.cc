#include "engine/pacer.h"

#include <algorithm>

namespace lightning {

namespace {

constexpr uint64_t kMiB = 1 << 20;
// A sleep lasts longer than it was meant to: so much is given back to the next one.
constexpr uint64_t kCreditNs = 1'000'000;
// What one commit pays at most. Larger ones wait for their memory anyway.
constexpr uint64_t kChargeBytesMax = 1 << 20;
// Smaller flushes say nothing about the speed of one.
constexpr uint64_t kFlushBytesMin = 1 << 20;
constexpr uint64_t kNanosPerSecond = 1'000'000'000;
// A close, or a log that fails, does not wake who sleeps here.
constexpr uint64_t kLookNs = 100'000'000;

}  // namespace

void Pacer::set(const Pace& pace) {
  removal_bytes_.store(pace.removal_bytes, std::memory_order_relaxed);
  reason_.store(pace.reason, std::memory_order_relaxed);
  const uint64_t before = ns_per_mib_.exchange(pace.ns_per_mib, std::memory_order_relaxed);
  if (before == 0 || pace.ns_per_mib != 0) return;
  MutexLock lock(mutex_);
  due_ns_ = 0;
  eased_.notify_all();
}

Status Pacer::wait(uint64_t bytes, uint64_t deadline, const std::function<Status()>& refused) {
  const PaceReason reason = reason_.load(std::memory_order_relaxed);
  MutexLock lock(mutex_);
  const uint64_t charge = std::clamp(bytes, kGrainBytes, kChargeBytesMax);
  const uint64_t began = clock_.monotonic_ns();
  const uint64_t earliest = began < kCreditNs ? 0 : began - kCreditNs;
  const uint64_t due =
      std::max(due_ns_, earliest) + charge * ns_per_mib_.load(std::memory_order_relaxed) / kMiB;
  if (due <= began) {
    due_ns_ = due;
    return {};
  }
  if (due > deadline) return Status(StatusCode::busy, "background work is too far behind for the deadline");
  due_ns_ = due;
  uint64_t now = began;
  Status status;
  while (on() && now < due && status.ok()) {
    eased_.wait(mutex_, std::min(due - now, kLookNs));
    now = clock_.monotonic_ns();
    status = refused();
  }
  waited_ns_[static_cast<size_t>(reason)].fetch_add(now - began, std::memory_order_relaxed);
  return status;
}

void Pacer::flush_began(uint64_t bytes) {
  flush_bytes_.store(bytes, std::memory_order_relaxed);
  flush_began_ns_.store(std::max<uint64_t>(clock_.monotonic_ns(), 1), std::memory_order_release);
}

void Pacer::flush_ended(bool succeeded) {
  const uint64_t began = flush_began_ns_.exchange(0, std::memory_order_acq_rel);
  const uint64_t bytes = flush_bytes_.load(std::memory_order_relaxed);
  if (!succeeded || bytes < kFlushBytesMin) return;
  const uint64_t took = std::max<uint64_t>(clock_.monotonic_ns() - began, 1);
  const auto speed =
      static_cast<uint64_t>(static_cast<double>(bytes) * kNanosPerSecond / static_cast<double>(took));
  const uint64_t before = flush_bytes_per_s();
  flush_bytes_per_s_.store(std::max<uint64_t>(before == 0 ? speed : before - before / 4 + speed / 4, 1),
                           std::memory_order_relaxed);
}

uint64_t Pacer::flushed_bytes() const {
  const uint64_t began = flush_began_ns_.load(std::memory_order_acquire);
  const uint64_t now = clock_.monotonic_ns();
  if (began == 0 || now <= began) return 0;
  const double done =
      static_cast<double>(flush_bytes_per_s()) * static_cast<double>(now - began) / kNanosPerSecond;
  // Its end gives the memory back: the last tenth counts until then.
  const auto most = static_cast<double>(flush_bytes_.load(std::memory_order_relaxed)) * 0.9;
  return static_cast<uint64_t>(std::min(done, most));
}

}  // namespace lightning
