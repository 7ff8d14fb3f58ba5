#include <lightning/admin.h>

namespace lightning {

bool LostRange::contains(std::string_view of_keyspace, std::string_view key) const {
  if (scope == LostScope::everything) return true;
  if (scope == LostScope::named_keyspaces) return !of_keyspace.empty();
  return of_keyspace == keyspace && key >= from && (!to || key < *to);
}

}  // namespace lightning
