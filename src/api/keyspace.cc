#include <lightning/keyspace.h>

#include "api/guarded.h"
#include "api/make_scan.h"
#include "api/reused_key.h"
#include "api/with_indexes.h"
#include "engine/cursor_state.h"
#include "engine/engine.h"
#include "txn/one_key.h"

namespace lightning {

namespace {

Status closed_handle() { return Status(StatusCode::closed, "the handle holds no database"); }

}  // namespace

Status Keyspace::put(std::string_view key, std::string_view value, const WriteOptions& options) {
  if (engine_ == nullptr) [[unlikely]]
    return closed_handle();
  return with_indexes(
      *engine_, [&](Engine& engine) { return engine.put(id_, key, value, options); },
      [&](IndexWriter writer) { return writer.put(id_, key, value, options); });
}

Status Keyspace::remove(std::string_view key, const WriteOptions& options) {
  if (engine_ == nullptr) [[unlikely]]
    return closed_handle();
  return with_indexes(
      *engine_, [&](Engine& engine) { return engine.remove(id_, key, options); },
      [&](IndexWriter writer) { return writer.remove(id_, key, options); });
}

IngestSource::~IngestSource() = default;

Result<IngestReport> Keyspace::ingest(IngestSource& source) {
  if (engine_ == nullptr) [[unlikely]]
    return closed_handle();
  return guarded([&] {
    if (Status status = engine_->usable(); !status.ok()) return Result<IngestReport>(std::move(status));
    return engine_->has_indexes() ? IndexWriter(*engine_).ingest(id_, source) : engine_->ingest(id_, source);
  });
}

Status Keyspace::remove_range(std::string_view from, std::string_view to, const WriteOptions& options) {
  if (engine_ == nullptr) [[unlikely]]
    return closed_handle();
  return with_indexes(
      *engine_, [&](Engine& engine) { return engine.remove_range(id_, from, to, options); },
      [&](IndexWriter writer) { return writer.remove_range(id_, from, to, options); });
}

Lookup Keyspace::get(std::string_view key, const ReadOptions& options) const {
  Value value;
  Lookup found = get(key, value, options);
  return Lookup(std::move(found), std::move(value));
}

Lookup Keyspace::get(std::string_view key, Value& reused, const ReadOptions& options) const {
  if (engine_ == nullptr) [[unlikely]]
    return closed_handle();
  return guarded([&] {
    return read_beside(key, reused, [&](auto apart) { return engine_->get(id_, apart, options, &reused); });
  });
}

Lookup Keyspace::contains(std::string_view key, const ReadOptions& options) const {
  if (engine_ == nullptr) [[unlikely]]
    return closed_handle();
  return guarded([&] { return engine_->get(id_, key, options, nullptr); });
}

Status Keyspace::get_many(std::span<const std::string_view> keys, std::span<Value> values,
                          const ReadOptions& options) const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return engine_->get_many(id_, keys, values, options); });
}

namespace {

std::unique_ptr<CursorState> make_cursor(const std::shared_ptr<Engine>& engine, uint32_t id,
                                         const ReadOptions& options) {
  if (engine == nullptr) return std::make_unique<CursorState>(closed_handle());
  try {
    return engine->cursor(id, options);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

Cursor Keyspace::cursor(const ReadOptions& options) const {
  return Cursor(make_cursor(engine_, id_, options));
}

Scan Keyspace::scan(const ReadOptions& options) const {
  return Scan(make_cursor(engine_, id_, options), {}, {}, false);
}

Scan Keyspace::scan(std::string_view from, std::string_view to, const ReadOptions& options) const {
  return make_scan(
      [&] { return Scan(make_cursor(engine_, id_, options), std::string(from), std::string(to), true); });
}

Scan Keyspace::scan_from(std::string_view from, const ReadOptions& options) const {
  return make_scan([&] { return Scan(make_cursor(engine_, id_, options), std::string(from), {}, false); });
}

Scan Keyspace::scan_prefix(std::string_view prefix, const ReadOptions& options) const {
  return make_scan([&] {
    std::string end = prefix_end(prefix);
    const bool bounded = !end.empty();
    return Scan(make_cursor(engine_, id_, options), std::string(prefix), std::move(end), bounded);
  });
}

Status Keyspace::compare_and_set(std::string_view key, std::optional<std::string_view> expected,
                                 std::optional<std::string_view> desired, const WriteOptions& options) {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] {
    IndexExtension extension(*engine_);
    return lightning::compare_and_set(*engine_, id_, key, expected, desired, options, &extension);
  });
}

Status Keyspace::put_if_absent(std::string_view key, std::string_view value, const WriteOptions& options) {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] {
    IndexExtension extension(*engine_);
    return lightning::put_if_absent(*engine_, id_, key, value, options, &extension);
  });
}

Status Keyspace::update(std::string_view key, const UpdateFn& fn, const WriteOptions& options) {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] {
    IndexExtension extension(*engine_);
    return update_key(*engine_, id_, key, fn, options, &extension);
  });
}

Result<int64_t> Keyspace::add(std::string_view key, int64_t delta, const WriteOptions& options) {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] {
    IndexExtension extension(*engine_);
    return add_to_key(*engine_, id_, key, delta, options, &extension);
  });
}

Status Keyspace::compact_range(std::string_view from, std::optional<std::string_view> to,
                               const CompactOptions& options) {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return engine_->compact_range(id_, from, to, options); });
}

Result<uint64_t> Keyspace::approximate_size(std::string_view from, std::string_view to) const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return engine_->approximate_size(id_, from, to); });
}

Status Keyspace::set_default_ttl(uint64_t ttl_ms) {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return engine_->set_default_ttl(id_, ttl_ms); });
}

Result<uint64_t> Keyspace::default_ttl_ms() const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return engine_->default_ttl(id_); });
}

Status Keyspace::set_compression(std::optional<Compression> compression) {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return engine_->set_compression(id_, compression); });
}

Result<std::optional<Compression>> Keyspace::compression() const {
  if (engine_ == nullptr) return closed_handle();
  return guarded([&] { return engine_->compression(id_); });
}

}  // namespace lightning
