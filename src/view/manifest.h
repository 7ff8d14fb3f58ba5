// Manifest: a file of edits; applied in order to an empty image they give the image of a DurableState.
//
// The first edit is the snapshot, and the file is only ever appended to. SUPER says how many of its bytes
// count, and what their hash is (state_store.h).
//
// Format of the file "0000000007.manifest":
//    0  u64 magic   8  u32 format version   12  u32 zero   16  u64 database id   24  u64 id
//   32  u64 checksum of the bytes 0 to 31, seeded with kManifestHeaderSeed
//   40  records: u64 checksum of what follows in the record, seeded with the checksum before it (of the
//       previous record or the header); u32 length of the edit; the edit (state_image.h)
// The checksums are a chain: the last one is the hash of all bytes so far, and right bytes at another place,
// in another file or of another database do not verify.
//
// Bytes are hostile: every length is checked before it is used.
// Thread safety: none; StateStore's lock stands around it.
#pragma once

#include <lightning/status.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "io/env.h"
#include "view/state_image.h"

namespace lightning {

inline constexpr uint64_t kManifestMagic = 0x31464d4c42444c00ull;  // "\0LDBLMF1"
inline constexpr uint64_t kManifestHeaderSeed = kManifestMagic;
inline constexpr uint64_t kManifestHeaderBytes = 40;
inline constexpr uint64_t kManifestRecordHeaderBytes = 12;
inline constexpr uint64_t kManifestBytesMax = uint64_t{1} << 30;

/// "0000000007.manifest"
std::string manifest_file_name(uint64_t id);

/// Where a manifest ends, and the hash of everything before.
struct ManifestEnd {
  uint64_t length = 0;
  uint64_t hash = 0;
};

/// The bytes of a manifest that holds `snapshot` alone.
std::string encode_manifest(uint64_t database_id, uint64_t id, std::string_view snapshot, ManifestEnd* end);
/// The bytes of a record that is to stand at `*end`, which is moved behind them.
std::string encode_manifest_record(std::string_view edit, ManifestEnd* end);

/// The image that the first `end.length` bytes give. Whatever differs from what was written is `corruption`
/// with file and offset.
Result<Image> read_manifest(Directory& directory, uint64_t database_id, uint64_t id, const ManifestEnd& end);

/// As much of a manifest as verifies, whatever SUPER says of it: for repair.
struct ManifestPrefix {
  uint64_t database_id = 0;
  Image image;
  ManifestEnd end;
  uint64_t file_bytes = 0;
  Status stopped;  // what ended it; ok at the end of the bytes that were asked for
};
/// Of the first `length_max` bytes, which are fewer in a shorter file. Fails where not even the header tells.
Result<ManifestPrefix> read_manifest_prefix(Directory& directory, uint64_t id, uint64_t length_max);

/// The image after one record more, which stands at `end` and verifies; `not_found` when there is none.
Result<Image> read_manifest_further(Directory& directory, uint64_t id, const ManifestEnd& end,
                                    const Image& image);

}  // namespace lightning
