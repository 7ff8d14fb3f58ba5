// RunSalvage: what a damaged run file still holds.
//
// Each leaf verifies by itself, seeded with file id and page number, so neither point index nor footer nor
// fences are needed: with whole fences the leaves are where they say, and what is lost lies between the keys
// of the leaves around the damaged one; without, every place is tried, and the number of keys that the
// manifest or the footer states tells whether all were found, else the whole file's range is lost. Pages of a
// compressed file are where its page table says or, without one, wherever something looks like one: they say
// their numbers themselves.
// Values in value files are found by the value list, which stands before the footer; each has a checksum of
// its own, so that a list that does not verify is followed all the same.
// Where the range removals of a file are lost, what they removed may come back: that is said as damage.
// A file whose footer verifies and is not the one that the manifest names is another's: nothing of it is
// taken. Bytes that cannot be read are damaged ones.
// Thread safety: one thread. Throws std::bad_alloc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "admin/repair_source.h"
#include "io/env.h"
#include "run/fences.h"
#include "run/leaf_page.h"
#include "run/run_file_info.h"
#include "run/run_ranges.h"
#include "run/value_list.h"
#include "view/durable_state.h"

namespace lightning {

class RunSalvage final : public RepairSource {
 public:
  /// The file that the manifest names in `piece`.
  RunSalvage(Directory& directory, const RunPiece& piece, DamageEvents events);
  /// A file of which only its footer speaks; usable() says whether that does.
  RunSalvage(Directory& directory, uint64_t id, DamageEvents events);

  uint64_t id() const { return piece_.file.id; }
  bool usable() const { return file_ != nullptr; }
  /// As the footer states; 0 without one.
  uint64_t lsn_max() const { return footer_ ? footer_->lsn_max : 0; }
  /// Bytes of the file passed so far.
  uint64_t bytes_passed() const { return page_at_ < pages_.size() ? pages_[page_at_].offset : size_; }

  bool next() override;
  bool removes(std::string_view key) const override;

 private:
  enum class FooterKind { whole, damaged, of_another };
  struct PageAt {
    uint64_t offset = 0;
    uint64_t number = 0;
  };
  static PageAt plain_page(uint64_t number) { return {number * kUnitBytes, number}; }
  Status damaged(std::string_view what, uint64_t offset) const;
  bool open_file(Directory& directory);
  void prepare();
  FooterKind read_footer();
  bool read_fences();
  bool read_ranges();
  bool read(uint64_t offset, uint64_t size, char* to) const;
  bool read_table(const Fences& fences);
  bool read_page(const PageAt& at);
  bool read_stored(const PageAt& at);
  void find_pages();
  void find_stored_pages();
  void enter(const PageAt& at);
  bool take(uint32_t slot);
  Status take_value(const LeafVersion& version, uint64_t entry_offset);
  bool unpack_value(const ValueRef& ref, uint64_t size);
  Status take_from_value_file(const LeafVersion& version, uint64_t entry_offset);
  std::string read_value_list(uint64_t offset, uint64_t bytes) const;
  void find_value_list();
  void begin_gap(const Status& why);
  void end_gap(std::string to);
  void finish();
  void tell_lost(const Status& why, std::string from, std::string to);

  const std::string name_;
  ValueFiles value_files_;
  const DamageEvents events_;
  const bool named_;           // by the manifest
  const uint64_t size_named_;  // 0: not known
  RunPiece piece_;
  std::unique_ptr<File> file_;
  uint64_t size_ = 0;
  std::optional<Footer> footer_;
  RunRanges ranges_;
  ValueList value_list_;
  std::shared_ptr<const ValueFile> value_file_;  // that was read last
  std::vector<PageAt> pages_;                    // leaves, ascending
  size_t page_at_ = 0;                           // of the next one
  uint64_t verify_budget_ = 0;                   // bytes that a search for pages may still read

  std::vector<char> page_;
  std::string stored_;  // what page_ was made of, or a value
  Status page_status_;  // why no page stands there, if not for its checksum
  LeafPage leaf_;
  uint32_t slot_ = 0;  // the next one
  uint32_t count_ = 0;
  PageAt page_now_;
  bool page_stored_ = false;
  std::string key_bytes_;
  std::string last_key_;
  std::string value_bytes_;
  uint64_t entries_ = 0;
  bool told_lost_ = false;
  bool finished_ = false;
  std::optional<Status> gap_;  // why keys behind gap_from_ are lost
  std::string gap_from_;
};

}  // namespace lightning
