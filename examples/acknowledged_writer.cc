// Writes numbered keys from four threads until it is killed, and notes each put once it has returned.
//
//   acknowledged_writer DIRECTORY NOTES ROUND
//
// A note is the line that `lightning-cli scan` prints for the entry, appended to the file NOTES: whoever
// kills this process then knows which entries must be there. Notes have 32 bytes, so that none crosses a page
// of the file and is cut by the kill. ROUND, 0 to 999, begins the keys.
#include <fcntl.h>
#include <lightning/database.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

using namespace lightning;

namespace {

constexpr unsigned kThreads = 4;
constexpr size_t kNoteBytes = 32;

// Ends with a message when a put or a note fails; otherwise never.
void write_until_killed(Database& db, int notes, unsigned round, unsigned thread) {
  for (uint64_t number = 0;; ++number) {
    char note[kNoteBytes + 1];
    std::snprintf(note, sizeof note, "%03u-%u-%010llu\tvalue %08llx\n", round % 1000, thread,
                  static_cast<unsigned long long>(number % 10'000'000'000),
                  static_cast<unsigned long long>(number * 2654435761 % (1ull << 32)));
    const std::string_view line(note, kNoteBytes), key = line.substr(0, 16), value = line.substr(17, 14);
    const Status status = db.put(key, value, {.durability = Durability::process});
    const bool noted = status.ok() && ::write(notes, note, kNoteBytes) == static_cast<ssize_t>(kNoteBytes);
    if (noted) continue;
    std::cerr << "acknowledged_writer: " << (status.ok() ? "cannot write a note" : status.to_string())
              << "\n";
    std::exit(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: acknowledged_writer DIRECTORY NOTES ROUND\n";
    return 2;
  }
  Result<Database> opened = Database::open(argv[1]);
  const int notes = ::open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (!opened || notes < 0) {
    std::cerr << "acknowledged_writer: "
              << (notes < 0 ? "cannot open the notes" : opened.status().to_string()) << "\n";
    return 1;
  }
  const auto round = static_cast<unsigned>(std::strtoul(argv[3], nullptr, 10));
  std::vector<std::jthread> threads;
  for (unsigned thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back(
        [&db = *opened, notes, round, thread] { write_until_killed(db, notes, round, thread); });
  }
}
