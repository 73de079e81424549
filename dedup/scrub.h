// Is an immutable file what its name says, and can everything in a pack be read? Every byte that is
// asked about is read from the storage, past all caches.
//
// Any thread. Damage is what comes back, not an error: nothing here stops at the first.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dedup/hasher.h"
#include "dedup/pack_format.h"
#include "dedup/store_files.h"

namespace varve {

/// Told of bytes as they are read, from whatever thread reads them.
using BytesRead = std::function<void(uint64_t)>;

/// Reads the whole file. kCorrupt if its bytes do not hash to its name, kIo if they cannot be read;
/// else its length.
Result<uint64_t> hash_store_file(Storage& storage, const StoreFile& file,
                                 const BytesRead& on_read = {});

enum class ScrubDepth {
  kEnds,  // header, trailer and index
  kData,  // all bytes: they hash to the name, and every segment opens and holds what the index says
};

struct PackDamage {
  std::optional<uint32_t> segment;  // nothing: of the pack as a whole
  std::string what;
};

struct ScrubbedPack {
  std::optional<PackHeader> header;  // nothing: it is no pack of this store
  uint64_t length = 0;               // bytes of the file
  /// What is in it, as its own index says; where that does not open, as the segments that do say.
  PackIndex index;
  std::set<uint32_t> lost;  // segments that cannot be read
  std::vector<PackDamage> damage;
  bool read_through = false;  // all bytes were read and hashed
};

/// Where the index does not open all segments are read, whatever the depth. `expected` is what
/// lists or tables say of the file, if they do: a file of another length is not read by anybody, so
/// all of its segments count as lost.
ScrubbedPack scrub_pack(Storage& storage, const Keyring& keyring, const Hasher& hasher,
                        const StoreFile& file, const std::optional<PackInfo>& expected,
                        ScrubDepth depth, const BytesRead& on_read = {});

/// A pack in local/open/: its segments from the front, as far as they authenticate, and nothing
/// changed. kCorrupt, naming the place, if that is less than `committed_length`.
Result<PackIndex> scrub_open_pack(Storage& storage, const Keyring& keyring, const Hasher& hasher,
                                  const PackId& pack, uint64_t committed_length);

}  // namespace varve
