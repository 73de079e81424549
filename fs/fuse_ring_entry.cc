#include "fs/fuse_ring_entry.h"

#include <liburing.h>
#include <linux/fuse.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "dedup/base/limits.h"

namespace varve {
namespace {

// In front of a payload, so that a request lies in one piece though its payload came alone; a page,
// so that the payload begins with one.
constexpr size_t kHeadBytes = 4096;
constexpr size_t kMemoryBytes = kHeadBytes + kFuseRequestBytes;
static_assert(sizeof(fuse_in_header) + sizeof(FuseUringHeaders::operation) <= kHeadBytes);

// Pages come when they are first written to: most entries never see a large request.
uint8_t* map_memory() {
  void* memory = ::mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<uint8_t*>(memory);
}

}  // namespace

void FuseRingEntry::Unmap::operator()(uint8_t* memory) const {
  ::munmap(memory, kMemoryBytes);
}

FuseRingEntry::FuseRingEntry(uint16_t queue) : queue_(queue), memory_(map_memory()) {
  pieces_[0] = {&headers_, sizeof headers_};
  pieces_[1] = {memory_.get() + kHeadBytes, kFuseRequestBytes};
}

void FuseRingEntry::prepare(io_uring_sqe* submission, int device, uint32_t operation) {
  std::memset(submission, 0, 2 * sizeof *submission);
  submission->opcode = IORING_OP_URING_CMD;
  submission->fd = device;
  submission->cmd_op = operation;
  const FuseUringCommand command{0, headers_.entry.commit_id, queue_, {}};
  std::memcpy(submission->cmd, &command, sizeof command);
  io_uring_sqe_set_data(submission, this);
}

void FuseRingEntry::prepare_to_register(io_uring_sqe* submission, int device) {
  prepare(submission, device, kFuseUringRegister);
  submission->addr = reinterpret_cast<uint64_t>(pieces_);
  submission->len = 2;
}

void FuseRingEntry::prepare_to_commit(io_uring_sqe* submission, int device) {
  prepare(submission, device, kFuseUringCommitAndFetch);
}

bool FuseRingEntry::take_request() {
  answered_ = false;
  fuse_in_header header;
  std::memcpy(&header, headers_.in_out, sizeof header);
  const size_t payload_bytes = headers_.entry.payload_bytes;
  if (payload_bytes > kFuseRequestBytes || header.len < sizeof header + payload_bytes) return false;
  const size_t operation_bytes = header.len - sizeof header - payload_bytes;
  if (operation_bytes > sizeof headers_.operation) return false;
  uint8_t* const begin = payload() - operation_bytes - sizeof header;
  std::memcpy(begin, &header, sizeof header);
  std::memcpy(begin + sizeof header, headers_.operation, operation_bytes);
  request_ = {begin, header.len};
  return true;
}

ssize_t FuseRingEntry::answer(const iovec* parts, int count) {
  size_t bytes = 0;
  for (int i = 1; i < count; i++) bytes += parts[i].iov_len;
  if (answered_ || bytes > kFuseRequestBytes) {
    errno = EINVAL;
    return -1;
  }
  uint8_t* end = payload();
  for (int i = 1; i < count; i++) {
    // It may have been made of the request's own bytes.
    std::memmove(end, parts[i].iov_base, parts[i].iov_len);
    end += parts[i].iov_len;
  }
  std::memcpy(headers_.in_out, parts[0].iov_base, sizeof(fuse_out_header));
  headers_.entry.payload_bytes = static_cast<uint32_t>(bytes);
  answered_ = true;
  return static_cast<ssize_t>(sizeof(fuse_out_header) + bytes);
}

void FuseRingEntry::end_request() {
  if (answered_) return;
  fuse_out_header header{};
  header.len = sizeof header;
  header.error = -EIO;
  header.unique = headers_.entry.commit_id;
  const iovec part{&header, sizeof header};
  (void)answer(&part, 1);
}

}  // namespace varve
