#include "dedup/base/bus_guard.h"

#include <csignal>
#include <mutex>

namespace varve::bus_guard {

thread_local sigjmp_buf* way_out = nullptr;

namespace {

void on_bus_error(int number) {
  if (way_out != nullptr) siglongjmp(*way_out, 1);
  // Nobody is prepared: the instruction is tried again, and this time it ends the process.
  (void)std::signal(number, SIG_DFL);
}

}  // namespace

void install() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_handler = on_bus_error;
    action.sa_flags = SA_NODEFER;  // siglongjmp leaves the handler without unblocking the signal
    sigaction(SIGBUS, &action, nullptr);
  });
}

}  // namespace varve::bus_guard
