// Goal: the index tells what was added and nothing that was removed, in memory and in runs, over
// reopening, merging and power cuts; what it loses it says it has lost.
#include "dedup/chunk_index.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

#include "tests/dedup/chunk_index_world.h"

namespace varve {
namespace {

TEST_F(ChunkIndexTest, OpenPacksStayInMemoryAndSealedOnesGoToRuns) {
  open();
  auto ids = many_ids(random_, 20);
  PackIndex pack = pack_of(ids);
  index_->add(pack_id(1), 0, {pack.chunks.begin(), pack.chunks.begin() + 8});
  ASSERT_TRUE(index_->settle().ok());
  EXPECT_EQ(index_->figures().chunks_in_memory, 8u);
  EXPECT_TRUE(on_disk().empty());
  EXPECT_EQ(find(ids[7]), (ChunkPlace{pack_id(1), 0}));
  EXPECT_EQ(find(ids[8]), std::nullopt);
  index_->add_pack(pack_id(1), pack);
  EXPECT_EQ(index_->figures().chunks_in_memory, 20u) << "no chunk twice";
  ASSERT_TRUE(index_->settle().ok());
  EXPECT_EQ(index_->figures().chunks_in_memory, 0u);
  EXPECT_EQ(index_->figures().chunks_in_runs, 20u);
  open();
  EXPECT_EQ(on_disk(), std::set<PackId>{pack_id(1)});
  for (size_t i = 0; i < ids.size(); i++) {
    EXPECT_EQ(find(ids[i]), (ChunkPlace{pack_id(1), static_cast<uint32_t>(i / 8)}));
  }
}

TEST_F(ChunkIndexTest, WhatWasNotSettledIsNotOnDisk) {
  open();
  auto ids = many_ids(random_, 3);
  index_->add_pack(pack_id(1), pack_of(ids));
  open();
  EXPECT_TRUE(on_disk().empty());
  EXPECT_EQ(find(ids[0]), std::nullopt);
}

TEST_F(ChunkIndexTest, NewestWinsAndTheOlderIsKept) {
  open();
  auto ids = many_ids(random_, 1);
  for (bool settled : {false, true}) {
    for (uint32_t pack : {1, 2, 3}) {
      index_->add_pack(pack_id(pack), pack_of(ids));
      EXPECT_EQ(find(ids[0])->pack, pack_id(pack));
      if (settled) {
        ASSERT_TRUE(index_->settle().ok());
      }
    }
    ASSERT_TRUE(index_->settle().ok());
    EXPECT_EQ(find(ids[0])->pack, pack_id(3));
    index_->remove_pack(pack_id(3));
    EXPECT_EQ(find(ids[0])->pack, pack_id(2));
    index_->remove_pack(pack_id(1));
    EXPECT_EQ(find(ids[0])->pack, pack_id(2));
    index_->remove_pack(pack_id(2));
    EXPECT_EQ(find(ids[0]), std::nullopt);
  }
}

TEST_F(ChunkIndexTest, RemovedPacksStayRemovedAndMayComeBack) {
  open();
  auto ids = many_ids(random_, 10), others = many_ids(random_, 10);
  index_->add_pack(pack_id(1), pack_of(ids));
  index_->add_pack(pack_id(2), pack_of(others));
  ASSERT_TRUE(index_->settle().ok());
  index_->remove_pack(pack_id(1));
  index_->remove_pack(pack_id(9));
  EXPECT_EQ(on_disk(), std::set<PackId>{pack_id(2)});
  ASSERT_TRUE(index_->settle().ok());
  open();
  EXPECT_EQ(on_disk(), std::set<PackId>{pack_id(2)});
  EXPECT_EQ(find(ids[0]), std::nullopt);
  EXPECT_EQ(find(others[0])->pack, pack_id(2));
  index_->add_pack(pack_id(1), pack_of(ids));
  ASSERT_TRUE(index_->settle().ok());
  open();
  EXPECT_EQ(on_disk(), (std::set<PackId>{pack_id(1), pack_id(2)}));
  EXPECT_EQ(find(ids[0])->pack, pack_id(1));
  index_->remove_pack(pack_id(1));
  index_->remove_pack(pack_id(2));
  ASSERT_TRUE(index_->settle().ok());
  EXPECT_TRUE(runs().empty()) << "runs without packs go";
}

TEST_F(ChunkIndexTest, PackWithoutChunksIsOnDiskToo) {
  open();
  index_->add_pack(pack_id(1), PackIndex());
  ASSERT_TRUE(index_->settle().ok());
  open();
  EXPECT_EQ(on_disk(), std::set<PackId>{pack_id(1)});
}

TEST_F(ChunkIndexTest, OneChunkInMorePacksThanAPageHas) {
  open();
  auto ids = many_ids(random_, 400);
  for (uint32_t pack = 1; pack <= 500; pack++) index_->add_pack(pack_id(pack), pack_of({ids[200]}));
  index_->add_pack(pack_id(501), pack_of(ids));
  ASSERT_TRUE(index_->settle().ok());
  for (uint32_t pack = 501; pack > 3; pack--) {
    ASSERT_EQ(find(ids[200])->pack, pack_id(pack));
    index_->remove_pack(pack_id(pack));
  }
  EXPECT_EQ(find(ids[200])->pack, pack_id(3));
}

TEST_F(ChunkIndexTest, RunsAreMergedInTiers) {
  open();
  std::map<PackId, std::vector<ChunkId>> packs;
  for (uint32_t pack = 1; pack <= 100; pack++) {
    packs[pack_id(pack)] = many_ids(random_, 1000);
    index_->add_pack(pack_id(pack), pack_of(packs[pack_id(pack)]));
    ASSERT_TRUE(index_->settle().ok());
    EXPECT_LT(runs().size(), 4u * 4u);
  }
  EXPECT_EQ(index_->figures().chunks_in_runs, 100000u);
  open();
  EXPECT_EQ(on_disk().size(), 100u);
  for (auto& [pack, ids] : packs) {
    for (const ChunkId& id : ids) ASSERT_EQ(find(id)->pack, pack);
  }
}

TEST_F(ChunkIndexTest, ManyPacksGoToOneRunAtOnce) {
  open();
  auto ids = many_ids(random_, 900);
  std::vector<ChunkIndex::SealedPack> packs;
  for (uint32_t pack = 0; pack < 30; pack++) {
    const auto first = ids.begin() + 30 * pack;
    packs.push_back({pack_id(pack + 1), pack_of({first, first + 30})});
  }
  index_->add_pack(pack_id(7), packs[6].index);
  ASSERT_TRUE(index_->settle().ok());
  ASSERT_TRUE(index_->add_packs(packs).ok());
  EXPECT_EQ(index_->figures().chunks_in_memory, 0u);
  EXPECT_EQ(index_->figures().chunks_in_runs, 900u) << "no pack twice";
  EXPECT_EQ(runs().size(), 2u);
  ASSERT_TRUE(index_->add_packs(packs).ok());
  EXPECT_EQ(runs().size(), 2u);
  packs.assign(2, {pack_id(31), pack_of({ids[0]})});
  ASSERT_TRUE(index_->add_packs(packs).ok());
  EXPECT_EQ(index_->figures().chunks_in_runs, 901u) << "nor given twice";
  index_->remove_pack(pack_id(31));
  ASSERT_TRUE(index_->settle().ok());
  open();
  EXPECT_EQ(on_disk().size(), 30u);
  for (size_t i = 0; i < ids.size(); i++) {
    const auto pack = static_cast<uint32_t>(i / 30 + 1),
               segment = static_cast<uint32_t>(i % 30 / 8);
    ASSERT_EQ(find(ids[i]), (ChunkPlace{pack_id(pack), segment}));
  }
}

TEST_F(ChunkIndexTest, ManyRunsAreMergedWithTheNewestPlaceFirst) {
  open();
  const auto ids = many_ids(random_, 200);
  std::map<ChunkId, std::vector<uint32_t>> places;  // newest last
  for (uint32_t pack = 1; pack <= 40; pack++) {
    std::set<ChunkId> chosen;
    while (chosen.size() < 20) chosen.insert(ids[random_() % ids.size()]);
    for (const ChunkId& id : chosen) places[id].push_back(pack);
    ASSERT_TRUE(index_->add_packs({{pack_id(pack), pack_of({chosen.begin(), chosen.end()})}}).ok());
  }
  ASSERT_EQ(runs().size(), 40u);
  ASSERT_TRUE(index_->settle().ok());
  ASSERT_EQ(runs().size(), 1u);
  EXPECT_EQ(index_->figures().chunks_in_runs, 800u);
  for (uint32_t newest = 40; newest > 0; newest--) {
    for (auto& [id, packs] : places) {
      if (packs.empty()) {
        ASSERT_EQ(find(id), std::nullopt);
        continue;
      }
      ASSERT_EQ(find(id)->pack, pack_id(packs.back()));
      if (packs.back() == newest) packs.pop_back();
    }
    index_->remove_pack(pack_id(newest));
  }
}

TEST_F(ChunkIndexTest, ManyPacksOnAFullDiskMayBeAddedToMemory) {
  open();
  auto ids = many_ids(random_, 1000);
  const std::vector<ChunkIndex::SealedPack> packs{{pack_id(1), pack_of(ids)}};
  storage_.set_capacity(10000);
  EXPECT_EQ(index_->add_packs(packs).error().code(), Errc::kNoSpace);
  EXPECT_EQ(find(ids[0]), std::nullopt);
  index_->add_pack(pack_id(1), packs[0].index);
  EXPECT_EQ(find(ids[0])->pack, pack_id(1));
}

TEST_F(ChunkIndexTest, APackInTwoRunsAfterACrashIsMergedToOne) {
  // Removed and added again, and the power went before the removal was stored: both runs name it.
  open();
  auto ids = many_ids(random_, 50);
  index_->add_pack(pack_id(1), pack_of(ids));
  ASSERT_TRUE(index_->settle().ok());
  index_->remove_pack(pack_id(1));
  ASSERT_TRUE(index_->add_packs({{pack_id(1), pack_of(ids)}}).ok());
  open();
  EXPECT_EQ(runs().size(), 2u);
  for (uint32_t pack = 2; pack <= 3; pack++) {
    index_->add_pack(pack_id(pack), pack_of(many_ids(random_, 50)));
    ASSERT_TRUE(index_->settle().ok());
  }
  EXPECT_EQ(runs().size(), 1u);
  EXPECT_EQ(index_->packs_on_disk().size(), 3u) << "none twice";
  for (const ChunkId& id : ids) ASSERT_EQ(find(id)->pack, pack_id(1));
}

TEST_F(ChunkIndexTest, KeysFarFromUniformAreFoundToo) {
  // Ids are keyed hashes; but nothing may break where they are not.
  open();
  std::vector<ChunkId> ids(3000);
  for (size_t i = 0; i < ids.size(); i++) {
    ids[i].bytes[0] = i % 3 == 0 ? 0 : 255;
    ids[i].bytes[7] = static_cast<uint8_t>(i);
    ids[i].bytes[15] = static_cast<uint8_t>(i >> 8);
  }
  ASSERT_TRUE(index_->add_packs({{pack_id(1), pack_of(ids)}}).ok());
  open();
  for (size_t i = 0; i < ids.size(); i++) {
    ASSERT_EQ(find(ids[i]), (ChunkPlace{pack_id(1), static_cast<uint32_t>(i / 8)}));
  }
  EXPECT_EQ(find(chunk_id(random_)), std::nullopt);
}

/// Packs come and go at random; the model knows where each chunk may be.
class Model {
 public:
  explicit Model(uint64_t seed) : random(seed) {
    for (int i = 0; i < 500; i++) pool.push_back(chunk_id(random));
  }
  void add_random_pack(ChunkIndex& index) {
    std::set<ChunkId> chosen;
    for (uint64_t i = random() % 60; i > 0; i--) chosen.insert(pool[random() % pool.size()]);
    PackId pack = pack_id(next_pack++);
    packs[pack] = chosen;
    index.add_pack(pack, pack_of({chosen.begin(), chosen.end()}));
  }
  void add_random_packs(ChunkIndex& index) {
    std::vector<ChunkIndex::SealedPack> sealed;
    for (uint64_t i = 1 + random() % 4; i > 0; i--) {
      std::set<ChunkId> chosen;
      for (uint64_t j = random() % 60; j > 0; j--) chosen.insert(pool[random() % pool.size()]);
      const PackId pack = pack_id(next_pack++);
      packs[pack] = chosen;
      sealed.push_back({pack, pack_of({chosen.begin(), chosen.end()})});
    }
    // A caller whose disk failed gives them to memory.
    if (index.add_packs(sealed).ok()) return;
    for (const ChunkIndex::SealedPack& one : sealed) index.add_pack(one.pack, one.index);
  }
  void remove_random_pack(ChunkIndex& index) {
    if (packs.empty()) return;
    auto at = packs.begin();
    std::advance(at, static_cast<ptrdiff_t>(random() % packs.size()));
    index.remove_pack(at->first);
    packs.erase(at);
  }
  /// What a caller does who knows which packs there are.
  void bring_up_to_date(ChunkIndex& index) {
    std::set<PackId> there;
    for (const PackId& pack : index.packs_on_disk()) {
      if (packs.contains(pack)) {
        there.insert(pack);
      } else {
        index.remove_pack(pack);
      }
    }
    for (auto& [pack, ids] : packs) {
      if (!there.contains(pack)) index.add_pack(pack, pack_of({ids.begin(), ids.end()}));
    }
  }
  void check(ChunkIndex& index) {
    for (const ChunkId& id : pool) {
      std::optional<ChunkPlace> place = index.find(id).value();
      bool known =
          std::any_of(packs.begin(), packs.end(), [&](auto& p) { return p.second.contains(id); });
      ASSERT_EQ(place.has_value(), known);
      if (place) {
        ASSERT_TRUE(packs.at(place->pack).contains(id));
      }
    }
  }

  std::mt19937_64 random;
  std::vector<ChunkId> pool;
  std::map<PackId, std::set<ChunkId>> packs;
  uint32_t next_pack = 1;
};

TEST_F(ChunkIndexTest, EqualsAModel) {
  Model model(test_seed());
  open();
  for (int step = 0; step < 600; step++) {
    switch (model.random() % 8) {
      case 0:
        model.remove_random_pack(*index_);
        break;
      case 1:
      case 2:
        ASSERT_TRUE(index_->settle().ok());
        break;
      case 3:
        if (model.random() % 4 != 0) break;
        open();
        model.bring_up_to_date(*index_);
        break;
      case 4:
        model.add_random_packs(*index_);
        break;
      default:
        model.add_random_pack(*index_);
        break;
    }
    if (step % 10 == 0) {
      ASSERT_NO_FATAL_FAILURE(model.check(*index_));
    }
  }
}

TEST(ChunkIndexPowerCut, AtAnyMomentLeavesAnIndexThatIsRight) {
  uint64_t seed = test_seed();
  for (uint64_t round = 0; round < 120; round++) {
    SimulatedPower power;
    SimulatedStorage storage(&power);
    Model model(seed + round);
    auto index = open_chunk_index(storage, kDirectory).value();
    power.stop_after(round);
    for (int step = 0; step < 40; step++) {
      model.add_random_pack(*index);
      if (step % 5 == 4) model.remove_random_pack(*index);
      if (step % 7 == 6) model.add_random_packs(*index);
      if (!index->settle().ok()) break;
    }
    index.reset();
    power.restore();
    storage.power_cut(seed + round);
    index = open_chunk_index(storage, kDirectory).value();
    model.bring_up_to_date(*index);
    ASSERT_NO_FATAL_FAILURE(model.check(*index)) << round;
    ASSERT_TRUE(index->settle().ok());
    ASSERT_NO_FATAL_FAILURE(model.check(*index)) << round;
  }
}

TEST_F(ChunkIndexTest, FindGoesOnWhileRunsAreWrittenAndMerged) {
  open();
  std::vector<std::vector<ChunkId>> packs;
  for (int i = 0; i < 40; i++) packs.push_back(many_ids(random_, 300));
  std::atomic<size_t> added{0};
  std::atomic<bool> missed{false};
  std::thread finder([&] {
    for (size_t round = 0; added < packs.size(); round++) {
      size_t count = added;
      if (count == 0) continue;
      const auto& ids = packs[round % count];
      auto found = index_->find(ids[round % ids.size()]);
      if (!found.ok() || !*found) missed = true;
    }
  });
  for (size_t i = 0; i < packs.size(); i++) {
    index_->add_pack(pack_id(static_cast<uint32_t>(i + 1)), pack_of(packs[i]));
    added = i + 1;
    EXPECT_TRUE(index_->settle().ok());
  }
  finder.join();
  EXPECT_FALSE(missed);
}

TEST(MemoryChunkIndex, HoldsAMillionChunks) {
  auto index = make_memory_chunk_index();
  std::mt19937_64 random(3);
  std::vector<ChunkId> sample;
  for (uint32_t pack = 1; pack <= 500; pack++) {
    std::vector<ChunkId> ids(2000);
    for (ChunkId& id : ids) {
      for (size_t i = 0; i < 16; i += 8) {
        uint64_t word = random();
        std::memcpy(id.bytes.data() + i, &word, 8);
      }
    }
    index->add_pack(pack_id(pack), pack_of(ids));
    sample.push_back(ids[pack]);
  }
  EXPECT_EQ(index->figures().chunks_in_memory, 1000000u);
  EXPECT_LT(index->figures().resident_bytes, 70u << 20);
  for (uint32_t i = 0; i < sample.size(); i++)
    ASSERT_EQ(index->find(sample[i]).value()->pack, pack_id(i + 1));
  EXPECT_TRUE(index->packs_on_disk().empty());
  ASSERT_TRUE(index->settle().ok());
}

}  // namespace
}  // namespace varve
