#include "catalog/world.h"

#include <filesystem>

#include "catalog/local_place.h"
#include "catalog/split_storage.h"
#include "dedup/base/lmdb_kv.h"
#include "dedup/base/posix_storage.h"

namespace varve {

namespace {

constexpr std::string_view kLocalFolder = "local";

class RealWorld final : public World {
 public:
  RealWorld(std::string root, std::unique_ptr<Storage> storage)
      : root_(std::move(root)), local_(root_ + "/local"), storage_(std::move(storage)) {}
  /// One whose local/ is a directory elsewhere.
  RealWorld(std::string root, std::string local, std::unique_ptr<Storage> storage, bool only_reads)
      : root_(std::move(root)),
        local_(std::move(local)),
        only_reads_(only_reads),
        storage_(std::move(storage)) {}

  const std::string& root() const override { return root_; }
  Storage& storage() override { return *storage_; }
  Clock& clock() override { return system_clock(); }
  Random& random() override { return system_random(); }
  Result<MachineTime> machine_time() override { return varve::machine_time(); }

  Result<std::unique_ptr<Kv>> open_database(const std::string& directory) override {
    // Databases are local/'s own.
    return open_lmdb_kv(local_ + directory.substr(kLocalFolder.size()), {.mark_damage = true});
  }
  std::unique_ptr<Executor> make_executor(const char* name, size_t threads,
                                          size_t queue_limit) override {
    return make_thread_pool(name, threads, queue_limit);
  }
  Result<std::unique_ptr<StoreLock>> lock(const std::string& mountpoint) override {
    const std::string shown = only_reads_ ? "the working state in " + local_ : root_;
    return StoreLock::acquire_in(local_, shown, mountpoint, clock());
  }
  Result<Place> place() override { return place_of(root_); }
  Result<void> check_local() override {
    if (only_reads_) return {};
    std::error_code failed;
    const bool in_store = !std::filesystem::exists(local_, failed);
    return in_context(check_holds_database(in_store ? root_ : local_), how_to_go_on());
  }
  bool only_reads() const override { return only_reads_; }
  std::string local_directory() const override { return local_; }

 private:
  std::string how_to_go_on() const {
    return "varve promote " + root_ + " --local DIR keeps the working state on a local disk";
  }

  const std::string root_, local_;
  const bool only_reads_ = false;
  const std::unique_ptr<Storage> storage_;
};

}  // namespace

Result<void> World::erase_database(const std::string& directory) {
  for (const StorageEntry& entry : VARVE_TRY(storage().list(directory))) {
    VARVE_TRY(storage().unlink(directory + "/" + entry.name));
  }
  return storage().sync_dir(directory);
}

Result<std::unique_ptr<World>> open_world(const std::string& root) {
  const std::optional<std::string> local = VARVE_TRY(linked_local(root));
  std::unique_ptr<Storage> storage = VARVE_TRY(open_store_storage(root));
  if (!local) return std::unique_ptr<World>(std::make_unique<RealWorld>(root, std::move(storage)));
  return std::unique_ptr<World>(
      std::make_unique<RealWorld>(root, *local, std::move(storage), false));
}

Result<std::unique_ptr<World>> open_reading_world(const std::string& root,
                                                  std::unique_ptr<Storage> place,
                                                  const std::string& local) {
  auto both = make_split_storage(std::move(place), VARVE_TRY(open_posix_storage(local)));
  return std::unique_ptr<World>(std::make_unique<RealWorld>(root, local, std::move(both), true));
}

}  // namespace varve
