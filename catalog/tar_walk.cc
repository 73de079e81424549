#include "catalog/tar_walk.h"

namespace varve {
namespace {

constexpr size_t kBatchEntries = 256;

}  // namespace

Result<TarWalk> TarWalk::behind(Roots roots, size_t root, const std::string& path) {
  TarWalk walk(std::move(roots));
  walk.root_ = root;
  walk.begun_ = true;
  SnapshotReader reader = walk.reader();
  walk.frames_.push_back({reader.top(), "", "", {}, 0, false});
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    Frame& frame = walk.frames_.back();
    frame.after = path.substr(at, end - at);
    TreeEntry entry = VARVE_TRY(reader.lookup(frame.directory, frame.after));
    at = end + 1;
    if (entry.type == FileType::kDirectory) {
      std::string below = path.substr(0, end) + "/";
      walk.frames_.push_back({std::move(entry), std::move(below), "", {}, 0, false});
    }
  }
  return walk;
}

Result<void> TarWalk::fill(Frame& frame) {
  frame.batch.clear();
  frame.at = 0;
  frame.complete = true;
  return reader().list(frame.directory, frame.after, true, [&](TreeEntry& entry) -> Result<bool> {
    if (frame.batch.size() == kBatchEntries) {
      frame.complete = false;
      return false;
    }
    frame.batch.push_back(std::move(entry));
    return true;
  });
}

Result<bool> TarWalk::next(TarItem& item) {
  for (; root_ < roots_->size(); root_++, begun_ = false) {
    if (!begun_) {
      begun_ = true;
      item = {root_, "", reader().top()};
      frames_.push_back({item.entry, "", "", {}, 0, false});
      return true;
    }
    while (!frames_.empty()) {
      Frame& frame = frames_.back();
      if (frame.at == frame.batch.size()) {
        if (frame.complete) {
          frames_.pop_back();
          continue;
        }
        VARVE_TRY(fill(frame));
        continue;
      }
      TreeEntry& entry = frame.batch[frame.at++];
      frame.after = entry.name;
      if (entry.type == FileType::kSocket) continue;
      item.root = root_;
      item.path = frame.path + entry.name;
      item.entry = std::move(entry);
      if (item.entry.type == FileType::kDirectory)
        frames_.push_back({item.entry, item.path + "/", "", {}, 0, false});
      return true;
    }
  }
  return false;
}

}  // namespace varve
