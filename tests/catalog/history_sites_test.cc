// Goal: what several sites publish stands side by side: sets of one name are told apart, and
// another writer's checkpoints neither pile up nor go before there is a whole one.
#include <gmock/gmock.h>

#include "tests/catalog/history_world.h"

namespace varve {
namespace {

using testing::Contains;
using testing::ElementsAre;

struct HistorySitesTest : testing::Test, HistoryWorld {};

TEST_F(HistorySitesTest, OfAnotherWritersCheckpointsTheNewestTwoWholeOnesStay) {
  std::vector<SnapshotInfo> taken;
  for (int i = 0; i < 4; i++) taken.push_back(*checkpoint());
  // The newest came without its packs.
  History::NewSnapshot request;
  request.snapshot_class = SnapshotClass::kCheckpoint;
  request.body = {"", {tree_of({}, "")}};
  request.rows = {pack_info(7)};
  taken.push_back(*history->publish_snapshot(request));
  writer = same_bytes<WriterId>(22);
  reopen();
  ASSERT_TRUE(history->prune_checkpoints().ok());
  std::vector<FileHash> left;
  for (const SnapshotInfo& info : history->checkpoints()) left.push_back(info.hash);
  EXPECT_THAT(left, ElementsAre(taken[4].hash, taken[3].hash, taken[2].hash));
}

TEST_F(HistorySitesTest, SetsOfOneNameAreToldApartByWhoeverHadItFirst) {
  const auto take_of = [&](const SetId& set, const std::string& set_name, const std::string& name) {
    History::NewSnapshot request;
    request.set = set;
    request.body = {name, {tree_of(set, set_name)}};
    return *history->publish_snapshot(request);
  };
  const SetId first = same_bytes<SetId>(90), second = same_bytes<SetId>(10),
              third = same_bytes<SetId>(50);
  take_of(first, "web", "monday");
  writer = same_bytes<WriterId>(0xab);
  reopen();
  const SnapshotInfo monday = take_of(second, "web", "monday");
  take_of(third, "web", "monday");
  take_of(first, "web", "tuesday");
  take_of(second, "web", "tuesday");
  const auto shown = [&] {
    std::vector<std::string> names;
    for (const SnapshotInfo& info : history->snapshots())
      names.push_back(info.set_name + "/" + info.name);
    return names;
  };
  EXPECT_THAT(shown(), ElementsAre("web/monday", "web@abababab/monday", "web@32323232/monday",
                                   "web/tuesday", "web@abababab/tuesday"));
  std::vector<std::string> sets;
  for (const SetInfo& info : history->sets()) sets.push_back(info.name);
  EXPECT_THAT(sets, ElementsAre("web", "web@32323232", "web@abababab"));
  ASSERT_TRUE(history->publish_base().ok());
  reopen();
  EXPECT_THAT(shown(), Contains("web@abababab/monday")) << "a base record has the set's own name";
  EXPECT_EQ(history->body(monday.hash)->trees[0].set_name, "web");
}

}  // namespace
}  // namespace varve
