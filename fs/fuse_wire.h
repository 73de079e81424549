// What the kernel says and hears that libfuse 3.14 does not know of: read from, and written into,
// the requests' own bytes.
//
// - KILLPRIV_V2: the kernel no longer asks for security.capability before a buffered write;
//   requests then say whether setuid and setgid are to go.
// - DIRECT_IO_ALLOW_MMAP: files opened with direct I/O can be mapped shared.
// - OVER_IO_URING: requests come through rings (fs/fuse_rings.h).
// - SETXATTR_EXT and whole requests: fs/fuse_raw.h.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <atomic>
#include <cstdint>

#include "dedup/base/bytes.h"
#include "fs/filesystem.h"
#include "fs/fuse_answers.h"
#include "fs/fuse_uring_abi.h"

namespace varve {

/// Of the request that this thread is handling: whether its caller has no right to keep setuid and
/// setgid.
bool request_kills_privileges();

/// The memory of the request that this thread handles. It is not written to again while anybody
/// shares it; nullptr if nobody may.
std::shared_ptr<const void> request_memory();
/// Where this thread's requests lie from now on.
void set_request_memory(const std::shared_ptr<const void>& memory);

class FuseWire {
 public:
  explicit FuseWire(Filesystem& filesystem) : filesystem_(filesystem) {}

  /// To be called with each request before libfuse gets it. True: it is answered already, libfuse
  /// must not see it.
  bool before(FuseAnswers& answers, ByteView request);
  /// Gives an answer of libfuse's to the kernel; the one to INIT gains what the kernel offered and
  /// libfuse did not take.
  ssize_t reply(FuseAnswers& answers, const iovec* parts, int count);

  /// Between before() and the answer to INIT: whether the kernel would send its requests over
  /// io_uring, and that it shall.
  bool offers_ring() const { return (offered_ & kFuseOverIoUring) != 0; }
  void take_ring() { takes_ring_ = true; }

  /// Which thread asked (0: the kernel itself), how many bytes the request moves, and whether it
  /// may take long: data and disks.
  struct Summary {
    pid_t asker = 0;
    size_t bytes = 0;
    bool heavy = false;
  };
  static Summary summary_of(ByteView request);

  /// Whether a request may take long, or wait: all but those that are over sooner than another
  /// thread is awake.
  static bool may_block(ByteView request);

  /// Whether the kernel has had its answer to INIT.
  bool negotiated() const { return negotiated_.load(std::memory_order_acquire); }
  bool uses_ring() const { return uses_ring_; }
  bool kills_privileges() const { return kills_privileges_; }
  bool maps_direct_io() const { return maps_direct_io_; }

 private:
  void note_init(ByteView request);
  ssize_t reply_to_init(FuseAnswers& answers, const iovec* parts, int count);

  Filesystem& filesystem_;
  std::atomic<bool> negotiated_{false};
  // Of the INIT request; only the thread that handles it reads and writes these.
  uint64_t init_unique_ = 0;
  uint64_t offered_ = 0;
  bool takes_ring_ = false;
  bool uses_ring_ = false;
  bool kills_privileges_ = false;
  bool maps_direct_io_ = false;
  bool long_setxattr_ = false;
};

}  // namespace varve
