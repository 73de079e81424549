// Goal: every error code has an errno that programs understand, and damage is told from callers'
// mistakes.
#include "fs/errno_map.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "fs/control.h"

namespace varve {
namespace {

TEST(ErrnoMap, KnowsEveryCode) {
  for (int code = 0; code <= static_cast<int>(Errc::kNoDevice); code++) {
    const auto errc = static_cast<Errc>(code);
    EXPECT_GT(errno_of(errc), 0) << code;
    EXPECT_EQ(errc_name(errc) == "io", errc == Errc::kIo)
        << code << " has no name in the control protocol";
  }
}

TEST(ErrnoMap, SaysDamageIsEio) {
  for (Errc code : {Errc::kIo, Errc::kCorrupt, Errc::kAuthentication, Errc::kForeign}) {
    EXPECT_EQ(errno_of(code), EIO);
    EXPECT_TRUE(is_damage(code));
  }
  EXPECT_EQ(errno_of(Errc::kNotFound), ENOENT);
  EXPECT_EQ(errno_of(Errc::kNoAttribute), ENODATA);
  EXPECT_EQ(errno_of(Errc::kCrossDevice), EXDEV);
  EXPECT_FALSE(is_damage(Errc::kNotFound));
  EXPECT_FALSE(is_damage(Errc::kNoSpace));
}

}  // namespace
}  // namespace varve
