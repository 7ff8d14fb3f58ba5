// The engines that the benchmark knows, those that were not found at configure time included.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "bench/adapters/engine.h"

namespace lightning::bench {

struct EngineKind {
  std::string_view name;
  std::string_view package;   // what has to be installed for it
  std::string_view log_name;  // files with it in their names are log and not data; empty: there are none
  std::string_view settings;  // printed with the figures
  std::unique_ptr<Engine> (*open)(const EngineConfig&);  // null: not built
  std::string (*version)();                              // null: not built
};

std::span<const EngineKind> engine_kinds();
const EngineKind* find_engine(std::string_view name);

}  // namespace lightning::bench
