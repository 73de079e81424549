#include "fs/caller_rights.h"

#include <fmt/format.h>
#include <linux/capability.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

namespace varve {
namespace {

struct Rights {
  uint64_t capabilities = 0;
  std::vector<gid_t> groups;
};

Rights rights_of(const Caller& caller) {
  Rights rights{caller.uid == 0 ? UINT64_MAX : 0, {}};
  std::ifstream status(fmt::format("/proc/{}/status", caller.pid));
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (key == "CapEff:") words >> std::hex >> rights.capabilities;
    if (key == "Groups:") {
      for (gid_t group = 0; words >> group;) rights.groups.push_back(group);
    }
  }
  rights.groups.push_back(caller.gid);
  return rights;
}

bool has_capability(const Rights& rights, int capability) {
  return (rights.capabilities >> capability & 1) != 0;
}

}  // namespace

bool is_administrator(const Caller& caller) {
  return has_capability(rights_of(caller), CAP_SYS_ADMIN);
}

bool may_set_group_id(const Caller& caller, gid_t group) {
  const Rights rights = rights_of(caller);
  return has_capability(rights, CAP_FSETID) ||
         std::find(rights.groups.begin(), rights.groups.end(), group) != rights.groups.end();
}

}  // namespace varve
