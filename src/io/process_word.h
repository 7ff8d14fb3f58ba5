// A word that is 1 in this process and 0 in a forked child.
//
// What the library maps is MADV_DONTFORK: a child has holes there, and may have put its own memory into them.
// So a child unmaps nothing of ours: destructors ask in_forked_child() first.
//
// Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace lightning {

/// Lives in a MADV_WIPEONFORK page, made at the first call; where the kernel has no such pages (before 4.14),
/// a handler of fork() changes it.
const std::atomic<uint32_t>& process_word();

inline bool in_forked_child() { return process_word().load(std::memory_order_relaxed) == 0; }

/// Deletes in the process that made the object. A forked child leaves it alone: another thread may have
/// been in the middle of a change of it when the child was made.
struct DeleteUnlessForked {
  template <typename T>
  void operator()(T* object) const {
    if (!in_forked_child()) delete object;
  }
};

}  // namespace lightning
