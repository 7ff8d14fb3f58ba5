// Database: an embedded, ordered key-value store in one directory. The header that most programs include.
//
//   lightning::Result<lightning::Database> opened = lightning::Database::open("./mydb");
//   if (!opened) return report(opened.status());
//   lightning::Database& db = *opened;
//   lightning::Status s = db.put("user:1", "Alice");
//   if (lightning::Lookup found = db.get("user:1")) use(found.value());
//
// Thread safety: any threads, except close() and destruction against other calls of the same Database object;
// Keyspace, Snapshot, Cursor and Scan handles may outlive it and then answer `closed`.
// Ownership: one process at a time may open a directory for writing; a second opener gets `busy` with the
// holder's pid. A forked child's calls answer `closed`; it may destroy its handles, and must not look at
// what a Value, a Cursor or a Scan of before the fork refers to: those bytes are the parent's alone.
#pragma once

#include <lightning/admin.h>
#include <lightning/batch.h>
#include <lightning/export.h>
#include <lightning/index.h>
#include <lightning/keyspace.h>
#include <lightning/options.h>
#include <lightning/snapshot.h>
#include <lightning/stats.h>
#include <lightning/status.h>
#include <lightning/transaction.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lightning {

/// A database is its default keyspace (put, get, scan, ...: keyspace.h) and what concerns the whole.
class [[nodiscard]] LIGHTNING_EXPORT Database : public Keyspace {
 public:
  /// Opens the database in `directory`, made when it does not exist (unless options.create is false).
  static Result<Database> open(const std::string& directory, const Options& options = {});
  /// Makes a database; already_exists if the directory holds one.
  static Result<Database> create(const std::string& directory, const Options& options = {});

  /// A closed one.
  Database() = default;
  explicit Database(std::shared_ptr<Engine> engine);
  Database(Database&&) noexcept = default;
  Database& operator=(Database&& other) noexcept;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  /// Closes, without a report.
  ~Database();

  /// Makes everything durable, ends background work, gives the directory back. Reports the first failure; the
  /// database is closed in any case. Other handles answer `closed` from now on.
  Status close();

  /// Applies the batch at once or not at all.
  Status write(const WriteBatch& batch, const WriteOptions& options = {});

  /// Never fails by itself: Transaction::status(), and each of its calls, says what stood against it:
  /// `closed`, `busy` (max_active_transactions), `out_of_memory`.
  Transaction begin(const TransactionOptions& options = {});
  /// Calls `fn(transaction)`, which answers a Status or a Result, and commits if that is ok. What ends with
  /// `conflict` or `deadlock` is tried again with a new transaction, after a short wait, until
  /// options.timeout_ms have passed. Answers what fn answered, or why there was no commit.
  template <typename Fn>
  auto transact(Fn&& fn, const TransactionOptions& options = {}) -> std::invoke_result_t<Fn&, Transaction&> {
    uint64_t began_ns = 0;
    for (uint32_t tries = 1;; ++tries) {
      Transaction transaction = begin(options);
      if (Status status = transaction.status(); !status.ok()) return status;
      auto answer = fn(transaction);
      Status status = transaction_detail::status_of(answer);
      if (status.ok()) {
        status = transaction.commit();
        if (status.ok()) return answer;
      }
      transaction.abort();
      if (!transaction_detail::worth_retrying(status)) return status;
      if (!Transaction::wait_to_retry(engine_, options, tries, &began_ns)) return status;
    }
  }
  /// Those that have not ended, oldest first.
  Result<std::vector<TransactionInfo>> transactions() const;
  /// Makes what Transaction::prepare() promised visible; there is no conflict any more. `not_found`: nothing
  /// is prepared under this name. `busy`: another call resolves it. Stats::prepared_transactions lists them.
  Status commit_prepared(std::string_view gid, const WriteOptions& options = {});
  /// Gives it up. Errors: as commit_prepared().
  Status abort_prepared(std::string_view gid, const WriteOptions& options = {});

  /// Versions visible now stay readable until it is released.
  Result<Snapshot> snapshot() const;

  /// The keyspace called `name` (1 to 255 bytes), made when it does not exist and `create` is true.
  Result<Keyspace> keyspace(std::string_view name, bool create = true);
  Result<Keyspace> keyspace(std::string_view name, const KeyspaceOptions& options);
  /// Removes the keyspace and its entries in one commit; handles to it answer not_found from then on. The
  /// space is given back in the background; the id is never used again.
  Status drop_keyspace(std::string_view name);
  /// Names in bytewise order, without the default one.
  Result<std::vector<std::string>> keyspaces() const;

  /// Makes every commit that returned survive a power cut.
  Status sync();
  /// Turns what is in memory into runs and waits for it; not needed for durability.
  Status flush();
  /// Merges all runs into one sorted run without removals or versions that nobody reads. What is written
  /// meanwhile is left to background work. Of a range of keys: compact_range().
  Status compact(const CompactOptions& options = {});

  /// Reads every byte of every file of the database while it works, but for what of the log is not durable
  /// yet. Damage stands in the report (admin.h).
  Result<VerifyReport> verify(const VerifyOptions& options = {}) const;

  /// Makes a second database of all that is committed now in `directory`, which must be empty or not exist.
  /// Run files are linked where the file system can do that, else copied as by backup(); the log is copied.
  /// Writers go on. `directory` holds a database once all of it is there, and none before. Errors: backup().
  Result<CopyReport> checkpoint(const std::string& directory, const BackupOptions& options = {}) const;
  /// As checkpoint(), with every byte copied, and every checksum verified in the copy: `corruption` with file
  /// and offset where this database is damaged. Other errors: `already_exists` (something is in `directory`),
  /// `cancelled`, `closed`, `io_error`, `no_space`; what was copied is then removed.
  Result<CopyReport> backup(const std::string& directory, const BackupOptions& options = {}) const;

  Result<Stats> stats() const;
  /// Stats and histograms of latencies as text for a monitoring system to collect, under the names of
  /// docs/metrics.md, which later versions keep. It looks at each file of the directory, as stats() does.
  Result<std::string> metrics_text(MetricsFormat format = MetricsFormat::prometheus) const;
  /// Snapshots, cursors (scans among them) and moments of transactions that are registered now, oldest first.
  Result<std::vector<Reader>> readers() const;
  /// ok, or what made the database refuse writes. A failed flush of the log lasts until it is opened again; a
  /// full disk ends when space returns.
  Status background_error() const;
};

}  // namespace lightning
