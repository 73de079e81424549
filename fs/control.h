// The control socket: how the programs of varve talk to the daemon of a mounted store.
//
// One request a connection, one line of JSON each way; docs/architecture.md has the commands. Only
// root and the user who runs the daemon may ask.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "dedup/base/result.h"

namespace varve {

/// Gets the request, whose "command" named it; gives the answer's fields ("ok" is added), an object
/// or null. Called from threads of the server's, several at once.
using ControlHandler = std::function<Result<nlohmann::json>(const nlohmann::json& request)>;

using ControlHandlers = std::map<std::string, ControlHandler>;

/// What a server with these handlers answers to a line, both without their newlines.
std::string control_answer(const ControlHandlers& handlers, const std::string& line);

class ControlServer {
 public:
  /// Listens at `path`, whose directory exists; a socket that lies there from before is replaced
  /// (the caller holds the store's lock).
  static Result<std::unique_ptr<ControlServer>> start(const std::string& path,
                                                      ControlHandlers handlers);
  /// Waits for handlers that are running, then removes the socket.
  ~ControlServer();

 private:
  struct State;
  explicit ControlServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Asks the daemon that listens at `path`; the answer, or the daemon's error with its own code.
/// kNotFound if no daemon listens there; kInterrupted if it went away before it answered. Waits for
/// the answer as long as the daemon lives.
Result<nlohmann::json> control_call(const std::string& path, const nlohmann::json& request);

/// "not-found" and the like: an error's name in the protocol.
std::string_view errc_name(Errc code);

}  // namespace varve
