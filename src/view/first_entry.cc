#include "view/first_entry.h"

#include <algorithm>

#include "base/epoch.h"
#include "format/expiry.h"
#include "run/run_cursor.h"

namespace lightning {

/// Asks the sources of a View, newest first, and keeps the least key.
class FirstFinder {
 public:
  FirstFinder(std::string_view prefix, uint64_t read_lsn, FirstEntry* first)
      : prefix_(prefix), read_lsn_(read_lsn), may_wait_(!inside_epoch()), first_(*first) {}

  First find(const View& view) {
    if (view.range_removals.load(std::memory_order_relaxed)) return First::unclear;
    if (view.active != nullptr && !ask_memory(*view.active)) return answer_;
    for (const auto& source : view.sealed) {
      if (!ask_memory(*source)) return answer_;
    }
    for (const auto& run : view.runs) {
      if (!ask_run(*run)) return answer_;
    }
    if (!found_) return First::none;
    return first_.kind_ == EntryKind::remove ? First::unclear : First::found;
  }

 private:
  bool end(First answer) {
    answer_ = answer;
    return false;
  }
  bool fail(Status status) {
    first_.status_ = std::move(status);
    return end(First::error);
  }

  bool ask(SourceCursor& source) {
    source.seek(prefix_);
    if (!source.valid()) return source.status().ok() || fail(source.status());
    const std::string_view key = source.key();
    // Of equal keys that of the newer source counts.
    if (!key.starts_with(prefix_) || (found_ && key >= first_.key())) return true;
    found_ = true;
    first_.kind_ = source.kind();
    first_.expiry_us_ = source.kind() == EntryKind::put_expiring ? expiry_of(source.value()) : 0;
    first_.size_ = key.size();
    first_.long_.clear();
    if (key.size() <= sizeof(first_.inline_)) {
      std::copy(key.begin(), key.end(), first_.inline_);
    } else {
      first_.long_ = key;
    }
    return true;
  }

  bool ask_memory(const MemSource& source) {
    if (source.segment->base_lsn() >= read_lsn_) return true;
    if (!may_wait_) return end(First::away);
    if (Status status = source.order_up_to(read_lsn_); !status.ok()) return fail(std::move(status));
    return ask_made(source.table->cursor(read_lsn_));
  }

  bool ask_run(const SortedRun& run) {
    if (run.ingested_at() != 0 && run.ingested_at() >= read_lsn_) return end(First::unclear);
    const RunFile* const file = run.only_file_with(prefix_);
    if (!may_wait_ && (file == nullptr || !file->mapped() || file->compressed())) return end(First::away);
    if (file == nullptr) return ask_made(run.cursor(read_lsn_));
    RunCursor cursor(*file, read_lsn_);
    return ask(cursor);
  }

  bool ask_made(const std::unique_ptr<SourceCursor>& cursor) {
    return cursor != nullptr ? ask(*cursor) : fail(Status(StatusCode::out_of_memory, "a cursor"));
  }

  const std::string_view prefix_;
  const uint64_t read_lsn_;
  const bool may_wait_;
  FirstEntry& first_;
  bool found_ = false;
  First answer_ = First::none;
};

First find_first(const View& view, std::string_view prefix, uint64_t read_lsn, FirstEntry* first) {
  return FirstFinder(prefix, read_lsn, first).find(view);
}

}  // namespace lightning
