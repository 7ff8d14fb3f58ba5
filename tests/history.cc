// Writes and the life of the database; history_reads.cc has the reads.
#include "tests/history.h"

#include <algorithm>
#include <array>
#include <map>

#include "admin/copy.h"
#include "admin/verify.h"
#include "api/open_in.h"
#include "tests/entries_source.h"
#include "tests/index_agreement.h"

namespace lightning {

namespace {

constexpr uint64_t kPoolBytes = 1 << 20;
constexpr size_t kKeyspacesMax = 4;

// Bytes that values are cut from.
const std::string& value_pool() {
  static const std::string pool = [] {
    std::string bytes(kPoolBytes, '\0');
    Random random(7);
    for (char& byte : bytes) byte = static_cast<char>(random.next());
    return bytes;
  }();
  return pool;
}

}  // namespace

History::History(Env& env, std::string directory, uint64_t seed, bool allow_huge, std::function<void()> idle)
    : env_(env),
      directory_(std::move(directory)),
      allow_huge_(allow_huge),
      idle_(std::move(idle)),
      random_(seed) {
  indexes_ = random_.chance(0.5);
  make_keys();
  set_clock(ClockEnv::kBeginMicros);
}

History::~History() { release_all(); }

void History::check(bool good, std::string_view what) {
  if (!good) throw Disagreement(std::string(what));
}

void History::check(const Status& status, std::string_view what) {
  if (!status.ok()) throw Disagreement(std::string(what) + ": " + status.to_string());
}

void History::run(uint64_t steps) {
  struct Kind {
    uint32_t weight;
    void (History::*make)();
  };
  static constexpr std::array kKinds = std::to_array<Kind>({
      {3000, &History::put},
      {900, &History::remove},
      {700, &History::write_batch},
      {60, &History::remove_range},
      {150, &History::transact},
      {100, &History::change_one_key},
      {8, &History::change_indexes},
      {20, &History::read_indexes},
      {1500, &History::get},
      {900, &History::get_reused},
      {500, &History::contains},
      {300, &History::get_many},
      {1200, &History::move_cursor},
      {150, &History::scan},
      {80, &History::open_cursor},
      {40, &History::close_cursor},
      {60, &History::take_snapshot},
      {60, &History::release_snapshot},
      {60, &History::get_durable},
      {20, &History::refused_writes},
      {15, &History::create_keyspace},
      {8, &History::drop_keyspace},
      {15, &History::list_keyspaces},
      {10, &History::set_default_ttl},
      {60, &History::pass_time},
      {6, &History::expire_in_ranges},
      {6, &History::flush},
      {2, &History::compact},
      {4, &History::compact_range},
      {10, &History::sync},
      {4, &History::reopen},
      {40, &History::idle},
      {10, &History::stats},
      {20, &History::approximate_size},
      {3, &History::compare},
      {2, &History::copy},
      {4, &History::ingest},
  });
  static const uint64_t total = [] {
    uint64_t sum = 0;
    for (const Kind& kind : kKinds) sum += kind.weight;
    return sum;
  }();
  open();
  for (; step_ < steps; ++step_) {
    uint64_t at = random_.below(total);
    size_t kind = 0;
    while (at >= kKinds[kind].weight) at -= kKinds[kind++].weight;
    (this->*kKinds[kind].make)();
  }
  compare();
  close();
  open();
  compare();
  close();
}

// Half of the draws take one of the first sixteen keys, so that keys are overwritten, removed and read again.
const std::string& History::random_key() {
  constexpr size_t kFrequent = 16;
  constexpr size_t kLong = 4;  // the keys of about 65,535 bytes stand at the end
  if (random_.chance(0.002)) return keys_[keys_.size() - 1 - random_.below(kLong)];
  return keys_[random_.below(random_.chance(0.5) ? kFrequent : keys_.size() - kLong)];
}

void History::make_keys() {
  const uint64_t count = std::array{20, 100, 400, 2000}[random_.below(4)];
  const std::string prefix(std::array{8, 40, 300}[random_.below(3)], 'p');
  keys_ = {"", "a", "k", std::string(1, '\0'), std::string(1, '\xff'), "\xff\xff"};
  while (keys_.size() < count) {
    const uint64_t number = random_.below(count);
    switch (random_.below(4)) {
      case 0:
        keys_.push_back("k" + std::to_string(number));
        break;
      case 1:
        keys_.push_back(prefix + std::to_string(number));
        break;
      case 2:
        keys_.push_back(std::string(random_.below(50), 'a'));
        break;
      default: {
        std::string key(random_.below(5), '\0');
        for (char& byte : key) byte = std::array{'\0', '\x01', 'a', '\x7f', '\xfb', '\xff'}[random_.below(6)];
        keys_.push_back(key);
      }
    }
  }
  std::sort(keys_.begin(), keys_.end());
  keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
  for (size_t i = keys_.size(); i > 1; --i) std::swap(keys_[i - 1], keys_[random_.below(i)]);
  // An entry of an index holds the key, too.
  std::string key(indexes_ ? 20'000 : kKeyBytesMax, 'p');
  for (const char last : {'a', 'b', 'c'}) {
    key.back() = last;
    keys_.push_back(key);
  }
  key.pop_back();
  keys_.push_back(key);
}

std::string History::random_value() {
  const uint64_t kind = random_.below(1000);
  uint64_t size = 1 + random_.below(100);
  if (kind < 30) size = 0;
  if (kind >= 750) size = 100 + random_.below(900);
  if (kind >= 880) size = std::array{64, 200, 1024, 2048}[random_.below(4)] - 4 + random_.below(10);
  if (kind >= 970) size = 1000 + random_.below(9000);
  if (kind >= 998) size = random_.below(200'000);
  if (huge_budget_ > 0 && random_.chance(1.0 / 2000)) {
    --huge_budget_;
    size = random_.chance(0.5) ? 64 * MiB : random_.below(64 * MiB);
  }
  const std::string& pool = value_pool();
  const uint64_t from = random_.below(kPoolBytes / 2);
  std::string value = pool.substr(from, size);
  while (value.size() < size) value.append(pool, 0, std::min<uint64_t>(kPoolBytes, size - value.size()));
  return value;
}

WriteOptions History::random_write_options() {
  everything_durable_ = false;
  if (random_.chance(0.02)) {
    everything_durable_ = true;
    return {.durability = Durability::power};
  }
  return {.durability = Durability::process};
}

uint64_t History::random_ttl() {
  if (!random_.chance(0.3)) return 0;
  return std::array<uint64_t, 7>{
      1, 100, 10'000, 60'000, 3'600'000, kNeverExpires, kNeverExpires - 1}[random_.below(7)];
}

uint64_t History::expiry_of_put(uint64_t entry_ttl_ms, uint64_t write_ttl_ms,
                                const std::string& keyspace) const {
  uint64_t ttl_ms = entry_ttl_ms != 0 ? entry_ttl_ms : write_ttl_ms;
  if (ttl_ms == 0) {
    ttl_ms = default_ttl_ms_;
    for (const HeldKeyspace& held : keyspaces_) {
      if (held.name == keyspace) ttl_ms = held.ttl_ms;
    }
  }
  if (ttl_ms == 0 || ttl_ms == kNeverExpires) return 0;
  constexpr uint64_t kLatest = INT64_MAX;
  return ttl_ms > (kLatest - model_.time()) / 1000 ? kLatest : model_.time() + ttl_ms * 1000;
}

void History::set_clock(int64_t micros) {
  env_.set_micros(micros);
  model_.set_time(static_cast<uint64_t>(std::max<int64_t>(micros, 0)));
}

void History::set_default_ttl() {
  std::string name;
  Keyspace& keyspace = random_keyspace(&name);
  const uint64_t ttl_ms = random_.chance(0.5) ? 0 : random_ttl();
  check(keyspace.set_default_ttl(ttl_ms), "set_default_ttl");
  const auto codec = static_cast<Compression>(random_.below(4));  // the fourth: as the option says
  check(keyspace.set_compression(codec > Compression::zstd ? std::nullopt : std::optional(codec)),
        "its codec");
  const uint64_t kept = ttl_ms == kNeverExpires ? 0 : ttl_ms;
  Result<uint64_t> found = keyspace.default_ttl_ms();
  check(found.status(), "default_ttl_ms");
  check(*found == kept, "the default time to live");
  everything_durable_ = false;
  if (name.empty()) default_ttl_ms_ = kept;
  for (HeldKeyspace& held : keyspaces_) {
    if (held.name == name) held.ttl_ms = kept;
  }
}

// Set back, the clock is where only what was found expired says that it was later: that is the time of an
// entry that expires just now.
void History::pass_time() {
  if (!random_.chance(0.2)) {
    constexpr std::array<uint64_t, 5> kStepsMs = {1, 50, 5'000, 50'000, 2'000'000};
    const uint64_t step_ms = random_.below(2 * kStepsMs[random_.below(5)]);
    return set_clock(env_.micros() + static_cast<int64_t>(step_ms * 1000));
  }
  constexpr int64_t kYearMicros = 31'536'000'000'000;
  const std::string& key = keys_[0];
  const auto expiry = static_cast<int64_t>(model_.time()) + 1000;
  check(database_.put(key, "expires at once", {.durability = Durability::process, .ttl_ms = 1}), "put");
  everything_durable_ = false;
  model_.put("", key, "expires at once", static_cast<uint64_t>(expiry));
  set_clock(expiry);
  check(database_.contains(key).absent(), "an entry that has expired");
  env_.set_micros(expiry - static_cast<int64_t>(random_.below(100)) * kYearMicros);
}

Keyspace& History::random_keyspace(std::string* name) {
  const size_t at = random_.below(keyspaces_.size() + 2);
  if (at < keyspaces_.size()) {
    *name = keyspaces_[at].name;
    return keyspaces_[at].handle;
  }
  name->clear();
  return database_;
}

void History::put() {
  std::string name;
  Keyspace& keyspace = random_keyspace(&name);
  const std::string& key = random_key();
  const std::string value = random_value();
  WriteOptions options = random_write_options();
  options.ttl_ms = random_ttl();
  check(keyspace.put(key, value, options), "put");
  model_.put(name, key, value, expiry_of_put(0, options.ttl_ms, name));
}

void History::remove() {
  std::string name;
  Keyspace& keyspace = random_keyspace(&name);
  const std::string& key = random_key();
  check(keyspace.remove(key, random_write_options()), "remove");
  model_.remove(name, key);
}

std::pair<std::string, std::string> History::random_range() {
  std::string from = random_key();
  std::string to = random_key();
  if (random_.chance(0.7)) {
    to = from;
    to += random_.chance(0.5) ? '\0' : '\xff';
    if (to.size() > kKeyBytesMax) to.pop_back();
  }
  if (to < from && random_.chance(0.9)) std::swap(from, to);
  return {from, to};
}

void History::remove_range() {
  std::string name;
  Keyspace& keyspace = random_keyspace(&name);
  // Sometimes many in a row, over the same and neighbouring ranges.
  const uint64_t count = random_.chance(0.05) ? 200 : 1;
  const auto [first, behind] = random_range();
  for (uint64_t i = 0; i < count; ++i) {
    const auto [from, to] =
        i == 0 ? std::pair(first, behind) : std::pair(first, first + std::to_string(i % 50));
    if (to.size() > kKeyBytesMax) return;
    remove_range_of(keyspace, name, from, to);
  }
}

void History::remove_range_of(Keyspace& keyspace, const std::string& name, const std::string& from,
                              const std::string& to) {
  bool expiring = false, expired = false, held = false;
  const auto first_from = [&](std::string_view key, bool inclusive, Model::Moment at) {
    return model_.first_from(name, key, inclusive, at, 0);  // by the time 0 nothing has expired
  };
  for (auto one = first_from(from, true, Model::kNow); one && one->key < to;
       one = first_from(one->key, false, Model::kNow)) {
    if (one->expiry_us == 0) continue;
    expiring = true;
    expired |= one->expiry_us <= model_.time();
    held |= std::any_of(snapshots_.begin(), snapshots_.end(), [&](const HeldSnapshot& snapshot) {
      const auto seen = first_from(one->key, true, snapshot.at);
      return seen && seen->key == one->key && seen->expiry_us == one->expiry_us;
    });
  }
  work_.over_expiring += expiring ? 1 : 0;
  work_.over_expired += expired ? 1 : 0;
  work_.under_snapshots += held ? 1 : 0;
  const Status status = keyspace.remove_range(from, to, random_write_options());
  if (status.is(StatusCode::out_of_memory) && indexed_.contains(name)) {  // too many entries at once
    return wrote_nothing();
  }
  check(status, "remove_range");
  if (to <= from) wrote_nothing();
  model_.remove_range(name, from, to);
}

// Keys that stand side by side live and die in every order: entries that expire under range removals, between
// two and over them, some seen by a snapshot; and all of it goes through a flush, a merge or an opening.
void History::expire_in_ranges() {
  std::string name;
  Keyspace& keyspace = random_keyspace(&name);
  std::string from = random_key();
  from.resize(std::min<size_t>(from.size(), 40));
  const auto key_of = [&](uint64_t number) { return from + static_cast<char>('0' + number); };
  const auto work = [&] {
    const uint64_t kind = random_.below(16);
    if (kind < 4) set_clock(static_cast<int64_t>(model_.time() + random_.below(60'000)));
    if (kind == 4) pass_time();
    if (kind == 5) take_snapshot();
    if (kind == 6) flush();
    if (kind == 7) idle();
    if (kind == 8 && random_.chance(0.3)) compact();
  };
  bool removed = false;
  for (uint64_t left = 10 + random_.below(30); left > 0; --left) {
    work();
    const uint64_t at = random_.below(8);
    if (random_.chance(0.3)) {
      remove_range_of(keyspace, name, key_of(at), key_of(at + 1 + random_.below(8 - at)));
      removed = true;
    } else {
      const std::string value = random_value();
      WriteOptions options = random_write_options();
      options.ttl_ms = random_.chance(0.2) ? 0 : 1 + random_.below(100);
      check(keyspace.put(key_of(at), value, options), "put");
      model_.put(name, key_of(at), value, expiry_of_put(0, options.ttl_ms, name));
      work_.expiring_again += removed && options.ttl_ms != 0 ? 1 : 0;
    }
    const ReadPoint point = random_read_point();
    const std::string& key = key_of(random_.below(9));
    check_value(keyspace.get(key, point.options), name, key, point, true);
    check_scan(keyspace.scan(from, from + "z", point.options), name, from, from + "z", point);
  }
  if (random_.chance(0.1)) reopen();
}

void History::write_batch() {
  std::vector<ModelWrite> writes;
  WriteBatch batch;
  const uint64_t write_ttl_ms = random_ttl();
  const uint64_t count = random_.chance(0.02) ? 500 : random_.below(12);
  bool removes_entries = false;  // of indexes, a range of them
  for (uint64_t i = 0; i < count; ++i) {
    std::string name;
    Keyspace& keyspace = random_keyspace(&name);
    // Some keys again and again within the batch.
    const std::string& key = random_.chance(0.3) ? keys_[random_.below(3)] : random_key();
    if (random_.chance(0.03)) {
      const auto [from, to] = random_range();
      name.empty() ? batch.remove_range(from, to) : batch.remove_range(keyspace, from, to);
      if (from >= to) continue;
      removes_entries |= indexed_.contains(name);
      writes.push_back({.keyspace = name, .key = from, .value = {}, .to = to});
    } else if (random_.chance(0.3)) {
      name.empty() ? batch.remove(key) : batch.remove(keyspace, key);
      writes.push_back({name, key, std::nullopt, 0});
    } else {
      std::string value = random_value();
      const uint64_t ttl_ms = random_ttl();
      name.empty() ? batch.put(key, value, ttl_ms) : batch.put(keyspace, key, value, ttl_ms);
      writes.push_back({name, key, std::move(value), expiry_of_put(ttl_ms, write_ttl_ms, name)});
    }
  }
  check(batch.count() == writes.size(), "WriteBatch::count");
  if (writes.empty()) return check(database_.write(batch), "write of an empty batch");
  WriteOptions options = random_write_options();
  options.ttl_ms = write_ttl_ms;
  const Status status = database_.write(batch, options);
  if (status.is(StatusCode::out_of_memory) && removes_entries) {  // too many at once
    return wrote_nothing();
  }
  check(status, "write of a batch");
  model_.write(writes);
  within_steps_ += writes.size();
}

void History::ingest() {
  std::string name;
  Keyspace& keyspace = random_keyspace(&name);
  std::map<std::string, std::string> entries;
  const uint64_t count = random_.chance(0.1) ? 500 : random_.below(20);
  for (uint64_t i = 0; i < count; ++i) entries[random_key()] = random_value();
  EntriesSource::Entries sorted(entries.begin(), entries.end());
  if (sorted.size() > 1 && random_.chance(0.1)) {
    EntriesSource::Entries wrong = sorted;
    std::swap(wrong[0], wrong[1]);
    EntriesSource source(std::move(wrong));
    check(keyspace.ingest(source).status().is(StatusCode::invalid_argument), "an ingestion out of order");
    return;
  }
  EntriesSource source(std::move(sorted));
  const Result<IngestReport> report = keyspace.ingest(source);
  if (report.status().is(StatusCode::out_of_memory) && indexed_.contains(name)) return;  // too many at once
  check(report.status(), "ingest");
  check(report->entries == entries.size(), "the number of ingested entries");
  everything_durable_ = everything_durable_ || !entries.empty();
  std::vector<ModelWrite> writes;
  for (const auto& [key, value] : entries) writes.push_back({name, key, value, expiry_of_put(0, 0, name)});
  if (!writes.empty()) model_.write(writes);
  within_steps_ += writes.size();
}

// What must be refused, and must change nothing.
void History::refused_writes() {
  const std::string too_long(kKeyBytesMax + 1, 'x');
  check(database_.put(too_long, "v").is(StatusCode::invalid_argument), "a put of a key of 65,536 bytes");
  check(database_.remove(too_long).is(StatusCode::invalid_argument), "a removal of a key of 65,536 bytes");
  check(database_.remove_range("a", too_long).is(StatusCode::invalid_argument), "a range up to 65,536 bytes");
  check(database_.remove_range(too_long, "z").is(StatusCode::invalid_argument), "a range from 65,536 bytes");
  check(database_.remove_range("k", "a"), "a range that ends before it begins");
  WriteBatch ranges;
  ranges.remove_range("", too_long);
  check(database_.write(ranges).is(StatusCode::invalid_argument), "a batch with a range up to 65,536 bytes");
  WriteBatch batch;
  batch.put(keys_[0], "must not be written");
  batch.put(too_long, "v");
  check(database_.write(batch).is(StatusCode::invalid_argument), "a batch with a key of 65,536 bytes");
  check(database_.keyspace("").status().is(StatusCode::invalid_argument), "a keyspace without a name");
  check(database_.keyspace(std::string(256, 'n')).status().is(StatusCode::invalid_argument),
        "a name of 256 bytes");
  check(database_.keyspace("never made", false).status().is(StatusCode::not_found),
        "a keyspace that is not there");
  check(database_.drop_keyspace("never made").is(StatusCode::not_found),
        "dropping a keyspace that is not there");
  Keyspace empty;
  check(empty.put("k", "v").is(StatusCode::closed), "a put by an empty handle");
  check(empty.get("k").status().is(StatusCode::closed), "a get by an empty handle");
  check(empty.scan().status().is(StatusCode::closed), "a scan by an empty handle");
  for (Keyspace& gone : dropped_) {
    check(gone.put("k", "v").is(StatusCode::not_found), "a put into a dropped keyspace");
    check(gone.remove("k").is(StatusCode::not_found), "a removal from a dropped keyspace");
    check(gone.remove_range("a", "z").is(StatusCode::not_found), "a range removal from a dropped keyspace");
    check(gone.get("k").status().is(StatusCode::not_found), "a get from a dropped keyspace");
    check(gone.contains("k").status().is(StatusCode::not_found), "contains of a dropped keyspace");
    check(gone.scan().status().is(StatusCode::not_found), "a scan of a dropped keyspace");
    const std::string_view key = "k";
    check(gone.get_many({&key, 1}, {&reused_, 1}).is(StatusCode::not_found),
          "get_many of a dropped keyspace");
    check(gone.approximate_size("a", "b").status().is(StatusCode::not_found),
          "the size of a dropped keyspace");
    WriteBatch mixed;
    mixed.put(keys_[0], "must not be written");
    mixed.put(gone, "k", "v");
    check(database_.write(mixed).is(StatusCode::not_found), "a batch for a dropped keyspace");
  }
}

void History::create_keyspace() {
  if (keyspaces_.size() >= kKeyspacesMax) return;
  // Names come back after they were dropped; some are long, some hold any byte.
  const uint64_t number = random_.below(6);
  const std::string name = number == 0   ? std::string(255, 'n')
                           : number == 1 ? std::string("\0\xff", 2)
                                         : "keyspace" + std::to_string(number);
  const uint64_t ttl_ms = random_ttl();
  Result<Keyspace> made = database_.keyspace(name, {.ttl_ms = ttl_ms});
  check(made.status(), "keyspace");
  if (model_.has_keyspace(name)) {
    for (const HeldKeyspace& held : keyspaces_) {
      if (held.name == name) check(held.handle.id() == made->id(), "a second handle has another id");
    }
    return;
  }
  for (const Keyspace& gone : dropped_)
    check(gone.id() != made->id(), "the id of a dropped keyspace is used again");
  everything_durable_ = false;
  model_.create_keyspace(name);
  keyspaces_.push_back({name, *std::move(made), ttl_ms == kNeverExpires ? 0 : ttl_ms});
}

void History::drop_keyspace() {
  if (keyspaces_.empty()) return;
  const size_t at = random_.below(keyspaces_.size());
  const std::string name = keyspaces_[at].name;
  check(database_.drop_keyspace(name), "drop_keyspace");
  indexed_.erase(name);
  everything_durable_ = false;
  model_.drop_keyspace(name);
  dropped_.push_back(std::move(keyspaces_[at].handle));
  if (dropped_.size() > 3) dropped_.erase(dropped_.begin());
  keyspaces_.erase(keyspaces_.begin() + static_cast<ptrdiff_t>(at));
  std::erase_if(cursors_, [&](HeldCursor& held) {
    if (held.keyspace != name) return false;
    held.cursor.seek_first();
    check(!held.cursor.valid() && held.cursor.status().is(StatusCode::not_found),
          "a cursor of a dropped keyspace");
    model_.release(held.at);
    return true;
  });
}

void History::flush() { check(database_.flush(), "flush"); }

void History::compact() { check(database_.compact({.wait = random_.chance(0.8)}), "compact"); }

void History::compact_range() {
  std::string name;
  const Keyspace& keyspace = random_keyspace(&name);
  const auto [from, to] = random_range();
  if (std::max(from.size(), to.size()) > kKeyBytesMax) return;
  std::optional<std::string_view> end;
  if (!random_.chance(0.2)) end = to;
  check(Keyspace(keyspace).compact_range(from, end, {.wait = random_.chance(0.6)}), "compact_range");
}

void History::sync() {
  check(database_.sync(), "sync");
  everything_durable_ = true;
}

void History::idle() {
  idle_();
  part_with_old_readers();
}

// A copy holds the same, also one of a copy, and goes its own way.
void History::copy() {
  const std::string into = directory_ + "-copy" + std::to_string(copies_made_++);
  Result<CopyReport> report = random_.chance(0.5) ? database_.checkpoint(into) : database_.backup(into);
  check(report.status(), "a copy");
  everything_durable_ = true;
  if (random_.chance(0.3)) {
    check(restore_in(env_, into, into + "-restored", {}).status(), "restore");
    check_copy(into + "-restored");
  }
  check_copy(into);
}

void History::check_copy(const std::string& path) {
  Result<VerifyReport> verified = verify_in(env_, path, {});
  check(verified.status(), "verify of a copy");
  check(verified->ok(), "a copy that does not verify");
  Options options = options_;
  options.create = false;
  Result<Database> opened = open_in(env_, path, options, OpenKind::open);
  check(opened.status(), "open of a copy");
  const std::string said = difference(model_, *opened);
  check(said.empty(), "a copy: " + said);
  check_indexes(*opened, {});
  for (int i = 0; i < 20; ++i) check(opened->put(random_key(), "of the copy"), "a put into a copy");
  check(opened->compact(), "compact of a copy");
  check(opened->close(), "close of a copy");
}

void History::compare() {
  const std::string said = difference(model_, database_);
  check(said.empty(), said);
  check(database_.background_error(), "background_error");
  check_indexes(database_, {});
  for (const HeldKeyspace& held : keyspaces_) check_indexes(held.handle, {});
}

Options History::random_options() {
  Options options;
  options.write_buffer_size = std::array{64 * KiB, 64 * KiB, 128 * KiB, 256 * KiB, 1 * MiB}[random_.below(5)];
  options.value_separation = std::array{64, 200, 1024, 2048}[random_.below(4)];
  options.compression =
      std::array{Compression::none, Compression::none, Compression::lz4, Compression::zstd}[random_.below(4)];
  options.compression_level = random_.below(4);
  options.page_source =
      std::array{PageSource::automatic, PageSource::mapped, PageSource::pooled}[random_.below(3)];
  options.sigbus_guard = random_.chance(0.7);
  options.durability = random_.chance(0.9) ? Durability::process : Durability::power;
  options.flush_interval_ms = std::array{0, 10, 1000}[random_.below(3)];
  // A small memory limit makes writers wait for flushes.
  if (random_.chance(0.3)) options.memory_limit = std::max(4 * MiB, 2 * options.write_buffer_size);
  // A page cache of no, one or few frames.
  const bool cached = options.compression != Compression::none || options.page_source == PageSource::pooled;
  if (cached && random_.chance(0.4)) {
    options.memory_limit = 4 * MiB;
    options.write_buffer_size = 2 * MiB - random_.below(6) * 16 * KiB;
  }
  if (random_.chance(0.5)) options.max_snapshot_age_ms = kReaderAgeMs;
  if (random_.chance(0.3)) options.max_garbage_age_ms = kReaderAgeMs;
  huge_budget_ = allow_huge_ && options.memory_limit > 256 * MiB ? 1 : 0;
  return options;
}

void History::open() {
  options_ = random_options();
  if (step_ > 0 && random_.chance(0.2)) {
    Options options = options_;
    options.read_only = true;
    Result<Database> opened = open_in(env_, directory_, options, OpenKind::open);
    check(opened.status(), "open read-only");
    const std::string said = difference(model_, *opened);
    check(said.empty(), "read-only: " + said);
    check_indexes(*opened, {});
    check(!opened->put("k", "v").ok(), "a put into a database opened read-only");
    check(opened->close(), "close of a database opened read-only");
  }
  const uint64_t large = std::array<uint64_t, 4>{600, 3000, 20'000, kLargeValueBytes}[random_.below(4)];
  Result<Database> opened = open_in(env_, directory_, options_, OpenKind::open_or_create, large);
  check(opened.status(), "open");
  database_ = *std::move(opened);
  for (HeldKeyspace& held : keyspaces_) {
    Result<Keyspace> keyspace = database_.keyspace(held.name, false);
    check(keyspace.status(), "keyspace after open");
    held.handle = *std::move(keyspace);
  }
}

void History::release_all() {
  for (const HeldSnapshot& held : snapshots_) model_.release(held.at);
  for (const HeldCursor& held : cursors_) model_.release(held.at);
  snapshots_.clear();
  cursors_.clear();
  dropped_.clear();
}

// What was made before answers `closed` afterwards; a value that was read stays.
void History::close() {
  if (const Result<Stats> stats = database_.stats()) {
    work_.moves += stats->moves;
    work_.merges += stats->merges;
    work_.drops += stats->drops;
    work_.value_files += stats->value_files;
  }
  if (random_.chance(0.5)) {
    check(database_.close(), "close");
    check(database_.close().is(StatusCode::closed), "a second close");
    check(database_.put("k", "v").is(StatusCode::closed), "a put after close");
  } else {
    database_ = Database();
  }
  for (HeldKeyspace& held : keyspaces_) {
    check(held.handle.put("k", "v").is(StatusCode::closed), "a put into a keyspace after close");
    check(held.handle.get("k").status().is(StatusCode::closed), "a get from a keyspace after close");
  }
  for (HeldCursor& held : cursors_) {
    held.cursor.seek_first();
    check(!held.cursor.valid() && held.cursor.status().is(StatusCode::closed), "a cursor after close");
  }
  check(kept_.view() == kept_copy_, "a value changed after the database was closed");
  release_all();
}

void History::reopen() {
  close();
  open();
}

}  // namespace lightning
