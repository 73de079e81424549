// Requests that libfuse 3.14 does not know, or knows in an older form, answered from their bytes:
//
// - TMPFILE: O_TMPFILE.
// - STATX: the time of birth.
// - SETXATTR with flags of its own: an ACL that takes setgid away.
#pragma once

#include <linux/fuse.h>

#include <cstring>

#include "dedup/base/bytes.h"
#include "fs/filesystem.h"
#include "fs/fuse_answers.h"

namespace varve {

/// True: the request was one of these, and is answered. `long_setxattr`: the kernel was told to
/// send SETXATTR's long form.
bool answer_raw(Filesystem& filesystem, FuseAnswers& answers, ByteView request, bool long_setxattr);

/// Where a request's own part begins.
inline constexpr size_t kRequestBody = sizeof(fuse_in_header);

/// The request's part at `offset`; false if the kernel sent less.
template <typename T>
bool read_part(ByteView request, size_t offset, T& out) {
  if (request.size() < offset + sizeof out) return false;
  std::memcpy(&out, request.data() + offset, sizeof out);
  return true;
}

}  // namespace varve
