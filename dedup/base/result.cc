#include "dedup/base/result.h"

#include <cerrno>
#include <cstring>

namespace varve {
namespace {

Errc code_of(int number) {
  switch (number) {
    case ENOSPC:
      return Errc::kNoSpace;
    case EDQUOT:
      return Errc::kQuota;
    case ENOENT:
      return Errc::kNotFound;
    case EEXIST:
      return Errc::kExists;
    case EINVAL:
      return Errc::kInvalid;
    case EOPNOTSUPP:
    case ENOSYS:
      return Errc::kUnsupported;
    case EBUSY:
    case ETXTBSY:
      return Errc::kBusy;
    case EROFS:
      return Errc::kReadOnly;
    case EPERM:
      return Errc::kPermission;
    case EACCES:
      return Errc::kAccess;
    case ENOTDIR:
      return Errc::kNotDirectory;
    case EISDIR:
      return Errc::kIsDirectory;
    case ENOTEMPTY:
      return Errc::kNotEmpty;
    case ENAMETOOLONG:
      return Errc::kNameTooLong;
    case EXDEV:
      return Errc::kCrossDevice;
    case EMLINK:
      return Errc::kTooManyLinks;
    case ENODATA:
      return Errc::kNoAttribute;
    case ERANGE:
      return Errc::kRange;
    case EFBIG:
    case E2BIG:
      return Errc::kTooLarge;
    case ESTALE:
      return Errc::kStale;
    case EINTR:
      return Errc::kInterrupted;
    case EBADF:
      return Errc::kBadHandle;
    case ENXIO:
      return Errc::kNoDevice;
    default:
      return Errc::kIo;
  }
}

}  // namespace

Error error_from_errno(int number, std::string_view what) {
  char text[128];
  return Error(code_of(number), std::string(what) + ": " + strerror_r(number, text, sizeof text));
}

}  // namespace varve
