// Extended attributes, POSIX ACLs among them.
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <cerrno>

#include "fs/fuse_ops.h"
#include "fs/fuse_reply.h"

namespace varve {
namespace {

void op_setxattr(fuse_req_t request, fuse_ino_t node, const char* name, const char* value,
                 size_t size, int flags) {
  FuseReply reply(request, "setxattr", node);
  Result<void> result = filesystem_of(request).set_xattr(node, name, {value, size}, {flags, false},
                                                         caller_of(request));
  // Too large a value is E2BIG here, and EFBIG where files are meant.
  if (!result.ok() && result.error().code() == Errc::kTooLarge) return reply.error_number(E2BIG);
  reply.done(result);
}

void op_getxattr(fuse_req_t request, fuse_ino_t node, const char* name, size_t room) {
  FuseReply reply(request, "getxattr", node);
  Result<std::string> value = filesystem_of(request).get_xattr(node, name);
  if (!value.ok()) return reply.error(value.error());
  reply.xattr(*value, room);
}

void op_listxattr(fuse_req_t request, fuse_ino_t node, size_t room) {
  FuseReply reply(request, "listxattr", node);
  Result<std::string> names = filesystem_of(request).list_xattrs(node, caller_of(request));
  if (!names.ok()) return reply.error(names.error());
  reply.xattr(*names, room);
}

void op_removexattr(fuse_req_t request, fuse_ino_t node, const char* name) {
  FuseReply reply(request, "removexattr", node);
  reply.done(filesystem_of(request).remove_xattr(node, name, caller_of(request)));
}

}  // namespace

void add_xattr_operations(fuse_lowlevel_ops& operations) {
  operations.setxattr = op_setxattr;
  operations.getxattr = op_getxattr;
  operations.listxattr = op_listxattr;
  operations.removexattr = op_removexattr;
}

}  // namespace varve
