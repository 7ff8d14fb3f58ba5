#include "view/state_image.h"

#include <algorithm>
#include <unordered_map>

#include "base/coding.h"

namespace lightning {

namespace {

enum Field : uint32_t {
  kDatabaseId = 2,
  kIncarnation = 4,
  kNextFileId = 6,
  kNextSegmentNumber = 8,
  kNextBaseLsn = 10,
  kLogFloor = 12,
  kDurableLsn = 14,
  kTimeMax = 16,
  kNextKeyspaceId = 18,
  kRemovalFloor = 20,
  kLogSegments = 22,
  kValueFiles = 24,
  kLogSince = 25,
};

bool may_be_ignored(uint32_t tag) { return tag % 2 == 1; }

/// The fields that are plain 64-bit numbers.
constexpr std::pair<Field, uint64_t DurableState::*> kNumbers[] = {
    {kDatabaseId, &DurableState::database_id},    {kIncarnation, &DurableState::incarnation},
    {kNextFileId, &DurableState::next_file_id},   {kNextSegmentNumber, &DurableState::next_segment_number},
    {kNextBaseLsn, &DurableState::next_base_lsn}, {kLogFloor, &DurableState::log_floor},
    {kDurableLsn, &DurableState::durable_lsn},    {kRemovalFloor, &DurableState::removal_floor},
    {kLogSince, &DurableState::log_since_us},
};

enum PieceFlag : uint32_t {
  kBeginsRun = 1,
  kHasFrom = 2,
  kHasTo = 4,
  kPlain = 8,
  kExpires = 16,
  kHasRangeRemovals = 32,
  kLargestExcluded = 64,
  kHasValueBytes = 128,
  kHasSince = 256,
  kHasOldBytes = 512,
  kAllPieceFlags = 1023,
};

constexpr uint64_t RunExpiry::* kExpiryNumbers[] = {&RunExpiry::expiring, &RunExpiry::first_us,
                                                    &RunExpiry::quarter_us, &RunExpiry::half_us};

void put_number(std::string* to, uint64_t number) {
  char bytes[kVarint64BytesMax];
  to->append(bytes, put_varint(bytes, number));
}

void put_bytes(std::string* to, std::string_view bytes) {
  put_number(to, bytes.size());
  to->append(bytes);
}

/// Takes apart what put_number() and put_bytes() made. After a failure everything fails.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

  bool done() const { return at_ == end_; }
  bool failed() const { return at_ == nullptr; }

  template <typename T>
  bool number(T* value) {
    if (at_ != nullptr) at_ = get_varint(at_, end_, value);
    return at_ != nullptr;
  }
  bool fixed64(uint64_t* value) {
    std::string_view bytes;
    if (!take(sizeof(*value), &bytes)) return false;
    *value = load<uint64_t>(bytes.data());
    return true;
  }
  bool bytes(std::string_view* value) {
    uint64_t size = 0;
    return number(&size) && take(size, value);
  }
  bool bytes(std::string* value) {
    std::string_view view;
    if (!bytes(&view)) return false;
    *value = view;
    return true;
  }

 private:
  bool take(uint64_t size, std::string_view* value) {
    if (at_ == nullptr || size > static_cast<uint64_t>(end_ - at_)) {
      at_ = nullptr;
      return false;
    }
    *value = {at_, size};
    at_ += size;
    return true;
  }

  const char* at_;
  const char* end_;
};

Status malformed(std::string_view what) { return Status(StatusCode::corruption, what); }

// Images.

void set_number(Image* image, Field field, uint64_t number) {
  if (number != 0) put_number(&image->fields[field], number);
}

std::string piece_item(const SortedRunInfo& run, const RunPiece& piece) {
  const RunFileInfo& file = piece.file;
  uint32_t flags = 0;
  if (&piece == run.pieces.data()) flags |= kBeginsRun;
  if (!piece.from.empty()) flags |= kHasFrom;
  if (!piece.to.empty()) flags |= kHasTo;
  if (file.plain) flags |= kPlain;
  if (file.expiry.expiring != 0) flags |= kExpires;
  if (file.range_removals != 0) flags |= kHasRangeRemovals;
  if (file.largest_excluded) flags |= kLargestExcluded;
  if (file.value_bytes != 0) flags |= kHasValueBytes;
  if (file.since_us != 0) flags |= kHasSince;
  if (file.old_bytes != 0) flags |= kHasOldBytes;
  std::string item;
  put_number(&item, flags);
  if ((flags & kBeginsRun) != 0) put_number(&item, run.level);
  put_number(&item, file.id);
  put_number(&item, file.size);
  item.append(reinterpret_cast<const char*>(&file.footer_hash), sizeof(file.footer_hash));
  for (uint64_t number : {file.entries, file.removals, file.raw_bytes, file.lsn_min, file.lsn_max}) {
    put_number(&item, number);
  }
  if (file.expiry.expiring != 0) {
    for (uint64_t RunExpiry::* number : kExpiryNumbers) put_number(&item, file.expiry.*number);
  }
  if (file.range_removals != 0) put_number(&item, file.range_removals);
  if (file.value_bytes != 0) put_number(&item, file.value_bytes);
  if (file.since_us != 0) put_number(&item, file.since_us);
  if (file.old_bytes != 0) put_number(&item, file.old_bytes);
  put_bytes(&item, file.smallest);
  put_bytes(&item, file.largest);
  if (!piece.from.empty()) put_bytes(&item, piece.from);
  if (!piece.to.empty()) put_bytes(&item, piece.to);
  return item;
}

/// Reads one piece, into the last run or a run of its own.
Status read_item(std::string_view item, std::vector<SortedRunInfo>* runs) {
  Reader reader(item);
  uint32_t flags = 0;
  if (reader.number(&flags) && (flags & ~kAllPieceFlags) != 0) {
    return Status(StatusCode::not_supported,
                  "the manifest describes a run in a way that this build does not know");
  }
  SortedRunInfo run;
  if ((flags & kBeginsRun) != 0) reader.number(&run.level);
  RunPiece piece;
  RunFileInfo& file = piece.file;
  file.plain = (flags & kPlain) != 0;
  file.largest_excluded = (flags & kLargestExcluded) != 0;
  reader.number(&file.id);
  reader.number(&file.size);
  reader.fixed64(&file.footer_hash);
  for (uint64_t* number : {&file.entries, &file.removals, &file.raw_bytes, &file.lsn_min, &file.lsn_max}) {
    reader.number(number);
  }
  if ((flags & kExpires) != 0) {
    for (uint64_t RunExpiry::* number : kExpiryNumbers) reader.number(&(file.expiry.*number));
    if (file.expiry.expiring == 0) return malformed("the expiry of a run in the manifest");
  }
  if ((flags & kHasRangeRemovals) != 0) reader.number(&file.range_removals);
  if ((flags & kHasValueBytes) != 0) reader.number(&file.value_bytes);
  if ((flags & kHasSince) != 0) reader.number(&file.since_us);
  if ((flags & kHasOldBytes) != 0) reader.number(&file.old_bytes);
  reader.bytes(&file.smallest);
  reader.bytes(&file.largest);
  if ((flags & kHasFrom) != 0) reader.bytes(&piece.from);
  if ((flags & kHasTo) != 0) reader.bytes(&piece.to);
  if (!reader.done()) return malformed("a run in the manifest");
  if ((flags & kBeginsRun) != 0) {
    runs->push_back(std::move(run));
  } else if (runs->empty()) {
    return malformed("a file of no run in the manifest");
  }
  runs->back().pieces.push_back(std::move(piece));
  return Status();
}

bool read_segments(Reader* reader, std::vector<LogSegmentInfo>* segments) {
  while (!reader->done()) {
    LogSegmentInfo segment;
    reader->number(&segment.number);
    reader->number(&segment.base_lsn);
    if (!reader->number(&segment.end_lsn)) return false;
    segment.end_lsn -= 1;  // 0, an open end, becomes kOpenEnd
    segments->push_back(segment);
  }
  return true;
}

bool read_value_files(Reader* reader, std::vector<ValueFileInfo>* files) {
  uint64_t number = 0;
  while (!reader->done()) {
    uint64_t step = 0;
    reader->number(&step);
    ValueFileInfo file;
    if (!reader->number(&file.size) || step > UINT64_MAX - number) return false;
    file.number = number += step;
    files->push_back(file);
  }
  return true;
}

Status read_field(uint32_t tag, std::string_view bytes, DurableState* state) {
  Reader reader(bytes);
  const auto* const number = std::find_if(std::begin(kNumbers), std::end(kNumbers),
                                          [tag](const auto& field) { return field.first == tag; });
  bool good = true;
  if (number != std::end(kNumbers)) {
    good = reader.number(&(state->*number->second));
  } else if (tag == kTimeMax) {
    uint64_t time = 0;
    good = reader.number(&time);
    state->time_max_us = static_cast<int64_t>(time);
  } else if (tag == kNextKeyspaceId) {
    good = reader.number(&state->next_keyspace_id);
  } else if (tag == kLogSegments) {
    good = read_segments(&reader, &state->log_segments);
  } else if (tag == kValueFiles) {
    good = read_value_files(&reader, &state->value_files);
  } else if (may_be_ignored(tag)) {
    return Status();
  } else {
    return Status(StatusCode::not_supported,
                  "the manifest has field " + std::to_string(tag) + ", which this build does not know");
  }
  if (!good || !reader.done()) return malformed("field " + std::to_string(tag) + " of the manifest");
  return Status();
}

// Edits.

/// One step of a list script.
struct Step {
  size_t keep = 0;
  size_t drop = 0;
  std::vector<const std::string*> insert;

  bool changes() const { return drop != 0 || !insert.empty(); }
  void put(std::string* script) const {
    put_number(script, keep);
    put_number(script, drop);
    put_number(script, insert.size());
    for (const std::string* item : insert) put_bytes(script, *item);
  }
};

/// What both lists begin and end with is set apart first; of the rest, an item of `to` is kept when it stands
/// in `from` behind all that were kept before, which finds everything unless items changed their order.
std::string list_script(const std::vector<std::string>& from, const std::vector<std::string>& to) {
  const size_t head = std::mismatch(from.begin(), from.end(), to.begin(), to.end()).first - from.begin();
  const size_t tail =
      std::mismatch(from.rbegin(), from.rend() - head, to.rbegin(), to.rend() - head).first - from.rbegin();
  const size_t from_end = from.size() - tail;
  std::unordered_map<std::string_view, size_t> places;
  for (size_t i = head; i < from_end; ++i) places.emplace(from[i], i);

  std::string script;
  Step step;
  step.keep = head;
  size_t at = head;  // in `from`: everything before is kept or dropped
  for (size_t i = head; i < to.size() - tail; ++i) {
    const auto place = places.find(to[i]);
    if (place == places.end() || place->second < at) {
      step.insert.push_back(&to[i]);
      continue;
    }
    step.drop = place->second - at;
    if (step.changes()) {
      step.put(&script);
      step = Step();
    }
    ++step.keep;
    at = place->second + 1;
  }
  step.drop = from_end - at;
  if (step.changes()) step.put(&script);
  return script;
}

Status apply_script(std::string_view script, std::vector<std::string>* items) {
  Reader reader(script);
  uint64_t keep = 0, drop = 0, insert = 0;
  if (!reader.number(&keep) || keep > items->size()) return malformed("a list of the manifest");
  // What the first step keeps, usually nearly everything, stays where it is.
  std::vector<std::string> rest(std::make_move_iterator(items->begin() + keep),
                                std::make_move_iterator(items->end()));
  items->resize(keep);
  for (size_t at = 0;;) {
    if (!reader.number(&drop) || drop > rest.size() - at || !reader.number(&insert)) {
      return malformed("a list of the manifest");
    }
    at += drop;
    for (; insert > 0; --insert) {
      std::string_view item;
      if (!reader.bytes(&item)) return malformed("an item of the manifest");
      items->emplace_back(item);
    }
    keep = rest.size() - at;
    const bool last = reader.done();
    if (!last && (!reader.number(&keep) || keep > rest.size() - at))
      return malformed("a list of the manifest");
    std::move(rest.begin() + at, rest.begin() + at + keep, std::back_inserter(*items));
    if (last) return Status();
    at += keep;
  }
}

}  // namespace

Image image_of(const DurableState& state) {
  Image image;
  for (const auto& [field, member] : kNumbers) set_number(&image, field, state.*member);
  set_number(&image, kTimeMax, static_cast<uint64_t>(state.time_max_us));
  set_number(&image, kNextKeyspaceId, state.next_keyspace_id);
  for (const LogSegmentInfo& segment : state.log_segments) {
    std::string* field = &image.fields[kLogSegments];
    put_number(field, segment.number);
    put_number(field, segment.base_lsn);
    put_number(field, segment.end_lsn + 1);
  }
  uint64_t before = 0;
  for (const ValueFileInfo& file : state.value_files) {
    std::string* field = &image.fields[kValueFiles];
    put_number(field, file.number - before);
    put_number(field, file.size);
    before = file.number;
  }
  for (auto run = state.runs.rbegin(); run != state.runs.rend(); ++run) {
    for (const RunPiece& piece : run->pieces) image.items.push_back(piece_item(*run, piece));
  }
  return image;
}

Result<DurableState> state_of(const Image& image) {
  DurableState state;
  state.next_file_id = state.next_segment_number = 0;  // what an absent field means
  for (const auto& [tag, bytes] : image.fields) {
    if (Status status = read_field(tag, bytes, &state); !status.ok()) return status;
  }
  for (const std::string& item : image.items) {
    if (Status status = read_item(item, &state.runs); !status.ok()) return status;
  }
  std::reverse(state.runs.begin(), state.runs.end());
  if (std::string_view wrong = check_state(state); !wrong.empty()) {
    return malformed("the manifest contradicts itself: " + std::string(wrong));
  }
  return state;
}

std::string edit_between(const Image& from, const Image& to) {
  std::string edit;
  for (const auto& [tag, bytes] : to.fields) {
    const auto before = from.fields.find(tag);
    if (before != from.fields.end() && before->second == bytes) continue;
    put_number(&edit, tag);
    put_bytes(&edit, bytes);
  }
  for (const auto& [tag, bytes] : from.fields) {
    if (to.fields.contains(tag)) continue;
    put_number(&edit, tag);
    put_bytes(&edit, {});
  }
  if (const std::string script = list_script(from.items, to.items); !script.empty()) {
    put_number(&edit, kItemsTag);
    put_bytes(&edit, script);
  }
  return edit;
}

Status apply_edit(std::string_view edit, Image* image) {
  Reader reader(edit);
  while (!reader.done()) {
    uint32_t tag = 0;
    std::string_view bytes;
    if (!reader.number(&tag) || !reader.bytes(&bytes)) return malformed("an edit of the manifest");
    if (tag == kItemsTag) {
      if (Status status = apply_script(bytes, &image->items); !status.ok()) return status;
    } else if (bytes.empty()) {
      image->fields.erase(tag);
    } else {
      image->fields[tag] = bytes;
    }
  }
  return Status();
}

}  // namespace lightning
