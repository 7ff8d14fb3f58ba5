// Plots of what was measured by the second, as an SVG file that needs nothing beside it.
#pragma once

#include <string>
#include <vector>

#include "bench/report/result.h"

namespace lightning::bench {

// One panel a workload and quantity, one line an engine. Ends the process if the file cannot be written.
void write_plot(const std::string& path, const std::vector<Row>& rows);

}  // namespace lightning::bench
