#include "run/run_file_info.h"

namespace lightning {

std::string run_file_name(uint64_t id) {
  constexpr size_t kDigitsMin = 10;
  const std::string digits = std::to_string(id);
  return std::string(digits.size() < kDigitsMin ? kDigitsMin - digits.size() : 0, '0') + digits + ".run";
}

}  // namespace lightning
