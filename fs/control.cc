#include "fs/control.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <vector>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"
#include "dedup/base/unique_fd.h"

namespace varve {
namespace {

using Json = nlohmann::json;
using SteadyClock = std::chrono::steady_clock;

constexpr size_t kRequestBytesMax = 64 * kKiB;
constexpr size_t kAnswerBytesMax = 256 * kMiB;
// A snapshot takes its time; status must not wait for it.
constexpr size_t kServerThreads = 4;
// A peer that says or takes nothing for that long is dropped.
constexpr std::chrono::seconds kPeerTimeMax{10};

struct NamedCode {
  Errc code;
  std::string_view name;
};
constexpr std::array kCodeNames = {
    NamedCode{Errc::kIo, "io"},
    NamedCode{Errc::kNoSpace, "no-space"},
    NamedCode{Errc::kNotFound, "not-found"},
    NamedCode{Errc::kExists, "exists"},
    NamedCode{Errc::kInvalid, "invalid"},
    NamedCode{Errc::kCorrupt, "corrupt"},
    NamedCode{Errc::kAuthentication, "authentication"},
    NamedCode{Errc::kWrongPassphrase, "wrong-passphrase"},
    NamedCode{Errc::kForeign, "foreign"},
    NamedCode{Errc::kUnsupported, "unsupported"},
    NamedCode{Errc::kBusy, "busy"},
    NamedCode{Errc::kReadOnly, "read-only"},
    NamedCode{Errc::kPermission, "permission"},
    NamedCode{Errc::kAccess, "access"},
    NamedCode{Errc::kNotDirectory, "not-directory"},
    NamedCode{Errc::kIsDirectory, "is-directory"},
    NamedCode{Errc::kNotEmpty, "not-empty"},
    NamedCode{Errc::kNameTooLong, "name-too-long"},
    NamedCode{Errc::kCrossDevice, "cross-device"},
    NamedCode{Errc::kTooManyLinks, "too-many-links"},
    NamedCode{Errc::kNoAttribute, "no-attribute"},
    NamedCode{Errc::kRange, "range"},
    NamedCode{Errc::kTooLarge, "too-large"},
    NamedCode{Errc::kStale, "stale"},
    NamedCode{Errc::kQuota, "quota"},
    NamedCode{Errc::kInterrupted, "interrupted"},
    NamedCode{Errc::kBadHandle, "bad-handle"},
    NamedCode{Errc::kNoDevice, "no-device"},
};

Errc errc_named(std::string_view name) {
  for (const NamedCode& known : kCodeNames) {
    if (known.name == name) return known.code;
  }
  return Errc::kIo;
}

// A path of any length: sun_path holds 107 bytes, so the directory is named by a descriptor.
struct SocketName {
  UniqueFd directory;
  sockaddr_un address{};
};

Result<SocketName> socket_name(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  SocketName result;
  result.directory.reset(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!result.directory.valid()) return error_from_errno(errno, "control socket " + path);
  const std::string shorter = fmt::format("/proc/self/fd/{}/{}", result.directory.get(), name);
  if (shorter.size() >= sizeof result.address.sun_path) return Error(Errc::kNameTooLong, path);
  result.address.sun_family = AF_UNIX;
  shorter.copy(result.address.sun_path, sizeof result.address.sun_path - 1);
  return result;
}

const sockaddr* generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

// Waits until `fd` is ready or `deadline` has passed (nothing: for ever).
bool wait_ready(int fd, short events, std::optional<SteadyClock::time_point> deadline) {
  for (;;) {
    int left_ms = -1;
    if (deadline) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(*deadline - SteadyClock::now());
      left_ms = left.count() > 0 ? static_cast<int>(left.count()) : 0;
    }
    pollfd waits{fd, events, 0};
    const int ready = ::poll(&waits, 1, left_ms);
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

// A line without its newline; nothing if the peer stops short of one, sends too much or takes too
// long.
std::optional<std::string> read_line(int fd, size_t limit,
                                     std::optional<SteadyClock::time_point> deadline) {
  std::string line;
  char piece[64 << 10];
  while (wait_ready(fd, POLLIN, deadline)) {
    const ssize_t got = ::recv(fd, piece, sizeof piece, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return std::nullopt;
    line.append(piece, static_cast<size_t>(got));
    const size_t end = line.find('\n', line.size() - static_cast<size_t>(got));
    if (end != std::string::npos) return line.substr(0, end);
    if (line.size() > limit) return std::nullopt;
  }
  return std::nullopt;
}

bool write_line(int fd, std::string line) {
  line.push_back('\n');
  std::string_view rest = line;
  const auto deadline = SteadyClock::now() + kPeerTimeMax;
  while (!rest.empty()) {
    if (!wait_ready(fd, POLLOUT, deadline)) return false;
    const ssize_t sent = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (sent < 0) return false;
    rest.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// Names may hold any bytes; JSON holds UTF-8 only.
std::string printed(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json answer_of(const Error& error) {
  return {{"ok", false}, {"code", errc_name(error.code())}, {"message", error.message()}};
}

/// A field of another type than the handler expects is the asker's mistake.
Result<Json> call(const ControlHandler& handler, const Json& request) {
  try {
    return handler(request);
  } catch (const Json::exception& wrong) {
    return Error(Errc::kInvalid, fmt::format("the request makes no sense: {}", wrong.what()));
  }
}

Json answer_to(const ControlHandlers& handlers, const std::string& line) {
  const Json request = Json::parse(line, nullptr, false);
  if (!request.is_object())
    return answer_of(Error(Errc::kInvalid, "the request is no JSON object"));
  auto command = request.find("command");
  if (command == request.end() || !command->is_string()) {
    return answer_of(Error(Errc::kInvalid, "the request has no command"));
  }
  auto handler = handlers.find(command->get<std::string>());
  if (handler == handlers.end()) {
    return answer_of(Error(Errc::kUnsupported, "unknown command: " + command->get<std::string>()));
  }
  Result<Json> result = call(handler->second, request);
  if (!result.ok()) return answer_of(result.error());
  Json fields = result->is_object() ? std::move(*result) : Json::object();
  fields["ok"] = true;
  return fields;
}

bool may_ask(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

}  // namespace

std::string_view errc_name(Errc code) {
  for (const NamedCode& known : kCodeNames) {
    if (known.code == code) return known.name;
  }
  return "io";
}

std::string control_answer(const ControlHandlers& handlers, const std::string& line) {
  return printed(answer_to(handlers, line));
}

struct ControlServer::State {
  std::string path;
  ControlHandlers handlers;
  UniqueFd listener;
  UniqueFd stop_event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::vector<std::thread> threads;

  Result<void> listen();
  void serve();
  void serve_connection(int fd);
};

Result<void> ControlServer::State::listen() {
  const SocketName name = VARVE_TRY(socket_name(path));
  listener.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) return error_from_errno(errno, "control socket " + path);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return error_from_errno(errno, "control socket " + path);
  // Nobody can connect before listen(): the mode is right by then.
  if (::bind(listener.get(), generic(name.address), sizeof name.address) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(listener.get(), 16) != 0) {
    return error_from_errno(errno, "control socket " + path);
  }
  return {};
}

void ControlServer::State::serve() {
  pthread_setname_np(pthread_self(), "varve-control");
  pollfd waits[2] = {{listener.get(), POLLIN, 0}, {stop_event.get(), POLLIN, 0}};
  for (;;) {
    if (::poll(waits, 2, -1) < 0) continue;
    if (waits[1].revents != 0) return;
    // Another thread may have been faster: then there is nothing to accept.
    UniqueFd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (connection.valid()) serve_connection(connection.get());
  }
}

void ControlServer::State::serve_connection(int fd) {
  if (!may_ask(fd)) {
    write_line(fd,
               printed(answer_of(Error(Errc::kAccess, "only root and the daemon's user may ask"))));
    return;
  }
  const std::optional<std::string> line =
      read_line(fd, kRequestBytesMax, SteadyClock::now() + kPeerTimeMax);
  if (line) write_line(fd, control_answer(handlers, *line));
}

ControlServer::ControlServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<ControlServer>> ControlServer::start(const std::string& path,
                                                            ControlHandlers handlers) {
  auto state = std::make_unique<State>();
  state->path = path;
  state->handlers = std::move(handlers);
  VARVE_TRY(state->listen());
  for (size_t i = 0; i < kServerThreads; i++) {
    state->threads.emplace_back([raw = state.get()] { raw->serve(); });
  }
  return std::unique_ptr<ControlServer>(new ControlServer(std::move(state)));
}

ControlServer::~ControlServer() {
  const uint64_t one = 1;
  (void)!::write(state_->stop_event.get(), &one, sizeof one);
  for (std::thread& thread : state_->threads) thread.join();
  (void)::unlink(state_->path.c_str());
}

Result<Json> control_call(const std::string& path, const Json& request) {
  Result<SocketName> name = socket_name(path);
  if (!name.ok()) return std::move(name).error();
  UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection.valid()) return error_from_errno(errno, "control socket " + path);
  if (::connect(connection.get(), generic(name->address), sizeof name->address) != 0) {
    if (errno == ECONNREFUSED || errno == ENOENT)
      return Error(Errc::kNotFound, "no daemon listens at " + path);
    return error_from_errno(errno, "control socket " + path);
  }
  const Error gone(Errc::kInterrupted, "the daemon went away before it answered");
  // It may have said why it does not listen, so a failure to write is no answer yet.
  (void)write_line(connection.get(), printed(request));
  const std::optional<std::string> line =
      read_line(connection.get(), kAnswerBytesMax, std::nullopt);
  if (!line) return gone;
  Json answer = Json::parse(*line, nullptr, false);
  if (!answer.is_object() || !answer.contains("ok"))
    return Error(Errc::kCorrupt, "the daemon's answer is no JSON object");
  if (answer["ok"] == true) return answer;
  const auto text = [&](const char* key) {
    auto found = answer.find(key);
    return found != answer.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  return Error(errc_named(text("code")), text("message"));
}

}  // namespace varve
