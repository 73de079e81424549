#include "dedup/quarantine.h"

#include <fmt/format.h>

namespace varve {

Result<bool> move_to_quarantine(Storage& storage, const std::string& path) {
  const std::string folder = std::string(kQuarantineFolder) + "/" + path.substr(0, path.find('/'));
  const size_t last = path.rfind('/');
  const std::string name = path.substr(last + 1);
  if (!VARVE_TRY(storage.exists(path))) return false;
  VARVE_TRY(storage.make_directories(folder));
  std::string target = folder + "/" + name;
  for (int i = 2; VARVE_TRY(storage.exists(target)); i++) {
    target = fmt::format("{}/{}-{}", folder, name, i);
  }
  VARVE_TRY(storage.rename(path, target));
  VARVE_TRY(storage.sync_dir(folder));
  VARVE_TRY(storage.sync_dir(last == std::string::npos ? std::string() : path.substr(0, last)));
  return true;
}

}  // namespace varve
