// mkfs.varve: makes a store, or another writer of one.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "catalog/join.h"
#include "dedup/base/clock.h"
#include "dedup/base/limits.h"
#include "dedup/base/posix_storage.h"
#include "dedup/base/unique_fd.h"
#include "dedup/keyring.h"
#include "tools/exit_codes.h"
#include "tools/passphrase.h"
#include "tools/real_path.h"
#include "tools/terminal.h"

namespace varve {
namespace {

constexpr const char* kProgram = "mkfs.varve";
constexpr const char* kExamples =
    "Examples:\n"
    "  mkfs.varve /srv/store                                    asks for a passphrase\n"
    "  mkfs.varve --passphrase-file pw --recovery-key-file /etc/varve/key /srv/store\n"
    "  mkfs.varve --passphrase-file pw --chunk-size 128K /srv/images\n"
    "  mkfs.varve --passphrase-file pw --join /mnt/provider/acme /srv/store\n"
    "                                                           a second site of that store: its\n"
    "                                                           own backup sets, the same remotes\n"
    "\n"
    "Without the passphrase or the recovery key nobody can read a store again. Keep the recovery\n"
    "key on paper, in another place.\n"
    "\n";

struct Arguments {
  std::string store, passphrase_file, recovery_key_file, join;
  uint64_t chunk_size = 32 * kKiB;
  bool no_recovery_key = false;
};

constexpr size_t kHistoryReaders = 32;  // DIR may be far away

std::string parent_of(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> sync_directory(const std::string& path) {
  const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid() || (::fsync(directory.get()) != 0 && errno != EINVAL)) {
    return error_from_errno(errno, "syncing directory " + path);
  }
  return {};
}

Result<void> make_store_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0) return sync_directory(parent_of(path));
  if (errno == EEXIST) return {};
  return error_from_errno(errno, "making " + path);
}

/// The recovery key's own file, made before the store so that there is never a store whose key was
/// lost.
Result<void> write_recovery_key(const std::string& path, const std::string& text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid()) return error_from_errno(errno, "making " + path);
  const ssize_t count = ::write(file.get(), text.data(), text.size());
  if (count != static_cast<ssize_t>(text.size()) || ::fsync(file.get()) != 0) {
    Error error =
        error_from_errno(count >= 0 && count < static_cast<ssize_t>(text.size()) ? ENOSPC : errno,
                         "writing " + path);
    (void)::unlink(path.c_str());
    return error;
  }
  return sync_directory(parent_of(path));
}

std::optional<Secret> make_recovery_key(const Arguments& arguments) {
  const bool wanted =
      !arguments.no_recovery_key && (!arguments.recovery_key_file.empty() || on_terminal());
  if (!wanted) return std::nullopt;
  Secret key(kKeyBytes);
  system_random().fill(key.span());
  return key;
}

Result<void> make_store(const Arguments& arguments, const ChunkerSizes& sizes,
                        const std::vector<AccessSecret>& secrets) {
  VARVE_TRY(make_store_directory(arguments.store));
  const auto storage = VARVE_TRY(open_posix_storage(arguments.store));
  Result<NewStore> made =
      create_store(*storage, sizes, secrets, system_random(), utc_iso(system_clock().now()));
  if (!made.ok()) return std::move(made).error().with_context(arguments.store);
  std::printf("%s: store %s, chunks of %llu KiB on average\n", arguments.store.c_str(),
              made->config.store_id.hex().c_str(),
              static_cast<unsigned long long>(arguments.chunk_size / kKiB));
  return {};
}

/// Shows the key, now that it opens something, or says how to get one.
void hand_out(const Arguments& arguments, const std::string& recovery_text) {
  if (!arguments.recovery_key_file.empty()) {
    std::printf("the recovery key is in %s: print it, and keep it in another place\n",
                arguments.recovery_key_file.c_str());
  } else if (recovery_text.empty()) {
    std::printf(
        "no recovery key was made: if the passphrase is lost, so is everything in the store "
        "(--recovery-key-file F makes one)\n");
  } else {
    const std::string shown =
        "\nRecovery key, shown this once; it opens the store if the passphrase is lost. Write it "
        "down:\n\n    " +
        recovery_text + "\n\n";
    // The store is made with this key: it has to be shown, if need be on a standard output that
    // goes elsewhere.
    if (!tell_terminal(shown).ok()) std::fputs(shown.c_str(), stdout);
  }
}

Result<void> run(const Arguments& arguments) {
  const ChunkerSizes sizes = VARVE_TRY(ChunkerSizes::of_average(arguments.chunk_size));
  std::vector<AccessSecret> secrets;
  secrets.push_back(VARVE_TRY(read_new_passphrase(arguments.passphrase_file)));
  std::string recovery_text;
  if (std::optional<Secret> key = make_recovery_key(arguments)) {
    recovery_text = print_recovery_key(*key);
    secrets.push_back({AccessSecret::Kind::kRecoveryKey, std::move(*key)});
  }
  const bool to_file = !arguments.recovery_key_file.empty();
  if (to_file) VARVE_TRY(write_recovery_key(arguments.recovery_key_file, recovery_text + "\n"));
  Result<void> made = make_store(arguments, sizes, secrets);
  if (!made.ok() && to_file) (void)::unlink(arguments.recovery_key_file.c_str());
  if (made.ok()) hand_out(arguments, recovery_text);
  wipe({reinterpret_cast<uint8_t*>(recovery_text.data()), recovery_text.size()});
  return made;
}

/// DIR is only read: a store inside of it would be written there.
Result<void> check_apart(const std::string& from, const std::string& store) {
  const auto real = [](const std::string& path) -> Result<std::string> {
    const std::unique_ptr<char, decltype(&std::free)> found(::realpath(path.c_str(), nullptr),
                                                            &std::free);
    if (!found) return error_from_errno(errno, path);
    return std::string(found.get());
  };
  const std::string there = VARVE_TRY(real(from));
  Result<std::string> here = real(store);
  if (!here.ok()) here = real(parent_of(store));
  const std::string inside = VARVE_TRY(std::move(here));
  if (!is_within(inside, there)) return {};
  return Error(Errc::kInvalid, store + " lies in " + from + ": name a directory outside of it");
}

/// Opened before anything is made.
Result<void> join(const Arguments& arguments) {
  const AccessSecret secret =
      VARVE_TRY(read_access_secret({arguments.passphrase_file, "", ""}, arguments.join));
  VARVE_TRY(check_apart(arguments.join, arguments.store));
  const auto from = VARVE_TRY(open_posix_storage(arguments.join));
  const auto readers = make_thread_pool("varve-history", kHistoryReaders, kHistoryReaders);
  const auto store = VARVE_TRY(
      in_context(StoreToJoin::open({*from, system_clock(), system_random(), readers.get()}, secret),
                 arguments.join));
  VARVE_TRY(make_store_directory(arguments.store));
  const auto storage = VARVE_TRY(open_posix_storage(arguments.store));
  const StoreToJoin::Joined joined = VARVE_TRY(in_context(
      store->join(*storage, [&] { return place_of(arguments.store); }), arguments.store));
  std::printf(
      "%s: joined store %s as writer %s, which knows of %zu snapshots (varve absorb %s %s "
      "brings them)\n",
      arguments.store.c_str(), store->config().store_id.hex().c_str(), joined.writer.hex().c_str(),
      store->history().snapshots().size(), arguments.join.c_str(), arguments.store.c_str());
  return {};
}

void add_options(CLI::App& app, Arguments& arguments) {
  app.footer(std::string(kExamples) + kExitCodesHelp);
  app.add_option("STORE", arguments.store, "Directory of the store; made if it is not there")
      ->required();
  app.add_option("--passphrase-file", arguments.passphrase_file,
                 "File that holds the passphrase ($VARVE_PASSPHRASE_FILE; else asked for on the "
                 "terminal)")
      ->type_name("FILE");
  auto* chunk_size =
      app.add_option("--chunk-size", arguments.chunk_size,
                     "Average size of chunks: 16K, 32K, 64K or 128K. It cannot be changed later");
  chunk_size->transform(CLI::AsSizeValue(false))->type_name("SIZE")->default_str("32K");
  auto* recovery =
      app.add_option("--recovery-key-file", arguments.recovery_key_file,
                     "New file for a recovery key (on a terminal it is shown instead)");
  recovery->type_name("FILE");
  auto* no_recovery =
      app.add_flag("--no-recovery-key", arguments.no_recovery_key, "Make no recovery key")
          ->excludes(recovery);
  app.add_option("--join", arguments.join,
                 "Make another writer of the store that DIR is a place of (a remote, a drive, "
                 "another site's\nstore): the same passphrase, keys and parameters. DIR is only "
                 "read, and is not needed later")
      ->type_name("DIR")
      ->excludes(chunk_size)
      ->excludes(recovery)
      ->excludes(no_recovery);
}

int report(const Error& error) {
  std::fprintf(stderr, "%s: %s\n", kProgram, error.message().c_str());
  return exit_code_of(error);
}

}  // namespace

int run_program(int argc, char** argv) {
  CLI::App app("Makes a store for backups: deduplicated, compressed, encrypted.", kProgram);
  Arguments arguments;
  add_options(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  forbid_dumps();
  const Result<void> result = arguments.join.empty() ? run(arguments) : join(arguments);
  return result.ok() ? kExitOk : report(result.error());
}

}  // namespace varve

int main(int argc, char** argv) {
  return varve::run_program(argc, argv);
}
