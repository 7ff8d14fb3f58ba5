// The report as one HTML page: the machine, the settings, a table of figures, and plots. It needs nothing
// beside it: no script, no style or picture from elsewhere.
#pragma once

#include <string>
#include <vector>

#include "bench/report/result.h"

namespace lightning::bench {

/// `heading`: lines of text about the run.
std::string html_report(const std::string& heading, const std::vector<Row>& rows);
/// Ends the process if the file cannot be written.
void write_html(const std::string& path, const std::string& heading, const std::vector<Row>& rows);

}  // namespace lightning::bench
