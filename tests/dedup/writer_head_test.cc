// Goal: a writer's head comes back as it was written, and one that makes no sense counts as absent.
#include "dedup/writer_head.h"

#include <gtest/gtest.h>

#include "tests/support/simulated_storage.h"

namespace varve {
namespace {

struct WriterHeadTest : testing::Test {
  SimulatedStorage storage;

  void SetUp() override { ASSERT_TRUE(storage.make_directories("local").ok()); }
  std::optional<WriterHead> read() {
    auto head = read_writer_head(storage);
    EXPECT_TRUE(head.ok());
    return head.ok() ? *head : std::nullopt;
  }
  std::optional<WriterHead> read(std::string_view content) {
    EXPECT_TRUE(write_whole(storage, "local/head", as_bytes(content)).ok());
    return read();
  }
};

TEST_F(WriterHeadTest, ComesBack) {
  EXPECT_FALSE(read());
  ASSERT_TRUE(write_writer_head(storage, {WriterId{{1}}, 42, {WriterId{{2}}, WriterId{{3}}}}).ok());
  const auto head = read();
  ASSERT_TRUE(head);
  EXPECT_EQ(head->writer, WriterId{{1}});
  EXPECT_EQ(head->sequence, 42u);
  EXPECT_EQ(head->succeeded, (std::vector<WriterId>{WriterId{{2}}, WriterId{{3}}}));
}

TEST_F(WriterHeadTest, WhatMakesNoSenseCountsAsAbsent) {
  const std::string writer = "{\"writer\": \"" + WriterId{{1}}.hex() + "\", ";
  EXPECT_TRUE(read(writer + "\"sequence\": 1, \"succeeded\": []}"));
  EXPECT_FALSE(read(""));
  EXPECT_FALSE(read("[]"));
  EXPECT_FALSE(read(writer + "\"sequence\": 1}"));
  EXPECT_FALSE(read(writer + "\"sequence\": -1, \"succeeded\": []}"));
  EXPECT_FALSE(read(writer + "\"sequence\": 1, \"succeeded\": [7]}"));
  EXPECT_FALSE(read("{\"writer\": 1, \"sequence\": 1, \"succeeded\": []}"));
}

TEST_F(WriterHeadTest, NestingWithoutEndHarmsNobody) {
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  const std::string writer = "{\"writer\": \"" + WriterId{{1}}.hex() + "\", \"sequence\": 1, ";
  EXPECT_FALSE(read(writer + "\"succeeded\": " + deep + "}"));
  EXPECT_FALSE(read("{\"writer\": " + deep + ", \"sequence\": 1, \"succeeded\": []}"));
}

}  // namespace
}  // namespace varve
