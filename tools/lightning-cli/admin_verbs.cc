// stats, metrics, flush, keyspaces, set-ttl, drop, options: verbs of the whole database, and of
// none.
#include <cstdio>

#include <nlohmann/json.hpp>

#include "tools/lightning-cli/text.h"
#include "tools/lightning-cli/verb.h"

namespace lightning::cli {

namespace {

using Json = nlohmann::ordered_json;

struct StatsField {
  const char* name;
  uint64_t Stats::* value;
};

constexpr StatsField kStatsFields[] = {
    {"disk_bytes", &Stats::disk_bytes},
    {"log_bytes", &Stats::log_bytes},
    {"run_files", &Stats::run_files},
    {"sorted_runs", &Stats::sorted_runs},
    {"run_entries", &Stats::run_entries},
    {"memtables", &Stats::memtables},
    {"keyspaces", &Stats::keyspaces},
    {"snapshots", &Stats::snapshots},
    {"memory_bytes", &Stats::memory_bytes},
    {"memtable_bytes", &Stats::memtable_bytes},
    {"point_index_bytes", &Stats::point_index_bytes},
    {"order_index_bytes", &Stats::order_index_bytes},
    {"fence_bytes", &Stats::fence_bytes},
    {"run_memory_bytes", &Stats::run_memory_bytes},
    {"held_bytes", &Stats::held_bytes},
    {"cursor_bytes", &Stats::cursor_bytes},
    {"merge_bytes", &Stats::merge_bytes},
    {"mapped_bytes", &Stats::mapped_bytes},
    {"published_lsn", &Stats::published_lsn},
    {"durable_lsn", &Stats::durable_lsn},
    {"commits", &Stats::commits},
    {"user_bytes_written", &Stats::user_bytes_written},
    {"log_bytes_written", &Stats::log_bytes_written},
    {"log_flushes", &Stats::log_flushes},
    {"flushes", &Stats::flushes},
    {"flush_bytes_written", &Stats::flush_bytes_written},
    {"merges", &Stats::merges},
    {"merge_bytes_read", &Stats::merge_bytes_read},
    {"merge_bytes_written", &Stats::merge_bytes_written},
    {"moves", &Stats::moves},
    {"move_bytes", &Stats::move_bytes},
    {"drops", &Stats::drops},
    {"drop_bytes", &Stats::drop_bytes},
    {"stalls", &Stats::stalls},
    {"stall_us", &Stats::stall_us},
    {"paced_memory_us", &Stats::paced_memory_us},
    {"paced_merges_us", &Stats::paced_merges_us},
    {"reclaimable_bytes", &Stats::reclaimable_bytes},
    {"value_files", &Stats::value_files},
    {"value_file_bytes", &Stats::value_file_bytes},
    {"value_live_bytes", &Stats::value_live_bytes},
    {"transactions_active", &Stats::transactions_active},
    {"transaction_conflicts", &Stats::transaction_conflicts},
    {"cache_bytes", &Stats::cache_bytes},
    {"cache_limit_bytes", &Stats::cache_limit_bytes},
    {"cache_page_bytes", &Stats::cache_page_bytes},
    {"cache_frequent_bytes", &Stats::cache_frequent_bytes},
    {"cache_target_bytes", &Stats::cache_target_bytes},
    {"cache_hits", &Stats::cache_hits},
    {"cache_misses", &Stats::cache_misses},
    {"cache_ghost_hits", &Stats::cache_ghost_hits},
    {"cache_evictions", &Stats::cache_evictions},
    {"page_bytes_read", &Stats::page_bytes_read},
    {"point_pages_read", &Stats::point_pages_read},
    {"point_bytes_read", &Stats::point_bytes_read},
    {"scan_pages_read", &Stats::scan_pages_read},
    {"scan_bytes_read", &Stats::scan_bytes_read},
    {"unasked_scan_errors", &Stats::unasked_scan_errors},
    {"recovered_records", &Stats::recovered_records},
    {"recovery_us", &Stats::recovery_us},
};
// All of Stats but its lists stands above: a field more needs a line more.
// NOLINTBEGIN(bugprone-sizeof-container)
static_assert(sizeof(Stats) == sizeof(uint64_t) * std::size(kStatsFields) + sizeof(Stats::unknown_files) +
                                   sizeof(Stats::levels) + sizeof(Stats::prepared_transactions));
// NOLINTEND(bugprone-sizeof-container)

struct LevelField {
  const char* name;
  uint64_t Stats::Level::* value;
};

constexpr LevelField kLevelFields[] = {
    {"level", &Stats::Level::number},
    {"runs", &Stats::Level::runs},
    {"files", &Stats::Level::files},
    {"bytes", &Stats::Level::bytes},
    {"entries", &Stats::Level::entries},
    {"removals", &Stats::Level::removals},
    {"expiring", &Stats::Level::expiring},
    {"range_removals", &Stats::Level::range_removals},
    {"compressed_files", &Stats::Level::compressed_files},
    {"compressed_bytes", &Stats::Level::compressed_bytes},
    {"plain_bytes", &Stats::Level::plain_bytes},
    {"pooled_files", &Stats::Level::pooled_files},
    {"cache_leaf_bytes", &Stats::Level::cache_leaf_bytes},
    {"cache_index_bytes", &Stats::Level::cache_index_bytes},
};
static_assert(sizeof(Stats::Level) == sizeof(uint64_t) * std::size(kLevelFields));

/// A name that is not UTF-8 is printed with escapes.
std::string printable(const std::string& name) { return is_utf8(name) ? name : escape(name); }

std::string in_hundredths(double number) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f", number);
  return text;
}

std::string padded(std::string_view text, size_t width) {
  std::string cell(text);
  cell.resize(std::max(width, cell.size()), ' ');
  return cell + "  ";
}

}  // namespace

Status run_stats(Session& session) {
  const Result<Stats> stats = session.database.stats();
  if (!stats) return stats.status();
  if (session.arguments.format.json) {
    Json object;
    for (const StatsField& field : kStatsFields) object[field.name] = *stats.*field.value;
    object["write_amplification"] = stats->write_amplification();
    object["levels"] = Json::array();
    for (const Stats::Level& level : stats->levels) {
      Json& shown = object["levels"].emplace_back(Json::object());
      for (const LevelField& field : kLevelFields) shown[field.name] = level.*field.value;
    }
    object["prepared_transactions"] = Json::array();
    for (const PreparedTransaction& prepared : stats->prepared_transactions) {
      object["prepared_transactions"].push_back({{"gid", printable(prepared.gid)},
                                                 {"prepared_us", prepared.prepared_us},
                                                 {"operations", prepared.operations},
                                                 {"bytes", prepared.bytes}});
    }
    object["unknown_files"] = Json::array();
    for (const std::string& name : stats->unknown_files) object["unknown_files"].push_back(printable(name));
    session.output.write(object.dump() + "\n");
    return {};
  }
  for (const StatsField& field : kStatsFields) {
    session.output.write(padded(field.name, 19) + std::to_string(*stats.*field.value) + "\n");
  }
  session.output.write(padded("write_amplification", 19) + in_hundredths(stats->write_amplification()) +
                       "\n");
  for (const Stats::Level& level : stats->levels) {
    std::string line;
    for (const LevelField& field : kLevelFields) {
      line.append(line.empty() ? "" : ", ").append(field.name).append(" ");
      line.append(std::to_string(level.*field.value));
    }
    session.output.write(line + "\n");
  }
  for (const PreparedTransaction& prepared : stats->prepared_transactions) {
    session.output.write("prepared " + escape(prepared.gid) + ", operations " +
                         std::to_string(prepared.operations) + ", bytes " + std::to_string(prepared.bytes) +
                         "\n");
  }
  for (const std::string& name : stats->unknown_files) {
    session.output.write(padded("unknown_file", 19) + escape(name) + "\n");
  }
  return {};
}

Status run_metrics(Session& session) {
  const auto format = session.arguments.openmetrics ? MetricsFormat::openmetrics : MetricsFormat::prometheus;
  const Result<std::string> text = session.database.metrics_text(format);
  if (!text) return text.status();
  session.output.write(*text);
  return {};
}

Status run_flush(Session& session) { return session.database.flush(); }

Status run_keyspaces(Session& session) {
  const Result<std::vector<std::string>> names = session.database.keyspaces();
  if (!names) return names.status();
  if (session.arguments.format.json) {
    Json array = Json::array();
    for (const std::string& name : *names) array.push_back(printable(name));
    session.output.write(Json{{"keyspaces", array}}.dump() + "\n");
    return {};
  }
  for (const std::string& name : *names) session.output.write(escape(name) + "\n");
  return {};
}

Status run_set_ttl(Session& session) { return session.keyspace.set_default_ttl(session.arguments.ttl_ms); }

Status run_drop(Session& session) { return session.database.drop_keyspace(session.arguments.name); }

Status run_options(Session& session) {
  if (session.arguments.format.json) {
    Json array = Json::array();
    for (const OptionInfo& info : option_table()) {
      array.push_back({{"name", info.name},
                       {"unit", info.unit},
                       {"default", info.default_value},
                       {"range", info.range},
                       {"effect", info.effect}});
    }
    session.output.write(Json{{"options", array}}.dump() + "\n");
    return {};
  }
  for (const OptionInfo& info : option_table()) {
    session.output.write(padded(info.name, 17) + padded(info.default_value, 8) + std::string(info.range) +
                         (info.unit.empty() ? "" : " (" + std::string(info.unit) + ")") + "\n" +
                         padded("", 17) + std::string(info.effect) + "\n");
  }
  return {};
}

}  // namespace lightning::cli
