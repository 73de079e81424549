// Where the session's threads run: on the processor of the program that asks, while one program
// asks for many small things.
//
// A request costs two wake-ups; between processors, where the other one sleeps, each costs more
// than the work of a small file. On the same processor asking and answering are two switches. Large
// transfers and several programs at once are left to the scheduler.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

namespace varve {

class FusePlacement {
 public:
  FusePlacement();
  ~FusePlacement();

  /// What a thread of the session remembers of where it was put.
  struct Place {
    int processor = kAnywhere;
  };
  /// To be called by each thread behind each request: who asked, and how large the request was with
  /// its answer. Moves the calling thread if that is due.
  void served(pid_t asker, size_t bytes, Place& place);

 private:
  static constexpr int kAnywhere = -1;
  void decide();
  void move_to(int processor);

  struct Allowed;
  std::unique_ptr<const Allowed> allowed_;  // the processors that the process may use
  std::atomic<int> target_{kAnywhere};

  std::mutex mutex_;  // a leaf: guards the window
  unsigned requests_ = 0;
  uint64_t bytes_ = 0;
  pid_t candidate_ = 0;  // who asks most, by majority vote
  unsigned votes_ = 0;
};

}  // namespace varve
