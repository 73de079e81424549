// Data: opening, reading, writing, making durable.
#define FUSE_USE_VERSION 314
#include <fcntl.h>
#include <fuse_lowlevel.h>

#include "fs/fuse_ops.h"
#include "fs/fuse_reply.h"
#include "fs/fuse_wire.h"

namespace varve {
namespace {

void op_open(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
  FuseReply reply(request, "open", node);
  Result<OpenFile> file = filesystem_of(request).open(node, info->flags, request_kills_privileges(),
                                                      caller_of(request));
  if (!file.ok()) return reply.error(file.error());
  if (!reply.opened(*file)) filesystem_of(request).release(node, file->handle);
}

void op_create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
               fuse_file_info* info) {
  FuseReply reply(request, "create", parent);
  Result<Filesystem::Created> created =
      filesystem_of(request).create(parent, name, mode, info->flags, caller_of(request));
  if (!created.ok()) return reply.error(created.error());
  if (reply.created(*created)) return;
  const Ino node = created->entry.attributes.ino;
  filesystem_of(request).release(node, created->file.handle);
  filesystem_of(request).forget(node, 1);
}

void op_read(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset, fuse_file_info* info) {
  FuseReply reply(request, "read", node);
  Result<void> result =
      filesystem_of(request).read(node, info->fh, static_cast<uint64_t>(offset), size,
                                  [&](ByteView bytes) { reply.data(bytes); });
  if (!result.ok()) reply.error(result.error());
}

void op_write(fuse_req_t request, fuse_ino_t node, const char* data, size_t size, off_t offset,
              fuse_file_info* info) {
  FuseReply reply(request, "write", node);
  WriteOptions options;
  // Pages that mmap made dirty are written where they lie, whatever the handle says.
  options.append = (info->flags & O_APPEND) != 0 && !info->writepage;
  options.kill_privileges = request_kills_privileges();
  if (size + kKeptWriteBytes >= kFuseRequestBytes) options.memory = request_memory();
  Result<size_t> written = filesystem_of(request).write(
      node, info->fh, static_cast<uint64_t>(offset), as_bytes({data, size}), std::move(options));
  if (!written.ok()) return reply.error(written.error());
  reply.written(*written);
}

void op_flush(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
  FuseReply reply(request, "close", node);
  reply.done(filesystem_of(request).flush(node, info->fh));
}

void op_release(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
  FuseReply reply(request, "release", node);
  filesystem_of(request).release(node, info->fh);
  reply.done({});
}

void op_fsync(fuse_req_t request, fuse_ino_t node, int data_only, fuse_file_info* info) {
  FuseReply reply(request, "fsync", node);
  reply.done(filesystem_of(request).sync(node, info->fh, data_only != 0));
}

void op_fallocate(fuse_req_t request, fuse_ino_t node, int mode, off_t offset, off_t length,
                  fuse_file_info* info) {
  FuseReply reply(request, "fallocate", node);
  reply.done(filesystem_of(request).allocate(node, info->fh, mode, static_cast<uint64_t>(offset),
                                             static_cast<uint64_t>(length)));
}

void op_lseek(fuse_req_t request, fuse_ino_t node, off_t offset, int whence, fuse_file_info* info) {
  FuseReply reply(request, "lseek", node);
  Result<uint64_t> found =
      filesystem_of(request).seek(node, info->fh, static_cast<uint64_t>(offset), whence);
  if (!found.ok()) return reply.error(found.error());
  reply.position(*found);
}

void op_copy_file_range(fuse_req_t request, fuse_ino_t from, off_t from_offset,
                        fuse_file_info* from_info, fuse_ino_t to, off_t to_offset,
                        fuse_file_info* to_info, size_t length, int) {
  FuseReply reply(request, "copy_file_range", from);
  Result<size_t> copied =
      filesystem_of(request).copy_range(from, from_info->fh, static_cast<uint64_t>(from_offset), to,
                                        to_info->fh, static_cast<uint64_t>(to_offset), length);
  if (!copied.ok()) return reply.error(copied.error());
  reply.written(*copied);
}

}  // namespace

void add_file_operations(fuse_lowlevel_ops& operations) {
  operations.open = op_open;
  operations.create = op_create;
  operations.read = op_read;
  operations.write = op_write;
  operations.flush = op_flush;
  operations.release = op_release;
  operations.fsync = op_fsync;
  operations.fallocate = op_fallocate;
  operations.lseek = op_lseek;
  operations.copy_file_range = op_copy_file_range;
}

}  // namespace varve
