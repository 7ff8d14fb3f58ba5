#include "view/manifest.h"

#include <algorithm>

#include "base/coding.h"
#include "base/hash.h"

namespace lightning {

namespace {

constexpr uint32_t kManifestVersion = 1;

Status corrupt(std::string_view what, uint64_t id, uint64_t offset) {
  return Status(StatusCode::corruption, what, manifest_file_name(id), offset);
}

/// The same error, with its place.
Status at_place(const Status& status, uint64_t id, uint64_t offset) {
  return Status(status.code(), status.message(), manifest_file_name(id), offset);
}

/// `corruption` when there are fewer bytes than `length`.
Result<std::string> read_exactly(File& file, uint64_t id, uint64_t offset, uint64_t length) {
  Result<uint64_t> size = file.size();
  if (!size) return size.status();
  if (*size < offset || *size - offset < length) return corrupt("the manifest is cut off", id, *size);
  std::string bytes(length, '\0');
  Result<uint64_t> done = file.read(offset, bytes.data(), length);
  if (!done) return done.status();
  if (*done < length) return corrupt("the manifest is cut off", id, offset + *done);
  return bytes;
}

Status check_header(std::string_view bytes, uint64_t id) {
  const char* const header = bytes.data();
  if (load<uint64_t>(header + 32) != checksum(header, 32, kManifestHeaderSeed) ||
      load<uint64_t>(header) != kManifestMagic) {
    return corrupt("the manifest's header", id, 0);
  }
  if (const auto version = load<uint32_t>(header + 8); version > kManifestVersion) {
    return Status(StatusCode::not_supported,
                  "the manifest has format version " + std::to_string(version) + "; this build knows " +
                      std::to_string(kManifestVersion),
                  manifest_file_name(id), 8);
  }
  if (load<uint64_t>(header + 24) != id) return corrupt("a manifest under another's name", id, 24);
  return Status();
}

/// The edit of the record that `bytes` begin with, whose hash is put behind the chain's; null data if it does
/// not verify.
std::string_view verify_record(std::string_view bytes, uint64_t* hash) {
  if (bytes.size() < kManifestRecordHeaderBytes) return {};
  const auto sum = load<uint64_t>(bytes.data());
  const auto length = load<uint32_t>(bytes.data() + 8);
  if (length > bytes.size() - kManifestRecordHeaderBytes) return {};
  if (sum != checksum(bytes.data() + 8, 4 + uint64_t{length}, *hash)) return {};
  *hash = sum;
  return bytes.substr(kManifestRecordHeaderBytes, length);
}

}  // namespace

std::string manifest_file_name(uint64_t id) {
  constexpr size_t kDigitsMin = 10;
  const std::string digits = std::to_string(id);
  return std::string(digits.size() < kDigitsMin ? kDigitsMin - digits.size() : 0, '0') + digits + ".manifest";
}

std::string encode_manifest(uint64_t database_id, uint64_t id, std::string_view snapshot, ManifestEnd* end) {
  std::string bytes(kManifestHeaderBytes, '\0');
  char* const header = bytes.data();
  store<uint64_t>(header, kManifestMagic);
  store<uint32_t>(header + 8, kManifestVersion);
  store<uint64_t>(header + 16, database_id);
  store<uint64_t>(header + 24, id);
  *end = {.length = kManifestHeaderBytes, .hash = checksum(header, 32, kManifestHeaderSeed)};
  store<uint64_t>(header + 32, end->hash);
  return bytes + encode_manifest_record(snapshot, end);
}

std::string encode_manifest_record(std::string_view edit, ManifestEnd* end) {
  std::string bytes(kManifestRecordHeaderBytes, '\0');
  store<uint32_t>(bytes.data() + 8, static_cast<uint32_t>(edit.size()));
  bytes += edit;
  end->hash = checksum(bytes.data() + 8, bytes.size() - 8, end->hash);
  end->length += bytes.size();
  store<uint64_t>(bytes.data(), end->hash);
  return bytes;
}

Result<ManifestPrefix> read_manifest_prefix(Directory& directory, uint64_t id, uint64_t length_max) {
  Result<std::unique_ptr<File>> file = directory.open(manifest_file_name(id), OpenMode::read);
  if (file.status().is(StatusCode::not_found))
    return corrupt("the manifest is missing", id, Status::kWholeFile);
  if (!file) return file.status();
  Result<uint64_t> size = (*file)->size();
  if (!size) return size.status();
  if (*size < kManifestHeaderBytes) return corrupt("the manifest is cut off", id, *size);
  const uint64_t length = std::min({*size, length_max, kManifestBytesMax});
  Result<std::string> bytes = read_exactly(**file, id, 0, length);
  if (!bytes) return bytes.status();
  if (Status status = check_header(*bytes, id); !status.ok()) return status;

  ManifestPrefix prefix{.database_id = load<uint64_t>(bytes->data() + 16),
                        .image = {},
                        .end = {.length = kManifestHeaderBytes, .hash = load<uint64_t>(bytes->data() + 32)},
                        .file_bytes = *size,
                        .stopped = {}};
  while (prefix.end.length < length) {
    const uint64_t at = prefix.end.length;
    uint64_t hash = prefix.end.hash;
    const std::string_view edit = verify_record(std::string_view(*bytes).substr(at), &hash);
    if (edit.data() == nullptr) {
      prefix.stopped = corrupt("a record of the manifest", id, at);
      break;
    }
    if (Status status = apply_edit(edit, &prefix.image); !status.ok()) {
      // The image is in pieces: once more, without that edit.
      Result<ManifestPrefix> before = read_manifest_prefix(directory, id, at);
      if (before) before->stopped = at_place(status, id, at);
      return before;
    }
    prefix.end = {.length = at + kManifestRecordHeaderBytes + edit.size(), .hash = hash};
  }
  return prefix;
}

Result<Image> read_manifest(Directory& directory, uint64_t database_id, uint64_t id, const ManifestEnd& end) {
  if (end.length < kManifestHeaderBytes || end.length > kManifestBytesMax) {
    return corrupt("SUPER names a manifest of " + std::to_string(end.length) + " bytes", id,
                   Status::kWholeFile);
  }
  Result<ManifestPrefix> prefix = read_manifest_prefix(directory, id, end.length);
  if (!prefix) return prefix.status();
  if (prefix->file_bytes < end.length) return corrupt("the manifest is cut off", id, prefix->file_bytes);
  if (prefix->database_id != database_id) return corrupt("the manifest of another database", id, 16);
  if (!prefix->stopped.ok()) return prefix->stopped;
  if (prefix->end.hash != end.hash) return corrupt("SUPER names other bytes of the manifest", id, 0);
  return std::move(prefix->image);
}

Result<Image> read_manifest_further(Directory& directory, uint64_t id, const ManifestEnd& end,
                                    const Image& image) {
  Result<std::unique_ptr<File>> file = directory.open(manifest_file_name(id), OpenMode::read);
  if (!file) return file.status();
  Result<uint64_t> size = (*file)->size();
  if (!size) return size.status();
  const uint64_t length = std::min(*size, kManifestBytesMax) - std::min(*size, end.length);
  Result<std::string> bytes = read_exactly(**file, id, end.length, length);
  if (!bytes) return bytes.status();
  uint64_t hash = end.hash;
  const std::string_view edit = verify_record(*bytes, &hash);
  Image further = image;
  if (edit.data() == nullptr || !apply_edit(edit, &further).ok()) {
    return Status(StatusCode::not_found, "no further record");
  }
  return further;
}

}  // namespace lightning
