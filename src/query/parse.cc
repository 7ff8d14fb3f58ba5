#include <lightning/query.h>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace lightning {

namespace {

/// Words and values of a query, one after the other.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Query> parse() {
    Query query;
    skip();
    if (!done() && !sees("order") && !sees("limit") && !take_conditions(&query)) return wrong();
    if (take("order")) {
      if (!take("by") || !take_field(&query.order)) return wrong();
      query.descending = take("desc");
    }
    if (take("limit") && !take_count(&query.limit)) return wrong();
    if (!done()) return wrong();
    return query;
  }

 private:
  using Conditions = std::vector<Condition>;
  using Alternatives = std::vector<Conditions>;
  static constexpr size_t kAlternativesMax = 64;
  static constexpr int kDepthMax = 16;

  bool take_conditions(Query* query) {
    Alternatives& any = query->alternatives;
    if (!take_any(&any)) return false;
    if (any.size() == 1) {
      query->conditions = std::move(any.front());
      any.clear();
      return true;
    }
    // What all have in common is better known to be so: a walk sees to it.
    const auto shared = [&](const Condition& one) {
      return std::all_of(any.begin(), any.end(), [&](const Conditions& all) {
        return std::find(all.begin(), all.end(), one) != all.end();
      });
    };
    for (const Condition& one : any.front()) {
      if (shared(one)) query->conditions.push_back(one);
    }
    for (Conditions& all : any) {
      std::erase_if(all, [&](const Condition& one) {
        return std::find(query->conditions.begin(), query->conditions.end(), one) != query->conditions.end();
      });
    }
    // One that asks for no more is met by whoever meets the others.
    if (std::any_of(any.begin(), any.end(), [](const Conditions& all) { return all.empty(); })) any.clear();
    return true;
  }

  bool take_any(Alternatives* any) {
    do {
      Alternatives all(1);
      if (!take_all(&all)) return false;
      std::move(all.begin(), all.end(), std::back_inserter(*any));
    } while (take("or"));
    return any->size() <= kAlternativesMax;
  }

  // Each of `all` with each of what comes, of which there is mostly one.
  bool take_all(Alternatives* all) {
    do {
      Alternatives next;
      if (take_sign("(")) {
        if (++depth_ > kDepthMax || !take_any(&next) || !take_sign(")")) return false;
        --depth_;
      } else {
        Condition condition;
        if (!take_condition(&condition)) return false;
        next.push_back({std::move(condition)});
      }
      const size_t before = all->size();
      for (size_t copies = 1; copies < next.size(); ++copies) {
        for (size_t i = 0; i < before; ++i) all->push_back((*all)[i]);
      }
      if (all->size() > kAlternativesMax) return false;
      for (size_t i = 0; i < all->size(); ++i) {
        const Conditions& behind = next[i / before];
        (*all)[i].insert((*all)[i].end(), behind.begin(), behind.end());
      }
    } while (take("and"));
    return true;
  }

  static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-' || c == '/' || c == '~' || static_cast<unsigned char>(c) >= 0x80;
  }
  bool done() const { return at_ == text_.size(); }
  void skip() {
    while (!done() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
  }
  std::string_view word() const {
    size_t end = at_;
    while (end < text_.size() && is_word(text_[end])) ++end;
    return text_.substr(at_, end - at_);
  }
  bool sees(std::string_view wanted) const { return word() == wanted; }
  bool take(std::string_view wanted) {
    if (!sees(wanted)) return false;
    at_ += wanted.size();
    skip();
    return true;
  }
  bool take_sign(std::string_view sign) {
    if (!text_.substr(at_).starts_with(sign)) return false;
    at_ += sign.size();
    skip();
    return true;
  }

  bool take_field(std::string* field) {
    if (!done() && (text_[at_] == '"' || text_[at_] == '\'')) return take_quoted(field);
    *field = word();
    at_ += field->size();
    skip();
    return !field->empty();
  }

  bool take_quoted(std::string* text) {
    const char quote = text_[at_];
    size_t at = at_ + 1;
    for (; at < text_.size() && text_[at] != quote; ++at) {
      if (text_[at] == '\\') ++at;
      if (at == text_.size()) return false;
      text->push_back(text_[at]);
    }
    if (at == text_.size()) return false;
    at_ = at + 1;
    skip();
    return true;
  }

  template <typename T>
  bool take_number(std::vector<FieldValues::Value>* values) {
    T number{};
    const char* const begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), number);
    if (error != std::errc() || (end != text_.data() + text_.size() && is_word(*end))) return false;
    values->emplace_back(number);
    at_ += static_cast<size_t>(end - begin);
    skip();
    return true;
  }

  bool take_value(std::vector<FieldValues::Value>* values) {
    if (done()) return false;
    if (text_[at_] == '"' || text_[at_] == '\'') {
      std::string text;
      if (!take_quoted(&text)) return false;
      values->emplace_back(std::move(text));
      return true;
    }
    return take_number<int64_t>(values) || take_number<uint64_t>(values) || take_number<double>(values);
  }

  bool take_count(uint64_t* count) {
    std::vector<FieldValues::Value> values;
    if (!take_number<uint64_t>(&values)) return false;
    *count = std::get<uint64_t>(values[0]);
    return true;
  }

  bool take_condition(Condition* condition) {
    using Op = Condition::Op;
    if (!take_field(&condition->field)) return false;
    std::vector<FieldValues::Value>* const values = &condition->values;
    if (take("between")) {
      condition->op = Op::between;
      return take_value(values) && take("and") && take_value(values);
    }
    if (take("prefix")) {
      condition->op = Op::prefix;
      return take_value(values);
    }
    if (take("in")) {
      condition->op = Op::in;
      if (!take_sign("(")) return false;
      do {
        if (!take_value(values)) return false;
      } while (take_sign(","));
      return take_sign(")");
    }
    constexpr std::pair<std::string_view, Op> kSigns[] = {{"<=", Op::less_equal},
                                                          {">=", Op::greater_equal},
                                                          {"<", Op::less},
                                                          {">", Op::greater},
                                                          {"=", Op::equal}};
    for (const auto& [sign, op] : kSigns) {
      if (!take_sign(sign)) continue;
      condition->op = op;
      return take_value(values);
    }
    return false;
  }

  Status wrong() const {
    constexpr size_t kShown = 30;
    const std::string rest(text_.substr(at_, kShown));
    return Status(StatusCode::invalid_argument, rest.empty() ? "the query ends too early"
                                                             : "the query makes no sense from \"" + rest +
                                                                   "\" on, byte " + std::to_string(at_));
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;  // of parentheses
};

}  // namespace

Result<Query> parse_query(std::string_view text) { return Parser(text).parse(); }

}  // namespace lightning
