// Says that a thread waits for a remote, to whoever can have its work done by another one.
#pragma once

#include <cstddef>

namespace varve {

/// Threads that may wait for remotes at once; who comes then is refused.
inline constexpr size_t kRemoteWaitsMax = 64;

/// A session of threads, one of which waits. Called by that thread.
class Substitution {
 public:
  virtual ~Substitution() = default;
  virtual void wait_begins() = 0;
  virtual void wait_ends() = 0;
};
/// Who is told of the calling thread's waits, until the thread ends; nullptr: nobody.
void tell_waits_of_this_thread(Substitution* session);

/// While it lives, the calling thread does nothing but wait.
class WaitingElsewhere {
 public:
  WaitingElsewhere();
  ~WaitingElsewhere();
  WaitingElsewhere(const WaitingElsewhere&) = delete;
  WaitingElsewhere& operator=(const WaitingElsewhere&) = delete;
};

}  // namespace varve
