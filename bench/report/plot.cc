#include "bench/report/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <functional>
#include <sstream>

#include "bench/fail.h"

namespace lightning::bench {
namespace {

constexpr double kWidth = 900, kHeight = 260, kLeft = 80, kRight = 130, kTop = 34, kBottom = 34;
constexpr double kPlotWidth = kWidth - kLeft - kRight, kPlotHeight = kHeight - kTop - kBottom;
constexpr std::array kColours = {"#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df"};
constexpr int kLinearSteps = 4;

struct Panel {
  std::string title;
  double (*value)(const Second&);
  bool logarithmic;
};

constexpr auto kOperations = [](const Second& s) { return static_cast<double>(s.operations); };
constexpr auto kPutMax = [](const Second& s) { return s.put_max_us; };
constexpr auto kGetMax = [](const Second& s) { return s.get_max_us; };

std::string short_number(double value) {
  std::ostringstream text;
  text.precision(3);
  if (value >= 1e6) {
    text << value / 1e6 << "M";
  } else if (value >= 1e3) {
    text << value / 1e3 << "K";
  } else {
    text << value;
  }
  return text.str();
}

// From values to heights of a panel.
struct Scale {
  Scale(double top, bool logarithmic_scale) : logarithmic(logarithmic_scale) {
    if (logarithmic) {
      decades = std::max(1.0, std::ceil(std::log10(std::max(top, 1.0))));
    } else {
      const double step = std::pow(10, std::floor(std::log10(std::max(top, 1.0))));
      maximum = std::ceil(top / step) * step;
    }
  }
  double y(double value) const {
    const double part =
        logarithmic ? std::log10(std::max(value, 1.0)) / decades : value / std::max(maximum, 1.0);
    return kTop + kPlotHeight * (1 - part);
  }
  std::vector<double> ticks() const {
    std::vector<double> found;
    for (int i = 0; i <= (logarithmic ? static_cast<int>(decades) : kLinearSteps); ++i) {
      found.push_back(logarithmic ? std::pow(10, i) : maximum * i / kLinearSteps);
    }
    return found;
  }

  bool logarithmic;
  double decades = 1;
  double maximum = 1;
};

void draw_panel(std::ostream& out, const Panel& panel, const std::vector<const Row*>& rows, double offset) {
  double top = 0;
  size_t seconds = 1;
  for (const Row* row : rows) {
    seconds = std::max(seconds, row->timeline.size());
    for (const Second& second : row->timeline) top = std::max(top, panel.value(second));
  }
  const Scale scale(top, panel.logarithmic);
  const double end = kWidth - kRight;
  out << "<g transform=\"translate(0 " << offset << ")\">\n<text x=\"" << kLeft
      << "\" y=\"20\" font-weight=\"bold\">" << panel.title << "</text>\n";
  for (const double tick : scale.ticks()) {
    out << "<path d=\"M" << kLeft << " " << scale.y(tick) << "H" << end << "\" stroke=\"#d0d7de\"/><text x=\""
        << kLeft - 8 << "\" y=\"" << scale.y(tick) + 4 << "\" text-anchor=\"end\">" << short_number(tick)
        << "</text>\n";
  }
  out << "<text x=\"" << kLeft << "\" y=\"" << kHeight - 12 << "\">0</text><text x=\"" << end << "\" y=\""
      << kHeight - 12 << "\" text-anchor=\"end\">" << seconds << " s</text>\n";
  for (size_t i = 0; i < rows.size(); ++i) {
    const char* colour = kColours[i % kColours.size()];
    out << "<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"" << colour << "\" points=\"";
    for (size_t s = 0; s < rows[i]->timeline.size(); ++s) {
      const double x = kLeft + kPlotWidth * (static_cast<double>(s) + 0.5) / static_cast<double>(seconds);
      out << x << "," << scale.y(panel.value(rows[i]->timeline[s])) << " ";
    }
    out << "\"/><text x=\"" << end + 10 << "\" y=\"" << kTop + 16 * (static_cast<double>(i) + 1)
        << "\" fill=\"" << colour << "\">" << rows[i]->engine << "</text>\n";
  }
  out << "</g>\n";
}

}  // namespace

void write_plot(const std::string& path, const std::vector<Row>& rows) {
  std::vector<std::string> workloads;
  for (const Row& row : rows) {
    if (!row.timeline.empty() && std::ranges::find(workloads, row.workload) == workloads.end()) {
      workloads.push_back(row.workload);
    }
  }
  if (workloads.empty()) fail("nothing was measured by the second: choose steady");
  std::ostringstream panels;
  double height = 0;
  for (const std::string& workload : workloads) {
    std::vector<const Row*> lines;
    for (const Row& row : rows) {
      if (row.workload == workload) lines.push_back(&row);
    }
    for (const Panel& panel : {Panel{workload + ": operations of each second", kOperations, false},
                               Panel{workload + ": slowest put of each second, us", kPutMax, true},
                               Panel{workload + ": slowest get of each second, us", kGetMax, true}}) {
      draw_panel(panels, panel, lines, height);
      height += kHeight;
    }
  }
  std::ofstream out(path);
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << kWidth << " " << height
      << "\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#57606a\">\n<rect width=\"100%\" "
         "height=\"100%\" "
      << "fill=\"#ffffff\"/>\n"
      << panels.str() << "</svg>\n";
  out.close();
  if (!out) fail("cannot write " + path);
}

}  // namespace lightning::bench
