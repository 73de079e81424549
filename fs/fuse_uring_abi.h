// The kernel's interface to FUSE over io_uring, as of Linux 6.14; newer than the headers of Debian
// 12.
//
// A ring entry is two pieces of memory: headers, and a payload. It is given to the kernel by
// REGISTER and comes back, as the completion of that command, with a request in it.
// COMMIT_AND_FETCH gives it back with the answer and asks for the next request. Each entry belongs
// to the queue of one possible processor; a request goes to the queue of the processor that asks.
// The kernel uses no queue before each has an entry, and lets no request pass meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>

namespace varve {

/// Of INIT's 64 flags.
inline constexpr uint64_t kFuseOverIoUring = uint64_t{1} << 41;

/// Commands; struct FuseUringCommand stands where a large submission has room for it.
inline constexpr uint32_t kFuseUringRegister = 1;
inline constexpr uint32_t kFuseUringCommitAndFetch = 2;

struct FuseUringCommand {
  uint64_t flags;
  uint64_t commit_id;  // of the request that is answered
  uint16_t queue;
  uint8_t padding[6];
};

struct FuseUringEntryInOut {
  uint64_t flags;
  uint64_t commit_id;
  uint32_t payload_bytes;  // both ways
  uint32_t padding;
  uint64_t reserved;
};

struct FuseUringHeaders {
  uint8_t in_out[128];     // fuse_in_header; fuse_out_header in the answer
  uint8_t operation[128];  // the request's first argument; its further ones are payload
  FuseUringEntryInOut entry;
};

static_assert(sizeof(FuseUringCommand) == 24 && sizeof(FuseUringEntryInOut) == 32 &&
              sizeof(FuseUringHeaders) == 288);

}  // namespace varve
