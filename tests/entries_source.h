// EntriesSource: entries in memory, to be ingested.
//
// Thread safety: one thread.
#pragma once

#include <lightning/ingest.h>

#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace lightning {

class EntriesSource final : public IngestSource {
 public:
  using Entries = std::vector<std::pair<std::string, std::string>>;

  /// Ends with `end`.
  explicit EntriesSource(Entries entries, Status end = {})
      : entries_(std::move(entries)), end_(std::move(end)) {}

  void on_next(std::function<void()> call) { call_ = std::move(call); }

  bool next() override {
    if (call_) call_();
    return ++at_ <= entries_.size();
  }
  std::string_view key() const override { return entries_[at_ - 1].first; }
  std::string_view value() const override { return entries_[at_ - 1].second; }
  Status status() const override { return end_; }

 private:
  const Entries entries_;
  const Status end_;
  std::function<void()> call_;
  size_t at_ = 0;
};

}  // namespace lightning
