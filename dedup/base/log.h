// One line a happening, to standard error or the journal; keys and contents never.
//
// Any thread. The message is for the administrator: what happened, to which file or pack, and what
// to do.
#pragma once

#include <string_view>

namespace varve {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

void log_line(LogLevel level, std::string_view message);
inline void log_info(std::string_view message) {
  log_line(LogLevel::kInfo, message);
}
inline void log_warning(std::string_view message) {
  log_line(LogLevel::kWarning, message);
}
inline void log_error(std::string_view message) {
  log_line(LogLevel::kError, message);
}

/// Where lines go from now on: standard error (the default), or syslog with this program name.
void log_to_syslog(const char* program);
void set_log_level(LogLevel lowest);

}  // namespace varve
