// JoinState: what a public JoinScan holds: two scans of entries in the order of their keys, side by side.
//
// The side that is behind steps, and after a few steps in vain is opened again where the other one stands.
// Each further left entry of one key opens the right side again at that key: no memory of entries is needed.
// Thread safety: one thread at a time. Holds the engine.
#pragma once

#include <lightning/snapshot.h>

#include <memory>
#include <string>
#include <string_view>

#include "index/index_scan.h"

namespace lightning {

class JoinState {
 public:
  /// One that failed.
  explicit JoinState(Status status) : status_(std::move(status)) {}
  static std::unique_ptr<JoinState> make(const IndexPlace& place, std::shared_ptr<const LiveIndex> left,
                                         std::shared_ptr<const LiveIndex> right);

  bool advance();
  // Of the present pair; empty where advance() has not given one.
  EntryParts left() const { return present_ ? left_.scan->parts() : EntryParts(); }
  EntryParts right() const { return present_ ? right_.scan->parts() : EntryParts(); }
  // Null: it has none any more, there is no pair, or status() says why not.
  const Value* left_row() { return row(*left_.scan); }
  const Value* right_row() { return row(*right_.scan); }
  const Status& status() const { return status_; }

 private:
  struct Side {
    std::shared_ptr<const LiveIndex> index;
    std::unique_ptr<IndexScanState> scan = std::make_unique<IndexScanState>(Status());

    /// Of the entry where it stands, without the row's key: what two sides have in common.
    std::string_view key() const;
  };

  bool find_next();
  const Value* row(IndexScanState& side);
  /// From the entries of `from` on; false: there are none, or status() says why.
  bool open(Side& side, std::string_view from);
  bool step(Side& side);
  /// To the first entry that is not below `key`.
  bool catch_up(Side& side, std::string_view key);
  /// From any two entries on to two of one key.
  bool meet();

  Status status_;
  IndexPlace place_;
  Snapshot moment_;  // unless a transaction says what is seen
  Side left_;
  Side right_;
  std::string key_;  // of the pair; empty before the first
  bool ended_ = false;
  bool present_ = false;
};

/// Pairs of entries of two indexes with equal keys.
std::unique_ptr<JoinState> join_indexes(const IndexPlace& place, uint32_t left_keyspace,
                                        std::string_view left_name, uint32_t right_keyspace,
                                        std::string_view right_name);

}  // namespace lightning
