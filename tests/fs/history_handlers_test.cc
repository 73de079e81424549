// Goal: policies, expiry and locks are asked for by name, through the daemon and without it, and
// survive the loss of the working copy.
#include "fs/history_handlers.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/fs/volume_world.h"

namespace varve {
namespace {

struct HistoryHandlersTest : testing::Test, VolumeWorld {
  using Object = nlohmann::json;
  std::vector<std::string> removed;

  Result<Object> ask(const Object& request) {
    HistoryDoor door;
    door.removed = [this](const SnapshotInfo& snapshot) { removed.push_back(snapshot.name); };
    return history_handlers(*copy, door).at(request.value("command", ""))(request);
  }
  Object asked(const Object& request) {
    Result<Object> answer = ask(request);
    EXPECT_TRUE(answer.ok()) << (answer.ok() ? "" : answer.error().message());
    return answer.ok() ? *answer : Object();
  }
  void change(const std::string& set_name, const std::string& setting) {
    asked({{"command", "set"}, {"set", set_name}, {"settings", {setting}}});
  }
  Object policy(const std::string& set_name) {
    return asked({{"command", "set"}, {"set", set_name}})["policy"];
  }
  void take_three() {
    for (const char* name : {"one", "two", "three"}) {
      const auto taken = volume->take_snapshot("web", name);
      ASSERT_TRUE(taken.ok()) << taken.error().message();
    }
  }
};

TEST_F(HistoryHandlersTest, PoliciesOutliveTheWorkingCopy) {
  mount();
  directory_of(kRootIno, "web");
  EXPECT_EQ(policy("web").dump(), "{}");
  change("web", "keep=last 2");
  change("", "lock=1d");
  ASSERT_TRUE(volume->take_snapshot("web", "one").ok());
  unmount();
  lose_local();
  mount();
  EXPECT_EQ(policy("web").dump(), R"({"keep":"last 2"})");
  EXPECT_EQ(policy("").dump(), R"({"lock":"1d"})");
  EXPECT_EQ(asked({{"command", "sets"}})["sets"].size(), 2u);
  EXPECT_EQ(ask({{"command", "set"}, {"set", "nobody"}}).error().code(), Errc::kNotFound);
  EXPECT_EQ(ask({{"command", "set"}, {"set", "web"}, {"settings", {"keep=never"}}}).error().code(),
            Errc::kInvalid);
}

TEST_F(HistoryHandlersTest, ExpiryGoesByThePolicyAlone) {
  mount();
  directory_of(kRootIno, "web");
  take_three();
  EXPECT_EQ(asked({{"command", "expire"}})["snapshots_expired"], 0);
  change("web", "keep=last 1");
  EXPECT_EQ(asked({{"command", "expire"}, {"dry_run", true}})["snapshots_expired"], 2);
  EXPECT_EQ(StoreWorld::names("web").size(), 3u);
  EXPECT_EQ(asked({{"command", "expire"}, {"set", "web"}})["snapshots_expired"], 2);
  EXPECT_EQ(StoreWorld::names("web"), (std::vector<std::string>{"three"}));
  EXPECT_EQ(removed, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(asked({{"command", "expire"}})["snapshots_expired"], 0) << "the last one stays";
}

TEST_F(HistoryHandlersTest, WhatIsLockedCannotBeRemovedByAnyDoor) {
  mount();
  directory_of(kRootIno, "web");
  take_three();
  change("web", "keep=last 1");
  const int64_t until = system_clock().now() / kSecond + 86400;
  asked({{"command", "lock"}, {"set", "web"}, {"name", "one"}, {"until", until}});
  EXPECT_EQ(asked({{"command", "expire"}})["snapshots_expired"], 1);
  EXPECT_EQ(volume->drop_snapshot("web", "one").error().code(), Errc::kPermission);
  const Ino snapshots = find(kRootIno, "web/.varve/snapshots");
  EXPECT_EQ(volume->remove_directory(snapshots, "one", root_user).error().code(),
            Errc::kPermission);
  EXPECT_EQ(ask({{"command", "lock"}, {"set", "web"}, {"name", "one"}, {"until", until - 9}})
                .error()
                .code(),
            Errc::kPermission);
  EXPECT_EQ(StoreWorld::names("web"), (std::vector<std::string>{"one", "three"}));
}

TEST_F(HistoryHandlersTest, ARevertKeepsWhatItsSetsPolicyLocks) {
  mount();
  const Ino set = directory_of(kRootIno, "web");
  put(set, "file", content(1, 1000));
  ASSERT_TRUE(volume->take_snapshot("web", "one").ok());
  change("web", "lock=1d");
  ASSERT_TRUE(volume->revert("web", "one").ok());
  for (const SnapshotInfo& info : copy->history().snapshots())
    EXPECT_EQ(copy->history().locked_until(info.hash).has_value(), info.name != "one");
}

}  // namespace
}  // namespace varve
