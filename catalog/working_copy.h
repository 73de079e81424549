// A store opened for writing, by one process: everything between the storage and the files, put
// together in order. In a world that only reads (World::only_reads) it is the same store, as it is
// now, with nothing of it written.
//
// open: store.json -> lock -> keyring -> database -> guard, history, writer -> packs, open packs
// recovered -> index -> live tree (or rebuild). The working copy is rebuilt from the store's files
// when it is missing or refused; a log line says so.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "catalog/ballast.h"
#include "catalog/committer.h"
#include "catalog/history.h"
#include "catalog/live_tree.h"
#include "catalog/snapshotter.h"
#include "catalog/store_lock.h"
#include "catalog/world.h"
#include "dedup/chunker.h"
#include "dedup/fetch.h"
#include "dedup/ingest.h"

namespace varve {

struct CheckOptions;
struct CollectFigures;
struct CollectRequest;
struct CheckReport;

class WorkingCopy {
 public:
  struct Options {
    size_t cache_bytes = 256u << 20;
    size_t pending_bytes_max = 64u << 20;
    size_t staged_bytes_max = 64u << 20;  // rows that wait for a commit; see Committer::admit
    int compression_level = kCompressionLevelDefault;
    size_t threads = 0;      // 0: as many as there are processors
    std::string mountpoint;  // for who meets the lock
    /// Where packs are read from that are missing or damaged here, and healed; in one that is
    /// read-only evicted ones alone. It must outlive the working copy.
    Elsewhere* elsewhere = nullptr;
    bool read_only = false;  // nothing is published; what a crash left is finished all the same.
                             // Always where the world only reads
    /// What becomes of a store that was succeeded by a promotion elsewhere (catalog/rejoin.h).
    enum class Return {
      kWait,        // it is not opened, unless for reading: kBusy says what to do
      kKeepMine,    // its live trees go on, under a new writer id
      kTakeTheirs,  // its database is made anew, with the live trees of who succeeded it
    };
    Return on_return = Return::kWait;
  };
  /// `root` is the store's directory on this machine. kBusy "mounted by PID on HOST" if another
  /// process has it.
  static Result<std::unique_ptr<WorkingCopy>> open(const std::string& root,
                                                   const AccessSecret& secret,
                                                   const Options& options, Metrics& metrics);
  /// The same in a world that is given; open_world(root) makes the real one.
  static Result<std::unique_ptr<WorkingCopy>> open(std::unique_ptr<World> world,
                                                   const AccessSecret& secret,
                                                   const Options& options, Metrics& metrics);
  /// The last call before the destructor: takes a checkpoint if something changed, seals what is
  /// open. `quiesce` is called once or twice; where it, or the checkpoint, fails, what is in the
  /// tree is committed all the same.
  Result<void> finish(const std::function<Result<void>(const Snapshotter::Moment&)>& quiesce);
  /// Without finish: as after a crash. Whoever uses a part of this, or a stream of its Ingest, goes
  /// before it.
  ~WorkingCopy();

  /// Tells whoever meets the store's lock.
  void enter(StoreLock::Stage stage, std::string_view trouble = {});

  const std::string& root() const;
  /// Where local/ lies.
  std::string local_directory() const;
  /// Nothing but local/ is written here.
  bool only_reads() const;
  const StoreConfig& config() const;
  const Chunker& chunker() const;
  LiveTree& tree();
  Committer& committer();
  Snapshotter& snapshotter();
  History& history();
  Ingest& ingest();
  Fetch& fetch();
  ChunkIndex& index();
  PackStore& packs();
  Storage& storage();
  Ballast& ballast();

  /// The live tree of the set becomes what the snapshot shows, at once, and durable on return. Not
  /// while a snapshot is taken.
  Result<void> revert(uint32_t set, const SnapshotInfo& snapshot);
  /// What follows a checkpoint: older ones go, and a rebuild goes on from this writer's. One thread
  /// at a time.
  Result<void> after_checkpoint();
  /// A promotion took effect here and is not complete.
  bool is_promoting() const;
  /// The promotion by which this store was succeeded elsewhere, as far as known by now, unless that
  /// was settled. Any thread.
  std::optional<Promotion> succeeded_by() const;
  /// Publishes that this writer goes on here; with Return::kKeepMine or kTakeTheirs, once it has a
  /// checkpoint.
  Result<void> settle_return();
  /// What the snapshot says of its trees, whose packs can be read from now on.
  Result<SnapshotBody> look_into(const SnapshotInfo& snapshot);
  /// The number that goes into a snapshot's inode numbers; the same for ever in this working copy.
  /// Below 2^22.
  Result<uint32_t> view_number(const FileHash& snapshot, const SetId& set);

  /// Whether a snapshot has said what lies in the pack, in a bundle if that fits into one.
  Result<bool> is_bundled(const PackId& pack);
  /// Called now and then: packs that could not be healed are tried again, and what was opened
  /// elsewhere and is not used is let go.
  void look_after_packs();

  /// Gives back the space of packs that nothing needs any more (catalog/collection.h). One call at
  /// a time; all else goes on meanwhile.
  Result<CollectFigures> collect(const CollectRequest& request);

  /// Checks the store and what of the live tree is committed by now, while both are in use.
  Result<CheckReport> check(const CheckOptions& options);

 private:
  friend class WorkingCopyCollection;
  struct State;
  explicit WorkingCopy(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace varve
