// The record of a prepared transaction. What is accepted is written again as it was.
#include "engine/prepared.h"

#include "format/internal_key.h"
#include "fuzz/target.h"

namespace lightning::fuzz {
namespace {

bool run(std::string_view input) {
  const Result<PreparedRecord> record = decode_prepared(input);
  if (!record) {
    expect(record.status().is(StatusCode::corruption), "the kind of error");
    return false;
  }
  PreparedGuards guards;
  for (const PreparedRecord::Guard& guard : record->guards) {
    Footprint& of_mode = guard.mode == KeyLock::shared ? guards.shared : guards.exclusive;
    if (guard.to.empty()) {
      of_mode.add_key(guard.from, hash_key(guard.from));
    } else {
      of_mode.add_range(guard.from, guard.to);
    }
  }
  guards.shared.seal();
  guards.exclusive.seal();
  const std::string again = encode_prepared(record->prepared_us, record->operations, guards);
  const Result<PreparedRecord> second = decode_prepared(again);
  expect(second.ok() && second->operations.size() == record->operations.size(), "it is read differently");
  for (size_t at = 0; at < record->operations.size(); ++at) {
    const Operation& a = record->operations[at];
    const Operation& b = second->operations[at];
    expect(a.entry.kind == b.entry.kind && a.entry.key == b.entry.key && a.entry.value == b.entry.value &&
               a.expiry == b.expiry,
           "an operation is read differently");
  }
  return true;
}

void seeds(const SeedSink& sink) {
  const InternalKey a(kDefaultKeyspaceId, "a");
  const InternalKey b(kFirstUserKeyspaceId, "b");
  const InternalKey z(kDefaultKeyspaceId, "z");
  const Operation operations[] = {
      {.entry = {EntryKind::remove_range, a.view(), z.view()}, .hash = 0, .offset = 0, .expiry = 0},
      {.entry = {EntryKind::put, a.view(), "value"}, .hash = 0, .offset = 0, .expiry = 5},
      {.entry = {EntryKind::put, b.view(), ""}, .hash = 0, .offset = 0, .expiry = 0},
      {.entry = {EntryKind::remove, z.view(), {}}, .hash = 0, .offset = 0, .expiry = 0}};
  PreparedGuards guards;
  guards.shared.add_key(b.view(), hash_key(b.view()));
  guards.shared.add_range(a.view(), z.view());
  guards.shared.seal();
  guards.exclusive.add_key(z.view(), hash_key(z.view()));
  sink("empty", encode_prepared(0, {}, {}));
  sink("writes", encode_prepared(1, operations, {}));
  sink("guards", encode_prepared(2, operations, guards));
}

}  // namespace

const Target kTarget = {.run = run, .mend = nullptr, .seeds = seeds};

}  // namespace lightning::fuzz
