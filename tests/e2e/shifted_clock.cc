// A library to preload: the clocks of a program go wrong by what a file says, from one call to the
// next; for tests.
//
// $VARVE_SHIFTED_CLOCK names the file: two i64 of the machine's byte order, by how many seconds the
// wall clock is ahead, and the time since boot. Without it the clocks are right.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace {

struct Ahead {
  volatile int64_t wall, since_boot;
};

const Ahead* map_file() {
  const char* path = std::getenv("VARVE_SHIFTED_CLOCK");
  const int fd = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* const mapped = ::mmap(nullptr, sizeof(Ahead), PROT_READ, MAP_SHARED, fd, 0);
  ::close(fd);
  return mapped == MAP_FAILED ? nullptr : static_cast<const Ahead*>(mapped);
}

int64_t seconds_ahead(clockid_t clock) {
  static const Ahead* const ahead = map_file();
  if (ahead == nullptr) return 0;
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) return ahead->wall;
  return clock == CLOCK_BOOTTIME ? ahead->since_boot : 0;
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const long done = ::syscall(SYS_clock_gettime, clock, time);
  if (done == 0) time->tv_sec += seconds_ahead(clock);
  return static_cast<int>(done);
}

extern "C" time_t time(time_t* out) noexcept {
  timespec now{};
  (void)clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

extern "C" int gettimeofday(timeval* time, void*) noexcept {
  timespec now{};
  (void)clock_gettime(CLOCK_REALTIME, &now);
  *time = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}
