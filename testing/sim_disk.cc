#include "testing/sim_disk.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace lightning {

std::string SimDisk::normal_path(const std::string& path) {
  std::string normal;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string part = path.substr(at, end - at);
    if (!part.empty() && part != ".") {
      if (!normal.empty() || path[0] == '/') normal += '/';
      normal += part;
    }
    at = end + 1;
  }
  return normal;
}

// --- moments and images

SimDisk SimDisk::kill_image() {
  capture();
  SimDisk image(keeps_unsynced_);
  for (const auto& [path, folder] : folders_) {
    auto copied = std::make_unique<SimFolder>(*folder);
    copied->locks.clear();
    image.folders_.emplace(path, std::move(copied));
  }
  for (const auto& [id, inode] : inodes_) {
    auto copied = inode->copy();
    copied->links = inode->links;
    image.inodes_.emplace(id, std::move(copied));
  }
  image.inodes_made_ = inodes_made_;
  image.sequence_ = sequence_;
  image.boot_id_ = boot_id_;
  image.processes_ = processes_;
  image.capacity_bytes_ = capacity_bytes_;
  image.drop_unnamed();
  return image;
}

std::vector<PendingUnit> SimDisk::pending_units(const CrashGrain& grain) {
  capture();
  std::vector<PendingUnit> units;
  for (const auto& [id, inode] : inodes_) {
    for (size_t i = 0; i < inode->pending().size(); ++i) {
      const PendingChange& change = inode->pending()[i];
      PendingUnit unit{
          .kind = PendingUnit::Kind::size, .sequence = change.sequence, .inode = id, .change = i};
      if (!change.bytes) {
        units.push_back(unit);
        continue;
      }
      unit.kind = PendingUnit::Kind::bytes;
      const uint64_t end = change.offset + change.bytes->size();
      for (unit.offset = change.offset; unit.offset < end; unit.offset += unit.size) {
        unit.size = std::min(grain.block_bytes - unit.offset % grain.block_bytes, end - unit.offset);
        units.push_back(unit);
      }
    }
  }
  for (const auto& [path, folder] : folders_) {
    for (size_t i = 0; i < folder->pending.size(); ++i) {
      const EntryChange& change = folder->pending[i];
      PendingUnit unit{
          .kind = PendingUnit::Kind::entry, .sequence = change.sequence, .folder = folder.get(), .change = i};
      if (!grain.split_renames || change.cleared.empty() || change.set.empty()) {
        units.push_back(unit);
        continue;
      }
      unit.kind = PendingUnit::Kind::entry_cleared;
      units.push_back(unit);
      unit.kind = PendingUnit::Kind::entry_set;
      units.push_back(unit);
    }
  }
  std::ranges::sort(units, {}, [](const PendingUnit& unit) {
    return std::tuple(unit.sequence, unit.inode, unit.change, unit.offset, unit.kind);
  });
  return units;
}

SimDisk SimDisk::power_cut_image(const std::vector<PendingUnit>& kept) const {
  SimDisk image(true);
  std::map<const SimFolder*, SimFolder*> twins;
  for (const auto& [path, folder] : folders_) {
    auto copied = std::make_unique<SimFolder>();
    copied->path = path;
    copied->durable = keeps_unsynced_ ? folder->durable : folder->present;
    twins[folder.get()] = copied.get();
    image.folders_.emplace(path, std::move(copied));
  }
  std::map<uint64_t, std::vector<KeptBytes>> kept_bytes;
  for (const PendingUnit& unit : kept) {
    if (unit.folder == nullptr) {
      const PendingChange& change = inodes_.at(unit.inode)->pending()[unit.change];
      kept_bytes[unit.inode].push_back({.change = &change, .offset = unit.offset, .size = unit.size});
      continue;
    }
    const EntryChange& change = unit.folder->pending[unit.change];
    std::map<std::string, uint64_t>& entries = twins.at(unit.folder)->durable;
    if (unit.kind != PendingUnit::Kind::entry_set && !change.cleared.empty()) entries.erase(change.cleared);
    if (unit.kind != PendingUnit::Kind::entry_cleared && !change.set.empty())
      entries[change.set] = change.inode;
  }
  for (auto& [path, folder] : image.folders_) {
    folder->present = folder->durable;
    for (const auto& [name, id] : folder->present) {
      std::unique_ptr<SimInode>& inode = image.inodes_[id];
      const SimInode& source = *inodes_.at(id);
      if (!inode) inode = keeps_unsynced_ ? source.after_power_cut(kept_bytes[id]) : source.copy();
      inode->name = name;
      ++inode->links;
    }
  }
  image.inodes_made_ = inodes_made_;
  image.sequence_ = sequence_ + 1;
  image.boot_id_ = boot_id_ + 1;
  image.processes_ = processes_;
  image.capacity_bytes_ = capacity_bytes_;
  return image;
}

std::string SimDisk::describe(const PendingUnit& unit) const {
  if (unit.folder != nullptr) {
    const EntryChange& change = unit.folder->pending[unit.change];
    if (unit.kind == PendingUnit::Kind::entry_cleared) return "end of name " + change.cleared;
    if (change.cleared.empty() || unit.kind == PendingUnit::Kind::entry_set) return "name " + change.set;
    if (change.set.empty()) return "removal of " + change.cleared;
    return "rename of " + change.cleared + " to " + change.set;
  }
  const SimInode& inode = *inodes_.at(unit.inode);
  if (unit.kind == PendingUnit::Kind::size) {
    return inode.name + " size " + std::to_string(inode.pending()[unit.change].size);
  }
  return inode.name + " +" + std::to_string(unit.size) + " at " + std::to_string(unit.offset);
}

uint64_t SimDisk::version() { return capture(); }

// --- damage and inspection

std::pair<SimFolder*, std::string> SimDisk::locate(const std::string& path) const {
  const std::string normal = normal_path(path);
  const size_t slash = normal.rfind('/');
  const auto found = folders_.find(slash == std::string::npos ? "" : normal.substr(0, slash));
  return {found == folders_.end() ? nullptr : found->second.get(), normal.substr(slash + 1)};
}

std::vector<std::string> SimDisk::file_paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, folder] : folders_) {
    for (const auto& [name, id] : folder->present) paths.push_back(path.empty() ? name : path + "/" + name);
  }
  return paths;
}

bool SimDisk::has_file(const std::string& path) const {
  const auto [folder, name] = locate(path);
  return folder != nullptr && folder->present.contains(name);
}

std::string SimDisk::file_bytes(const std::string& path) {
  capture();
  const auto [folder, name] = locate(path);
  const SimInode* inode = folder == nullptr ? nullptr : find(*folder, name);
  return inode == nullptr ? std::string() : inode->present_bytes();
}

void SimDisk::put_file(const std::string& path, std::string_view bytes) {
  const std::string name = locate(path).second;
  const std::string normal = normal_path(path);
  SimFolder* folder =
      make_folders(normal.substr(0, normal.size() - std::min(normal.size(), name.size() + 1)));
  SimInode* inode = find(*folder, name);
  if (inode == nullptr) inode = create(*folder, name);
  inode->resize(bytes.size(), next_sequence());
  inode->write(0, bytes, next_sequence());
  inode->make_durable(sequence_);
  sync_folder(*folder, sequence_);
}

void SimDisk::remove_file(const std::string& path) {
  const auto [folder, name] = locate(path);
  if (folder == nullptr || !folder->present.contains(name)) return;
  unlink(*folder, name);
  sync_folder(*folder, sequence_);
}

void SimDisk::break_mappings(const std::string& path) {
  capture();
  const auto [folder, name] = locate(path);
  if (SimInode* inode = folder == nullptr ? nullptr : find(*folder, name)) inode->detach_mappings();
}

void SimDisk::evict_lost_pages() {
  capture();
  for (const auto& [id, inode] : inodes_) inode->evict_lost();
}

// --- space

uint64_t SimDisk::free_bytes() const {
  uint64_t pages = 0;
  for (const auto& [id, inode] : inodes_) {
    if (inode->links > 0 || inode->openers > 0) pages += inode->allocated_pages();
  }
  return capacity_bytes_ - std::min(capacity_bytes_, pages * kPageBytes);
}

// --- entries

SimFolder* SimDisk::folder(const std::string& path) {
  const auto found = folders_.find(path);
  return found == folders_.end() ? nullptr : found->second.get();
}

SimFolder* SimDisk::make_folders(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash < path.size(); slash = path.find('/', slash + 1)) {
    make_folders(path.substr(0, slash));
  }
  std::unique_ptr<SimFolder>& folder = folders_[path];
  if (!folder) {
    folder = std::make_unique<SimFolder>();
    folder->path = path;
    next_sequence();
  }
  return folder.get();
}

std::vector<std::string> SimDisk::child_folders(const SimFolder& folder) const {
  std::vector<std::string> names;
  const std::string prefix = folder.path.empty() ? "" : folder.path + "/";
  for (const auto& [path, child] : folders_) {
    if (path.size() > prefix.size() && path.starts_with(prefix) &&
        path.find('/', prefix.size()) == std::string::npos) {
      names.push_back(path.substr(prefix.size()));
    }
  }
  return names;
}

SimInode* SimDisk::find(const SimFolder& folder, const std::string& name) {
  const auto found = folder.present.find(name);
  return found == folder.present.end() ? nullptr : inode(found->second);
}

SimInode* SimDisk::inode(uint64_t id) { return inodes_.at(id).get(); }

SimInode* SimDisk::create(SimFolder& folder, const std::string& name) {
  const uint64_t id = ++inodes_made_;
  SimInode* inode = inodes_.emplace(id, std::make_unique<SimInode>(keeps_unsynced_)).first->second.get();
  change_entries(folder, "", name, id);
  return inode;
}

void SimDisk::unlink(SimFolder& folder, const std::string& name) { change_entries(folder, name, "", 0); }

void SimDisk::rename(SimFolder& folder, const std::string& from, const std::string& to) {
  if (from != to) change_entries(folder, from, to, folder.present.at(from));
}

void SimDisk::link(const SimFolder& from, const std::string& name, SimFolder& to,
                   const std::string& to_name) {
  change_entries(to, "", to_name, from.present.at(name));
}

void SimDisk::change_entries(SimFolder& folder, const std::string& cleared, const std::string& set,
                             uint64_t id) {
  for (const std::string& name : {cleared, set}) {
    const auto found = folder.present.find(name);
    if (found == folder.present.end()) continue;
    --inode(found->second)->links;
    folder.present.erase(found);
  }
  if (!set.empty()) {
    folder.present[set] = id;
    inode(id)->name = set;
    ++inode(id)->links;
  }
  const uint64_t sequence = next_sequence();
  if (keeps_unsynced_)
    folder.pending.push_back({.sequence = sequence, .cleared = cleared, .set = set, .inode = id});
}

void SimDisk::sync_folder(SimFolder& folder, uint64_t sequence) {
  size_t covered = 0;
  for (; covered < folder.pending.size() && folder.pending[covered].sequence <= sequence; ++covered) {
    const EntryChange& change = folder.pending[covered];
    if (!change.cleared.empty()) folder.durable.erase(change.cleared);
    if (!change.set.empty()) folder.durable[change.set] = change.inode;
  }
  folder.pending.erase(folder.pending.begin(), folder.pending.begin() + static_cast<ptrdiff_t>(covered));
  next_sequence();
  drop_unnamed();
}

void SimDisk::drop_unnamed() {
  std::set<uint64_t> named;
  for (const auto& [path, folder] : folders_) {
    for (const auto& [name, id] : folder->present) named.insert(id);
    for (const auto& [name, id] : folder->durable) named.insert(id);
    for (const EntryChange& change : folder->pending) named.insert(change.inode);
  }
  std::erase_if(
      inodes_, [&](const auto& entry) { return entry.second->openers == 0 && !named.contains(entry.first); });
}

uint64_t SimDisk::capture() {
  bool changed = false;
  for (const auto& [id, inode] : inodes_) changed |= inode->capture(sequence_ + 1);
  if (changed) ++sequence_;
  return sequence_;
}

}  // namespace lightning
