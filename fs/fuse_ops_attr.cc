// Attributes of files, and figures of the whole filesystem.
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "catalog/kernel_types.h"
#include "fs/fuse_ops.h"
#include "fs/fuse_reply.h"
#include "fs/fuse_wire.h"

namespace varve {
namespace {

std::optional<uint64_t> handle_of(const fuse_file_info* info) {
  if (info == nullptr) return std::nullopt;
  return info->fh;
}

SetAttributes change_of(const struct stat& wanted, int to_set) {
  SetAttributes change;
  if (to_set & FUSE_SET_ATTR_MODE)
    change.permissions = static_cast<uint16_t>(wanted.st_mode & 07777);
  if (to_set & FUSE_SET_ATTR_UID) change.uid = wanted.st_uid;
  if (to_set & FUSE_SET_ATTR_GID) change.gid = wanted.st_gid;
  if (to_set & FUSE_SET_ATTR_SIZE) change.size = static_cast<uint64_t>(wanted.st_size);
  change.atime_now = (to_set & FUSE_SET_ATTR_ATIME_NOW) != 0;
  change.mtime_now = (to_set & FUSE_SET_ATTR_MTIME_NOW) != 0;
  // The kernel sets both bits for "now"; the time that comes with it is then empty.
  if ((to_set & FUSE_SET_ATTR_ATIME) && !change.atime_now)
    change.atime = nanoseconds_of(wanted.st_atim);
  if ((to_set & FUSE_SET_ATTR_MTIME) && !change.mtime_now)
    change.mtime = nanoseconds_of(wanted.st_mtim);
  if (to_set & FUSE_SET_ATTR_CTIME) change.ctime = nanoseconds_of(wanted.st_ctim);
  // A request for nothing is the kernel's way to say that a write takes privileges away, or that
  // chown(2) was called with neither an owner nor a group, which does so, too.
  change.kill_privileges = request_kills_privileges() || to_set == 0;
  return change;
}

void op_getattr(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
  FuseReply reply(request, "stat", node);
  Result<Entry> entry = filesystem_of(request).get_attributes(node, handle_of(info));
  if (!entry.ok()) return reply.error(entry.error());
  reply.attributes(*entry);
}

void op_setattr(fuse_req_t request, fuse_ino_t node, struct stat* wanted, int to_set,
                fuse_file_info* info) {
  FuseReply reply(request, "change of attributes", node);
  Result<Entry> entry = filesystem_of(request).set_attributes(node, change_of(*wanted, to_set),
                                                              handle_of(info), caller_of(request));
  if (!entry.ok()) return reply.error(entry.error());
  reply.attributes(*entry);
}

void op_statfs(fuse_req_t request, fuse_ino_t node) {
  FuseReply reply(request, "statfs", node);
  Result<SpaceFigures> figures = filesystem_of(request).space();
  if (!figures.ok()) return reply.error(figures.error());
  reply.space(*figures);
}

}  // namespace

void add_attribute_operations(fuse_lowlevel_ops& operations) {
  operations.getattr = op_getattr;
  operations.setattr = op_setattr;
  operations.statfs = op_statfs;
}

}  // namespace varve
