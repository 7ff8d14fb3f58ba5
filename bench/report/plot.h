// Plots of what was measured by the second, as an SVG file that needs nothing beside it.
#pragma once

#include <string>
#include <vector>

#include "bench/report/result.h"

namespace lightning::bench {

/// The same as an element of a page; nothing if nothing was measured by the second.
std::string timeline_svg(const std::vector<Row>& rows);
/// Operations a second by workload, a bar an engine, each workload scaled by its fastest engine.
std::string rates_svg(const std::vector<Row>& rows);
/// With magnitude: 1.25M.
std::string short_number(double value);

// One panel a workload and quantity, one line an engine. Ends the process if the file cannot be written.
void write_plot(const std::string& path, const std::vector<Row>& rows);

}  // namespace lightning::bench
