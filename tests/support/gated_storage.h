// A Storage that hangs when a test says so.
#pragma once

#include <condition_variable>
#include <mutex>

#include "dedup/base/storage.h"

namespace varve {

/// What hangs while the gate is shut; counts what it was asked for.
struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool shut = false;
  int opens = 0;

  void pass() {
    std::unique_lock lock(mutex);
    opens++;
    changed.wait(lock, [&] { return !shut; });
  }
  void set(bool value) {
    std::lock_guard lock(mutex);
    shut = value;
    changed.notify_all();
  }
  int count() {
    std::lock_guard lock(mutex);
    return opens;
  }
};

class GatedStorage final : public Storage {
 public:
  GatedStorage(Storage& below, Gate& gate) : below_(below), gate_(gate) {}
  Result<std::unique_ptr<StorageFile>> open_read(const std::string& path) override {
    gate_.pass();
    return below_.open_read(path);
  }
  Result<std::unique_ptr<StorageFile>> open_write(const std::string&) override {
    return Errc::kReadOnly;
  }
  Result<std::unique_ptr<StorageFile>> create(const std::string&) override {
    return Errc::kReadOnly;
  }
  Result<void> rename(const std::string&, const std::string&) override { return Errc::kReadOnly; }
  Result<void> unlink(const std::string&) override { return Errc::kReadOnly; }
  Result<void> make_directories(const std::string&) override { return Errc::kReadOnly; }
  Result<void> sync_dir(const std::string&) override { return Errc::kReadOnly; }
  Result<std::vector<StorageEntry>> list(const std::string& path) override {
    return below_.list(path);
  }
  Result<bool> exists(const std::string& path) override { return below_.exists(path); }
  Result<StorageSpace> space() override { return below_.space(); }

 private:
  Storage& below_;
  Gate& gate_;
};

}  // namespace varve
