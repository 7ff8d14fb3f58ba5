// Holds the indexes of an open database against its data, both ways, as of one moment.
//
// Thread safety: functions.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace lightning {

struct IndexCheck {
  uint64_t entries = 0;             // that were held against their rows
  std::vector<std::string> unread;  // indexes that are not ready, or whose function is not registered
};

/// `found` is told of each row without an entry that it should have, and of each entry that stands for
/// nothing. What cannot be read is left out: it is a finding of its own elsewhere.
Status check_indexes(Engine& engine, const std::function<void(const Status&)>& found, IndexCheck* check);

}  // namespace lightning
