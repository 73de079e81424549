// A volume on a simulated machine, driven by plain operations, with a model of what it promised
// kept beside it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fs/volume.h"
#include "tests/fs/power_model.h"
#include "tests/support/simulated_machine.h"

namespace varve {

struct PowerOp {
  enum class Kind {
    kDirectory,  // path; in the root: a backup set
    kCreate,     // path; stays open
    kOpen,       // path
    kWrite,      // path, which is open; at, size, seed of the content
    kSync,       // fsync of path, which is open
    kClose,      // path
    kPut,        // create, write, close
    kRename,     // path to `to`
    kTruncate,   // path, size
    kPunch,      // path, at, size
    kUnlink,     // path
    kRemove,     // path: rmdir
    kLink,       // path to `to`
    kSymlink,    // path, `to`
    kClone,      // the whole of path over the front of `to`
    kSyncDirectory,
    kSyncAll,
    kCommit,    // what upkeep does every few seconds
    kTidy,      // and in its leisure
    kSnapshot,  // path: the set, "" for the whole mount; `to`: the name
    kDrop,      // the same
    kRevert,    // the same
    kCheckpoint,
    kUnmount,
    kMount,
  } kind;
  std::string path = {}, to = {};
  size_t at = 0, size = 0;
  uint64_t seed = 0;
};
std::string describe(const PowerOp& op);
using PowerScript = std::vector<PowerOp>;

/// A machine with a fresh store on its disk; the same each time.
std::unique_ptr<SimulatedMachine> machine_with_store();

class PowerRun {
 public:
  PowerRun(SimulatedMachine& machine, PowerModel& model) : machine_(machine), model_(model) {}

  Result<void> mount();
  Result<void> unmount();
  /// As when the machine or the process ends.
  void drop();
  bool is_mounted() const { return volume_ != nullptr; }
  Result<void> run(const PowerOp& op);
  /// A new file with that content, closed.
  Result<void> put(const std::string& path, const Bytes& bytes);
  bool is_open(const std::string& path) const { return open_.contains(path); }

  Result<FoundTree> live_tree();
  Result<std::vector<PowerModel::FoundSnapshot>> snapshots();
  /// "" unless a snapshot's list names a pack that is not here.
  std::string missing_packs();
  /// What the checker says of what is on disk and in the database now, every byte read: the damage
  /// of a line each. Mounted or not.
  std::string damage();
  WorkingCopy& copy() { return *copy_; }

 private:
  struct Open {
    Ino ino = 0;
    uint64_t handle = 0;
  };
  Result<Ino> find(const std::string& path);
  struct Parent {
    Ino ino;
    std::string name;
  };
  Result<Parent> parent(const std::string& path);
  Result<void> walk(Ino directory, const std::string& prefix, FoundTree& tree);
  Result<FoundFile> look(Ino ino, const Attributes& attributes);
  Result<void> create(const std::string& path);
  Result<void> write(const std::string& path, size_t at, const Bytes& bytes);
  Result<void> close(const std::string& path);
  Result<void> rename(const PowerOp& op);
  Result<void> change_content(const PowerOp& op);
  Result<void> clone(const PowerOp& op);
  Result<void> change_names(const PowerOp& op);
  Result<void> make_durable(const PowerOp& op);
  Result<void> change_history(const PowerOp& op);
  Result<void> revert(const PowerOp& op);
  Result<void> checkpoint();

  SimulatedMachine& machine_;
  PowerModel& model_;
  Metrics metrics_;
  std::unique_ptr<WorkingCopy> copy_;
  std::unique_ptr<Volume> volume_;
  std::map<std::string, Open> open_;
};

}  // namespace varve
