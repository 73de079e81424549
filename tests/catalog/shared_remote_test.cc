// Goal: of a remote that several sites share, one site's live trees go on and the others are not
// succeeded by it; a place without what these trees need stays a remote.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/join.h"
#include "tests/catalog/promotion_world.h"

namespace varve {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const Bytes& mail_file() {
  static const Bytes bytes = StoreWorld::content(7, 80'000);
  return bytes;
}

/// A second site of the store that lies on `first`, with a set `mail` and a snapshot; closed.
std::unique_ptr<SimulatedMachine> joined_machine(SimulatedMachine& first) {
  auto machine = std::make_unique<SimulatedMachine>(9);
  const auto store =
      StoreToJoin::open({*first.disk, first.clock, first.random}, StoreWorld::secret()).value();
  const auto joined = store->join(*machine->disk, [&] { return machine->world()->place(); });
  EXPECT_TRUE(joined.ok()) << joined.error().message();
  SimulatedSite site(std::move(machine));
  site.open();
  site.file(site.set("mail"), "letter", mail_file());
  EXPECT_TRUE(site.snapshot("mail", "sent").ok());
  site.close();
  return std::move(site.machine);
}

struct SharedRemoteTest : testing::Test {
  std::unique_ptr<SimulatedMachine> web = site_machine();
  std::unique_ptr<SimulatedMachine> mail = joined_machine(*web);
  SimulatedSite remote{web->copy(2)};
  WriterId web_writer = read_writer_head(*web->disk).value()->writer;
  WriterId mail_writer = read_writer_head(*mail->disk).value()->writer;

  SharedRemoteTest() {
    make_remote(*remote.machine);
    remote.absorb(*mail);
  }
  void promote(const WriterId& site) {
    const Result<WriterId> done = remote.promote(false, site.hex().substr(0, 8));
    ASSERT_TRUE(done.ok()) << done.error().message();
    remote.open();
  }
  /// `machine`'s site, open, after it has taken in what the promoted store has.
  std::unique_ptr<SimulatedSite> returned(std::unique_ptr<SimulatedMachine> machine) {
    if (remote.copy) remote.close();
    auto site = std::make_unique<SimulatedSite>(std::move(machine));
    site->absorb(*remote.machine);
    return site;
  }
};

TEST_F(SharedRemoteTest, HasToBeToldWhoseLiveTreesGoOn) {
  const Result<WriterId> refused = remote.promote();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Errc::kInvalid);
  EXPECT_THAT(refused.error().message(), AllOf(HasSubstr(web_writer.hex() + " (sets web;"),
                                               HasSubstr(mail_writer.hex() + " (sets mail;")));
  EXPECT_TRUE(remote.guard().writer.is_zero());
  EXPECT_EQ(remote.promote(false, "not-a-writer").error().code(), Errc::kNotFound);
  EXPECT_TRUE(remote.guard().writer.is_zero()) << "it is a remote still";
}

TEST_F(SharedRemoteTest, GoesOnAsTheSiteThatFoundedTheStore) {
  promote(web_writer);
  EXPECT_EQ(remote.read("web/later"), later_file());
  EXPECT_FALSE(remote.read("mail/letter"));
  const std::vector<SnapshotInfo> shown = remote.copy->history().snapshots();
  const auto is_mail = [](const SnapshotInfo& info) { return info.set_name == "mail"; };
  EXPECT_EQ(std::ranges::count_if(shown, is_mail), 1) << "its snapshots are there";
  EXPECT_EQ(remote.check()->damages, 0u);
  const auto other = returned(std::move(mail));
  other->open();
  EXPECT_EQ(other->copy->history().writer(), mail_writer) << "nobody has succeeded that one";
  EXPECT_EQ(other->read("mail/letter"), mail_file());
  other->close();
  const auto back = returned(std::move(web));
  EXPECT_EQ(back->try_to_open().error().code(), Errc::kBusy) << "it was succeeded";
}

TEST_F(SharedRemoteTest, OrAsTheOneThatJoined) {
  promote(mail_writer);
  EXPECT_EQ(remote.read("mail/letter"), mail_file());
  EXPECT_FALSE(remote.read("web/first"));
  remote.file(remote.set("mail"), "answer", later_file());
  ASSERT_TRUE(remote.snapshot("mail", "answered").ok());
  const auto back = returned(std::move(mail));
  EXPECT_EQ(back->try_to_open().error().code(), Errc::kBusy) << "it was succeeded";
  const Result<Rejoined> done = back->come_back(false);
  ASSERT_TRUE(done.ok()) << done.error().message();
  back->open();
  EXPECT_EQ(back->read("mail/answer"), later_file());
  back->machine->lose_local();
  back->open();
  EXPECT_EQ(back->read("mail/answer"), later_file()) << "a lost local/ brings back the same";
  back->close();
  const auto other = returned(std::move(web));
  other->open();
  EXPECT_EQ(other->copy->history().writer(), web_writer);
  EXPECT_EQ(other->read("web/later"), later_file());
}

TEST_F(SharedRemoteTest, ASiteUnderAnEarlierIdIsNoOtherSite) {
  SimulatedSite first(std::move(web));
  first.machine->lose_local();
  first.open();
  first.file(first.set("web"), "more", mail_file());
  first.close();
  SimulatedSite alone(first.machine->copy(5));
  make_remote(*alone.machine);
  const Result<WriterId> done = alone.promote();
  ASSERT_TRUE(done.ok()) << done.error().message();
  alone.open();
  EXPECT_EQ(alone.read("web/more"), mail_file());
}

TEST_F(SharedRemoteTest, APlaceWithoutCatalogPacksStaysARemote) {
  remote.machine->disk->remove_all("catalog");
  const Result<WriterId> refused = remote.promote(false, web_writer.hex());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Errc::kNotFound);
  EXPECT_THAT(refused.error().message(), HasSubstr("catalog/"));
  EXPECT_TRUE(remote.guard().writer.is_zero());
}

}  // namespace
}  // namespace varve
