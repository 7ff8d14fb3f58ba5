// StoredPage: a leaf or jumbo page as it stands in a file with a page table: a leaf in its dense form
// (run/dense_leaf.h), both compressed if that is worth it (layout in run/run_format.h).
//
// Invariant: nothing outside the bytes is read, whatever they are; a size is checked before memory is taken
// for it.
// Thread safety: pure functions; the builder externally synchronised.
#pragma once

#include <lightning/status.h>

#include <memory>
#include <string>
#include <string_view>

#include "format/codec.h"
#include "run/dense_leaf.h"
#include "run/run_format.h"

namespace lightning {

struct StoredPage {
  PageHeader header;
  const Codec* codec = nullptr;
  uint64_t size = 0;  // of the page
  std::string_view payload;

  /// `bytes` is all of it. `corruption`, without a place, when it does not verify as page `page_number` of
  /// file `file_id`, of which the page can have `size_max` bytes; `not_supported` of its codec.
  static Status parse(std::string_view bytes, uint64_t file_id, uint64_t page_number, uint64_t size_max,
                      StoredPage* page);
  /// Do these bytes look like the beginning of one? Its number and its bytes in the file.
  static bool looks_so(const char* header, uint64_t* page_number, uint64_t* stored_bytes);
  /// Makes the page in [to, to + size).
  Status unpack(char* to) const;

 private:
  Status unpack_dense(char* to) const;
};

/// A value outside of the leaves, compressed: ValueHeader, payload.
struct StoredValue {
  const Codec* codec = nullptr;
  std::string_view payload;

  /// How many bytes it takes, from its header; 0 when that is none of a value of `size`.
  static uint64_t stored_bytes(const char* header, uint64_t size);
  /// `bytes` is all of it, verified.
  static Status parse(std::string_view bytes, StoredValue* value);
};

/// Compresses what a run file holds, as Options say. Throws std::bad_alloc.
class PagePacker {
 public:
  /// `codec`: not Compression::none.
  PagePacker(const Codec& codec, uint64_t level);

  /// The stored form of a page that a LeafBuilder built; valid until the next call.
  std::string_view pack(const char* page, uint64_t size, uint64_t file_id, uint64_t page_number);
  /// The stored form of a value; empty when it is not worth that.
  std::string_view pack_value(std::string_view value);
  uint8_t codec_id() const { return codec_.id(); }
  uint64_t memory_bytes() const { return bytes_.capacity() + dense_.memory_bytes(); }

 private:
  const Codec& codec_;
  const std::unique_ptr<Compressor> compressor_;
  DenseLeaf dense_;
  std::string bytes_;
};

}  // namespace lightning
