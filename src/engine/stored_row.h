// What rooms above take from an engine and give it.
//
// Thread safety: StoredRow a value.
#pragma once

#include <lightning/value.h>

#include <cstdint>

namespace lightning {

/// An entry as it stands, expired or not.
struct StoredRow {
  bool present = false;
  Value value;
  uint64_t expiry_us = 0;  // 0: never
};

/// What a room above keeps of an engine, for as long as that lives.
class EngineAttachment {
 public:
  virtual ~EngineAttachment() = default;
};

}  // namespace lightning
