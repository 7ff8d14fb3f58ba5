// CodecChoice: which codec the settled data of each keyspace is written with.
//
// Thread safety: plain data.
#pragma once

#include <lightning/options.h>

#include <cstdint>
#include <map>
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
};

}  // namespace lightning
