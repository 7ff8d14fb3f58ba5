#include "format/codec.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "testing/random.h"

namespace lightning {
namespace {

std::vector<const Codec*> codecs() {
  std::vector<const Codec*> all;
  for (const uint8_t id : {0, 1, 2}) {
    if (Result<const Codec*> codec = codec_of(id); codec) all.push_back(*codec);
  }
  return all;
}

std::string text_of(size_t size, bool random) {
  Random numbers(size);
  std::string text;
  while (text.size() < size) {
    text += random ? std::string(1, static_cast<char>(numbers.next()))
                   : "word" + std::to_string(numbers.below(50)) + " ";
  }
  text.resize(size);
  return text;
}

std::string compressed(const Codec& codec, uint64_t level, std::string_view bytes, uint64_t room) {
  std::string to(room, '\0');
  to.resize(codec.compressor(level)->compress(bytes, to.data(), to.size()));
  return to;
}

TEST(Codec, GivesBackWhatItTook) {
  for (const Codec* codec : codecs()) {
    for (uint64_t level = 0; level <= codec->level_max(); ++level) {
      for (const size_t size : {1, 100, 16'000, 100'000}) {
        for (const bool random : {false, true}) {
          const std::string text = text_of(size, random);
          const std::string bytes = compressed(*codec, level, text, 2 * size + 100);
          ASSERT_FALSE(bytes.empty()) << codec->name() << " " << level;
          std::string back(size, '\0');
          ASSERT_TRUE(codec->decompress(bytes, back.data(), size).ok()) << codec->name() << " " << level;
          EXPECT_EQ(back, text);
          if (size == 16'000 && !random && codec->id() != kCodecNone) {
            EXPECT_LT(bytes.size(), size * 3 / 4) << codec->name();
          }
        }
      }
    }
  }
}

TEST(Codec, SaysWhenThereIsNoRoom) {
  for (const Codec* codec : codecs()) {
    const std::string text = text_of(10'000, true);
    EXPECT_EQ(compressed(*codec, 0, text, text.size() - 1), "") << codec->name();
  }
}

// Whatever bytes come: just the size that is expected, or corruption.
TEST(Codec, BelievesNoByte) {
  Random random(1);
  for (const Codec* codec : codecs()) {
    const std::string text = text_of(2'000, false);
    const std::string good = compressed(*codec, 0, text, 4'000);
    std::vector<char> to(text.size());
    for (const uint64_t size : {text.size() - 1, text.size() / 2, size_t{0}}) {
      std::vector<char> less(size);
      EXPECT_TRUE(codec->decompress(good, less.data(), size).is(StatusCode::corruption)) << codec->name();
    }
    std::vector<char> more(text.size() + 1);
    EXPECT_TRUE(codec->decompress(good, more.data(), more.size()).is(StatusCode::corruption));
    for (int i = 0; i < 2'000; ++i) {
      std::string bad = good;
      for (uint64_t flips = 1 + random.below(4); flips > 0; --flips)
        bad[random.below(bad.size())] = static_cast<char>(random.next());
      if (random.chance(0.2)) bad.resize(random.below(bad.size()));
      const std::vector<char> exact(bad.begin(), bad.end());  // a sanitizer sees a read beyond it
      const Status status = codec->decompress({exact.data(), exact.size()}, to.data(), to.size());
      EXPECT_TRUE(status.ok() || status.is(StatusCode::corruption));
    }
  }
}

TEST(Codec, AnUnknownIdIsClear) {
  const Status status = codec_of(3).status();
  EXPECT_TRUE(status.is(StatusCode::not_supported));
  EXPECT_EQ(status.message(), "codec 3 is of a later version");
  for (const Compression one : {Compression::none, Compression::lz4, Compression::zstd}) {
    const Result<const Codec*> codec = codec_of(codec_id(one));
    EXPECT_TRUE(codec || codec.status().is(StatusCode::not_supported));
    if (codec) {
      EXPECT_EQ((*codec)->id(), codec_id(one));
    }
  }
}

}  // namespace
}  // namespace lightning
