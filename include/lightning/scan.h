// Scan: the entries of a key range [from, to), in either direction, as a single-pass range.
//
//   Scan people = db.scan_prefix("user:").limit(10);
//   for (const Entry& entry : people) use(entry.key(), entry.value());
//   if (!people.status().ok()) ...            // or: Status s = for_each(db.scan(), fn);
//
// A range-for ends on an error like on the end: ask status(). A scan that failed and was never asked stops a
// debug build; a release build counts it (Stats::unasked_scan_errors).
// Thread safety: one thread at a time. Reads at the moment at which it was made.
#pragma once

#include <lightning/export.h>
#include <lightning/status.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace lightning {

class CursorState;

/// A key and its value; views that die at the scan's next step.
class Entry {
 public:
  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }

 private:
  friend class Scan;
  std::string_view key_;
  std::string_view value_;
};

class [[nodiscard]] LIGHTNING_EXPORT Scan {
 public:
  /// A scan of [from, to) over `cursor`; without `bounded` there is no end.
  Scan(std::unique_ptr<CursorState> cursor, std::string from, std::string to, bool bounded);
  Scan(Scan&&) noexcept;
  Scan& operator=(Scan&&) noexcept;
  ~Scan();

  /// At most `entries`; the last call counts.
  Scan limit(uint64_t entries) &&;
  /// From the last key of the range to its first.
  Scan reverse() &&;

  /// Steps to the next entry; false at the end or on an error. The iterators call it.
  bool advance();
  const Entry& entry() const { return entry_; }
  /// ok, or the error that ended the scan.
  const Status& status() const;

  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = std::pair<std::string, std::string>;
    using difference_type = ptrdiff_t;
    Iterator() = default;
    explicit Iterator(Scan* scan) : scan_(scan) {}
    const Entry& operator*() const { return scan_->entry(); }
    Iterator& operator++() {
      if (!scan_->advance()) scan_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return scan_ == nullptr; }

   private:
    Scan* scan_ = nullptr;
  };
  /// Single pass: call begin() once.
  Iterator begin() { return Iterator(advance() ? this : nullptr); }
  std::default_sentinel_t end() const { return {}; }

 private:
  void start(CursorState& state);
  bool inside() const;

  std::unique_ptr<CursorState> cursor_;
  std::string from_;
  std::string to_;
  uint64_t left_ = UINT64_MAX;
  bool bounded_ = false;
  bool reverse_ = false;
  bool started_ = false;
  bool refused_memory_ = false;  // it has no cursor for that reason
  mutable bool asked_ = false;
  Entry entry_;
};

/// Calls `fn(key, value)` for each entry; the scan's outcome.
template <typename Fn>
Status for_each(Scan scan, Fn&& fn) {
  while (scan.advance()) fn(scan.entry().key(), scan.entry().value());
  return scan.status();
}

}  // namespace lightning
