// Goal: what was written into packs is read back, sealed or not; and what was damaged, cut off,
// missing or swapped never is.

#include "dedup/pack_store.h"

#include "dedup/base/checksum.h"
#include "tests/dedup/pack_world.h"

namespace varve {
namespace {

struct SealedPack {
  PackStore::Recovered recovered;
  std::vector<std::unique_ptr<TestSegment>> segments;
  const PackId& id() const { return recovered.info.pack; }
  std::string path() const { return pack_path(recovered.info.pack_class, recovered.info.hash); }
};

SealedPack write_pack(PackWorld& world, size_t segments, bool full = false) {
  SealedPack pack;
  auto writer = world.packs->create(PackClass::kData);
  EXPECT_TRUE(writer.ok());
  for (size_t i = 0; i < segments; i++) {
    pack.segments.push_back(make_segment(world.random, world.hasher, {100, 1, 200}));
    EXPECT_EQ((*writer)->append(pack.segments.back()->prepared).value(), i);
  }
  auto recovered = (*writer)->finish(full);
  EXPECT_TRUE(recovered.ok());
  pack.recovered = *recovered;
  return pack;
}

Bytes file_bytes(PackWorld& world, const std::string& path) {
  return read_whole(world.storage, path, kPackBytes).value();
}

TEST(PackStore, ReadsBeforeAndAfterSealingAndAnew) {
  PackWorld world;
  auto writer = world.packs->create(PackClass::kData).value();
  auto first = make_segment(world.random, world.hasher, {1000, 1, 70000});
  auto second = make_segment(world.random, world.hasher, {5});
  EXPECT_EQ(writer->append(first->prepared).value(), 0u);
  EXPECT_TRUE(world.reads(writer->pack(), 0, *first));
  EXPECT_EQ(writer->append(second->prepared).value(), 1u);
  EXPECT_EQ(world.packs->list_open().value(), std::vector<PackId>{writer->pack()});
  auto sealed = writer->finish(false).value();
  EXPECT_TRUE(world.packs->list_open().value().empty());
  EXPECT_TRUE(world.reads(writer->pack(), 1, *second));

  world.reopen();
  EXPECT_EQ(world.packs->read_segment(sealed.info.pack, 0).error().code(), Errc::kNotFound);
  EXPECT_EQ(world.packs->list_files().value(), std::vector<PackInfo>{sealed.info});
  world.packs->add(sealed.info);
  EXPECT_TRUE(world.reads(sealed.info.pack, 0, *first));
  EXPECT_TRUE(world.reads(sealed.info.pack, 1, *second));
  EXPECT_EQ(world.packs->read_segment(sealed.info.pack, 2).error().code(), Errc::kNotFound);
  EXPECT_EQ(encode_pack_index(world.packs->read_index(sealed.info.pack).value()),
            encode_pack_index(sealed.index));
  EXPECT_EQ(world.metric("varve_damaged_segments_total"), 0u);
}

TEST(PackStore, NameIsTheHashAndLengthIsPadded) {
  PackWorld world;
  const SealedPack pack = write_pack(world, 3);
  const Bytes bytes = file_bytes(world, pack.path());
  EXPECT_EQ(sha256(bytes), pack.recovered.info.hash);
  EXPECT_EQ(bytes.size(), pack.recovered.info.length);
  EXPECT_EQ(padme(bytes.size()), bytes.size());
  const SealedPack full = write_pack(world, 1, true);
  EXPECT_EQ(full.recovered.info.length, kPackBytes);
  EXPECT_EQ(file_bytes(world, full.path()).size(), kPackBytes);
}

TEST(PackStore, EveryFlippedBitIsFound) {
  PackWorld world;
  const SealedPack pack = write_pack(world, 2);
  const uint64_t segments_end =
      pack.recovered.index.segments[1].offset + pack.recovered.index.segments[1].length;
  const uint64_t index_length = pack_index_bytes(2, 6) + kTagBytes;
  const uint64_t index_begin = pack.recovered.info.length - kPackTrailerBytes - index_length;
  for (uint64_t byte = 0; byte < pack.recovered.info.length; byte++) {
    world.reopen();
    world.packs->add(pack.recovered.info);
    ASSERT_TRUE(world.storage.flip_bit(pack.path(), byte * 8 + byte % 8));
    const bool whole = world.packs->read_index(pack.id()).ok() &&
                       world.reads(pack.id(), 0, *pack.segments[0]) &&
                       world.reads(pack.id(), 1, *pack.segments[1]);
    const bool is_filler =
        byte >= segments_end && byte < index_begin;  // its check is the file's name
    EXPECT_EQ(whole, is_filler) << byte;
    world.storage.repair_all();
  }
}

TEST(PackStore, DamageIsPreciseAndReportedOnceAndHeals) {
  PackWorld world;
  const SealedPack pack = write_pack(world, 2);
  world.reopen();
  world.packs->add(pack.recovered.info);
  ASSERT_TRUE(
      world.storage.flip_bit(pack.path(), 8 * (pack.recovered.index.segments[1].offset + 60)));
  EXPECT_TRUE(world.reads(pack.id(), 0, *pack.segments[0]));
  const uint64_t before = world.metric("varve_damaged_segments_total");
  for (int i = 0; i < 3; i++) {
    auto damaged = world.packs->read_segment(pack.id(), 1);
    ASSERT_FALSE(damaged.ok());
    EXPECT_EQ(damaged.error().code(), Errc::kCorrupt);
    EXPECT_NE(damaged.error().message().find(pack.id().hex()), std::string::npos);
    EXPECT_NE(damaged.error().message().find(pack.path()), std::string::npos);
  }
  EXPECT_EQ(world.metric("varve_damaged_segments_total"), before + 1);
  world.storage.repair_all();
  EXPECT_TRUE(world.reads(pack.id(), 1, *pack.segments[1]));
}

TEST(PackStore, MissingCutOffAndSwappedPacksAreCorrupt) {
  PackWorld world;
  const SealedPack a = write_pack(world, 1), b = write_pack(world, 1);
  world.reopen();
  world.packs->add(a.recovered.info);
  world.packs->add(b.recovered.info);
  const Bytes bytes = file_bytes(world, a.path());
  ASSERT_TRUE(write_whole(world.storage, a.path(), file_bytes(world, b.path())).ok());
  EXPECT_EQ(world.packs->read_segment(a.id(), 0).error().code(), Errc::kCorrupt);
  for (size_t length : {size_t{0}, size_t{127}, size_t{128}, bytes.size() - 1, bytes.size() + 1}) {
    Bytes changed = bytes;
    changed.resize(length);
    ASSERT_TRUE(write_whole(world.storage, a.path(), changed).ok());
    EXPECT_EQ(world.packs->read_segment(a.id(), 0).error().code(), Errc::kCorrupt) << length;
  }
  ASSERT_TRUE(world.storage.unlink(a.path()).ok());
  EXPECT_EQ(world.packs->read_segment(a.id(), 0).error().code(), Errc::kCorrupt);
  ASSERT_TRUE(write_whole(world.storage, a.path(), bytes).ok());
  EXPECT_TRUE(world.reads(a.id(), 0, *a.segments[0]));
  EXPECT_TRUE(world.reads(b.id(), 0, *b.segments[0]));
}

TEST(PackStore, AListIsWrongAboutAPackOfAnotherStore) {
  PackWorld world;
  const SealedPack pack = write_pack(world, 1);
  std::vector<Keyring::Epoch> epochs(1);
  epochs[0].id = id_of<EpochId>(9);
  epochs[0].key = Secret::copy_of(Bytes(kKeyBytes, 4));
  const Keyring other(id_of<StoreId>(1), Secret::copy_of(Bytes(kKeyBytes, 2)), std::move(epochs));
  PackStore packs(world.storage, other, world.random, id_of<WriterId>(5), world.metrics);
  packs.add(pack.recovered.info);
  EXPECT_EQ(packs.read_segment(pack.id(), 0).error().code(), Errc::kCorrupt);
}

TEST(PackWriter, NoSpaceIsTriedAgainWithTheSameBytes) {
  PackWorld world;
  world.storage.set_capacity(4 * kMiB + 5000);  // the least that a pack reserves, and a little
  auto writer = world.packs->create(PackClass::kData).value();
  auto first = make_segment(world.random, world.hasher, {4 * kMiB - 2000});
  auto second = make_segment(world.random, world.hasher, {100000});
  auto third = make_segment(world.random, world.hasher, {100000});
  ASSERT_TRUE(writer->append(first->prepared).ok());
  EXPECT_EQ(writer->append(second->prepared).error().code(), Errc::kNoSpace);
  EXPECT_EQ(writer->append(second->prepared).error().code(), Errc::kNoSpace);
  EXPECT_EQ(world.packs->read_segment(writer->pack(), 1).error().code(), Errc::kNotFound);
  const Bytes torn = file_bytes(world, open_pack_path(writer->pack()));
  world.storage.set_capacity(std::nullopt);
  // Another segment under the ordinal that is sealed already would repeat a nonce.
  EXPECT_EQ(writer->append(third->prepared).error().code(), Errc::kInvalid);
  EXPECT_EQ(writer->finish(false).error().code(), Errc::kInvalid);
  EXPECT_EQ(writer->append(second->prepared).value(), 1u);
  EXPECT_EQ(writer->append(third->prepared).value(), 2u);
  const Bytes after = file_bytes(world, open_pack_path(writer->pack()));
  EXPECT_TRUE(std::equal(torn.begin(), torn.end(), after.begin()));
  auto sealed = writer->finish(false);
  ASSERT_TRUE(sealed.ok());
  EXPECT_EQ(sha256(file_bytes(world, pack_path(PackClass::kData, sealed->info.hash))),
            sealed->info.hash);
  EXPECT_TRUE(world.reads(writer->pack(), 1, *second));
}

TEST(PackWriter, ASyncBesideAWriteWithoutSpaceIsNotFinal) {
  PackWorld world;
  world.storage.set_capacity(4 * kMiB + 5000);
  auto writer = world.packs->create(PackClass::kData).value();
  auto first = make_segment(world.random, world.hasher, {4 * kMiB - 2000});
  auto second = make_segment(world.random, world.hasher, {100000});
  ASSERT_TRUE(writer->append(first->prepared).ok());
  ASSERT_EQ(writer->append(second->prepared).error().code(), Errc::kNoSpace);
  EXPECT_EQ(writer->sync().error().code(), Errc::kNoSpace) << "the write broke the descriptor";
  world.storage.set_capacity(std::nullopt);
  ASSERT_TRUE(writer->append(second->prepared).ok());
  EXPECT_TRUE(writer->sync().ok());
  ASSERT_TRUE(writer->finish(false).ok());
  EXPECT_TRUE(world.reads(writer->pack(), 1, *second));
}

TEST(PackWriter, FinishWithoutSpaceIsTriedAgain) {
  PackWorld world;
  world.storage.set_capacity(4 * kMiB);
  auto writer = world.packs->create(PackClass::kData).value();
  auto segment = make_segment(world.random, world.hasher, {4 * kMiB - 300});
  ASSERT_TRUE(writer->append(segment->prepared).ok());
  EXPECT_EQ(writer->finish(false).error().code(), Errc::kNoSpace);
  EXPECT_TRUE(world.reads(writer->pack(), 0, *segment));
  world.storage.set_capacity(std::nullopt);
  auto sealed = writer->finish(false);
  ASSERT_TRUE(sealed.ok());
  EXPECT_EQ(sha256(file_bytes(world, pack_path(PackClass::kData, sealed->info.hash))),
            sealed->info.hash);
}

TEST(PackWriter, NoPackBeginsWithoutSpace) {
  PackWorld world;
  world.storage.set_capacity(kMiB);
  EXPECT_EQ(world.packs->create(PackClass::kData).error().code(), Errc::kNoSpace);
  EXPECT_TRUE(world.packs->list_open().value().empty());
}

TEST(PackWriter, OtherFailuresAreFinal) {
  PackWorld world;
  auto writer = world.packs->create(PackClass::kData).value();
  auto segment = make_segment(world.random, world.hasher, {1000});
  ASSERT_TRUE(writer->append(segment->prepared).ok());
  world.storage.fail_sync(1);
  EXPECT_EQ(writer->sync().error().code(), Errc::kIo);
  EXPECT_EQ(writer->sync().error().code(), Errc::kIo);
  EXPECT_EQ(writer->append(segment->prepared).error().code(), Errc::kIo);
  EXPECT_EQ(writer->finish(false).error().code(), Errc::kIo);
}

TEST(PackWriter, FullPackLeavesRoomForItsEnd) {
  PackWorld world;
  auto writer = world.packs->create(PackClass::kCatalog).value();
  std::vector<uint32_t> lengths(40000, 100);
  uint32_t count = 0;
  std::unique_ptr<TestSegment> last;
  while (true) {
    auto segment = make_segment(world.random, world.hasher, lengths);
    if (!writer->fits(segment->prepared.payload.size(), lengths.size())) break;
    ASSERT_EQ(writer->append(segment->prepared).value(), count++);
    last = std::move(segment);
  }
  auto sealed = writer->finish(true);
  ASSERT_TRUE(sealed.ok());
  EXPECT_EQ(sealed->info.length, kPackBytes);
  EXPECT_EQ(sealed->info.pack_class, PackClass::kCatalog);
  world.reopen();
  world.packs->add(sealed->info);
  EXPECT_TRUE(world.reads(sealed->info.pack, count - 1, *last));
}

}  // namespace
}  // namespace varve
