// Goal: a recovery key survives paper, handwriting and typing, and a slip of the pen is noticed.

#include "tests/dedup/key_world.h"

namespace varve {
namespace {

Secret key_of(uint64_t seed) {
  Secret key(kKeyBytes);
  SeededRandom(seed).fill(key.span());
  return key;
}

bool same(const Secret& one, const Secret& two) {
  return std::ranges::equal(one.view(), two.view());
}

TEST(RecoveryKey, IsFiftySixCharactersInGroupsOfFour) {
  const std::string text = print_recovery_key(Secret(kKeyBytes));
  // 256 zero bits, then the first 24 of the SHA-256 of 32 zero bytes: 66687a.
  EXPECT_EQ(text, "0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-0000-0006-CT3T");
}

TEST(RecoveryKey, ComesBack) {
  for (uint64_t seed = 0; seed < 100; seed++) {
    const Secret key = key_of(seed);
    const auto parsed = parse_recovery_key(print_recovery_key(key));
    ASSERT_TRUE(parsed.ok());
    ASSERT_TRUE(same(*parsed, key));
  }
}

TEST(RecoveryKey, IsReadAsAPersonWritesIt) {
  const Secret key = key_of(5);
  std::string text = print_recovery_key(key);
  for (char& character : text) {
    if (character == '1') character = 'l';
    if (character == '0') character = 'o';
    if (character == '-') character = ' ';
    if (character >= 'A' && character <= 'Z') character = static_cast<char>(character - 'A' + 'a');
  }
  const auto parsed = parse_recovery_key("  " + text + "\r\n");
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(same(*parsed, key));
}

TEST(RecoveryKey, NoticesEveryWrongCharacter) {
  const std::string text = print_recovery_key(key_of(9));
  for (size_t at = 0; at < text.size(); at++) {
    if (text[at] == '-') continue;
    std::string changed = text;
    changed[at] = text[at] == '7' ? '8' : '7';
    const auto parsed = parse_recovery_key(changed);
    ASSERT_FALSE(parsed.ok()) << at;
    ASSERT_EQ(parsed.error().code(), Errc::kInvalid);
  }
}

TEST(RecoveryKey, RefusesWhatIsNone) {
  const std::string text = print_recovery_key(key_of(9));
  EXPECT_FALSE(parse_recovery_key("").ok());
  EXPECT_FALSE(parse_recovery_key(text.substr(1)).ok());
  EXPECT_FALSE(parse_recovery_key(text + "0").ok());
  EXPECT_FALSE(parse_recovery_key(text.substr(1) + "U").ok()) << "U is no digit";
  EXPECT_FALSE(parse_recovery_key(std::string(100000, 'Z')).ok());
}

}  // namespace
}  // namespace varve
