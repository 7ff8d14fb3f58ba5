#include "bench/report/html.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <sstream>

#include "bench/fail.h"
#include "bench/report/plot.h"

namespace lightning::bench {
namespace {

constexpr const char* kHead =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<title>lightning-bench</title>\n"
    "<style>body{font:14px sans-serif;max-width:960px;margin:2em auto;color:#24292f}"
    "table{border-collapse:collapse}td,th{padding:2px 10px;text-align:right;border-bottom:1px solid #d0d7de}"
    "td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}"
    "tr.first td{font-weight:bold}</style>\n</head>\n<body>\n<h1>lightning-bench</h1>\n";

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '&':
        safe += "&amp;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string cell(const std::optional<double>& number) {
  return "<td>" + (number ? short_number(*number) : std::string("-")) + "</td>";
}

void write_table(std::ostream& out, const std::vector<Row>& rows) {
  out << "<table>\n<tr><th>workload</th><th>engine</th><th>rank</th><th>operations/s</th><th>±</th>"
         "<th>p50 us</th><th>p99 us</th><th>p99.9 us</th><th>max us</th><th>disk MiB</th><th>rss "
         "MiB</th></tr>\n";
  constexpr double kMiB = 1 << 20;
  for (const Row& row : rows) {
    out << "<tr" << (row.rank == 1 ? " class=\"first\"" : "") << "><td>" << escaped(row.workload)
        << "</td><td>" << escaped(row.engine) << "</td><td>" << row.rank << "</td>" << cell(row.ops_per_s)
        << "<td>" << std::lround(row.spread() * 100) << " %</td>" << cell(row.p50_us) << cell(row.p99_us)
        << cell(row.p999_us) << cell(row.max_us) << cell(static_cast<double>(row.disk_bytes) / kMiB)
        << cell(static_cast<double>(row.rss_bytes) / kMiB) << "</tr>\n";
  }
  out << "</table>\n";
}

void write_figures(std::ostream& out, const std::vector<Row>& rows) {
  if (std::ranges::all_of(rows, [](const Row& row) { return row.figures.empty(); })) return;
  out << "<h2>Further "
         "figures</h2>\n<table>\n<tr><th>workload</th><th>engine</th><th>figure</th><th></th></tr>\n";
  for (const Row& row : rows) {
    for (const auto& [name, figure] : row.figures) {
      out << "<tr><td>" << escaped(row.workload) << "</td><td>" << escaped(row.engine) << "</td><td>"
          << escaped(name) << "</td>" << cell(figure) << "</tr>\n";
    }
  }
  out << "</table>\n";
}

}  // namespace

std::string html_report(const std::string& heading, const std::vector<Row>& rows) {
  std::ostringstream out;
  out << kHead << "<pre>" << escaped(heading) << "</pre>\n<h2>Operations a second</h2>\n" << rates_svg(rows);
  out << "<h2>Figures</h2>\n";
  write_table(out, rows);
  write_figures(out, rows);
  if (const std::string plot = timeline_svg(rows); !plot.empty()) out << "<h2>By the second</h2>\n" << plot;
  out << "</body>\n</html>\n";
  return out.str();
}

void write_html(const std::string& path, const std::string& heading, const std::vector<Row>& rows) {
  std::ofstream out(path);
  out << html_report(heading, rows);
  out.close();
  if (!out) fail("cannot write " + path);
}

}  // namespace lightning::bench
