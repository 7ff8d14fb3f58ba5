// Guide: an entry of an index as what leads to a row (Engine::get_through()).
//
// Thread safety: a value.
#pragma once

#include <cstdint>
#include <string_view>

namespace lightning {

/// Its key is `key`, and its value says the row's key by key_of(); or, where that is null, it is the first
/// whose key begins with `key`, and has the row's key behind it.
struct Guide {
  uint32_t keyspace = 0;
  std::string_view key;
  std::string_view (*key_of)(std::string_view value) = nullptr;
};

}  // namespace lightning
