// How the figures are shown: tables for people, a line of JSON for each row for programs.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "bench/config.h"
#include "bench/report/result.h"

namespace lightning::bench {

// Rates with their spread, ratios of the first engine to the others; then latencies, sizes and disturbances.
void print_tables(std::ostream& out, const Config& config, const std::vector<Row>& rows);

// One object for each row: workload, engine, threads, num, ops_per_s, p50_us, p99_us (null where single
// operations are not timed), disk_bytes, log_bytes, rss_bytes, and how far the runs lay apart.
void print_json(std::ostream& out, const Config& config, const std::vector<Row>& rows);

}  // namespace lightning::bench
