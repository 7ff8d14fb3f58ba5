#include "bench/indexes/sqlite_rows.h"

#include <filesystem>

#include "bench/fail.h"

#if BENCH_HAS_SQLITE3
#include <sqlite3.h>
#endif

namespace lightning::bench {

#if BENCH_HAS_SQLITE3

namespace {

void remove_files(const std::string& path) {
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix);
}

}  // namespace

SqliteRows::SqliteRows(const std::string& directory) : path_(directory + "/rows.sqlite") {
  remove_files(path_);
  if (sqlite3_open(path_.c_str(), &db_) != SQLITE_OK) fail("sqlite: cannot open " + path_);
  execute("PRAGMA journal_mode = WAL");
  execute("PRAGMA synchronous = NORMAL");
  execute("PRAGMA cache_size = -262144");
  execute("PRAGMA mmap_size = 1073741824");
  execute("PRAGMA wal_autocheckpoint = 16384");
  execute("PRAGMA locking_mode = EXCLUSIVE");
  execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, code INTEGER, rest BLOB)");
  insert_ = prepare("INSERT INTO rows VALUES (?, ?, ?)");
  get_ = prepare("SELECT code, rest FROM rows WHERE id = ?");
}

SqliteRows::~SqliteRows() {
  for (sqlite3_stmt* statement : {insert_, get_, find_, range_}) sqlite3_finalize(statement);
  sqlite3_close(db_);
  remove_files(path_);
}

void SqliteRows::execute(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    fail(std::string("sqlite: ") + sql + ": " + sqlite3_errmsg(db_));
}

sqlite3_stmt* SqliteRows::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK)
    fail(std::string("sqlite: ") + sql + ": " + sqlite3_errmsg(db_));
  return statement;
}

void SqliteRows::create_index(bool unique) {
  execute(unique ? "CREATE UNIQUE INDEX by_code ON rows (code)" : "CREATE INDEX by_code ON rows (code)");
  find_ = prepare("SELECT id, rest FROM rows WHERE code = ?");
  range_ = prepare("SELECT id, rest FROM rows WHERE code >= ? ORDER BY code LIMIT ?");
}

void SqliteRows::insert(uint64_t id, uint64_t code, std::string_view rest) {
  sqlite3_bind_int64(insert_, 1, static_cast<sqlite3_int64>(id));
  sqlite3_bind_int64(insert_, 2, static_cast<sqlite3_int64>(code));
  sqlite3_bind_blob(insert_, 3, rest.data(), static_cast<int>(rest.size()), SQLITE_STATIC);
  rows_of(insert_);
}

void SqliteRows::settle() {
  execute("PRAGMA wal_checkpoint(TRUNCATE)");
  execute("ANALYZE");
}

uint64_t SqliteRows::rows_of(sqlite3_stmt* statement) {
  uint64_t rows = 0;
  int bytes = 0;
  int result = SQLITE_ROW;
  for (; (result = sqlite3_step(statement)) == SQLITE_ROW; ++rows) {
    (void)sqlite3_column_int64(statement, 0);
    if (sqlite3_column_blob(statement, 1) != nullptr) bytes += sqlite3_column_bytes(statement, 1);
  }
  if (result != SQLITE_DONE) fail(std::string("sqlite: ") + sqlite3_errmsg(db_));
  require(rows == 0 || bytes > 0, "sqlite: an empty row");
  sqlite3_reset(statement);
  return rows;
}

bool SqliteRows::get(uint64_t id) {
  sqlite3_bind_int64(get_, 1, static_cast<sqlite3_int64>(id));
  return rows_of(get_) == 1;
}

bool SqliteRows::find(uint64_t code) {
  sqlite3_bind_int64(find_, 1, static_cast<sqlite3_int64>(code));
  return rows_of(find_) == 1;
}

void SqliteRows::range(uint64_t code, uint64_t rows) {
  sqlite3_bind_int64(range_, 1, static_cast<sqlite3_int64>(code));
  sqlite3_bind_int64(range_, 2, static_cast<sqlite3_int64>(rows));
  rows_of(range_);
}

#else

SqliteRows::SqliteRows(const std::string&) { fail("built without SQLite"); }
SqliteRows::~SqliteRows() = default;
void SqliteRows::create_index(bool) {}
void SqliteRows::insert(uint64_t, uint64_t, std::string_view) {}
void SqliteRows::settle() {}
bool SqliteRows::get(uint64_t) { return false; }
bool SqliteRows::find(uint64_t) { return false; }
void SqliteRows::range(uint64_t, uint64_t) {}

#endif

}  // namespace lightning::bench
