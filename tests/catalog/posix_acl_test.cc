// Goal: ACLs in the kernel's coding come back as they were, nonsense is refused, and mode and list
// follow each other as in the kernel.
#include "catalog/posix_acl.h"

#include <gtest/gtest.h>

#include "dedup/base/codec.h"

namespace varve {
namespace {

struct Row {
  uint16_t tag, permissions;
  uint32_t id = UINT32_MAX;
};

std::string bytes_of_acl(std::initializer_list<Row> rows, uint32_t version = 2) {
  Encoder out;
  out.u32(version);
  for (const Row& row : rows) out.u16(row.tag).u16(row.permissions).u32(row.id);
  return std::string(as_text(out.view()));
}

constexpr uint16_t kOwner = 1, kUser = 2, kOwningGroup = 4, kGroup = 8, kMask = 16, kOther = 32;

TEST(PosixAcl, ComesBack) {
  std::string text = bytes_of_acl({{kOwner, 7},
                                   {kUser, 5, 1000},
                                   {kUser, 4, 1001},
                                   {kOwningGroup, 5},
                                   {kGroup, 6, 7},
                                   {kMask, 5},
                                   {kOther, 0}});
  PosixAcl acl = PosixAcl::decode(text).value();
  EXPECT_EQ(acl.encode(), text);
  EXPECT_EQ(acl.mode(), 0750);
  EXPECT_FALSE(acl.is_mode_only());
}

TEST(PosixAcl, RefusesNonsense) {
  const std::string bad[] = {
      std::string(3, '\0'),
      bytes_of_acl({{kOwner, 7}, {kOwningGroup, 5}, {kOther, 0}}) + "x",
      bytes_of_acl({{kOwner, 7}, {kOwningGroup, 5}}),                            // no others
      bytes_of_acl({{kOwningGroup, 5}, {kOwner, 7}, {kOther, 0}}),               // order
      bytes_of_acl({{kOwner, 7}, {kOwner, 7}, {kOwningGroup, 5}, {kOther, 0}}),  // twice
      bytes_of_acl(
          {{kOwner, 7}, {kUser, 7, 1}, {kOwningGroup, 5}, {kOther, 0}}),    // named without mask
      bytes_of_acl({{kOwner, 8}, {kOwningGroup, 5}, {kOther, 0}}),          // permissions
      bytes_of_acl({{kOwner, 7}, {3, 7}, {kOwningGroup, 5}, {kOther, 0}}),  // tag
  };
  for (const std::string& text : bad) {
    auto decoded = PosixAcl::decode(text);
    ASSERT_FALSE(decoded.ok()) << testing::PrintToString(text);
    EXPECT_EQ(decoded.error().code(), Errc::kInvalid);
  }
  EXPECT_EQ(PosixAcl::decode(bytes_of_acl({}, 3)).error().code(), Errc::kUnsupported);
  EXPECT_TRUE(PosixAcl::decode("").value().empty());
  EXPECT_TRUE(PosixAcl::decode(bytes_of_acl({})).value().empty());
}

TEST(PosixAcl, ChmodChangesMaskOrGroup) {
  PosixAcl masked =
      PosixAcl::decode(
          bytes_of_acl({{kOwner, 7}, {kUser, 7, 1}, {kOwningGroup, 4}, {kMask, 7}, {kOther, 4}}))
          .value();
  masked.set_mode(0610);
  EXPECT_EQ(masked.encode(),
            bytes_of_acl({{kOwner, 6}, {kUser, 7, 1}, {kOwningGroup, 4}, {kMask, 1}, {kOther, 0}}));
  PosixAcl plain =
      PosixAcl::decode(bytes_of_acl({{kOwner, 7}, {kOwningGroup, 4}, {kOther, 4}})).value();
  EXPECT_TRUE(plain.is_mode_only());
  plain.set_mode(0610);
  EXPECT_EQ(plain.mode(), 0610);
}

TEST(PosixAcl, RestrictsBothWays) {
  PosixAcl acl =
      PosixAcl::decode(
          bytes_of_acl({{kOwner, 7}, {kUser, 7, 1}, {kOwningGroup, 7}, {kMask, 6}, {kOther, 5}}))
          .value();
  EXPECT_EQ(acl.restrict_to(04674), 04664);
  EXPECT_EQ(acl.encode(),
            bytes_of_acl({{kOwner, 6}, {kUser, 7, 1}, {kOwningGroup, 7}, {kMask, 6}, {kOther, 4}}));
}

}  // namespace
}  // namespace varve
