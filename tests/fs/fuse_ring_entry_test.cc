// Goal: a request that comes in the pieces of a ring entry is handled as it would come from
// /dev/fuse, and its answer lies where the kernel looks for it.
#include "fs/fuse_ring_entry.h"

#include <gtest/gtest.h>
#include <liburing.h>
#include <linux/fuse.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "dedup/base/limits.h"
#include "fs/fuse_wire.h"

namespace varve {
namespace {

constexpr uint64_t kUnique = 42;

class FuseRingEntryTest : public testing::Test {
 protected:
  // As the kernel: a head, the request's first argument, and its further ones.
  void bring(uint32_t opcode, const std::string& operation, const std::string& payload) {
    fuse_in_header header{};
    header.opcode = opcode;
    header.unique = kUnique;
    header.len = static_cast<uint32_t>(sizeof header + operation.size() + payload.size());
    std::memcpy(headers()->in_out, &header, sizeof header);
    std::memcpy(headers()->operation, operation.data(), operation.size());
    std::memcpy(payload_memory(), payload.data(), payload.size());
    headers()->entry.commit_id = kUnique;
    headers()->entry.payload_bytes = static_cast<uint32_t>(payload.size());
  }
  FuseUringHeaders* headers() const {
    return static_cast<FuseUringHeaders*>(entry_.pieces()[0].iov_base);
  }
  char* payload_memory() const { return static_cast<char*>(entry_.pieces()[1].iov_base); }
  fuse_out_header answered() const {
    fuse_out_header header;
    std::memcpy(&header, headers()->in_out, sizeof header);
    return header;
  }

  FuseRingEntry entry_{3};
};

fuse_out_header head_of_answer() {
  fuse_out_header header{};
  header.unique = kUnique;
  return header;
}

TEST_F(FuseRingEntryTest, PutsARequestTogetherWithoutMovingItsPayload) {
  const std::string data(kFuseRequestBytes, 'd');
  bring(FUSE_WRITE, std::string(sizeof(fuse_write_in), 'o'), data);
  ASSERT_TRUE(entry_.take_request());
  const ByteView request = entry_.request();
  ASSERT_EQ(request.size(), sizeof(fuse_in_header) + sizeof(fuse_write_in) + data.size());
  fuse_in_header header;
  std::memcpy(&header, request.data(), sizeof header);
  EXPECT_EQ(header.unique, kUnique);
  const std::string_view rest = as_text(request.subspan(sizeof header));
  EXPECT_EQ(rest.substr(0, sizeof(fuse_write_in)), std::string(sizeof(fuse_write_in), 'o'));
  EXPECT_EQ(rest.substr(sizeof(fuse_write_in)), data);
  EXPECT_EQ(rest.data() + sizeof(fuse_write_in), payload_memory());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(payload_memory()) % 4096, 0u);
}

TEST_F(FuseRingEntryTest, KnowsRequestsWithoutAFirstArgumentOrPayload) {
  bring(FUSE_LOOKUP, "", std::string("name\0", 5));
  ASSERT_TRUE(entry_.take_request());
  EXPECT_EQ(as_text(entry_.request().subspan(sizeof(fuse_in_header))), std::string("name\0", 5));
  bring(FUSE_STATFS, "", "");
  ASSERT_TRUE(entry_.take_request());
  EXPECT_EQ(entry_.request().size(), sizeof(fuse_in_header));
}

TEST_F(FuseRingEntryTest, RefusesLengthsThatDoNotFit) {
  bring(FUSE_WRITE, std::string(40, 'o'), "data");
  headers()->entry.payload_bytes = kFuseRequestBytes + 1;
  EXPECT_FALSE(entry_.take_request());
  headers()->entry.payload_bytes = 100;  // more than the whole request
  EXPECT_FALSE(entry_.take_request());
  bring(FUSE_WRITE, "", "data");
  fuse_in_header header;
  std::memcpy(&header, headers()->in_out, sizeof header);
  header.len += sizeof(FuseUringHeaders::operation) + 1;
  std::memcpy(headers()->in_out, &header, sizeof header);
  EXPECT_FALSE(entry_.take_request());
}

TEST_F(FuseRingEntryTest, GathersTheAnswer) {
  bring(FUSE_READ, std::string(40, 'o'), "");
  ASSERT_TRUE(entry_.take_request());
  fuse_out_header header = head_of_answer();
  std::string one = "one ", two = "two";
  const iovec parts[3] = {
      {&header, sizeof header}, {one.data(), one.size()}, {two.data(), two.size()}};
  EXPECT_EQ(entry_.answer(parts, 3), static_cast<ssize_t>(sizeof header + 7));
  EXPECT_EQ(answered().unique, kUnique);
  EXPECT_EQ(headers()->entry.payload_bytes, 7u);
  EXPECT_EQ(headers()->entry.commit_id, kUnique);
  EXPECT_EQ(std::string(payload_memory(), 7), "one two");
  EXPECT_EQ(entry_.answer(parts, 3), -1) << "a second one";
  EXPECT_EQ(errno, EINVAL);
  entry_.end_request();
  EXPECT_EQ(answered().error, 0);
}

TEST_F(FuseRingEntryTest, TakesNoAnswerThatIsTooLong) {
  bring(FUSE_READ, std::string(40, 'o'), "");
  ASSERT_TRUE(entry_.take_request());
  fuse_out_header header = head_of_answer();
  std::string data(kFuseRequestBytes, 'x');
  const iovec parts[3] = {{&header, sizeof header}, {data.data(), data.size()}, {data.data(), 1}};
  EXPECT_EQ(entry_.answer(parts, 3), -1);
  EXPECT_EQ(entry_.answer(parts, 2), static_cast<ssize_t>(sizeof header + data.size()));
}

TEST_F(FuseRingEntryTest, WhatIsNotAnsweredIsAnError) {
  bring(FUSE_GETATTR, std::string(16, 'o'), "");
  ASSERT_TRUE(entry_.take_request());
  entry_.end_request();
  EXPECT_EQ(answered().error, -EIO);
  EXPECT_EQ(answered().unique, kUnique);
  EXPECT_EQ(headers()->entry.payload_bytes, 0u);
}

TEST_F(FuseRingEntryTest, NamesItsQueueAndTheRequestToTheKernel) {
  io_uring_sqe submission[2];
  bring(FUSE_STATFS, "", "");
  entry_.prepare_to_register(submission, 7);
  EXPECT_EQ(submission[0].opcode, IORING_OP_URING_CMD);
  EXPECT_EQ(submission[0].fd, 7);
  EXPECT_EQ(submission[0].cmd_op, kFuseUringRegister);
  EXPECT_EQ(submission[0].addr, reinterpret_cast<uint64_t>(entry_.pieces()));
  EXPECT_EQ(submission[0].len, 2u);
  entry_.prepare_to_commit(submission, 7);
  EXPECT_EQ(submission[0].cmd_op, kFuseUringCommitAndFetch);
  FuseUringCommand command;
  std::memcpy(&command, submission[0].cmd, sizeof command);
  EXPECT_EQ(command.commit_id, kUnique);
  EXPECT_EQ(command.queue, 3);
}

ByteView request_of(fuse_in_header& header, uint32_t opcode, size_t size) {
  header.opcode = opcode;
  return {reinterpret_cast<const uint8_t*>(&header), size};
}

TEST(FuseWireTest, KnowsWhatMayKeepOthersWaiting) {
  struct {
    fuse_in_header header{};
    uint8_t data[100 * 1024] = {};
  } large;
  fuse_in_header& header = large.header;
  EXPECT_FALSE(FuseWire::may_block(request_of(header, FUSE_LOOKUP, 100)));
  EXPECT_FALSE(FuseWire::may_block(request_of(header, FUSE_CREATE, 100)));
  EXPECT_FALSE(FuseWire::may_block(request_of(header, FUSE_WRITE, 8192)));
  EXPECT_TRUE(FuseWire::may_block(request_of(header, FUSE_WRITE, sizeof large)));
  auto& read = *reinterpret_cast<fuse_read_in*>(large.data);
  read.size = 4096;
  EXPECT_FALSE(FuseWire::may_block(request_of(header, FUSE_READ, 100)));
  read.size = kFuseRequestBytes;
  EXPECT_TRUE(FuseWire::may_block(request_of(header, FUSE_READ, 100)));
  EXPECT_TRUE(FuseWire::may_block(request_of(header, FUSE_FSYNC, 100)));
  EXPECT_TRUE(FuseWire::may_block(request_of(header, FUSE_MKDIR, 100))) << "takes snapshots";
  EXPECT_TRUE(FuseWire::may_block(request_of(header, 9999, 100))) << "nothing is known of it";
}

}  // namespace
}  // namespace varve
