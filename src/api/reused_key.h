// Reads into a Value that the key may be a view of.
#pragma once

#include <lightning/value.h>

#include <functional>
#include <string>
#include <string_view>

namespace lightning {

/// Calls `read(key)`, with a copy of a key that stands in `reused`, which the read clears before it is done
/// with the key. Throws std::bad_alloc.
template <typename Read>
auto read_beside(std::string_view key, const Value& reused, Read&& read) {
  constexpr std::less<const char*> before;
  const bool apart = before(key.data(), reused.data()) || !before(key.data(), reused.data() + reused.size());
  if (apart) [[likely]]
    return read(key);
  const std::string copy(key);
  return read(std::string_view(copy));
}

}  // namespace lightning
