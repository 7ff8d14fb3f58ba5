#include "run/page_batch.h"

#include <algorithm>
#include <new>
#include <utility>

#include "run/stored_page.h"

namespace lightning {

namespace {
constexpr uint64_t kCacheShares = 8;
}  // namespace

PageBatch::~PageBatch() {
  for (size_t i = 0; i < count_; ++i) {
    const Piece& piece = of_->pieces[i];
    if (piece.frame != PageCache::kNoFrame) piece.pages->cache_->give_back(piece.frame);
  }
}

bool PageBatch::has(const RunPages& pages, uint32_t place) const {
  const auto same = [&](const Piece& piece) { return piece.pages == &pages && piece.place == place; };
  return count_ != 0 && std::any_of(of_->pieces.begin(), of_->pieces.begin() + count_, same);
}

PageBatch::Piece* PageBatch::add(const RunPages& pages, const PageCache& cache, uint32_t place,
                                 uint64_t bytes) {
  if (count_ == kReads || bytes_ + bytes > cache.capacity_bytes() / kCacheShares) return nullptr;
  if (of_ == nullptr) of_.reset(new (std::nothrow) Pieces());
  if (of_ == nullptr) return nullptr;
  Piece& piece = of_->pieces[count_];
  piece.pages = &pages;
  piece.place = place;
  return &piece;
}

void PageBatch::read() {
  if (count_ == 0) return;
  of_->requests[0].file->read_many({of_->requests.data(), count_});
  for (size_t i = 0; i < count_; ++i) {
    Piece& piece = of_->pieces[i];
    const Result<uint64_t>& read = of_->requests[i].count;
    if (piece.stored == nullptr) {
      const uint32_t frame = std::exchange(piece.frame, PageCache::kNoFrame);
      piece.pin = piece.pages->take_pooled(piece.page, frame, read, RunPages::Use::keep);
    } else {
      piece.pin = piece.pages->take_packed(piece.page_number, piece.stored.get(), read);
      piece.stored.reset();
    }
  }
}

// Of RunPages: what stands where, and what comes of it ------------------------------------------------------

bool RunPages::want_pooled(const Pooled& page, PageBatch* batch) const {
  if (cached_->has(page.place)) return false;
  if (batch->has(*this, page.place)) return true;
  PageBatch::Piece* const piece = batch->add(*this, *cache_, page.place, page.bytes);
  if (piece == nullptr || (piece->frame = cache_->take(frame_size(page.bytes))) == PageCache::kNoFrame)
    return false;
  piece->page = page;
  batch->bytes_ += page.bytes;
  batch->of_->requests[batch->count_++] = {.file = file_.get(),
                                           .offset = page.number * kUnitBytes,
                                           .to = cache_->frame_data(piece->frame),
                                           .size = page.bytes};
  return true;
}

bool RunPages::want_bucket(uint64_t number, PageBatch* batch) const {
  return pooled() && want_pooled(index_page_of(bucket_page(number)), batch);
}

bool RunPages::want_leaf(uint64_t page_number, PageBatch* batch) const {
  if (!pooled()) return false;
  if (!compressed_)
    return page_number < leaf_units_end_ && page_number * kUnitBytes % leaf_bytes_ == 0 &&
           want_pooled(leaf_of(page_number), batch);
  if (!table_.has(page_number)) return false;
  const auto place = static_cast<uint32_t>(page_number / PageTable::kStep);
  const uint64_t size = table_.bytes(page_number);
  if (cached_->has(place) || size > kLargeLeafBytes + kUnitBytes) return false;  // a jumbo page comes alone
  if (batch->has(*this, place)) return true;
  PageBatch::Piece* const piece = batch->add(*this, *cache_, place, kLargeLeafBytes);
  if (piece == nullptr) return false;
  piece->stored.reset(new (std::nothrow) char[size]);
  if (piece->stored == nullptr) return false;
  piece->page_number = page_number;
  batch->bytes_ += kLargeLeafBytes;
  batch->of_->requests[batch->count_++] = {
      .file = file_.get(), .offset = table_.offset(page_number), .to = piece->stored.get(), .size = size};
  return true;
}

PageCache::Pin RunPages::take_packed(uint64_t page_number, const char* stored,
                                     const Result<uint64_t>& read) const {
  if (!read || *read != table_.bytes(page_number)) return {};
  StoredPage packed;
  const Status good = StoredPage::parse({stored, *read}, footer_.file_id, page_number,
                                        footer_.pages_end - page_number * kUnitBytes, &packed);
  if (!good.ok() || packed.header.kind != PageKind::leaf) return {};
  note_read(Use::keep, *read);
  const uint32_t frame = cache_->take(FrameSize::large);
  if (frame == PageCache::kNoFrame) return {};
  if (packed.unpack(cache_->frame_data(frame)).ok())
    return cached_->insert(static_cast<uint32_t>(page_number / PageTable::kStep), frame);
  cache_->give_back(frame);
  return {};
}

}  // namespace lightning
