// Another place of a store, as commands name it: a remote, or a directory.
#pragma once

#include <optional>
#include <string>

#include "replicator/remote.h"

namespace varve {

struct NamedPlace {
  std::string directory;
  std::optional<RemoteConfig> remote;  // if it was named as one
};

/// `name` with a '/' in it is a directory, any other the name of a remote of `store`: kNotFound if
/// there is none. Nothing there is looked at.
Result<NamedPlace> find_place(Storage& store, const std::string& name);

}  // namespace varve
