// Expiry: the point of time from which an entry counts as removed.
//
// Format: the value of an entry of kind put_expiring, in the log and in runs, is its expiry, u64 microseconds
// since 1970, and then the user's value. So an expiry needs no room in any layout, and none of entries that
// have none.
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "base/coding.h"
#include "format/version.h"

namespace lightning {

/// The latest that is written, and the latest time that is ever believed.
inline constexpr uint64_t kTimeMaxUs = std::numeric_limits<int64_t>::max();

/// Of a stored value, whose kind is put_expiring: at least kExpiryBytes long.
inline uint64_t expiry_of(std::string_view stored) { return load<uint64_t>(stored.data()); }
inline std::string_view without_expiry(std::string_view stored) { return stored.substr(kExpiryBytes); }

/// The expiry of what is put at `now_us` for `ttl_ms`.
inline uint64_t expiry_after(uint64_t now_us, uint64_t ttl_ms) {
  constexpr uint64_t kMicrosPerMilli = 1000;
  if (now_us > kTimeMaxUs || ttl_ms > (kTimeMaxUs - now_us) / kMicrosPerMilli) return kTimeMaxUs;
  return now_us + ttl_ms * kMicrosPerMilli;
}

}  // namespace lightning
