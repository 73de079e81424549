#include "fs/tar_exports.h"

#include <algorithm>

namespace varve {
namespace {

constexpr size_t kArchivesMax = 4;
constexpr size_t kSizesMax = 4096;

}  // namespace

Result<std::shared_ptr<TarArchive>> TarExports::of_snapshot(const SnapshotInfo& snapshot) {
  std::shared_ptr<Slot> slot;
  {
    std::lock_guard lock(mutex_);
    auto at = std::find_if(slots_.begin(), slots_.end(),
                           [&](const auto& one) { return one.first == snapshot.hash; });
    if (at == slots_.end()) {
      slots_.emplace_front(snapshot.hash, std::make_shared<Slot>());
      if (slots_.size() > kArchivesMax) slots_.pop_back();
    } else {
      slots_.splice(slots_.begin(), slots_, at);
    }
    slot = slots_.front().second;
  }
  std::lock_guard making(slot->mutex);
  if (!slot->archive) {
    const SnapshotBody body = VARVE_TRY(working_copy_.look_into(snapshot));
    const bool whole = snapshot.header.snapshot_class != SnapshotClass::kSet;
    slot->archive = VARVE_TRY(TarArchive::open(working_copy_.fetch(), body, whole, {}));
    std::lock_guard lock(mutex_);
    if (sizes_.size() >= kSizesMax) sizes_.clear();
    sizes_.insert_or_assign(snapshot.hash, slot->archive->size());
  }
  return slot->archive;
}

Result<std::shared_ptr<TarArchive>> TarExports::of_checkpoint(const SnapshotInfo& checkpoint,
                                                              const SetId& set) {
  SnapshotBody body = VARVE_TRY(working_copy_.look_into(checkpoint));
  if (!set.is_zero())
    std::erase_if(body.trees, [&](const SnapshotTree& tree) { return tree.set != set; });
  if (body.trees.empty()) return Errc::kNotFound;
  return TarArchive::open(working_copy_.fetch(), body, set.is_zero(), {});
}

std::optional<uint64_t> TarExports::known_size(const FileHash& snapshot) const {
  std::lock_guard lock(mutex_);
  auto found = sizes_.find(snapshot);
  return found == sizes_.end() ? std::nullopt : std::optional(found->second);
}

void TarExports::opened_live(const SetId& set, uint64_t size) {
  std::lock_guard lock(mutex_);
  live_sizes_.insert_or_assign(set, size);
}

uint64_t TarExports::live_size(const SetId& set) const {
  std::lock_guard lock(mutex_);
  auto found = live_sizes_.find(set);
  return found == live_sizes_.end() ? 0 : found->second;
}

}  // namespace varve
