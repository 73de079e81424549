#include "catalog/split_storage.h"

#include <algorithm>
#include <string_view>

#include "dedup/base/limits.h"

namespace varve {

namespace {

constexpr std::string_view kSplitLocal = "local";
constexpr size_t kMovedAtOnce = 1 * kMiB;

bool is_local(const std::string& path) {
  return path == kSplitLocal || (path.starts_with(kSplitLocal) && path[kSplitLocal.size()] == '/');
}

std::string below_local(const std::string& path) {
  return path.size() > kSplitLocal.size() ? path.substr(kSplitLocal.size() + 1) : std::string();
}

class SplitStorage final : public Storage {
 public:
  SplitStorage(std::unique_ptr<Storage> place, std::unique_ptr<Storage> local, SplitPlace use)
      : place_(std::move(place)), local_(std::move(local)), use_(use) {}

  Result<std::unique_ptr<StorageFile>> open_read(const std::string& path) override {
    return is_local(path) ? local_->open_read(below_local(path)) : place_->open_read(path);
  }
  Result<std::unique_ptr<StorageFile>> open_write(const std::string& path) override {
    if (is_local(path)) return local_->open_write(below_local(path));
    VARVE_TRY(check_written(path));
    return place_->open_write(path);
  }
  Result<std::unique_ptr<StorageFile>> create(const std::string& path) override {
    if (is_local(path)) return local_->create(below_local(path));
    VARVE_TRY(check_written(path));
    return place_->create(path);
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    if (is_local(from) && is_local(to)) return local_->rename(below_local(from), below_local(to));
    VARVE_TRY(check_written(is_local(from) ? to : from));
    if (is_local(to)) return Error(Errc::kUnsupported, from + ": nothing is moved into local/");
    return is_local(from) ? move_out(below_local(from), to) : place_->rename(from, to);
  }
  Result<void> unlink(const std::string& path) override {
    if (is_local(path)) return local_->unlink(below_local(path));
    VARVE_TRY(check_written(path));
    return place_->unlink(path);
  }
  Result<void> make_directories(const std::string& path) override {
    if (path == kSplitLocal) return {};
    if (is_local(path)) return local_->make_directories(below_local(path));
    VARVE_TRY(check_written(path));
    return place_->make_directories(path);
  }
  Result<void> sync_dir(const std::string& path) override {
    if (is_local(path)) return local_->sync_dir(below_local(path));
    VARVE_TRY(check_written(path));
    return place_->sync_dir(path);
  }
  Result<std::vector<StorageEntry>> list(const std::string& path) override {
    if (is_local(path)) return local_->list(below_local(path));
    std::vector<StorageEntry> entries = VARVE_TRY(place_->list(path));
    // The place may have a local/ too: another machine's, or the link to this one.
    if (path.empty())
      std::erase_if(entries, [](const StorageEntry& entry) { return entry.name == kSplitLocal; });
    return entries;
  }
  Result<bool> exists(const std::string& path) override {
    if (path == kSplitLocal) return true;
    return is_local(path) ? local_->exists(below_local(path)) : place_->exists(path);
  }
  Result<StorageSpace> space() override {
    const StorageSpace place = VARVE_TRY(place_->space());
    if (use_ == SplitPlace::kOnlyRead) return place;
    const StorageSpace local = VARVE_TRY(local_->space());
    return local.available < place.available ? local : place;
  }

 private:
  Result<void> check_written(const std::string& path) const {
    if (use_ == SplitPlace::kWritten) return {};
    return Error(Errc::kReadOnly, path + ": this store is only read here");
  }

  /// The new name is durable before the old one goes: the two disks lose power as they like.
  Result<void> move_out(const std::string& from, const std::string& to) {
    const size_t slash = to.rfind('/') + 1;
    const std::string folder = to.substr(0, slash == 0 ? 0 : slash - 1);
    const std::string temporary = to.substr(0, slash) + ".tmp-" + to.substr(slash);
    const Result<void> copied = copy_out(from, temporary);
    if (!copied.ok()) {
      (void)place_->unlink(temporary);
      return copied;
    }
    VARVE_TRY(place_->rename(temporary, to));
    VARVE_TRY(place_->sync_dir(folder));
    return local_->unlink(from);
  }

  Result<void> copy_out(const std::string& from, const std::string& to) {
    const auto source = VARVE_TRY(local_->open_read(from));
    // One that an interrupted move has left.
    if (VARVE_TRY(place_->exists(to))) VARVE_TRY(place_->unlink(to));
    const auto target = VARVE_TRY(place_->create(to));
    Bytes piece(kMovedAtOnce);
    for (uint64_t at = 0;;) {
      const size_t count = VARVE_TRY(source->read_at(at, piece));
      if (count == 0) break;
      VARVE_TRY(target->write_at(at, ByteView(piece).first(count)));
      at += count;
    }
    return target->sync();
  }

  const std::unique_ptr<Storage> place_, local_;
  const SplitPlace use_;
};

}  // namespace

std::unique_ptr<Storage> make_split_storage(std::unique_ptr<Storage> place,
                                            std::unique_ptr<Storage> local, SplitPlace use) {
  return std::make_unique<SplitStorage>(std::move(place), std::move(local), use);
}

}  // namespace varve
