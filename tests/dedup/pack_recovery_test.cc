// Goal: whatever a crash leaves of a pack in writing, recovery keeps what was committed, never
// invents, and never hides damage.

#include <fmt/format.h>

#include "dedup/base/checksum.h"
#include "tests/dedup/pack_world.h"

namespace varve {
namespace {

struct OpenPack {
  PackWorld world;
  PackId id;
  std::string path;
  Bytes bytes;
  std::vector<std::unique_ptr<TestSegment>> segments;
  std::vector<uint64_t> ends{kPackHeaderBytes};

  explicit OpenPack(size_t count) {
    auto writer = world.packs->create(PackClass::kData).value();
    id = writer->pack();
    path = open_pack_path(id);
    for (size_t i = 0; i < count; i++) {
      segments.push_back(make_segment(world.random, world.hasher, {20, 3}));
      EXPECT_TRUE(writer->append(segments.back()->prepared).ok());
      ends.push_back(writer->sync().value());
    }
    bytes = read_whole(world.storage, path, kPackBytes).value();
  }

  /// The disk with these bytes as the open pack, after a restart.
  void restart_with(ByteView content) {
    ASSERT_TRUE(write_whole(world.storage, path, content).ok());
    world.reopen();
  }
  size_t whole_segments(uint64_t length) const {
    size_t count = 0;
    while (count + 1 < ends.size() && ends[count + 1] <= length) count++;
    return count;
  }
};

TEST(PackRecovery, EveryCutLengthKeepsTheWholeSegments) {
  OpenPack open(3);
  for (size_t length = 0; length <= open.bytes.size(); length++) {
    open.restart_with(ByteView(open.bytes).first(length));
    auto recovered = open.world.packs->recover(open.id, 0);
    ASSERT_TRUE(recovered.ok()) << length << ": " << recovered.error().message();
    const size_t whole = open.whole_segments(length);
    ASSERT_EQ(recovered->has_value(), whole > 0) << length;
    EXPECT_TRUE(open.world.packs->list_open().value().empty()) << length;
    if (whole == 0) continue;
    const PackStore::Recovered& pack = **recovered;
    ASSERT_EQ(pack.index.segments.size(), whole);
    for (uint32_t i = 0; i < whole; i++)
      EXPECT_TRUE(open.world.reads(open.id, i, *open.segments[i]));
    const std::string path = pack_path(PackClass::kData, pack.info.hash);
    EXPECT_EQ(sha256(read_whole(open.world.storage, path, kPackBytes).value()), pack.info.hash);
    EXPECT_EQ(encode_pack_index(open.world.packs->read_index(open.id).value()),
              encode_pack_index(pack.index));
    ASSERT_TRUE(open.world.storage.unlink(path).ok());
  }
}

TEST(PackRecovery, LessThanCommittedIsDamageOfWhatIsGoneAlone) {
  for (size_t length = 0; length < 3 * 95 + kPackHeaderBytes; length += 7) {
    OpenPack open(3);
    ASSERT_LT(length, open.ends[3]);
    open.restart_with(ByteView(open.bytes).first(length));
    auto recovered = open.world.packs->recover(open.id, open.ends[3]);
    const size_t whole = open.whole_segments(length);
    if (length < open.ends[0] + kSealedSegmentHeaderBytes) {  // not even its keys are sure
      ASSERT_FALSE(recovered.ok()) << length;
      EXPECT_EQ(recovered.error().code(), Errc::kCorrupt);
      EXPECT_NE(recovered.error().message().find(open.path), std::string::npos);
      EXPECT_EQ(read_whole(open.world.storage, open.path, kPackBytes).value().size(), length);
      continue;
    }
    ASSERT_TRUE(recovered.ok()) << length << ": " << recovered.error().message();
    for (uint32_t i = 0; i < whole; i++)
      EXPECT_TRUE(open.world.reads(open.id, i, *open.segments[i])) << length;
    EXPECT_EQ(open.world.packs->read_segment(open.id, static_cast<uint32_t>(whole)).error().code(),
              Errc::kCorrupt)
        << length;
  }
}

/// Which of the segments can be read after the recovery of these bytes; empty if none was done.
std::vector<bool> readable_after(OpenPack& open, const Bytes& bytes) {
  open.restart_with(bytes);
  auto recovered = open.world.packs->recover(open.id, open.bytes.size());
  std::vector<bool> result;
  if (!recovered.ok()) return result;
  const PackInfo info = (*recovered)->info;
  open.world.reopen();
  open.world.packs->add(info);
  EXPECT_TRUE(open.world.packs->read_index(info.pack).ok()) << "its form is that of any pack";
  for (uint32_t i = 0; i < open.segments.size(); i++)
    result.push_back(open.world.reads(open.id, i, *open.segments[i]));
  EXPECT_TRUE(open.world.storage.unlink(pack_path(info.pack_class, info.hash)).ok());
  return result;
}

TEST(PackRecovery, AFlippedBitCostsItsSegmentAlone) {
  OpenPack open(3);
  for (size_t byte = 0; byte < open.bytes.size(); byte++) {
    Bytes changed = open.bytes;
    changed[byte] ^= static_cast<uint8_t>(1u << (byte % 8));
    const std::vector<bool> readable = readable_after(open, changed);
    if (byte < kPackHeaderBytes) {
      EXPECT_TRUE(readable.empty()) << "without its header nothing opens, and all stays";
      EXPECT_EQ(read_whole(open.world.storage, open.path, kPackBytes).value(), changed);
      continue;
    }
    const size_t damaged = open.whole_segments(byte);
    ASSERT_EQ(readable.size(), 3u) << byte;
    for (size_t i = 0; i < 3; i++)
      EXPECT_EQ(readable[i], i != damaged) << byte << ", segment " << i;
  }
}

TEST(PackRecovery, SegmentsBehindALongGapAreFound) {
  for (size_t lost = 1; lost <= 3; lost++) {
    OpenPack open(6);
    Bytes changed = open.bytes;
    const auto from = static_cast<ptrdiff_t>(open.ends[1]);
    std::fill(changed.begin() + from, changed.begin() + static_cast<ptrdiff_t>(open.ends[1 + lost]),
              uint8_t{0});
    const std::vector<bool> readable = readable_after(open, changed);
    ASSERT_EQ(readable.size(), 6u) << lost;
    for (size_t i = 0; i < 6; i++) EXPECT_EQ(readable[i], i < 1 || i > lost) << lost << ": " << i;
  }
}

TEST(PackRecovery, WithoutSpaceItWaitsAndIsRead) {
  OpenPack open(3);
  open.restart_with(open.bytes);
  open.world.storage.set_capacity(open.bytes.size() + 10);
  EXPECT_EQ(open.world.packs->recover(open.id, open.ends[3]).error().code(), Errc::kNoSpace);
  for (uint32_t i = 0; i < 3; i++) EXPECT_TRUE(open.world.reads(open.id, i, *open.segments[i]));
  EXPECT_EQ(open.world.packs->waiting_index(open.id)->segments.size(), 3u);
  const auto nobody = [](PackStore::Recovered) { FAIL(); };
  EXPECT_EQ(open.world.packs->finish_waiting(nobody).error().code(), Errc::kNoSpace);
  open.world.storage.set_capacity(std::nullopt);
  std::vector<PackInfo> sealed;
  ASSERT_TRUE(open.world.packs
                  ->finish_waiting([&](PackStore::Recovered one) { sealed.push_back(one.info); })
                  .ok());
  ASSERT_EQ(sealed.size(), 1u);
  EXPECT_FALSE(open.world.packs->waiting_index(open.id));
  EXPECT_TRUE(open.world.packs->list_open()->empty());
  for (uint32_t i = 0; i < 3; i++) EXPECT_TRUE(open.world.reads(open.id, i, *open.segments[i]));
}

TEST(PackRecovery, WhatFollowsTheCommittedPartMayBeAnything) {
  OpenPack open(2);
  Bytes tails[] = {Bytes(5000, 0), random_bytes(open.world.random, 5000), Bytes(open.bytes)};
  for (const Bytes& tail : tails) {
    Bytes content = open.bytes;
    content.insert(content.end(), tail.begin(), tail.end());
    open.restart_with(content);
    auto recovered = open.world.packs->recover(open.id, open.ends[2]);
    ASSERT_TRUE(recovered.ok());
    EXPECT_EQ((*recovered)->index.segments.size(), 2u);
    ASSERT_TRUE(
        open.world.storage.unlink(pack_path(PackClass::kData, (*recovered)->info.hash)).ok());
  }
}

TEST(PackRecovery, MayItselfBeCutAtEveryEffect) {
  OpenPack open(3);
  for (uint64_t stop = 0;; stop++) {
    SimulatedPower power;
    SimulatedStorage storage(&power);
    for (const char* folder : {"local/open", "packs"})
      ASSERT_TRUE(storage.make_directories(folder).ok());
    for (const char* folder : {"", "local"}) (void)storage.sync_dir(folder).ok();
    ASSERT_TRUE(write_whole(storage, open.path, open.bytes).ok());
    power.stop_after(stop);
    {
      PackStore packs(storage, open.world.keyring, open.world.random, id_of<WriterId>(5),
                      open.world.metrics);
      (void)packs.recover(open.id, open.ends[3]).ok();
    }
    const bool finished = !power.is_off();
    storage.power_cut(stop);
    power.restore();
    PackStore packs(storage, open.world.keyring, open.world.random, id_of<WriterId>(5),
                    open.world.metrics);
    auto again = packs.recover(open.id, open.ends[3]);
    if (!again.ok()) {
      ASSERT_EQ(again.error().code(), Errc::kNotFound) << again.error().message();
      const auto files = packs.list_files().value();
      ASSERT_EQ(files.size(), 1u) << stop;
      packs.add(files[0]);
    }
    for (uint32_t i = 0; i < 3; i++) {
      auto segment = packs.read_segment(open.id, i);
      ASSERT_TRUE(segment.ok()) << stop << ": " << segment.error().message();
      EXPECT_TRUE((*segment)->find(open.segments[i]->prepared.chunks[0].id));
    }
    if (finished) break;
  }
}

struct TwiceCut {
  OpenPack open{3};
  SimulatedPower power;
  std::unique_ptr<SimulatedStorage> storage = std::make_unique<SimulatedStorage>(&power);

  TwiceCut() {
    for (const char* folder : {"local/open", "packs"})
      EXPECT_TRUE(storage->make_directories(folder).ok());
    for (const char* folder : {"", "local"}) (void)storage->sync_dir(folder).ok();
    EXPECT_TRUE(write_whole(*storage, open.path, open.bytes).ok());
  }
  PackStore store(Storage& disk) {
    return {disk, open.world.keyring, open.world.random, id_of<WriterId>(5), open.world.metrics};
  }
  /// True if recovery came to its end before the power went.
  bool recover_until(SimulatedStorage& disk, SimulatedPower& its_power, uint64_t stop,
                     uint64_t seed) {
    its_power.stop_after(stop);
    (void)store(disk).recover(open.id, open.ends[3]).ok();
    const bool finished = !its_power.is_off();
    disk.power_cut(seed);
    its_power.restore();
    return finished;
  }
  void expect_names_are_true(SimulatedStorage& disk) {
    for (const std::string& path : disk.files()) {
      if (!path.starts_with("packs/")) continue;
      EXPECT_EQ(sha256(read_whole(disk, path, kPackBytes).value()).hex(),
                path.substr(path.rfind('/') + 1));
    }
  }
  void expect_recovers(SimulatedStorage& disk) {
    PackStore packs = store(disk);
    auto recovered = packs.recover(open.id, open.ends[3]);
    if (!recovered.ok()) {
      ASSERT_EQ(recovered.error().code(), Errc::kNotFound) << recovered.error().message();
      const auto files = packs.list_files().value();
      ASSERT_FALSE(files.empty());
      packs.add(files[0]);
    }
    EXPECT_FALSE(disk.exists(open.path).value());
    for (uint32_t i = 0; i < 3; i++) EXPECT_TRUE(packs.read_segment(open.id, i).ok());
    expect_names_are_true(disk);
  }
};

// A rename that a cut has torn leaves the pack's file under both names: what the next recovery does
// to the one is done to the other.
TEST(PackRecovery, AFileThatHasItsNameStaysWhatItSays) {
  for (uint64_t seed = 0; seed < 12; seed++) {
    for (uint64_t stop = 0, over = 0; !over; stop++) {
      TwiceCut first;
      over = first.recover_until(*first.storage, first.power, stop, seed * 100 + stop) ? 1 : 0;
      first.expect_names_are_true(*first.storage);
      for (uint64_t next = 0, done = 0; !done && !testing::Test::HasFailure(); next++) {
        SCOPED_TRACE(fmt::format("seed {}, cut {}, then {}", seed, stop, next));
        SimulatedPower power;
        auto twice = first.storage->copy_of(&power);
        done = first.recover_until(*twice, power, next, seed * 10'000 + next) ? 1 : 0;
        first.expect_names_are_true(*twice);
        first.expect_recovers(*twice);
      }
    }
  }
}

TEST(PackRecovery, AnotherPacksFileIsNotTaken) {
  OpenPack open(1);
  const PackId other = id_of<PackId>(7);
  ASSERT_TRUE(write_whole(open.world.storage, open_pack_path(other), open.bytes).ok());
  EXPECT_EQ(open.world.packs->recover(other, 0).error().code(), Errc::kCorrupt);
  EXPECT_EQ(open.world.packs->recover(id_of<PackId>(8), 0).error().code(), Errc::kNotFound);
}

}  // namespace
}  // namespace varve
