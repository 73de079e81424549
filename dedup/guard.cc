#include "dedup/guard.h"

#include <sys/stat.h>
#include <sys/statfs.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"

namespace varve {

namespace {

using nlohmann::json;

constexpr const char* kFolder = "replica";
constexpr const char* kPath = "replica/guard";
constexpr size_t kGuardBytesMax = 64 * kKiB;

struct Parsed {
  Guard guard;
  std::optional<Place> place;  // nothing: bound to none
};

/// nullopt unless every field is there and of its form.
std::optional<Parsed> parse(ByteView bytes, const StoreId& store) {
  const json parsed = json::parse(as_text(bytes), nullptr, false);
  if (!parsed.is_object()) return std::nullopt;
  const auto text = [](const json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const auto version = parsed.find("format_version");
  const auto place = parsed.find("place");
  if (version == parsed.end() || *version != kFormatVersion) return std::nullopt;
  if (place == parsed.end() || !(place->is_object() || place->is_null())) return std::nullopt;
  const auto replica = ReplicaId::from_hex(text(parsed, "replica_id"));
  const auto writer = WriterId::from_hex(text(parsed, "writer"));
  if (!replica || !writer || text(parsed, "store_id") != store.hex()) return std::nullopt;
  const auto promoting = parsed.find("promoting");
  if (promoting != parsed.end() && !promoting->is_boolean()) return std::nullopt;
  Guard guard{*replica, *writer, place->is_null(), promoting != parsed.end() && *promoting == true};
  if (guard.anywhere) return Parsed{guard, std::nullopt};
  const auto inode = place->find("inode");
  if (inode == place->end() || !inode->is_number_unsigned()) return std::nullopt;
  return Parsed{guard, Place{text(*place, "filesystem"), inode->get<uint64_t>()}};
}

/// `place` is an object, or null.
Result<void> write_guard_bound_to(Storage& storage, const StoreId& store, const Guard& guard,
                                  const json& place) {
  json content = {
      {"format_version", kFormatVersion},
      {"store_id", store.hex()},
      {"replica_id", guard.replica.hex()},
      {"writer", guard.writer.hex()},
      {"place", place},
  };
  if (guard.promoting) content["promoting"] = true;
  return write_whole(storage, kPath, as_bytes(content.dump(2) + "\n"));
}

}  // namespace

Result<Place> place_of(const std::string& root) {
  const std::string folder = root + "/" + kFolder;
  struct stat status;
  struct statfs filesystem;
  if (::stat(folder.c_str(), &status) != 0 || ::statfs(folder.c_str(), &filesystem) != 0) {
    return error_from_errno(errno, folder);
  }
  ByteView fsid(reinterpret_cast<const uint8_t*>(&filesystem.f_fsid), sizeof filesystem.f_fsid);
  return Place{to_hex(fsid), status.st_ino};
}

Result<GuardFound> read_guard(Storage& storage, const AskPlace& place, const StoreId& store) {
  GuardFound found;
  const Result<Bytes> bytes = read_whole(storage, kPath, kGuardBytesMax);
  if (!bytes.ok() && bytes.error().code() == Errc::kNotFound) return found;
  if (!bytes.ok() && bytes.error().code() != Errc::kTooLarge) return bytes.error();
  const std::optional<Parsed> parsed = bytes.ok() ? parse(*bytes, store) : std::nullopt;
  if (!parsed) {
    log_warning(std::string(kPath) + ": makes no sense for this store; it counts as absent");
    return found;
  }
  if (!parsed->place || *parsed->place == VARVE_TRY(place())) {
    found.guard = parsed->guard;
  } else {
    found.moved = parsed->guard;
  }
  return found;
}

Result<void> write_guard(Storage& storage, const AskPlace& place, const StoreId& store,
                         const Guard& guard) {
  VARVE_TRY(storage.make_directories(kFolder));
  const Place here = VARVE_TRY(place());
  return write_guard_bound_to(storage, store, guard,
                              {{"filesystem", here.filesystem}, {"inode", here.inode}});
}

Result<void> write_unbound_guard(Storage& storage, const StoreId& store, const Guard& guard) {
  VARVE_TRY(storage.make_directories(kFolder));
  return write_guard_bound_to(storage, store, guard, nullptr);
}

Result<GuardFound> read_guard(Storage& storage, const std::string& root, const StoreId& store) {
  return in_context(read_guard(
                        storage, [&] { return place_of(root); }, store),
                    root);
}

Result<void> write_guard(Storage& storage, const std::string& root, const StoreId& store,
                         const Guard& guard) {
  return write_guard(
      storage, [&] { return place_of(root); }, store, guard);
}

}  // namespace varve
