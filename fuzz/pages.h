// A file as an input: pages whose zeros in the middle are left out, so that mutations meet bytes that matter.
//
// Format: for each page of 4 KiB u16 head, u16 tail, then so many bytes of the page's beginning and of its
// end; zeros between them. Where the input ends inside a page the file ends there, too.
// What pack() gives, unpack() takes back; what unpack() takes is bounded by kFileBytesMax.
#pragma once

#include <string>
#include <string_view>

namespace lightning::fuzz {

inline constexpr size_t kPageBytes = 4096;
inline constexpr size_t kFileBytesMax = 64 * kPageBytes;

std::string unpack(std::string_view input);
std::string pack(std::string_view file);

}  // namespace lightning::fuzz
