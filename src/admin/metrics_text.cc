#include "admin/metrics_text.h"

#include <array>
#include <charconv>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/latency.h"

namespace lightning {

namespace {

constexpr double kMicrosPerSecond = 1e6;
constexpr double kNanosPerSecond = 1e9;

// Shortest digits that are read as the same number.
void append_number(std::string& text, double number) {
  char digits[32];
  text.append(digits, std::to_chars(digits, digits + sizeof(digits), number).ptr);
}
void append_number(std::string& text, uint64_t number) {
  char digits[32];
  text.append(digits, std::to_chars(digits, digits + sizeof(digits), number).ptr);
}

// The unit that OpenMetrics wants to hear of, by the end of a name.
std::string_view unit_of(std::string_view name) {
  for (const std::string_view unit : {"bytes", "seconds"}) {
    if (name.ends_with(unit)) return unit;
  }
  return {};
}

/// Writes families one after the other. Names are given without `lightning_` and, of counters, `_total`;
/// labels as they stand between braces.
class MetricsWriter {
 public:
  explicit MetricsWriter(MetricsFormat format) : openmetrics_(format == MetricsFormat::openmetrics) {}

  template <typename Number>
  void gauge(std::string_view name, Number number, std::string_view help) {
    head(name, "gauge", help);
    sample(name, "", {}, number);
  }
  template <typename Number>
  void counter(std::string_view name, Number number, std::string_view help) {
    head(name, "counter", help);
    sample(name, "_total", {}, number);
  }

  void head(std::string_view name, std::string_view type, std::string_view help) {
    // OpenMetrics names a counter's family without what the samples end with.
    const std::string_view suffix = type == "counter" && !openmetrics_ ? "_total" : "";
    line("# HELP", name, suffix, help);
    line("# TYPE", name, suffix, type);
    if (openmetrics_ && !unit_of(name).empty()) line("# UNIT", name, suffix, unit_of(name));
  }
  template <typename Number>
  void sample(std::string_view name, std::string_view suffix, std::string_view labels, Number number) {
    text_.append("lightning_").append(name).append(suffix);
    if (!labels.empty()) text_.append("{").append(labels).append("}");
    text_ += ' ';
    append_number(text_, number);
    text_ += '\n';
  }

  void histogram(std::string_view name, std::string_view labels, const LatencyHistogram& histogram) {
    const LatencyCounts counts = histogram.read();
    uint64_t count = 0;
    for (size_t i = 0; i < counts.buckets.size(); ++i) {
      count += counts.buckets[i];
      std::string with_bound(labels);
      if (!labels.empty()) with_bound += ',';
      with_bound += "le=\"";
      if (i < kLatencyBoundsNs.size()) {
        append_number(with_bound, static_cast<double>(kLatencyBoundsNs[i]) / kNanosPerSecond);
      } else {
        with_bound += "+Inf";
      }
      sample(name, "_bucket", with_bound + '"', count);
    }
    sample(name, "_sum", labels, static_cast<double>(counts.sum_ns) / kNanosPerSecond);
    sample(name, "_count", labels, count);
  }

  std::string take() {
    if (openmetrics_) text_ += "# EOF\n";
    return std::move(text_);
  }

 private:
  void line(std::string_view what, std::string_view name, std::string_view suffix, std::string_view text) {
    text_.append(what).append(" lightning_").append(name).append(suffix);
    text_.append(" ").append(text).append("\n");
  }

  const bool openmetrics_;
  std::string text_;
};

double seconds_of_us(uint64_t us) { return static_cast<double>(us) / kMicrosPerSecond; }

void write_sizes(MetricsWriter& out, const Stats& stats, const Options& options) {
  out.gauge("disk_bytes", stats.disk_bytes, "Allocated blocks of every file but the log's.");
  out.gauge("log_bytes", stats.log_bytes, "Allocated blocks of log segments.");
  out.gauge("run_files", stats.run_files, "Files of settled data.");
  out.gauge("sorted_runs", stats.sorted_runs, "Sources of settled data that a read may have to ask.");
  out.gauge("run_entries", stats.run_entries, "Keys in runs, removals and overwritten ones included.");
  out.gauge("reclaimable_bytes", stats.reclaimable_bytes,
            "About how much of disk_bytes a compaction would give back, at most.");
  out.gauge("value_files", stats.value_files, "Files of values of 1 MiB or more.");
  out.gauge("value_file_bytes", stats.value_file_bytes, "Allocated blocks of value files.");
  out.gauge("value_live_bytes", stats.value_live_bytes, "Values in value files that runs refer to.");
  out.gauge("unknown_files", uint64_t{stats.unknown_files.size()},
            "Files in the directory that are none of the database's.");
  out.gauge("keyspaces", stats.keyspaces, "Keyspaces, the default one included.");
  out.gauge("memtables", stats.memtables, "Memtables, active and sealed.");
  out.gauge("memory_bytes", stats.memory_bytes, "Own memory.");
  out.gauge("memory_limit_bytes", options.memory_limit, "What memory_bytes is kept below.");
  out.head("memory_part_bytes", "gauge", "The parts of memory_bytes.");
  const std::pair<std::string_view, uint64_t> parts[] = {{"memtable", stats.memtable_bytes},
                                                         {"point_index", stats.point_index_bytes},
                                                         {"order_index", stats.order_index_bytes},
                                                         {"fence", stats.fence_bytes},
                                                         {"run", stats.run_memory_bytes},
                                                         {"held", stats.held_bytes},
                                                         {"cursor", stats.cursor_bytes},
                                                         {"merge", stats.merge_bytes},
                                                         {"cache", stats.cache_bytes}};
  for (const auto& [part, bytes] : parts) {
    out.sample("memory_part_bytes", "", "part=\"" + std::string(part) + "\"", bytes);
  }
  out.gauge("mapped_bytes", stats.mapped_bytes, "Run files mapped, beside own memory.");
  out.gauge("cache_limit_bytes", stats.cache_limit_bytes,
            "What the page cache may have of memory_limit_bytes.");
  out.gauge("cache_page_bytes", stats.cache_page_bytes, "Pages in the cache.");
  out.gauge("cache_frequent_bytes", stats.cache_frequent_bytes,
            "Of them, pages that came back or were used again.");
  out.gauge("cache_target_bytes", stats.cache_target_bytes, "How much the others should have.");
}

void write_levels(MetricsWriter& out, const Stats& stats) {
  struct Figure {
    std::string_view name;
    uint64_t Stats::Level::* value;
    std::string_view help;
  };
  constexpr Figure kFigures[] = {
      {"level_runs", &Stats::Level::runs, "Sorted runs by level."},
      {"level_files", &Stats::Level::files, "Files by level."},
      {"level_bytes", &Stats::Level::bytes, "Bytes of files by level."},
      {"level_entries", &Stats::Level::entries, "Keys by level."},
      {"level_removals", &Stats::Level::removals, "Removals by level."},
      {"level_expiring", &Stats::Level::expiring, "Keys whose newest version has an expiry, by level."},
      {"level_range_removals", &Stats::Level::range_removals, "Range removals by level."},
      {"level_compressed_files", &Stats::Level::compressed_files, "Files with compressed pages by level."},
      {"level_compressed_bytes", &Stats::Level::compressed_bytes,
       "Their pages as they stand there, by level."},
      {"level_plain_bytes", &Stats::Level::plain_bytes, "The same pages decompressed, by level."},
      {"level_pooled_files", &Stats::Level::pooled_files, "Files read through the page cache, by level."},
      {"level_cache_leaf_bytes", &Stats::Level::cache_leaf_bytes, "Leaves in the page cache by level."},
      {"level_cache_index_bytes", &Stats::Level::cache_index_bytes,
       "Pages of point indexes in the page cache by level."},
  };
  for (const Figure& figure : kFigures) {
    out.head(figure.name, "gauge", figure.help);
    for (const Stats::Level& level : stats.levels) {
      out.sample(figure.name, "", "level=\"" + std::to_string(level.number) + "\"", level.*figure.value);
    }
  }
}

void write_state(MetricsWriter& out, const Stats& stats, const std::vector<Reader>& readers, bool failing) {
  constexpr double kMillisPerSecond = 1e3;
  uint64_t oldest_ms = 0;
  for (const Reader& reader : readers) oldest_ms = std::max(oldest_ms, reader.age_ms);
  out.gauge("published_lsn", stats.published_lsn, "Position in the log below which every commit is visible.");
  out.gauge("durable_lsn", stats.durable_lsn,
            "Position in the log below which every commit survives a power cut.");
  out.gauge("readers", stats.snapshots, "Snapshots, cursors and moments of transactions.");
  out.gauge("oldest_reader_seconds", static_cast<double>(oldest_ms) / kMillisPerSecond,
            "Age of the oldest of the readers.");
  out.gauge("transactions_active", stats.transactions_active, "Transactions under way.");
  out.gauge("prepared_transactions", stats.prepared_transactions.size(),
            "Transactions that are prepared and not resolved.");
  out.gauge("background_error", uint64_t{failing ? 1u : 0u},
            "1 while flushes or merges fail or writes are refused, else 0.");
  out.gauge("recovered_records", stats.recovered_records, "Log records that the last open read.");
  out.gauge("recovery_seconds", seconds_of_us(stats.recovery_us), "What the last open took.");
}

void write_counters(MetricsWriter& out, const Stats& stats) {
  out.counter("commits", stats.commits, "Commits; a put is one, a batch is one.");
  out.counter("user_written_bytes", stats.user_bytes_written, "Keys and values in commits.");
  out.counter("log_written_bytes", stats.log_bytes_written, "Log that commits took.");
  out.counter("log_flushes", stats.log_flushes, "Flushes of the log to the disk.");
  out.counter("flushes", stats.flushes, "Memtables turned into runs, some at a time.");
  out.counter("flush_written_bytes", stats.flush_bytes_written, "What flushes of memtables wrote.");
  out.counter("merges", stats.merges, "Merges of runs.");
  out.counter("merge_read_bytes", stats.merge_bytes_read, "What merges read.");
  out.counter("merge_written_bytes", stats.merge_bytes_written, "What merges wrote.");
  out.counter("moves", stats.moves, "Run files that went down a level without being rewritten.");
  out.counter("moved_bytes", stats.move_bytes, "Their bytes.");
  out.counter("drops", stats.drops, "Run files given up unread, being under range removals.");
  out.counter("dropped_bytes", stats.drop_bytes, "Their bytes.");
  out.counter("cache_hits", stats.cache_hits, "Pages that were found in the cache.");
  out.counter("cache_misses", stats.cache_misses, "Pages that were read for it.");
  out.counter("cache_ghost_hits", stats.cache_ghost_hits, "Misses of pages that the cache remembered.");
  out.counter("cache_evictions", stats.cache_evictions, "Pages that gave way to others.");
  out.counter("page_read_bytes", stats.page_bytes_read,
              "What was read for misses, as it stands in the files.");
  out.head("pages_read", "counter", "Pages that were read for misses, by what wanted them.");
  out.sample("pages_read", "_total", "by=\"point\"", stats.point_pages_read);
  out.sample("pages_read", "_total", "by=\"scan\"", stats.scan_pages_read);
  out.head("pages_read_bytes", "counter", "Their bytes, as they stand in the files.");
  out.sample("pages_read_bytes", "_total", "by=\"point\"", stats.point_bytes_read);
  out.sample("pages_read_bytes", "_total", "by=\"scan\"", stats.scan_bytes_read);
  out.counter("stalls", stats.stalls, "Writes that waited for memory or space.");
  out.counter("stall_seconds", seconds_of_us(stats.stall_us), "How long they waited, all together.");
  out.head("paced_seconds", "counter", "Delays of writes because background work was behind.");
  out.sample("paced_seconds", "_total", "reason=\"memory\"", seconds_of_us(stats.paced_memory_us));
  out.sample("paced_seconds", "_total", "reason=\"merges\"", seconds_of_us(stats.paced_merges_us));
  out.counter("transaction_conflicts", stats.transaction_conflicts,
              "Commits of transactions and single-key calls that were refused.");
  out.counter("unasked_scan_errors", stats.unasked_scan_errors,
              "Scans that failed and whose status nobody asked for.");
}

void write_latencies(MetricsWriter& out, const Latencies& latencies) {
  const auto alone = [&](std::string_view name, const LatencyHistogram& histogram, std::string_view help) {
    out.head(name, "histogram", help);
    out.histogram(name, {}, histogram);
  };
  alone("get_seconds", latencies.get, "Reads of one key; estimated from one of 64.");
  alone("get_many_seconds", latencies.get_many, "Calls of get_many(); estimated from one of 16.");
  alone("seek_seconds", latencies.seek, "Seeks of cursors and scans; estimated from one of 16.");
  alone("step_seconds", latencies.step, "Steps of cursors and scans; estimated from one of 256.");
  out.head("commit_seconds", "histogram", "Commits; those of class process estimated from one of 64.");
  out.histogram("commit_seconds", "durability=\"process\"", latencies.commit_process);
  out.histogram("commit_seconds", "durability=\"power\"", latencies.commit_power);
  alone("flush_seconds", latencies.flush, "Flushes of memtables.");
  alone("merge_seconds", latencies.merge, "Merges of runs.");
}

// A field more needs a line more above.
// NOLINTBEGIN(bugprone-sizeof-container)
static_assert(sizeof(Stats) == sizeof(uint64_t) * 60 + sizeof(Stats::unknown_files) + sizeof(Stats::levels) +
                                   sizeof(Stats::prepared_transactions));
// NOLINTEND(bugprone-sizeof-container)
static_assert(sizeof(Stats::Level) == sizeof(uint64_t) * 14);

}  // namespace

Result<std::string> metrics_text(const Engine& engine, MetricsFormat format) {
  const Result<Stats> stats = engine.stats();
  if (!stats) return stats.status();
  const Result<std::vector<Reader>> readers = engine.readers();
  if (!readers) return readers.status();
  MetricsWriter out(format);
  write_sizes(out, *stats, engine.options());
  write_levels(out, *stats);
  write_state(out, *stats, *readers, !engine.background_error().ok());
  write_counters(out, *stats);
  write_latencies(out, engine.latencies());
  return out.take();
}

}  // namespace lightning
