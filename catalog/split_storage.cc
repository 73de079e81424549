#include "catalog/split_storage.h"

#include <algorithm>
#include <string_view>

namespace varve {

namespace {

constexpr std::string_view kSplitLocal = "local";

bool is_local(const std::string& path) {
  return path == kSplitLocal || (path.starts_with(kSplitLocal) && path[kSplitLocal.size()] == '/');
}

std::string below_local(const std::string& path) {
  return path.size() > kSplitLocal.size() ? path.substr(kSplitLocal.size() + 1) : std::string();
}

Error only_read_here(const std::string& path) {
  return {Errc::kReadOnly, path + ": this store is only read here"};
}

class SplitStorage final : public Storage {
 public:
  SplitStorage(std::unique_ptr<Storage> place, std::unique_ptr<Storage> local)
      : place_(std::move(place)), local_(std::move(local)) {}

  Result<std::unique_ptr<StorageFile>> open_read(const std::string& path) override {
    return is_local(path) ? local_->open_read(below_local(path)) : place_->open_read(path);
  }
  Result<std::unique_ptr<StorageFile>> open_write(const std::string& path) override {
    if (!is_local(path)) return only_read_here(path);
    return local_->open_write(below_local(path));
  }
  Result<std::unique_ptr<StorageFile>> create(const std::string& path) override {
    if (!is_local(path)) return only_read_here(path);
    return local_->create(below_local(path));
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    if (!is_local(from)) return only_read_here(from);
    if (!is_local(to)) return only_read_here(to);
    return local_->rename(below_local(from), below_local(to));
  }
  Result<void> unlink(const std::string& path) override {
    if (!is_local(path)) return only_read_here(path);
    return local_->unlink(below_local(path));
  }
  Result<void> make_directories(const std::string& path) override {
    if (!is_local(path)) return only_read_here(path);
    return path == kSplitLocal ? Result<void>() : local_->make_directories(below_local(path));
  }
  Result<void> sync_dir(const std::string& path) override {
    if (!is_local(path)) return only_read_here(path);
    return local_->sync_dir(below_local(path));
  }
  Result<std::vector<StorageEntry>> list(const std::string& path) override {
    if (is_local(path)) return local_->list(below_local(path));
    std::vector<StorageEntry> entries = VARVE_TRY(place_->list(path));
    // The place may have a local/ too: another machine's.
    if (path.empty())
      std::erase_if(entries, [](const StorageEntry& entry) { return entry.name == kSplitLocal; });
    return entries;
  }
  Result<bool> exists(const std::string& path) override {
    if (path == kSplitLocal) return true;
    return is_local(path) ? local_->exists(below_local(path)) : place_->exists(path);
  }
  Result<StorageSpace> space() override { return place_->space(); }

 private:
  const std::unique_ptr<Storage> place_, local_;
};

}  // namespace

std::unique_ptr<Storage> make_split_storage(std::unique_ptr<Storage> place,
                                            std::unique_ptr<Storage> local) {
  return std::make_unique<SplitStorage>(std::move(place), std::move(local));
}

}  // namespace varve
