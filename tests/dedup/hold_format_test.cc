// Goal: a hold reads back as it was written, and what has not its form is none.
#include "dedup/hold_format.h"

#include "tests/dedup/pack_world.h"

namespace varve {
namespace {

TEST(HoldFormat, ReadsBack) {
  for (const bool held : {true, false}) {
    const Hold hold{id_of<HoldId>(1), id_of<ReplicaId>(2), held, {id_of<FileHash>(3), {}}};
    const Statement statement = encode_hold(hold);
    EXPECT_EQ(statement.readable.size(), 16u + 16 + 8 + 4 + 2 * 32);
    const Hold read = decode_hold(statement).value();
    EXPECT_EQ(read.id, hold.id);
    EXPECT_EQ(read.replica, hold.replica);
    EXPECT_EQ(read.held, held);
    EXPECT_EQ(read.lists, hold.lists);
  }
}

TEST(HoldFormat, RefusesWhatIsNone) {
  const Hold hold{id_of<HoldId>(1), id_of<ReplicaId>(2), true, {id_of<FileHash>(3)}};
  const Statement whole = encode_hold(hold);
  for (size_t length = 0; length < whole.readable.size(); length++) {
    Statement cut = whole;
    cut.readable.resize(length);
    EXPECT_EQ(decode_hold(cut).error().code(), Errc::kCorrupt) << length;
  }
  for (const size_t at : {size_t{32}, size_t{33}, size_t{39}}) {  // state and zeros
    Statement changed = whole;
    changed.readable[at] = 2;
    EXPECT_FALSE(decode_hold(changed).ok()) << at;
  }
  Statement other = whole;
  other.type = StatementType::kDrop;
  EXPECT_FALSE(decode_hold(other).ok());
}

}  // namespace
}  // namespace varve
