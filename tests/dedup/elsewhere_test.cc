// Goal: what is missing or damaged here is read from another place, authenticated as what is here
// is, and put back in its place whole or not at all, whatever the disk does; a place that does not
// answer is an error and nothing is forgotten for it.

#include "dedup/elsewhere.h"

#include "dedup/pack_mender.h"
#include "dedup/quarantine.h"
#include "tests/dedup/ingest_world.h"

namespace varve {
namespace {

/// Places on simulated disks.
class FakePlaces final : public Elsewhere {
 public:
  Result<void> ask(const PackInfo&, const Read& read) override {
    asked++;
    if (!answers) return Error(Errc::kIo, "does not answer");
    Result<void> last = Error(Errc::kNotFound, "no place has it");
    for (const auto& disk : disks) {
      last = read({"place", disk});
      if (last.ok() || last.error().code() == Errc::kNoSpace) return last;
    }
    return last;
  }
  bool has_places() override { return !disks.empty(); }
  void stop() override { answers = false; }
  void rest() override {}

  std::vector<std::shared_ptr<SimulatedStorage>> disks;
  bool answers = true;
  int asked = 0;
};

/// One sealed pack with one chunk, here and at one other place.
struct ElsewhereWorld : ::testing::Test {
  IngestWorld site;
  FakePlaces places;
  std::unique_ptr<PackMender> mender;
  std::shared_ptr<SimulatedStorage> far = std::make_shared<SimulatedStorage>();
  Bytes content;
  ChunkId id;
  PackInfo info;
  std::string path;
  Bytes file;

  ElsewhereWorld() {
    places.disks.push_back(far);
    auto stream = site.open_stream();
    content = random_bytes(site.random, 100'000);
    id = site.ingest->put(*stream, content)->id;
    info = site.ingest->seal_open(PackClass::kData)->front().info;
    path = pack_path(info.pack_class, info.hash);
    file = *read_whole(site.storage, path, kPackBytes);
    stream.reset();  // before its Ingest
    put_far(file);
    look(site.storage);
  }
  /// From now on the packs of that disk, opened anew.
  void look(Storage& storage) {
    site.ingest.reset();
    site.fetch.reset();
    site.packs = std::make_unique<PackStore>(storage, site.keyring, site.random, id_of<WriterId>(5),
                                             site.metrics);
    mender = std::make_unique<PackMender>(storage, places, *site.executor, site.metrics,
                                          [this](const PackInfo& p) { site.packs->mended(p); });
    site.packs->look_elsewhere(&places, [this](const PackInfo& p) { mender->want(p); });
    site.packs->add(info);
    site.ingest = std::make_unique<Ingest>(*site.packs, *site.index, site.hasher, *site.executor,
                                           site.metrics, Ingest::Options{});
    site.fetch = std::make_unique<Fetch>(*site.packs, *site.index, site.ingest.get(), nullptr,
                                         site.metrics, 0);
  }
  void put_far(const Bytes& bytes) {
    EXPECT_TRUE(far->make_directories(path.substr(0, path.rfind('/'))).ok());
    EXPECT_TRUE(write_whole(*far, path, bytes).ok());
  }
  void damage(Storage& storage, uint64_t at) {
    auto target = storage.open_write(path).value();
    Bytes byte(1);
    ASSERT_EQ(target->read_at(at, byte).value(), 1u);
    byte[0] ^= 0x10;
    ASSERT_TRUE(target->write_at(at, byte).ok());
    ASSERT_TRUE(target->sync().ok());
  }
  void lose() { ASSERT_TRUE(site.storage.unlink(path).ok()); }
  bool is_whole_here() {
    const Result<Bytes> here = read_whole(site.storage, path, kPackBytes);
    return here.ok() && *here == file;
  }
  bool stores_again() {
    auto stream = site.open_stream();
    return site.ingest->put(*stream, content)->is_new;
  }
};

TEST_F(ElsewhereWorld, AMissingPackIsReadThereAndMended) {
  lose();
  EXPECT_TRUE(site.fetches(id, content));
  EXPECT_TRUE(is_whole_here());
  EXPECT_EQ(site.metric("varve_remote_packs_total"), 1u);
  EXPECT_EQ(site.metric("varve_mended_packs_total"), 1u);
  const int asked = places.asked;
  EXPECT_TRUE(site.fetches(id, content));
  EXPECT_EQ(places.asked, asked) << "what is here again is read here";
  EXPECT_FALSE(stores_again());
}

TEST_F(ElsewhereWorld, ADamagedPackGoesToQuarantineAndAWholeOneTakesItsPlace) {
  for (const uint64_t at : {uint64_t{3}, uint64_t{200}, uint64_t{50'000}, file.size() - 1}) {
    look(site.storage);
    damage(site.storage, at);
    EXPECT_TRUE(site.fetches(id, content)) << at;
    // Where the index alone is damaged the segment is read here all the same.
    if (at != file.size() - 1) {
      EXPECT_TRUE(is_whole_here()) << at;
    }
  }
  EXPECT_TRUE(
      site.storage.exists(std::string(kQuarantineFolder) + "/packs/" + info.hash.hex()).value());
}

TEST_F(ElsewhereWorld, WhatIsDamagedThereTooIsNeverGivenOut) {
  damage(*far, 50'000);
  damage(site.storage, 60'000);
  EXPECT_EQ(site.fetch->chunk(id).error().code(), Errc::kCorrupt);
  lose();
  EXPECT_EQ(site.fetch->chunk(id).error().code(), Errc::kCorrupt);
  EXPECT_FALSE(site.storage.exists(path).value());
  EXPECT_EQ(site.metric("varve_mended_packs_total"), 0u);
}

TEST_F(ElsewhereWorld, AWholeSegmentIsTakenFromAPlaceWhosePackIsDamaged) {
  lose();
  damage(*far, file.size() - 500);  // filler, index or trailer
  EXPECT_TRUE(site.fetches(id, content));
  EXPECT_FALSE(site.storage.exists(path).value()) << "it does not hash to its name";
}

TEST_F(ElsewhereWorld, APlaceThatDoesNotAnswerIsAnErrorAndNothingIsForgotten) {
  lose();
  places.answers = false;
  EXPECT_EQ(site.fetch->chunk(id).error().code(), Errc::kIo);
  EXPECT_EQ(site.fetch->chunk(id).error().code(), Errc::kIo);
  EXPECT_TRUE(stores_again()) << "nothing new depends on what is not here";
  ASSERT_TRUE(site.ingest->flush().ok());
  places.answers = true;
  EXPECT_TRUE(site.fetches(id, content));
  mender->try_again();
  EXPECT_TRUE(is_whole_here());
}

TEST_F(ElsewhereWorld, WhatIsNowhereIsStoredAgain) {
  lose();
  ASSERT_TRUE(far->unlink(path).ok());
  EXPECT_EQ(site.fetch->chunk(id).error().code(), Errc::kCorrupt);
  EXPECT_TRUE(stores_again());
}

TEST_F(ElsewhereWorld, OnAFullDiskItIsReadAllTheSame) {
  lose();
  site.storage.set_capacity(file.size() + 1000);
  EXPECT_TRUE(site.fetches(id, content));
  EXPECT_FALSE(site.storage.exists(path).value());
  site.storage.set_capacity(std::nullopt);
  mender->try_again();
  EXPECT_TRUE(is_whole_here());
}

TEST_F(ElsewhereWorld, WhoMustNotWaitDoesNotAsk) {
  lose();
  site.storage.set_capacity(file.size() + 1000);  // so that it is not mended at once
  const Result<ChunkBytes> read = site.fetch->chunk(id, {.reach = Reach::kHere});
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code(), Errc::kIo);
  EXPECT_EQ(places.asked, 0);
  EXPECT_TRUE(site.fetches(id, content));
}

TEST_F(ElsewhereWorld, WhatARemoteHoldsMayBeEvictedAndStaysAway) {
  EXPECT_EQ(site.packs->evict(info).error().code(), Errc::kInvalid) << "nobody holds it";
  EXPECT_TRUE(is_whole_here());
  site.packs->hold({info});
  ASSERT_TRUE(site.packs->evict(info).ok());
  EXPECT_FALSE(site.storage.exists(path).value());
  EXPECT_TRUE(site.fetches(id, content));
  EXPECT_FALSE(site.storage.exists(path).value()) << "it is not put back";
  EXPECT_EQ(site.packs->evicted_packs(), std::vector<PackInfo>{info});
  EXPECT_FALSE(stores_again()) << "new data refers to it";
  EXPECT_EQ(site.metric("varve_remote_packs_total"), 0u);
  places.answers = false;
  EXPECT_EQ(site.fetch->chunk(id).error().code(), Errc::kIo);
  places.answers = true;
  EXPECT_TRUE(site.fetches(id, content));
  ASSERT_TRUE(write_whole(site.storage, path, file).ok());
  EXPECT_EQ(site.packs->take_returned(), std::vector<PackInfo>{info});
  EXPECT_TRUE(site.packs->evicted_packs().empty());
}

TEST_F(ElsewhereWorld, AHeldPackThatIsDamagedIsMended) {
  site.packs->hold({info});
  damage(site.storage, 50'000);
  EXPECT_TRUE(site.fetches(id, content));
  EXPECT_TRUE(is_whole_here());
}

TEST_F(ElsewhereWorld, ThePowerMayGoAtAnyMomentOfMending) {
  lose();
  for (uint64_t effects = 0;; effects++) {
    SimulatedPower power;
    const std::unique_ptr<SimulatedStorage> disk = site.storage.copy_of(&power);
    look(*disk);
    power.stop_after(effects);
    (void)site.fetch->chunk(id).ok();
    const bool was_cut = power.is_off();
    power.restore();
    disk->power_cut(effects);
    const Result<Bytes> here = read_whole(*disk, path, kPackBytes);
    if (here.ok()) {
      EXPECT_EQ(*here, file) << "after " << effects << " effects";
    }
    look(*disk);
    EXPECT_TRUE(site.fetches(id, content)) << "after " << effects << " effects";
    EXPECT_EQ(*read_whole(*disk, path, kPackBytes), file);
    look(site.storage);
    if (!was_cut) break;
  }
}

}  // namespace
}  // namespace varve
