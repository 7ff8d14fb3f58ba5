#include "memtable/memtable.h"

#include <new>

#include "io/process_word.h"
#include "memtable/memtable_cursor.h"

namespace lightning {

namespace {
// A record of this size is what the point index is made for: shorter ones make it overflow, longer ones waste
// some.
constexpr uint64_t kExpectedRecordBytes = 112;
}  // namespace

Result<std::shared_ptr<MemTable>> MemTable::create(const char* data, uint64_t base_lsn, uint64_t capacity,
                                                   std::shared_ptr<const void> memory) try {
  Result<std::unique_ptr<PointIndex>> points = PointIndex::create(capacity / kExpectedRecordBytes);
  if (!points) return points.status();
  Result<std::unique_ptr<OrderIndex>> order = OrderIndex::create(data);
  if (!order) return order.status();
  std::shared_ptr<MemTable> table(new MemTable, DeleteUnlessForked());
  table->data_ = data;
  table->base_lsn_ = base_lsn;
  table->capacity_ = capacity;
  table->memory_ = std::move(memory);
  table->point_index_ = *std::move(points);
  table->order_index_ = *std::move(order);
  table->range_removals_ = std::make_unique<RangeRemovals>(data, base_lsn);
  return table;
} catch (const std::bad_alloc&) {
  return Status(StatusCode::out_of_memory, "a memtable");
}

}  // namespace lightning
