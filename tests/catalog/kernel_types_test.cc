// Goal: types and times go to the kernel's words and back without loss, before 1970 too.

#include "catalog/kernel_types.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

TEST(KernelTypes, EveryTypeComesBack) {
  for (int type = 1; type <= 7; type++) {
    const FileType wanted = static_cast<FileType>(type);
    auto back = file_type_of(format_bits(wanted) | 0644);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(*back, wanted);
  }
  EXPECT_EQ(*file_type_of(0644), FileType::kFile);
  EXPECT_EQ(file_type_of(S_IFMT).error().code(), Errc::kInvalid);
}

TEST(KernelTypes, TimesBefore1970HaveNoNegativeNanoseconds) {
  const timespec before = timespec_of(-1);
  EXPECT_EQ(before.tv_sec, -1);
  EXPECT_EQ(before.tv_nsec, 999'999'999);
  for (const Nanoseconds time : {Nanoseconds{-1}, Nanoseconds{0}, Nanoseconds{-1'500'000'000},
                                 Nanoseconds{4'294'967'296'000'000'001}}) {
    EXPECT_EQ(nanoseconds_of(timespec_of(time)), time);
  }
}

TEST(KernelTypes, TimesTooFarAwayAreTheFarthest) {
  EXPECT_EQ(nanoseconds_of({INT64_MAX, 0}), INT64_MAX);
  EXPECT_EQ(nanoseconds_of({INT64_MIN, 0}), INT64_MIN);
}

}  // namespace
}  // namespace varve
