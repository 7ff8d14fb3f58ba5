#include "testing/order_checker.h"

#include <map>
#include <set>

namespace lightning {

namespace {
constexpr size_t kViolationsMax = 100;  // one fault of order is met again at each later change
}

const OrderRule* OrderChecker::rule_for(std::string_view name) const {
  for (const OrderRule& rule : rules_) {
    if (name.starts_with(rule.name_prefix)) return &rule;
  }
  return nullptr;
}

void OrderChecker::check(SimDisk& disk, const SimFolder& folder, std::string_view after) {
  if (rules_.empty()) return;
  disk.capture();
  check(disk, folder, after, true);
  check(disk, folder, after, false);
}

void OrderChecker::check(SimDisk& disk, const SimFolder& folder, std::string_view after, bool durable_only) {
  const std::map<std::string, uint64_t>& entries = durable_only ? folder.durable : folder.present;
  const auto report = [&](const std::string& namer, const std::string& what) {
    if (violations_.size() == kViolationsMax) return;
    violations_.push_back("after " + std::string(after) + ": " + namer +
                          (durable_only ? " (durable)" : " (written)") + " needs " + what);
  };
  std::vector<std::string> open;
  std::set<std::string> seen;
  for (const auto& [name, id] : entries) {
    const OrderRule* rule = rule_for(name);
    if (rule != nullptr && rule->root && seen.insert(name).second) open.push_back(name);
  }
  while (!open.empty()) {
    const std::string namer = open.back();
    open.pop_back();
    const OrderRule* rule = rule_for(namer);
    const auto found = entries.find(namer);
    if (rule == nullptr || found == entries.end() || !namer.ends_with(rule->namer_suffix)) continue;
    const SimInode& inode = *disk.inode(found->second);
    const std::string bytes = durable_only ? inode.durable_bytes() : inode.present_bytes();
    for (const FileReference& reference : rule->references(namer, bytes)) {
      const auto present = folder.present.find(reference.name);
      const auto durable = folder.durable.find(reference.name);
      if (present == folder.present.end()) {
        report(namer, reference.name + ", which is removed or was never made");
      } else if (durable == folder.durable.end() || durable->second != present->second) {
        report(namer, reference.name + ", whose name is not durable");
      } else if (!disk.inode(present->second)->is_durable_up_to(reference.bytes_min)) {
        report(namer, "bytes [0, " + std::to_string(reference.bytes_min) + ") of " + reference.name +
                          ", which are not durable");
      } else if (seen.insert(reference.name).second) {
        open.push_back(reference.name);
      }
    }
  }
}

}  // namespace lightning
