// Each verb, its options, and what it answers where there is nothing, or something else, or somebody else.
#include <gtest/gtest.h>
#include <lightning/database.h>

#include <unistd.h>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "tests/cli/program.h"

namespace lightning {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::vector<json> json_lines(const std::string& text) {
  std::vector<json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
  return lines;
}

std::vector<std::pair<std::string, std::string>> entries(const std::string& directory) {
  std::vector<std::pair<std::string, std::string>> found;
  Result<Database> db = Database::open(directory, {.create = false, .read_only = true});
  EXPECT_TRUE(db) << db.status().to_string();
  if (!db) return found;
  const Status status = for_each(
      db->scan(), [&](std::string_view key, std::string_view value) { found.emplace_back(key, value); });
  EXPECT_TRUE(status.ok()) << status.to_string();
  return found;
}

// Says one line "lightning-cli: ..." and ends with `exit_code`.
testing::AssertionResult fails_with(const Outcome& outcome, int exit_code, const std::string& words) {
  const bool one_line =
      outcome.err.rfind("lightning-cli: ", 0) == 0 && outcome.err.find('\n') + 1 == outcome.err.size();
  if (outcome.exit_code == exit_code && one_line && outcome.err.find(words) != std::string::npos &&
      outcome.out.empty()) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << "exit code " << outcome.exit_code << ", said " << outcome.err
                                     << outcome.out;
}

TEST_F(CliTest, RemovesRanges) {
  for (const char* key : {"a", "b", "c", "d", "user:1", "user:2"}) cli_ok({"put", db_, key, "v"});
  EXPECT_EQ(cli_ok({"remove-range", db_, "--from", "b", "--to", "d"}), "");
  EXPECT_EQ(cli_ok({"remove-range", db_, "--prefix", "user:"}), "");
  EXPECT_EQ(cli_ok({"scan", db_, "--keys-only"}), "a\nd\n");
  EXPECT_TRUE(fails_with(cli({"remove-range", db_, "--from", "b"}), 2, "--to"));
}

TEST_F(CliTest, TxRunsAScriptAsOneTransaction) {
  EXPECT_EQ(cli_ok({"tx", db_, "-"}, "put\ta\t1\nput\tb\t2\nput\tc\\t\t3\nget\ta\n"), "a\t1\n");
  EXPECT_EQ(cli_ok({"tx", db_, "-"}, "expect\ta\t1\nexpect-absent\tz\n\ndelete\tb\nput\ta\t4"), "");
  EXPECT_TRUE(fails_with(cli({"tx", db_, "-"}, "put\tlost\t1\nexpect\ta\t1\n"), 6, "line 2"));
  EXPECT_TRUE(fails_with(cli({"tx", db_, "-"}, "get\ta\nexpect-absent\ta\n"), 6, "line 2"));
  EXPECT_TRUE(fails_with(cli({"tx", db_, "-"}, "put\tlost\t1\nput\ta\n"), 2, "line 2"));
  EXPECT_TRUE(fails_with(cli({"tx", db_, "-", "--hex"}, "put\txx\t31\n"), 2, "line 1"));
  EXPECT_EQ(cli_ok({"scan", db_}), "a\t4\nc\\t\t3\n");
  EXPECT_EQ(cli_ok({"tx", db_, "-", "--hex"}, "put\t61\t35\nremove-range\t62\t64\nget\t61\n"), "61\t35\n");
  EXPECT_EQ(cli_ok({"scan", db_}), "a\t5\n");
  EXPECT_EQ(cli_ok({"tx", db_, "-", "--keyspace", "k"}, "put\ta\tother\n"), "");
  EXPECT_EQ(cli_ok({"get", db_, "a"}), "5\n");
}

TEST_F(CliTest, PutGetDelete) {
  EXPECT_EQ(cli_ok({"put", db_, "user:1", "Alice"}), "");
  EXPECT_EQ(cli_ok({"get", db_, "user:1"}), "Alice\n");
  EXPECT_EQ(cli_ok({"get", db_, "user:1", "--json"}), "{\"value\":\"Alice\"}\n");
  EXPECT_EQ(cli_ok({"get", "--hex", db_, "757365723a31"}), "416c696365\n");
  EXPECT_EQ(cli_ok({"put", db_, "user:1", "Alicia", "--durability", "process"}), "");
  EXPECT_EQ(cli_ok({"get", db_, "user:1"}), "Alicia\n");
  EXPECT_EQ(cli_ok({"delete", db_, "user:1"}), "");
  EXPECT_TRUE(fails_with(cli({"get", db_, "user:1"}), 1, "not_found"));
  EXPECT_EQ(cli_ok({"delete", db_, "user:1"}), "");
}

TEST_F(CliTest, KeysAndValuesMayLookLikeAnything) {
  for (const std::string key :
       {"", "get", "{}", "[a,b]", "a=b", "\"quoted\"", "%%", "ü", "line\nline", "--hex"}) {
    EXPECT_EQ(cli_ok({"put", db_, "--", key, key}), "");
    EXPECT_EQ(cli_ok({"get", db_, "--", key}), key + "\n");
  }
  EXPECT_EQ(entries(db_).size(), 10u);
  cli_ok({"put", db_, "--hex", "00ff", ""});
  EXPECT_EQ(cli_ok({"get", db_, "--hex", "00FF"}), "\n");
}

TEST_F(CliTest, EntriesExpire) {
  cli_ok({"put", db_, "soon", "v", "--ttl-ms", "1"});
  cli_ok({"put", db_, "later", "v", "--ttl-ms=100000000"});
  cli_ok({"set-ttl", db_, "1", "--keyspace", "sessions"});
  cli_ok({"put", db_, "default", "v", "--keyspace", "sessions"});
  cli_ok({"put", db_, "never", "v", "--keyspace", "sessions", "--ttl-ms", "18446744073709551615"});
  cli_ok({"load", db_, "-", "--ttl-ms", "1"}, "loaded\t1\n");
  usleep(5000);
  EXPECT_EQ(cli_ok({"scan", db_, "--keys-only"}), "later\n");
  EXPECT_EQ(cli_ok({"scan", db_, "--keys-only", "--keyspace", "sessions"}), "never\n");
  cli_ok({"set-ttl", db_, "0", "--keyspace", "sessions"});
  cli_ok({"put", db_, "again", "v", "--keyspace", "sessions"});
  usleep(5000);
  EXPECT_EQ(cli_ok({"scan", db_, "--keys-only", "--keyspace", "sessions"}), "again\nnever\n");
}

TEST_F(CliTest, CreateMakesOneThatIsNotThere) {
  EXPECT_EQ(cli_ok({"create", db_, "--option", "preset=low_memory", "--option", "value_separation=64"}), "");
  EXPECT_EQ(cli_ok({"count", db_}), "0\n");
  EXPECT_TRUE(fails_with(cli({"create", db_}), 5, "already_exists"));
}

TEST_F(CliTest, ScanInBothDirections) {
  cli_ok({"load", db_, "-"}, "a\t1\nb1\t2\nb2\t3\nb\\tx\t4\nc\t\\n\n");
  EXPECT_EQ(cli_ok({"scan", db_}), "a\t1\nb\\tx\t4\nb1\t2\nb2\t3\nc\t\\n\n");
  EXPECT_EQ(cli_ok({"scan", db_, "--reverse"}), "c\t\\n\nb2\t3\nb1\t2\nb\\tx\t4\na\t1\n");
  EXPECT_EQ(cli_ok({"scan", db_, "--prefix", "b", "--keys-only"}), "b\\tx\nb1\nb2\n");
  EXPECT_EQ(cli_ok({"scan", db_, "--prefix=b", "--reverse", "--limit=1"}), "b2\t3\n");
  EXPECT_EQ(cli_ok({"scan", db_, "--from", "b1", "--to", "c"}), "b1\t2\nb2\t3\n");
  EXPECT_EQ(cli_ok({"scan", db_, "--from", "b2"}), "b2\t3\nc\t\\n\n");
  EXPECT_EQ(cli_ok({"scan", db_, "--to", "b"}), "a\t1\n");
  EXPECT_EQ(cli_ok({"scan", db_, "--to", "b1", "--reverse", "--limit", "1"}), "b\\tx\t4\n");
  EXPECT_EQ(cli_ok({"scan", db_, "--limit", "0"}), "");
  EXPECT_EQ(cli_ok({"scan", db_, "--hex", "--prefix", "6209"}), "620978\t34\n");
  EXPECT_EQ(cli_ok({"count", db_}), "5\n");
  EXPECT_EQ(cli_ok({"count", db_, "--prefix", "b", "--json"}), "{\"count\":3}\n");
  EXPECT_EQ(cli_ok({"count", db_, "--from", "x"}), "0\n");
}

TEST_F(CliTest, JsonMarksWhatIsNotUtf8) {
  cli_ok({"put", db_, "text", "gr\xc3\xbcn"});
  cli_ok({"put", db_, "raw", "\xff\xfe"});
  const std::vector<json> lines = json_lines(cli_ok({"scan", db_, "--json"}));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], json::parse(R"({"key":"raw","value":"//4=","value_base64":true})"));
  EXPECT_EQ(lines[1], json::parse("{\"key\":\"text\",\"value\":\"gr\xc3\xbcn\"}"));
}

TEST_F(CliTest, Keyspaces) {
  EXPECT_TRUE(fails_with(cli({"keyspaces", db_}), 1, "not_found"));
  cli_ok({"put", db_, "k", "default"});
  EXPECT_EQ(cli_ok({"keyspaces", db_}), "");
  cli_ok({"put", db_, "k", "of people", "--keyspace", "people"});
  cli_ok({"load", db_, "-", "--keyspace", "cities"}, "Lisbon\tPT\n");
  EXPECT_EQ(cli_ok({"keyspaces", db_}), "cities\npeople\n");
  EXPECT_EQ(cli_ok({"keyspaces", db_, "--json"}), "{\"keyspaces\":[\"cities\",\"people\"]}\n");
  EXPECT_EQ(cli_ok({"get", db_, "k"}), "default\n");
  EXPECT_EQ(cli_ok({"get", db_, "k", "--keyspace", "people"}), "of people\n");
  EXPECT_EQ(cli_ok({"dump", db_, "--keyspace", "cities"}), "Lisbon\tPT\n");
  EXPECT_EQ(cli_ok({"drop", db_, "people"}), "");
  EXPECT_TRUE(fails_with(cli({"drop", db_, "people"}), 1, "people"));
  EXPECT_TRUE(fails_with(cli({"get", db_, "k", "--keyspace", "people"}), 1, "people"));
  EXPECT_TRUE(fails_with(cli({"delete", db_, "k", "--keyspace", "people"}), 1, "people"));
  EXPECT_EQ(cli_ok({"keyspaces", db_}), "cities\n");
}

TEST_F(CliTest, LoadReadsFilesAndSaysWhatIsWrongWithThem) {
  write_file(path("entries.tsv"), "a\t1\n\nb\t2");  // an empty line, and no line end at the end
  EXPECT_EQ(cli_ok({"load", db_, path("entries.tsv")}), "2 loaded\n");
  EXPECT_EQ(cli_ok({"load", db_, "-", "--json"}, "{\"key\":\"c\",\"value\":\"3\"}\n"), "{\"loaded\":1}\n");
  EXPECT_EQ(cli_ok({"scan", db_}), "a\t1\nb\t2\nc\t3\n");
  EXPECT_TRUE(fails_with(cli({"load", db_, "-"}, "d\t4\nno tab\ne\t5\n"), 2, "line 2: there is no tab"));
  EXPECT_EQ(cli_ok({"scan", db_, "--from", "d"}), "d\t4\n") << "the lines before the malformed one stay";
  EXPECT_TRUE(fails_with(cli({"load", db_, path("absent")}), 5, "absent"));
  EXPECT_TRUE(fails_with(cli({"load", db_, scratch_.string()}), 5, "directory"));
  EXPECT_TRUE(fails_with(cli({"load", db_, "-"}, std::string(70'000, 'k') + "\tv\n"), 2, "65,535"));
}

TEST_F(CliTest, LoadSortedIsAllOrNothing) {
  const auto load = [&](const std::string& lines) { return cli({"load", db_, "-", "--sorted"}, lines); };
  cli_ok({"put", db_, "b", "before"});
  EXPECT_EQ(cli_ok({"load", db_, "--sorted", "-"}, "a\t1\n\nb\t2\nc\t3\n"), "3 loaded\n");
  EXPECT_EQ(cli_ok({"scan", db_}), "a\t1\nb\t2\nc\t3\n");
  EXPECT_TRUE(fails_with(load("d\t1\nf\t2\ne\t3\n"), 2, "line 3: the key \"e\" does not stand behind"));
  EXPECT_TRUE(fails_with(load("d\t1\nno tab\n"), 2, "line 2: "));
  EXPECT_EQ(cli_ok({"count", db_}), "3\n");
  cli_ok({"load", db_, "--sorted", "--keyspace", "k", "--json", "-"}, R"({"key":"x","value":"1"})"
                                                                      "\n"
                                                                      R"({"key":"y","value":"2"})"
                                                                      "\n");
  EXPECT_EQ(cli_ok({"count", db_, "--keyspace", "k"}), "2\n");
  cli_ok({"verify-integrity", db_});
}

TEST_F(CliTest, WhatIsDumpedIsLoaded) {
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  {
    Result<Database> db = Database::open(db_, {.durability = Durability::process});
    ASSERT_TRUE(db) << db.status().to_string();
    for (int i = 0; i < 3000; ++i) {
      std::string key(random() % 20, ' '), value(random() % (i % 100 == 0 ? 5000 : 60), ' ');
      for (char& c : key) c = static_cast<char>(random());
      for (char& c : value) c = static_cast<char>(random() % (i % 2 == 0 ? 256 : 128));
      ASSERT_TRUE(db->put(key, value).ok());
    }
    ASSERT_TRUE(db->put("", "of the empty key").ok());
    ASSERT_TRUE(db->put(std::string(kKeyBytesMax, '\xff'), std::string(3'000'000, '\\')).ok());
    ASSERT_TRUE(db->close().ok());
  }
  const auto expected = entries(db_);
  int copies = 0;
  for (const std::vector<std::string>& format :
       {std::vector<std::string>{}, {"--hex"}, {"--json"}, {"--json", "--hex"}}) {
    std::vector<std::string> dump = {"dump", db_},
                             load = {"load", path("copy" + std::to_string(copies)), "-"};
    dump.insert(dump.end(), format.begin(), format.end());
    load.insert(load.end(), format.begin(), format.end());
    cli_ok(load, cli_ok(dump));
    EXPECT_TRUE(entries(path("copy" + std::to_string(copies++))) == expected) << json(format);
  }
}

TEST_F(CliTest, StatsFlushCompact) {
  cli_ok({"load", db_, "-"}, "a\t1\nb\t2\n");
  cli_ok({"put", db_, "a", "3"});
  cli_ok({"flush", db_});
  cli_ok({"put", db_, "c", "4"});
  cli_ok({"compact", db_});
  const json stats = json::parse(cli_ok({"stats", db_, "--json"}));
  EXPECT_EQ(stats["run_entries"], 3);
  EXPECT_EQ(stats["sorted_runs"], 1);
  EXPECT_EQ(stats["keyspaces"], 1);
  EXPECT_EQ(stats["unknown_files"], json::array());
  EXPECT_NE(cli_ok({"stats", db_}).find("\nrun_entries          3\n"), std::string::npos);
  EXPECT_NE(cli_ok({"metrics", db_}).find("\nlightning_run_entries 3\n"), std::string::npos);
  EXPECT_EQ(cli_ok({"metrics", db_}).find("# EOF"), std::string::npos);
  EXPECT_TRUE(cli_ok({"metrics", db_, "--openmetrics"}).ends_with("\n# EOF\n"));
  EXPECT_EQ(cli_ok({"scan", db_}), "a\t3\nb\t2\nc\t4\n");
}

TEST_F(CliTest, CompactsARange) {
  // So many others that nothing is merged by itself.
  std::string lines = "a\t1\nb\t2\nc\t3\nd\t4\n";
  for (int i = 100; i < 300; ++i) lines += "other" + std::to_string(i) + "\tvalue\n";
  cli_ok({"load", db_, "-"}, lines);
  cli_ok({"compact", db_});
  const auto removals = [&] {
    const json stats = json::parse(cli_ok({"stats", db_, "--json"}));
    uint64_t count = 0;
    for (const json& level : stats["levels"]) count += level["removals"].get<uint64_t>();
    return count;
  };
  for (const std::string key : {"a", "b", "d"}) cli_ok({"delete", db_, key});
  cli_ok({"flush", db_});
  ASSERT_EQ(removals(), 3u);
  EXPECT_TRUE(fails_with(cli({"compact", db_, "--keyspace", "none"}), 1, "not_found"));
  EXPECT_EQ(removals(), 3u);
  cli_ok({"compact", db_, "--from", "b", "--to", "c"});
  EXPECT_EQ(cli_ok({"scan", db_, "--to", "o"}), "c\t3\n");
  cli_ok({"compact", db_, "--hex", "--prefix", "64"});
  cli_ok({"compact", db_, "--to", "b"});
  EXPECT_EQ(removals(), 0u);
  EXPECT_EQ(json::parse(cli_ok({"stats", db_, "--json"}))["run_entries"], 201);
  EXPECT_EQ(cli_ok({"scan", db_, "--to", "o"}), "c\t3\n");
}

TEST_F(CliTest, OptionsArePrinted) {
  const json table = json::parse(cli_ok({"options", "--json"}))["options"];
  ASSERT_EQ(table.size(), option_table().size());
  const std::string text = cli_ok({"options"});
  for (size_t i = 0; i < table.size(); ++i) {
    EXPECT_EQ(table[i]["name"], option_table()[i].name);
    EXPECT_EQ(table[i]["effect"], option_table()[i].effect);
    EXPECT_NE(text.find(option_table()[i].effect), std::string::npos);
  }
}

TEST_F(CliTest, CheckpointBackupRestore) {
  cli_ok({"load", db_, "-"}, "a\t1\nb\t2\n");
  cli_ok({"compact", db_});
  cli_ok({"put", db_, "c", "3"});
  const DirectoryImage before = directory_image(db_);
  EXPECT_NE(cli_ok({"checkpoint", db_, path("linked")}).find(", of these 1 linked\n"), std::string::npos);
  const json made = json::parse(cli_ok({"backup", db_, path("copied"), "--json"}));
  EXPECT_EQ(made["run_entries"], 2);
  EXPECT_EQ(made["files"], 2);
  EXPECT_EQ(made["linked_files"], 0);
  cli_ok({"restore", path("copied"), path("restored")});
  EXPECT_EQ(directory_image(db_), before);
  const std::string all = cli_ok({"scan", db_});
  for (const std::string name : {"linked", "copied", "restored"}) {
    EXPECT_EQ(cli_ok({"scan", path(name)}), all);
    cli_ok({"verify-integrity", path(name)});
    cli_ok({"put", path(name), "d", name});
    cli_ok({"compact", path(name)});
  }
  EXPECT_EQ(cli_ok({"scan", db_}), all);
  EXPECT_TRUE(fails_with(cli({"backup", db_, path("copied")}), 5, "already_exists"));
  EXPECT_TRUE(fails_with(cli({"restore", path("nothing"), path("new")}), 1, "not_found"));
}

TEST_F(CliTest, IndexesAreMadeListedAndDropped) {
  cli_ok({"load", db_, "-"}, "1\tOslo,31\n2\tRome,7\n3\tOslo,58\n");
  EXPECT_EQ(cli_ok({"index", "create", db_, "age", "--column", "1", "--type", "integer", "--unique"}), "");
  EXPECT_EQ(cli_ok({"index", "create", db_, "city", "--column", "0"}), "");
  const Outcome twice = cli({"put", db_, "4", "Bonn,7"});
  EXPECT_TRUE(fails_with(twice, 5, "already_exists"));
  cli_ok({"put", db_, "4", "Bonn,8"});
  const json list = json::parse(cli_ok({"index", "list", db_, "--json"}));
  ASSERT_EQ(list["indexes"].size(), 2u);
  EXPECT_EQ(list["indexes"][0]["name"], "age");
  EXPECT_EQ(list["indexes"][0]["state"], "ready");
  EXPECT_EQ(list["indexes"][0]["unique"], true);
  EXPECT_NE(cli_ok({"index", "list", db_}).find("city\tready\tcolumn 0 of the value"), std::string::npos);
  const json stats = json::parse(cli_ok({"index", "stats", db_, "city", "--json"}));
  EXPECT_EQ(stats["entries"], 4);
  EXPECT_EQ(stats["distinct"], 3);
  EXPECT_EQ(cli_ok({"query", db_, "age >= 8 and city = \"Oslo\" order by age desc"}),
            "3\tOslo,58\n1\tOslo,31\n");
  EXPECT_EQ(cli_ok({"query", db_, "age < 10 limit 1"}), "2\tRome,7\n");
  EXPECT_EQ(cli_ok({"query", db_, "city = \"Oslo\" and (age = 31 or age = 58) or age = 7 order by age"}),
            "2\tRome,7\n1\tOslo,31\n3\tOslo,58\n");
  EXPECT_NE(
      json::parse(cli_ok({"query", db_, "age = 7", "--explain", "--json"}))["plan"].get<std::string>().find(
          "index age"),
      std::string::npos);
  EXPECT_TRUE(fails_with(cli({"query", db_, "age = "}), 2, "too early"));
  EXPECT_TRUE(fails_with(cli({"query", db_, "colour = 7"}), 1, "colour"));
  // What cannot be unique is not left behind.
  EXPECT_TRUE(fails_with(cli({"index", "create", db_, "u", "--column", "0", "--unique"}), 5, "Oslo"));
  EXPECT_EQ(json::parse(cli_ok({"index", "list", db_, "--json"}))["indexes"].size(), 2u);
  EXPECT_TRUE(fails_with(cli({"index", "create", db_, "age", "--column", "1"}), 5, "already_exists"));
  EXPECT_EQ(cli_ok({"index", "drop", db_, "age"}), "");
  EXPECT_TRUE(fails_with(cli({"index", "drop", db_, "age"}), 1, "not_found"));
  EXPECT_TRUE(fails_with(cli({"index", "turn", db_}), 2, "create, drop, list or stats"));
  EXPECT_TRUE(fails_with(cli({"index", "create", db_, "x", "--type", "colour"}), 2, ""));
}

TEST_F(CliTest, IndexesOfJsonAreMadeWithAPresetToo) {
  cli_ok({"put", db_, "1", R"({"city":"Oslo"})"});
  const std::vector<std::string> preset = {"--option", "preset=low_memory"};
  const auto with_preset = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), preset.begin(), preset.end());
    return cli_ok(arguments);
  };
  EXPECT_EQ(with_preset({"index", "create", db_, "city", "--json-pointer", "/city", "--type", "text"}), "");
  EXPECT_EQ(with_preset({"put", db_, "2", R"({"city":"Rome"})"}), "");
  EXPECT_EQ(with_preset({"query", db_, "city = \"Rome\""}), "2\t{\"city\":\"Rome\"}\n");
}

TEST_F(CliTest, HelpOfEachVerb) {
  const std::string overview = cli_ok({"--help"});
  for (const std::string verb :
       {"create",  "put",        "get",     "delete", "remove-range", "scan",
        "count",   "load",       "dump",    "stats",  "metrics",      "flush",
        "compact", "keyspaces",  "set-ttl", "drop",   "options",      "verify-integrity",
        "repair",  "checkpoint", "backup",  "restore"}) {
    EXPECT_NE(overview.find("\n  " + verb + " "), std::string::npos) << verb;
    EXPECT_NE(cli_ok({verb, "--help"}).find("lightning-cli " + verb), std::string::npos);
  }
  EXPECT_EQ(cli_ok({"--version"}).rfind("lightning-cli ", 0), 0u);
}

TEST_F(CliTest, UsageErrors) {
  cli_ok({"create", db_});
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"fetch"},
      {"put"},
      {"put", db_, "k"},
      {"get", db_, "k", "extra"},
      {"get", db_, "k", "--limit", "1"},
      {"scan", db_, "--limit", "-1"},
      {"scan", db_, "--limit", "many"},
      {"scan", db_, "--prefix", "a", "--from", "b"},
      {"put", db_, "k", "v", "--hex"},
      {"put", db_, "k", "v", "--ttl-ms", "soon"},
      {"put", db_, "k", "v", "--ttl-ms", "-5000"},
      {"put", db_, "k", "v", "--ttl-ms", "99999999999999999999"},
      {"put", db_, "k", "v", "--ttl-ms", "0x10"},
      {"load", db_, "-", "--sorted", "--ttl-ms", "1"},
      {"set-ttl", db_},
      {"set-ttl", db_, "--", "-1"},
      {"tx", db_, "-", "--prepare", ""},
      {"index", "create", db_, "i", "--column", "-1"},
      {"index", "create", db_, "i", "--column", "4294967295"},
      {"get", db_, "abc", "--hex"},
      {"scan", db_, "--prefix", "0", "--hex"},
      {"put", db_, "k", "v", "--durability", "forever"},
      {"put", db_, "k", "v", "--option", "durability"},
      {"put", db_, "k", "v", "--option", "colour=red"},
      {"put", db_, "k", "v", "--option", "memory_limit=1MiB"},
      {"scan", db_, "--option", "memory_limit=5MiB"},
      {"put", db_, std::string(65'536, 'k'), "v"},
      {"put", db_, "k", "v", "--keyspace", std::string(256, 'n')},
  };
  for (const std::vector<std::string>& arguments : wrong) {
    EXPECT_TRUE(fails_with(cli(arguments), 2, "")) << json(arguments).dump().substr(0, 100);
  }
  EXPECT_EQ(cli_ok({"count", db_}), "0\n");
}

TEST_F(CliTest, ASecondHolderIsBusy) {
  cli_ok({"put", db_, "k", "v"});
  Result<Database> db = Database::open(db_);
  ASSERT_TRUE(db) << db.status().to_string();
  const std::string holder = std::to_string(::getpid());
  EXPECT_TRUE(fails_with(cli({"put", db_, "k", "w"}), 4, holder));
  EXPECT_TRUE(fails_with(cli({"get", db_, "k"}), 4, holder));
  ASSERT_TRUE(db->close().ok());

  Result<Database> reader = Database::open(db_, {.create = false, .read_only = true});
  ASSERT_TRUE(reader) << reader.status().to_string();
  EXPECT_EQ(cli_ok({"get", db_, "k"}), "v\n");
  EXPECT_TRUE(fails_with(cli({"put", db_, "k", "w"}), 4, "busy"));
}

// Verbs that only read.
std::vector<std::vector<std::string>> reading_verbs(const std::string& db) {
  return {{"get", db, "k1"}, {"get", db, "absent"}, {"scan", db},  {"scan", db, "--reverse", "--json"},
          {"count", db},     {"dump", db, "--hex"}, {"stats", db}, {"keyspaces", db}};
}

TEST_F(CliTest, ReadingMakesNothing) {
  for (const std::vector<std::string>& arguments : reading_verbs(db_)) {
    EXPECT_TRUE(fails_with(cli(arguments), 1, "not_found")) << arguments[0];
    EXPECT_FALSE(fs::exists(db_)) << arguments[0];
  }
  for (const std::string verb : {"flush", "compact"}) {
    EXPECT_TRUE(fails_with(cli({verb, db_}), 1, "not_found"));
    EXPECT_FALSE(fs::exists(db_)) << verb;
  }
  fs::create_directory(db_);
  for (const std::vector<std::string>& arguments : reading_verbs(db_)) {
    EXPECT_TRUE(fails_with(cli(arguments), 1, "not_found")) << arguments[0];
    EXPECT_TRUE(fs::is_empty(db_)) << arguments[0];
  }
}

TEST_F(CliTest, ReadingChangesNothing) {
  cli_ok({"load", db_, "-"}, "k1\t1\nk2\t2\n");
  cli_ok({"flush", db_});
  // A killed writer leaves a log to be recovered.
  const Outcome killed = shell(std::string("\"") + LIGHTNING_WRITER +
                               "\" \"$DB\" \"$DB.notes\" 1 & "
                               "until [ -s \"$DB.notes\" ]; do sleep 0.01; done; kill -KILL $!; wait $!");
  EXPECT_EQ(killed.exit_code, 128 + SIGKILL);
  const DirectoryImage before = directory_image(db_);
  for (const std::vector<std::string>& arguments : reading_verbs(db_)) {
    cli(arguments);
    EXPECT_TRUE(directory_image(db_) == before) << arguments[0];
  }
  EXPECT_GT(json::parse(cli_ok({"stats", db_, "--json"}))["recovered_records"], 0);
  const std::string all = cli_ok({"scan", db_});
  std::istringstream notes(read_file(db_ + ".notes"));
  for (std::string line; std::getline(notes, line);)
    EXPECT_NE(all.find(line + "\n"), std::string::npos) << line;
  EXPECT_NE(all.find("k1\t1\nk2\t2\n"), std::string::npos);
  EXPECT_TRUE(directory_image(db_) == before);
}

TEST_F(CliTest, WhatIsNoDatabase) {
  write_file(path("file"), "text");
  for (const std::string verb : {"stats", "create", "flush"}) {
    const Outcome outcome = cli({verb, path("file")});
    EXPECT_TRUE(fails_with(outcome, 2, "file")) << verb;
  }
  EXPECT_EQ(read_file(path("file")), "text");
  EXPECT_TRUE(fails_with(cli({"put", path("file/db"), "k", "v"}), 2, "file"));
  write_file(scratch_ / "notes.txt", "text");
  EXPECT_TRUE(fails_with(cli({"stats", scratch_.string()}), 1, "not_found"));
}

}  // namespace
}  // namespace lightning
