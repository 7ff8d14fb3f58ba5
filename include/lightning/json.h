// The extractor "json" (IndexField::json_pointer()): fields of values that are JSON documents. It stands in a
// library of its own, lightningdb_json, so that the core needs no parser.
//
//   lightning::Options options;
//   options.extractors.push_back(lightning::json_extractor());
//
// Its argument is a JSON pointer (RFC 6901); "" is the whole document. A string, number, true (1) or false
// (0) is a value, an array is the values of its elements. An object, null, a pointer that leads nowhere, and
// a value that is not JSON (RFC 8259, UTF-8, integers of 64 bits) are none.
// Thread safety: any threads.
#pragma once

#include <lightning/extractor.h>

namespace lightning {

Extractor json_extractor();

}  // namespace lightning
