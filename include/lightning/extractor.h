// Extractor: a function of the program that takes what an index is about out of an entry. It is registered
// under a name (Options::extractors); the catalogue of the database keeps the name alone.
//
// Thread safety: called from any threads, background ones too, several at a time.
#pragma once

#include <lightning/export.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace lightning {

/// What was found. An index makes of each what its field's type says: numbers of numbers and of text that
/// says one in full; a value that is none of that type does not count.
class FieldValues {
 public:
  using Value = std::variant<std::string, int64_t, uint64_t, double>;

  /// Each call is one more value, hence one more entry of the index.
  void add(std::string_view text) { values_.emplace_back(std::in_place_type<std::string>, text); }
  void add(double number) { values_.emplace_back(number); }
  template <typename T>
    requires std::is_integral_v<T>
  void add(T number) {
    if constexpr (std::is_signed_v<T>) {
      values_.emplace_back(static_cast<int64_t>(number));
    } else {
      values_.emplace_back(static_cast<uint64_t>(number));
    }
  }

  const std::vector<Value>& values() const { return values_; }
  void clear() { values_.clear(); }

 private:
  std::vector<Value> values_;
};

/// Of an entry's key and value, and of the argument that the index's field gives: always the same for the
/// same, since what it said once is how an entry is found and removed again. Adds nothing where there is
/// nothing. Must not call the database nor throw anything but std::bad_alloc.
using ExtractFn = std::function<void(std::string_view key, std::string_view value, std::string_view argument,
                                     FieldValues& values)>;

struct Extractor {
  std::string name;
  ExtractFn fn;
};

}  // namespace lightning
