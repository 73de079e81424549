// Goal: whoever joins a store has its keys and knows its history, writes as a writer of his own,
// and takes nobody's live tree; a joined store is there whole or not at all.
#include "catalog/join.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "dedup/writer_head.h"
#include "tests/catalog/store_world.h"
#include "tests/support/simulated_storage.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
namespace fs = std::filesystem;

/// A store, whose set `web` has a snapshot, and a second site of it.
struct JoinTest : testing::Test, StoreWorld {
  std::string second = directory / "second";
  std::unique_ptr<Storage> storage = open_posix_storage(root).value();

  void SetUp() override {
    open();
    file(set("web"), "a", content(1, 300'000));
    ASSERT_TRUE(snapshot("web", "monday").ok());
    close();
    fs::create_directory(second);
  }
  Result<StoreToJoin::Joined> join(const AccessSecret& with = secret()) {
    const auto store =
        VARVE_TRY(StoreToJoin::open({*storage, system_clock(), system_random()}, with));
    return store->join(*open_posix_storage(second).value(), [this] { return place_of(second); });
  }
  void open_second() {
    copy.reset();
    auto opened = try_open(second);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    copy = std::move(opened).value();
  }
  /// All that is in the folders of one place goes into the other's, as absorb does it.
  static void copy_files(const std::string& from, const std::string& to) {
    for (const char* folder : {"packs", "catalog", "lists", "snapshots", "records"}) {
      fs::copy(from + "/" + folder, to + "/" + folder,
               fs::copy_options::recursive | fs::copy_options::skip_existing);
    }
  }
  std::vector<std::string> shown() {
    std::vector<std::string> names;
    for (const SnapshotInfo& info : copy->history().snapshots())
      names.push_back(info.set_name + "/" + info.name);
    return names;
  }
};

TEST_F(JoinTest, HasKeysAndHistoryAndNoFilesOfOthers) {
  const uint64_t highest = [&] {
    const auto opened = StoreToJoin::open({*storage, system_clock(), system_random()}, secret());
    return (*opened)->history().highest_sequence();
  }();
  const auto joined = join();
  ASSERT_TRUE(joined.ok()) << joined.error().message();
  EXPECT_EQ(joined->sequence, highest + 1);
  for (const char* folder : {"packs", "catalog", "lists", "snapshots"})
    EXPECT_TRUE(fs::is_empty(second + "/" + folder)) << folder;
  open_second();
  EXPECT_EQ(copy->history().writer(), joined->writer) << "it goes on as who has joined";
  EXPECT_EQ(copy->history().highest_sequence(), joined->sequence);
  EXPECT_THAT(copy->history().snapshots(), IsEmpty());
  EXPECT_FALSE(copy->tree().set_named("web"));
  file(set("mail"), "b", content(2, 200'000));
  const auto taken = snapshot("mail", "tuesday");
  ASSERT_TRUE(taken.ok()) << taken.error().message();
  EXPECT_GT(taken->sequence, joined->sequence);
  close();
  open_second();
  EXPECT_EQ(copy->history().writer(), joined->writer);
  EXPECT_EQ(read("mail/b"), content(2, 200'000));
}

TEST_F(JoinTest, OthersAppearByTheirSnapshotsAndNeverByTheirLiveTrees) {
  const WriterId writer = join()->writer;
  copy_files(root,
             second);  // before anything was written: there is a checkpoint of another's alone
  open_second();
  EXPECT_EQ(copy->history().writer(), writer);
  EXPECT_FALSE(copy->tree().set_named("web"));
  EXPECT_THAT(shown(), ElementsAre("web/monday"));
  close();
  fs::remove_all(second + "/local");
  open_second();
  EXPECT_FALSE(copy->tree().set_named("web")) << "a lost local/ brings back one's own alone";
  const WriterId renewed = copy->history().writer();
  EXPECT_NE(renewed, writer);
  file(set("web"), "c", content(3, 100'000));
  ASSERT_TRUE(snapshot("web", "monday").ok());
  EXPECT_THAT(shown(),
              ElementsAre("web/monday", "web@" + to_hex(renewed.view().first(4)) + "/monday"));
  close();
  fs::remove_all(second + "/local");
  open_second();
  EXPECT_EQ(read("web/c"), content(3, 100'000));
  EXPECT_FALSE(read("web/a"));
  close();
}

TEST_F(JoinTest, EqualNamesAreToldApartWhereBothAre) {
  ASSERT_TRUE(join().ok());
  open_second();
  const WriterId writer = copy->history().writer();
  file(set("web"), "c", content(3, 100'000));
  ASSERT_TRUE(snapshot("web", "monday").ok());
  const SetId theirs = set_id("web");
  close();
  copy_files(second, root);
  open();
  EXPECT_THAT(shown(),
              ElementsAre("web/monday", "web@" + to_hex(writer.view().first(4)) + "/monday"));
  EXPECT_NE(set_id("web"), theirs);
  std::vector<std::string> sets;
  for (const SetInfo& info : copy->history().sets()) sets.push_back(info.name);
  EXPECT_THAT(sets, ElementsAre("web", "web@" + to_hex(writer.view().first(4))));
  EXPECT_EQ(read("web/a"), content(1, 300'000));
  close();
}

TEST_F(JoinTest, ALocalThatIsLostBeforeTheFirstMountTakesNobodysLiveTreeEither) {
  ASSERT_TRUE(join().ok());
  copy_files(root, second);
  fs::remove_all(second + "/local");
  open_second();
  EXPECT_FALSE(copy->tree().set_named("web"));
  close();
}

TEST_F(JoinTest, RefusesAndMakesNothing) {
  const auto wrong = join(secret("another key"));
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code(), Errc::kWrongPassphrase);
  EXPECT_TRUE(fs::is_empty(second));
  std::ofstream(second + "/precious") << "data";
  const auto full = join();
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().code(), Errc::kExists);
  EXPECT_TRUE(fs::exists(second + "/precious"));
  EXPECT_FALSE(fs::exists(second + "/keys"));
  fs::remove(second + "/precious");
  fs::rename(root + "/keys", root + "/keys-elsewhere");
  const auto keyless = join();
  ASSERT_FALSE(keyless.ok());
  EXPECT_EQ(keyless.error().code(), Errc::kCorrupt) << keyless.error().message();
  fs::remove(root + "/store.json");
  fs::rename(root + "/keys-elsewhere", root + "/other");
  EXPECT_FALSE(join().ok());
  EXPECT_TRUE(fs::is_empty(second));
}

TEST_F(JoinTest, IsWholeOrNotThereWhereverThePowerGoes) {
  const auto store =
      StoreToJoin::open({*storage, system_clock(), system_random()}, secret()).value();
  const AskPlace place = [] { return Result<Place>(Place{"a disk", 7}); };
  SimulatedPower counted;
  SimulatedStorage whole(&counted);
  ASSERT_TRUE(store->join(whole, place).ok());
  const uint64_t effects = counted.effects();
  ASSERT_GT(effects, 10u);
  for (uint64_t at = 0; at <= effects; at++) {
    for (uint64_t seed = 0; seed < 6; seed++) {
      SimulatedPower power;
      SimulatedStorage disk(&power);
      power.stop_after(at);
      const auto joined = store->join(disk, place);
      disk.power_cut(seed);
      power.restore();
      const auto config = read_store_config(disk);
      if (!config.ok()) {
        ASSERT_FALSE(joined.ok()) << "a store that was made is gone; power went at " << at;
        continue;
      }
      SCOPED_TRACE(testing::Message() << "power went at " << at << ", seed " << seed);
      const auto keyring = open_keyring(disk, *config, secret());
      ASSERT_TRUE(keyring.ok());
      const auto history = History::open(disk, *keyring, system_clock(), system_random()).value();
      const auto guard = read_guard(disk, place, config->store_id)->guard;
      const auto head = *read_writer_head(disk);
      ASSERT_TRUE(guard && head);
      EXPECT_EQ(guard->writer, head->writer);
      ASSERT_TRUE(history->head(head->writer));
      EXPECT_EQ(history->head(head->writer)->sequence, head->sequence);
      EXPECT_EQ(history->highest_sequence(), head->sequence);
    }
  }
}

}  // namespace
}  // namespace varve
