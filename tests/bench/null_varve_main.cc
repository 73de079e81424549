// null.varve MOUNTPOINT [direct] [io_uring=off] [threads=N]: mounts a filesystem that discards
// data; for benchmarks. Stays in the foreground.
#include <fmt/core.h>

#include <cstdlib>
#include <cstring>

#include "fs/fuse_session.h"
#include "tests/bench/null_filesystem.h"

int main(int argc, char** argv) {
  using namespace varve;
  if (argc < 2) {
    fmt::print(stderr, "usage: null.varve MOUNTPOINT [direct] [io_uring=off] [threads=N]\n");
    return 1;
  }
  NullFilesystem::Options null_options;
  SessionOptions session_options;
  session_options.source = "null";
  session_options.mountpoint = argv[1];
  session_options.allow_other = true;
  session_options.watch_signals = true;
  for (int i = 2; i < argc; i++) {
    if (std::strcmp(argv[i], "direct") == 0) null_options.direct_io = true;
    if (std::strcmp(argv[i], "io_uring=off") == 0) session_options.io_uring = false;
    if (std::strncmp(argv[i], "threads=", 8) == 0) {
      session_options.threads = static_cast<size_t>(std::atoi(argv[i] + 8));
    }
  }
  block_termination_signals();
  NullFilesystem filesystem(null_options);
  FuseSession session(filesystem, session_options);
  Result<void> result = session.mount();
  if (result.ok()) {
    fmt::print("mounted\n");
    std::fflush(stdout);
    result = session.run();
  }
  if (!result.ok()) fmt::print(stderr, "null.varve: {}\n", result.error().message());
  return result.ok() ? 0 : 32;
}
