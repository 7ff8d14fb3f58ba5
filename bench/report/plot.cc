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

// Rows that have a timeline, by workload in the order of the rows.
std::vector<std::vector<const Row*>> timelines_of(const std::vector<Row>& rows) {
  std::vector<std::vector<const Row*>> groups;
  for (const Row& row : rows) {
    if (row.timeline.empty()) continue;
    const auto same =
        std::ranges::find_if(groups, [&](const auto& group) { return group[0]->workload == row.workload; });
    same != groups.end() ? same->push_back(&row) : groups.push_back({&row});
  }
  return groups;
}

std::string svg(double height, const std::string& content) {
  std::ostringstream out;
  out << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << kWidth << " " << height
      << "\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#57606a\">\n<rect width=\"100%\" "
         "height=\"100%\" fill=\"#ffffff\"/>\n"
      << content << "</svg>\n";
  return out.str();
}

constexpr double kBarHeight = 14, kBarGap = 16, kNameWidth = 190;

// The bars of one workload from `top` on; answers where they end.
double draw_bars(std::ostream& out, const std::vector<const Row*>& rows,
                 const std::vector<std::string>& engines, double top) {
  double fastest = 1;
  for (const Row* row : rows) fastest = std::max(fastest, row->ops_per_s);
  out << "<text x=\"0\" y=\"" << top + 11 << "\" font-weight=\"bold\">" << rows[0]->workload << "</text>\n";
  const double room = kWidth - kNameWidth - kRight;
  for (const Row* row : rows) {
    const auto engine = std::ranges::find(engines, row->engine) - engines.begin();
    const double width = std::max(1.0, room * row->ops_per_s / fastest);
    out << "<text x=\"" << kNameWidth - 8 << "\" y=\"" << top + 11 << "\" text-anchor=\"end\">" << row->engine
        << "</text><rect x=\"" << kNameWidth << "\" y=\"" << top << "\" width=\"" << width << "\" height=\""
        << kBarHeight - 2 << "\" fill=\"" << kColours[static_cast<size_t>(engine) % kColours.size()]
        << "\"/><text x=\"" << kNameWidth + width + 6 << "\" y=\"" << top + 11 << "\">"
        << short_number(row->ops_per_s) << "/s</text>\n";
    top += kBarHeight;
  }
  return top;
}

}  // namespace

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

std::string timeline_svg(const std::vector<Row>& rows) {
  std::ostringstream panels;
  double height = 0;
  for (const std::vector<const Row*>& lines : timelines_of(rows)) {
    const std::string& workload = lines[0]->workload;
    for (const Panel& panel : {Panel{workload + ": operations of each second", kOperations, false},
                               Panel{workload + ": slowest put of each second, us", kPutMax, true},
                               Panel{workload + ": slowest get of each second, us", kGetMax, true}}) {
      draw_panel(panels, panel, lines, height);
      height += kHeight;
    }
  }
  return height == 0 ? "" : svg(height, panels.str());
}

std::string rates_svg(const std::vector<Row>& rows) {
  std::vector<std::vector<const Row*>> workloads;
  std::vector<std::string> engines;
  for (const Row& row : rows) {
    if (std::ranges::find(engines, row.engine) == engines.end()) engines.push_back(row.engine);
    const auto same = std::ranges::find_if(
        workloads, [&](const auto& group) { return group[0]->workload == row.workload; });
    same != workloads.end() ? same->push_back(&row) : workloads.push_back({&row});
  }
  std::ostringstream bars;
  double height = 0;
  for (const std::vector<const Row*>& group : workloads)
    height = draw_bars(bars, group, engines, height) + kBarGap;
  return svg(height, bars.str());
}

void write_plot(const std::string& path, const std::vector<Row>& rows) {
  const std::string plot = timeline_svg(rows);
  if (plot.empty()) fail("nothing was measured by the second: choose steady");
  std::ofstream out(path);
  out << plot;
  out.close();
  if (!out) fail("cannot write " + path);
}

}  // namespace lightning::bench
