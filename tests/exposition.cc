#include "tests/exposition.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

namespace lightning {

namespace {

constexpr std::string_view kTotal = "_total";

bool is_name(std::string_view text, bool label) {
  const auto is_letter = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c == ':' && !label);
  };
  return !text.empty() && is_letter(text[0]) &&
         std::ranges::all_of(text, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

bool read_number(std::string_view text, double* number) {
  if (text == "+Inf") {
    *number = INFINITY;
    return true;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

/// Takes escapes away; false: there is one that is none, or a character that has to have one.
bool unescape(std::string_view text, bool quoted, std::string* plain) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' || (quoted && text[i] == '"')) return false;
    if (text[i] != '\\') {
      plain->push_back(text[i]);
      continue;
    }
    if (++i == text.size()) return false;
    if (text[i] == 'n') {
      plain->push_back('\n');
    } else if (text[i] == '\\' || (quoted && text[i] == '"')) {
      plain->push_back(text[i]);
    } else {
      return false;
    }
  }
  return true;
}

class ExpositionReader {
 public:
  ExpositionReader(MetricsFormat format, std::vector<MetricFamily>* families)
      : openmetrics_(format == MetricsFormat::openmetrics), families_(*families) {}

  std::string read(std::string_view text) {
    if (!text.ends_with('\n')) return "the last line has no end";
    bool ended = false;
    while (!text.empty()) {
      const size_t end = text.find('\n');
      const std::string_view line = text.substr(0, end);
      text.remove_prefix(end + 1);
      if (ended) return "something behind # EOF";
      if (line == "# EOF" && openmetrics_) {
        ended = true;
        continue;
      }
      const std::string fault = line.starts_with("# ") ? read_comment(line.substr(2)) : read_sample(line);
      if (!fault.empty()) return fault + ": " + std::string(line);
    }
    if (openmetrics_ && !ended) return "no # EOF";
    for (const MetricFamily& family : families_) {
      const std::string fault = check(family);
      if (!fault.empty()) return fault + ": " + family.name;
    }
    return {};
  }

 private:
  std::string read_comment(std::string_view line) {
    const size_t first = line.find(' ');
    const size_t second = line.find(' ', first + 1);
    if (second == std::string_view::npos) return "a comment that says nothing";
    const std::string_view what = line.substr(0, first), rest = line.substr(second + 1);
    std::string name(line.substr(first + 1, second - first - 1));
    if (!is_name(name, false)) return "no name";
    if (what != "HELP" && what != "TYPE" && (what != "UNIT" || !openmetrics_)) return "an unknown comment";
    if (families_.empty() || declared_ != name) {
      if (!known_.insert(name).second) return "a family that comes twice";
      families_.emplace_back().name = declared_ = name;
    }
    MetricFamily& family = families_.back();
    if (!family.samples.empty()) return "a comment behind its samples";
    std::string& field = what == "HELP" ? family.help : what == "TYPE" ? family.type : family.unit;
    if (!field.empty()) return "said twice";
    if (!unescape(rest, false, &field)) return "a bad escape";
    if (what == "UNIT" && !name.ends_with("_" + field)) return "a name that does not end in its unit";
    if (what == "TYPE" && field == "counter") {
      if (openmetrics_ == name.ends_with(kTotal)) return "the name of a counter";
      if (!openmetrics_) family.name.resize(name.size() - kTotal.size());
    }
    return {};
  }

  std::string read_labels(std::string_view text, MetricSample* sample) {
    while (!text.empty()) {
      const size_t equals = text.find("=\"");
      if (equals == std::string_view::npos) return "a label without a value";
      const std::string name(text.substr(0, equals));
      if (!is_name(name, true)) return "the name of a label";
      size_t end = equals + 2;
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      if (end >= text.size()) return "a label without an end";
      std::string value;
      if (!unescape(text.substr(equals + 2, end - equals - 2), true, &value)) return "a bad escape";
      if (!sample->labels.emplace(name, value).second) return "a label that comes twice";
      text.remove_prefix(end + 1);
      if (text.empty()) break;
      if (text[0] != ',' || text.size() == 1) return "labels without a comma";
      text.remove_prefix(1);
    }
    return {};
  }

  std::string read_sample(std::string_view line) {
    MetricSample sample;
    const size_t space = line.rfind(' ');
    if (space == std::string_view::npos || !read_number(line.substr(space + 1), &sample.value))
      return "no number";
    std::string_view head = line.substr(0, space);
    if (const size_t brace = head.find('{'); brace != std::string_view::npos) {
      if (!head.ends_with('}')) return "no brace at the end";
      const std::string fault = read_labels(head.substr(brace + 1, head.size() - brace - 2), &sample);
      if (!fault.empty()) return fault;
      head = head.substr(0, brace);
    }
    sample.name = head;
    if (!is_name(head, false)) return "no name";
    if (families_.empty()) return "a sample of no family";
    MetricFamily& family = families_.back();
    std::set<std::string> names = {family.name};
    if (family.type == "counter") names = {family.name + std::string(kTotal)};
    if (family.type == "histogram")
      names = {family.name + "_bucket", family.name + "_sum", family.name + "_count"};
    if (!names.contains(sample.name)) return "a sample of another family";
    for (const MetricSample& other : family.samples) {
      if (other.name == sample.name && other.labels == sample.labels) return "a sample that comes twice";
    }
    family.samples.push_back(std::move(sample));
    return {};
  }

  static std::string check(const MetricFamily& family) {
    if (family.help.empty()) return "no HELP";
    if (family.type != "gauge" && family.type != "counter" && family.type != "histogram") return "no TYPE";
    if (family.type == "histogram") return check_histogram(family);
    for (const MetricSample& sample : family.samples) {
      if (family.type == "counter" && !(sample.value >= 0)) return "a counter below 0";
    }
    return {};
  }

  static std::string check_histogram(const MetricFamily& family) {
    struct Series {
      double bound = -INFINITY;
      double count = 0;  // of the last bucket
      bool has_sum = false;
      bool has_count = false;
    };
    std::map<std::map<std::string, std::string>, Series> all;
    for (const MetricSample& sample : family.samples) {
      auto labels = sample.labels;
      if (sample.name.ends_with("_bucket")) {
        double bound = 0;
        const auto le = labels.find("le");
        if (le == labels.end() || !read_number(le->second, &bound)) return "a bucket without a bound";
        labels.erase(le);
        Series& series = all[labels];
        if (!(bound > series.bound)) return "bounds that do not rise";
        if (sample.value < series.count) return "buckets that are not cumulative";
        series.bound = bound;
        series.count = sample.value;
        continue;
      }
      Series& series = all[labels];
      const bool sum = sample.name.ends_with("_sum");
      (sum ? series.has_sum : series.has_count) = true;
      if (!sum && sample.value != series.count) return "a count that is not that of the last bucket";
    }
    if (all.empty()) return "a histogram without a series";
    for (const auto& [labels, series] : all) {
      if (series.bound != INFINITY) return "no bucket +Inf";
      if (!series.has_sum || !series.has_count) return "no sum or no count";
    }
    return {};
  }

  const bool openmetrics_;
  std::vector<MetricFamily>& families_;
  std::string declared_;  // as the comments name the last family
  std::set<std::string> known_;
};

}  // namespace

std::string read_exposition(std::string_view text, MetricsFormat format,
                            std::vector<MetricFamily>* families) {
  families->clear();
  return ExpositionReader(format, families).read(text);
}

}  // namespace lightning
