#include "tools/named_place.h"

namespace varve {

Result<NamedPlace> find_place(Storage& store, const std::string& name) {
  if (name.find('/') != std::string::npos) return NamedPlace{name, {}};
  RemoteConfig remote =
      VARVE_TRY(in_context(find_remote(store, name), "a directory is named with a '/' in it"));
  std::string directory = remote.directory;
  return NamedPlace{std::move(directory), std::move(remote)};
}

}  // namespace varve
