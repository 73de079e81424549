// A directory of a storage as a storage of its own. Refers to the other, which outlives it.
#pragma once

#include "dedup/base/storage.h"

namespace varve {

class Subdirectory final : public Storage {
 public:
  Subdirectory(Storage& storage, std::string folder)
      : storage_(storage), folder_(std::move(folder)) {}

  Result<std::unique_ptr<StorageFile>> open_read(const std::string& path) override {
    return storage_.open_read(below(path));
  }
  Result<std::unique_ptr<StorageFile>> open_write(const std::string& path) override {
    return storage_.open_write(below(path));
  }
  Result<std::unique_ptr<StorageFile>> create(const std::string& path) override {
    return storage_.create(below(path));
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    return storage_.rename(below(from), below(to));
  }
  Result<void> unlink(const std::string& path) override { return storage_.unlink(below(path)); }
  Result<void> make_directories(const std::string& path) override {
    return storage_.make_directories(below(path));
  }
  Result<void> sync_dir(const std::string& path) override { return storage_.sync_dir(below(path)); }
  Result<std::vector<StorageEntry>> list(const std::string& path) override {
    return storage_.list(below(path));
  }
  Result<bool> exists(const std::string& path) override { return storage_.exists(below(path)); }
  Result<StorageSpace> space() override { return storage_.space(); }

  /// Where the other storage has it.
  std::string below(const std::string& path) const {
    return path.empty() ? folder_ : folder_ + "/" + path;
  }

 private:
  Storage& storage_;
  const std::string folder_;
};

}  // namespace varve
