// Image: a DurableState as numbered fields and a list of items, one for each piece of a run; and edits, which
// are differences of two images.
//
// Fields and items are bytes; only image_of() and state_of() know what they mean. The items stand oldest run
// first, so that what a flush adds stands at the end.
//
// Format of an edit: (varint tag, varint length, bytes) for each field that changed; empty bytes take it
// away. Tag kItemsTag holds a script for the list of items: (varint keep, varint drop, varint insert, then a
// varint length and the bytes of each inserted one), again and again until its end; what is then left of the
// list is kept.
//
// Format of an image. Numbers are varints; a number that is zero is an absent field. Tags: Field, in
// state_image.cc. An unknown tag is `not_supported`, unless it is odd: such a field may be ignored, and the
// next manifest is without it. Log segments: for each number, base LSN, end LSN + 1 (0: open). Value files:
// for each how much its number is above that before, and its size. An item: varint flags (PieceFlag), level
// if it begins a run, id, size, u64 footer hash, entries, removals, raw bytes, lsn_min, lsn_max, where the
// flags say so the numbers of RunExpiry, that of range removals, bytes in value files, since_us and
// old_bytes, then with a varint length each: smallest, largest, and `from` and `to` where the flags say so.
//
// Bytes are hostile: every length and count is checked before it is used.
// Thread safety: values.
// Costs: an edit is about 40 bytes, and 60 more and its keys for each piece that comes; making one walks all
// pieces.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "view/durable_state.h"

namespace lightning {

inline constexpr uint32_t kItemsTag = 32;

struct Image {
  std::map<uint32_t, std::string> fields;
  std::vector<std::string> items;

  bool operator==(const Image&) const = default;
};

Image image_of(const DurableState& state);
/// `corruption` (without a place) when it gives no state that check_state() lets pass; `not_supported`: of a
/// newer build.
Result<DurableState> state_of(const Image& image);

std::string edit_between(const Image& from, const Image& to);
/// `corruption` (without a place); `image` is then in pieces.
Status apply_edit(std::string_view edit, Image* image);

}  // namespace lightning
