#include "fs/errno_map.h"

#include <cerrno>

namespace varve {

int errno_of(Errc code) {
  switch (code) {
    case Errc::kIo:
    case Errc::kCorrupt:
    case Errc::kAuthentication:
    case Errc::kForeign:
      return EIO;
    case Errc::kNoSpace:
      return ENOSPC;
    case Errc::kNotFound:
      return ENOENT;
    case Errc::kExists:
      return EEXIST;
    case Errc::kInvalid:
      return EINVAL;
    case Errc::kUnsupported:
      return EOPNOTSUPP;
    case Errc::kBusy:
      return EBUSY;
    case Errc::kReadOnly:
      return EROFS;
    case Errc::kPermission:
      return EPERM;
    case Errc::kAccess:
    case Errc::kWrongPassphrase:
      return EACCES;
    case Errc::kNotDirectory:
      return ENOTDIR;
    case Errc::kIsDirectory:
      return EISDIR;
    case Errc::kNotEmpty:
      return ENOTEMPTY;
    case Errc::kNameTooLong:
      return ENAMETOOLONG;
    case Errc::kCrossDevice:
      return EXDEV;
    case Errc::kTooManyLinks:
      return EMLINK;
    case Errc::kNoAttribute:
      return ENODATA;
    case Errc::kRange:
      return ERANGE;
    case Errc::kTooLarge:
      return EFBIG;
    case Errc::kStale:
      return ESTALE;
    case Errc::kQuota:
      return EDQUOT;
    case Errc::kInterrupted:
      return EINTR;
    case Errc::kBadHandle:
      return EBADF;
    case Errc::kNoDevice:
      return ENXIO;
  }
  return EIO;
}

bool is_damage(Errc code) {
  return code == Errc::kIo || code == Errc::kCorrupt || code == Errc::kAuthentication ||
         code == Errc::kForeign;
}

}  // namespace varve
