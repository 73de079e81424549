#include "dedup/base/log.h"

#include <syslog.h>
#include <unistd.h>

#include <atomic>
#include <string>

namespace varve {
namespace {

// A process has one standard error and one journal: the only state of this program that is not
// injected.
std::atomic<LogLevel> lowest_level{LogLevel::kInfo};
std::atomic<bool> to_syslog{false};

int syslog_priority(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return LOG_DEBUG;
    case LogLevel::kInfo:
      return LOG_INFO;
    case LogLevel::kWarning:
      return LOG_WARNING;
    case LogLevel::kError:
      return LOG_ERR;
  }
  return LOG_ERR;
}

const char* level_prefix(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "varve: debug: ";
    case LogLevel::kInfo:
      return "varve: ";
    case LogLevel::kWarning:
      return "varve: warning: ";
    case LogLevel::kError:
      return "varve: error: ";
  }
  return "varve: ";
}

/// A message may quote names that somebody else chose: control characters would let them forge
/// lines.
std::string one_line(std::string_view message) {
  std::string line(message);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return line;
}

}  // namespace

void log_line(LogLevel level, std::string_view message) {
  if (level < lowest_level.load(std::memory_order_relaxed)) return;
  std::string line = one_line(message);
  if (to_syslog.load(std::memory_order_relaxed)) {
    syslog(syslog_priority(level), "%s", line.c_str());
    return;
  }
  // One write, so that lines of several threads and processes do not mix.
  line = level_prefix(level) + line + "\n";
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

void log_to_syslog(const char* program) {
  static std::string name;  // openlog keeps the pointer
  name = program;
  openlog(name.c_str(), LOG_PID, LOG_DAEMON);
  to_syslog = true;
}

void set_log_level(LogLevel lowest) {
  lowest_level = lowest;
}

}  // namespace varve
