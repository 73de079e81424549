// Goal: a damaged, foreign or hostile file of the chunk index is never believed, and a full disk
// loses nothing.
#include <algorithm>

#include "dedup/index_run.h"
#include "tests/dedup/chunk_index_world.h"

namespace varve {
namespace {

using ChunkIndexDamage = ChunkIndexTest;

TEST_F(ChunkIndexDamage, FlippedBitAnywhereIsNeverBelieved) {
  open();
  auto ids = many_ids(random_, 1000);
  index_->add_pack(pack_id(1), pack_of(ids));
  ASSERT_TRUE(index_->settle().ok());
  std::string path = runs().at(0);
  uint64_t bits = *storage_.open_read(path).value()->length() * 8;
  for (uint64_t bit = 3; bit < bits; bit += 1009) {
    Bytes whole = *read_whole(storage_, path, 1 << 20);
    ASSERT_TRUE(storage_.flip_bit(path, bit));
    open();
    bool refused_at_opening = on_disk().empty();
    size_t errors = 0;
    for (const ChunkId& id : ids) {
      Result<std::optional<ChunkPlace>> found = index_->find(id);
      if (!found.ok()) {
        EXPECT_EQ(found.error().code(), Errc::kCorrupt);
        errors++;
      } else if (*found) {
        ASSERT_EQ((*found)->pack, pack_id(1));
      } else {
        ASSERT_TRUE(refused_at_opening || errors > 0)
            << "a chunk is missing and nobody said so, bit " << bit;
      }
    }
    if (errors > 0) {
      EXPECT_EQ(index_->take_lost_packs(), std::vector<PackId>{pack_id(1)});
      EXPECT_TRUE(on_disk().empty());
    }
    if (refused_at_opening || errors > 0) {
      EXPECT_TRUE(runs().empty()) << "a damaged run is removed";
      index_->add_pack(pack_id(1), pack_of(ids));
      EXPECT_EQ(find(ids[5])->pack, pack_id(1));
      ASSERT_TRUE(storage_.exists(path).value() || write_whole(storage_, path, whole).ok());
    }
    storage_.repair_all();
  }
}

TEST_F(ChunkIndexDamage, ARunThatFitsItsHashesButHasNoOrderIsNotMerged) {
  // The hashes have no key: whoever can write here can make such a run. The rows of its last bucket
  // are more than a writer holds back.
  constexpr uint32_t kPackChunks = 20000, kLastBucket = 60000;
  open();
  const auto ids = many_ids(random_, 3 * kPackChunks);
  for (uint32_t pack = 0; pack < 3; pack++) {
    const auto first = ids.begin() + pack * kPackChunks;
    index_->add_pack(pack_id(pack + 1), pack_of({first, first + kPackChunks}));
    ASSERT_TRUE(index_->settle().ok());
  }
  index_.reset();
  auto writer = IndexRunWriter::create(storage_, kDirectory, {4, 4}, {pack_id(4)}, 64).value();
  for (uint64_t i = 0; i < kLastBucket; i++) {
    ASSERT_TRUE(writer->add({{UINT64_MAX, i}, 0, 0}).ok());
  }
  ASSERT_TRUE(writer->finish().ok());
  writer = IndexRunWriter::create(storage_, kDirectory, {5, 5}, {pack_id(5)}, 64).value();
  ASSERT_TRUE(writer->add({{UINT64_MAX, kLastBucket - 1}, 0, 0}).ok());
  ASSERT_TRUE(writer->add({{0, 0}, 0, 0}).ok());
  ASSERT_TRUE(writer->finish().ok());
  open();
  ASSERT_EQ(on_disk().size(), 5u);
  ASSERT_TRUE(index_->settle().ok());
  EXPECT_EQ(runs().size(), 1u);
  EXPECT_EQ(index_->take_lost_packs(), std::vector<PackId>{pack_id(5)});
  for (size_t i = 0; i < ids.size(); i += 7) {
    ASSERT_EQ(find(ids[i])->pack, pack_id(static_cast<uint32_t>(i / kPackChunks + 1)));
  }
}

TEST_F(ChunkIndexDamage, ShortAndForeignFilesAreRefused) {
  open();
  index_->add_pack(pack_id(1), pack_of(many_ids(random_, 1000)));
  ASSERT_TRUE(index_->settle().ok());
  std::string path = runs().at(0);
  Bytes whole = *read_whole(storage_, path, 1 << 20);
  for (size_t length :
       {size_t{0}, size_t{7}, size_t{71}, size_t{4096}, whole.size() - 1, whole.size() + 1}) {
    Bytes other = whole;
    other.resize(length);
    ASSERT_TRUE(write_whole(storage_, path, other).ok());
    open();
    EXPECT_TRUE(on_disk().empty()) << length;
    EXPECT_TRUE(runs().empty());
  }
  ASSERT_TRUE(
      write_whole(storage_, std::string(kDirectory) + "/run-" + std::string(32, '0'), whole).ok());
  open();
  EXPECT_TRUE(on_disk().empty()) << "a run under another's name";
}

TEST_F(ChunkIndexDamage, DamagedRemovalsMakeTheIndexAnew) {
  open();
  auto ids = many_ids(random_, 10);
  index_->add_pack(pack_id(1), pack_of(ids));
  index_->add_pack(pack_id(2), pack_of(ids));
  ASSERT_TRUE(index_->settle().ok());
  index_->remove_pack(pack_id(2));
  ASSERT_TRUE(index_->settle().ok());
  ASSERT_TRUE(storage_.flip_bit(std::string(kDirectory) + "/removed", 9));
  open();
  EXPECT_TRUE(on_disk().empty());
}

TEST_F(ChunkIndexDamage, FullDiskLosesNothing) {
  open();
  auto ids = many_ids(random_, 1000);
  index_->add_pack(pack_id(1), pack_of(ids));
  storage_.set_capacity(10000);
  EXPECT_EQ(index_->settle().error().code(), Errc::kNoSpace);
  EXPECT_EQ(find(ids[0])->pack, pack_id(1));
  EXPECT_TRUE(storage_.files().empty()) << "no unfinished file stays";
  storage_.set_capacity(std::nullopt);
  ASSERT_TRUE(index_->settle().ok());
  EXPECT_EQ(on_disk(), std::set<PackId>{pack_id(1)});
}

}  // namespace
}  // namespace varve
