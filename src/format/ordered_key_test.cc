#include <lightning/key.h>

#include <gtest/gtest.h>

#include <cmath>
#include <compare>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "testing/random.h"

namespace lightning {
namespace {

// A part as a value that compares as it should be ordered: by rank of its type, then by value.
struct Part {
  KeyType type = KeyType::bytes;
  bool negative = false;
  uint64_t magnitude = 0;
  double floating = 0;
  int64_t micros = 0;
  std::string text;
};

int rank(KeyType type) {
  switch (type) {
    case KeyType::integer:
      return 0;
    case KeyType::floating:
      return 1;
    case KeyType::timestamp:
      return 2;
    case KeyType::text:
      return 3;
    case KeyType::bytes:
      return 4;
  }
  return 5;
}

int sign(auto a, auto b) { return a < b ? -1 : a > b ? 1 : 0; }

int compare(const Part& a, const Part& b) {
  if (a.type != b.type) return sign(rank(a.type), rank(b.type));
  switch (a.type) {
    case KeyType::integer:
      if (a.negative != b.negative) return a.negative ? -1 : 1;
      return a.negative ? sign(b.magnitude, a.magnitude) : sign(a.magnitude, b.magnitude);
    case KeyType::floating:
      if (std::isnan(a.floating) || std::isnan(b.floating))
        return sign(std::isnan(a.floating), std::isnan(b.floating));
      return sign(a.floating, b.floating);
    case KeyType::timestamp:
      return sign(a.micros, b.micros);
    default:
      return sign(a.text, b.text);
  }
}

int compare(const std::vector<Part>& a, const std::vector<Part>& b) {
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (const int order = compare(a[i], b[i]); order != 0) return order;
  }
  return sign(a.size(), b.size());
}

uint64_t random_word(Random& random) {
  const uint64_t word = random.next() >> random.below(64);
  return random.chance(0.3) ? (uint64_t{1} << random.below(64)) - random.below(2) : word;
}

double random_double(Random& random) {
  switch (random.below(8)) {
    case 0:
      return 0.0;
    case 1:
      return -0.0;
    case 2:
      return std::numeric_limits<double>::quiet_NaN();
    case 3:
      return std::numeric_limits<double>::infinity() * (random.chance(0.5) ? 1 : -1);
    case 4:
      return std::bit_cast<double>(random.next());
    default:
      return static_cast<double>(static_cast<int64_t>(random.next())) /
             static_cast<double>(1 + random_word(random));
  }
}

std::string random_text(Random& random) {
  std::string text(random.below(6), '\0');
  for (char& c : text) c = std::array{'\0', '\x01', 'a', 'b', '\xfe', '\xff'}[random.below(6)];
  return text;
}

Part random_part(Random& random) {
  Part part;
  part.type = static_cast<KeyType>(random.below(5));
  part.negative = random.chance(0.5);
  part.magnitude = random_word(random);
  if (part.negative) part.magnitude = std::min(std::max<uint64_t>(part.magnitude, 1), uint64_t{1} << 63);
  part.floating = random_double(random);
  part.micros = static_cast<int64_t>(random.chance(0.5) ? random_word(random) : ~random_word(random));
  part.text = random_text(random);
  return part;
}

void write(KeyWriter& key, const Part& part) {
  switch (part.type) {
    case KeyType::integer:
      if (part.negative) {
        key.integer(static_cast<int64_t>(~part.magnitude + 1));
      } else {
        key.unsigned_integer(part.magnitude);
      }
      break;
    case KeyType::floating:
      key.floating(part.floating);
      break;
    case KeyType::timestamp:
      key.timestamp(part.micros);
      break;
    case KeyType::text:
      key.text(part.text);
      break;
    case KeyType::bytes:
      key.bytes(part.text);
      break;
  }
}

std::string encode(const std::vector<Part>& parts) {
  KeyWriter key;
  for (const Part& part : parts) write(key, part);
  return key.take();
}

TEST(OrderedKey, BytesStandInTheOrderOfValues) {
  Random random(1);
  for (int round = 0; round < 200'000; ++round) {
    std::vector<Part> a(random.below(4));
    for (Part& part : a) part = random_part(random);
    std::vector<Part> b = a;
    if (random.chance(0.3)) b.resize(random.below(4));
    for (Part& part : b) {
      if (random.chance(0.4)) part = random_part(random);
    }
    ASSERT_EQ(sign(encode(a), encode(b)), compare(a, b)) << "round " << round;
  }
}

TEST(OrderedKey, WhatWasWrittenIsRead) {
  Random random(2);
  for (int round = 0; round < 50'000; ++round) {
    std::vector<Part> parts(random.below(5));
    for (Part& part : parts) part = random_part(random);
    const std::string key = encode(parts);
    KeyReader reader(key);
    KeyPart read;
    for (const Part& part : parts) {
      ASSERT_TRUE(reader.next(&read)) << "round " << round;
      Part again{
          .type = read.type,
          .negative = read.negative,
          .magnitude = read.negative ? ~static_cast<uint64_t>(read.integer) + 1 : read.unsigned_integer,
          .floating = read.floating,
          .micros = read.integer,
          .text = read.text};
      ASSERT_EQ(compare(part, again), 0);
    }
    ASSERT_FALSE(reader.next(&read));
    ASSERT_TRUE(reader.rest().empty());
  }
}

// Whatever follows a part, it is found again, and two keys keep their order.
TEST(OrderedKey, NoPartIsTheBeginningOfAnother) {
  Random random(3);
  for (int round = 0; round < 50'000; ++round) {
    const Part a = random_part(random);
    const Part b = random_part(random);
    const std::string key_a = encode({a}) + random_text(random);
    const std::string key_b = encode({b}) + random_text(random);
    if (compare(a, b) != 0) {
      ASSERT_EQ(sign(key_a, key_b), compare(a, b));
    }
    KeyReader reader(key_a);
    KeyPart read;
    ASSERT_TRUE(reader.next(&read));
    ASSERT_EQ(std::string(reader.rest()), key_a.substr(encode({a}).size()));
  }
}

TEST(OrderedKey, APrefixBeginsWhatBeginsWithIt) {
  Random random(4);
  for (int round = 0; round < 50'000; ++round) {
    const std::string text = random_text(random);
    const std::string prefix = random_text(random);
    EXPECT_EQ(KeyWriter().text(text).view().starts_with(KeyWriter().text_prefix(prefix).view()),
              text.starts_with(prefix));
    EXPECT_EQ(KeyWriter().bytes(text).view().starts_with(KeyWriter().bytes_prefix(prefix).view()),
              text.starts_with(prefix));
  }
}

// Hostile bytes: refused, or the one form of what they say.
TEST(OrderedKey, OnlyOneFormIsRead) {
  Random random(5);
  for (int round = 0; round < 200'000; ++round) {
    std::string bytes(1 + random.below(12), '\0');
    for (char& c : bytes) c = static_cast<char>(random.chance(0.5) ? random.next() : random.below(2) * 0xff);
    constexpr unsigned char kTags[] = {0x10, 0x17, 0x18, 0x19, 0x20, 0x30, 0x38, 0x40, 0x48};
    if (random.chance(0.8)) bytes[0] = static_cast<char>(kTags[random.below(sizeof(kTags))]);
    KeyReader reader(bytes);
    KeyPart read;
    if (!reader.next(&read)) {
      ASSERT_EQ(reader.rest(), bytes);
      continue;
    }
    Part part{.type = read.type,
              .negative = read.negative,
              .magnitude = read.negative ? ~static_cast<uint64_t>(read.integer) + 1 : read.unsigned_integer,
              .floating = read.floating,
              .micros = read.integer,
              .text = read.text};
    ASSERT_EQ(encode({part}) + std::string(reader.rest()), bytes);
  }
}

TEST(OrderedKey, TuplesOfUsualTypes) {
  EXPECT_LT(ordered_key(-1, "b"), ordered_key(0, "a"));
  EXPECT_LT(ordered_key(2u, 1.5), ordered_key(2u, 2.5));
  EXPECT_EQ(ordered_key(5), ordered_key(uint64_t{5}));
  EXPECT_LT(ordered_key("a"), ordered_key("a", 1));
  EXPECT_EQ(ordered_key(std::numeric_limits<int64_t>::min()).size(), 9u);
  EXPECT_EQ(ordered_key(0).size(), 1u);
}

}  // namespace
}  // namespace lightning
