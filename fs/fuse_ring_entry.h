// One place of a ring: requests of the kernel come in, one after the other, and each is answered in
// the same memory.
//
// Not thread-safe; between the request and the answer it belongs to whoever handles the request.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>

#include "dedup/base/bytes.h"
#include "fs/fuse_answers.h"
#include "fs/fuse_uring_abi.h"

struct io_uring_sqe;

namespace varve {

class FuseRingEntry final : public FuseAnswers {
 public:
  /// Of the queue of one processor.
  explicit FuseRingEntry(uint16_t queue);

  /// Makes the submission (of 128 bytes) that registers the entry, or gives back its answer and
  /// asks for the next request. `device`: of the connection.
  void prepare_to_register(io_uring_sqe* submission, int device);
  void prepare_to_commit(io_uring_sqe* submission, int device);

  /// Puts together what the kernel brought. False: it makes no sense.
  bool take_request();
  /// The request as /dev/fuse would give it; until the answer.
  ByteView request() const { return request_; }
  ssize_t answer(const iovec* parts, int count) override;
  /// Makes EIO the answer where none was given.
  void end_request();

  /// What is registered: FuseUringHeaders, and the payload.
  const iovec* pieces() const { return pieces_; }

 private:
  struct Unmap {
    void operator()(uint8_t* memory) const;
  };
  void prepare(io_uring_sqe* submission, int device, uint32_t operation);
  uint8_t* payload() { return static_cast<uint8_t*>(pieces_[1].iov_base); }

  const uint16_t queue_;
  FuseUringHeaders headers_{};
  std::unique_ptr<uint8_t, Unmap> memory_;  // room for the request's head, and the payload
  iovec pieces_[2];
  ByteView request_;
  bool answered_ = false;
};

}  // namespace varve
