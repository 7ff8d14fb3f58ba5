// Stored page: a page of a compressed file of any bytes. What parses unpacks into its size or is refused,
// and what is packed of it again comes back as it was; a leaf of a dense form, if its entries parse, by a
// dense form, as its layout is that of a LeafBuilder. The same of compressed values.
#include "run/stored_page.h"

#include <memory>

#include "fuzz/target.h"
#include "run/leaf_builder.h"
#include "run/leaf_page.h"

namespace lightning::fuzz {
namespace {

constexpr uint64_t kFileId = 7;
constexpr uint64_t kPageNumber = 8;
constexpr uint64_t kSizeMax = 1 << 20;

bool is_refusal(const Status& status) {
  return status.is(StatusCode::corruption) || status.is(StatusCode::not_supported);
}

void check_packed(std::string_view page, Compression compression, bool dense) {
  const Result<const Codec*> codec = codec_of(codec_id(compression));
  if (!codec) return;
  PagePacker packer(**codec, 1);
  const std::string packed(packer.pack(page.data(), page.size(), kFileId, kPageNumber));
  expect(packed.size() <= align_up(page.size(), kValueAlignment), "a stored page is larger than its page");
  StoredPage stored;
  expect(StoredPage::parse(packed, kFileId, kPageNumber, kSizeMax, &stored).ok(), "a packed page");
  expect(!dense || stored.header.dense != 0, "a leaf of a dense form has none");
  const std::unique_ptr<char[]> again(new char[stored.size]);
  expect(stored.size == page.size() && stored.unpack(again.get()).ok(), "a packed page does not unpack");
  expect(page.substr(sizeof(PageHeader)) ==
             std::string_view(again.get() + sizeof(PageHeader), stored.size - sizeof(PageHeader)),
         "a packed page comes back otherwise");
}

void check_value(std::string_view bytes) {
  if (bytes.size() < sizeof(ValueHeader)) return;
  constexpr uint64_t kSize = 3000;
  const uint64_t stored_bytes = StoredValue::stored_bytes(bytes.data(), kSize);
  if (stored_bytes == 0 || stored_bytes > bytes.size()) return;
  StoredValue value;
  if (Status status = StoredValue::parse(bytes.substr(0, stored_bytes), &value); !status.ok())
    return expect(is_refusal(status), "the kind of error of a value");
  const std::unique_ptr<char[]> whole(new char[kSize]);
  const Status status = value.codec->decompress(value.payload, whole.get(), kSize);
  expect(status.ok() || is_refusal(status), "the kind of error of a value's bytes");
}

bool run(std::string_view input) {
  const std::unique_ptr<char[]> copy(new char[input.size()]);  // a sanitizer sees a read beyond it
  input.copy(copy.get(), input.size());
  const std::string_view bytes(copy.get(), input.size());
  check_value(bytes);
  StoredPage stored;
  if (Status status = StoredPage::parse(bytes, kFileId, kPageNumber, kSizeMax, &stored); !status.ok()) {
    expect(is_refusal(status), "the kind of error of parse()");
    return false;
  }
  expect(stored.size <= kSizeMax, "a page that is larger than it may be");
  const std::unique_ptr<char[]> page(new char[stored.size]);
  if (Status status = stored.unpack(page.get()); !status.ok()) {
    expect(is_refusal(status), "the kind of error of unpack()");
    return false;
  }
  LeafPage leaf;
  bool parses = leaf.parse(page.get(), stored.size);
  LeafEntry entry;
  for (uint32_t slot = 0; parses && slot < leaf.count(); ++slot) parses = leaf.entry(slot, &entry);
  const bool dense = stored.header.dense != 0 && parses;
  for (const Compression compression : {Compression::none, Compression::lz4, Compression::zstd})
    check_packed({page.get(), stored.size}, compression, dense);
  return true;
}

void mend(std::string* input) {
  if (input->size() < sizeof(PageHeader)) return;
  seal_page(input->data(), input->size(), kFileId, kPageNumber);
}

void seeds(const SeedSink& sink) {
  constexpr uint8_t kPut = static_cast<uint8_t>(EntryKind::put);
  LeafBuilder alike;
  for (int i = 0; i < 40; ++i)
    alike.add("key" + std::to_string(100 + i), 0, 0, 50, std::string(50, static_cast<char>('a' + i % 26)));
  LeafBuilder varied;
  varied.add("key", 0, static_cast<uint8_t>(EntryKind::remove), 0, "");
  varied.add("key1", 0, kPut, 5, "value");
  varied.add("key10", 0, kPut | kEntryVersioned, 6, std::string("\1\x64\0\2ab", 6));
  varied.add("key2", 0, kPut | kEntryOutside, 70'000, std::string(sizeof(ValueRef), 'r'));
  varied.add("key2 is longer than sixteen bytes", 0, static_cast<uint8_t>(EntryKind::put_expiring), 8,
             "12345678");
  varied.add("key3" + std::string(150, 'k'), 0, kPut, 200, std::string(200, 'v'));
  for (LeafBuilder* builder : {&alike, &varied}) {
    std::string page(kLargeLeafBytes, '\0');
    builder->build(page.data(), PageKind::leaf, kLargeLeafBytes / kUnitBytes, kFileId, kPageNumber);
    for (const Compression compression : {Compression::none, Compression::lz4, Compression::zstd}) {
      const Result<const Codec*> codec = codec_of(codec_id(compression));
      if (!codec) continue;
      PagePacker packer(**codec, 0);
      const std::string name = std::string((*codec)->name()) + (builder == &alike ? "" : "-varied");
      sink(name, packer.pack(page.data(), page.size(), kFileId, kPageNumber));
    }
  }
}

}  // namespace

const Target kTarget = {.run = run, .mend = mend, .seeds = seeds};

}  // namespace lightning::fuzz
