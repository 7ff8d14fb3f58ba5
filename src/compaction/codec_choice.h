// CodecChoice: which codec the settled data of each keyspace is written with.
//
// Thread safety: plain data.
#pragma once

#include <lightning/options.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "format/internal_key.h"

namespace lightning {

struct CodecChoice {
  Compression usual = Compression::none;
  std::map<uint32_t, Compression> own = {};  // of the keyspaces that do not go by the usual one

  Compression of(std::string_view internal_key) const {
    uint32_t id = 0;
    (void)parse_keyspace_prefix(internal_key, &id);
    const auto found = own.find(id);
    return found == own.end() ? usual : found->second;
  }
  /// Where the first keyspace behind that of a key begins which is to have another codec than `one`; empty
  /// when there is none.
  std::string next_other(std::string_view internal_key, Compression one) const {
    uint32_t id = 0;
    (void)parse_keyspace_prefix(internal_key, &id);
    for (auto at = own.upper_bound(id); usual == one; ++at) {
      if (at == own.end()) return {};
      if (at->second != one) return std::string(InternalKey(at->first, {}).view());
    }
    for (++id; own.contains(id) && own.at(id) == one; ++id) {
    }
    return std::string(InternalKey(id, {}).view());
  }
};

}  // namespace lightning
