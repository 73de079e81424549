// Where the answer to a request goes: /dev/fuse, or the ring entry that the request came in.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

namespace varve {

class FuseAnswers {
 public:
  virtual ~FuseAnswers() = default;
  /// A fuse_out_header and what belongs to it. As writev(2): -1 and errno where the kernel does not
  /// take it.
  virtual ssize_t answer(const iovec* parts, int count) = 0;
};

class DeviceAnswers final : public FuseAnswers {
 public:
  explicit DeviceAnswers(int fd) : fd_(fd) {}
  ssize_t answer(const iovec* parts, int count) override { return ::writev(fd_, parts, count); }

 private:
  int fd_;
};

}  // namespace varve
