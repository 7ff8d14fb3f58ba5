// RepairSource: the keys that one source of a damaged database still has, in ascending order, of each the
// newest version.
// Thread safety: one thread.
#pragma once

#include <lightning/status.h>

#include <functional>
#include <string>
#include <string_view>

#include "format/version.h"

namespace lightning {

class RepairSource {
 public:
  virtual ~RepairSource() = default;

  /// To the next key, at first to the first; false at the end.
  virtual bool next() = 0;
  /// Is a range removal of this source over a key of older ones?
  virtual bool removes(std::string_view key) const = 0;

  // Views that die at the next step. Keys are internal ones.
  std::string_view key() const { return key_; }
  EntryKind kind() const { return kind_; }
  std::string_view value() const { return value_; }
  /// Not ok: the key was there, its value is lost, and this is why.
  const Status& lost() const { return lost_; }

 protected:
  std::string_view key_;
  EntryKind kind_ = EntryKind::put;
  std::string_view value_;
  Status lost_;
};

/// What a source tells of its damage.
struct DamageEvents {
  std::function<void(const Status&)> damage;
  /// Internal keys in [from, to) may be missing; an empty `to` is no bound.
  std::function<void(const Status& why, std::string from, std::string to)> lost;
};

}  // namespace lightning
