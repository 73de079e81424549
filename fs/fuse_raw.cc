#include "fs/fuse_raw.h"

#include <fmt/format.h>
#include <linux/fuse.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include <cerrno>

#include "catalog/kernel_types.h"
#include "dedup/base/log.h"
#include "fs/errno_map.h"
#include "fs/fuse_reply.h"

namespace varve {
namespace {

// Newer than the headers of Debian 12.
constexpr uint32_t kOpcodeTmpfile = 51;
constexpr uint32_t kOpcodeStatx = 52;

struct StatxIn {
  uint32_t getattr_flags = 0;  // FUSE_GETATTR_FH
  uint32_t reserved = 0;
  uint64_t fh = 0;
  uint32_t flags = 0, mask = 0;  // statx(2)'s
};

struct StatxOut {
  uint64_t valid_seconds = 0;
  uint32_t valid_nanoseconds = 0;
  uint32_t flags = 0;
  uint64_t spare[2] = {0, 0};
  struct statx stat {};  // the protocol's has the same form, as far as it is used
};
static_assert(sizeof(StatxIn) == 24 && sizeof(struct statx) == 256 && sizeof(StatxOut) == 288);

Caller caller_of(const fuse_in_header& header, mode_t umask = 0) {
  return {header.uid, header.gid, static_cast<pid_t>(header.pid), umask};
}

/// False if the kernel no longer waits.
bool answer_parts(FuseAnswers& answers, const fuse_in_header& header,
                  std::initializer_list<ByteView> parts) {
  fuse_out_header out{};
  out.unique = header.unique;
  out.len = sizeof out;
  iovec pieces[3] = {{&out, sizeof out}, {}, {}};
  int count = 1;
  for (ByteView part : parts) {
    pieces[count++] = {const_cast<uint8_t*>(part.data()), part.size()};
    out.len += static_cast<uint32_t>(part.size());
  }
  return answers.answer(pieces, count) >= 0;
}

void answer_error(FuseAnswers& answers, const fuse_in_header& header, int number) {
  fuse_out_header out{};
  out.unique = header.unique;
  out.len = sizeof out;
  out.error = -number;
  const iovec piece{&out, sizeof out};
  (void)answers.answer(&piece, 1);
}

void answer_error(FuseAnswers& answers, const fuse_in_header& header, const char* operation,
                  const Error& error) {
  if (is_damage(error.code()))
    log_error(fmt::format("{} of node {}: {}", operation, header.nodeid, error.message()));
  answer_error(answers, header, errno_of(error.code()));
}

template <typename T>
ByteView raw_bytes_of(const T& part) {
  return {reinterpret_cast<const uint8_t*>(&part), sizeof part};
}

fuse_entry_out entry_out_of(const Entry& entry) {
  const struct stat st = stat_of(entry.attributes);
  fuse_entry_out out{};
  out.nodeid = entry.attributes.ino;
  out.generation = entry.generation;
  out.entry_valid = out.attr_valid = static_cast<uint64_t>(entry.timeout_seconds);
  out.attr.ino = st.st_ino;
  out.attr.size = static_cast<uint64_t>(st.st_size);
  out.attr.blocks = static_cast<uint64_t>(st.st_blocks);
  out.attr.atime = static_cast<uint64_t>(st.st_atim.tv_sec);
  out.attr.atimensec = static_cast<uint32_t>(st.st_atim.tv_nsec);
  out.attr.mtime = static_cast<uint64_t>(st.st_mtim.tv_sec);
  out.attr.mtimensec = static_cast<uint32_t>(st.st_mtim.tv_nsec);
  out.attr.ctime = static_cast<uint64_t>(st.st_ctim.tv_sec);
  out.attr.ctimensec = static_cast<uint32_t>(st.st_ctim.tv_nsec);
  out.attr.mode = st.st_mode;
  out.attr.nlink = static_cast<uint32_t>(st.st_nlink);
  out.attr.uid = st.st_uid;
  out.attr.gid = st.st_gid;
  out.attr.blksize = static_cast<uint32_t>(st.st_blksize);
  return out;
}

fuse_open_out open_out_of(const OpenFile& file) {
  fuse_open_out out{};
  out.fh = file.handle;
  if (file.direct_io) out.open_flags |= FOPEN_DIRECT_IO;
  if (file.keep_cache) out.open_flags |= FOPEN_KEEP_CACHE;
  if (file.no_flush) out.open_flags |= FOPEN_NOFLUSH;
  return out;
}

void answer_tmpfile(Filesystem& filesystem, FuseAnswers& answers, const fuse_in_header& header,
                    ByteView request) {
  fuse_create_in in;
  if (!read_part(request, kRequestBody, in)) return answer_error(answers, header, EINVAL);
  Result<Filesystem::Created> created = filesystem.create_unnamed(
      header.nodeid, in.mode, static_cast<int>(in.flags), caller_of(header, in.umask));
  if (!created.ok()) return answer_error(answers, header, "O_TMPFILE", created.error());
  const fuse_entry_out entry = entry_out_of(created->entry);
  const fuse_open_out open = open_out_of(created->file);
  if (answer_parts(answers, header, {raw_bytes_of(entry), raw_bytes_of(open)})) return;
  filesystem.release(created->entry.attributes.ino, created->file.handle);
  filesystem.forget(created->entry.attributes.ino, 1);
}

statx_timestamp timestamp_of(const timespec& time) {
  statx_timestamp result{};
  result.tv_sec = time.tv_sec;
  result.tv_nsec = static_cast<uint32_t>(time.tv_nsec);
  return result;
}

struct statx statx_of(const Attributes& attributes) {
  const struct stat st = stat_of(attributes);
  struct statx out {};
  out.stx_mask = STATX_BASIC_STATS;
  out.stx_blksize = static_cast<uint32_t>(st.st_blksize);
  out.stx_nlink = static_cast<uint32_t>(st.st_nlink);
  out.stx_uid = st.st_uid;
  out.stx_gid = st.st_gid;
  out.stx_mode = static_cast<uint16_t>(st.st_mode);
  out.stx_ino = st.st_ino;
  out.stx_size = static_cast<uint64_t>(st.st_size);
  out.stx_blocks = static_cast<uint64_t>(st.st_blocks);
  out.stx_atime = timestamp_of(st.st_atim);
  out.stx_ctime = timestamp_of(st.st_ctim);
  out.stx_mtime = timestamp_of(st.st_mtim);
  out.stx_rdev_major = major(st.st_rdev);
  out.stx_rdev_minor = minor(st.st_rdev);
  if (attributes.btime) {
    out.stx_mask |= STATX_BTIME;
    out.stx_btime = timestamp_of(timespec_of(*attributes.btime));
  }
  return out;
}

void answer_statx(Filesystem& filesystem, FuseAnswers& answers, const fuse_in_header& header,
                  ByteView request) {
  StatxIn in;
  if (!read_part(request, kRequestBody, in)) return answer_error(answers, header, EINVAL);
  std::optional<uint64_t> handle;
  if (in.getattr_flags & FUSE_GETATTR_FH) handle = in.fh;
  Result<Entry> entry = filesystem.get_attributes(header.nodeid, handle);
  if (!entry.ok()) return answer_error(answers, header, "statx", entry.error());
  StatxOut out;
  out.valid_seconds = static_cast<uint64_t>(entry->timeout_seconds);
  out.stat = statx_of(entry->attributes);
  answer_parts(answers, header, {raw_bytes_of(out)});
}

void answer_setxattr(Filesystem& filesystem, FuseAnswers& answers, const fuse_in_header& header,
                     ByteView request) {
  fuse_setxattr_in in;
  if (!read_part(request, kRequestBody, in)) return answer_error(answers, header, EINVAL);
  const std::string_view rest = as_text(request.subspan(kRequestBody + sizeof in));
  const size_t name_end = rest.find('\0');
  if (name_end == rest.npos || rest.size() - name_end - 1 < in.size)
    return answer_error(answers, header, EINVAL);
  Filesystem::XattrFlags flags;
  flags.mode = static_cast<int>(in.flags);
  flags.kill_setgid = (in.setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID) != 0;
  Result<void> done =
      filesystem.set_xattr(header.nodeid, rest.substr(0, name_end),
                           rest.substr(name_end + 1, in.size), flags, caller_of(header));
  // Too large a value is E2BIG here, and EFBIG where files are meant.
  if (!done.ok() && done.error().code() == Errc::kTooLarge)
    return answer_error(answers, header, E2BIG);
  if (!done.ok()) return answer_error(answers, header, "setxattr", done.error());
  answer_parts(answers, header, {});
}

}  // namespace

bool answer_raw(Filesystem& filesystem, FuseAnswers& answers, ByteView request,
                bool long_setxattr) {
  fuse_in_header header;
  if (!read_part(request, 0, header)) return false;
  switch (header.opcode) {
    case kOpcodeTmpfile:
      answer_tmpfile(filesystem, answers, header, request);
      return true;
    case kOpcodeStatx:
      answer_statx(filesystem, answers, header, request);
      return true;
    case FUSE_SETXATTR:
      if (long_setxattr) answer_setxattr(filesystem, answers, header, request);
      return long_setxattr;
    default:
      return false;
  }
}

}  // namespace varve
