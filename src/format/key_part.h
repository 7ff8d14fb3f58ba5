// key_part_size(): where the part at the front of an ordered key (lightning/key.h) ends.
//
// Thread safety: a function.
#pragma once

#include <lightning/key.h>

#include <cstddef>
#include <string_view>

namespace lightning {

/// 0: no part stands there. What KeyReader would take, without a copy of texts.
size_t key_part_size(std::string_view key, KeyType* type);

}  // namespace lightning
