// Goal: who carries a store's files learns of every generation of access that was replaced here,
// the oldest first.
#include "dedup/replaced_keys.h"

#include <gtest/gtest.h>

#include "tests/support/simulated_storage.h"

namespace varve {
namespace {

FileHash hash_number(uint8_t number) {
  FileHash hash{};
  hash.bytes.fill(number);
  return hash;
}

TEST(ReplacedKeys, AreKeptInTheirOrderAndOnce) {
  SimulatedPower power;
  SimulatedStorage storage(&power);
  EXPECT_TRUE(read_replaced_keys(storage).value().empty());
  ASSERT_TRUE(note_replaced_keys(storage, {hash_number(9), hash_number(2)}).ok());
  ASSERT_TRUE(note_replaced_keys(storage, {hash_number(2), hash_number(5)}).ok());
  const std::vector<FileHash> expected = {hash_number(9), hash_number(2), hash_number(5)};
  EXPECT_EQ(read_replaced_keys(storage).value(), expected);
}

TEST(ReplacedKeys, LinesThatMakeNoSenseArePassedOver) {
  SimulatedPower power;
  SimulatedStorage storage(&power);
  ASSERT_TRUE(storage.make_directories("local").ok());
  const std::string text = "nonsense\n\n" + hash_number(3).hex() + "\n" + hash_number(4).hex();
  ASSERT_TRUE(write_whole(storage, "local/replaced-keys",
                          ByteView(reinterpret_cast<const uint8_t*>(text.data()), text.size()))
                  .ok());
  const std::vector<FileHash> expected = {hash_number(3), hash_number(4)};
  EXPECT_EQ(read_replaced_keys(storage).value(), expected);
}

}  // namespace
}  // namespace varve
