// Options of a database, of reads and of writes. Every field has a default; fields are only ever appended.
//
// Thread safety: plain data. Sizes are in bytes, times in milliseconds. docs/options.md has the table.
#pragma once

#include <lightning/export.h>
#include <lightning/extractor.h>
#include <lightning/status.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lightning {

inline constexpr uint64_t KiB = 1024;
inline constexpr uint64_t MiB = 1024 * KiB;
inline constexpr uint64_t GiB = 1024 * MiB;

/// A time to live without an end, against the default of a keyspace.
inline constexpr uint64_t kNeverExpires = UINT64_MAX;

class Snapshot;

/// What a write survives once its call returned ok.
enum class Durability : uint8_t {
  standard,  // as Options::durability says
  process,   // a killed process: its bytes, and all earlier ones, are with the kernel
  power,     // power loss: a flush of the log covers it
};

/// Which commits a read without a snapshot sees.
enum class ReadLevel : uint8_t {
  latest,   // every commit that returned
  durable,  // only what a power cut can no longer take back
};

/// How runs are compressed.
enum class Compression : uint8_t {
  none = 0,
  lz4 = 1,   // little time, files of a half to two thirds of the size
  zstd = 2,  // more time, smaller files
};

/// Where the pages of runs come from.
enum class PageSource : uint8_t {
  automatic,  // mapped while all runs fit into memory, pooled beyond
  mapped,     // files are mapped: the system decides what of them is in memory
  pooled,     // pages are read into a cache of our own, a part of memory_limit
};

enum class EventKind : uint8_t { flush, merge, stall, error };

/// What the engine tells about its background work; the only log there is.
struct Event {
  EventKind kind = EventKind::error;
  std::string_view message;  // one line, dies with the call
  uint64_t bytes = 0;        // read or written by the work, where that means something
  uint64_t duration_us = 0;
  Status status;  // of kind error
};

struct Options {
  /// Make the database when the directory holds none.
  bool create = true;
  /// Open without writing a byte; several processes may at once. Recovery happens in memory.
  bool read_only = false;
  /// What Durability::standard means: process or power.
  Durability durability = Durability::power;
  /// How long a `process` write may be exposed to a power cut before a flush is started; 0 = until something
  /// else flushes.
  uint64_t flush_interval_ms = 1000;
  /// Cap on own memory: memtables with their indexes, caches, cursors, merges. At least 4 MiB and twice
  /// write_buffer_size.
  uint64_t memory_limit = 512 * MiB;
  /// Size to which a log segment, which is a memtable, grows before it becomes a run. 64 KiB to 4 GiB.
  uint64_t write_buffer_size = 64 * MiB;
  /// Values longer than this stand outside the leaf pages of runs. 64 bytes to 2 KiB.
  uint64_t value_separation = 1 * KiB;
  /// Answer faults in mapped files (SIGBUS) instead of letting them end the process. Off: files are read and
  /// written by system calls only.
  bool sigbus_guard = true;
  /// Transactions that may be under way at a time; begin() answers busy beyond them.
  uint64_t max_active_transactions = 100'000;
  /// A snapshot, cursor or transaction that is older than this is released in the background; its further
  /// reads answer snapshot_too_old, its commit too. 0 = none is.
  uint64_t max_snapshot_age_ms = 0;
  /// How settled data is compressed: files of the last level, where nearly all of it is, and ingested ones.
  /// Files that merges will soon rewrite stay plain. What is there already is compressed again by merges.
  /// `not_supported` when the library was built without it.
  Compression compression = Compression::none;
  /// 0 = the codec's usual one; lz4: 1 to 12, zstd: 1 to 19.
  uint64_t compression_level = 0;
  /// Called from background threads and from stalled writers; must not call the database. Empty: silence.
  std::function<void(const Event&)> on_event = {};
  /// A transaction without a call for as long is aborted in the background, so that others get its locks; its
  /// further calls answer `closed`. 0 = none is.
  uint64_t max_transaction_idle_ms = 0;
  /// What was removed or overwritten is gone from the run files at most as long after no reader can see it
  /// any more, if the disk keeps up; 0 = when merges come by. Less than a second is a second. All that is
  /// written is then merged into the last level within that time, however little is to be gained.
  uint64_t max_garbage_age_ms = 0;
  /// Functions that indexes use (extractor.h), each under its own name. Where one is missing, writes to the
  /// keyspaces whose indexes need it are refused, and nothing else.
  std::vector<Extractor> extractors = {};
  /// `automatic`: runs are mapped while they fit into what memory_limit leaves, where that is not the default
  /// one, and into three quarters of the machine's memory or of a control group's limit; it changes while the
  /// database is open. Without sigbus_guard runs are always pooled.
  PageSource page_source = PageSource::automatic;

  /// Presets, to be adapted further: balanced is the default-constructed Options.
  LIGHTNING_EXPORT static Options balanced();
  LIGHTNING_EXPORT static Options read_optimized();
  LIGHTNING_EXPORT static Options write_optimized();
  LIGHTNING_EXPORT static Options low_memory();
};

/// One row of the table of options, for tools and documents.
struct OptionInfo {
  std::string_view name;
  std::string_view unit;
  std::string_view default_value;
  std::string_view range;
  std::string_view effect;
};

LIGHTNING_EXPORT std::span<const OptionInfo> option_table();
/// Sets the option called `name` from text ("64MiB", "true", "process"). An unknown name or an impossible
/// value answers invalid_argument and says what is possible. `preset` is accepted as a name and replaces all
/// options.
LIGHTNING_EXPORT Status set_option(Options& options, std::string_view name, std::string_view value);
/// ok, or invalid_argument that says what is possible. open() asks it too.
LIGHTNING_EXPORT Status check_options(const Options& options);

struct WriteOptions {
  Durability durability = Durability::standard;
  /// How long the write may wait for memory, disk space or a lock before anything is done; then it returns
  /// busy.
  uint64_t timeout_ms = 60'000;
  /// How long the entries that it puts live (keyspace.h), of a batch those that do not say it themselves; 0 =
  /// as their keyspace says; kNeverExpires = for ever.
  uint64_t ttl_ms = 0;
};

struct KeyspaceOptions {
  /// Make the keyspace when it does not exist.
  bool create = true;
  /// How long an entry lives that is put without a time of its own; 0 = for ever. Of a keyspace that is
  /// made: one that exists keeps its default.
  uint64_t ttl_ms = 0;
  /// How its settled data is compressed; without a value as Options::compression says. Of a keyspace that is
  /// made: one that exists keeps what it has.
  std::optional<Compression> compression = std::nullopt;
};

struct CompactOptions {
  /// Wait until it is done. False: it is done in the background, beside other work; what stands against it
  /// then shows in Database::background_error(), and close() ends it where it is.
  bool wait = true;
};

struct ReadOptions {
  /// Read as of this snapshot of the same database; `level` is then unused.
  const Snapshot* snapshot = nullptr;
  ReadLevel level = ReadLevel::latest;
};

}  // namespace lightning
