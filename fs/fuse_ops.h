// The kernel's requests, one function each: decode, call the Filesystem, answer once. Nothing else
// is decided here.
//
// Cut by family: names and directories (fuse_ops_dir), data (fuse_ops_file), attributes
// (fuse_ops_attr), extended attributes (fuse_ops_xattr); negotiation and the whole table in
// fuse_ops. Only the session includes this.
#pragma once

#include "fs/filesystem.h"

struct fuse_lowlevel_ops;
struct fuse_req;

namespace varve {

/// The table; the session's userdata must be a Filesystem*.
fuse_lowlevel_ops all_operations();

void add_directory_operations(fuse_lowlevel_ops& operations);
void add_file_operations(fuse_lowlevel_ops& operations);
void add_attribute_operations(fuse_lowlevel_ops& operations);
void add_xattr_operations(fuse_lowlevel_ops& operations);

Filesystem& filesystem_of(fuse_req* request);
/// The umask is set in requests that make something.
Caller caller_of(fuse_req* request);

}  // namespace varve
