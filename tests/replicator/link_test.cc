// Goal: a job that asks hears of the remotes alone that it is to wait for, what was written down
// last of each, and never of one of which nothing is known.
#include "replicator/link.h"

#include <gmock/gmock.h>

#include "tests/replicator/replication_world.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct LinkTest : testing::Test {
  SimulatedStorage store;
  RemoteConfig stops{"offsite", "/mnt/offsite", filled_id<ReplicaId>(1), "", ""};
  RemoteConfig goes_on{"disk", "/mnt/disk", filled_id<ReplicaId>(2), "", ""};

  LinkTest() {
    stops.on_link_loss = OnLinkLoss::kStop;
    for (const RemoteConfig& remote : {stops, goes_on}) {
      EXPECT_TRUE(write_remote(store, remote).ok());
      EXPECT_TRUE(store.make_directories(replication_folder(remote.replica)).ok());
    }
  }
  void write_down(const RemoteConfig& remote, const std::string& state) {
    EXPECT_TRUE(write_whole(store, replication_state_path(remote.replica), as_bytes(state)).ok());
  }
};

TEST_F(LinkTest, OfARemoteOfWhichNothingIsKnownNothingIsSaid) {
  EXPECT_THAT(*lost_links(store), IsEmpty());
  for (const char* state : {"", "{", "[]", "null", R"({"phase": "sending"})",
                            R"({"error": "", "stalled_since": 7})", R"({"error": ["x"]})"}) {
    write_down(stops, state);
    EXPECT_THAT(*lost_links(store), IsEmpty()) << state;
  }
}

TEST_F(LinkTest, OneThatHangsOrFailedIsLostUntilItIsReached) {
  write_down(stops, R"({"phase": "sending", "stalled_since": "2026-11-22T05:30:00Z"})");
  EXPECT_THAT(*lost_links(store), ElementsAre(HasSubstr("2026-11-22T05:30:00Z")));
  write_down(stops, R"({"phase": "failed", "error": "no route", "error_at": "2026-11-22"})");
  EXPECT_THAT(*lost_links(store),
              ElementsAre("remote 'offsite' is not reached: at 2026-11-22: no route"));
  write_down(stops, R"({"phase": "idle"})");
  EXPECT_THAT(*lost_links(store), IsEmpty());
}

TEST_F(LinkTest, NobodyWaitsForOneThatIsNotSetSo) {
  write_down(goes_on, R"({"phase": "failed", "error": "no route", "error_at": "2026-11-22"})");
  EXPECT_THAT(*lost_links(store), IsEmpty());
  EXPECT_THAT(*link_loss(store, goes_on), HasSubstr("no route"));
  goes_on.on_link_loss = OnLinkLoss::kStop;
  ASSERT_TRUE(write_remote(store, goes_on).ok());
  EXPECT_EQ(find_remote(store, "disk")->on_link_loss, OnLinkLoss::kStop);
  EXPECT_THAT(*lost_links(store), ElementsAre(HasSubstr("'disk'")));
  EXPECT_EQ(parse_on_link_loss("wait").error().code(), Errc::kInvalid);
}

}  // namespace
}  // namespace varve
