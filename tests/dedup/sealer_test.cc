// Goal: key derivation, sealing and signatures are those of the standards, and nothing that was
// changed opens.

#include "dedup/sealer.h"

#include "tests/dedup/key_world.h"

namespace varve {
namespace {

Secret secret_hex(std::string_view hex) {
  return Secret::copy_of(hex_bytes(hex));
}

Secret counting_key() {
  Secret key(kKeyBytes);
  for (size_t i = 0; i < kKeyBytes; i++) key.span()[i] = static_cast<uint8_t>(i);
  return key;
}

TEST(Hkdf, GivesTheVectorsOfRfc5869) {
  const Bytes key(22, 0x0b);
  EXPECT_EQ(to_hex(hkdf(key, hex_bytes("000102030405060708090a0b0c"),
                        hex_bytes("f0f1f2f3f4f5f6f7f8f9"), 42)
                       .view()),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  EXPECT_EQ(to_hex(hkdf(key, {}, {}, 42).view()),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
  Bytes long_key(80), long_salt(80), long_info(80);
  for (size_t i = 0; i < 80; i++) {
    long_key[i] = static_cast<uint8_t>(i);
    long_salt[i] = static_cast<uint8_t>(0x60 + i);
    long_info[i] = static_cast<uint8_t>(0xb0 + i);
  }
  EXPECT_EQ(to_hex(hkdf(long_key, long_salt, long_info, 82).view()),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41"
            "c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
}

TEST(Hkdf, TakesAPackHeaderAsInfoAndGivesAWholeGearTable) {
  const Bytes info(12 + 128, 7);
  EXPECT_EQ(hkdf(Bytes(32, 1), Bytes(16, 2), info).size(), kKeyBytes);
  const Secret table = hkdf(Bytes(32, 1), Bytes(16, 2), as_bytes("varve/1 gear"), 2048);
  const Secret head = hkdf(Bytes(32, 1), Bytes(16, 2), as_bytes("varve/1 gear"), 32);
  EXPECT_TRUE(std::ranges::equal(table.view().first(32), head.view()));
}

TEST(Sealer, GivesTheVectorsOfTheGcmSpecification) {
  const Secret zero(kKeyBytes);
  EXPECT_EQ(to_hex(seal_once(zero, {}, {})), "530f8afbc74536b9a963b4f1c4cb738b");
  EXPECT_EQ(to_hex(seal_once(zero, {}, Bytes(16))),
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

TEST(Sealer, PutsTheNumberOfAMessageIntoTheNonceLittleEndian) {
  Bytes out(5 + kTagBytes);
  Sealer(counting_key()).seal(0x0123456789abcdef, as_bytes("additional"), as_bytes("varve"), out);
  EXPECT_EQ(to_hex(out), "67d29a27cd692a28cdd0870f921f953aa7b3ab04bc");
}

TEST(Sealer, OneContextSealsAndOpensManyMessagesInPlace) {
  Sealer sealer(counting_key());
  SeededRandom random(1);
  for (uint64_t nonce = 0; nonce < 50; nonce++) {
    Bytes plain(static_cast<size_t>(nonce * 37));
    random.fill(plain);
    Bytes memory = plain;
    memory.resize(plain.size() + kTagBytes);
    sealer.seal(nonce, as_bytes("a"), ByteView(memory).first(plain.size()), memory);
    ASSERT_TRUE(sealer.open(nonce, as_bytes("a"), memory, memory).ok());
    memory.resize(plain.size());
    ASSERT_EQ(memory, plain);
  }
}

TEST(Sealer, RefusesEveryFlippedBitAndLeavesNothingOfUse) {
  const Secret key = counting_key();
  const Bytes sealed = seal_once(key, as_bytes("additional"), as_bytes("secret text"));
  for (size_t bit = 0; bit < sealed.size() * 8; bit++) {
    Bytes changed = sealed;
    changed[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    Bytes out(sealed.size() - kTagBytes, 0xff);
    const Result<void> opened = Sealer(key).open(0, as_bytes("additional"), changed, out);
    ASSERT_FALSE(opened.ok());
    ASSERT_EQ(opened.error().code(), Errc::kAuthentication);
    ASSERT_EQ(out, Bytes(out.size()));
  }
}

TEST(Sealer, RefusesAnotherNonceAdditionalDataKeyOrLength) {
  const Secret key = counting_key();
  const Bytes sealed = seal_once(key, as_bytes("additional"), as_bytes("text"));
  Bytes out(64);
  Sealer sealer(key);
  EXPECT_TRUE(sealer.open(0, as_bytes("additional"), sealed, out).ok());
  EXPECT_FALSE(sealer.open(1, as_bytes("additional"), sealed, out).ok());
  EXPECT_FALSE(sealer.open(0, as_bytes("additionaL"), sealed, out).ok());
  EXPECT_FALSE(sealer.open(0, {}, sealed, out).ok());
  EXPECT_FALSE(open_once(Secret(kKeyBytes), as_bytes("additional"), sealed).ok());
  for (size_t length = 0; length < sealed.size(); length++) {
    ASSERT_FALSE(open_once(key, as_bytes("additional"), ByteView(sealed).first(length)).ok());
  }
  EXPECT_TRUE(sealer.open(0, as_bytes("additional"), sealed, out).ok()) << "after all refusals";
}

TEST(Signature, GivesTheVectorOfRfc8032) {
  const Secret seed =
      secret_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  const PublicKey key = signing_public_key(seed);
  EXPECT_EQ(to_hex(key), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const Bytes message = {0x72};
  const Signature signature = sign(seed, message);
  EXPECT_EQ(to_hex(signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  EXPECT_TRUE(verify_signature(key, message, signature));
}

TEST(Signature, HoldsForNoOtherMessageKeyOrLength) {
  const Secret seed = counting_key();
  const PublicKey key = signing_public_key(seed);
  const Signature signature = sign(seed, as_bytes("message"));
  EXPECT_TRUE(verify_signature(key, as_bytes("message"), signature));
  EXPECT_FALSE(verify_signature(key, as_bytes("messagf"), signature));
  EXPECT_FALSE(verify_signature(key, {}, signature));
  EXPECT_FALSE(verify_signature(PublicKey{}, as_bytes("message"), signature));
  EXPECT_FALSE(verify_signature(key, as_bytes("message"), ByteView(signature).first(63)));
  for (size_t bit = 0; bit < kSignatureBytes * 8; bit++) {
    Signature changed = signature;
    changed[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    ASSERT_FALSE(verify_signature(key, as_bytes("message"), changed)) << bit;
  }
}

}  // namespace
}  // namespace varve
