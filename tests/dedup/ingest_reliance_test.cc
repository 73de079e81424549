// Goal: what a stream was told is stored is known to collection until the stream settles or goes;
// and what is condemned is stored anew, by whoever comes.

#include <algorithm>

#include "dedup/ingest.h"
#include "tests/dedup/ingest_world.h"

namespace varve {
namespace {

bool has(const std::vector<PackId>& packs, const PackId& pack) {
  return std::find(packs.begin(), packs.end(), pack) != packs.end();
}

struct ReliedWorld : IngestWorld {
  Bytes bytes = random_bytes(random, 1000);

  PackId sealed(const Bytes& chunk) {
    auto stream = open_stream();
    EXPECT_TRUE(ingest->put(*stream, chunk).ok());
    const auto packs_sealed = ingest->seal_open(PackClass::kData);
    EXPECT_TRUE(packs_sealed.ok());
    return packs_sealed->back().info.pack;
  }
};

TEST(IngestReliance, AHitCountsUntilTheStreamSettlesOrGoes) {
  ReliedWorld world;
  const PackId pack = world.sealed(world.bytes);
  EXPECT_FALSE(has(world.ingest->relied_on(), pack));
  auto stream = world.open_stream();
  EXPECT_FALSE(world.ingest->put(*stream, world.bytes)->is_new);
  EXPECT_TRUE(has(world.ingest->relied_on(), pack));
  stream->settle();
  EXPECT_FALSE(has(world.ingest->relied_on(), pack));
  EXPECT_FALSE(world.ingest->put(*stream, world.bytes)->is_new);
  EXPECT_TRUE(has(world.ingest->relied_on(), pack));
  stream.reset();
  EXPECT_FALSE(has(world.ingest->relied_on(), pack));
}

TEST(IngestReliance, SoDoesThePackThatANewChunkComesTo) {
  ReliedWorld world;
  const PackId before = world.sealed(random_bytes(world.random, 100));
  auto stream = world.open_stream();
  EXPECT_TRUE(world.ingest->put(*stream, world.bytes)->is_new);
  const auto sealed = world.ingest->seal_open(PackClass::kData);
  ASSERT_TRUE(sealed.ok());
  EXPECT_TRUE(has(world.ingest->relied_on(), sealed->back().info.pack));
  EXPECT_FALSE(has(world.ingest->relied_on(), before));
}

TEST(IngestReliance, WhatIsCondemnedIsStoredAnew) {
  ReliedWorld world;
  const PackId pack = world.sealed(world.bytes);
  world.ingest->condemn({pack});
  auto stream = world.open_stream();
  const auto put = world.ingest->put(*stream, world.bytes);
  ASSERT_TRUE(put.ok());
  EXPECT_TRUE(put->is_new);
  EXPECT_TRUE(world.fetches(put->id, world.bytes));
  EXPECT_FALSE(world.ingest->put(*stream, world.bytes)->is_new) << "once";
  const auto sealed = world.ingest->seal_open(PackClass::kData);
  ASSERT_TRUE(sealed.ok());
  world.index->remove_pack(pack);
  world.packs->remove(pack);
  EXPECT_TRUE(world.fetches(put->id, world.bytes));
}

TEST(IngestReliance, WhatIsPardonedIsKnownAgain) {
  ReliedWorld world;
  const PackId pack = world.sealed(world.bytes);
  world.ingest->condemn({pack});
  world.ingest->pardon({pack});
  auto stream = world.open_stream();
  EXPECT_FALSE(world.ingest->put(*stream, world.bytes)->is_new);
}

}  // namespace
}  // namespace varve
