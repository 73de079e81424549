// Goal: the ledger remembers across openings when each pack was verified and how deeply, and
// survives a line that a crash has cut off.

#include "dedup/verification_ledger.h"

#include "tests/dedup/pack_world.h"

namespace varve {
namespace {

using Depth = VerificationLedger::Depth;

struct LedgerWorld {
  SimulatedStorage storage;
  std::unique_ptr<VerificationLedger> ledger = open();
  std::unique_ptr<VerificationLedger> open() {
    return VerificationLedger::open(storage, "verified").value();
  }
  std::string text() {
    return std::string(as_text(read_whole(storage, "verified", 1 << 20).value()));
  }
};

TEST(VerificationLedger, RemembersTheLastTimeAtEachDepth) {
  LedgerWorld world;
  const auto a = id_of<FileHash>(1), b = id_of<FileHash>(2);
  world.ledger->note(a, Depth::kHash, 1000);
  world.ledger->note(a, Depth::kDecoded, 500);
  world.ledger->note(b, Depth::kDecoded, 700);
  ASSERT_TRUE(world.ledger->save().ok());
  world.ledger = world.open();
  EXPECT_EQ(world.ledger->last(a, Depth::kHash), 1000);
  EXPECT_EQ(world.ledger->last(a, Depth::kDecoded), 500);
  EXPECT_EQ(world.ledger->last(b, Depth::kHash), 700);  // who opened it has hashed it
  EXPECT_EQ(world.ledger->last(id_of<FileHash>(3), Depth::kHash), std::nullopt);
}

TEST(VerificationLedger, GoesOnBehindALineThatWasCutOff) {
  LedgerWorld world;
  const auto a = id_of<FileHash>(1), b = id_of<FileHash>(2);
  world.ledger->note(a, Depth::kHash, 1000);
  ASSERT_TRUE(world.ledger->save().ok());
  ASSERT_TRUE(
      write_whole(world.storage, "verified", as_bytes(world.text() + b.hex() + " 12")).ok());
  world.ledger = world.open();
  EXPECT_EQ(world.ledger->last(b, Depth::kHash), std::nullopt);
  world.ledger->note(b, Depth::kHash, 2000);
  ASSERT_TRUE(world.ledger->save().ok());
  world.ledger = world.open();
  EXPECT_EQ(world.ledger->last(a, Depth::kHash), 1000);
  EXPECT_EQ(world.ledger->last(b, Depth::kHash), 2000);
}

TEST(VerificationLedger, CompactingKeepsWhatIsKept) {
  LedgerWorld world;
  const auto kept = id_of<FileHash>(1), gone = id_of<FileHash>(2);
  for (int i = 1; i < 200; i++) world.ledger->note(kept, Depth::kDecoded, i);
  world.ledger->note(gone, Depth::kHash, 5);
  ASSERT_TRUE(world.ledger->save().ok());
  const size_t before = world.text().size();
  ASSERT_TRUE(world.ledger->compact({kept}).ok());
  EXPECT_LT(world.text().size(), before / 10);
  world.ledger->note(kept, Depth::kDecoded, 1000);
  ASSERT_TRUE(world.ledger->save().ok());
  world.ledger = world.open();
  EXPECT_EQ(world.ledger->last(kept, Depth::kDecoded), 1000);
  EXPECT_EQ(world.ledger->last(gone, Depth::kHash), std::nullopt);
}

}  // namespace
}  // namespace varve
