#include "fs/fuse_ops.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "dedup/base/limits.h"

namespace varve {
namespace {

// Requests that the kernel may have under way on its own account (read-ahead, asynchronous direct
// I/O).
constexpr unsigned kBackgroundRequestsMax = 64;

void negotiate(void*, fuse_conn_info* connection) {
  // Node ids are never used again and "." and ".." can be looked up: NFS may re-export. Names and
  // data change through this mount alone, so that the kernel need not drop pages when times change
  // (EXPLICIT instead of AUTO_INVAL_DATA). Locks stay with the kernel: FLOCK_LOCKS and POSIX_LOCKS
  // are not asked for. The umask is applied behind default ACLs, so not by the kernel.
  constexpr unsigned kWanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_ATOMIC_O_TRUNC |
                               FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_DONT_MASK | FUSE_CAP_READDIRPLUS |
                               FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS |
                               FUSE_CAP_POSIX_ACL | FUSE_CAP_CACHE_SYMLINKS |
                               FUSE_CAP_EXPLICIT_INVAL_DATA;
  connection->want = connection->capable & kWanted;
  connection->max_write = kFuseRequestBytes;
  connection->max_readahead = kFuseRequestBytes;
  connection->max_background = kBackgroundRequestsMax;
  connection->congestion_threshold = kBackgroundRequestsMax * 3 / 4;
  connection->time_gran = 1;
}

}  // namespace

fuse_lowlevel_ops all_operations() {
  fuse_lowlevel_ops operations{};
  operations.init = negotiate;
  add_directory_operations(operations);
  add_file_operations(operations);
  add_attribute_operations(operations);
  add_xattr_operations(operations);
  return operations;
}

Filesystem& filesystem_of(fuse_req* request) {
  return *static_cast<Filesystem*>(fuse_req_userdata(request));
}

Caller caller_of(fuse_req* request) {
  const fuse_ctx* context = fuse_req_ctx(request);
  return {context->uid, context->gid, context->pid, context->umask};
}

}  // namespace varve
