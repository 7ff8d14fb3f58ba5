// Whatever LeafBuilder builds has a dense form and comes back of it bit for bit; what is none is refused.

#include "run/dense_leaf.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "run/leaf_builder.h"
#include "run/leaf_page.h"
#include "run/run_test_support.h"
#include "run/stored_page.h"
#include "testing/random.h"

namespace lightning {
namespace {

constexpr uint64_t kPage = 8;
constexpr uint8_t kPut = static_cast<uint8_t>(EntryKind::put);

std::string noise(Random& random, uint64_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.next());
  return bytes;
}

/// Bytes in a block of just their size, so that a sanitizer sees what reads or writes beyond them.
struct Block {
  explicit Block(std::string_view from) : size(from.size()), bytes(new char[from.size()]) {
    from.copy(bytes.get(), size);
  }
  std::string_view view() const { return {bytes.get(), size}; }
  uint64_t size;
  std::unique_ptr<char[]> bytes;
};

std::string build(LeafBuilder& builder) {
  std::string page(kLargeLeafBytes, '\0');
  builder.build(page.data(), PageKind::leaf, kLargeLeafBytes / kUnitBytes, kTestRunId, kPage);
  return page;
}

/// The leaf in a block that held something else before; empty when that is refused.
std::string restored(const PageHeader& header, std::string_view dense) {
  const Block form(dense);
  Block page(std::string(kLargeLeafBytes, '\xaa'));
  return restore_leaf(header, form.view(), page.bytes.get()) ? std::string(page.view()) : std::string();
}

/// Nothing that reads the entries leaves the page; true when all of them parse.
bool reads(std::string_view page) {
  LeafPage leaf;
  LeafEntry entry;
  if (!leaf.parse(page.data(), page.size())) return false;
  bool all = true;
  for (uint32_t slot = 0; slot < leaf.count(); ++slot) all &= leaf.entry(slot, &entry);
  return all;
}

std::string versions_of(Random& random) {
  std::string body;
  char number[kVarint64BytesMax];
  const auto put = [&](uint64_t value) { body.append(number, put_varint(number, value)); };
  const uint64_t count = 1 + random.below(4);
  put(count);
  for (uint64_t i = 0; i < count; ++i) {
    put(1000 - i);
    body += static_cast<char>(kPut);
    put(3);
  }
  for (uint64_t i = 0; i < count; ++i) body += "abc";
  return body;
}

/// An entry of some kind, of about this size; false when it does not fit.
bool add_entry(Random& random, uint64_t size, const std::string& key, LeafBuilder* builder) {
  uint8_t flags = kPut;
  std::string body = noise(random, random.below(size + 1));
  uint64_t value_size = body.size();
  switch (random.below(8)) {
    case 0:
      flags = static_cast<uint8_t>(EntryKind::remove);
      body.clear();
      value_size = 0;
      break;
    case 1:
      flags = static_cast<uint8_t>(EntryKind::put_expiring);
      body.insert(0, "8 bytes!");
      value_size = body.size();
      break;
    case 2:
      flags |= kEntryOutside;
      body = noise(random, sizeof(ValueRef));
      value_size = random.below(1 << random.below(31));
      break;
    case 3:
      flags |= kEntryVersioned;
      body = versions_of(random);
      value_size = body.size();
      break;
    default:
      break;
  }
  const auto value_bytes = static_cast<uint32_t>(value_size);
  if (builder->size_with(key, value_bytes, body.size()) > kLargeLeafBytes) return false;
  builder->add(key, 0, flags, value_bytes, body);
  return true;
}

/// Keys of one shape, ascending: numbers, bytes, long ones, ones that begin with one another.
std::set<std::string> keys_of(Random& random) {
  std::set<std::string> keys;
  const std::string prefix = noise(random, random.chance(0.5) ? random.below(20) : random.below(400));
  const uint64_t shape = random.below(5);
  const uint64_t size_max = uint64_t{1} << random.below(shape == 2 ? 12 : 6);
  for (uint64_t count = 1 + random.below(2000); count > 0; --count) {
    std::string key = prefix;
    if (shape == 0) key += std::to_string(1'000'000 + random.below(10'000));
    if (shape == 1 || shape == 2) key += noise(random, random.below(size_max + 1));
    if (shape == 3) key += std::string(random.below(200), 'a');
    if (shape == 4) key += std::string(random.below(40), '\0').append(noise(random, random.below(3)));
    keys.insert(key);
  }
  return keys;
}

LeafBuilder random_leaf(uint64_t seed) {
  Random random(seed);
  LeafBuilder builder;
  const uint64_t entry_bytes = uint64_t{1} << random.below(12);
  for (const std::string& key : keys_of(random)) {
    if (!add_entry(random, entry_bytes, key, &builder)) break;
  }
  return builder;
}

TEST(DenseLeaf, WhatWasBuiltComesBack) {
  DenseLeaf dense;
  std::set<uint8_t> flags;
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    LeafBuilder builder = random_leaf(seed);
    if (builder.empty()) continue;  // its first entry needs a page of its own
    for (const LeafBuilder::Entry& entry : builder.entries()) flags.insert(entry.flags);
    const std::string page = build(builder);
    const std::string form(dense.of(page.data()));
    ASSERT_FALSE(form.empty());
    // Heads and slots are six bytes an entry, and what is shared takes one or two.
    ASSERT_LE(form.size() + builder.entries().size() * 4, builder.size());
    ASSERT_EQ(restored(load<PageHeader>(page.data()), form), page);
  }
  EXPECT_EQ(flags.size(), 5u);
}

TEST(DenseLeaf, SmallestAndFullLeaves) {
  DenseLeaf dense;
  LeafBuilder one;
  one.add("k", 0, static_cast<uint8_t>(EntryKind::remove), 0, "");
  LeafBuilder large;
  large.add("k", 0, kPut, 16'334, std::string(16'334, 'v'));
  ASSERT_EQ(large.size(), kLargeLeafBytes);
  LeafBuilder long_key;
  long_key.add(std::string(16'300, 'k'), 0, kPut, 1, "v");
  LeafBuilder many;
  for (int i = 0; many.size_with(std::to_string(10'000 + i), 0, 0) <= kLargeLeafBytes; ++i)
    many.add(std::to_string(10'000 + i), 0, static_cast<uint8_t>(EntryKind::remove), 0, "");
  ASSERT_GT(many.entries().size(), 1000u);
  for (LeafBuilder* builder : {&one, &large, &long_key, &many}) {
    const std::string page = build(*builder);
    const std::string form(dense.of(page.data()));
    ASSERT_FALSE(form.empty());
    EXPECT_EQ(restored(load<PageHeader>(page.data()), form), page);
  }
}

// What a key of nearly a leaf takes beside itself is more in the form than in the leaf.
TEST(DenseLeaf, OfOneLongKeyThereMayBeNone) {
  LeafBuilder builder;
  builder.add(std::string(16'340, 'k'), 0, kPut, 1, "v");
  ASSERT_EQ(builder.size(), kLargeLeafBytes);
  const std::string page = build(builder);
  EXPECT_TRUE(DenseLeaf().of(page.data()).empty());
}

/// What stands in a file for a leaf, and is made of it again.
std::string packed(const std::string& page, Compression compression, StoredPage* stored, std::string* bytes) {
  PagePacker packer(**codec_of(codec_id(compression)), 0);
  *bytes = packer.pack(page.data(), page.size(), kTestRunId, kPage);
  EXPECT_TRUE(StoredPage::parse(*bytes, kTestRunId, kPage, kLargeLeafBytes, stored).ok());
  std::string again(kLargeLeafBytes, '\xaa');
  EXPECT_TRUE(stored->unpack(again.data()).ok());
  return again.replace(0, sizeof(PageHeader), page.substr(0, sizeof(PageHeader)));
}

bool has_codec(Compression compression) { return codec_of(codec_id(compression)).ok(); }

TEST(DenseLeaf, StandsInFilesWithAnyCodec) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    LeafBuilder builder = random_leaf(seed);
    if (builder.empty()) continue;
    const std::string page = build(builder);
    for (const Compression compression : {Compression::none, Compression::lz4, Compression::zstd}) {
      if (!has_codec(compression)) continue;
      StoredPage stored;
      std::string bytes;
      ASSERT_EQ(packed(page, compression, &stored, &bytes), page) << seed;
      ASSERT_GT(stored.header.dense, 0u);
      ASSERT_LE(stored.header.stored, stored.header.dense);
    }
  }
}

// The codec has nothing to gain: the form alone is smaller than the page.
TEST(DenseLeaf, OfNoiseStandsWithoutACodec) {
  if (!has_codec(Compression::lz4)) GTEST_SKIP();
  Random random(1);
  LeafBuilder builder;
  for (int i = 0; i < 100; ++i) builder.add(std::to_string(1000 + i), 0, kPut, 100, noise(random, 100));
  StoredPage stored;
  std::string bytes;
  const std::string page = build(builder);
  EXPECT_EQ(packed(page, Compression::lz4, &stored, &bytes), page);
  EXPECT_EQ(stored.codec->id(), kCodecNone);
  EXPECT_EQ(stored.header.stored, stored.header.dense);
  EXPECT_LT(bytes.size(), builder.size() - 100 * 8);
}

// Nobody builds such ones; if there are any, they stand as they are, as all did before there was the form.
TEST(DenseLeaf, APageOfAnotherLayoutIsLeftAsItIs) {
  LeafBuilder builder;
  for (int i = 0; i < 20; ++i) builder.add("key" + std::to_string(100 + i), 0, kPut, 6, "values");
  const std::string intact = build(builder);
  const uint64_t heads = align_up(sizeof(PageHeader) + 4, kEntryAlignment);  // "key1"
  const uint64_t slots = heads + 20 * 4;
  const uint64_t entry = builder.entries()[3].page_offset;
  for (const uint64_t at :
       {heads + 4, slots + 2, entry, entry + 1, entry + 11, uint64_t{kLargeLeafBytes - 1}}) {
    std::string page = intact;
    page[at] = static_cast<char>(page[at] ^ 1);
    seal_page(page.data(), page.size(), kTestRunId, kPage);
    EXPECT_TRUE(DenseLeaf().of(page.data()).empty()) << at;
    for (const Compression compression : {Compression::none, Compression::lz4, Compression::zstd}) {
      if (!has_codec(compression)) continue;
      StoredPage stored;
      std::string bytes;
      EXPECT_EQ(packed(page, compression, &stored, &bytes), page) << at;
      EXPECT_EQ(stored.header.dense, 0u);
    }
  }
  EXPECT_FALSE(DenseLeaf().of(intact.data()).empty());
}

/// A leaf with one of each.
std::string varied_page() {
  Random random(3);
  LeafBuilder builder;
  const std::string versions = versions_of(random);
  builder.add("key1", 0, kPut, 5, "value");
  builder.add("key10", 0, static_cast<uint8_t>(EntryKind::remove), 0, "");
  builder.add("key100", 0, kPut, 300, noise(random, 300));
  builder.add("key2", 0, kPut | kEntryOutside, 70'000, noise(random, sizeof(ValueRef)));
  builder.add("key3", 0, kPut | kEntryVersioned, static_cast<uint32_t>(versions.size()), versions);
  builder.add("key3" + std::string(150, 'k'), 0, kPut, 0, "");
  return build(builder);
}

TEST(DenseLeaf, EveryBit) {
  const std::string page = varied_page();
  const std::string form(DenseLeaf().of(page.data()));
  for (size_t bit = 0; bit < form.size() * 8; ++bit) {
    std::string other = form;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
    const std::string leaf = restored(load<PageHeader>(page.data()), other);
    ASSERT_NE(leaf, page) << bit;
    if (!leaf.empty()) reads(leaf);
  }
  for (size_t bit = 0; bit < sizeof(PageHeader) * 8; ++bit) {
    std::string header = page.substr(0, sizeof(PageHeader));
    header[bit / 8] = static_cast<char>(header[bit / 8] ^ (1 << bit % 8));
    const std::string leaf = restored(load<PageHeader>(header.data()), form);
    if (!leaf.empty()) reads(leaf);
  }
}

// Every bit of what stands in a file: nothing of it goes unnoticed, and where the checksum is made to fit,
// nothing leads outside.
TEST(DenseLeaf, EveryBitOfAStoredPage) {
  const std::string page = varied_page();
  for (const Compression compression : {Compression::none, Compression::lz4, Compression::zstd}) {
    if (!has_codec(compression)) continue;
    StoredPage stored;
    std::string intact;
    ASSERT_EQ(packed(page, compression, &stored, &intact), page);
    for (size_t bit = 0; bit < intact.size() * 8; ++bit) {
      std::string bytes = intact;
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
      StoredPage other;
      ASSERT_TRUE(StoredPage::parse(Block(bytes).view(), kTestRunId, kPage, kLargeLeafBytes, &other)
                      .is(StatusCode::corruption));
      seal_page(bytes.data(), bytes.size(), kTestRunId, kPage);
      const Block sealed(bytes);
      Status status = StoredPage::parse(sealed.view(), kTestRunId, kPage, kLargeLeafBytes, &other);
      Block leaf(std::string(kLargeLeafBytes, '\xaa'));
      if (status.ok()) status = other.unpack(leaf.bytes.get());
      ASSERT_TRUE(status.ok() || status.is(StatusCode::corruption) || status.is(StatusCode::not_supported));
      if (status.ok()) reads(leaf.view());
    }
  }
}

// A checksum that fits does not make a size right that the form would be made to.
TEST(DenseLeaf, HeadersThatContradictThemselves) {
  const std::string page = varied_page();
  const auto parse = [&](Compression compression, const std::function<void(PageHeader&)>& change) {
    PagePacker packer(**codec_of(codec_id(compression)), 0);
    std::string bytes(packer.pack(page.data(), page.size(), kTestRunId, kPage));
    auto header = load<PageHeader>(bytes.data());
    change(header);
    store(bytes.data(), header);
    seal_page(bytes.data(), bytes.size(), kTestRunId, kPage);
    StoredPage stored;
    return StoredPage::parse(bytes, kTestRunId, kPage, 2 * kLargeLeafBytes, &stored).code();
  };
  const auto jumbo = [](PageHeader& header) {
    header.kind = PageKind::jumbo;
    header.units = 5;
  };
  EXPECT_EQ(parse(Compression::none, [](PageHeader&) {}), StatusCode::ok);
  EXPECT_EQ(parse(Compression::none, [](PageHeader& header) { header.dense += 1; }), StatusCode::corruption);
  EXPECT_EQ(parse(Compression::none, [](PageHeader& header) { header.dense -= 1; }), StatusCode::corruption);
  EXPECT_EQ(parse(Compression::none, jumbo), StatusCode::corruption);
  if (!has_codec(Compression::lz4)) return;
  EXPECT_EQ(parse(Compression::lz4, [](PageHeader& header) { header.dense = kDenseLeafBytesMax; }),
            StatusCode::ok);
  EXPECT_EQ(parse(Compression::lz4, [](PageHeader& header) { header.dense = kDenseLeafBytesMax + 1; }),
            StatusCode::corruption);
  EXPECT_EQ(parse(Compression::lz4, jumbo), StatusCode::corruption);
}

TEST(DenseLeaf, EveryLength) {
  const std::string page = varied_page();
  const std::string form(DenseLeaf().of(page.data()));
  const auto header = load<PageHeader>(page.data());
  for (size_t size = 0; size < form.size(); ++size)
    ASSERT_TRUE(restored(header, form.substr(0, size)).empty()) << size;
  EXPECT_TRUE(restored(header, form + '\0').empty());
  EXPECT_EQ(restored(header, form), page);
}

struct Form {
  PageHeader header = {};
  std::vector<uint32_t> key_sizes, shared_sizes, value_sizes;
  std::string prefix, flags, keys, bodies;

  std::string leaf() const {
    std::string columns[3];
    const std::vector<uint32_t>* const sizes[] = {&key_sizes, &shared_sizes, &value_sizes};
    std::string dense;
    const auto put = [&](uint64_t size) {
      dense.append({static_cast<char>(size), static_cast<char>(size >> 8)});
    };
    for (size_t i = 0; i < 3; ++i) {
      char number[kVarint64BytesMax];
      for (const uint32_t size : *sizes[i]) columns[i].append(number, put_varint(number, size));
      put(columns[i].size());
    }
    put(keys.size());
    dense += prefix + flags + columns[0] + columns[1] + columns[2] + keys + bodies;
    return restored(header, dense);
  }
};

TEST(DenseLeaf, SizesThatLeadOutside) {
  Form intact;
  intact.header = {.checksum = 0,
                   .kind = PageKind::leaf,
                   .codec = 0,
                   .count = 2,
                   .prefix_size = 1,
                   .units = 4,
                   .stored = 1,
                   .number = 0,
                   .dense = 1};
  intact.key_sizes = {2, 3};
  intact.shared_sizes = {0, 2};
  intact.value_sizes = {4, 0};
  intact.prefix = "p";
  intact.flags = std::string(2, static_cast<char>(kPut));
  intact.keys = "abc";
  intact.bodies = "body";
  ASSERT_TRUE(reads(intact.leaf()));

  const auto refuses = [&](const char* what, const std::function<void(Form&)>& change) {
    Form form = intact;
    change(form);
    EXPECT_TRUE(form.leaf().empty()) << what;
  };
  refuses("no entry", [](Form& form) { form.header.count = 0; });
  refuses("one entry less", [](Form& form) { form.header.count = 1; });
  refuses("one entry more", [](Form& form) { form.header.count = 3; });
  refuses("more entries than a leaf has heads", [](Form& form) {
    form.header.count = 3000;
    form.flags.assign(3000, '\0');
  });
  refuses("a prefix beyond the form", [](Form& form) { form.header.prefix_size = 20'000; });
  refuses("the largest prefix", [](Form& form) { form.header.prefix_size = UINT32_MAX; });
  refuses("a key that shares all and more", [](Form& form) { form.shared_sizes[1] = 4; });
  refuses("a key that shares more than the one before has", [](Form& form) {
    form.shared_sizes[1] = 3;
    form.key_sizes[1] = 4;
  });
  refuses("a first key that shares", [](Form& form) { form.shared_sizes[0] = 1; });
  refuses("a key beyond the keys", [](Form& form) { form.key_sizes[1] = 4; });
  refuses("a key that leaves some of them", [](Form& form) { form.keys += 'x'; });
  refuses("the largest key", [](Form& form) { form.key_sizes[1] = UINT32_MAX; });
  refuses("the largest share", [](Form& form) { form.shared_sizes[1] = form.key_sizes[1] = UINT32_MAX; });
  refuses("a value beyond the bodies", [](Form& form) { form.value_sizes[0] = 5; });
  refuses("a value that leaves some of them", [](Form& form) { form.value_sizes[0] = 3; });
  refuses("the largest value", [](Form& form) { form.value_sizes[1] = UINT32_MAX; });
  refuses("a reference that is cut", [](Form& form) { form.flags[1] = kPut | kEntryOutside; });
  for (auto column : {&Form::key_sizes, &Form::shared_sizes, &Form::value_sizes}) {
    refuses("a size too few", [&](Form& form) { (form.*column).pop_back(); });
    refuses("a size too many", [&](Form& form) { (form.*column).push_back(0); });
  }
  refuses("more than a page holds", [](Form& form) {
    form.value_sizes[0] = kLargeLeafBytes - 40;
    form.bodies.assign(form.value_sizes[0], 'b');
  });
  // Keys that grow by sharing: few bytes, and more of them than a page has.
  refuses("keys that share much", [](Form& form) {
    form.header.count = 100;
    form.flags.assign(100, static_cast<char>(kPut));
    form.key_sizes.assign(100, 1000);
    form.shared_sizes.assign(100, 1000);
    form.shared_sizes[0] = 0;
    form.value_sizes.assign(100, 0);
    form.keys.assign(1000, 'k');
    form.bodies.clear();
  });
}

}  // namespace
}  // namespace lightning
