#include "testing/sim_inode.h"

#include <algorithm>
#include <cstring>

namespace lightning {

namespace {

uint64_t pages_of(uint64_t size) { return (size + kPageBytes - 1) / kPageBytes; }

constexpr char kZeroPage[kPageBytes] = {};

}  // namespace

std::unique_ptr<SimInode> SimInode::copy() const {
  auto other = std::make_unique<SimInode>(state_.keeps_unsynced);
  other->state_ = state_;
  other->name = name;
  return other;
}

std::unique_ptr<SimInode> SimInode::after_power_cut(const std::vector<KeptBytes>& kept) const {
  auto other = std::make_unique<SimInode>(true);
  other->name = name;
  State& state = other->state_;
  state.present = state_.durable;
  state.size = state_.durable_size;
  for (const KeptBytes& part : kept) {
    const PendingChange& change = *part.change;
    if (change.bytes) {
      state.present.write(part.offset,
                          std::string_view(*change.bytes).substr(part.offset - change.offset, part.size));
    } else {
      if (change.size < state.size) state.present.zero_from(change.size);
      state.size = change.size;
    }
  }
  state.present.zero_from(state.size);
  state.durable = state.present;
  state.durable_size = state.size;
  state.reserved_pages = std::min(state_.reserved_pages, pages_of(state.size));
  other->count_pages();
  return other;
}

uint64_t SimInode::read(uint64_t offset, uint64_t size, char* to) const {
  if (offset >= state_.size) return 0;
  size = std::min(size, state_.size - offset);
  state_.present.read(offset, size, to);
  return size;
}

void SimInode::write(uint64_t offset, std::string_view bytes, uint64_t sequence) {
  if (bytes.empty()) return;
  capture(sequence);
  put(offset, bytes);
  note_bytes(offset, bytes.size(), sequence);
  if (offset + bytes.size() > state_.size) {
    state_.size = offset + bytes.size();
    note_size(sequence);
  }
  refresh_windows(offset, bytes.size());
}

void SimInode::resize(uint64_t size, uint64_t sequence) {
  capture(sequence);
  const uint64_t before = state_.size;
  if (size == before) return;
  state_.size = size;
  note_size(sequence);
  if (size > before) return;
  state_.present.zero_from(size);
  state_.reserved_pages = std::min(state_.reserved_pages, pages_of(size));
  count_pages();
  refresh_windows(size, before - size);
}

void SimInode::punch(uint64_t offset, uint64_t size, uint64_t sequence) {
  if (offset >= state_.size || size == 0) return;
  size = std::min(size, state_.size - offset);
  capture(sequence);
  state_.present.zero(offset, size);
  note_bytes(offset, size, sequence);
  const uint64_t end = offset + size == state_.size ? pages_of(state_.size) : (offset + size) / kPageBytes;
  for (uint64_t page = pages_of(offset); page < std::min(end, state_.reserved_pages); ++page)
    state_.holes.insert(page);
  count_pages();
  refresh_windows(offset, size);
}

void SimInode::reserve(uint64_t size, uint64_t sequence) {
  capture(sequence);
  state_.reserved_pages = std::max(state_.reserved_pages, pages_of(size));
  state_.holes.erase(state_.holes.begin(), state_.holes.lower_bound(pages_of(size)));
  count_pages();
  if (size <= state_.size) return;
  state_.size = size;
  note_size(sequence);
}

uint64_t SimInode::missing_pages(uint64_t offset, uint64_t size) const {
  uint64_t missing = static_cast<uint64_t>(std::distance(state_.holes.lower_bound(offset / kPageBytes),
                                                         state_.holes.lower_bound(pages_of(offset + size))));
  for (uint64_t page = std::max(offset / kPageBytes, state_.reserved_pages); page < pages_of(offset + size);
       ++page) {
    missing += state_.present.page(page) == nullptr;
  }
  return missing;
}

SimWindow* SimInode::map(uint64_t offset, uint64_t size, bool writable) {
  SimWindow* window = nullptr;
  for (const std::unique_ptr<SimWindow>& present : windows_) {
    if (present->detached || !present->overlaps(offset, size)) continue;
    if (!present->contains(offset, size)) return nullptr;
    window = present.get();
  }
  if (window == nullptr) {
    std::unique_ptr<SimWindow> created = SimWindow::create(offset, size, state_.present);
    if (!created) return nullptr;
    window = created.get();
    windows_.push_back(std::move(created));
  }
  ++window->mappings;
  window->writable |= writable;
  return window;
}

void SimInode::unmap(SimWindow* window) {
  if (--window->mappings > 0) return;
  std::erase_if(windows_, [&](const std::unique_ptr<SimWindow>& present) { return present.get() == window; });
}

bool SimInode::capture(uint64_t sequence) {
  bool changed = false;
  for (const std::unique_ptr<SimWindow>& window : windows_) changed |= capture(*window, sequence);
  return changed;
}

bool SimInode::capture(const SimWindow& window, uint64_t sequence) {
  if (!window.writable || window.detached) return false;
  bool changed = false;
  for (const uint64_t index : window.touched_pages()) {
    const uint64_t start = index * kPageBytes;
    const uint64_t end = std::min({start + kPageBytes, state_.size, window.end()});
    const auto differs = [&](uint64_t from, uint64_t to) {
      const char* page = state_.present.page(index);
      return std::memcmp(window.at(from), (page != nullptr ? page : kZeroPage) + (from - start), to - from) !=
             0;
    };
    const auto sector_differs = [&](uint64_t at) { return differs(at, std::min(at + kSectorBytes, end)); };
    if (start >= end || !differs(start, end)) continue;
    changed = true;
    // Runs of changed sectors become one change each.
    for (uint64_t at = start; at < end;) {
      uint64_t run_end = at;
      while (run_end < end && sector_differs(run_end)) run_end = std::min(run_end + kSectorBytes, end);
      if (run_end > at) {
        put(at, std::string_view(window.at(at), run_end - at));
        note_bytes(at, run_end - at, sequence);
      }
      at = run_end + kSectorBytes;
    }
  }
  return changed;
}

void SimInode::detach_mappings() {
  for (const std::unique_ptr<SimWindow>& window : windows_) window->detached = true;
}

bool SimInode::has_writable_mapping() const {
  return std::ranges::any_of(windows_,
                             [](const auto& window) { return window->writable && !window->detached; });
}

void SimInode::make_durable(uint64_t sequence) {
  std::vector<PendingChange>& pending = state_.pending;
  uint64_t bytes = 0;
  size_t covered = 0;
  for (; covered < pending.size() && pending[covered].sequence <= sequence; ++covered) {
    if (pending[covered].bytes) bytes += pending[covered].bytes->size();
  }
  // Sharing all pages is the same by S1, and cheaper when much was written: a page costs a reference, not a
  // copy.
  constexpr uint64_t kBytesPerReference = 64;
  if (covered == pending.size() && !state_.lost && bytes > state_.present.page_count() * kBytesPerReference) {
    state_.durable = state_.present;
    state_.durable_size = state_.size;
  } else {
    for (size_t i = 0; i < covered; ++i) apply_to_durable(pending[i]);
  }
  pending.erase(pending.begin(), pending.begin() + static_cast<ptrdiff_t>(covered));
  if (state_.lost && pending.empty()) state_.lost = !same_up_to(state_.size);
}

void SimInode::lose_unsynced(uint64_t sequence, uint64_t kept) {
  state_.lost = true;
  std::erase_if(state_.pending, [&](const PendingChange& change) {
    if (change.sequence > sequence || !change.bytes) return false;
    if (kept > 0) {
      --kept;
      apply_to_durable(change);
    }
    return true;
  });
}

void SimInode::dirty_lost(uint64_t offset, uint64_t size, uint64_t sequence) {
  if (!state_.lost || offset >= state_.size) return;
  capture(sequence);
  note_bytes(offset, std::min(size, state_.size - offset), sequence);
}

void SimInode::evict_lost() {
  if (!state_.lost) return;
  state_.lost = false;
  state_.present = state_.durable;
  for (const PendingChange& change : state_.pending) {
    if (change.bytes) state_.present.write(change.offset, *change.bytes);
  }
  state_.present.zero_from(state_.size);
  refresh_windows(0, state_.size);
}

bool SimInode::is_durable_up_to(uint64_t size) const {
  if (!state_.keeps_unsynced) return state_.size >= size;
  if (state_.durable_size < size || (state_.lost && !same_up_to(size))) return false;
  return std::ranges::none_of(state_.pending, [&](const PendingChange& change) {
    if (!change.bytes) return change.size < size;
    if (change.offset >= size) return false;
    // An append rewrites the bytes before it in its sector as they were.
    const uint64_t part = std::min<uint64_t>(size - change.offset, change.bytes->size());
    return state_.durable.read(change.offset, part) != change.bytes->substr(0, part);
  });
}

bool SimInode::same_up_to(uint64_t size) const {
  if (state_.durable_size < size) return false;
  for (uint64_t at = 0; at < size; at += kPageBytes) {
    const char* present = state_.present.page(at / kPageBytes);
    const char* durable = state_.durable.page(at / kPageBytes);
    if (present == nullptr) present = kZeroPage;
    if (durable == nullptr) durable = kZeroPage;
    if (present != durable && std::memcmp(present, durable, std::min(kPageBytes, size - at)) != 0)
      return false;
  }
  return true;
}

void SimInode::put(uint64_t offset, std::string_view bytes) {
  state_.allocated_pages += missing_pages(offset, bytes.size());
  state_.holes.erase(state_.holes.lower_bound(offset / kPageBytes),
                     state_.holes.lower_bound(pages_of(offset + bytes.size())));
  state_.present.write(offset, bytes);
}

void SimInode::note_bytes(uint64_t offset, uint64_t size, uint64_t sequence) {
  if (!state_.keeps_unsynced) return;
  const uint64_t start = offset / kSectorBytes * kSectorBytes;
  const uint64_t end = (offset + size + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
  state_.pending.push_back(
      {.sequence = sequence,
       .offset = start,
       .bytes = std::make_shared<const std::string>(state_.present.read(start, end - start))});
}

void SimInode::note_size(uint64_t sequence) {
  if (state_.keeps_unsynced)
    state_.pending.push_back({.sequence = sequence, .bytes = nullptr, .size = state_.size});
}

void SimInode::apply_to_durable(const PendingChange& change) {
  if (change.bytes) {
    state_.durable.write(change.offset, *change.bytes);
    return;
  }
  if (change.size < state_.durable_size) state_.durable.zero_from(change.size);
  state_.durable_size = change.size;
}

void SimInode::refresh_windows(uint64_t offset, uint64_t size) {
  for (const std::unique_ptr<SimWindow>& window : windows_) {
    if (!window->detached) window->refresh(state_.present, offset, size);
  }
}

void SimInode::count_pages() {
  state_.holes.erase(state_.holes.lower_bound(state_.reserved_pages), state_.holes.end());
  state_.allocated_pages = state_.reserved_pages - state_.holes.size();
  for (uint64_t page = state_.reserved_pages; page < state_.present.page_count(); ++page) {
    state_.allocated_pages += state_.present.page(page) != nullptr;
  }
}

}  // namespace lightning
