// Output: standard output, buffered, with every error noticed.
//
// A reader that has gone (a closed pipe) is no error: writing then answers false, so that the verb can end
// early. Thread safety: one thread at a time.
#pragma once

#include <lightning/status.h>

#include <string>
#include <string_view>

namespace lightning::cli {

class Output {
 public:
  /// False when nobody takes any more; finish() says why.
  bool write(std::string_view text);
  /// Writes what is buffered. ok, also when the reader has gone; else what went wrong.
  Status finish();

 private:
  bool drain();

  std::string buffer_;
  int error_ = 0;  // errno of the first write that failed
};

/// Keeps the numbers of standard input, output and error from being given to a database's files when the
/// caller closed them, and lets writes to a closed pipe fail instead of ending the process. Call it first.
void guard_standard_streams();

}  // namespace lightning::cli
