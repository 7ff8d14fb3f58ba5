#include "bench/report/html.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace lightning::bench {
namespace {

Row row(const char* workload, const char* engine, double ops_per_s, unsigned rank) {
  Row made;
  made.workload = workload;
  made.engine = engine;
  made.ops_per_s = made.ops_per_s_min = made.ops_per_s_max = ops_per_s;
  made.rank = rank;
  return made;
}

std::vector<Row> rows() {
  std::vector<Row> made = {row("readrandom", "lightning", 2e6, 1), row("readrandom", "lmdb", 1e6, 2),
                           row("steady", "lmdb", 5e5, 1)};
  made[0].ops_per_s_min = 1e6;
  made[1].p50_us = 0.5;
  made[2].figures["put_p99_us"] = 12.5;
  made[2].timeline.resize(2);
  made[2].timeline[0].operations = 400'000;
  made[2].timeline[1].operations = 600'000;
  return made;
}

/// Elements that were opened and not closed, or the other way; empty if all is well.
std::string unbalanced(const std::string& page) {
  std::vector<std::string> open;
  for (size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1)) {
    const size_t end = page.find('>', at);
    if (end == std::string::npos) return "an element without an end";
    if (page[at + 1] == '!' || page[end - 1] == '/') continue;
    const bool closes = page[at + 1] == '/';
    const size_t name_at = at + (closes ? 2 : 1);
    const std::string name = page.substr(name_at, page.find_first_of(" >", name_at) - name_at);
    if (!closes) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name) {
      return "closes " + name;
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : "leaves " + open.back() + " open";
}

TEST(HtmlTest, IsWholeAndNeedsNothingBesideIt) {
  const std::string page = html_report("a < b & c", rows());
  EXPECT_EQ(unbalanced(page), "");
  EXPECT_NE(page.find("a &lt; b &amp; c"), std::string::npos);
  for (const char* outside : {"src=", "href=", "@import", "url(", "<script"}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
  // The name space of SVG is no address that anybody opens.
  for (size_t at = page.find("http"); at != std::string::npos; at = page.find("http", at + 1)) {
    EXPECT_EQ(page.substr(at, 26), "http://www.w3.org/2000/svg");
  }
}

TEST(HtmlTest, ShowsEveryRow) {
  const std::string page = html_report("", rows());
  for (const char* shown : {"<td>readrandom</td><td>lightning</td><td>1</td><td>2M</td><td>25 %</td>",
                            "<td>readrandom</td><td>lmdb</td><td>2</td><td>1M</td>", "<td>500K</td>",
                            "<td>put_p99_us</td><td>12.5</td>", "<polyline", "2M/s</text>"}) {
    EXPECT_NE(page.find(shown), std::string::npos) << shown;
  }
}

TEST(HtmlTest, WithoutATimelineThereIsNoPlotOfIt) {
  std::vector<Row> made = rows();
  made.pop_back();
  EXPECT_EQ(html_report("", made).find("<polyline"), std::string::npos);
}

}  // namespace
}  // namespace lightning::bench
