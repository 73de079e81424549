#include "tests/fs/power_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace varve {
namespace {

std::string set_of_path(const std::string& path) {
  return path.substr(0, path.find('/'));
}

/// The files of one set, by their paths in it.
FoundTree below(const FoundTree& tree, const std::string& set) {
  FoundTree result;
  for (const auto& [path, file] : tree) {
    if (path.starts_with(set + "/")) result[path.substr(set.size() + 1)] = file;
  }
  return result;
}

void resize_to(Bytes& bytes, size_t size) {
  bytes.resize(size);
}

}  // namespace

std::string difference(const FoundTree& expected, const FoundTree& found) {
  for (const auto& [path, file] : expected) {
    const auto at = found.find(path);
    if (at == found.end()) return path + " is missing";
    if (at->second.type != file.type) return path + " is of another type";
    if (at->second.content != file.content) {
      return fmt::format("{} has other bytes ({}, expected {})", path, at->second.content.size(),
                         file.content.size());
    }
  }
  for (const auto& [path, file] : found) {
    if (!expected.contains(path)) return path + " is there and should not be";
  }
  return "";
}

// Changes.

bool PowerModel::is_same(const std::string& a, const std::string& b) const {
  const Names& names = states_.back();
  return a == b || (names.contains(a) && names.contains(b) && names.at(a).file == names.at(b).file);
}

PowerModel::Names& PowerModel::next_state() {
  states_.push_back(states_.back());
  return states_.back();
}

void PowerModel::add_name(const std::string& path, FileType type, const Bytes& content) {
  files_.push_back({content, content, {content}, 0});
  next_state()[path] = {type, files_.size() - 1, 0};
}

void PowerModel::make_symlink(const std::string& path, const std::string& target) {
  const ByteView bytes = as_bytes(target);
  add_name(path, FileType::kSymlink, Bytes(bytes.begin(), bytes.end()));
}

void PowerModel::link(const std::string& from, const std::string& to) {
  Names& names = next_state();
  names[to] = names.at(from);
}

void PowerModel::remove(const std::string& path) {
  next_state().erase(path);
}

void PowerModel::rename(const std::string& from, const std::string& to) {
  if (has(to)) flushed(from);
  Names& names = next_state();
  Names moved;
  for (const auto& [path, name] : names) {
    if (path == from || path.starts_with(from + "/")) moved[to + path.substr(from.size())] = name;
  }
  std::erase_if(names, [&](const auto& entry) {
    return entry.first == from || entry.first.starts_with(from + "/") || entry.first == to;
  });
  const bool replaces = states_[states_.size() - 2].contains(to);
  for (auto& [path, name] : moved) {
    // A rename over an old file shows the old or the whole new one.
    if (replaces) name.since = files_[name.file].versions.size() - 1;
    names[path] = name;
  }
}

void PowerModel::changed(File& file) {
  for (const Bytes* now : {&file.in_tree, &file.visible}) {
    if (file.versions.back() != *now) file.versions.push_back(*now);
  }
}

void PowerModel::write(const std::string& path, size_t offset, const Bytes& bytes) {
  File& file = file_at(path);
  file.visible.resize(std::max(file.visible.size(), offset + bytes.size()));
  std::copy(bytes.begin(), bytes.end(), file.visible.begin() + static_cast<ptrdiff_t>(offset));
  changed(file);
}

void PowerModel::truncate(const std::string& path, size_t size) {
  File& file = file_at(path);
  if (size < file.in_tree.size()) resize_to(file.in_tree, size);
  resize_to(file.visible, size);
  changed(file);
}

void PowerModel::punch(const std::string& path, size_t from, size_t to) {
  File& file = file_at(path);
  for (Bytes* bytes : {&file.in_tree, &file.visible}) {
    const size_t end = std::min(to, bytes->size());
    for (size_t i = from; i < end; i++) (*bytes)[i] = 0;
  }
  changed(file);
}

void PowerModel::clone(const std::string& from, const std::string& to) {
  flushed(from);
  flushed(to);
  const Bytes bytes = file_at(from).visible;
  File& file = file_at(to);
  for (Bytes* target : {&file.in_tree, &file.visible}) {
    target->resize(std::max(target->size(), bytes.size()));
    std::copy(bytes.begin(), bytes.end(), target->begin());
  }
  changed(file);
}

void PowerModel::revert(const std::string& set, const std::string& name) {
  const FoundTree tree = point_of(set, name)->tree;
  Names& names = next_state();
  std::erase_if(names, [&](const auto& entry) { return entry.first.starts_with(set + "/"); });
  std::map<Ino, size_t> linked;
  for (const auto& [path, found] : tree) {
    auto [at, is_new] = linked.emplace(found.ino, files_.size());
    if (is_new) files_.push_back({found.content, found.content, {found.content}, 0});
    names[set + "/" + path] = {found.type, at->second, 0};
  }
}

void PowerModel::flushed(const std::string& path) {
  File& file = file_at(path);
  file.in_tree = file.visible;
}

void PowerModel::flushed_all() {
  for (File& file : files_) file.in_tree = file.visible;
}

// Promises.

void PowerModel::promise_file(const std::string& path) {
  flushed(path);
  File& file = file_at(path);
  file.promised = file.versions.size() - 1;
  promise_names();
}

void PowerModel::promise_all() {
  flushed_all();
  for (File& file : files_) file.promised = file.versions.size() - 1;
  promise_names();
}

// History.

FoundTree PowerModel::visible() const {
  FoundTree tree;
  for (const auto& [path, name] : states_.back()) {
    tree[path] = {name.type, name.file + 1, files_[name.file].visible};
  }
  return tree;
}

FoundTree PowerModel::tree_of(const std::string& set) const {
  return set.empty() ? visible() : below(visible(), set);
}

ModelPoint* PowerModel::point_of(const std::string& set, const std::string& name) {
  for (ModelPoint& point : points_) {
    const bool shown = point.kind != ModelPoint::Kind::kCheckpoint && !point.dropped;
    if (shown && point.set == set && point.name == name) return &point;
  }
  return nullptr;
}

size_t PowerModel::begin_point(ModelPoint::Kind kind, const std::string& set,
                               std::optional<std::string> name) {
  flushed_all();
  ModelPoint point;
  point.kind = kind;
  point.set = set;
  point.name = std::move(name);
  point.tree = tree_of(set);
  points_.push_back(std::move(point));
  return points_.size() - 1;
}

void PowerModel::end_point(size_t point, const std::string& name) {
  points_[point].returned = true;
  points_[point].name = name;
  promise_all();
}

void PowerModel::begin_drop(const std::string& set, const std::string& name) {
  point_of(set, name)->dropping = true;
}

void PowerModel::end_drop(const std::string& set, const std::string& name) {
  point_of(set, name)->dropped = true;
}

std::vector<Bytes> PowerModel::contents() const {
  std::set<Bytes> all;
  for (const File& file : files_) all.insert(file.versions.begin(), file.versions.end());
  for (const ModelPoint& point : points_) {
    for (const auto& [path, file] : point.tree) all.insert(file.content);
  }
  all.erase(Bytes());
  return {all.begin(), all.end()};
}

// Checks.

std::string PowerModel::check_state(const Names& names, const FoundTree& found) const {
  std::map<size_t, Ino> inos;
  std::set<Ino> taken;
  for (const auto& [path, name] : names) {
    const auto at = found.find(path);
    if (at == found.end()) return path + " is missing";
    if (at->second.type != name.type) return path + " is of another type";
    const auto [link, is_new] = inos.emplace(name.file, at->second.ino);
    if (link->second != at->second.ino) return path + " is no link to what it was";
    if (is_new && !taken.insert(at->second.ino).second) return path + " became a link";
    const File& file = files_[name.file];
    const auto oldest = static_cast<ptrdiff_t>(std::max(file.promised, name.since));
    if (std::find(file.versions.begin() + oldest, file.versions.end(), at->second.content) ==
        file.versions.end()) {
      return fmt::format("{} has {} bytes that it must not have", path, at->second.content.size());
    }
  }
  for (const auto& [path, file] : found) {
    if (!names.contains(path)) return path + " is there and should not be";
  }
  return "";
}

std::string PowerModel::check_live(const FoundTree& found) const {
  std::string why;
  for (size_t i = states_.size(); i-- > required_;) {
    std::string reason = check_state(states_[i], found);
    if (reason.empty()) return "";
    if (i == required_ || why.empty()) why += (why.empty() ? "" : "; or else ") + reason;
  }
  return fmt::format("of {} states that the live tree may have it has none: {}",
                     states_.size() - required_, why);
}

std::string PowerModel::check_snapshots(const std::vector<FoundSnapshot>& found) const {
  std::set<const ModelPoint*> seen;
  for (const FoundSnapshot& snapshot : found) {
    std::string why = "was never taken";
    for (const ModelPoint& point : points_) {
      if (point.kind == ModelPoint::Kind::kCheckpoint || point.set != snapshot.set) continue;
      if (point.dropped || seen.contains(&point)) continue;
      if (point.name ? *point.name != snapshot.name : point.returned) continue;
      why = difference(point.tree, snapshot.tree);
      seen.insert(&point);
      break;
    }
    if (!why.empty()) return fmt::format("snapshot {}/{}: {}", snapshot.set, snapshot.name, why);
  }
  for (const ModelPoint& point : points_) {
    if (point.kind == ModelPoint::Kind::kCheckpoint || !point.returned || point.dropping) continue;
    if (!seen.contains(&point))
      return fmt::format("snapshot {}/{} is gone", point.set, *point.name);
  }
  return "";
}

std::string PowerModel::check_rebuilt(const FoundTree& found) const {
  std::set<std::string> sets;
  for (const auto& [path, file] : found) sets.insert(set_of_path(path));
  for (const ModelPoint& point : points_) {
    if (point.kind == ModelPoint::Kind::kSet) sets.insert(point.set);
    for (const auto& [path, file] : point.tree) {
      if (point.set.empty()) sets.insert(set_of_path(path));
    }
  }
  for (const std::string& set : sets) {
    // The newest point that is sure, and whatever came after it.
    size_t sure = points_.size();
    std::vector<const ModelPoint*> allowed;
    for (size_t i = points_.size(); i-- > 0 && sure == points_.size();) {
      const ModelPoint& point = points_[i];
      if (point.dropped || (!point.set.empty() && point.set != set)) continue;
      allowed.push_back(&point);
      if (point.returned && !point.dropping) sure = i;
    }
    const FoundTree now = below(found, set);
    const bool is_there = found.contains(set);
    bool fits = sure == points_.size() && !is_there;
    std::string why;
    for (const ModelPoint* point : allowed) {
      const bool was_there = point->set == set || point->tree.contains(set);
      if (was_there != is_there) continue;
      const std::string reason =
          difference(point->set == set ? point->tree : below(point->tree, set), now);
      fits = fits || reason.empty();
      if (why.empty()) why = reason;
    }
    if (!fits) return fmt::format("the rebuilt set {} is none of {}: {}", set, allowed.size(), why);
  }
  return "";
}

void PowerModel::rebase(const FoundTree& live, const std::vector<FoundSnapshot>& snapshots) {
  files_.clear();
  Names names;
  std::map<Ino, size_t> by_ino;
  for (const auto& [path, found] : live) {
    auto [at, is_new] = by_ino.emplace(found.ino, files_.size());
    if (is_new) files_.push_back({found.content, found.content, {found.content}, 0});
    names[path] = {found.type, at->second, 0};
  }
  states_ = {names};
  required_ = 0;
  std::set<const FoundSnapshot*> seen;
  for (ModelPoint& point : points_) {
    if (point.kind == ModelPoint::Kind::kCheckpoint || point.dropped) continue;
    point.dropped = true;
    for (const FoundSnapshot& snapshot : snapshots) {
      if (snapshot.set != point.set || (point.name && *point.name != snapshot.name)) continue;
      if (!seen.insert(&snapshot).second) continue;
      point.name = snapshot.name;
      point.returned = true;
      point.dropping = point.dropped = false;
      break;
    }
  }
}

}  // namespace varve
