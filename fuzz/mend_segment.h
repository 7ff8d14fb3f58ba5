// Mends a packed segment file (fuzz/pages.h): the header's checksum, and marks and checksums of the records
// that the lengths lead to.
#pragma once

#include <string>

namespace lightning::fuzz {

void mend_segment(std::string* input);

}  // namespace lightning::fuzz
