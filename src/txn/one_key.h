// Transactions of one key: read, decide, write, all at one point of the log.
//
// What they read is checked under the lock of the key's bucket: a write that came between makes them read
// again, and each such write is another call's success.
// Thread safety: any threads.
#pragma once

#include <lightning/keyspace.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/engine.h"

namespace lightning {

Status compare_and_set(Engine& engine, uint32_t keyspace, std::string_view key,
                       std::optional<std::string_view> expected, std::optional<std::string_view> desired,
                       const WriteOptions& options);
Status put_if_absent(Engine& engine, uint32_t keyspace, std::string_view key, std::string_view value,
                     const WriteOptions& options);
Status update_key(Engine& engine, uint32_t keyspace, std::string_view key, const Keyspace::UpdateFn& fn,
                  const WriteOptions& options);
Result<int64_t> add_to_key(Engine& engine, uint32_t keyspace, std::string_view key, int64_t delta,
                           const WriteOptions& options);

}  // namespace lightning
