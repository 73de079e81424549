// One pass over a store: everything that a remote lacks, in an order in which the remote is a good
// store at every moment.
//
//   keys -> superseded keys removed
//     -> [ packs -> catalog packs -> lists -> snapshots -> retire ] for some snapshots, oldest
//     first -> ...
//     -> the last such round: all that is left -> records -> superseded records removed
//     -> holds are looked after
//
// 1. A stage begins when every shipment of the one before it is over.
// 2. A list goes when every pack that its rows name is there, or not here at all.
// 3. A snapshot goes when it is whole there (carried_history.h): so it is never seen before all
// that it needs.
// 4. Of a writer's checkpoints the newest alone goes; older ones there are removed when it is
// there. Those of another site's writer go only where that site has no newer one. Generations of
// access that one in force there supersedes are removed, and records that were removed here because
// a base record says all that they say, when that is there. Nothing else is removed there, whatever
// is removed here.
// 5. In the catalog mode `distributed` catalog packs stay here, and a snapshot is whole there
// without them.
// 6. What is damaged here is left out with all that needs it, and named in problems().
// 7. What has expired there does not go again. A round's snapshots are looked for, then the log of
// expiry is read, then those go that were not there; it is read once more after that. Where it says
// that something went that they need, their round is done again.
// 8. A hold at this remote of a writer of this place counts once its record was there and all its
// packs were seen in place after that.
//
// next() and finished() come from any thread; what is listed and removed at the remote, one call at
// a time; shipments, and the folders that they need, where their takers want.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <unordered_set>

#include "dedup/catalog_mode.h"
#include "replicator/carried_history.h"
#include "replicator/carried_records.h"
#include "replicator/shipment.h"

namespace varve {

struct PassFigures {
  uint64_t files_sent = 0, bytes_sent = 0;             // in this pass
  uint64_t files_were_there = 0;                       // put there by others
  uint64_t files_left = 0;                             // still to be sent
  uint64_t packs_left = 0, bytes_left = 0;             // of them: packs, and their bytes
  uint64_t snapshots_sent = 0, snapshots_waiting = 0;  // that lack something here
};

class Pass {
 public:
  /// Lists what is here and asks the ledger what is missing there; the remote is not touched.
  /// `history` is kept from pass to pass by the caller.
  static Result<std::unique_ptr<Pass>> begin(const Shipment::Route& route,
                                             const StoreConfig& config, CarriedHistory& history,
                                             CatalogMode catalog = CatalogMode::kReplicated);

  enum class Ask {
    kWork,  // a shipment to run
    kWait,  // until one that is in flight is finished
    kOver,
  };
  struct Next {
    Ask ask = Ask::kOver;
    std::unique_ptr<Shipment> shipment;
  };
  /// An error is the remote's or the ledger's: the pass is over.
  Result<Next> next();
  /// A shipment that next() gave has come to its end.
  Result<void> finished(const Shipment& shipment, Shipment::Outcome outcome);

  /// Whether there is a hold that is not known to count. For who has a pass and runs nothing of it.
  bool holds_wait() const;
  /// At once, also while the remote hangs.
  PassFigures figures() const;
  /// One line a file here that is damaged, and a snapshot that therefore waits.
  std::vector<std::string> problems() const;

 private:
  enum class Stage { kKeys, kPacks, kCatalogPacks, kLists, kSnapshots, kRetire, kRecords, kOver };

  Pass(const Shipment::Route& route, const StoreConfig& config, CarriedHistory& history,
       CatalogMode catalog)
      : route_(route), config_(config), history_(history), catalog_(catalog) {}
  Result<void> list_what_is_here();
  void count_what_is_missing();
  void choose_snapshots();
  void want_lists(const std::vector<FileHash>& lists);
  void choose_condemned_packs();
  bool want_by_exact_list(const CarriedSnapshot& snapshot);
  Result<void> look_at_remote();
  Result<void> look_for_newer_checkpoints();
  bool is_own(const WriterId& writer) const { return own_.empty() || own_.contains(writer); }
  bool keys_are_there() const;
  Result<void> advance();
  Result<void> begin_next_round();
  void begin_round();
  void collect_round();
  Result<bool> repeat_round(int& repeats);
  void queue_missing(FileClass file_class);
  void queue_lists();
  Result<void> look_for_snapshots();
  bool is_ready(const CarriedSnapshot& snapshot) const;
  void queue_snapshots();
  Shipment::Look look_for(const StoreFile& file) const;
  Result<void> retire_checkpoints();
  Result<void> retire_keys();
  Result<void> retire_records();
  Result<void> remove_there(const StoreFile& file);
  std::vector<HoldInForce> own_holds(const CarriedRecords::LiesThere& lies_there) const;
  std::vector<HoldInForce> holds_to_see(const CarriedRecords::LiesThere& lies_there) const;
  Result<void> look_after_holds();
  Result<bool> sees_all(const HoldInForce& one);
  Result<void> look_for_evicted();
  Result<bool> is_in_place(const StoreFile& pack);
  static uint64_t length_in(Storage& storage, const StoreFile& file);
  void note_waiting();
  void note_went(const StoreFile& file);
  void note_figures(const Shipment& shipment, Shipment::Outcome outcome);
  void add_problem(const std::string& path, std::string problem);
  bool travels(const StoreFile& file) const;
  bool is_there(const StoreFile& file) const { return route_.ledger->is_there(file); }
  bool stays(const StoreFile& file) const {
    return catalog_ == CatalogMode::kDistributed && file.file_class == FileClass::kCatalogPack;
  }
  /// There, or not meant to be.
  bool is_settled(const StoreFile& file) const { return stays(file) || is_there(file); }
  bool may_go(const StoreFile& file) const;
  bool list_may_go(const FileHash& list) const;
  void enqueue(const StoreFile& file);
  Result<Next> take_from_queue();
  Result<void> make_folder_of(const StoreFile& file);

  struct Hash {
    size_t operator()(const StoreFile& file) const { return IdHash()(file.hash); }
  };
  using Files = std::unordered_set<StoreFile, Hash>;

  const Shipment::Route route_;
  const StoreConfig config_;
  CarriedHistory& history_;
  CarriedRecords records_;
  const CatalogMode catalog_;
  std::mutex mutex_;  // held over calls to the remote; figures_mutex_ never
  Stage stage_ = Stage::kKeys;
  std::vector<StoreFile> here_;  // in the order of publishing
  Files here_set_;
  std::optional<Files> there_by_list_;  // if the remote was listed
  std::deque<StoreFile> queue_;
  size_t in_flight_ = 0;
  std::set<WriterId>
      own_;  // who lives here, or did; empty where nobody does: all are carried alike
  bool looked_for_newer_checkpoints_ = false;
  std::set<FileHash> left_out_;  // snapshots: superseded checkpoints, and what has expired there
  std::set<FileHash> wanted_again_;  // packs condemned there, which a snapshot lacks there
  std::set<FileHash> keys_in_force_;
  bool was_rotated_ = false;
  bool record_came_ = false;                    // there, in this pass
  int repeats_before_ = 0, repeats_after_ = 0;  // of this round
  Files failed_;                                // damaged or gone here
  size_t next_snapshot_ = 0;                    // the rounds have come to this one of the history's
  bool last_round_ = false;
  std::vector<const CarriedSnapshot*> round_;
  std::set<FileHash> snapshots_seen_;  // of the round; there before the log was read
  Files round_packs_;
  std::unordered_set<std::string> folders_made_;
  bool looked_for_evicted_ = false;
  std::map<std::string, std::set<std::string>> folders_seen_;  // there, with their names
  std::map<FileHash, uint64_t> pack_lengths_;
  std::set<FileHash> wanted_lists_;   // all that snapshots which travel name
  mutable std::mutex figures_mutex_;  // taken last
  PassFigures figures_;
  std::map<std::string, std::string> problems_;  // by path
};

}  // namespace varve
