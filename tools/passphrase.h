// Where every program of varve gets the secret that opens a store: from a file or from the person,
// never from an argument or the environment itself.
#pragma once

#include <string>

#include "dedup/keyring.h"

namespace CLI {
class App;
}

namespace varve {

/// Where the secret is; at most one is set. With none, $VARVE_PASSPHRASE_FILE names a file, and
/// without that the terminal is asked.
struct SecretSource {
  std::string passphrase_file, key_file, recovery_key_file;
};

/// --passphrase-file, --key-file and --recovery-key-file, which exclude each other, into `source`.
void add_secret_options(CLI::App& app, SecretSource& source);

/// The secret of an existing store. `store` is for the question only. kInvalid if there is none to
/// be had, or an empty one.
Result<AccessSecret> read_access_secret(const SecretSource& source, const std::string& store);

/// The passphrase of a new store: from the file, or asked for twice on the terminal.
Result<AccessSecret> read_new_passphrase(const std::string& passphrase_file);

/// A passphrase that is asked for twice on the terminal; kInvalid if there is none to ask on.
Result<AccessSecret> ask_new_passphrase();

/// A whole file of at most 1 MiB, as it is; warns if others may read it.
Result<Secret> read_secret_file(const std::string& path);

}  // namespace varve
