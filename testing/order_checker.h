// OrderChecker: finds missing syncs without a crash, by the rule that what is durable names only what is
// durable.
//
// A test tells how files of a format name others: an OrderRule for SUPER, one for manifests. A rule marked as
// root stands at the start; whatever its files name, directly or through files with rules of their own, is
// needed. After each change the checker demands that everything needed exists under its name, that the name
// is durable, and that the bytes are durable as far as the reference says. It looks at what is durable, and,
// since the kernel may write back what was written at any moment, also at what is merely written: naming a
// file before it is safe is the fault, not the sync. So it reports as well a file that is removed while it is
// still needed. Thread safety: externally synchronised.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "testing/sim_disk.h"

namespace lightning {

struct FileReference {
  std::string name;        // in the same directory
  uint64_t bytes_min = 0;  // so many bytes of it are relied upon
};

struct OrderRule {
  std::string name_prefix;  // files whose names begin so
  bool root = false;
  std::string namer_suffix = {};  // those of them that name others; a change of any is looked at
  /// The files that a file of this kind names. Gets bytes that may be half-written: what does not verify
  /// names nothing.
  std::function<std::vector<FileReference>(std::string_view name, std::string_view bytes)> references;
};

class OrderChecker {
 public:
  void add(OrderRule rule) { rules_.push_back(std::move(rule)); }
  /// What was found, in words; empty as long as all is well.
  const std::vector<std::string>& violations() const { return violations_; }

  /// Called by SimFileSystem after each change of a directory or of a file that has a rule.
  void check(SimDisk& disk, const SimFolder& folder, std::string_view after);
  bool concerns(std::string_view name) const { return rule_for(name) != nullptr; }

 private:
  const OrderRule* rule_for(std::string_view name) const;
  void check(SimDisk& disk, const SimFolder& folder, std::string_view after, bool durable_only);

  std::vector<OrderRule> rules_;
  std::vector<std::string> violations_;
};

}  // namespace lightning
