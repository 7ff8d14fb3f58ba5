// KillWriter: the process of kill_writer.cc, what it says, and what its database must hold after it ended.
//
// Thread safety: externally synchronised.
#pragma once

#include <lightning/database.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>

#include "testing/model.h"
#include "tests/kill_script.h"

namespace lightning {

/// Operations of each thread.
using KillCounts = std::array<uint32_t, kKillThreadsMax>;

/// What one run of the writer acknowledged.
struct KillAcknowledged {
  bool opened = false;
  bool failed = false;
  KillCounts operations = {};

  uint64_t operations_of_all() const;
  /// Those of each thread up to the last one that was acknowledged as safe from a power cut.
  KillCounts safe_from_power_cut(uint64_t seed) const;
};

class KillWriter {
 public:
  KillWriter(const std::string& directory, uint64_t seed, uint32_t threads);
  ~KillWriter();
  KillWriter(const KillWriter&) = delete;
  KillWriter& operator=(const KillWriter&) = delete;

  /// Takes what it says for `ms` milliseconds, at most until it has opened the database and acknowledged so
  /// many operations.
  void listen(int ms, uint64_t operations = UINT64_MAX);
  const KillAcknowledged& said() const { return said_; }
  /// Kills it; what it had said until then. `*ended_by_itself`: before the kill.
  KillAcknowledged kill(bool* ended_by_itself);

 private:
  bool take_one();

  pid_t child_;
  int messages_;
  KillAcknowledged said_;
};

/// What each thread's keys must hold.
class KillExpected {
 public:
  KillExpected();

  /// Each thread is somewhere from `least` operations of this run to one beyond `most`; this then becomes
  /// what is expected. Empty, or what was wrong.
  std::string compare(uint64_t seed, const KillCounts& least, const KillCounts& most, Database& database);

 private:
  uint64_t digest(uint32_t thread) const {
    return models_[thread].digest() - Model::digest_of_keyspace(kKillKeyspace);
  }
  void apply(uint64_t seed, uint32_t thread, uint32_t number) {
    models_[thread].write(kill_operation(seed, thread, number).writes);
  }

  std::array<Model, kKillThreadsMax> models_;
};

}  // namespace lightning
