// varve restore: brings a snapshot back into a directory, without a mount.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "catalog/restore.h"
#include "dedup/base/posix_storage.h"
#include "fs/remote_places.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/fetch_process.h"
#include "tools/passphrase.h"
#include "tools/progress_line.h"
#include "tools/report.h"

namespace varve {
namespace {

struct RestoreOptions {
  std::string store, snapshot, target;
  SecretSource secret;
  bool json = false;
};

constexpr size_t kCacheBytes = 192u << 20;

std::string progress_of(const RestoreFigures& figures) {
  return fmt::format("{} files, {} written, {} checked", figures.files,
                     human_bytes(figures.written_bytes), human_bytes(figures.checked_bytes));
}

void add(RestoreFigures& sum, const RestoreFigures& figures) {
  sum.files += figures.files;
  sum.kept += figures.kept;
  sum.written_bytes += figures.written_bytes;
  sum.checked_bytes += figures.checked_bytes;
  sum.failures += figures.failures;
}

/// "SET/NAME", or "/NAME" for a snapshot of the whole mount.
Result<SnapshotInfo> find_snapshot(const History& history, const std::string& wanted) {
  const size_t slash = wanted.rfind('/');
  if (slash == std::string::npos)
    return Error(Errc::kInvalid,
                 wanted + ": name a snapshot as SET/NAME, or /NAME for one of the whole mount");
  const std::string set = wanted.substr(0, slash), name = wanted.substr(slash + 1);
  for (const SnapshotInfo& snapshot : history.snapshots()) {
    if (snapshot.set_name == set && snapshot.name == name) return snapshot;
  }
  return Error(Errc::kNotFound,
               "there is no snapshot " + wanted + ": varve snapshots STORE lists them");
}

/// A snapshot of the whole mount goes into the target as it is seen in the mount: the root's own
/// files, and the sets as directories.
Result<RestoreFigures> restore_all(StoreReader& store, const SnapshotInfo& snapshot,
                                   const std::string& target, const RestoreCallbacks& callbacks) {
  if (snapshot.header.snapshot_class == SnapshotClass::kSet)
    return restore(store, snapshot, snapshot.header.set, target, callbacks);
  RestoreFigures sum;
  const SnapshotBody body = VARVE_TRY(store.history().body(snapshot.hash));
  // The root's own files come last, with the times of the directory that the sets are made in.
  for (auto tree = body.trees.rbegin(); tree != body.trees.rend(); ++tree) {
    if (tree->set_name == ".." || tree->set_name == "." ||
        tree->set_name.find('/') != std::string::npos) {
      return Error(Errc::kCorrupt, "the snapshot holds a set with an impossible name");
    }
    const std::string below = tree->set_name.empty() ? target : target + "/" + tree->set_name;
    add(sum, VARVE_TRY(restore(store, snapshot, tree->set, below, callbacks)));
  }
  return sum;
}

Result<RestoreFigures> run(const RestoreOptions& options) {
  AccessSecret secret = VARVE_TRY(read_access_secret(options.secret, options.store));
  // What is evicted here, or damaged, comes from the store's remotes.
  RemotePlaces remotes(VARVE_TRY(open_posix_storage(options.store)), fetch_process_starter,
                       fetch_limits());
  const std::unique_ptr<StoreReader> store =
      VARVE_TRY(StoreReader::open(options.store, secret, kCacheBytes, &remotes));
  const SnapshotInfo snapshot = VARVE_TRY(find_snapshot(store->history(), options.snapshot));
  ProgressLine line(!options.json);
  RestoreCallbacks callbacks;
  callbacks.progress = [&](const RestoreFigures& figures) { line.show(progress_of(figures)); };
  callbacks.failed = [&](std::string_view path, const Error& error) {
    line.clear();
    fmt::print(stderr, "varve: not restored: {}: {}\n", path.empty() ? "." : path, error.message());
  };
  Result<RestoreFigures> figures = restore_all(*store, snapshot, options.target, callbacks);
  line.clear();
  return figures;
}

int report(const RestoreOptions& options, const RestoreFigures& figures) {
  if (options.json) {
    fmt::print("{}\n", nlohmann::json{{"files", figures.files},
                                      {"kept", figures.kept},
                                      {"written_bytes", figures.written_bytes},
                                      {"checked_bytes", figures.checked_bytes},
                                      {"failures", figures.failures}}
                           .dump());
  } else {
    fmt::print(
        "{} files restored into {} ({} written, {} files were there already), {} read back and "
        "found equal\n",
        figures.files, options.target, human_bytes(figures.written_bytes), figures.kept,
        human_bytes(figures.checked_bytes));
  }
  if (figures.failures == 0) return kExitOk;
  fmt::print(stderr, "varve: {} files could not be restored; the others are whole\n",
             figures.failures);
  return kExitCorrupt;
}

}  // namespace

void add_restore_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<RestoreOptions>();
  CLI::App* command = app.add_subcommand(
      "restore", "Bring a snapshot back into a directory, without a mount; run again, it resumes");
  command->add_option("store", options->store, "STORE")->required();
  command
      ->add_option("snapshot", options->snapshot,
                   "SET/NAME, or /NAME for a snapshot of the whole mount")
      ->required();
  command
      ->add_option(
          "directory", options->target,
          "Where to; made if it is missing. What it has and the snapshot has not is left alone")
      ->required();
  add_secret_options(*command, options->secret);
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Example: varve restore --passphrase-file pw /srv/store web01/monday /srv/back\nWhat arrived "
      "is read back and compared.");
  command->callback([options, &exit_code] {
    const Result<RestoreFigures> done = run(*options);
    exit_code = done.ok() ? report(*options, *done) : report_error(done.error());
  });
}

}  // namespace varve
