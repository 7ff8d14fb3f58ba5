// The dense form of a leaf: what a codec sees of it (layout in run/run_format.h).
//
// Invariants: a leaf that LeafBuilder built comes back bit for bit, which DenseLeaf makes sure of before it
// gives the form away; restore_leaf() reads nothing outside of the form and writes nothing outside of the
// page, whatever its bytes are.
// Thread safety: restore_leaf() a pure function; DenseLeaf externally synchronised.
// Costs: restoring a leaf of 16 KiB a microsecond or two, making its form some more.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "run/run_format.h"

namespace lightning {

/// Makes the leaf of kLargeLeafBytes at `page` of its header and its dense form. False when the form is none
/// of a leaf with that header.
bool restore_leaf(const PageHeader& header, std::string_view dense, char* page);

/// Makes dense forms. Throws std::bad_alloc.
class DenseLeaf {
 public:
  /// The form of the leaf of kLargeLeafBytes at `page`, until the next call; empty when the leaf would not
  /// come back as it is: LeafBuilder builds none such but of one entry.
  std::string_view of(const char* page);
  uint64_t memory_bytes() const;

 private:
  bool gather(const char* page);

  // The columns, and the form.
  std::string flags_;
  std::string key_sizes_;
  std::string shared_sizes_;
  std::string value_sizes_;
  std::string keys_;
  std::string bodies_;
  std::string form_;
  std::string restored_;
};

}  // namespace lightning
