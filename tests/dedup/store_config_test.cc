// Goal: store.json says what docs/format.md says, comes back as it was, and is refused by name
// where it cannot be read.

#include "dedup/store_config.h"

#include "dedup/base/checksum.h"
#include "dedup/base/limits.h"
#include "tests/dedup/key_world.h"

namespace varve {
namespace {

StoreConfig example_config() {
  StoreConfig config;
  config.store_id.bytes.fill(0x11);
  config.created = "2026-11-22T05:30:00Z";
  config.chunker = sizes_of(64 * kKiB);
  config.first_epoch.bytes.fill(0x22);
  config.first_public_key.fill(0x33);
  return config;
}

Errc code_of(std::string text) {
  const auto decoded = decode_store_config(as_bytes(text));
  return decoded.ok() ? Errc::kExists : decoded.error().code();
}

std::string with(std::string_view what, std::string_view instead) {
  std::string text = encode_store_config(example_config());
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), instead);
}

TEST(StoreConfig, ComesBackAsItWas) {
  const std::string text = encode_store_config(example_config());
  const StoreConfig config = decode_store_config(as_bytes(text)).value();
  EXPECT_EQ(config.store_id, example_config().store_id);
  EXPECT_EQ(config.created, example_config().created);
  EXPECT_EQ(config.chunker.minimum, 16 * kKiB);
  EXPECT_EQ(config.chunker.average, 64 * kKiB);
  EXPECT_EQ(config.chunker.maximum, 128 * kKiB);
  EXPECT_EQ(config.first_epoch, example_config().first_epoch);
  EXPECT_EQ(config.first_public_key, example_config().first_public_key);
  EXPECT_EQ(config.hash, sha256(as_bytes(text)));
  EXPECT_EQ(encode_store_config(config), text);
}

TEST(StoreConfig, RefusesANewerFormatByName) {
  const auto decoded =
      decode_store_config(as_bytes(with("\"format_version\": 1", "\"format_version\": 2")));
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().code(), Errc::kUnsupported);
  EXPECT_NE(decoded.error().message().find("version 2"), std::string::npos);
  EXPECT_EQ(code_of(with("gear-nc1", "gear-nc3")), Errc::kUnsupported);
}

TEST(StoreConfig, RefusesWhatIsNoStoreConfig) {
  EXPECT_EQ(code_of(""), Errc::kCorrupt);
  EXPECT_EQ(code_of("[]"), Errc::kCorrupt);
  EXPECT_EQ(code_of("{}"), Errc::kCorrupt);
  EXPECT_EQ(code_of("{\"format_version\": \"1\"}"), Errc::kCorrupt);
  EXPECT_EQ(code_of("{\"format_version\": -1}"), Errc::kCorrupt);
  EXPECT_EQ(code_of(std::string(100000, '[')), Errc::kCorrupt);
  EXPECT_EQ(code_of(std::string(60000, '[')), Errc::kCorrupt);
  EXPECT_EQ(code_of("\xff\xfe{}"), Errc::kCorrupt);
  const std::string text = encode_store_config(example_config());
  for (size_t length = 0; length + 2 < text.size(); length++) {
    ASSERT_EQ(code_of(text.substr(0, length)), Errc::kCorrupt) << length;
  }
  EXPECT_EQ(code_of(text + "x"), Errc::kCorrupt);
}

TEST(StoreConfig, RefusesFieldsThatMakeNoSense) {
  EXPECT_EQ(code_of(with("\"minimum\": 16384", "\"minimum\": 16385")), Errc::kCorrupt);
  EXPECT_EQ(code_of(with("\"maximum\": 131072", "\"maximum\": 4294967295")), Errc::kCorrupt);
  EXPECT_EQ(code_of(with("\"average\": 65536", "\"average\": 65536.5")), Errc::kCorrupt);
  EXPECT_EQ(code_of(with("\"average\": 65536", "\"average\": null")), Errc::kCorrupt);
  EXPECT_EQ(code_of(with("1111", "111")), Errc::kCorrupt);
  EXPECT_EQ(code_of(with("1111", "111g")), Errc::kCorrupt);
  EXPECT_EQ(code_of(with("3333", "33333")), Errc::kCorrupt);
  EXPECT_EQ(code_of(with("\"chunker\"", "\"chunkes\"")), Errc::kCorrupt);
  EXPECT_EQ(code_of(with("\"epoch\"", "\"epoche\"")), Errc::kCorrupt);
}

TEST(StoreConfig, MissingFileIsNoStore) {
  SimulatedStorage storage;
  const auto config = read_store_config(storage);
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.error().code(), Errc::kNotFound);
  EXPECT_NE(config.error().message().find("no varve store"), std::string::npos);
}

TEST(StoreConfig, OfAStoreItsLossIsToldWithWhatToDo) {
  SimulatedStorage storage;
  const auto is_told = [&] {
    const auto config = read_store_config(storage);
    return !config.ok() && config.error().code() == Errc::kCorrupt &&
           config.error().message().find("copy it from") != std::string::npos;
  };
  ASSERT_TRUE(storage.make_directories("keys").ok());
  ASSERT_TRUE(write_whole(storage, "keys/one", as_bytes("a generation")).ok());
  EXPECT_TRUE(is_told());
  for (const char* damaged : {"", "{", "{\"format_version\": 1}"}) {
    ASSERT_TRUE(write_whole(storage, kStoreConfigPath, as_bytes(damaged)).ok());
    EXPECT_TRUE(is_told()) << damaged;
    ASSERT_TRUE(storage.unlink(kStoreConfigPath).ok());
  }
}

}  // namespace
}  // namespace varve
