// Manifest: what read_manifest() makes of any bytes, read as a whole and one record further.
#include "view/manifest.h"

#include "base/coding.h"
#include "base/hash.h"
#include "fuzz/target.h"
#include "run/run_test_support.h"
#include "view/state_test_util.h"

namespace lightning::fuzz {
namespace {

constexpr uint64_t kDatabaseId = 0x1122334455667788;
constexpr uint64_t kId = 3;

/// Calls `fn(offset, length of the edit)` for each record that the lengths of `bytes` lead to.
template <typename Fn>
void for_each_record(std::string_view bytes, Fn&& fn) {
  uint64_t at = kManifestHeaderBytes;
  while (bytes.size() >= at + kManifestRecordHeaderBytes) {
    const uint64_t length = load<uint32_t>(bytes.data() + at + 8);
    if (length > bytes.size() - at - kManifestRecordHeaderBytes) return;
    fn(at, length);
    at += kManifestRecordHeaderBytes + length;
  }
}

/// The end that SUPER would name: behind the last whole record, or the one before.
ManifestEnd end_of(std::string_view bytes, bool before_last) {
  ManifestEnd end, before;
  if (bytes.size() >= kManifestHeaderBytes) end = {kManifestHeaderBytes, load<uint64_t>(bytes.data() + 32)};
  before = end;
  for_each_record(bytes, [&](uint64_t at, uint64_t length) {
    before = end;
    end = {at + kManifestRecordHeaderBytes + length, load<uint64_t>(bytes.data() + at)};
  });
  return before_last ? before : end;
}

void check_error(const Status& status) {
  expect(status.is(StatusCode::corruption) || status.is(StatusCode::not_supported), "the kind of error");
  expect(status.file() == manifest_file_name(kId), "the error's file");
}

bool run(std::string_view input) {
  MemoryDirectory directory;
  expect((*directory.open(manifest_file_name(kId), OpenMode::create))->write(0, input).ok(),
         "write into memory");
  const ManifestEnd end = end_of(input, false), before_last = end_of(input, true);
  const Result<Image> image = read_manifest(directory, kDatabaseId, kId, end);
  if (!image) {
    check_error(image.status());
    return false;
  }
  // What the lengths led to verified: so does its beginning, and the last record leads from there to here.
  const Result<Image> earlier = read_manifest(directory, kDatabaseId, kId, before_last);
  expect(earlier.ok(), "the beginning of a sound manifest is not sound");
  if (before_last.length != end.length) {
    const Result<Image> further = read_manifest_further(directory, kId, before_last, *earlier);
    expect(further.ok() && *further == *image, "one record further is another state");
  }
  expect(read_manifest_further(directory, kId, end, *image).status().is(StatusCode::not_found),
         "a record behind the last one");

  ManifestEnd written;
  const std::string bytes = encode_manifest(kDatabaseId, kId, edit_between({}, *image), &written);
  MemoryDirectory other;
  expect((*other.open(manifest_file_name(kId), OpenMode::create))->write(0, bytes).ok(), "write into memory");
  const Result<Image> again = read_manifest(other, kDatabaseId, kId, written);
  expect(again.ok() && *again == *image, "a manifest changes when it is written and read");
  return true;
}

void mend(std::string* input) {
  if (input->size() < kManifestHeaderBytes) return;
  ManifestEnd end = {kManifestHeaderBytes, checksum(input->data(), 32, kManifestHeaderSeed)};
  store<uint64_t>(input->data() + 32, end.hash);
  for_each_record(*input, [&](uint64_t at, uint64_t length) {
    const std::string edit = input->substr(at + kManifestRecordHeaderBytes, length);
    const std::string record = encode_manifest_record(edit, &end);
    input->replace(at, record.size(), record);
  });
}

void seeds(const SeedSink& sink) {
  Random random(2);
  DurableState state = sample_initial_state(random);
  state.database_id = kDatabaseId;
  ManifestEnd end;
  std::string bytes;
  Image before;
  for (const int edits : {0, 1, 5, 20}) {
    for (int i = 0; i < edits; ++i) sample_edit(random, &state, [&] { return state.next_file_id++; });
    const Image image = image_of(state);
    bytes += bytes.empty() ? encode_manifest(kDatabaseId, kId, edit_between({}, image), &end)
                           : encode_manifest_record(edit_between(before, image), &end);
    before = image;
    sink("after-" + std::to_string(edits), bytes);
  }
}

}  // namespace

const Target kTarget = {.run = run, .mend = mend, .seeds = seeds};

}  // namespace lightning::fuzz
