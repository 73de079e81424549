// A live tree as plain maps: what LiveTree must agree with, call by call.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "catalog/live_tree.h"

namespace varve {

/// Errc, or nothing for success.
using Outcome = std::optional<Errc>;

class LiveTreeModel {
 public:
  /// A byte of content: which byte of which chunk; 0 in a hole.
  using Content = std::vector<uint64_t>;
  struct Node {
    FileType type = FileType::kFile;
    uint16_t permissions = 0;
    uint32_t uid = 0, gid = 0;
    Nanoseconds atime = 0;  // if it was set
    uint32_t links = 0;
    bool linked = false;
    Ino parent = 0;  // of directories
    std::map<std::string, Ino> children;
    std::map<std::string, std::string> xattrs;
    Content content;
  };

  LiveTreeModel() {
    Node& root = nodes[kRootIno];
    root.type = FileType::kDirectory;
    root.links = 2;
    root.permissions = 0755;
    root.parent = kRootIno;
  }

  std::map<Ino, Node> nodes;
  std::set<Ino> ever{kRootIno};

  Outcome can_add(Ino directory, const std::string& name) const {
    if (number_of(directory) == kTopNumber && name == ".varve") return Errc::kExists;
    if (nodes.at(directory).children.contains(name)) return Errc::kExists;
    return {};
  }
  void add(Ino directory, const std::string& name, Ino ino, FileType type) {
    Node& node = nodes[ino];
    node.type = type;
    node.links = type == FileType::kDirectory ? 2 : 1;
    node.parent = directory;
    if (type == FileType::kDirectory) nodes[directory].links++;
    nodes[directory].children[name] = ino;
    ever.insert(ino);
  }

  /// O_TMPFILE.
  void add_orphan(Ino ino) {
    nodes[ino] = Node{};
    ever.insert(ino);
  }

  Outcome link(Ino ino, Ino directory, const std::string& name) {
    if (set_of(ino) != set_of(directory)) return Errc::kCrossDevice;
    if (Outcome refused = can_add(directory, name)) return refused;
    Node& node = nodes.at(ino);
    if (node.type == FileType::kDirectory) return Errc::kPermission;
    if (node.links > 0) node.linked = true;
    node.links++;
    nodes.at(directory).children[name] = ino;
    return {};
  }

  Outcome unlink(Ino directory, const std::string& name) {
    auto found = nodes.at(directory).children.find(name);
    if (found == nodes.at(directory).children.end()) return Errc::kNotFound;
    Node& node = nodes.at(found->second);
    if (node.type == FileType::kDirectory) return Errc::kIsDirectory;
    node.links--;
    nodes.at(directory).children.erase(found);
    return {};
  }

  Outcome remove_directory(Ino directory, const std::string& name) {
    auto found = nodes.at(directory).children.find(name);
    if (found == nodes.at(directory).children.end()) return Errc::kNotFound;
    Node& node = nodes.at(found->second);
    if (node.type != FileType::kDirectory) return Errc::kNotDirectory;
    if (!node.children.empty()) return Errc::kNotEmpty;
    node.links = 0;
    nodes.at(directory).links--;
    nodes.at(directory).children.erase(found);
    return {};
  }

  bool is_below(Ino directory, Ino above) const {
    for (Ino at = directory;; at = nodes.at(at).parent) {
      if (at == above) return true;
      if (number_of(at) == kTopNumber) return false;
    }
  }

  Outcome rename(Ino directory, const std::string& name, Ino new_directory,
                 const std::string& new_name, LiveTree::RenameMode mode) {
    if (set_of(directory) != set_of(new_directory)) return Errc::kCrossDevice;
    auto reserved = [](Ino ino, const std::string& text) {
      return number_of(ino) == kTopNumber && text == ".varve";
    };
    if (reserved(directory, name) || reserved(new_directory, new_name)) return Errc::kPermission;
    auto& from = nodes.at(directory).children;
    auto& to = nodes.at(new_directory).children;
    if (!from.contains(name)) return Errc::kNotFound;
    Ino moved = from.at(name);
    bool exchange = mode == LiveTree::RenameMode::kExchange;
    if (!to.contains(new_name)) {
      if (exchange) return Errc::kNotFound;
      if (is_directory(moved) && is_below(new_directory, moved)) return Errc::kInvalid;
      from.erase(name);
      put(new_directory, new_name, moved, directory);
      return {};
    }
    if (mode == LiveTree::RenameMode::kNoReplace) return Errc::kExists;
    Ino target = to.at(new_name);
    if (target == moved) return {};
    if (is_directory(moved) && is_below(new_directory, moved)) return Errc::kInvalid;
    if (exchange) {
      if (is_directory(target) && is_below(directory, target)) return Errc::kInvalid;
      put(new_directory, new_name, moved, directory);
      put(directory, name, target, new_directory);
      return {};
    }
    if (is_directory(moved) != is_directory(target))
      return is_directory(moved) ? Errc::kNotDirectory : Errc::kIsDirectory;
    if (is_directory(target) && !nodes.at(target).children.empty()) return Errc::kNotEmpty;
    from.erase(name);
    Node& lost = nodes.at(target);
    if (is_directory(target)) nodes.at(new_directory).links--;
    lost.links = is_directory(target) ? 0 : lost.links - 1;
    put(new_directory, new_name, moved, directory);
    return {};
  }

  bool is_directory(Ino ino) const { return nodes.at(ino).type == FileType::kDirectory; }

 private:
  /// The file, which was in `old_directory`, gets a name.
  void put(Ino directory, const std::string& name, Ino ino, Ino old_directory) {
    nodes.at(directory).children[name] = ino;
    if (!is_directory(ino)) return;
    nodes.at(old_directory).links--;
    nodes.at(directory).links++;
    if (number_of(ino) != kTopNumber) nodes.at(ino).parent = directory;
  }
};

}  // namespace varve
