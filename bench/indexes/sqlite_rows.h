// SqliteRows: a table of rows in SQLite, as lightning-indexbench asks for it. Built without SQLite it is
// nothing (kThere).
//
// Thread safety: one thread. Ends the program on any error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace lightning::bench {

class SqliteRows {
 public:
#if BENCH_HAS_SQLITE3
  static constexpr bool kThere = true;
#else
  static constexpr bool kThere = false;
#endif

  /// Begins an empty file in `directory`, and removes it in the end.
  explicit SqliteRows(const std::string& directory);
  ~SqliteRows();
  SqliteRows(const SqliteRows&) = delete;
  SqliteRows& operator=(const SqliteRows&) = delete;

  void create_index(bool unique);
  void insert(uint64_t id, uint64_t code, std::string_view rest);
  /// Takes the log into the tree, and gathers what the planner wants to know.
  void settle();
  bool get(uint64_t id);
  bool find(uint64_t code);
  /// `rows` from `code` on, in the order of codes.
  void range(uint64_t code, uint64_t rows);

 private:
  void execute(const char* sql);
  sqlite3_stmt* prepare(const char* sql);
  /// How many rows come; all columns are read.
  uint64_t rows_of(sqlite3_stmt* statement);

  std::string path_;
  sqlite3* db_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* get_ = nullptr;
  sqlite3_stmt* find_ = nullptr;
  sqlite3_stmt* range_ = nullptr;
};

}  // namespace lightning::bench
