// Work that may hang in a mount whose server does not answer: done in a child, so that the program
// ends whatever becomes of it. A thread that waits in such a mount cannot even be killed before the
// mount lets go.
#pragma once

#include <functional>

namespace varve {

/// Runs `work`, which can be begun anew, in a child process and gives its exit code. SIGINT,
/// SIGTERM and SIGHUP go on to the child, which has some seconds then to end by itself; after that
/// it is killed, the user is told, and kExitFailure is given though the kernel may keep the child
/// for as long as the mount hangs. Before there are threads.
int run_supervised(const std::function<int()>& work);

}  // namespace varve
