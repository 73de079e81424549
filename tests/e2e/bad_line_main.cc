// bad_line NETWORK NETWORK [--round-trip MS] [--loss PERCENT] [--rate MBIT] [--queue BYTES] [--seed
// N]
//
// Joins two network namespaces (files, as /proc/PID/ns/net) by a line that is long, thin and loses
// packets, for tests: TCP at both ends is the kernel's own. In each namespace a TUN device `line`
// appears; giving it an address is the caller's. "ready" is printed then. SIGSTOP cuts the line,
// SIGCONT mends it; the devices go with the process.
//
// Each direction: a packet is lost by chance, or waits for the line, which carries `rate` (and a
// burst of 10 ms of it, for timers are late); where more than `queue` bytes wait, it is dropped.
// Half a round trip later it arrives.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <deque>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Nanoseconds = int64_t;
constexpr Nanoseconds kMillisecond = 1'000'000, kSecond = 1'000'000'000;
constexpr Nanoseconds kBurst = 10 * kMillisecond;
constexpr size_t kPacketBytesMax = 65'536;

struct Line {
  Nanoseconds delay = 125 * kMillisecond;  // one way
  double loss = 0.01;                      // of packets, each way
  double bytes_per_second = 12.5e6;
  size_t queue_bytes = 0;
};

Nanoseconds now() {
  timespec time;
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

/// The end of a TUN device `line` in that network; this process has moved there.
int open_device(const std::string& network) {
  const int space = ::open(network.c_str(), O_RDONLY | O_CLOEXEC);
  if (space < 0 || ::setns(space, CLONE_NEWNET) != 0) fail("entering " + network);
  ::close(space);
  const int device = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (device < 0) fail("opening /dev/net/tun");
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  std::strncpy(request.ifr_name, "line", IFNAMSIZ - 1);
  if (::ioctl(device, TUNSETIFF, &request) != 0) fail("making a TUN device in " + network);
  return device;
}

class Direction {
 public:
  Direction(const Line& line, int from, int to, uint64_t seed)
      : line_(line), from_(from), to_(to), random_(seed) {}

  /// Takes what has been sent.
  void receive() {
    for (;;) {
      const ssize_t count = ::read(from_, buffer_.data(), buffer_.size());
      if (count <= 0) return;
      accept({buffer_.data(), static_cast<size_t>(count)}, now());
    }
  }

  /// Hands over what has arrived.
  void deliver() {
    const Nanoseconds time = now();
    while (!under_way_.empty() && under_way_.front().arrives <= time) {
      const std::vector<char>& bytes = under_way_.front().bytes;
      // A device that is down, or full, loses it.
      if (::write(to_, bytes.data(), bytes.size()) < 0) dropped_++;
      under_way_.pop_front();
    }
  }

  Nanoseconds next_arrival() const {
    return under_way_.empty() ? now() + kSecond : under_way_.front().arrives;
  }
  std::string figures() const {
    return std::to_string(carried_) + " carried, " + std::to_string(lost_) + " lost, " +
           std::to_string(dropped_) + " dropped";
  }

 private:
  struct Packet {
    Nanoseconds arrives;
    std::vector<char> bytes;
  };

  void accept(std::string_view packet, Nanoseconds time) {
    if (chance_(random_) < line_.loss) {
      lost_++;
      return;
    }
    const Nanoseconds start = std::max(free_at_, time - kBurst);
    const double waiting =
        static_cast<double>(start - time) * line_.bytes_per_second / static_cast<double>(kSecond);
    if (waiting > static_cast<double>(line_.queue_bytes)) {
      dropped_++;
      return;
    }
    free_at_ =
        start + static_cast<Nanoseconds>(static_cast<double>(packet.size()) *
                                         static_cast<double>(kSecond) / line_.bytes_per_second);
    under_way_.push_back({std::max(free_at_, time) + line_.delay, {packet.begin(), packet.end()}});
    carried_++;
  }

  const Line line_;
  const int from_, to_;
  std::mt19937_64 random_;
  std::uniform_real_distribution<double> chance_{0, 1};
  std::vector<char> buffer_ = std::vector<char>(kPacketBytesMax);
  std::deque<Packet> under_way_;
  Nanoseconds free_at_ = 0;
  uint64_t carried_ = 0, lost_ = 0, dropped_ = 0;
};

volatile sig_atomic_t ended = 0;

void carry(const Line& line, int here, int there, uint64_t seed) {
  Direction forth(line, here, there, seed), back(line, there, here, seed + 1);
  std::puts("ready");
  std::fflush(stdout);
  while (!ended) {
    pollfd ends[] = {{here, POLLIN, 0}, {there, POLLIN, 0}};
    const Nanoseconds wait =
        std::max<Nanoseconds>(0, std::min(forth.next_arrival(), back.next_arrival()) - now());
    const timespec timeout{wait / kSecond, wait % kSecond};
    if (::ppoll(ends, 2, &timeout, nullptr) < 0 && errno != EINTR) fail("waiting");
    forth.receive();
    back.receive();
    forth.deliver();
    back.deliver();
  }
  std::printf("forth: %s; back: %s\n", forth.figures().c_str(), back.figures().c_str());
}

}  // namespace

int main(int argc, char** argv) {
  std::string here, there;
  double round_trip_ms = 250, loss_percent = 1, rate_mbit = 100;
  size_t queue_bytes = 0;
  uint64_t seed = 1;
  CLI::App options("Joins two network namespaces by a line that is long, thin and loses packets.");
  options.add_option("NETWORK", here, "A network namespace's file")->required();
  options.add_option("NETWORK2", there, "The other one's")->required();
  options.add_option("--round-trip", round_trip_ms, "Milliseconds there and back")
      ->capture_default_str();
  options.add_option("--loss", loss_percent, "Percent of the packets, each way")
      ->capture_default_str();
  options.add_option("--rate", rate_mbit, "Mbit/s each way")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  options.add_option("--queue", queue_bytes,
                     "Bytes that wait at most (default: those of one round trip)");
  options.add_option("--seed", seed, "Of the losses");
  CLI11_PARSE(options, argc, argv);
  Line line;
  line.delay = static_cast<Nanoseconds>(round_trip_ms / 2 * static_cast<double>(kMillisecond));
  line.loss = loss_percent / 100;
  line.bytes_per_second = rate_mbit * 1e6 / 8;
  line.queue_bytes =
      queue_bytes > 0 ? queue_bytes
                      : static_cast<size_t>(line.bytes_per_second * round_trip_ms / 1000) + 65'536;
  for (const int number : {SIGTERM, SIGINT}) std::signal(number, [](int) { ended = 1; });
  try {
    const int at_here = open_device(here), at_there = open_device(there);
    carry(line, at_here, at_there, seed);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bad_line: %s\n", error.what());
    return 1;
  }
  return 0;
}
