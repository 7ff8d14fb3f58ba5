// key_sort: puts log entries in the order of their keys and drops those that a later one of the key replaces.
//
// Ranges of entries that share a prefix are sorted by the eight bytes after it (radix, where there are many),
// what ties is sorted further by the bytes that follow: two keyspaces or URLs cost a pass over the keys, not
// a search in them.
// Source: multikey radix sort from the front, as in J. Karkkainen, T. Rantala, "Engineering Radix Sort for
// Strings" (2008), with the common prefix of each range skipped.
#pragma once

#include <cstdint>
#include <vector>

namespace lightning {

/// Sorts the names (format/log_entry.h) of entries at `data`; of equal keys the highest name stays. Throws
/// std::bad_alloc; `names` is then as it was.
void sort_by_key(const char* data, std::vector<uint32_t>* names);

}  // namespace lightning
