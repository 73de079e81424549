// mount.varve: shows a store's files at a mountpoint. Called by people, by mount(8) as
// /sbin/mount.varve, by fstab and systemd.

#include <getopt.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "dedup/base/log.h"
#include "fs/daemon.h"
#include "fs/daemonize.h"
#include "fs/fuse_session.h"
#include "fs/mount_table.h"
#include "tools/fetch_process.h"
#include "tools/passphrase.h"
#include "tools/real_path.h"

/// Read by jemalloc before main. What threads and arenas keep counts as much as what is in use: two
/// arenas, no buffers of segments in a thread's own cache, and what is free goes back soon.
extern "C" const char* malloc_conf;
const char* malloc_conf = "narenas:2,tcache_max:65536,dirty_decay_ms:1000,muzzy_decay_ms:0";

namespace varve {
namespace {

constexpr const char* kProgram = "mount.varve";
// How often, and how many times, a mountpoint is looked at that is not free yet.
constexpr auto kLookEvery = std::chrono::milliseconds(100);
constexpr int kLooks = 20;
constexpr const char* kHelp =
    "Usage: mount.varve STORE MOUNTPOINT [-o OPTION,...] [-f] [--passphrase-file FILE]\n"
    "       mount -t varve STORE MOUNTPOINT [-o OPTION,...]\n"
    "\n"
    "Shows the store's files at MOUNTPOINT. umount MOUNTPOINT ends it.\n"
    "\n"
    "  -f, --foreground          stay in the foreground; log lines go to standard error\n"
    "  -o OPTION,...             mount options, see below; may be given several times\n"
    "      --passphrase-file F   file that holds the passphrase ($VARVE_PASSPHRASE_FILE; else "
    "asked\n"
    "                            for on the terminal)\n"
    "      --key-file F, --recovery-key-file F\n"
    "  -n, -s, -v                taken from mount(8), without effect\n"
    "  -h, --help\n"
    "\n"
    "Mount options:\n"
    "  ro, rw                    read-only; read and write (the default)\n"
    "  local=DIR                 with ro: working state goes to DIR, and nothing is written to "
    "STORE, which may\n"
    "                            be a remote\n"
    "  allow_other               other users than the one who mounts may use the mount\n"
    "  passphrase_file=F, key_file=F, recovery_key_file=F\n"
    "  cache=SIZE                memory for decoded data, e.g. 1G (256M)\n"
    "  dirty=SIZE                memory for written data on its way to the disk (128M); with half "
    "as much\n"
    "                            again for chunks and for names that wait for theirs\n"
    "  compression=zstd:LEVEL    for new data, LEVEL from 1 to 19 (zstd:3); none: stored as it is\n"
    "  checkpoint=TIME           take a checkpoint after TIME of change, e.g. 15m (the default); "
    "0: only at\n"
    "                            umount\n"
    "  io_uring=auto|off         requests come over io_uring where the kernel offers it (auto), "
    "or never\n"
    "  snapshots=append          nobody removes snapshots through the mount\n"
    "  suid, dev, noexec, noatime, sync, ...   as in mount(8); nosuid and nodev hold by "
    "themselves\n"
    "\n"
    "Exit codes, as mount(8)'s: 0 mounted, 1 wrong usage, 32 the mount failed.\n";

struct Arguments {
  std::string store, mountpoint, options;
  SecretSource secret;
  bool foreground = false, help = false;
};

Error usage(std::string message) {
  return {Errc::kInvalid, std::move(message)};
}

enum LongOption { kPassphraseFile = 256, kKeyFile, kRecoveryKeyFile };

Result<void> take_option(Arguments& arguments, int option, const char* value) {
  switch (option) {
    case 'f':
      arguments.foreground = true;
      return {};
    case 'h':
      arguments.help = true;
      return {};
    case 'o':
      arguments.options += (arguments.options.empty() ? "" : ",") + std::string(value);
      return {};
    case 'n':
    case 's':
    case 'v':
    case 'N':
      return {};
    case 't': {
      const std::string type = value;
      if (type == "varve" || type == "fuse.varve") return {};
      return usage("mounts of type " + type + " are not varve's");
    }
    case kPassphraseFile:
      arguments.secret.passphrase_file = value;
      return {};
    case kKeyFile:
      arguments.secret.key_file = value;
      return {};
    case kRecoveryKeyFile:
      arguments.secret.recovery_key_file = value;
      return {};
    default:
      return usage("try mount.varve --help");
  }
}

Result<Arguments> read_arguments(int argc, char** argv) {
  static constexpr option kLongOptions[] = {
      {"foreground", no_argument, nullptr, 'f'},
      {"help", no_argument, nullptr, 'h'},
      {"passphrase-file", required_argument, nullptr, kPassphraseFile},
      {"key-file", required_argument, nullptr, kKeyFile},
      {"recovery-key-file", required_argument, nullptr, kRecoveryKeyFile},
      {nullptr, 0, nullptr, 0}};
  // getopt moves the operands in argv to its end; what ps shows must stay as it was given.
  std::vector<char*> copy(argv, argv + argc);
  copy.push_back(nullptr);
  Arguments arguments;
  for (;;) {
    const int option = ::getopt_long(argc, copy.data(), "fhnsvo:t:N:", kLongOptions, nullptr);
    if (option == -1) break;
    VARVE_TRY(take_option(arguments, option, optarg));
  }
  if (arguments.help) return arguments;
  if (argc - optind != 2) return usage("needs STORE and MOUNTPOINT; try mount.varve --help");
  arguments.store = copy[static_cast<size_t>(optind)];
  arguments.mountpoint = copy[static_cast<size_t>(optind) + 1];
  return arguments;
}

// The command line's secret counts over the options'.
SecretSource secret_source(const Arguments& arguments, const MountOptions& options) {
  const SecretSource& given = arguments.secret;
  if (!given.passphrase_file.empty() || !given.key_file.empty() || !given.recovery_key_file.empty())
    return given;
  return {options.passphrase_file, options.key_file, options.recovery_key_file};
}

void unmount_by_fusermount(const char* path) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execlp("fusermount3", "fusermount3", "-u", "-q", "-z", "--", path, nullptr);
    _exit(127);
  }
  if (child > 0) (void)::waitpid(child, nullptr, 0);
}

// Asks the daemon, where there is one: attributes alone may still be the kernel's memory of a dead
// mount.
int probe(const std::string& path) {
  struct statvfs figures {};
  return ::statvfs(path.c_str(), &figures) == 0 ? 0 : errno;
}

// The mountpoint's own path: what lies above it is resolved, but nobody asks a mount that may be
// dead.
std::string place_of(const std::string& path) {
  const std::filesystem::path given(path);
  const std::filesystem::path name = given.filename();
  std::error_code failed;
  if (name.empty() || name == "." || name == "..") {
    const std::filesystem::path whole = std::filesystem::weakly_canonical(given, failed);
    return failed ? path : whole.string();
  }
  const std::filesystem::path above =
      std::filesystem::canonical(given.has_parent_path() ? given.parent_path() : ".", failed);
  return failed ? path : (above / name).string();
}

// A mount of varve's whose daemon died is taken away; any other is not ours to touch.
Result<void> replace_dead_mount(const std::string& path, const std::string& place) {
  const std::optional<MountedThere> there = mounted_at(place);
  if (!there) {
    return Error(Errc::kNotFound, "mountpoint " + path + " lies in a mount whose daemon has ended");
  }
  if (there->type != "fuse.varve") {
    return Error(Errc::kBusy, "mountpoint " + path + ": the mount of " + there->source + " (" +
                                  there->type + ") there does not answer; unmount it first");
  }
  log_warning(place + ": the mount of " + there->source +
              ", whose daemon had ended, was still there; it is replaced");
  if (::umount2(place.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) {
    unmount_by_fusermount(place.c_str());
  }
  return {};
}

// Dead mounts go, also where several lie over each other. A living one of varve's stays: it may be
// about to end, and has a moment for that.
Result<void> clear_mountpoint(const std::string& path) {
  const std::string place = place_of(path);
  for (int looks = 0;; looks++) {
    const int found = probe(path);
    const bool dead = found == ENOTCONN || found == ECONNABORTED;
    if (dead && looks == kLooks) {
      return Error(Errc::kBusy, "mountpoint " + path + ": the dead mount there cannot be removed");
    }
    if (dead) {
      VARVE_TRY(replace_dead_mount(path, place));
      continue;
    }
    const std::optional<MountedThere> there = mounted_at(place);
    if (!there || there->type != "fuse.varve") return {};
    if (looks == kLooks)
      return Error(Errc::kBusy, "mountpoint " + path + " shows " + there->source + " already");
    std::this_thread::sleep_for(kLookEvery);
  }
}

// The absolute path of the mountpoint, where nothing of varve's is mounted any more.
Result<std::string> prepare_mountpoint(const std::string& path) {
  VARVE_TRY(clear_mountpoint(path));
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return error_from_errno(errno, "mountpoint " + path);
  if (!S_ISDIR(status.st_mode)) {
    return Error(Errc::kNotDirectory, "mountpoint " + path + " is no directory");
  }
  char resolved[PATH_MAX];
  if (::realpath(path.c_str(), resolved) == nullptr) {
    return error_from_errno(errno, "mountpoint " + path);
  }
  return std::string(resolved);
}

// A remote may hang.
constexpr std::chrono::seconds kStorePatience{15};

Result<std::string> absolute_store(const std::string& path) {
  Result<std::string> found = real_path_within(path, kStorePatience);
  if (!found.ok()) return Error(found.error().code(), "store " + found.error().message());
  return found;
}

// The directory for the working state, made if it is not there.
Result<std::string> prepare_local(const std::string& path, const DaemonOptions& options) {
  std::error_code failed;
  std::string local = std::filesystem::weakly_canonical(std::filesystem::absolute(path), failed);
  if (failed) return error_from_errno(failed.value(), "local=" + path);
  if (local.size() > 1 && local.back() == '/') local.pop_back();
  if (is_within(local, options.store) || is_within(options.store, local) ||
      is_within(local, options.mountpoint)) {
    return usage("local=" + path +
                 " must be a directory of its own, neither in the store nor below the mountpoint");
  }
  if (::mkdir(local.c_str(), 0700) != 0 && errno != EEXIST)
    return error_from_errno(errno, "local=" + path);
  return local;
}

Result<DaemonOptions> prepare(const Arguments& arguments, MountOptions mount) {
  DaemonOptions options;
  options.source = arguments.store;
  options.store = VARVE_TRY(absolute_store(arguments.store));
  options.mountpoint = VARVE_TRY(prepare_mountpoint(arguments.mountpoint));
  // The mount would hide its own store, or be written into it.
  if (is_within(options.store, options.mountpoint) ||
      is_within(options.mountpoint, options.store)) {
    return usage("store " + options.store + " and mountpoint " + options.mountpoint +
                 " lie in each other");
  }
  if (!mount.local.empty()) {
    mount.local = VARVE_TRY(prepare_local(mount.local, options));
    options.start_helper = fetch_process_starter(options.store);
  }
  options.start_remote_helper = fetch_process_starter;
  options.secret = VARVE_TRY(read_access_secret(secret_source(arguments, mount), arguments.store));
  options.mount = std::move(mount);
  options.foreground = arguments.foreground;
  return options;
}

int report(const Error& error, int code) {
  std::fprintf(stderr, "%s: %s\n", kProgram, error.message().c_str());
  return code;
}

int mount_and_serve(DaemonOptions options) {
  Result<Readiness> readiness = daemonize(kProgram, options.foreground);
  if (!readiness.ok()) return report(readiness.error(), kExitMountFailed);
  block_termination_signals();
  bool was_mounted = false;
  const std::string source = options.source, mountpoint = options.mountpoint;
  const Result<int> code = run_daemon(std::move(options), [&](const Result<void>& result) {
    was_mounted = result.ok();
    if (result.ok()) {
      name_umount_helper(source, mountpoint);
      readiness->mounted();
    } else {
      readiness->failed(result.error());
    }
  });
  if (code.ok()) return *code;
  if (was_mounted) log_error("the mount ended with an error: " + code.error().message());
  readiness->failed(code.error());
  return kExitMountFailed;
}

int run_mount(int argc, char** argv) {
  Result<Arguments> arguments = read_arguments(argc, argv);
  if (!arguments.ok()) return report(arguments.error(), kExitBadUsage);
  if (arguments->help) {
    std::fputs(kHelp, stdout);
    return 0;
  }
  Result<MountOptions> mount = parse_mount_options(arguments->options);
  if (!mount.ok()) return report(mount.error(), kExitBadUsage);
  forbid_dumps();
  Result<DaemonOptions> options = prepare(*arguments, std::move(mount).value());
  if (!options.ok()) {
    return report(options.error(),
                  options.error().code() == Errc::kInvalid ? kExitBadUsage : kExitMountFailed);
  }
  return mount_and_serve(std::move(options).value());
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  varve::become_fetch_process(argc, argv);
  return varve::run_mount(argc, argv);
}
