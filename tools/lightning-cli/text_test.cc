#include "tools/lightning-cli/text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>

namespace lightning::cli {
namespace {

std::string all_bytes() {
  std::string bytes;
  for (int c = 0; c < 256; ++c) bytes.push_back(static_cast<char>(c));
  return bytes;
}

TEST(Text, EscapesWhatWouldBreakALine) {
  EXPECT_EQ(escape("plain text"), "plain text");
  EXPECT_EQ(escape("a\tb\nc\rd\\e"), "a\\tb\\nc\\rd\\\\e");
  EXPECT_EQ(escape(std::string_view("\0\x1b\x7f", 3)), "\\x00\\x1b\\x7f");
  EXPECT_EQ(escape("gr\xc3\xbcn"), "gr\xc3\xbcn");
  EXPECT_EQ(escape("gr\xc3\xbcn \xff"), "gr\\xc3\\xbcn \\xff");
}

TEST(Text, UnescapeTakesBackAnyBytes) {
  EXPECT_EQ(unescape(escape(all_bytes())), all_bytes());
  EXPECT_EQ(unescape(""), "");
  EXPECT_EQ(unescape("\\x4A\\x4a"), "JJ");
}

TEST(Text, UnescapeRefusesWhatItDoesNotKnow) {
  for (const char* text : {"\\", "a\\", "\\q", "\\x", "\\x4", "\\xg0", "\\x0g", "\\N"}) {
    EXPECT_EQ(unescape(text), std::nullopt) << text;
  }
}

TEST(Text, Hex) {
  EXPECT_EQ(to_hex(std::string_view("\0\x9f"
                                    "A",
                                    3)),
            "009f41");
  EXPECT_EQ(from_hex(to_hex(all_bytes())), all_bytes());
  EXPECT_EQ(from_hex("aBCd"), "\xab\xcd");
  EXPECT_EQ(from_hex(""), "");
  for (const char* text : {"0", "0x", "zz", " 00", "00 "}) EXPECT_EQ(from_hex(text), std::nullopt) << text;
}

TEST(Text, Base64) {  // the test vectors of RFC 4648, section 10
  const char* vectors[][2] = {{"", ""},
                              {"f", "Zg=="},
                              {"fo", "Zm8="},
                              {"foo", "Zm9v"},
                              {"foob", "Zm9vYg=="},
                              {"fooba", "Zm9vYmE="},
                              {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_EQ(from_base64(text), bytes);
  }
  EXPECT_EQ(from_base64(to_base64(all_bytes())), all_bytes());
  for (const char* text : {"Z", "Zg=", "Zg", "Z===", "====", "Zg==Zg==", "Zh==", "Zm9=", "Z!==", "=Zg="}) {
    EXPECT_EQ(from_base64(text), std::nullopt) << text;
  }
}

bool json_accepts(const std::string& bytes) {
  try {
    return !nlohmann::json(bytes).dump().empty();
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

TEST(Text, Utf8IsWhatJsonTakes) {
  const char* cases[] = {"\x80",
                         "\xc0\x80",
                         "\xc1\xbf",
                         "\xc2\x80",
                         "\xe0\x9f\xbf",
                         "\xe0\xa0\x80",
                         "\xed\x9f\xbf",
                         "\xed\xa0\x80",
                         "\xf0\x8f\xbf\xbf",
                         "\xf0\x90\x80\x80",
                         "\xf4\x8f\xbf\xbf",
                         "\xf4\x90\x80\x80",
                         "\xf5\x80\x80\x80",
                         "\xe2\x82",
                         "a\xff"};
  for (const char* text : cases) EXPECT_EQ(is_utf8(text), json_accepts(text)) << to_hex(text);

  const auto seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string_view likely("\x41\x80\xbf\x9f\xa0\x90\xc2\xe0\xe1\xed\xf0\xf1\xf4", 13);
  size_t accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text(1 + random() % 5, ' ');
    for (char& c : text) c = likely[random() % likely.size()];
    EXPECT_EQ(is_utf8(text), json_accepts(text)) << to_hex(text);
    accepted += is_utf8(text);
  }
  EXPECT_GT(accepted, 200u);
}

}  // namespace
}  // namespace lightning::cli
