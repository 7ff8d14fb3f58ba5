// IngestedCursor: a file that was ingested, whose entries are of one LSN that they do not have in the file:
// nothing for reads at or below that LSN, versions of that LSN for merges.
//
// Thread safety: one thread at a time. Ownership: owns the cursor over the file.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "format/source_cursor.h"

namespace lightning {

class IngestedCursor final : public SourceCursor {
 public:
  IngestedCursor(std::unique_ptr<SourceCursor> file, uint64_t lsn, uint64_t read_lsn)
      : file_(std::move(file)), lsn_(lsn), shown_(lsn < read_lsn) {}

  void seek_first() override {
    if (shown_) file_->seek_first();
    show();
  }
  void seek_last() override {
    if (shown_) file_->seek_last();
    show();
  }
  void seek(std::string_view key) override {
    if (shown_) file_->seek(key);
    show();
  }
  void seek_for_prev(std::string_view key) override {
    if (shown_) file_->seek_for_prev(key);
    show();
  }
  void next() override {
    file_->next();
    show();
  }
  void prev() override {
    file_->prev();
    show();
  }
  void collect_versions(std::vector<Version>* versions) override {
    const size_t before = versions->size();
    file_->collect_versions(versions);
    for (size_t i = before; i < versions->size(); ++i) (*versions)[i].lsn = lsn_;
    status_ = file_->status();
  }
  Pin pin() const override { return file_->pin(); }

 private:
  void show() {
    valid_ = shown_ && file_->valid();
    status_ = file_->status();
    if (!valid_) return;
    key_ = file_->key();
    value_ = file_->value();
    kind_ = file_->kind();
  }

  const std::unique_ptr<SourceCursor> file_;
  const uint64_t lsn_;
  const bool shown_;
};

}  // namespace lightning
