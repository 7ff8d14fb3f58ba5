#include "index/index_set.h"

#include <atomic>

#include "base/park.h"

namespace lightning {

namespace {

Status no_index(std::string_view name) {
  return Status(StatusCode::not_found, "there is no index called " + std::string(name));
}

// Until there may be memory for a slice.
void rest() {
  constexpr uint64_t kRestNs = 1'000'000;
  std::atomic<uint32_t> nothing{0};
  park(nothing, 0, kRestNs);
}

}  // namespace

const IndexTable::Indexes& IndexTable::of(uint32_t keyspace) const {
  static const Indexes none;
  const auto found = by_keyspace.find(keyspace);
  return found == by_keyspace.end() ? none : found->second;
}

std::shared_ptr<const LiveIndex> IndexTable::find(uint32_t keyspace, std::string_view name) const {
  for (const auto& index : of(keyspace)) {
    if (index->definition().name == name) return index;
  }
  return nullptr;
}

const LiveIndex* IndexTable::look_for(uint32_t keyspace, std::string_view name) const {
  for (const auto& index : of(keyspace)) {
    if (index->definition().name == name) return index.get();
  }
  return nullptr;
}

std::shared_ptr<const LiveIndex> IndexTable::with_entries(uint32_t entries) const {
  for (const auto& [keyspace, indexes] : by_keyspace) {
    for (const auto& index : indexes) {
      if (index->entries == entries) return index;
    }
  }
  return nullptr;
}

IndexSet::IndexSet(Engine& engine, std::vector<Extractor> extractors)
    : engine_(engine), extractors_(std::move(extractors)) {}

IndexSet::~IndexSet() { delete current_.load(std::memory_order_relaxed); }

std::shared_ptr<const LiveIndex> IndexSet::make_live(const IndexRecord& record) const {
  auto live = std::make_shared<LiveIndex>();
  live->keyspace = record.keyspace;
  live->entries = record.entries;
  Result<StoredIndex> stored = decode_definition(record.definition);
  if (!stored) {
    live->unusable =
        Status(StatusCode::corruption, "the definition of the index " + record.name + " is damaged");
    live->stored.definition.name = record.name;
    return live;
  }
  live->stored = *std::move(stored);
  live->stored.definition.name = record.name;
  const auto find = [&](const std::vector<IndexField>& fields, std::vector<const ExtractFn*>* functions) {
    for (const IndexField& field : fields) {
      functions->push_back(nullptr);
      if (field.source != IndexField::Source::function) continue;
      for (const Extractor& extractor : extractors_) {
        if (extractor.name == field.function && extractor.fn) functions->back() = &extractor.fn;
      }
      if (functions->back() == nullptr) live->missing_extractor = field.function;
    }
  };
  find(live->definition().key, &live->key_functions);
  find(live->definition().covered, &live->covered_functions);
  if (!live->missing_extractor.empty()) {
    live->unusable = Status(StatusCode::not_supported,
                            "the index " + record.name + " needs the function \"" + live->missing_extractor +
                                "\", which is not registered (Options::extractors)");
  }
  return live;
}

std::shared_ptr<const IndexTable> IndexSet::make_table(
    const std::shared_ptr<const IndexRecords>& records) const {
  auto table = std::make_shared<IndexTable>();
  table->records = records;
  for (const IndexRecord& record : records->all)
    table->by_keyspace[record.keyspace].push_back(make_live(record));
  return table;
}

std::shared_ptr<const IndexTable> IndexSet::table() {
  {
    EpochGuard epoch;
    if (const HeldTable* const held = current()) return *held;
  }
  auto held = std::make_unique<const HeldTable>(make_table(engine_.index_records()));
  std::shared_ptr<const IndexTable> table = *held;
  // Should it be older than what another thread made meanwhile, it is made again.
  if (const HeldTable* const before = current_.exchange(held.release(), std::memory_order_acq_rel))
    epoch_retire(before);
  return table;
}

bool IndexSet::has_indexes(uint32_t keyspace) {
  {
    EpochGuard epoch;
    if (const HeldTable* const held = current()) return !(*held)->of(keyspace).empty();
  }
  return !table()->of(keyspace).empty();
}

Result<std::shared_ptr<const LiveIndex>> IndexSet::readable(uint32_t keyspace, std::string_view name) {
  if (Status status = engine_.usable(keyspace); !status.ok()) return status;
  std::shared_ptr<const LiveIndex> index = table()->find(keyspace, name);
  if (index == nullptr) return no_index(name);
  if (index->unusable.is(StatusCode::corruption)) return index->unusable;
  switch (index->stored.state) {
    case IndexState::building:
      return Status(StatusCode::busy, "the index " + std::string(name) + " is being built");
    case IndexState::failed:
      return index->stored.failure_status();
    case IndexState::ready:
      break;
  }
  return index;
}

bool IndexSet::ready_at(uint32_t entries, uint64_t lsn) {
  MutexLock lock(mutex_);
  const auto found = first_lsns_.find(entries);
  return found == first_lsns_.end() || lsn >= found->second;
}

Status IndexSet::check_moment(const LiveIndex& index, uint64_t lsn) {
  if (ready_at(index.entries, lsn)) return {};
  return Status(StatusCode::not_found, "the index " + index.definition().name +
                                           " was not ready yet at the moment of the snapshot or transaction");
}

void IndexSet::note_first_lsn(uint32_t entries, uint64_t lsn) {
  MutexLock lock(mutex_);
  first_lsns_[entries] = lsn;
}

Status IndexSet::create(uint32_t keyspace, const IndexDefinition& definition) {
  if (Status status = check_definition(definition); !status.ok()) return status;
  const std::string bytes =
      encode_definition({.definition = definition, .state = IndexState::building, .failure = {}});
  const IndexRecord tried{.keyspace = keyspace, .name = definition.name, .entries = 0, .definition = bytes};
  if (const auto live = make_live(tried); !live->unusable.ok()) return live->unusable;
  Result<IndexRecord> record = engine_.add_index(keyspace, definition.name, bytes);
  const Status& status = record.status();
  if (!record && !status.is(StatusCode::unknown_outcome)) return status;
  const std::shared_ptr<const IndexRecords> records = engine_.index_records();
  const IndexRecord* const made = records->find(keyspace, definition.name);
  if (made != nullptr) build_in_background(made->entries, 0);
  return status;
}

Status IndexSet::drop(uint32_t keyspace, std::string_view name) {
  if (Status status = engine_.usable(keyspace); !status.ok()) return status;
  const std::shared_ptr<const LiveIndex> index = table()->find(keyspace, name);
  const Status status = engine_.drop_index(keyspace, name);
  if (index == nullptr || !status.ok()) return status;
  MutexLock lock(mutex_);
  builds_.erase(index->entries);
  first_lsns_.erase(index->entries);
  return status;
}

Result<std::vector<IndexInfo>> IndexSet::list(uint32_t keyspace) {
  if (Status status = engine_.usable(keyspace); !status.ok()) return status;
  std::vector<IndexInfo> infos;
  const std::shared_ptr<const IndexTable> table = this->table();
  for (const auto& index : table->of(keyspace)) {
    infos.push_back({.definition = index->definition(),
                     .state = index->stored.state,
                     .failure = index->stored.failure,
                     .missing_extractor = index->missing_extractor});
  }
  return infos;
}

Status IndexSet::wait_for(uint32_t keyspace, std::string_view name) {
  if (Status status = engine_.usable(keyspace); !status.ok()) return status;
  const std::shared_ptr<const LiveIndex> index = table()->find(keyspace, name);
  if (index == nullptr) return no_index(name);
  for (;;) {
    Result<Slice> slice = build_slice(index->entries);
    if (!slice) return slice.status();
    if (*slice == Slice::done) return {};
    if (*slice == Slice::wait) rest();
  }
}

}  // namespace lightning
