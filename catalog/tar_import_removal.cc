// What an archive that replaces a set does not name goes.
#include <algorithm>

#include "catalog/tar_import.h"

namespace varve {
namespace {

constexpr size_t kEntriesAtOnce = 256;

}  // namespace

Result<void> TarImport::remove(Ino directory, const Step& entry, bool is_directory) {
  std::optional<LiveEntry> lost;
  Result<void> done = change([&]() -> Result<void> {
    lost = is_directory ? VARVE_TRY(parts_.tree.remove_directory(directory, entry.name))
                        : VARVE_TRY(parts_.tree.unlink(directory, entry.name));
    return {};
  });
  // Somebody else was quicker, or puts something there just now: that is not the archive's.
  if (!done.ok() &&
      (done.error().code() == Errc::kNotFound || done.error().code() == Errc::kNotEmpty))
    return {};
  VARVE_TRY(std::move(done));
  host_.renamed(directory, entry.name, lost);
  return {};
}

Result<void> TarImport::remove_unnamed() {
  return remove_below(options_.top, false);
}

/// Removes what is below the directory: all of it, or what the archive does not name. One directory
/// after the other; no recursion, for trees may be deep.
Result<void> TarImport::remove_below(Ino top, bool all) {
  struct Frame {
    Ino directory = 0;
    uint64_t cookie = 0;
    bool all = false;
    Step self;  // its name, if it is to go itself
    Nanoseconds mtime = 0;
    bool removed_any = false;
  };
  struct Entry {
    Step step;
    FileType type;
    uint64_t cookie;
  };
  std::vector<Frame> frames;
  auto descend = [&](Ino directory, bool everything, Step self) -> Result<void> {
    const Inode inode = VARVE_TRY(own_directory(directory));
    frames.push_back({directory, 0, everything, std::move(self), inode.mtime, false});
    return {};
  };
  VARVE_TRY(descend(top, all, {}));
  while (!frames.empty()) {
    const size_t depth = frames.size();
    std::vector<Entry> batch;
    VARVE_TRY(parts_.tree.list(
        frames.back().directory, frames.back().cookie, [&](const LiveTree::Listed& listed) {
          batch.push_back({{std::string(listed.name), listed.ino}, listed.type, listed.cookie});
          return batch.size() < kEntriesAtOnce;
        }));
    for (Entry& entry : batch) {
      Frame& frame = frames.back();
      frame.cookie = entry.cookie;
      const bool goes = frame.all || !named_.contains(number_of(entry.step.ino));
      frame.removed_any |= goes;
      if (entry.type == FileType::kDirectory) {
        const Ino ino = entry.step.ino;
        VARVE_TRY(descend(ino, goes, goes ? std::move(entry.step) : Step()));
        break;
      }
      if (goes) VARVE_TRY(remove(frame.directory, entry.step, false));
    }
    if (!batch.empty() || frames.size() > depth) continue;
    const Frame done = std::move(frames.back());
    frames.pop_back();
    if (!done.self.name.empty()) {
      VARVE_TRY(remove(frames.back().directory, done.self, true));
    } else if (done.removed_any && dressed_.contains(number_of(done.directory))) {
      AttributeChange times;
      times.mtime = done.mtime;
      VARVE_TRY(change([&]() -> Result<void> {
        VARVE_TRY(parts_.tree.change(done.directory, times));
        return {};
      }));
      host_.dressed(done.directory);
    }
  }
  return {};
}

}  // namespace varve
