// Goal: a scrub finds every damaged byte of a pack, says in which segment, keeps telling of the
// segments that are whole, and agrees with what readers can read.

#include "dedup/scrub.h"

#include "tests/dedup/pack_world.h"

namespace varve {
namespace {

struct ScrubWorld {
  PackWorld world;
  PackInfo info;
  PackIndex index;
  StoreFile file;
  Bytes bytes;
  std::vector<std::unique_ptr<TestSegment>> segments;

  ScrubWorld() {
    auto writer = world.packs->create(PackClass::kData).value();
    for (int i = 0; i < 4; i++) {
      segments.push_back(make_segment(world.random, world.hasher, {200, 31}));
      EXPECT_TRUE(writer->append(segments.back()->prepared).ok());
    }
    auto sealed = writer->finish(false).value();
    info = sealed.info;
    index = sealed.index;
    file = {FileClass::kPack, info.hash};
    bytes = read_whole(world.storage, path_of(file), kPackBytes).value();
  }
  void put(ByteView content) {
    ASSERT_TRUE(write_whole(world.storage, path_of(file), content).ok());
    world.reopen();
    world.packs->add(info);
  }
  ScrubbedPack scrub(ScrubDepth depth) {
    return scrub_pack(world.storage, world.keyring, world.hasher, file, info, depth);
  }
};

TEST(Scrub, AWholePackIsWhole) {
  ScrubWorld pack;
  uint64_t read = 0;
  const ScrubbedPack found =
      scrub_pack(pack.world.storage, pack.world.keyring, pack.world.hasher, pack.file, pack.info,
                 ScrubDepth::kData, [&](uint64_t bytes) { read += bytes; });
  EXPECT_TRUE(found.damage.empty());
  EXPECT_TRUE(found.lost.empty());
  EXPECT_TRUE(found.read_through);
  EXPECT_EQ(read, pack.info.length);
  EXPECT_EQ(encode_pack_index(found.index), encode_pack_index(pack.index));
  EXPECT_EQ(hash_store_file(pack.world.storage, pack.file).value(), pack.info.length);
}

TEST(Scrub, EveryFlippedByteIsFoundAndReadersAgreeWhichSegmentsAreLost) {
  ScrubWorld pack;
  for (size_t at = 0; at < pack.bytes.size(); at += 3) {
    Bytes damaged = pack.bytes;
    damaged[at] ^= static_cast<uint8_t>(1 << at % 8);
    pack.put(damaged);
    const ScrubbedPack found = pack.scrub(ScrubDepth::kData);
    ASSERT_FALSE(found.damage.empty()) << at;
    EXPECT_EQ(hash_store_file(pack.world.storage, pack.file).error().code(), Errc::kCorrupt);
    for (uint32_t i = 0; i < pack.segments.size(); i++) {
      const bool lost = !found.header || found.lost.contains(i) || i >= found.index.segments.size();
      EXPECT_EQ(pack.world.reads(pack.info.pack, i, *pack.segments[i]), !lost)
          << "byte " << at << ", segment " << i;
    }
  }
}

TEST(Scrub, WithoutItsIndexAPackStillGivesItsSegments) {
  ScrubWorld pack;
  Bytes damaged = pack.bytes;
  damaged.back() ^= 1;  // the trailer's tag
  pack.put(damaged);
  const ScrubbedPack found = pack.scrub(ScrubDepth::kEnds);
  EXPECT_EQ(found.damage.size(), 1u);
  EXPECT_TRUE(found.lost.empty());
  ASSERT_EQ(found.index.segments.size(), pack.segments.size());
  EXPECT_EQ(found.index.chunks.size(), pack.index.chunks.size());
  for (uint32_t i = 0; i < pack.segments.size(); i++) {
    EXPECT_TRUE(pack.world.reads(pack.info.pack, i, *pack.segments[i])) << i;
  }
  EXPECT_FALSE(pack.world.packs->read_index(pack.info.pack).ok());
  EXPECT_EQ(pack.world.packs->readable_index(pack.info.pack).value().chunks.size(),
            pack.index.chunks.size());
}

TEST(Scrub, APackOfAnotherLengthIsLostAsReadersHaveIt) {
  ScrubWorld pack;
  for (const int change : {-1, 1}) {
    Bytes damaged = pack.bytes;
    damaged.resize(damaged.size() + static_cast<size_t>(change));
    pack.put(damaged);
    const ScrubbedPack found = pack.scrub(ScrubDepth::kData);
    EXPECT_FALSE(found.damage.empty());
    EXPECT_EQ(found.lost.size(), found.index.segments.size());
    EXPECT_FALSE(pack.world.reads(pack.info.pack, 0, *pack.segments[0]));
  }
}

TEST(Scrub, AnOpenPackIsReadUpToItsLastWholeSegment) {
  PackWorld world;
  auto writer = world.packs->create(PackClass::kData).value();
  const auto segment = make_segment(world.random, world.hasher, {100});
  ASSERT_TRUE(writer->append(segment->prepared).ok());
  const uint64_t first = writer->sync().value();
  ASSERT_TRUE(writer->append(segment->prepared).ok());
  const uint64_t second = writer->sync().value();
  const auto scrub = [&](uint64_t committed) {
    return scrub_open_pack(world.storage, world.keyring, world.hasher, writer->pack(), committed);
  };
  EXPECT_EQ(scrub(second).value().segments.size(), 2u);
  auto file = world.storage.open_write(open_pack_path(writer->pack())).value();
  ASSERT_TRUE(file->write_at(first + 60, as_bytes("damage")).ok());
  EXPECT_EQ(scrub(first).value().segments.size(), 1u);
  EXPECT_EQ(scrub(second).error().code(), Errc::kCorrupt);
}

TEST(StoreFiles, ListsWhatIsWellFormedAndWhatWasLeft) {
  ScrubWorld pack;
  SimulatedStorage& storage = pack.world.storage;
  ASSERT_TRUE(storage.make_directories("lists").ok());
  ASSERT_TRUE(storage.make_directories("packs/zz").ok());
  const std::string name = id_of<FileHash>(0xab).hex();
  for (const std::string& path :
       {"lists/" + name, std::string("lists/notes"), "packs/zz/" + name, "packs/" + name,
        std::string("lists/.tmp-1"), std::string(".tmp-2")}) {
    ASSERT_TRUE(storage.create(path).ok());
  }
  const StoreFiles found = list_store_files(storage).value();
  ASSERT_EQ(found.files.size(), 2u);
  EXPECT_EQ(path_of(found.files[0]), path_of(pack.file));
  EXPECT_EQ(path_of(found.files[1]), "lists/" + name);
  EXPECT_EQ(found.temporaries, (std::vector<std::string>{"lists/.tmp-1", ".tmp-2"}));
}

}  // namespace
}  // namespace varve
