#include <algorithm>

#include "fs/volume.h"

namespace varve {
namespace {

// About as many as the kernel asks for at once, which is a page: what does not fit is listed anew
// by its next request.
constexpr size_t kBatchNames = 128;
constexpr size_t kBatchWithAttributes = 32;

struct Batched {
  std::string name;
  Ino ino;
  FileType type;
  uint64_t cookie;
};

}  // namespace

Result<OpenDirectory> Volume::open_directory(Ino node) {
  auto handle = std::make_shared<DirectoryHandle>();
  OpenDirectory result;
  if (is_control(node)) {
    handle->listed = VARVE_TRY(control_.list(node));
  } else if (is_snapshot(node)) {
    VARVE_TRY(snapshots_.attributes(node));
    result.cache = true;
  } else {
    Result<Inode> inode = tree_.inode(node);
    if (!inode.ok()) return Errc::kStale;
    if (inode->type != FileType::kDirectory) return Errc::kNotDirectory;
  }
  result.handle = directory_handles_.add(std::move(handle));
  return result;
}

void Volume::release_directory(Ino, uint64_t handle) {
  directory_handles_.remove(handle);
}

Result<void> Volume::read_directory(Ino node, uint64_t number, uint64_t cookie, bool attributes,
                                    const std::function<bool(const DirectoryEntry&)>& visit) {
  std::shared_ptr<DirectoryHandle> handle = directory_handles_.get(number);
  if (!handle) return Errc::kBadHandle;
  if (is_snapshot(node)) return snapshots_.list(node, handle->position, cookie, attributes, visit);
  if (is_live(node)) return list_live(node, cookie, attributes, visit);
  for (uint64_t i = cookie; i < handle->listed.size(); i++) {
    const ControlDirectory::Listed& listed = handle->listed[i];
    DirectoryEntry entry{listed.name, i + 1, {}};
    entry.entry.attributes.ino = listed.ino;
    entry.entry.attributes.type = listed.type;
    bool looked_up = attributes && i >= 2;
    if (looked_up) {
      Result<Entry> found = control_.lookup(node, listed.name);
      if (!found.ok() || found->attributes.ino == 0) continue;  // gone since
      entry.entry = *found;
    }
    if (visit(entry)) continue;
    if (looked_up) forget(entry.entry.attributes.ino, 1);
    return {};
  }
  return {};
}

Result<bool> Volume::visit_live(const LiveTree::Listed& listed, bool attributes,
                                const std::function<bool(const DirectoryEntry&)>& visit) {
  DirectoryEntry entry{listed.name, listed.cookie + 2, {}};
  entry.entry.attributes.ino = listed.ino;
  entry.entry.attributes.type = listed.type;
  if (attributes) {
    Result<Inode> inode = tree_.inode(listed.ino);
    if (!inode.ok() && inode.error().code() == Errc::kStale)
      return true;  // removed since it was listed
    entry.entry = known_entry({listed.ino, VARVE_TRY(std::move(inode))});
  }
  if (visit(entry)) return true;
  if (attributes) forget(listed.ino, 1);
  return false;
}

Result<void> Volume::list_live(Ino node, uint64_t cookie, bool attributes,
                               const std::function<bool(const DirectoryEntry&)>& visit) {
  for (; cookie < 2; cookie++) {
    DirectoryEntry dot{cookie == 0 ? "." : "..", cookie + 1, {}};
    dot.entry.attributes.ino = cookie == 0 ? node : VARVE_TRY(tree_.parent(node));
    dot.entry.attributes.type = FileType::kDirectory;
    if (!visit(dot)) return {};
  }
  uint64_t after = cookie - 2;
  const size_t batch_max = attributes ? kBatchWithAttributes : kBatchNames;
  std::vector<Batched> batch;
  do {
    // Within list() the tree must not be asked for attributes: names first, then each.
    batch.clear();
    VARVE_TRY(tree_.list(node, after, [&](const LiveTree::Listed& listed) {
      batch.push_back({std::string(listed.name), listed.ino, listed.type, listed.cookie});
      return batch.size() < batch_max;
    }));
    for (const Batched& one : batch) {
      if (!VARVE_TRY(visit_live({one.name, one.ino, one.type, one.cookie}, attributes, visit)))
        return {};
      after = one.cookie;
    }
  } while (batch.size() >= batch_max);
  return {};
}

}  // namespace varve
