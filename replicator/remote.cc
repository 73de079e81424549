#include "replicator/remote.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "dedup/base/limits.h"
#include "dedup/guard.h"
#include "dedup/store_files.h"

namespace varve {
namespace {

using nlohmann::json;

constexpr const char* kRemotesFolder = "replica/remotes";
constexpr const char* kVisitsFolder = "replica/visits";
constexpr std::string_view kConfigSuffix = ".json";
constexpr size_t kSmallFileBytesMax = 64 * kKiB;
constexpr size_t kRemoteNameMax = 64;
constexpr size_t kVisitTokenBytes = 16;

std::string config_path(const std::string& name) {
  return fmt::format("{}/{}{}", kRemotesFolder, name, kConfigSuffix);
}

std::string visit_path(const std::string& sender) {
  return fmt::format("{}/{}", kVisitsFolder, sender);
}

std::string text_field(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<RemoteConfig> read_remote(Storage& store, const std::string& name) {
  const Bytes bytes = VARVE_TRY(read_whole(store, config_path(name), kSmallFileBytesMax));
  const json parsed = json::parse(as_text(bytes), nullptr, false);
  const Error senseless(Errc::kCorrupt,
                        config_path(name) + " makes no sense: remove it and add the remote again");
  if (!parsed.is_object()) return senseless;
  const auto version = parsed.find("format_version");
  const auto replica = ReplicaId::from_hex(text_field(parsed, "replica_id"));
  RemoteConfig remote{name,
                      text_field(parsed, "directory"),
                      {},
                      text_field(parsed, "added"),
                      text_field(parsed, "limit"),
                      CatalogMode::kReplicated,
                      OnLinkLoss::kGoOn};
  if (version == parsed.end() || *version != kFormatVersion || !replica || remote.directory.empty())
    return senseless;
  remote.replica = *replica;
  if (parsed.contains("catalog")) {
    const Result<CatalogMode> catalog = parse_catalog_mode(text_field(parsed, "catalog"));
    if (!catalog.ok()) return senseless;
    remote.catalog = *catalog;
  }
  if (parsed.contains("on_link_loss")) {
    const Result<OnLinkLoss> what = parse_on_link_loss(text_field(parsed, "on_link_loss"));
    if (!what.ok()) return senseless;
    remote.on_link_loss = *what;
  }
  return remote;
}

/// The one that the remote shows; what makes no sense shows none.
Result<Visit> read_visit(Storage& place, const std::string& sender) {
  const Result<Bytes> bytes = read_whole(place, visit_path(sender), kSmallFileBytesMax);
  if (!bytes.ok() && bytes.error().code() == Errc::kNotFound) return Visit();
  if (!bytes.ok()) return bytes.error();
  const json parsed = json::parse(as_text(*bytes), nullptr, false);
  if (!parsed.is_object()) return Visit();
  const auto number = parsed.find("number");
  if (number == parsed.end() || !number->is_number_unsigned()) return Visit();
  return Visit{number->get<uint64_t>(), text_field(parsed, "token")};
}

/// Begun in the ledger, written there, acknowledged in the ledger: a crash in between leaves the
/// remote with one that the ledger knows.
Result<void> make_visit(Storage& place, const std::string& sender, const Visit& there,
                        ReplicationLedger& ledger, Random& random) {
  uint64_t number = there.number;
  for (const Visit& known : ledger.visits()) number = std::max(number, known.number);
  std::array<uint8_t, kVisitTokenBytes> token;
  random.fill(token);
  const Visit visit{number + 1, to_hex(token)};
  ledger.note_visit_begun(visit);
  VARVE_TRY(ledger.save());
  // Where one lies there, so does its folder, durable: a long line has it cheaper so.
  if (there.number == 0) VARVE_TRY(place.make_directories(kVisitsFolder));
  const json content = {{"number", visit.number}, {"token", visit.token}};
  VARVE_TRY(write_whole(place, visit_path(sender), as_bytes(content.dump() + "\n")));
  ledger.note_visit_acknowledged(visit);
  return ledger.save();
}

/// A place that is asked for is none that any guard is bound to.
Result<Place> nowhere() {
  return Place{"a remote", 0};
}

}  // namespace

const char* name_of(OnLinkLoss what) {
  return what == OnLinkLoss::kStop ? "stop" : "go-on";
}

Result<OnLinkLoss> parse_on_link_loss(const std::string& name) {
  for (const OnLinkLoss what : {OnLinkLoss::kGoOn, OnLinkLoss::kStop}) {
    if (name == name_of(what)) return what;
  }
  return Error(Errc::kInvalid,
               "'" + name + "' is nothing to do when the line is lost: go-on or stop");
}

Result<void> check_remote_name(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  if (!name.empty() && name.size() <= kRemoteNameMax && name[0] != '.' && name[0] != '-' &&
      std::all_of(name.begin(), name.end(), fits))
    return {};
  return Error(Errc::kInvalid,
               "'" + name +
                   "' is no name for a remote: use letters, digits, '-', '_' and '.', "
                   "at most 64");
}

Result<std::vector<RemoteConfig>> list_remotes(Storage& store) {
  std::vector<RemoteConfig> remotes;
  for (const StorageEntry& entry : VARVE_TRY(list_if_there(store, kRemotesFolder))) {
    if (entry.is_directory || !entry.name.ends_with(kConfigSuffix)) continue;
    const std::string name = entry.name.substr(0, entry.name.size() - kConfigSuffix.size());
    if (!check_remote_name(name).ok()) continue;
    remotes.push_back(VARVE_TRY(read_remote(store, name)));
  }
  std::sort(remotes.begin(), remotes.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return remotes;
}

Result<RemoteConfig> find_remote(Storage& store, const std::string& name) {
  VARVE_TRY(check_remote_name(name));
  Result<RemoteConfig> found = read_remote(store, name);
  if (found.ok() || found.error().code() != Errc::kNotFound) return found;
  std::string known;
  for (const RemoteConfig& remote : VARVE_TRY(list_remotes(store))) {
    known += (known.empty() ? "" : ", ") + remote.name;
  }
  return Error(Errc::kNotFound,
               "there is no remote '" + name +
                   "': " + (known.empty() ? "varve remote add makes one" : "there are " + known));
}

Result<void> write_remote(Storage& store, const RemoteConfig& remote) {
  VARVE_TRY(check_remote_name(remote.name));
  VARVE_TRY(store.make_directories(kRemotesFolder));
  const json content = {{"format_version", kFormatVersion},
                        {"directory", remote.directory},
                        {"replica_id", remote.replica.hex()},
                        {"added", remote.added},
                        {"limit", remote.limit},
                        {"catalog", name_of(remote.catalog)},
                        {"on_link_loss", name_of(remote.on_link_loss)}};
  return write_whole(store, config_path(remote.name), as_bytes(content.dump(2) + "\n"));
}

Result<void> remove_remote(Storage& store, const std::string& name) {
  const RemoteConfig remote = VARVE_TRY(find_remote(store, name));
  VARVE_TRY(store.unlink(config_path(name)));
  VARVE_TRY(store.sync_dir(kRemotesFolder));
  const std::string folder = replication_folder(remote.replica);
  for (const StorageEntry& entry : VARVE_TRY(list_if_there(store, folder))) {
    if (!entry.is_directory) VARVE_TRY(store.unlink(folder + "/" + entry.name));
  }
  return {};
}

std::string replication_folder(const ReplicaId& remote) {
  return "local/replication/" + remote.hex();
}

std::string replication_state_path(const ReplicaId& remote) {
  return replication_folder(remote) + "/state.json";
}

std::string replication_ledger_path(const ReplicaId& remote) {
  return replication_folder(remote) + "/ledger";
}

Result<void> check_place_for_files(Storage& place, const StoreConfig& store,
                                   const std::string& shown) {
  if (VARVE_TRY(place.exists("local"))) {
    return Error(Errc::kBusy,
                 shown + " has a working copy (local/): it is a live store, no remote");
  }
  if (VARVE_TRY(place.exists(kStoreConfigPath))) {
    const StoreConfig there = VARVE_TRY(in_context(read_store_config(place), shown));
    if (there.hash == store.hash) return {};
    return Error(Errc::kForeign, shown + " is of another store (" + there.store_id.hex() + ")");
  }
  static const std::set<std::string> ours{"keys",      "packs",   "catalog", "lists",
                                          "snapshots", "records", "replica", "lost+found"};
  for (const StorageEntry& entry : VARVE_TRY(place.list(""))) {
    if ((entry.is_directory && ours.contains(entry.name)) || entry.name.starts_with(".tmp-"))
      continue;
    return Error(Errc::kInvalid,
                 shown + " holds something else ('" + entry.name +
                     "'): name an empty directory, or one with files of this store");
  }
  return {};
}

Result<void> settle_store_config(Storage& place, Storage& store) {
  if (VARVE_TRY(place.exists(kStoreConfigPath))) return {};
  const Bytes bytes = VARVE_TRY(read_whole(store, kStoreConfigPath, kSmallFileBytesMax));
  return write_whole(place, kStoreConfigPath, bytes);
}

Result<ReplicaId> settle_remote(Storage& place, Storage& store, const StoreConfig& config,
                                Random& random) {
  const GuardFound found = VARVE_TRY(read_guard(place, nowhere, config.store_id));
  if (found.guard && !found.guard->writer.is_zero()) {
    return Error(Errc::kBusy, "it was promoted to a live store");
  }
  const ReplicaId replica = found.guard ? found.guard->replica : random.id<ReplicaId>();
  VARVE_TRY(settle_store_config(place, store));
  for (const char* folder : {"keys", "packs", "catalog", "lists", "snapshots", "records"}) {
    VARVE_TRY(place.make_directories(folder));
  }
  if (!found.guard) VARVE_TRY(write_unbound_guard(place, config.store_id, {replica, {}}));
  return replica;
}

Result<bool> is_live_store(Storage& place, const StoreConfig& store) {
  if (VARVE_TRY(place.exists("local"))) return true;
  const GuardFound found = VARVE_TRY(read_guard(place, nowhere, store.store_id));
  return found.moved || (found.guard && !found.guard->writer.is_zero());
}

Result<void> check_remote_identity(Storage& place, const StoreConfig& store,
                                   const RemoteConfig& remote) {
  const std::string shown = "remote '" + remote.name + "', " + remote.directory;
  if (!VARVE_TRY(place.exists("replica/guard"))) {
    return Error(Errc::kNotFound,
                 shown + ": it has no replica/guard: is it mounted? Nothing was written");
  }
  const GuardFound found = VARVE_TRY(in_context(read_guard(place, nowhere, store.store_id), shown));
  const StoreConfig there = VARVE_TRY(in_context(read_store_config(place), shown));
  if (there.hash != store.hash) {
    return Error(Errc::kForeign, shown + ": it is of another store (" + there.store_id.hex() +
                                     "). Nothing was written");
  }
  const std::optional<Guard> guard = found.guard ? found.guard : found.moved;
  if (!guard || guard->replica != remote.replica) {
    return Error(Errc::kForeign,
                 shown + ": it is another place of this store (" +
                     (guard ? "replica " + guard->replica.hex() : "its guard makes no sense") +
                     ", not " + remote.replica.hex() + "): another drive? Nothing was written");
  }
  if (!found.guard || !found.guard->writer.is_zero()) {
    return Error(
        Errc::kBusy,
        shown + ": it was made a live store since (" +
            (guard->promoting ? "its promotion is not complete" : "writer " + guard->writer.hex()) +
            "). Nothing was written. 'varve rejoin STORE --from " + remote.name +
            "' takes over its live trees, with --keep-mine those of here go on; 'varve "
            "absorb " +
            remote.directory + " STORE' brings its files alone");
  }
  return {};
}

Result<std::string> sender_of(Storage& store, const std::string& root, const StoreConfig& config) {
  const GuardFound found = VARVE_TRY(read_guard(store, root, config.store_id));
  const std::optional<Guard> guard = found.guard ? found.guard : found.moved;
  if (!guard) {
    return Error(Errc::kInvalid, root + " has no replica/guard yet: mount it once");
  }
  return guard->writer.is_zero() ? guard->replica.hex() : guard->writer.hex();
}

Result<void> visit_remote(Storage& place, const std::string& sender, ReplicationLedger& ledger,
                          Random& random) {
  const Visit there = VARVE_TRY(read_visit(place, sender));
  const std::vector<Visit> known = ledger.visits();
  const bool as_known = std::find(known.begin(), known.end(), there) != known.end();
  if (!known.empty() && !as_known && there.number <= known.back().number) {
    return Error(
        Errc::kForeign,
        fmt::format("it does not show what it acknowledged (visit {}, expected {}): it is a "
                    "copy, or was rolled back. Nothing was written; --relist takes it as it "
                    "is, and sends what it lacks",
                    there.number, known.front().number));
  }
  if (!known.empty() && !as_known) ledger.forget_files();
  return make_visit(place, sender, there, ledger, random);
}

Result<void> visit_remote_anew(Storage& place, const std::string& sender, ReplicationLedger& ledger,
                               Random& random) {
  ledger.forget_files();
  return make_visit(place, sender, VARVE_TRY(read_visit(place, sender)), ledger, random);
}

}  // namespace varve
