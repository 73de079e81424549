// varve expire at the site: what sets' policies let go.
#pragma once

#include <optional>
#include <string>

#include "tools/passphrase.h"

namespace varve {

struct SiteExpiryOptions {
  std::string path;
  std::optional<std::string> set;  // "": the whole mount's snapshots
  SecretSource secret;
  bool dry_run = false, json = false;
};

/// Prints what went, or what is wrong; the exit code.
int expire_site(const SiteExpiryOptions& options);

}  // namespace varve
