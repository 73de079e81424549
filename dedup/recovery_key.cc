// A recovery key on paper: Crockford base32 of 256 bits of key and 24 bits of check.
// and more are a check.

#include <algorithm>

#include "dedup/base/checksum.h"
#include "dedup/keyring.h"

namespace varve {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr size_t kCheckBytes = 3;
constexpr size_t kPrintedBytes = kKeyBytes + kCheckBytes;
constexpr size_t kCharacters = kPrintedBytes * 8 / 5;
constexpr size_t kGroup = 4;
static_assert(kCharacters == 56 && kPrintedBytes * 8 == kCharacters * 5);

void put_check(ByteView key, ByteSpan out) {
  const FileHash hash = sha256(key);
  std::copy_n(hash.bytes.begin(), kCheckBytes, out.begin());
}

/// The value of a character, as Crockford reads it; -1 if it is none.
int digit_of(char character) {
  if (character >= 'a' && character <= 'z') character = static_cast<char>(character - 'a' + 'A');
  if (character == 'I' || character == 'L') character = '1';
  if (character == 'O') character = '0';
  const size_t found = kDigits.find(character);
  return found == std::string_view::npos ? -1 : static_cast<int>(found);
}

bool is_skipped(char character) {
  return character == '-' || character == ' ' || character == '\t' || character == '\n' ||
         character == '\r';
}

Error invalid(const std::string& why) {
  return Error(Errc::kInvalid, "no recovery key: " + why);
}

}  // namespace

std::string print_recovery_key(const Secret& key) {
  Secret bytes(kPrintedBytes);
  std::copy_n(key.view().begin(), kKeyBytes, bytes.span().begin());
  put_check(key.view(), bytes.span().subspan(kKeyBytes));
  std::string text;
  text.reserve(kCharacters + kCharacters / kGroup);
  for (size_t i = 0; i < kCharacters; i++) {
    if (i > 0 && i % kGroup == 0) text += '-';
    unsigned digit = 0;
    for (size_t bit = i * 5; bit < i * 5 + 5; bit++) {
      digit = digit << 1 | (bytes.view()[bit / 8] >> (7 - bit % 8) & 1u);
    }
    text += kDigits[digit];
  }
  return text;
}

Result<Secret> parse_recovery_key(std::string_view text) {
  Secret bytes(kPrintedBytes);
  size_t count = 0;
  for (const char character : text) {
    if (is_skipped(character)) continue;
    const int digit = digit_of(character);
    if (digit < 0) return invalid("it holds a character that is in none");
    if (count == kCharacters) return invalid("it has more than 56 characters");
    for (size_t i = 0; i < 5; i++) {
      const size_t bit = count * 5 + i;
      const unsigned value = static_cast<unsigned>(digit) >> (4 - i) & 1u;
      bytes.span()[bit / 8] |= static_cast<uint8_t>(value << (7 - bit % 8));
    }
    count++;
  }
  if (count != kCharacters) {
    return invalid("it has " + std::to_string(count) + " characters, not 56");
  }
  std::array<uint8_t, kCheckBytes> check;
  put_check(bytes.view().first(kKeyBytes), check);
  if (!std::ranges::equal(bytes.view().subspan(kKeyBytes), check)) {
    return invalid("a character is wrong (the check does not hold)");
  }
  return Secret::copy_of(bytes.view().first(kKeyBytes));
}

}  // namespace varve
