#include <gtest/gtest.h>
#include <lightning/options.h>

#include <fstream>
#include <sstream>
#include <string>
#include <tuple>

namespace lightning {
namespace {

auto fields(const Options& options) {
  return std::tuple(options.create, options.read_only, options.durability, options.flush_interval_ms,
                    options.memory_limit, options.write_buffer_size, options.value_separation,
                    options.sigbus_guard, options.max_active_transactions, options.max_snapshot_age_ms,
                    options.max_transaction_idle_ms, options.max_garbage_age_ms, options.compression,
                    options.compression_level, options.page_source);
}

// What set_option says to `value`, "" for ok.
std::string refusal(std::string_view name, std::string_view value) {
  Options options;
  const Status status = set_option(options, name, value);
  if (status.ok()) return "";
  EXPECT_TRUE(status.is(StatusCode::invalid_argument));
  EXPECT_EQ(fields(options), fields(Options())) << "a refused value changed something";
  return std::string(status.message());
}

TEST(Options, PresetsArePossible) {
  for (const Options& preset :
       {Options::balanced(), Options::read_optimized(), Options::write_optimized(), Options::low_memory()}) {
    EXPECT_EQ(check_options(preset).to_string(), "ok");
  }
  EXPECT_EQ(fields(Options::balanced()), fields(Options()));
  EXPECT_EQ(Options::low_memory().memory_limit, 4 * MiB);
  EXPECT_EQ(Options::write_optimized().durability, Durability::process);
}

TEST(Options, EachPresetIsSetByName) {
  Options options;
  ASSERT_TRUE(set_option(options, "preset", "low_memory").ok());
  EXPECT_EQ(fields(options), fields(Options::low_memory()));
  ASSERT_TRUE(set_option(options, "preset", "read_optimized").ok());
  EXPECT_EQ(fields(options), fields(Options::read_optimized()));
  ASSERT_TRUE(set_option(options, "preset", "write_optimized").ok());
  EXPECT_EQ(fields(options), fields(Options::write_optimized()));
  ASSERT_TRUE(set_option(options, "preset", "balanced").ok());
  EXPECT_EQ(fields(options), fields(Options()));
  EXPECT_EQ(refusal("preset", "best"),
            "preset = \"best\": possible are balanced, read_optimized, write_optimized, low_memory");
}

TEST(Options, TheTableNamesTheDefaults) {
  Options options;
  options.create = false;
  options.read_only = true;
  options.durability = Durability::process;
  options.flush_interval_ms = 7;
  options.memory_limit = 5 * MiB;
  options.write_buffer_size = 65 * KiB;
  options.value_separation = 100;
  options.sigbus_guard = false;
  options.compression = Compression::zstd;
  options.compression_level = 5;
  options.page_source = PageSource::pooled;
  for (const OptionInfo& info : option_table()) {
    if (info.name == "preset" || info.name == "on_event" || info.name == "extractors") continue;
    EXPECT_EQ(set_option(options, info.name, info.default_value).to_string(), "ok") << info.name;
  }
  EXPECT_EQ(fields(options), fields(Options()));
}

TEST(Options, ValuesAreReadFromText) {
  Options options;
  EXPECT_TRUE(set_option(options, "memory_limit", "6 GiB").ok());
  EXPECT_EQ(options.memory_limit, 6 * GiB);
  EXPECT_TRUE(set_option(options, "memory_limit", "8388608").ok());
  EXPECT_EQ(options.memory_limit, 8 * MiB);
  EXPECT_TRUE(set_option(options, "write_buffer_size", "64KiB").ok());
  EXPECT_EQ(options.write_buffer_size, 64 * KiB);
  EXPECT_TRUE(set_option(options, "flush_interval_ms", "5s").ok());
  EXPECT_EQ(options.flush_interval_ms, 5000u);
  EXPECT_TRUE(set_option(options, "flush_interval_ms", "20 ms").ok());
  EXPECT_EQ(options.flush_interval_ms, 20u);
  EXPECT_TRUE(set_option(options, "durability", "process").ok());
  EXPECT_EQ(options.durability, Durability::process);
  EXPECT_TRUE(set_option(options, "create", "false").ok());
  EXPECT_FALSE(options.create);
}

TEST(Options, RefusalsSayWhatIsPossible) {
  EXPECT_EQ(
      refusal("memory_limits", "4MiB").find("no option is called \"memory_limits\": possible are preset, "),
      0u);
  EXPECT_EQ(refusal("value_separation", "63"), "value_separation = \"63\": possible are 64 to 2KiB");
  EXPECT_EQ(refusal("value_separation", "2049"), "value_separation = \"2049\": possible are 64 to 2KiB");
  EXPECT_EQ(refusal("durability", "standard"), "durability = \"standard\": possible are process, power");
  EXPECT_EQ(refusal("on_event", "cout"), "on_event = \"cout\": possible are a function, set in code");
  for (const char* text :
       {"", "x", "-1", "64MB", "64MiBs", "64  MiB", "99999999999999999999", "99999999999GiB", "1.5GiB"}) {
    EXPECT_NE(refusal("memory_limit", text), "") << text;
  }
  for (const char* text : {"", "yes", "True", "1"}) EXPECT_NE(refusal("create", text), "") << text;
  EXPECT_NE(refusal("flush_interval_ms", "1MiB"), "");
  EXPECT_NE(refusal("memory_limit", "10s"), "");
}

TEST(Options, ImpossibleCombinationsAreRefused) {
  Options options;
  options.memory_limit = 4 * MiB;
  EXPECT_EQ(
      check_options(options).to_string(),
      "invalid_argument: memory_limit = 4194304: possible are 134217728 and more, twice write_buffer_size");
  options.write_buffer_size = 2 * MiB;
  EXPECT_TRUE(check_options(options).ok());
  options.memory_limit = 4 * MiB - 1;
  EXPECT_NE(check_options(options).message().find("possible are 4MiB or more"), std::string_view::npos);
  options = Options();
  options.durability = Durability::standard;
  EXPECT_TRUE(check_options(options).is(StatusCode::invalid_argument));
  options = Options();
  options.write_buffer_size = UINT64_MAX;
  EXPECT_TRUE(check_options(options).is(StatusCode::invalid_argument));
}

// docs/options.md holds the table; when this fails, replace what stands there by what is printed.
TEST(Options, TheDocumentHoldsTheTable) {
  std::string table = "| option | unit | default | range | effect |\n|---|---|---|---|---|\n";
  for (const OptionInfo& info : option_table()) {
    table.append("| `").append(info.name).append("` | ").append(info.unit).append(" | ").append(
        info.default_value);
    table.append(" | ").append(info.range).append(" | ").append(info.effect).append(" |\n");
  }
  std::ifstream file(LIGHTNING_OPTIONS_DOCUMENT);
  ASSERT_TRUE(file.is_open());
  std::stringstream document;
  document << file.rdbuf();
  EXPECT_NE(document.str().find("\n" + table + "\n"), std::string::npos) << table;
  EXPECT_LE(option_table().size(), 20u);
}

TEST(Options, PageSourceByName) {
  Options options;
  EXPECT_TRUE(set_option(options, "page_source", "pooled").ok());
  EXPECT_EQ(options.page_source, PageSource::pooled);
  EXPECT_TRUE(set_option(options, "page_source", "mapped").ok());
  EXPECT_EQ(options.page_source, PageSource::mapped);
  EXPECT_EQ(refusal("page_source", "disk"), "page_source = \"disk\": possible are automatic, mapped, pooled");
  options.page_source = static_cast<PageSource>(3);
  EXPECT_EQ(check_options(options).message(), "page_source: possible are automatic, mapped, pooled");
}

TEST(Options, CompressionByName) {
  Options options;
  EXPECT_TRUE(set_option(options, "compression", "lz4").ok());
  EXPECT_EQ(options.compression, Compression::lz4);
  EXPECT_TRUE(set_option(options, "compression", "zstd").ok());
  EXPECT_EQ(options.compression, Compression::zstd);
  EXPECT_TRUE(set_option(options, "compression_level", "19").ok());
  EXPECT_TRUE(check_options(options).ok());
  options.compression = Compression::lz4;
  EXPECT_EQ(check_options(options).message(), "compression_level: possible of lz4 are 0 to 12");
  EXPECT_EQ(refusal("compression", "gzip"), "compression = \"gzip\": possible are none, lz4, zstd");
  options.compression = static_cast<Compression>(3);
  EXPECT_EQ(check_options(options).message(), "compression: possible are none, lz4, zstd");
}

}  // namespace
}  // namespace lightning
