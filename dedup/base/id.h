// One type per kind of thing that has a name made of bytes, so that they cannot be mixed up.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <functional>
#include <optional>

#include "dedup/base/bytes.h"

namespace varve {

template <typename Tag, size_t kBytes>
struct Id {
  static constexpr size_t kSize = kBytes;
  std::array<uint8_t, kBytes> bytes{};

  ByteView view() const { return bytes; }
  std::string hex() const { return to_hex(bytes); }
  bool is_zero() const {
    return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
  }
  friend auto operator<=>(const Id&, const Id&) = default;

  static std::optional<Id> from_hex(std::string_view text) {
    Id id;
    if (!varve::from_hex(text, id.bytes)) return std::nullopt;
    return id;
  }
};

/// Keyed hash that names a chunk of a file, or an object of the catalog; 32 bytes.
using ChunkId = Id<struct ChunkIdTag, 32>;
/// SHA-256 of a file's bytes: the name of everything immutable in a store.
using FileHash = Id<struct FileHashTag, 32>;
/// Random name of a pack, in its header; what sealed data refers to.
using PackId = Id<struct PackIdTag, 16>;
using StoreId = Id<struct StoreIdTag, 16>;
using WriterId = Id<struct WriterIdTag, 16>;
using EpochId = Id<struct EpochIdTag, 16>;
using ReplicaId = Id<struct ReplicaIdTag, 16>;
/// Random name of a backup set. The root's own files are the set whose id is all zeros.
using SetId = Id<struct SetIdTag, 16>;

/// Ids are uniformly distributed already: their first bytes are the hash.
struct IdHash {
  template <typename Tag, size_t kBytes>
  size_t operator()(const Id<Tag, kBytes>& id) const {
    size_t value;
    static_assert(kBytes >= sizeof value);
    std::memcpy(&value, id.bytes.data(), sizeof value);
    return value;
  }
};

}  // namespace varve
