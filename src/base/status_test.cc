#include <gtest/gtest.h>
#include <lightning/status.h>

#include <cstdlib>
#include <memory>
#include <new>
#include <set>
#include <string>

namespace {
bool g_refuse_memory = false;
}

// What Status asks for its detail; the other forms stay the library's.
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return g_refuse_memory ? nullptr : ::operator new(size);
}

namespace lightning {
namespace {

TEST(Status, OkIsEmpty) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), StatusCode::ok);
  EXPECT_EQ(status.message(), "");
  EXPECT_EQ(status.file(), "");
  EXPECT_EQ(status.to_string(), "ok");
  EXPECT_TRUE(Status(StatusCode::ok, "nothing went wrong").ok());
}

TEST(Status, AnErrorSaysWhatAndWhere) {
  const Status status(StatusCode::corruption, "page checksum", "000007.run", 4096);
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(status.is(StatusCode::corruption));
  EXPECT_EQ(status.message(), "page checksum");
  EXPECT_EQ(status.file(), "000007.run");
  EXPECT_EQ(status.offset(), 4096u);
  EXPECT_EQ(status.to_string(), "corruption: page checksum (000007.run at 4096)");
  EXPECT_EQ(Status(StatusCode::io_error, "cannot open", "x", Status::kWholeFile).to_string(),
            "io_error: cannot open (x)");
  EXPECT_EQ(Status(StatusCode::corruption, "magic", "x", 0).to_string(), "corruption: magic (x at 0)");
  EXPECT_EQ(Status(StatusCode::busy, "").to_string(), "busy");
}

TEST(Status, TheDetailIsACopyOfTheText) {
  std::string message = "first";
  const Status status(StatusCode::busy, message);
  message = "other";
  EXPECT_EQ(status.message(), "first");
}

TEST(Status, CopiesShareAndOutliveTheOriginal) {
  auto original = std::make_unique<Status>(StatusCode::no_space, "full");
  Status copy = *original;
  EXPECT_EQ(copy.message().data(), original->message().data());
  Status assigned;
  assigned = copy;
  original.reset();
  copy = Status();
  EXPECT_TRUE(copy.ok());
  EXPECT_EQ(assigned.message(), "full");
  const Status& same = assigned;
  assigned = same;
  EXPECT_EQ(assigned.message(), "full");
}

TEST(Status, MovesLeaveOk) {
  Status from(StatusCode::conflict, "c");
  Status to(std::move(from));
  EXPECT_TRUE(from.ok());  // NOLINT: that is the promise
  EXPECT_TRUE(to.is(StatusCode::conflict));
  from = std::move(to);
  EXPECT_TRUE(from.is(StatusCode::conflict));
}

// What was done and what was not hangs on the code.
TEST(Status, WithoutMemoryItKeepsItsCode) {
  for (int number = 1; number <= static_cast<int>(StatusCode::cancelled); ++number) {
    const auto code = static_cast<StatusCode>(number);
    g_refuse_memory = true;
    Status status(code, "page checksum", "000007.run", 4096);
    g_refuse_memory = false;
    EXPECT_TRUE(status.is(code)) << status.to_string();
    EXPECT_NE(status.message(), "");
    for (int i = 0; i < 3; ++i) {  // the static detail survives its holders
      Status copy = status;
      status = copy;
    }
    EXPECT_TRUE(status.is(code)) << status.to_string();
  }
}

TEST(Status, EveryCodeHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(StatusCode::cancelled); ++code) {
    const std::string_view name = status_code_name(static_cast<StatusCode>(code));
    EXPECT_NE(name, "unknown");
    EXPECT_TRUE(names.insert(name).second) << name;
  }
}

TEST(Result, HoldsAValueOrAnError) {
  Result<std::unique_ptr<int>> value(std::make_unique<int>(7));
  ASSERT_TRUE(value);
  EXPECT_TRUE(value.status().ok());
  EXPECT_EQ(**value, 7);
  const std::unique_ptr<int> taken = *std::move(value);
  EXPECT_EQ(*taken, 7);

  const Result<int> error(Status(StatusCode::not_found, "no such"));
  EXPECT_FALSE(error);
  EXPECT_TRUE(error.status().is(StatusCode::not_found));
}

TEST(Result, SuccessWithoutAValueIsAnError) {
  const Result<int> result{Status()};
  EXPECT_FALSE(result);
  EXPECT_FALSE(result.status().ok());
}

TEST(ResultDeathTest, ReadingAnErrorStopsWithItsMessage) {
  const Result<int> error(Status(StatusCode::not_found, "no such thing"));
  EXPECT_DEATH((void)*error, "not_found: no such thing");
}

}  // namespace
}  // namespace lightning
