// Stats: counters and sizes of one database at one moment. Bytes, unless a name says otherwise. Fields are
// only appended.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lightning {

enum class ReaderKind : uint8_t { snapshot, cursor, transaction };

/// Of Database::metrics_text(): the Prometheus text format 0.0.4, or OpenMetrics 1.0.
enum class MetricsFormat : uint8_t { prometheus, openmetrics };

/// A snapshot, cursor or transaction (one that reads as of one moment, or a call that reads and writes one
/// key), and what it keeps.
struct Reader {
  ReaderKind kind = ReaderKind::snapshot;
  uint64_t lsn = 0;           // it sees every commit below
  uint64_t age_ms = 0;        // since it was made; a cursor is as old as its snapshot or transaction
  uint64_t held_bytes = 0;    // files and memory that the database has done with and that it still reads
  uint64_t behind_bytes = 0;  // log written since: about how much may be overwritten and kept for it
  bool too_old = false;       // given up, nothing more is kept for it; its next read says so
};

/// A transaction between Transaction::prepare() and its resolution.
struct PreparedTransaction {
  std::string gid;
  uint64_t prepared_us = 0;  // since 1970, by the clock of that moment
  uint64_t operations = 0;
  uint64_t bytes = 0;  // that its record takes
};

struct Stats {
  // Size and shape.
  uint64_t disk_bytes = 0;  // allocated blocks of every file but the log's
  uint64_t log_bytes = 0;   // allocated blocks of log segments
  uint64_t run_files = 0;
  uint64_t sorted_runs = 0;  // sources of settled data that a read may have to ask
  uint64_t run_entries = 0;  // keys in runs, removals and overwritten ones included
  uint64_t memtables = 0;    // active and sealed
  uint64_t keyspaces = 0;    // the default one included
  uint64_t snapshots = 0;    // readers registered now

  // Memory, own. The parts up to mapped_bytes add up to memory_bytes; no memtable is made unless it fits with
  // that into memory_limit.
  uint64_t memory_bytes = 0;
  uint64_t memtable_bytes = 0;     // log memory of active and sealed memtables
  uint64_t point_index_bytes = 0;  // of memtables
  uint64_t order_index_bytes = 0;  // of memtables, with their range removals
  uint64_t fence_bytes = 0;        // of open runs
  uint64_t run_memory_bytes = 0;   // of open runs beside fences: what is verified, range removals
  uint64_t held_bytes = 0;         // of memtables that became runs, as long as somebody reads them
  uint64_t cursor_bytes = 0;       // snapshots and cursors, about
  uint64_t merge_bytes = 0;        // what flushes, merges and ingestions write in
  uint64_t mapped_bytes = 0;       // run files mapped

  // Positions in the log.
  uint64_t published_lsn = 0;
  uint64_t durable_lsn = 0;

  // Work done since open.
  uint64_t commits = 0;
  uint64_t user_bytes_written = 0;  // keys and values
  uint64_t log_bytes_written = 0;
  uint64_t log_flushes = 0;
  uint64_t flushes = 0;  // memtables turned into runs
  uint64_t flush_bytes_written = 0;
  uint64_t merges = 0;
  uint64_t merge_bytes_read = 0;
  uint64_t merge_bytes_written = 0;
  uint64_t stalls = 0;  // writes that waited for memory or space
  uint64_t stall_us = 0;
  uint64_t unasked_scan_errors = 0;  // scans that failed and whose status nobody asked for

  // Recovery, as the last open did it.
  uint64_t recovered_records = 0;
  uint64_t recovery_us = 0;
  std::vector<std::string> unknown_files;  // in the directory, left alone

  // Levels of runs, upper ones first; those that hold nothing are left out.
  struct Level {
    uint64_t number = 0;
    uint64_t runs = 0;
    uint64_t files = 0;
    uint64_t bytes = 0;
    uint64_t entries = 0;
    uint64_t removals = 0;
    uint64_t expiring = 0;  // keys whose newest version has an expiry, passed or not
    uint64_t range_removals = 0;
    uint64_t compressed_files = 0;
    uint64_t compressed_bytes = 0;   // leaf pages of such files, as they stand there
    uint64_t plain_bytes = 0;        // the same pages, decompressed
    uint64_t pooled_files = 0;       // read through the page cache, not mapped
    uint64_t cache_leaf_bytes = 0;   // of frames of the page cache that hold leaves of this level
    uint64_t cache_index_bytes = 0;  // and such that hold pages of point indexes
  };
  std::vector<Level> levels;
  uint64_t moves = 0;  // run files that went down a level without being rewritten
  uint64_t move_bytes = 0;
  uint64_t drops = 0;  // run files that range removals covered, given up without being read
  uint64_t drop_bytes = 0;

  // Delays of writes, beside stall_us: how long, because flushes or merges were behind.
  uint64_t paced_memory_us = 0;
  uint64_t paced_merges_us = 0;

  /// About how much of disk_bytes compact() would give back, at most: as if each entry above the last level
  /// hid one in it, and each removal, in memory too, an average one.
  uint64_t reclaimable_bytes = 0;

  // Values of 1 MiB or more stand in value files, which disk_bytes counts, too.
  uint64_t value_files = 0;
  uint64_t value_file_bytes = 0;  // allocated blocks
  uint64_t value_live_bytes = 0;  // of values that runs refer to
  // Transactions.
  uint64_t transactions_active = 0;
  uint64_t transaction_conflicts = 0;  // commits that were refused, those of single-key calls included
  std::vector<PreparedTransaction> prepared_transactions;  // in order of their gids

  // The page cache, of pages of pooled and of compressed runs. cache_bytes is a part of memory_bytes.
  uint64_t cache_bytes = 0;
  uint64_t cache_limit_bytes = 0;     // what it may have of memory_limit
  uint64_t cache_page_bytes = 0;      // of pages that are there now
  uint64_t cache_frequent_bytes = 0;  // of them, pages that came back or were used again
  uint64_t cache_target_bytes = 0;    // how much the others should have
  uint64_t cache_hits = 0;
  uint64_t cache_misses = 0;
  uint64_t cache_ghost_hits = 0;  // misses of pages that are remembered
  uint64_t cache_evictions = 0;
  uint64_t page_bytes_read = 0;  // of pages that were read for it, as they stand in their files
  // What of it point reads and scans needed; over how many there were, bytes or pages a read.
  uint64_t point_pages_read = 0;
  uint64_t point_bytes_read = 0;
  uint64_t scan_pages_read = 0;
  uint64_t scan_bytes_read = 0;

  /// Bytes of flushes and merges over those that users wrote, since the open; 0 before the first write.
  double write_amplification() const {
    const auto written = static_cast<double>(flush_bytes_written + merge_bytes_written);
    return user_bytes_written == 0 ? 0 : written / static_cast<double>(user_bytes_written);
  }
};

}  // namespace lightning
