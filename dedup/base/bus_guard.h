// A page of a mapped file that the disk does not give is SIGBUS, the end of the process; here it
// becomes an answer.
//
// Any thread. Outside of survives_bus_error SIGBUS kills as ever.
#pragma once

#include <csetjmp>

namespace varve {

namespace bus_guard {
/// Where this thread goes on after SIGBUS; nullptr: nowhere.
extern thread_local sigjmp_buf* way_out;
/// Once in a process; further calls do nothing.
void install();
}  // namespace bus_guard

/// Calls `call`. False if a page could not be read: then it was left in the middle, without
/// destructors, so that it must be C code that holds nothing it would miss. install() came before.
template <typename Call>
bool survives_bus_error(const Call& call) {
  sigjmp_buf here;
  if (sigsetjmp(here, 0) != 0) {
    bus_guard::way_out = nullptr;
    return false;
  }
  bus_guard::way_out = &here;
  call();
  bus_guard::way_out = nullptr;
  return true;
}

}  // namespace varve
