#include "fs/fuse_reply.h"

#define FUSE_USE_VERSION 314
#include <fmt/core.h>
#include <fuse_lowlevel.h>
#include <sys/sysmacros.h>

#include <cerrno>

#include "catalog/kernel_types.h"
#include "dedup/base/limits.h"
#include "dedup/base/log.h"
#include "fs/errno_map.h"

namespace varve {
namespace {

// Times before 1970 have a negative second and a nanosecond that counts forwards.
fuse_entry_param entry_param_of(const Entry& entry) {
  fuse_entry_param param{};
  param.ino = entry.attributes.ino;
  param.generation = entry.generation;
  param.attr = stat_of(entry.attributes);
  param.attr_timeout = entry.timeout_seconds;
  param.entry_timeout = entry.timeout_seconds;
  return param;
}

fuse_file_info file_info_of(const OpenFile& file) {
  fuse_file_info info{};
  info.fh = file.handle;
  info.direct_io = file.direct_io;
  info.keep_cache = file.keep_cache;
  info.noflush = file.no_flush;
  return info;
}

}  // namespace

struct stat stat_of(const Attributes& attributes) {
  struct stat out {};
  out.st_ino = attributes.ino;
  out.st_mode = format_bits(attributes.type) | attributes.permissions;
  out.st_nlink = attributes.links;
  out.st_uid = attributes.uid;
  out.st_gid = attributes.gid;
  out.st_rdev = makedev(attributes.device_major, attributes.device_minor);
  out.st_size = static_cast<off_t>(attributes.size);
  out.st_blocks = static_cast<blkcnt_t>((attributes.allocated + 511) / 512);
  // cp and others size their buffers by this: one call, one request.
  out.st_blksize = attributes.type == FileType::kFile ? blksize_t{kFuseRequestBytes} : 4096;
  out.st_atim = timespec_of(attributes.atime);
  out.st_mtim = timespec_of(attributes.mtime);
  out.st_ctim = timespec_of(attributes.ctime);
  return out;
}

FuseReply::FuseReply(fuse_req* request, const char* operation, Ino node)
    : request_(request), operation_(operation), node_(node) {}

FuseReply::~FuseReply() {
  if (answered_) return;
  log_error(fmt::format("{} of node {} was not answered", operation_, node_));
  fuse_reply_err(request_, EIO);
}

bool FuseReply::claim() {
  if (answered_) log_error(fmt::format("{} of node {} was answered twice", operation_, node_));
  return !std::exchange(answered_, true);
}

void FuseReply::error(const Error& error) {
  if (is_damage(error.code())) {
    log_error(fmt::format("{} of node {}: {}", operation_, node_,
                          error.message().empty() ? "input/output error" : error.message()));
  }
  error_number(errno_of(error.code()));
}

void FuseReply::error_number(int number) {
  if (claim()) fuse_reply_err(request_, number);
}

void FuseReply::done(const Result<void>& result) {
  if (!result.ok()) return error(result.error());
  error_number(0);
}

void FuseReply::none() {
  if (claim()) fuse_reply_none(request_);
}

bool FuseReply::entry(const Entry& entry) {
  fuse_entry_param param = entry_param_of(entry);
  return claim() && fuse_reply_entry(request_, &param) == 0;
}

bool FuseReply::created(const Filesystem::Created& created) {
  fuse_entry_param param = entry_param_of(created.entry);
  fuse_file_info info = file_info_of(created.file);
  return claim() && fuse_reply_create(request_, &param, &info) == 0;
}

bool FuseReply::opened(const OpenFile& file) {
  fuse_file_info info = file_info_of(file);
  return claim() && fuse_reply_open(request_, &info) == 0;
}

bool FuseReply::opened_directory(const OpenDirectory& directory) {
  fuse_file_info info{};
  info.fh = directory.handle;
  info.cache_readdir = directory.cache;
  info.keep_cache = directory.cache;
  return claim() && fuse_reply_open(request_, &info) == 0;
}

void FuseReply::attributes(const Entry& entry) {
  struct stat out = stat_of(entry.attributes);
  if (claim()) fuse_reply_attr(request_, &out, entry.timeout_seconds);
}

void FuseReply::link_target(const std::string& target) {
  if (claim()) fuse_reply_readlink(request_, target.c_str());
}

void FuseReply::data(ByteView bytes) {
  if (claim()) fuse_reply_buf(request_, reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void FuseReply::written(size_t count) {
  if (claim()) fuse_reply_write(request_, count);
}

void FuseReply::position(uint64_t offset) {
  if (claim()) fuse_reply_lseek(request_, static_cast<off_t>(offset));
}

void FuseReply::space(const SpaceFigures& figures) {
  constexpr uint64_t kBlockBytes = 4096;
  struct statvfs out {};
  out.f_bsize = kBlockBytes;
  out.f_frsize = kBlockBytes;
  out.f_blocks = figures.total / kBlockBytes;
  out.f_bfree = figures.available / kBlockBytes;
  out.f_bavail = out.f_bfree;
  // Inodes are not counted out beforehand: as many as the figures of free blocks.
  out.f_ffree = out.f_bfree;
  out.f_favail = out.f_bfree;
  out.f_files = figures.files + out.f_ffree;
  out.f_namemax = kNameBytesMax;
  if (claim()) fuse_reply_statfs(request_, &out);
}

void FuseReply::xattr(std::string_view value, size_t room) {
  if (room != 0 && value.size() > room) return error_number(ERANGE);
  if (!claim()) return;
  if (room == 0) {
    fuse_reply_xattr(request_, value.size());
  } else {
    fuse_reply_buf(request_, value.data(), value.size());
  }
}

}  // namespace varve
