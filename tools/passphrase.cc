#include "tools/passphrase.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"
#include "dedup/base/unique_fd.h"
#include "tools/terminal.h"

namespace varve {
namespace {

constexpr size_t kSecretFileBytesMax = kMiB;
constexpr const char* kEnvironment = "VARVE_PASSPHRASE_FILE";

/// Secrets in files with group or other bits are no secrets; pipes and the like have no such bits
/// worth looking at.
void warn_if_open(int fd, const std::string& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return;
  if ((status.st_mode & (S_IRGRP | S_IROTH)) != 0) {
    log_warning(path + " is readable by others; chmod 600 it");
  }
}

/// Reads until the end, however long the file says it is: it may be a pipe.
Result<Secret> read_to_end(int fd, const std::string& path) {
  Secret memory(4 * kKiB);
  size_t length = 0;
  for (;;) {
    if (length == memory.size()) {
      if (memory.size() > kSecretFileBytesMax)
        return Error(Errc::kTooLarge, path + " is too large");
      Secret larger(memory.size() * 4);
      std::copy_n(memory.view().begin(), length, larger.span().begin());
      memory = std::move(larger);
    }
    const ssize_t count = ::read(fd, memory.span().data() + length, memory.size() - length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return error_from_errno(errno, "reading " + path);
    if (count == 0) return Secret::copy_of(memory.view().first(length));
    length += static_cast<size_t>(count);
  }
}

Result<AccessSecret> passphrase_of(Secret bytes, const std::string& where) {
  size_t length = bytes.size();
  if (length > 0 && bytes.view()[length - 1] == '\n') length--;
  if (length == 0) return Error(Errc::kInvalid, "the passphrase " + where + " is empty");
  return AccessSecret{AccessSecret::Kind::kPassphrase, Secret::copy_of(bytes.view().first(length))};
}

Result<AccessSecret> passphrase_from_file(const std::string& path) {
  return passphrase_of(VARVE_TRY(read_secret_file(path)), "in " + path);
}

Result<AccessSecret> key_from_file(const std::string& path) {
  Secret bytes = VARVE_TRY(read_secret_file(path));
  if (bytes.size() == 0) return Error(Errc::kInvalid, "the key file " + path + " is empty");
  return AccessSecret{AccessSecret::Kind::kKeyFile, std::move(bytes)};
}

Result<AccessSecret> recovery_key_from_file(const std::string& path) {
  const Secret text = VARVE_TRY(read_secret_file(path));
  Result<Secret> key = parse_recovery_key(as_text(text.view()));
  if (!key.ok()) return std::move(key).error().with_context(path);
  return AccessSecret{AccessSecret::Kind::kRecoveryKey, std::move(key).value()};
}

std::string file_from_environment() {
  const char* path = std::getenv(kEnvironment);
  return path == nullptr ? std::string() : std::string(path);
}

Error nobody_to_ask() {
  return Error(Errc::kInvalid,
               std::string("no passphrase: name its file by --passphrase-file or $") +
                   kEnvironment + " (there is no terminal to ask on)");
}

}  // namespace

void add_secret_options(CLI::App& app, SecretSource& source) {
  auto* passphrase = app.add_option("--passphrase-file", source.passphrase_file,
                                    "File that holds the passphrase ($VARVE_PASSPHRASE_FILE; else "
                                    "asked for on the terminal)");
  auto* key = app.add_option("--key-file", source.key_file, "Key file that opens the store");
  auto* recovery = app.add_option("--recovery-key-file", source.recovery_key_file,
                                  "File that holds the recovery key as it was printed");
  passphrase->type_name("FILE")->excludes(key)->excludes(recovery);
  key->type_name("FILE")->excludes(recovery);
  recovery->type_name("FILE");
}

Result<Secret> read_secret_file(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file.valid()) return error_from_errno(errno, "opening " + path);
  warn_if_open(file.get(), path);
  return read_to_end(file.get(), path);
}

Result<AccessSecret> read_access_secret(const SecretSource& source, const std::string& store) {
  if (!source.passphrase_file.empty()) return passphrase_from_file(source.passphrase_file);
  if (!source.key_file.empty()) return key_from_file(source.key_file);
  if (!source.recovery_key_file.empty()) return recovery_key_from_file(source.recovery_key_file);
  const std::string file = file_from_environment();
  if (!file.empty()) return passphrase_from_file(file);
  if (!on_terminal()) return nobody_to_ask();
  return passphrase_of(VARVE_TRY(ask_secret("Passphrase of " + store + ": ")), "typed");
}

Result<AccessSecret> read_new_passphrase(const std::string& passphrase_file) {
  const std::string file = passphrase_file.empty() ? file_from_environment() : passphrase_file;
  return file.empty() ? ask_new_passphrase() : passphrase_from_file(file);
}

Result<AccessSecret> ask_new_passphrase() {
  if (!on_terminal()) return nobody_to_ask();
  Secret first = VARVE_TRY(ask_secret("New passphrase: "));
  const Secret second = VARVE_TRY(ask_secret("The same again: "));
  if (!std::ranges::equal(first.view(), second.view())) {
    return Error(Errc::kInvalid, "the two passphrases are not the same");
  }
  return passphrase_of(std::move(first), "typed");
}

}  // namespace varve
