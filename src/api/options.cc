#include <lightning/options.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <optional>
#include <string>

#include "api/guarded.h"

namespace lightning {

namespace {

// One option: what the table says of it, and how text becomes its value.
struct Option {
  OptionInfo info;
  Status (*set)(Options& options, const Option& option, std::string_view value);
  uint64_t Options::* number = nullptr;  // of a number, which lies in [min, max]
  uint64_t min = 0;
  uint64_t max = 0;
  bool Options::* flag = nullptr;  // of a flag
};

std::string quoted(std::string_view text) { return std::string("\"").append(text).append("\""); }

Status not_possible(const Option& option, std::string_view value) {
  return Status(StatusCode::invalid_argument, std::string(option.info.name)
                                                  .append(" = ")
                                                  .append(quoted(value))
                                                  .append(": possible are ")
                                                  .append(option.info.range));
}

bool in_range(const Option& option, uint64_t value) { return option.min <= value && value <= option.max; }

struct Unit {
  std::string_view name;
  uint64_t factor;
};
constexpr Unit kBytes[] = {{"", 1}, {"KiB", KiB}, {"MiB", MiB}, {"GiB", GiB}};
constexpr Unit kMillis[] = {{"", 1}, {"ms", 1}, {"s", 1000}};

// A number with one of `units` behind it, or a space and one.
template <size_t N>
std::optional<uint64_t> parse(std::string_view text, const Unit (&units)[N]) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  std::string_view name = text.substr(static_cast<size_t>(end - text.data()));
  if (name.size() > 1 && name.front() == ' ') name.remove_prefix(1);
  for (const Unit& unit : units) {
    if (unit.name != name) continue;
    if (number > UINT64_MAX / unit.factor) return std::nullopt;
    return number * unit.factor;
  }
  return std::nullopt;
}

Status set_number(Options& options, const Option& option, std::string_view text,
                  std::optional<uint64_t> number) {
  if (!number || !in_range(option, *number)) return not_possible(option, text);
  options.*option.number = *number;
  return {};
}

Status set_bytes(Options& options, const Option& option, std::string_view text) {
  return set_number(options, option, text, parse(text, kBytes));
}

Status set_millis(Options& options, const Option& option, std::string_view text) {
  return set_number(options, option, text, parse(text, kMillis));
}

Status set_count(Options& options, const Option& option, std::string_view text) {
  constexpr Unit kOnes[] = {{"", 1}};
  return set_number(options, option, text, parse(text, kOnes));
}

Status set_flag(Options& options, const Option& option, std::string_view text) {
  if (text != "true" && text != "false") return not_possible(option, text);
  options.*option.flag = text == "true";
  return {};
}

Status set_durability(Options& options, const Option& option, std::string_view text) {
  if (text != "process" && text != "power") return not_possible(option, text);
  options.durability = text == "power" ? Durability::power : Durability::process;
  return {};
}

Status set_compression(Options& options, const Option& option, std::string_view text) {
  constexpr Compression kAll[] = {Compression::none, Compression::lz4, Compression::zstd};
  constexpr std::string_view kNames[] = {"none", "lz4", "zstd"};
  const auto at = std::find(std::begin(kNames), std::end(kNames), text);
  if (at == std::end(kNames)) return not_possible(option, text);
  options.compression = kAll[at - std::begin(kNames)];
  return {};
}

Status set_page_source(Options& options, const Option& option, std::string_view text) {
  constexpr PageSource kAll[] = {PageSource::automatic, PageSource::mapped, PageSource::pooled};
  constexpr std::string_view kNames[] = {"automatic", "mapped", "pooled"};
  const auto at = std::find(std::begin(kNames), std::end(kNames), text);
  if (at == std::end(kNames)) return not_possible(option, text);
  options.page_source = kAll[at - std::begin(kNames)];
  return {};
}

Status set_preset(Options& options, const Option& option, std::string_view text) {
  if (text == "balanced") {
    options = Options::balanced();
  } else if (text == "read_optimized") {
    options = Options::read_optimized();
  } else if (text == "write_optimized") {
    options = Options::write_optimized();
  } else if (text == "low_memory") {
    options = Options::low_memory();
  } else {
    return not_possible(option, text);
  }
  return {};
}

Status set_callback(Options&, const Option& option, std::string_view text) {
  return not_possible(option, text);
}

constexpr uint64_t kMillisPerDay = 86'400'000;
constexpr uint64_t kLz4LevelMax = 12;

constexpr Option kOptions[] = {
    {{"preset", "", "balanced", "balanced, read_optimized, write_optimized, low_memory",
      "Replaces all options by those of a preset; give it first."},
     set_preset},
    {{"create", "", "true", "true, false", "Makes the database when the directory holds none."},
     set_flag,
     nullptr,
     0,
     0,
     &Options::create},
    {{"read_only", "", "false", "true, false",
      "Opens without writing a byte; several processes may at once. Recovery happens in memory."},
     set_flag,
     nullptr,
     0,
     0,
     &Options::read_only},
    {{"durability", "", "power", "process, power",
      "What a write survives that does not say it itself: a killed process, or power loss."},
     set_durability},
    {{"flush_interval_ms", "milliseconds", "1000", "0 to 86400000",
      "How long a process-durable write may be exposed to a power cut before a flush is started; 0: until "
      "something "
      "else flushes."},
     set_millis,
     &Options::flush_interval_ms,
     0,
     kMillisPerDay},
    {{"memory_limit", "bytes", "512MiB", "4MiB or more, at least twice write_buffer_size",
      "Cap on own memory: memtables with their indexes, caches, cursors, merges."},
     set_bytes,
     &Options::memory_limit,
     4 * MiB,
     UINT64_MAX},
    {{"write_buffer_size", "bytes", "64MiB", "64KiB to 4GiB",
      "Size to which a log segment, which is a memtable, grows before it becomes a run."},
     set_bytes,
     &Options::write_buffer_size,
     64 * KiB,
     4 * GiB},
    {{"value_separation", "bytes", "1KiB", "64 to 2KiB",
      "Values longer than this stand outside the leaf pages of runs. Those of 1 MiB or more stay in the file "
      "of "
      "the log segment that they were written to, whatever this says."},
     set_bytes,
     &Options::value_separation,
     64,
     2 * KiB},
    {{"sigbus_guard", "", "true", "true, false",
      "Answers faults in mapped files instead of letting them end the process. Off: files are read and "
      "written by "
      "system calls only."},
     set_flag,
     nullptr,
     0,
     0,
     &Options::sigbus_guard},
    {{"max_active_transactions", "", "100000", "1 to 1000000000",
      "Transactions that may be under way at a time; beyond them begin() answers busy."},
     set_count,
     &Options::max_active_transactions,
     1,
     1'000'000'000},
    {{"max_snapshot_age_ms", "milliseconds", "0", "0 to 18446744073709551615",
      "A snapshot, cursor or transaction that is older is released in the background, and its reads answer "
      "snapshot_too_old, its commit too; "
      "0: none is."},
     set_millis,
     &Options::max_snapshot_age_ms,
     0,
     UINT64_MAX},
    {{"max_transaction_idle_ms", "milliseconds", "0", "0 to 18446744073709551615",
      "A transaction without a call for as long is aborted in the background, and its locks are free; 0: "
      "none is."},
     set_millis,
     &Options::max_transaction_idle_ms,
     0,
     UINT64_MAX},
    {{"max_garbage_age_ms", "milliseconds", "0", "0 to 18446744073709551615",
      "What was removed or overwritten is gone from the run files as long after nobody can read it any more, "
      "if the disk keeps up; less than a second is a second; 0: when merges come by."},
     set_millis,
     &Options::max_garbage_age_ms,
     0,
     UINT64_MAX},
    {{"compression", "", "none", "none, lz4, zstd",
      "How settled data is compressed: files of the last level of runs, and what is ingested. What is there "
      "is "
      "compressed anew by merges."},
     set_compression},
    {{"compression_level", "", "0", "0 to 19, of lz4 to 12",
      "How hard the codec tries; 0: as it usually does."},
     set_count,
     &Options::compression_level,
     0,
     19},
    {{"page_source", "", "automatic", "automatic, mapped, pooled",
      "Where pages of runs come from: mapped files, or reads into a cache of our own; automatic: mapped "
      "while "
      "all runs fit into memory, as options.h says."},
     set_page_source},
    {{"on_event", "", "none", "a function, set in code",
      "Is told of flushes, merges, stalls and errors of the background."},
     set_callback},
    {{"extractors", "", "none", "functions, set in code",
      "What indexes call to find their fields; without one writes to the keyspaces that need it are "
      "refused."},
     set_callback},
};
static_assert(std::size(kOptions) <= 20, "an option more needs one less");

constexpr auto kTable = [] {
  std::array<OptionInfo, std::size(kOptions)> table;
  for (size_t i = 0; i < table.size(); ++i) table[i] = kOptions[i].info;
  return table;
}();

}  // namespace

Options Options::balanced() { return {}; }

Options Options::read_optimized() {
  Options options;
  options.memory_limit = 2 * GiB;
  options.value_separation = 2 * KiB;  // a step less to values of middling length
  return options;
}

Options Options::write_optimized() {
  Options options;
  options.durability = Durability::process;
  options.memory_limit = 2 * GiB;
  options.write_buffer_size = 256 * MiB;
  return options;
}

Options Options::low_memory() {
  Options options;
  options.memory_limit = 4 * MiB;
  options.write_buffer_size = 512 * KiB;
  return options;
}

std::span<const OptionInfo> option_table() { return kTable; }

Status set_option(Options& options, std::string_view name, std::string_view value) {
  return guarded([&]() -> Status {
    std::string names;
    for (const Option& option : kOptions) {
      if (option.info.name == name) return option.set(options, option, value);
      names.append(names.empty() ? "" : ", ").append(option.info.name);
    }
    return Status(StatusCode::invalid_argument,
                  "no option is called " + quoted(name) + ": possible are " + names);
  });
}

Status check_options(const Options& options) {
  return guarded([&]() -> Status {
    for (const Option& option : kOptions) {
      if (option.number == nullptr || in_range(option, options.*option.number)) continue;
      return not_possible(option, std::to_string(options.*option.number));
    }
    if (options.durability != Durability::process && options.durability != Durability::power) {
      return Status(StatusCode::invalid_argument, "durability: possible are process, power");
    }
    if (options.compression > Compression::zstd) {
      return Status(StatusCode::invalid_argument, "compression: possible are none, lz4, zstd");
    }
    if (options.compression == Compression::lz4 && options.compression_level > kLz4LevelMax) {
      return Status(StatusCode::invalid_argument, "compression_level: possible of lz4 are 0 to 12");
    }
    if (options.page_source > PageSource::pooled) {
      return Status(StatusCode::invalid_argument, "page_source: possible are automatic, mapped, pooled");
    }
    const uint64_t buffers = 2 * options.write_buffer_size;
    if (options.memory_limit >= buffers) return {};
    return Status(StatusCode::invalid_argument, "memory_limit = " + std::to_string(options.memory_limit) +
                                                    ": possible are " + std::to_string(buffers) +
                                                    " and more, twice write_buffer_size");
  });
}

}  // namespace lightning
