#include "catalog/world.h"

#include "dedup/base/lmdb_kv.h"
#include "dedup/base/posix_storage.h"

namespace varve {

namespace {

class RealWorld final : public World {
 public:
  RealWorld(std::string root, std::unique_ptr<Storage> storage)
      : root_(std::move(root)), storage_(std::move(storage)) {}

  const std::string& root() const override { return root_; }
  Storage& storage() override { return *storage_; }
  Clock& clock() override { return system_clock(); }
  Random& random() override { return system_random(); }

  Result<std::unique_ptr<Kv>> open_database(const std::string& directory) override {
    return open_lmdb_kv(root_ + "/" + directory, {.mark_damage = true});
  }
  std::unique_ptr<Executor> make_executor(const char* name, size_t threads,
                                          size_t queue_limit) override {
    return make_thread_pool(name, threads, queue_limit);
  }
  Result<std::unique_ptr<StoreLock>> lock(const std::string& mountpoint) override {
    return StoreLock::acquire(root_, mountpoint, clock());
  }
  Result<Place> place() override { return place_of(root_); }

 private:
  const std::string root_;
  const std::unique_ptr<Storage> storage_;
};

}  // namespace

Result<std::unique_ptr<World>> open_world(const std::string& root) {
  std::unique_ptr<Storage> storage = VARVE_TRY(open_posix_storage(root));
  return std::unique_ptr<World>(std::make_unique<RealWorld>(root, std::move(storage)));
}

}  // namespace varve
