#include "run/run_writer.h"

#include <gtest/gtest.h>

#include "run/leaf_builder.h"
#include "run/run_test_support.h"

namespace lightning {
namespace {

Status add(RunWriter& writer, std::string_view key, std::vector<Version> versions) {
  return writer.add(key, versions);
}

std::unique_ptr<RunWriter> writer_in(Directory& directory, const RunWriterOptions& options,
                                     uint64_t id = kTestRunId) {
  return *RunWriter::create(directory, id, options);
}

TEST(RunWriter, RefusesWhatCannotBeRead) {
  const Version settled = {kSettledLsn, EntryKind::put, "v"};
  const Version at_10 = {10, EntryKind::put, "v"};
  const Version at_20 = {20, EntryKind::put, "v"};
  uint64_t id = 1;
  MemoryDirectory directory;
  const auto refuses = [&](std::string_view key, std::vector<Version> versions) {
    const std::unique_ptr<RunWriter> writer = writer_in(directory, {}, id++);
    EXPECT_TRUE(add(*writer, "m", {settled}).ok());
    EXPECT_EQ(add(*writer, key, versions).code(), StatusCode::invalid_argument);
    // The first error sticks: no file is finished without what was refused.
    EXPECT_EQ(add(*writer, "z", {settled}).code(), StatusCode::invalid_argument);
    EXPECT_EQ(writer->finish(1, 2).status().code(), StatusCode::invalid_argument);
  };
  refuses("m", {settled});
  refuses("a", {settled});
  refuses("", {settled});
  refuses(std::string(65'541, 'n'), {settled});
  refuses("n", {});
  refuses("n", {at_10, at_20});
  refuses("n", {at_10, at_10});
  refuses("n", {settled, at_10});
  refuses("n", {settled, settled});
  EXPECT_EQ(writer_in(directory, {}, id)->finish(1, 2).status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(RunWriter::create(directory, id, {}).status().code(), StatusCode::already_exists);
}

// Keys must ascend over the bounds of leaves as well.
TEST(RunWriter, RefusesAKeyBelowTheLastLeaf) {
  MemoryDirectory directory;
  const std::unique_ptr<RunWriter> writer = writer_in(directory, {});
  const std::string value(8000, 'v');
  ASSERT_TRUE(
      add(*writer, std::string(60'000, 'm'), {{0, EntryKind::put, value}}).ok());  // a page of its own
  EXPECT_EQ(add(*writer, "m", {{0, EntryKind::put, value}}).code(), StatusCode::invalid_argument);
}

TEST(RunWriter, EndsAFileAtItsSize) {
  MemoryDirectory directory;
  const uint64_t file_bytes_max = 200'000;
  RunModel written;
  std::vector<RunFileInfo> infos;
  std::unique_ptr<RunWriter> writer;
  for (int i = 0; i < 20'000; ++i) {
    if (writer == nullptr)
      writer = writer_in(directory, {.file_bytes_max = file_bytes_max}, infos.size() + 1);
    const std::string key = std::to_string(100'000 + i);
    ASSERT_TRUE(add(*writer, key, {{0, EntryKind::put, "value"}}).ok());
    written[key] = {put_of("value")};
    if (writer->full()) {
      infos.push_back(*writer->finish(1, 2));
      writer.reset();
    }
  }
  ASSERT_GT(infos.size(), 1u);
  for (const RunFileInfo& info : infos) {
    EXPECT_LT(info.size, file_bytes_max + 4 * kUnitBytes);
    EXPECT_GT(info.size, file_bytes_max - 4 * kUnitBytes);
    const std::shared_ptr<const RunFile> run = *open_run(directory, info, true);
    EXPECT_TRUE(run->verify().ok());
    EXPECT_EQ(found_text(*run, info.smallest, 1), model_text(written, info.smallest, 1));
  }
}

TEST(RunWriter, RefusesKeysOnceFull) {
  MemoryDirectory directory;
  const std::unique_ptr<RunWriter> writer = writer_in(directory, {.file_bytes_max = 1});
  EXPECT_FALSE(writer->full());
  ASSERT_TRUE(add(*writer, "a", {{0, EntryKind::put, "v"}}).ok());
  EXPECT_TRUE(writer->full());
  EXPECT_EQ(add(*writer, "b", {{0, EntryKind::put, "v"}}).code(), StatusCode::invalid_argument);
}

// Large values carry the file to where leaves must not start: the last leaf goes before its values.
TEST(RunWriter, ValuesBeyondTheReachOfLocators) {
  for (const size_t last_key_size :
       {size_t{10}, size_t{60'000}}) {  // in a leaf with others, in a page of its own
    MemoryDirectory directory;
    const std::unique_ptr<RunWriter> writer = writer_in(directory, {});
    directory.bytes(run_file_name(kTestRunId)).reserve(300u << 20);
    const std::string value(16 << 20, 'v');
    for (int i = 0; i < 15; ++i) {
      ASSERT_TRUE(add(*writer, "key" + std::to_string(10 + i), {{0, EntryKind::put, value}}).ok());
    }
    EXPECT_FALSE(writer->full());
    const std::string last_key = "last" + std::string(last_key_size, 'k');
    const std::string last_value(17 << 20, 'w');
    ASSERT_TRUE(add(*writer, last_key, {{9, EntryKind::put, last_value}, {8, EntryKind::put, value}}).ok());
    EXPECT_TRUE(writer->full());
    const RunFileInfo info = *writer->finish(1, 10);
    EXPECT_GT(info.size, kLeafStartMax);
    const std::shared_ptr<const RunFile> run = *open_run(directory, info, true);
    const Status verified = run->verify();
    EXPECT_TRUE(verified.ok()) << verified.to_string();
    const RunModel model = {{"key24", {put_of(value)}},
                            {last_key, {put_of(last_value, 9), put_of(value, 8)}}};
    EXPECT_TRUE(found_text(*run, last_key, 10) == model_text(model, last_key, 10));
    EXPECT_TRUE(found_text(*run, last_key, 9) == model_text(model, last_key, 9));
    EXPECT_TRUE(found_text(*run, "key24", 9) == model_text(model, "key24", 9));
  }
}

// Of a key whose entry is too large for a leaf with a prefix, and not without one, as in a jumbo page.
TEST(RunWriter, ValuesBeyondThePageOfALongKey) {
  const std::string value(16 << 20, 'v');
  const std::string last_value(17 << 20, 'w');
  const auto value_size = static_cast<uint32_t>(last_value.size());
  std::string last_key = "last";
  while (LeafBuilder().size_with(last_key, value_size, sizeof(ValueRef)) <= kSmallLeafBytes) last_key += 'k';
  ASSERT_LE(LeafBuilder::jumbo_size(last_key.size(), value_size, sizeof(ValueRef)), kSmallLeafBytes);
  MemoryDirectory directory;
  const std::unique_ptr<RunWriter> writer = writer_in(directory, {});
  directory.bytes(run_file_name(kTestRunId)).reserve(300u << 20);
  for (int i = 0; i < 15; ++i) {
    ASSERT_TRUE(add(*writer, "key" + std::to_string(10 + i), {{0, EntryKind::put, value}}).ok());
  }
  ASSERT_TRUE(add(*writer, last_key, {{0, EntryKind::put, last_value}}).ok());
  const RunFileInfo info = *writer->finish(1, 10);
  EXPECT_GT(info.size, kLeafStartMax);
  const std::shared_ptr<const RunFile> run = *open_run(directory, info, true);
  const Status verified = run->verify();
  EXPECT_TRUE(verified.ok()) << verified.to_string();
  const RunModel model = {{last_key, {put_of(last_value)}}};
  EXPECT_TRUE(found_text(*run, last_key, 10) == model_text(model, last_key, 10));
}

// Small entries to the last leaf that a locator reaches.
TEST(RunWriter, FillsAFileWithLeaves) {
  MemoryDirectory directory;
  const std::unique_ptr<RunWriter> writer = writer_in(directory, {});
  directory.bytes(run_file_name(kTestRunId)).reserve(300u << 20);
  const std::string value(1000, 'v');
  uint64_t number = 0;
  while (!writer->full()) {
    ASSERT_TRUE(
        add(*writer, "key" + std::to_string(1'000'000 + number++), {{0, EntryKind::put, value}}).ok());
  }
  const RunFileInfo info = *writer->finish(1, 10);
  EXPECT_GT(info.size, 250u << 20);
  const std::shared_ptr<const RunFile> run = *open_run(directory, info, true);
  EXPECT_TRUE(run->verify().ok());
  EXPECT_EQ(found_text(*run, info.largest, 1), "=" + value + "@0");
}

class FailingFile final : public File {
 public:
  FailingFile(std::unique_ptr<File> file, int* writes_left)
      : file_(std::move(file)), writes_left_(writes_left) {}
  Result<uint64_t> read(uint64_t offset, void* to, uint64_t size) override {
    return file_->read(offset, to, size);
  }
  Status write(uint64_t offset, std::string_view bytes) override {
    if ((*writes_left_)-- <= 0) return Status(StatusCode::no_space, "the disk is full");
    return file_->write(offset, bytes);
  }
  Status sync() override {
    if ((*writes_left_)-- <= 0) return Status(StatusCode::io_error, "sync");
    return file_->sync();
  }
  Status allocate(uint64_t size) override { return file_->allocate(size); }
  Status truncate(uint64_t size) override { return file_->truncate(size); }
  Result<uint64_t> size() override { return file_->size(); }
  Result<uint64_t> disk_bytes() override { return file_->disk_bytes(); }
  Status punch(uint64_t offset, uint64_t size) override { return file_->punch(offset, size); }
  bool recyclable() override { return false; }
  void drop_cache(uint64_t, uint64_t) override {}
  Result<std::unique_ptr<MappedRegion>> map(uint64_t offset, uint64_t size, MapMode mode) override {
    return file_->map(offset, size, mode);
  }

 private:
  std::unique_ptr<File> file_;
  int* writes_left_;
};

TEST(RunOutput, ReportsEveryFailure) {
  for (int writes = 0; writes < 3; ++writes) {
    int writes_left = writes;
    MemoryDirectory directory;
    RunOutput output(std::make_unique<FailingFile>(*directory.open("f", OpenMode::create), &writes_left));
    ASSERT_TRUE(output.start().ok());
    Status status =
        output.append(std::string(RunOutput::kPieceBytes + 1, 'x'));  // one write, then one and a sync
    if (status.ok()) status = output.finish();
    EXPECT_FALSE(status.ok()) << writes;
  }
}

TEST(RunOutput, PlacesValuesInGaps) {
  MemoryDirectory directory;
  RunOutput output(*directory.open("f", OpenMode::create));
  ASSERT_TRUE(output.start().ok());
  ASSERT_TRUE(output.append("head").ok());
  ASSERT_TRUE(output.align(kUnitBytes).ok());
  ASSERT_TRUE(output.page(kUnitBytes).ok());
  EXPECT_EQ(*output.place(std::string(1000, 'a')), 8u);
  EXPECT_EQ(*output.place(std::string(1000, 'b')), 1008u);
  EXPECT_EQ(*output.place(std::string(3000, 'c')), 2 * kUnitBytes);
  EXPECT_EQ(*output.place(std::string(2081, 'd')), 2008u);
  EXPECT_EQ(*output.place(std::string(1, 'e')), 2 * kUnitBytes + 3000);
  // A gap that has left for the file is gone.
  ASSERT_TRUE(output.align(kUnitBytes).ok());
  ASSERT_TRUE(output.append(std::string(RunOutput::kPieceBytes, 'f')).ok());
  EXPECT_GE(*output.place("g"), RunOutput::kPieceBytes);
  ASSERT_TRUE(output.finish().ok());
  const std::vector<char>& bytes = directory.bytes("f");
  EXPECT_EQ(std::string_view(bytes.data() + 1000, 16), "aaaaaaaabbbbbbbb");
  EXPECT_EQ(bytes[2008], 'd');
  EXPECT_EQ(bytes[4088], 'd');
  EXPECT_EQ(bytes[4089], '\0');
}

TEST(RunWriter, TellsWhenKeysExpire) {
  MemoryDirectory directory;
  RunModel model;
  for (uint64_t i = 0; i < 8; ++i) model["put" + std::to_string(i)] = {put_of("v")};
  model["inside"] = {expiring(50, "v")};
  model["outside"] = {expiring(10, std::string(2000, 'v'))};
  model["versions"] = {expiring(40, "new", 90), expiring(5, "older", 20)};
  model["overwritten"] = {put_of("new", 90), expiring(5, "older", 20)};
  Result<RunFileInfo> info = write_run(directory, model, {});
  ASSERT_TRUE(info) << info.status().to_string();
  EXPECT_EQ(info->expiry, (RunExpiry{.expiring = 3, .first_us = 10, .quarter_us = 50, .half_us = 0}));
  const auto verified = [&] { return (*RunFile::open(directory, *info, true))->verify(); };
  EXPECT_TRUE(verified().ok()) << verified().to_string();
  for (const auto& [key, versions] : model) {
    EXPECT_EQ(found_text(**RunFile::open(directory, *info, true), key, 1000), model_text(model, key, 1000));
  }
  info->expiry.first_us = 11;
  EXPECT_EQ(verified().message(), "times of expiry");
}

TEST(RunWriter, RefusesAnExpiryThatIsNotThere) {
  MemoryDirectory directory;
  const std::unique_ptr<RunWriter> writer = writer_in(directory, {});
  EXPECT_TRUE(add(*writer, "k", {{0, EntryKind::put_expiring, "7 bytes"}}).is(StatusCode::invalid_argument));
}

}  // namespace
}  // namespace lightning
