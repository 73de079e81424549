#include "fs/fuse_wire.h"

#include <linux/fuse.h>

#include <cerrno>
#include <cstring>

#include "dedup/base/limits.h"
#include "fs/fuse_raw.h"

namespace varve {
namespace {

// Newer than the headers of Debian 12.
constexpr uint64_t kDirectIoAllowMmap = uint64_t{1} << 36;

// A write of a small file is over sooner than another thread is awake.
constexpr size_t kLargeWriteBytes = 64 * kKiB;
// The same of a read of what is in memory.
constexpr size_t kLargeReadBytes = 64 * kKiB;

// A request is handled by one thread from its first byte to its answer, and libfuse hands on no
// pointer to it.
thread_local bool kill_privileges_now = false;
thread_local std::weak_ptr<const void> memory_of_requests;

bool kills_privileges_in(uint32_t opcode, ByteView request) {
  switch (opcode) {
    case FUSE_WRITE: {
      fuse_write_in in;
      return read_part(request, kRequestBody, in) &&
             (in.write_flags & FUSE_WRITE_KILL_SUIDGID) != 0;
    }
    case FUSE_SETATTR: {
      fuse_setattr_in in;
      return read_part(request, kRequestBody, in) && (in.valid & FATTR_KILL_SUIDGID) != 0;
    }
    case FUSE_OPEN: {
      fuse_open_in in;
      return read_part(request, kRequestBody, in) && (in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0;
    }
    case FUSE_CREATE: {
      fuse_create_in in;
      return read_part(request, kRequestBody, in) && (in.open_flags & FUSE_OPEN_KILL_SUIDGID) != 0;
    }
    default:
      return false;
  }
}

}  // namespace

std::shared_ptr<const void> request_memory() {
  return memory_of_requests.lock();
}

void set_request_memory(const std::shared_ptr<const void>& memory) {
  memory_of_requests = memory;
}

bool request_kills_privileges() {
  return kill_privileges_now;
}

bool FuseWire::before(FuseAnswers& answers, ByteView request) {
  fuse_in_header header;
  if (!read_part(request, 0, header)) return true;  // the kernel sends no such thing
  kill_privileges_now = kills_privileges_in(header.opcode, request);
  if (header.opcode == FUSE_INIT) note_init(request);
  return answer_raw(filesystem_, answers, request, long_setxattr_);
}

FuseWire::Summary FuseWire::summary_of(ByteView request) {
  fuse_in_header header;
  if (!read_part(request, 0, header)) return {};
  Summary summary{static_cast<pid_t>(header.pid), request.size(), false};
  fuse_read_in in;
  if (header.opcode == FUSE_READ && read_part(request, kRequestBody, in)) summary.bytes += in.size;
  summary.heavy = header.opcode == FUSE_READ || header.opcode == FUSE_FSYNC ||
                  header.opcode == FUSE_FSYNCDIR || header.opcode == FUSE_COPY_FILE_RANGE ||
                  (header.opcode == FUSE_WRITE && request.size() > kLargeWriteBytes);
  return summary;
}

bool FuseWire::may_block(ByteView request) {
  fuse_in_header header;
  if (!read_part(request, 0, header)) return true;
  switch (header.opcode) {
    case FUSE_WRITE:
      return request.size() > kLargeWriteBytes;
    case FUSE_READ: {
      fuse_read_in in;
      return !read_part(request, kRequestBody, in) || in.size > kLargeReadBytes;
    }
    case FUSE_LOOKUP:
    case FUSE_GETATTR:
    case FUSE_SETATTR:
    case FUSE_READLINK:
    case FUSE_SYMLINK:
    case FUSE_MKNOD:
    case FUSE_UNLINK:
    case FUSE_RENAME:
    case FUSE_RENAME2:
    case FUSE_LINK:
    case FUSE_OPEN:
    case FUSE_CREATE:
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_OPENDIR:
    case FUSE_READDIR:
    case FUSE_READDIRPLUS:
    case FUSE_RELEASEDIR:
    case FUSE_SETXATTR:
    case FUSE_GETXATTR:
    case FUSE_LISTXATTR:
    case FUSE_REMOVEXATTR:
    case FUSE_ACCESS:
    case FUSE_STATFS:
    case FUSE_LSEEK:
      return false;
    default:
      return true;
  }
}

void FuseWire::note_init(ByteView request) {
  fuse_in_header header;
  fuse_init_in in{};
  if (!read_part(request, 0, header)) return;
  init_unique_ = header.unique;
  if (!read_part(request, kRequestBody, in)) return;  // a kernel too old to have anything for us
  offered_ = in.flags;
  if (in.flags & FUSE_INIT_EXT) offered_ |= uint64_t{in.flags2} << 32;
}

ssize_t FuseWire::reply(FuseAnswers& answers, const iovec* parts, int count) {
  if (!negotiated()) {
    fuse_out_header header;
    std::memcpy(&header, parts[0].iov_base, sizeof header);
    if (init_unique_ != 0 && header.unique == init_unique_)
      return reply_to_init(answers, parts, count);
  }
  return answers.answer(parts, count);
}

ssize_t FuseWire::reply_to_init(FuseAnswers& answers, const iovec* parts, int count) {
  fuse_init_out out;
  iovec edited[2] = {parts[0], {&out, sizeof out}};
  ssize_t written = 0;
  if (count == 2 && parts[1].iov_len == sizeof out) {
    std::memcpy(&out, parts[1].iov_base, sizeof out);
    uint64_t flags = out.flags;
    flags |= offered_ & (FUSE_HANDLE_KILLPRIV_V2 | FUSE_SETXATTR_EXT);
    if (offered_ & FUSE_INIT_EXT) {
      flags |= (offered_ & kDirectIoAllowMmap) | FUSE_INIT_EXT;
      if (takes_ring_) flags |= offered_ & kFuseOverIoUring;
    }
    out.flags = static_cast<uint32_t>(flags);
    if (offered_ & FUSE_INIT_EXT) out.flags2 |= static_cast<uint32_t>(flags >> 32);
    uses_ring_ = (flags & kFuseOverIoUring) != 0;
    kills_privileges_ = (flags & FUSE_HANDLE_KILLPRIV_V2) != 0;
    long_setxattr_ = (flags & FUSE_SETXATTR_EXT) != 0;
    maps_direct_io_ = (flags & kDirectIoAllowMmap) != 0;
    written = answers.answer(edited, 2);
  } else {
    written = answers.answer(parts, count);
  }
  const int number = errno;
  negotiated_.store(true, std::memory_order_release);
  errno = number;
  return written;
}

}  // namespace varve
