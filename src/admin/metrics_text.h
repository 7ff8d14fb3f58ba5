// Metrics as text: what Database::metrics_text() answers, in the Prometheus text format 0.0.4 or OpenMetrics
// 1.0, of Stats and of the engine's histograms. docs/metrics.md lists the names; a test holds both together.
//
// Thread safety: any threads. Each figure is of about the same moment.
#pragma once

#include <lightning/stats.h>
#include <lightning/status.h>

#include <string>

namespace lightning {

class Engine;

Result<std::string> metrics_text(const Engine& engine, MetricsFormat format);

}  // namespace lightning
