// A reader of the Prometheus text format 0.0.4 and of OpenMetrics 1.0, as strict as their specifications
// where a database's metrics are concerned: families whole and once, counters and histograms as they have to
// be.
#pragma once

#include <lightning/stats.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace lightning {

struct MetricSample {
  std::string name;  // with its suffix
  std::map<std::string, std::string> labels;
  double value = 0;
};

struct MetricFamily {
  std::string name;  // of a counter without _total
  std::string type;
  std::string help;
  std::string unit;
  std::vector<MetricSample> samples;
};

/// Empty: `text` is as it should be, and `families` hold it. Else what is wrong.
std::string read_exposition(std::string_view text, MetricsFormat format, std::vector<MetricFamily>* families);

}  // namespace lightning
