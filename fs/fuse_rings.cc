#include "fs/fuse_rings.h"

#include <fmt/format.h>
#include <liburing.h>
#include <linux/fuse.h>
#include <sched.h>
#include <sys/sysinfo.h>

#include <cerrno>
#include <cstring>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"
#include "fs/fuse_uring_abi.h"

namespace varve {
namespace {

constexpr size_t kEntriesPerQueue = 8;
constexpr size_t kHeaderRoomBytes = 4096;  // in front of a payload; keeps it at a page's begin
constexpr unsigned kSubmissionsMax = 128;

}  // namespace

class FuseRings::Entry final : public FuseRingEntry {
 public:
  Entry(Ring& ring, uint16_t queue)
      : ring_(ring), queue_(queue), memory_(kHeaderRoomBytes + kFuseRequestBytes) {
    pieces_[0] = {&headers_, sizeof headers_};
    pieces_[1] = {payload(), kFuseRequestBytes};
  }

  ByteView request() const override { return request_; }
  ssize_t answer(const iovec* parts, int count) override;

  /// Puts the request together, in front of its payload; false if it makes no sense.
  bool take_request();
  bool submit(int device, uint32_t operation);

 private:
  uint8_t* payload() { return memory_.data() + kHeaderRoomBytes; }

  Ring& ring_;
  const uint16_t queue_;
  Buffer memory_;
  FuseUringHeaders headers_{};
  iovec pieces_[2];
  ByteView request_;
};

struct FuseRings::Ring {
  int processor = 0;
  io_uring ring{};
  bool is_set_up = false;
  std::vector<std::unique_ptr<Entry>> entries;

  ~Ring() {
    if (is_set_up) io_uring_queue_exit(&ring);
  }
};

bool FuseRings::Entry::take_request() {
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

ssize_t FuseRings::Entry::answer(const iovec* parts, int count) {
  size_t bytes = 0;
  for (int i = 1; i < count; i++) {
    if (parts[i].iov_len > kFuseRequestBytes - bytes) {
      errno = EINVAL;
      return -1;
    }
    std::memcpy(payload() + bytes, parts[i].iov_base, parts[i].iov_len);
    bytes += parts[i].iov_len;
  }
  std::memcpy(headers_.in_out, parts[0].iov_base, sizeof(fuse_out_header));
  headers_.entry.payload_bytes = static_cast<uint32_t>(bytes);
  return static_cast<ssize_t>(sizeof(fuse_out_header) + bytes);
}

bool FuseRings::Entry::submit(int device, uint32_t operation) {
  io_uring_sqe* submission = io_uring_get_sqe(&ring_.ring);
  if (submission == nullptr) return false;
  std::memset(submission, 0, 2 * sizeof *submission);
  submission->opcode = IORING_OP_URING_CMD;
  submission->fd = device;
  submission->cmd_op = operation;
  if (operation == kFuseUringRegister) {
    submission->addr = reinterpret_cast<uint64_t>(pieces_);
    submission->len = 2;
  }
  const FuseUringCommand command{0, headers_.entry.commit_id, queue_, {}};
  std::memcpy(submission->cmd, &command, sizeof command);
  io_uring_sqe_set_data(submission, this);
  return true;
}

FuseRings::FuseRings() = default;
FuseRings::~FuseRings() = default;

Result<std::unique_ptr<FuseRings>> FuseRings::open() {
  std::unique_ptr<FuseRings> rings(new FuseRings);
  const int possible = ::get_nprocs_conf();
  for (int processor = 0; processor < possible; processor++) {
    auto ring = std::make_unique<Ring>();
    ring->processor = processor;
    VARVE_TRY(set_up(*ring));
    for (size_t i = 0; i < kEntriesPerQueue; i++)
      ring->entries.push_back(std::make_unique<Entry>(*ring, static_cast<uint16_t>(processor)));
    rings->rings_.push_back(std::move(ring));
  }
  return rings;
}

Result<void> FuseRings::set_up(Ring& ring) {
  io_uring_params params{};
  params.flags = IORING_SETUP_SQE128 | IORING_SETUP_COOP_TASKRUN;
  const int result = io_uring_queue_init_params(kSubmissionsMax, &ring.ring, &params);
  if (result < 0) return error_from_errno(-result, "no io_uring");
  ring.is_set_up = true;
  return {};
}

Result<void> FuseRings::register_entries(Ring& ring, int device) {
  for (const auto& entry : ring.entries) {
    if (!entry->submit(device, kFuseUringRegister))
      return Error(Errc::kIo, "the ring is too small for its entries");
  }
  const int submitted = io_uring_submit(&ring.ring);
  if (submitted < 0) return error_from_errno(-submitted, "registering with io_uring failed");
  return {};
}

void FuseRings::take_completions(Ring& ring, int device, const Handle& handle, bool& connected) {
  for (io_uring_cqe* completion = nullptr; io_uring_peek_cqe(&ring.ring, &completion) == 0;) {
    auto* entry = static_cast<Entry*>(io_uring_cqe_get_data(completion));
    const int result = completion->res;
    io_uring_cqe_seen(&ring.ring, completion);
    if (result < 0) {
      if (result != -ENOTCONN && result != -ECANCELED)
        log_error(fmt::format("a ring entry is lost: {}", std::strerror(-result)));
      connected = false;
      continue;
    }
    if (!entry->take_request()) {
      log_error("the kernel sent a request that makes no sense");
      connected = false;
      continue;
    }
    handle(*entry);
    entry->submit(device, kFuseUringCommitAndFetch);
  }
}

Result<void> FuseRings::serve(size_t index, int device, const Handle& handle) {
  Ring& ring = *rings_[index];
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(ring.processor), &set);
  (void)::sched_setaffinity(0, sizeof set, &set);
  VARVE_TRY(register_entries(ring, device));
  bool connected = true;
  while (connected && !stopped_) {
    const int waited = io_uring_submit_and_wait(&ring.ring, 1);
    if (waited < 0 && waited != -EINTR)
      return error_from_errno(-waited, "waiting for requests failed");
    take_completions(ring, device, handle, connected);
  }
  return {};
}

}  // namespace varve
