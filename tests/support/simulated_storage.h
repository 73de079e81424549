// A Storage in memory that loses what a disk may lose, deterministically.
//
// It keeps what is durable, and an ordered list of pending effects: writes and truncations until
// the file is synced; create, rename and unlink until the directory is synced; a directory while it
// is being made. A power cut applies, drops or tears each pending effect by the seed: a torn write
// leaves some of its 512-byte sectors, a torn rename leaves both names, a directory that is lost
// takes along what was in it. Damage (flipped bits) lies over the pristine bytes, so that a test
// can repair the disk and demand convergence. Any thread.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "dedup/base/storage.h"
#include "tests/support/simulated_power.h"

namespace varve {

/// What a power cut makes of effects that were not synced.
enum class Unsynced { kBySeed, kLost, kKept };

class SimulatedStorage final : public Storage {
 public:
  /// `power` may be nullptr: then there is always power until power_cut.
  explicit SimulatedStorage(SimulatedPower* power = nullptr);
  ~SimulatedStorage() override;

  Result<std::unique_ptr<StorageFile>> open_read(const std::string& path) override;
  Result<std::unique_ptr<StorageFile>> open_write(const std::string& path) override;
  Result<std::unique_ptr<StorageFile>> create(const std::string& path) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> unlink(const std::string& path) override;
  Result<void> make_directories(const std::string& path) override;
  Result<void> sync_dir(const std::string& path) override;
  Result<std::vector<StorageEntry>> list(const std::string& path) override;
  Result<bool> exists(const std::string& path) override;
  Result<StorageSpace> space() override;

  /// The same disk, pending effects too, in another machine.
  std::unique_ptr<SimulatedStorage> copy_of(SimulatedPower* power) const;
  /// What is on the disk after the power went and came back. Files that were open answer kIo from
  /// then on.
  void power_cut(uint64_t seed, Unsynced unsynced = Unsynced::kBySeed);

  /// Room for that many bytes in all files together; what does not fit is written in part and
  /// answers kNoSpace.
  void set_capacity(std::optional<uint64_t> bytes);
  /// kIo from the `nth` (1: the next) write, sync (of a file or a directory), or read from now on,
  /// once.
  void fail_write(uint64_t nth);
  void fail_sync(uint64_t nth);
  void fail_read(uint64_t nth);

  /// Turns one bit of what reading gives; writing that byte anew heals it. False if there is no
  /// such bit.
  bool flip_bit(const std::string& path, uint64_t bit);
  void repair_all();

  /// Removes a directory and all below it, durably, as an administrator does.
  void remove_all(const std::string& directory);
  /// Every file's path, sorted.
  std::vector<std::string> files() const;

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace varve
