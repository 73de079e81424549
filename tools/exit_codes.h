// What a program of varve says by its exit code, the same for all of them (but fsck.varve, whose
// codes are fsck(8)'s).
#pragma once

#include "dedup/base/result.h"

namespace varve {

inline constexpr int kExitOk = 0;
inline constexpr int kExitUsage = 1;            // the command line makes no sense
inline constexpr int kExitFailure = 2;          // everything that has no code of its own
inline constexpr int kExitWrongPassphrase = 3;  // or another key that opens nothing
inline constexpr int kExitBusy = 4;             // mounted, or held by another program
inline constexpr int kExitCorrupt = 5;          // stored bytes are damaged, or of another store
inline constexpr int kExitNotFound = 6;         // no such store, set, snapshot or file
inline constexpr int kExitNoSpace = 7;

inline constexpr const char* kExitCodesHelp =
    "Exit codes: 0 done, 1 wrong usage, 2 failure, 3 wrong passphrase or key, 4 in use,\n"
    "5 damaged or of another store, 6 not found, 7 no space left.";

inline int exit_code_of(const Error& error) {
  switch (error.code()) {
    case Errc::kInvalid:
      return kExitUsage;
    case Errc::kWrongPassphrase:
      return kExitWrongPassphrase;
    case Errc::kBusy:
      return kExitBusy;
    case Errc::kCorrupt:
    case Errc::kAuthentication:
    case Errc::kForeign:
      return kExitCorrupt;
    case Errc::kNotFound:
      return kExitNotFound;
    case Errc::kNoSpace:
    case Errc::kQuota:
      return kExitNoSpace;
    default:
      return kExitFailure;
  }
}

}  // namespace varve
