// What tests of packs share: keys, a simulated disk, and segments to write.
#pragma once

#include <gtest/gtest.h>

#include "dedup/pack_store.h"
#include "tests/support/simulated_storage.h"
#include "tests/support/simulation.h"

namespace varve {

/// Any bytes of an id type, all the same.
template <typename IdType>
IdType id_of(uint8_t byte) {
  IdType id;
  id.bytes.fill(byte);
  return id;
}

inline Keyring test_keyring() {
  std::vector<Keyring::Epoch> epochs(1);
  epochs[0].id = id_of<EpochId>(3);
  epochs[0].key = Secret::copy_of(Bytes(kKeyBytes, 4));
  return Keyring(id_of<StoreId>(1), Secret::copy_of(Bytes(kKeyBytes, 2)), std::move(epochs));
}

/// Incompressible and new each time; cheaper than asking `random` for every byte.
inline Bytes random_bytes(Random& random, size_t size) {
  uint64_t state = 0;
  random.fill({reinterpret_cast<uint8_t*>(&state), sizeof state});
  state |= 1;
  Bytes bytes(size);
  for (uint8_t& byte : bytes) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<uint8_t>(state >> 32);
  }
  return bytes;
}

/// A stored segment and the bytes that it refers to.
struct TestSegment {
  Bytes raw;
  PreparedSegment prepared;
};

/// Of chunks of the given lengths, random and stored as they are.
inline std::unique_ptr<TestSegment> make_segment(Random& random, const Hasher& hasher,
                                                 const std::vector<uint32_t>& lengths) {
  auto segment = std::make_unique<TestSegment>();
  for (uint32_t length : lengths) {
    const Bytes chunk = random_bytes(random, length);
    segment->prepared.chunks.push_back({hasher.chunk_id(chunk), length});
    segment->raw.insert(segment->raw.end(), chunk.begin(), chunk.end());
  }
  segment->prepared.raw_length = static_cast<uint32_t>(segment->raw.size());
  segment->prepared.payload = segment->raw;
  return segment;
}

/// A disk, and a store of packs on it that can be opened anew as after a restart.
struct PackWorld {
  SimulatedStorage storage;
  SeededRandom random{1};
  Keyring keyring = test_keyring();
  Hasher hasher{keyring};
  Metrics metrics;
  std::unique_ptr<PackStore> packs = open();

  std::unique_ptr<PackStore> open() {
    EXPECT_TRUE(storage.make_directories("local/open").ok());
    EXPECT_TRUE(storage.make_directories("packs").ok());
    EXPECT_TRUE(storage.make_directories("catalog").ok());
    return std::make_unique<PackStore>(storage, keyring, random, id_of<WriterId>(5), metrics);
  }
  void reopen() { packs = open(); }
  uint64_t metric(const std::string& name) { return metrics.counter(name, "").value(); }

  /// True if the segment reads as it was written.
  bool reads(const PackId& pack, uint32_t ordinal, const TestSegment& segment) {
    auto decoded = packs->read_segment(pack, ordinal);
    if (!decoded.ok()) return false;
    size_t offset = 0;
    for (const IndexedChunk& chunk : segment.prepared.chunks) {
      auto bytes = (*decoded)->find(chunk.id);
      if (!bytes ||
          !std::equal(bytes->begin(), bytes->end(),
                      segment.raw.begin() + static_cast<ptrdiff_t>(offset),
                      segment.raw.begin() + static_cast<ptrdiff_t>(offset + chunk.length))) {
        return false;
      }
      offset += chunk.length;
    }
    return true;
  }
};

}  // namespace varve
