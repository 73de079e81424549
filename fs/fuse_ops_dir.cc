// Names: looking them up, making, moving and removing them, listing directories.
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <sys/stat.h>

#include "fs/fuse_ops.h"
#include "fs/fuse_reply.h"

namespace varve {
namespace {

// Answers with an entry that counts one reference, which the kernel does not get if it no longer
// waits.
void answer_entry(fuse_req_t request, FuseReply& reply, const Result<Entry>& entry) {
  if (!entry.ok()) return reply.error(entry.error());
  const Ino node = entry->attributes.ino;
  if (!reply.entry(*entry) && node != 0) filesystem_of(request).forget(node, 1);
}

void op_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  FuseReply reply(request, "lookup", parent);
  answer_entry(request, reply, filesystem_of(request).lookup(parent, name));
}

void op_forget(fuse_req_t request, fuse_ino_t node, uint64_t count) {
  FuseReply reply(request, "forget", node);
  filesystem_of(request).forget(node, count);
  reply.none();
}

void op_forget_multi(fuse_req_t request, size_t count, fuse_forget_data* forgets) {
  FuseReply reply(request, "forget", 0);
  for (size_t i = 0; i < count; i++) {
    filesystem_of(request).forget(forgets[i].ino, forgets[i].nlookup);
  }
  reply.none();
}

struct NewNode {
  mode_t mode;
  dev_t device;
  const char* target;
};

void make_node(fuse_req_t request, fuse_ino_t parent, const char* name, const NewNode& node) {
  FuseReply reply(request, "creation of a name", parent);
  answer_entry(request, reply,
               filesystem_of(request).make_node(parent, name, node.mode, node.device, node.target,
                                                caller_of(request)));
}

void op_mknod(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, dev_t device) {
  make_node(request, parent, name, {mode, device, ""});
}

void op_mkdir(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  make_node(request, parent, name, {(mode & ~static_cast<mode_t>(S_IFMT)) | S_IFDIR, 0, ""});
}

void op_symlink(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name) {
  make_node(request, parent, name, {S_IFLNK | 0777, 0, target});
}

void op_unlink(fuse_req_t request, fuse_ino_t parent, const char* name) {
  FuseReply reply(request, "unlink", parent);
  reply.done(filesystem_of(request).unlink(parent, name));
}

void op_rmdir(fuse_req_t request, fuse_ino_t parent, const char* name) {
  FuseReply reply(request, "rmdir", parent);
  reply.done(filesystem_of(request).remove_directory(parent, name, caller_of(request)));
}

void op_rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
               const char* new_name, unsigned flags) {
  FuseReply reply(request, "rename", parent);
  reply.done(filesystem_of(request).rename(parent, name, new_parent, new_name, flags));
}

void op_link(fuse_req_t request, fuse_ino_t node, fuse_ino_t new_parent, const char* new_name) {
  FuseReply reply(request, "link", node);
  answer_entry(request, reply, filesystem_of(request).link(node, new_parent, new_name));
}

void op_readlink(fuse_req_t request, fuse_ino_t node) {
  FuseReply reply(request, "readlink", node);
  Result<std::string> target = filesystem_of(request).read_link(node);
  if (!target.ok()) return reply.error(target.error());
  reply.link_target(*target);
}

void op_opendir(fuse_req_t request, fuse_ino_t node, fuse_file_info*) {
  FuseReply reply(request, "opendir", node);
  Result<OpenDirectory> directory = filesystem_of(request).open_directory(node);
  if (!directory.ok()) return reply.error(directory.error());
  if (!reply.opened_directory(*directory)) {
    filesystem_of(request).release_directory(node, directory->handle);
  }
}

void op_releasedir(fuse_req_t request, fuse_ino_t node, fuse_file_info* info) {
  FuseReply reply(request, "releasedir", node);
  filesystem_of(request).release_directory(node, info->fh);
  reply.done({});
}

void op_fsyncdir(fuse_req_t request, fuse_ino_t node, int, fuse_file_info*) {
  FuseReply reply(request, "fsync of a directory", node);
  reply.done(filesystem_of(request).sync_directory(node));
}

// The kernel's listing, filled entry by entry up to the size that was asked for.
class Listing {
 public:
  Listing(fuse_req_t request, size_t size, bool attributes)
      : request_(request), buffer_(size), attributes_(attributes) {}

  // False: no room; the entry is not in it.
  bool add(const DirectoryEntry& listed) {
    name_.assign(listed.name);
    const size_t room = buffer_.size() - used_;
    char* at = reinterpret_cast<char*>(buffer_.data()) + used_;
    const size_t needed =
        attributes_ ? add_with_attributes(at, room, listed) : add_name(at, room, listed);
    if (needed > room) return false;
    used_ += needed;
    return true;
  }

  ByteView view() const { return buffer_.view().first(used_); }

 private:
  size_t add_name(char* at, size_t room, const DirectoryEntry& listed) {
    const struct stat st = stat_of(listed.entry.attributes);
    return fuse_add_direntry(request_, at, room, name_.c_str(), &st,
                             static_cast<off_t>(listed.next_cookie));
  }

  size_t add_with_attributes(char* at, size_t room, const DirectoryEntry& listed) {
    fuse_entry_param param{};
    param.attr = stat_of(listed.entry.attributes);
    // A node id of 0 tells the kernel to take the name and type alone, and to count no reference.
    if (name_ != "." && name_ != "..") {
      param.ino = listed.entry.attributes.ino;
      param.generation = listed.entry.generation;
      param.attr_timeout = param.entry_timeout = listed.entry.timeout_seconds;
    }
    return fuse_add_direntry_plus(request_, at, room, name_.c_str(), &param,
                                  static_cast<off_t>(listed.next_cookie));
  }

  fuse_req_t request_;
  Buffer buffer_;
  bool attributes_;
  size_t used_ = 0;
  std::string name_;  // libfuse wants it ended by NUL
};

struct ListingRange {
  uint64_t handle;
  uint64_t cookie;
  size_t size;
};

void list(fuse_req_t request, fuse_ino_t node, const ListingRange& range, bool attributes) {
  FuseReply reply(request, "readdir", node);
  Listing listing(request, range.size, attributes);
  Result<void> result = filesystem_of(request).read_directory(
      node, range.handle, range.cookie, attributes,
      [&](const DirectoryEntry& entry) { return listing.add(entry); });
  // What was listed before a failure counts as looked up: it must reach the kernel. The failure
  // comes again at the next call.
  if (!result.ok() && listing.view().empty()) return reply.error(result.error());
  reply.data(listing.view());
}

void op_readdir(fuse_req_t request, fuse_ino_t node, size_t size, off_t cookie,
                fuse_file_info* info) {
  list(request, node, {info->fh, static_cast<uint64_t>(cookie), size}, false);
}

void op_readdirplus(fuse_req_t request, fuse_ino_t node, size_t size, off_t cookie,
                    fuse_file_info* info) {
  list(request, node, {info->fh, static_cast<uint64_t>(cookie), size}, true);
}

}  // namespace

void add_directory_operations(fuse_lowlevel_ops& operations) {
  operations.lookup = op_lookup;
  operations.forget = op_forget;
  operations.forget_multi = op_forget_multi;
  operations.mknod = op_mknod;
  operations.mkdir = op_mkdir;
  operations.symlink = op_symlink;
  operations.unlink = op_unlink;
  operations.rmdir = op_rmdir;
  operations.rename = op_rename;
  operations.link = op_link;
  operations.readlink = op_readlink;
  operations.opendir = op_opendir;
  operations.releasedir = op_releasedir;
  operations.fsyncdir = op_fsyncdir;
  operations.readdir = op_readdir;
  operations.readdirplus = op_readdirplus;
}

}  // namespace varve
