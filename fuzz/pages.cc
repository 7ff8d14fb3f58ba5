#include "fuzz/pages.h"

#include <algorithm>

#include "base/coding.h"

namespace lightning::fuzz {

namespace {

constexpr size_t kLengthsBytes = 4;
/// Zeros that are worth the lengths of a page.
constexpr size_t kGapBytesMin = 16;

/// Where the longest stretch of zeros of `page` begins and ends.
std::pair<size_t, size_t> longest_gap(std::string_view page) {
  size_t from = page.size(), to = page.size();
  for (size_t at = 0; at < page.size();) {
    const size_t begin = std::min(page.find('\0', at), page.size());
    at = std::min(page.find_first_not_of('\0', begin), page.size());
    if (at - begin > to - from) {
      from = begin;
      to = at;
    }
  }
  return {from, to};
}

void put_lengths(size_t head, size_t tail, std::string* to) {
  char lengths[kLengthsBytes];
  store<uint16_t>(lengths, static_cast<uint16_t>(head));
  store<uint16_t>(lengths + 2, static_cast<uint16_t>(tail));
  to->append(lengths, sizeof(lengths));
}

}  // namespace

std::string unpack(std::string_view input) {
  std::string file;
  while (input.size() >= kLengthsBytes && file.size() < kFileBytesMax) {
    const size_t head = std::min<size_t>(load<uint16_t>(input.data()), kPageBytes);
    const size_t tail = std::min<size_t>(load<uint16_t>(input.data() + 2), kPageBytes - head);
    input.remove_prefix(kLengthsBytes);
    file.append(input.substr(0, head));
    if (input.size() < head) break;
    input.remove_prefix(head);
    file.append(kPageBytes - head - tail, '\0');
    file.append(input.substr(0, tail));
    input.remove_prefix(std::min(tail, input.size()));
  }
  return file;
}

std::string pack(std::string_view file) {
  std::string input;
  while (file.size() >= kPageBytes) {
    const std::string_view page = file.substr(0, kPageBytes);
    auto [from, to] = longest_gap(page);
    if (to - from < kGapBytesMin) from = to = kPageBytes;
    put_lengths(from, kPageBytes - to, &input);
    input.append(page.substr(0, from)).append(page.substr(to));
    file.remove_prefix(kPageBytes);
  }
  if (!file.empty()) {
    put_lengths(kPageBytes, 0, &input);
    input.append(file);
  }
  return input;
}

}  // namespace lightning::fuzz
