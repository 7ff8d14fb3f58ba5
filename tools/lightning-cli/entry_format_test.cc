#include "tools/lightning-cli/entry_format.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace lightning::cli {
namespace {

constexpr EntryFormat kFormats[] = {{.json = false, .hex = false},
                                    {.json = false, .hex = true},
                                    {.json = true, .hex = false},
                                    {.json = true, .hex = true}};

std::string parse_error(EntryFormat format, std::string_view line) {
  const auto parsed = format.parse(line);
  return parsed ? "" : std::string(parsed.status().message());
}

TEST(EntryFormat, Lines) {
  EXPECT_EQ(kFormats[0].print("a\tb", "c\n"), "a\\tb\tc\\n\n");
  EXPECT_EQ(kFormats[1].print("ab", "\xff"), "6162\tff\n");
  EXPECT_EQ(kFormats[2].print("a\"b", "c\n"), "{\"key\":\"a\\\"b\",\"value\":\"c\\n\"}\n");
  EXPECT_EQ(kFormats[2].print("a", "\xff"), "{\"key\":\"a\",\"value\":\"/w==\",\"value_base64\":true}\n");
  EXPECT_EQ(kFormats[3].print("a", "\xff"), "{\"key\":\"61\",\"value\":\"ff\"}\n");
  EXPECT_EQ(kFormats[0].print_key("a\tb"), "a\\tb\n");
  EXPECT_EQ(kFormats[2].print_key("\xff"), "{\"key\":\"/w==\",\"key_base64\":true}\n");
  EXPECT_EQ(kFormats[0].print_value("a\tb"), "a\tb\n");
  EXPECT_EQ(kFormats[1].print_value("ab"), "6162\n");
  EXPECT_EQ(kFormats[2].print_value("ab"), "{\"value\":\"ab\"}\n");
}

TEST(EntryFormat, WhatIsPrintedIsParsed) {
  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 10'000; ++i) {
    const unsigned range = i % 2 == 0 ? 256 : 128;  // half of them are UTF-8
    std::string key(random() % 9, ' '), value(random() % 40, ' ');
    for (char& c : key) c = static_cast<char>(random() % range);
    for (char& c : value) c = static_cast<char>(random() % range);
    for (const EntryFormat format : kFormats) {
      const std::string line = format.print(key, value);
      ASSERT_EQ(line.find('\n'), line.size() - 1);
      const auto parsed = format.parse(std::string_view(line).substr(0, line.size() - 1));
      ASSERT_TRUE(parsed) << line << parsed.status().to_string();
      EXPECT_EQ(parsed->key, key) << line;
      EXPECT_EQ(parsed->value, value) << line;
    }
  }
}

TEST(EntryFormat, LenientWhereNothingIsLost) {
  EXPECT_EQ(kFormats[0].parse("k\tv\tw")->value, "v\tw");
  EXPECT_EQ(kFormats[0].parse("\t")->key, "");
  EXPECT_EQ(kFormats[2].parse(R"( {"value":"v","extra":[1],"key":"k","key_base64":false} )")->key, "k");
}

TEST(EntryFormat, MalformedLinesAreNamed) {
  EXPECT_EQ(parse_error(kFormats[0], "key"), "there is no tab between a key and a value");
  EXPECT_EQ(parse_error(kFormats[0], "key\t\\q"),
            "the value is not text with the escapes \\t \\n \\r \\\\ \\xHH");
  EXPECT_EQ(parse_error(kFormats[1], "6x\t00"), "the key is not hexadecimal");
  EXPECT_EQ(parse_error(kFormats[2], "{"), "this is not a JSON object");
  EXPECT_EQ(parse_error(kFormats[2], "[]"), "this is not a JSON object");
  EXPECT_EQ(parse_error(kFormats[2], "{\"key\":\"a\"}"), "there is no string \"value\"");
  EXPECT_EQ(parse_error(kFormats[2], "{\"key\":1,\"value\":\"\"}"), "there is no string \"key\"");
  EXPECT_EQ(parse_error(kFormats[2], "{\"key\":\"?\",\"key_base64\":true,\"value\":\"\"}"),
            "the key is not base64");
  EXPECT_EQ(parse_error(kFormats[2], "{\"key\":\"\",\"key_base64\":1,\"value\":\"\"}"),
            "\"key_base64\" is neither true nor false");
}

TEST(EntryFormat, Arguments) {
  EXPECT_EQ(*kFormats[0].argument("00"), "00");
  EXPECT_EQ(*kFormats[1].argument("3031"), "01");
  EXPECT_EQ(kFormats[1].argument("3").status().message(), "the argument \"3\" is not hexadecimal");
}

}  // namespace
}  // namespace lightning::cli
