#include "catalog/world.h"

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
  /// A store that is only read.
  RealWorld(std::string root, std::string local, std::unique_ptr<Storage> storage)
      : root_(std::move(root)),
        local_(std::move(local)),
        only_reads_(true),
        storage_(std::move(storage)) {}

  const std::string& root() const override { return root_; }
  Storage& storage() override { return *storage_; }
  Clock& clock() override { return system_clock(); }
  Random& random() override { return system_random(); }

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
  bool only_reads() const override { return only_reads_; }
  std::string local_directory() const override { return local_; }

 private:
  const std::string root_, local_;
  const bool only_reads_ = false;
  const std::unique_ptr<Storage> storage_;
};

}  // namespace

Result<std::unique_ptr<World>> open_world(const std::string& root) {
  std::unique_ptr<Storage> storage = VARVE_TRY(open_posix_storage(root));
  return std::unique_ptr<World>(std::make_unique<RealWorld>(root, std::move(storage)));
}

Result<std::unique_ptr<World>> open_reading_world(const std::string& root,
                                                  std::unique_ptr<Storage> place,
                                                  const std::string& local) {
  auto both = make_split_storage(std::move(place), VARVE_TRY(open_posix_storage(local)));
  return std::unique_ptr<World>(std::make_unique<RealWorld>(root, local, std::move(both)));
}

}  // namespace varve
