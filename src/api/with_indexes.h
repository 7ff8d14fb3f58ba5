// Writes where indexes may be: the flag is read here, and again by the commit itself, which refuses with
// `conflict` what was on its way while an index came.
#pragma once

#include <lightning/status.h>

#include <utility>

#include "api/guarded.h"
#include "engine/engine.h"
#include "index/index_writes.h"

namespace lightning {

/// `plain(engine)`, or `indexed(IndexWriter)` where the database has indexes.
template <typename Plain, typename Indexed>
Status with_indexes(Engine& engine, Plain&& plain, Indexed&& indexed) {
  return guarded([&]() -> Status {
    if (!engine.has_indexes()) [[likely]] {
      Status status = plain(engine);
      if (!status.is(StatusCode::conflict)) [[likely]]
        return status;
    }
    // In a forked child the locks of the indexes may be held for ever.
    if (Status status = engine.usable(); !status.ok()) return status;
    return indexed(IndexWriter(engine));
  });
}

}  // namespace lightning
