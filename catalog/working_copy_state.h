// The inside of WorkingCopy: what it is made of, in the order of making. Included by
// catalog/working_copy*.cc alone.
#pragma once

#include <mutex>
#include <optional>
#include <set>

#include "catalog/ballast.h"
#include "catalog/late_index.h"
#include "catalog/lazy_packs.h"
#include "catalog/unfold.h"
#include "catalog/working_copy.h"
#include "dedup/base/metrics.h"
#include "dedup/pack_mender.h"
#include "dedup/writer_head.h"

namespace varve {

/// The row that is there while nothing has the working copy open that was closed in order.
inline constexpr std::string_view kClosed = "closed";

struct WorkingCopy::State {
  State(std::shared_ptr<World> world_in, const Options& options_in, Metrics& metrics_in)
      : world(std::move(world_in)), options(options_in), metrics(metrics_in) {}
  ~State();

  const std::shared_ptr<World> world;
  const std::string root = world->root();
  const Options options;
  Metrics& metrics;
  Clock& clock = world->clock();
  Random& random = world->random();
  Storage& storage = world->storage();

  StoreConfig config;
  std::unique_ptr<StoreLock> lock;
  std::optional<Ballast> ballast;
  std::optional<Keyring> keyring;
  std::optional<Guard> guard;
  bool fresh_guard = false;               // the store is new, or was copied here
  std::optional<WriterHead> head;         // as it was found, then as it was chosen
  std::vector<WriterId> found_writers;    // who wrote here, by the guard and the head
  std::optional<Promotion> succeeded_by;  // as it was found
  std::unique_ptr<Kv> kv;
  bool rebuild = false;                       // there is no working copy, or it was refused
  std::unique_ptr<Executor> history_readers;  // where the store is only read
  std::unique_ptr<History> history;
  std::unique_ptr<Chunker> chunker;
  std::unique_ptr<Hasher> hasher;
  std::unique_ptr<Executor> compressors, finisher, read_ahead, indexer, mending;
  std::unique_ptr<PackStore> packs;
  std::unique_ptr<PackMender> mender;  // where there is an elsewhere
  std::unique_ptr<ChunkIndex> index;
  LateIndex* late = nullptr;  // the index, where the store is written
  LazyPacks* lazy = nullptr;  // the index, where it is only read
  std::unique_ptr<Ingest> ingest;
  std::unique_ptr<Fetch> fetch;
  std::unique_ptr<StagedKv> staged;
  std::unique_ptr<Unfolder> unfolder;
  std::unique_ptr<LiveTree> tree;
  std::unique_ptr<Committer> committer;
  std::unique_ptr<Snapshotter> snapshotter;

  std::mutex views_mutex;
  std::set<FileHash> viewed;  // under views_mutex

  // Opening, in this order.
  Result<void> open(const AccessSecret& secret);
  Result<void> open_files(const AccessSecret& secret);
  /// Before anything is made there.
  Result<void> check_may_live_here();
  Result<void> open_database();
  Result<bool> is_ours(Kv& database);
  Result<void> move_aside(const std::string& why);
  Result<void> open_history();
  /// A store that was succeeded elsewhere waits for what its administrator says.
  Result<void> meet_successor();
  std::optional<Promotion> find_successor() const;
  Result<void> choose_writer();
  /// mkfs.varve --join made it, and nothing of it was written since.
  bool has_just_joined() const;
  Result<void> open_packs();
  void make_index_ready();
  void look_elsewhere();
  /// Tells the pack store of packs that remotes are to keep.
  void tell_holds();
  Result<void> open_pipeline();
  Result<void> open_tree();
  Result<void> rebuild_tree();
  /// Publishes that this writer took over from `from` here, unless that is published.
  Result<void> note_succession(const WriterId& from);
  Result<void> succeed(const WriterId& old);
  Result<void> take_first_checkpoint();
  /// Where a promotion took effect here.
  Result<void> complete_promotion();
  Result<void> release_orphans();
  // Of a store that is only read.
  Result<void> open_for_reading(const AccessSecret& secret);
  Result<void> open_empty_database();
  Result<void> show_live_trees();

  Result<void> write_guard_here();
  /// Puts the writer into the guard, once it has published what a rebuild can go on from.
  Result<void> name_writer_in_guard();
  bool has_checkpoint(const WriterId& writer) const;
  Result<void> take_checkpoint();
  /// What was in writing becomes sealed packs, known to the table.
  Result<void> seal_packs();
  /// Packs of other writers' lists: told to the pack store, and put into the table if the live tree
  /// is to refer to them.
  void know_packs(const std::vector<PackInfo>& listed, bool for_ever);
  Result<std::vector<PackInfo>> needs_of(const SnapshotInfo& snapshot) const;
  /// Makes the packs of a snapshot that is looked into known, or findable.
  Result<void> know_packs_of(const SnapshotInfo& snapshot);
};

}  // namespace varve
