#include "tools/mounted.h"

#include <climits>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

namespace varve {
namespace {

/// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescape(const std::string& field) {
  std::string out;
  for (size_t i = 0; i < field.size(); i++) {
    if (field[i] == '\\' && i + 3 < field.size()) {
      out.push_back(static_cast<char>(std::stoi(field.substr(i + 1, 3), nullptr, 8)));
      i += 3;
    } else {
      out.push_back(field[i]);
    }
  }
  return out;
}

/// The innermost varve mountpoint that `path` lies in; empty if there is none.
std::string mountpoint_above(const std::string& path) {
  std::ifstream mounts("/proc/self/mountinfo");
  std::string line, found;
  while (std::getline(mounts, line)) {
    std::istringstream fields(line);
    std::string field, point;
    for (int i = 0; i < 5 && fields >> field; i++) point = field;
    while (fields >> field && field != "-") continue;
    std::string type;
    fields >> type;
    point = unescape(point);
    const bool inside = path == point || path.starts_with(point == "/" ? point : point + "/");
    if (type == "fuse.varve" && inside && point.size() >= found.size()) found = point;
  }
  return found;
}

Result<std::string> real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> resolved(::realpath(path.c_str(), nullptr),
                                                             &std::free);
  if (resolved == nullptr) return error_from_errno(errno, path);
  return std::string(resolved.get());
}

/// The daemon itself says where its store is: the source in the mount table is only what the user
/// typed.
Result<void> ask_store_of(const std::string& mountpoint, MountedPath& found) {
  std::ifstream file(mountpoint + "/.varve/status.json");
  const nlohmann::json status = nlohmann::json::parse(file, nullptr, false);
  if (status.is_discarded() || !status.contains("store")) {
    return Error(Errc::kIo,
                 mountpoint + "/.varve/status.json cannot be read: is the daemon alive?");
  }
  found.store = status["store"].value("path", "");
  found.control = status["store"].value("local", "") + "/control";
  return {};
}

}  // namespace

bool is_mountpoint(const std::string& path) {
  const Result<std::string> real = real_path(path);
  return real.ok() && mountpoint_above(*real) == *real;
}

Result<MountedPath> find_mounted(const std::string& path) {
  const std::string real = VARVE_TRY(real_path(path));
  MountedPath found;
  found.mountpoint = mountpoint_above(real);
  if (found.mountpoint.empty()) {
    return Error(
        Errc::kNotFound,
        path + " is in no mounted varve: name a mountpoint, or a backup set in one (MNT/SET)");
  }
  if (real != found.mountpoint)
    found.set = real.substr(found.mountpoint == "/" ? 1 : found.mountpoint.size() + 1);
  if (found.set.find('/') != std::string::npos) {
    return Error(Errc::kInvalid,
                 path + " is no backup set: name the directory just below " + found.mountpoint);
  }
  VARVE_TRY(ask_store_of(found.mountpoint, found));
  return found;
}

std::string control_socket(const std::string& store) {
  return store + "/local/control";
}

}  // namespace varve
