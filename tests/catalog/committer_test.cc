// Goal: a commit makes durable what was applied, with the packs' rows; one that fails for want of
// space loses nothing, any other is final; and after a power cut the rows refer to bytes that are
// there.
#include "catalog/committer.h"

#include <thread>

#include "tests/dedup/ingest_world.h"
#include "tests/support/simulated_kv.h"

namespace varve {
namespace {

class CommitterTest : public testing::Test {
 protected:
  ChunkId put(size_t size) {
    auto stream = world_.open_stream();
    return world_.ingest->put(*stream, random_bytes(world_.random, size)).value().id;
  }
  Ino make(const std::string& name) { return tree_->create(kRootIno, name, NewFile()).value().ino; }
  size_t rows(char table) {
    const auto contents = base_.contents();
    return static_cast<size_t>(
        std::distance(contents.lower_bound(std::string(1, table)),
                      contents.lower_bound(std::string(1, static_cast<char>(table + 1)))));
  }

  IngestWorld world_;
  SimulatedClock clock_;
  SimulatedKv base_;
  StagedKv kv_{base_};
  std::unique_ptr<LiveTree> tree_ = LiveTree::open(kv_, nullptr, clock_, world_.random).value();
  Committer committer_{kv_, *tree_, *world_.ingest};
};

TEST_F(CommitterTest, CommitsRowsAndTheOpenPack) {
  put(1000);
  make("file");
  ASSERT_TRUE(committer_.commit().ok());
  EXPECT_EQ(kv_.staged_bytes(), 0u);
  std::vector<PackId> open = world_.packs->list_open().value();
  ASSERT_EQ(open.size(), 1u);
  const auto contents = base_.contents();
  ASSERT_TRUE(contents.contains(key::open_pack(open[0])));
  OpenPackRow length = decode_open_pack(contents.at(key::open_pack(open[0]))).value();
  EXPECT_GT(length.length, 1000u);
  EXPECT_EQ(length.pack_class, PackClass::kData);
}

TEST_F(CommitterTest, SealedPacksGetTheirRows) {
  put(1000);
  make("file");
  ASSERT_TRUE(committer_.commit().ok());
  for (const PackStore::Recovered& sealed : committer_.seal_open(PackClass::kData).value()) {
    base_.fail_commit(1, Errc::kNoSpace);
    EXPECT_EQ(committer_.commit().error().code(), Errc::kNoSpace);
    ASSERT_TRUE(committer_.commit().ok());
    const auto contents = base_.contents();
    EXPECT_EQ(decode_pack(contents.at(key::pack(sealed.info.pack))).value(), sealed.info);
    EXPECT_TRUE(contents.contains(key::unbundled(sealed.info.pack)));
  }
  EXPECT_EQ(rows('w'), 0u);
  EXPECT_EQ(rows('p'), 1u);
}

TEST_F(CommitterTest, NoSpaceIsTriedAgain) {
  put(1000);
  Ino file = make("file");
  base_.fail_commit(1, Errc::kNoSpace);
  EXPECT_EQ(committer_.commit().error().code(), Errc::kNoSpace);
  EXPECT_TRUE(base_.contents().empty());
  EXPECT_TRUE(tree_->inode(file).ok());
  ASSERT_TRUE(committer_.commit().ok());
  EXPECT_EQ(rows('w'), 1u);
  EXPECT_EQ(kv_.staged_bytes(), 0u);
}

TEST_F(CommitterTest, SpaceThatIsFoundIsUsedAtOnce) {
  int asked = 0;
  Committer::Options options;
  options.find_space = [&] { return asked++ == 0; };
  Committer committer(kv_, *tree_, *world_.ingest, options);
  put(1000);
  make("file");
  base_.fail_commit(1, Errc::kNoSpace);
  ASSERT_TRUE(committer.commit().ok());
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(rows('w'), 1u);
  EXPECT_EQ(kv_.staged_bytes(), 0u);
  make("another");
  base_.fail_commit(1, Errc::kNoSpace);
  EXPECT_EQ(committer.commit().error().code(), Errc::kNoSpace);
  EXPECT_GT(kv_.staged_bytes(), 0u);
}

TEST_F(CommitterTest, RowsAreBoundedAndRemovalsHaveMoreRoom) {
  Committer::Options options;
  options.staged_bytes_max = 10'000;
  Committer committer(kv_, *tree_, *world_.ingest, options);
  int made = 0;
  const auto make_until = [&](size_t bytes) {
    while (kv_.staged_bytes() <= bytes) make(std::to_string(made++));
  };
  make_until(10'000);
  ASSERT_TRUE(committer.admit(Committer::Change::kAddition).ok()) << "a commit makes room";
  EXPECT_EQ(kv_.staged_bytes(), 0u);
  make_until(10'000);
  base_.fail_commit(1, Errc::kNoSpace);
  EXPECT_EQ(committer.admit(Committer::Change::kAddition).error().code(), Errc::kNoSpace);
  EXPECT_TRUE(committer.admit(Committer::Change::kRemoval).ok());
  make_until(20'000);
  base_.fail_commit(1, Errc::kIo);
  EXPECT_EQ(committer.admit(Committer::Change::kRemoval).error().code(), Errc::kIo);
  EXPECT_EQ(committer.admit(Committer::Change::kAddition).error().code(), Errc::kIo) << "for good";
}

TEST_F(CommitterTest, OtherFailuresAreFinal) {
  make("file");
  base_.fail_commit(1, Errc::kIo);
  EXPECT_EQ(committer_.commit().error().code(), Errc::kIo);
  EXPECT_EQ(committer_.commit().error().code(), Errc::kIo);
  EXPECT_EQ(committer_.commit_and_view(nullptr).error().code(), Errc::kIo);
  EXPECT_TRUE(base_.contents().empty());
}

TEST_F(CommitterTest, RowsDoNotGoBeforeTheirBytes) {
  put(1000);
  make("file");
  world_.storage.fail_sync(1);
  EXPECT_FALSE(committer_.commit().ok());
  EXPECT_TRUE(base_.contents().empty()) << "rows were committed whose bytes were not synced";
  EXPECT_GT(kv_.staged_bytes(), 0u);
}

TEST_F(CommitterTest, ViewIsOfTheMoment) {
  make("before");
  auto view = committer_.commit_and_view([&]() -> Result<void> {
    tree_->next_generation();
    return {};
  });
  ASSERT_TRUE(view.ok());
  make("after");
  ASSERT_TRUE(committer_.commit().ok());
  uint32_t tree = tree_->set(kRootSet)->row.tree;
  EXPECT_TRUE((*view)->get(key::entry(tree, kTopNumber, "before")).value());
  EXPECT_FALSE((*view)->get(key::entry(tree, kTopNumber, "after")).value());
  EXPECT_EQ((*view)->get(key::meta("generation")).value(), encode_u64(tree_->generation()));
  EXPECT_EQ(committer_.commit_and_view([]() -> Result<void> { return Errc::kBusy; }).error().code(),
            Errc::kBusy);
  EXPECT_TRUE(committer_.commit().ok());
}

TEST_F(CommitterTest, CallersShareCommits) {
  constexpr int kThreads = 4, kFiles = 50;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; thread++) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kFiles; i++) {
        std::string name = std::to_string(thread) + "-" + std::to_string(i);
        make(name);
        EXPECT_TRUE(committer_.commit().ok());
        EXPECT_TRUE(base_.contents().contains(key::entry(0, kTopNumber, name)));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace varve
