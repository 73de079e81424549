// Questions to the person at the terminal whose answer is not shown.
#pragma once

#include <string_view>

#include "dedup/base/result.h"
#include "dedup/base/secret.h"

namespace varve {

/// Whether there is somebody to ask: standard input is a terminal.
bool on_terminal();

/// Asks `question` on the controlling terminal with echo off; the answer without its newline.
/// kInterrupted on Ctrl-C, with the terminal as it was before; kTooLarge beyond 1,024 bytes.
Result<Secret> ask_secret(std::string_view question);

/// Writes to the controlling terminal itself, so that what is for eyes only does not end in a
/// redirected file.
Result<void> tell_terminal(std::string_view text);

}  // namespace varve
