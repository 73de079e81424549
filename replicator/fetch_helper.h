// The process that reads a remote for somebody who must not wait for it: answers requests that come
// over a socket (dedup/fetch_protocol.h) by what a directory holds. It changes nothing, needs no
// key and knows none.
//
// What hangs in the directory's filesystem hangs here: a thread a request, and further ones wait.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "dedup/base/storage.h"

namespace varve {

/// Opens what is read, when the first request comes, and again after a failure: that may hang too.
using OpenPlace = std::function<Result<std::unique_ptr<Storage>>()>;

/// Serves until the other end closes the socket, or says what is no request.
class FetchHelper {
 public:
  FetchHelper(int socket, OpenPlace open, size_t threads = 64);
  /// Waits for what is being read: who must end at once leaves the process instead.
  ~FetchHelper();
  void serve();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Serves `directory` over `socket`; the process' exit code. What is being read is left behind.
[[noreturn]] void run_fetch_helper(int socket, const std::string& directory);

}  // namespace varve
