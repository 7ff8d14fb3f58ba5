// Leaf: one page of any bytes: LeafPage, VersionReader, and a page of LeafBuilder with the same entries.
#include "run/leaf_page.h"

#include <memory>
#include <optional>
#include <vector>

#include "fuzz/pages.h"
#include "fuzz/target.h"
#include "run/leaf_builder.h"

namespace lightning::fuzz {
namespace {

struct Parsed {
  std::string key;
  LeafEntry entry;
};

/// Any walk over the versions of an entry stays inside of its body.
void check_versions(const LeafEntry& entry) {
  if ((entry.flags & kEntryVersioned) == 0) return;
  VersionReader versions(entry.body);
  while (versions.ok() && versions.left() > 0) {
    LeafVersion version;
    if (!versions.next(&version)) break;
    expect(version.bytes.empty() ||
               (version.bytes.data() >= entry.body.data() &&
                version.bytes.data() + version.bytes.size() <= entry.body.data() + entry.body.size()),
           "a version outside of its entry");
  }
  LeafVersion visible;
  for (const uint64_t lsn : {uint64_t{0}, uint64_t{1}, uint64_t{500}, kReadAllLsn}) {
    const Visible kind = visible_version(entry, lsn, &visible);
    expect(kind != Visible::version || visible.lsn == kSettledLsn || visible.lsn < lsn,
           "a version not yet visible");
  }
}

/// All entries; none where a slot leads to nothing that can be parsed.
std::optional<std::vector<Parsed>> entries_of(const LeafPage& leaf) {
  std::vector<Parsed> entries;
  for (uint32_t slot = 0; slot < leaf.count(); ++slot) {
    LeafEntry entry;
    if (!leaf.entry(slot, &entry)) return std::nullopt;
    check_versions(entry);
    std::string key(leaf.prefix());
    key.append(entry.suffix);
    expect(leaf.matches(entry, key), "an entry does not match its own key");
    entries.push_back({std::move(key), entry});
  }
  return entries;
}

/// Does the search find each entry, as in a page that a builder made?
bool sound(const LeafPage& leaf, const std::vector<Parsed>& entries) {
  bool all = true;
  for (size_t i = 0; i < entries.size(); ++i) {
    bool exact = false;
    const int64_t slot = leaf.lower_bound(entries[i].key, &exact);
    expect(slot >= -1 && slot <= static_cast<int64_t>(leaf.count()), "a slot beyond the page");
    all &= exact && slot == static_cast<int64_t>(i) && (i == 0 || entries[i - 1].key < entries[i].key);
    leaf.lower_bound(entries[i].key + '\0', &exact);
    leaf.lower_bound(std::string_view(entries[i].key).substr(0, entries[i].key.size() / 2), &exact);
  }
  return all;
}

void check_built(const std::vector<Parsed>& entries) {
  LeafBuilder builder;
  for (const Parsed& parsed : entries) {
    const LeafEntry& entry = parsed.entry;
    const uint64_t size = builder.size_with(parsed.key, entry.value_size, entry.body.size());
    builder.add(parsed.key, 0, entry.flags, entry.value_size, entry.body);
    expect(builder.size() == size, "size_with() foretells another size");
  }
  const uint64_t units = (builder.size() + kUnitBytes - 1) / kUnitBytes;
  if (units > 16) return;  // slots reach no further
  std::string page(units * kUnitBytes, '\0');
  builder.build(page.data(), PageKind::leaf, static_cast<uint32_t>(units), 7, 9);
  LeafPage leaf;
  expect(leaf.parse(page.data(), page.size()) && leaf.count() == entries.size(), "a page that was built");
  const std::optional<std::vector<Parsed>> again = entries_of(leaf);
  expect(again && sound(leaf, *again), "a page that was built is not sound");
  for (size_t i = 0; i < entries.size(); ++i) {
    const LeafEntry &built = (*again)[i].entry, &entry = entries[i].entry;
    expect((*again)[i].key == entries[i].key && built.flags == entry.flags && built.body == entry.body &&
               built.value_size == entry.value_size,
           "an entry changes when it is written and read");
  }
}

bool run(std::string_view input) {
  const std::string bytes = unpack(input);
  const uint64_t size = bytes.size() <= kSmallLeafBytes ? kSmallLeafBytes : kLargeLeafBytes;
  // A block of just this size, so that a sanitizer sees what reads beyond it.
  const std::unique_ptr<char[]> page(new char[size]());
  bytes.copy(page.get(), size);
  LeafPage leaf;
  if (!leaf.parse(page.get(), size)) return false;
  bool exact;
  for (const std::string_view key : {"", "key", "prefix/1", "\xff\xff\xff\xff\xff"})
    leaf.lower_bound(key, &exact);
  const std::optional<std::vector<Parsed>> entries = entries_of(leaf);
  if (!entries || !sound(leaf, *entries)) return false;
  check_built(*entries);
  return true;
}

std::string body_of(std::initializer_list<std::string_view> values) {
  char number[kVarint64BytesMax];
  const auto put = [&](std::string* to, uint64_t value) { to->append(number, put_varint(number, value)); };
  std::string body;
  put(&body, values.size());
  uint64_t lsn = 100 * values.size();
  for (const std::string_view value : values) {
    put(&body, lsn -= 100);
    body.push_back(static_cast<char>(EntryKind::put));
    put(&body, value.size());
  }
  for (const std::string_view value : values) body += value;
  return body;
}

void seeds(const SeedSink& sink) {
  constexpr uint8_t kPut = static_cast<uint8_t>(EntryKind::put);
  const auto build = [&](std::string_view name, const LeafBuilder& filled, uint64_t units) {
    LeafBuilder builder = filled;
    std::string page(units * kUnitBytes, '\0');
    builder.build(page.data(), PageKind::leaf, static_cast<uint32_t>(units), 7, 9);
    sink(name, pack(page));
  };
  LeafBuilder few;
  few.add("key1", 0, kPut, 5, "value");
  few.add("key2", 0, static_cast<uint8_t>(EntryKind::remove), 0, "");
  build("few", few, 1);
  const std::string versions = body_of({"third", "", "first"});
  few.add("key3", 0, kPut | kEntryVersioned, static_cast<uint32_t>(versions.size()), versions);
  few.add("key4", 0, kPut | kEntryOutside, 2000, std::string(sizeof(ValueRef), 'r'));
  few.add("key5", 0, static_cast<uint8_t>(EntryKind::put_expiring), 13, "\1\2\3\4\5\6\7\10value");
  build("kinds", few, 1);
  LeafBuilder many;
  for (int i = 100; i < 160; ++i) many.add("prefix/" + std::to_string(i), 0, kPut, 20, std::string(20, 'v'));
  build("many", many, 1);
  LeafBuilder large;
  for (int i = 10; i < 30; ++i) large.add("long" + std::to_string(i), 0, kPut, 300, std::string(300, 'v'));
  build("large", large, 4);
}

}  // namespace

const Target kTarget = {.run = run, .mend = nullptr, .seeds = seeds};

}  // namespace lightning::fuzz
