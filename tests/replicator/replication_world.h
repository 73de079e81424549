// What tests of replication share: a store with a readable history on a simulated disk, a remote on
// another one, and passes between them with the shipments interleaved by chance.
#pragma once

#include <gtest/gtest.h>

#include "dedup/base/checksum.h"
#include "dedup/guard.h"
#include "dedup/keyring.h"
#include "dedup/writer_head.h"
#include "replicator/expiry_log.h"
#include "replicator/pass.h"
#include "replicator/remote.h"
#include "tests/support/simulated_storage.h"
#include "tests/support/simulation.h"

namespace varve {

template <typename IdType>
IdType filled_id(uint8_t byte) {
  IdType id;
  id.bytes.fill(byte);
  return id;
}

inline constexpr size_t kTestBlockBytes = 4096;
inline constexpr size_t kTestWriteBytes = 1024;

/// What is published, without a working copy: packs are random bytes, for nobody opens them.
class StoreMaker {
 public:
  explicit StoreMaker(Storage& storage, uint64_t seed = 1) : storage_(&storage), random_(seed) {
    std::vector<AccessSecret> secrets;
    secrets.push_back(
        {AccessSecret::Kind::kKeyFile, Secret::copy_of(as_bytes("a key file's bytes, many"))});
    NewStore made = create_store(storage, ChunkerSizes::of_average(32 * kKiB).value(), secrets,
                                 random_, "2026-11-22T05:30:00Z")
                        .value();
    config = made.config;
    keyring_ = std::make_shared<Keyring>(std::move(made.keyring));
    EXPECT_TRUE(
        write_unbound_guard(storage, config.store_id, {filled_id<ReplicaId>(7), writer}).ok());
  }
  /// Another site of the same store.
  StoreMaker(Storage& storage, const StoreMaker& first, const WriterId& own_writer)
      : config(first.config),
        writer(own_writer),
        storage_(&storage),
        random_(own_writer.bytes[0]),
        keyring_(first.keyring_),
        packs_made_(uint64_t{own_writer.bytes[0]} << 32),
        sequence_(first.sequence_) {
    EXPECT_TRUE(settle_store_config(storage, *first.storage_).ok());
    for (const StoreFile& file : list_files_of(*first.storage_, FileClass::kKeys).value())
      put(file, read_whole(*first.storage_, path_of(file), 1 << 20).value());
    live_here();
  }
  /// This is a site: its working copy says who writes here.
  void live_here() {
    EXPECT_TRUE(storage_->make_directories("local").ok());
    EXPECT_TRUE(write_writer_head(*storage_, {writer, sequence_, {}}).ok());
  }

  PackInfo pack(size_t length, PackClass pack_class = PackClass::kData) {
    Bytes bytes = random_bytes(++packs_made_ * 7919, length);
    PackInfo info{random_.id<PackId>(), sha256(bytes), length, pack_class};
    put(file_of_pack(info), bytes);
    return info;
  }
  FileHash list(const std::vector<FileHash>& bases, const std::vector<PackInfo>& rows) {
    PackList list;
    list.bases = bases;
    list.depth = bases.empty() ? 0 : 1;
    list.rows = rows;
    return publish(HistoryKind::kList, FileClass::kList, encode_pack_list(list));
  }
  FileHash exact_list(const std::vector<FileHash>& snapshots, const std::vector<PackInfo>& rows) {
    PackList list;
    list.exact = true;
    list.rows = rows;
    list.snapshots = snapshots;
    for (size_t i = 0; i < rows.size(); i++)
      list.needed_by.push_back({{0, static_cast<uint32_t>(snapshots.size())}});
    return publish(HistoryKind::kList, FileClass::kList, encode_pack_list(list));
  }
  FileHash snapshot(const FileHash& list, SnapshotClass snapshot_class = SnapshotClass::kSet,
                    uint8_t set = 9) {
    SnapshotHeader header{{}, snapshot_class, list};
    if (snapshot_class == SnapshotClass::kSet) header.set = filled_id<SetId>(set);
    return publish(HistoryKind::kSnapshot, FileClass::kSnapshot, encode_snapshot_header(header));
  }
  FileHash record(const std::vector<Statement>& statements = {}) {
    return publish(HistoryKind::kRecord, FileClass::kRecord, encode_statements(statements).first);
  }
  /// A base record of what `statements` say at these sequences, by this writer.
  FileHash base(const std::vector<std::pair<uint64_t, Statement>>& statements) {
    BaseRecord base;
    base.heads.push_back({writer, sequence_, {}});
    for (const auto& [sequence, statement] : statements)
      base.statements.push_back({writer, sequence, statement});
    return record({encode_base(base)});
  }
  uint64_t sequence() const { return sequence_; }
  const Keyring& keyring() const { return *keyring_; }
  void put(const StoreFile& file, ByteView bytes) {
    const std::string path = path_of(file);
    EXPECT_TRUE(storage_->make_directories(path.substr(0, path.rfind('/'))).ok());
    EXPECT_TRUE(write_whole(*storage_, path, bytes).ok());
  }

  /// The same disk, opened anew.
  void go_on_with(Storage& storage) { storage_ = &storage; }

  StoreConfig config;
  WriterId writer = filled_id<WriterId>(21);
  Nanoseconds time = 0;  // of what is published

 private:
  FileHash publish(HistoryKind kind, FileClass file_class, Bytes readable) {
    Envelope envelope;
    envelope.kind = kind;
    envelope.writer = writer;
    envelope.sequence = ++sequence_;
    envelope.time = time;
    envelope.readable = std::move(readable);
    const Bytes bytes = encode_envelope(envelope, *keyring_, random_);
    const FileHash hash = sha256(bytes);
    put({file_class, hash}, bytes);
    return hash;
  }

  Storage* storage_;
  SeededRandom random_;
  std::shared_ptr<Keyring> keyring_;
  uint64_t packs_made_ = 0;
  uint64_t sequence_ = 0;
};

/// How a pass went.
struct PassResult {
  Result<void> done;
  PassFigures figures;
  std::vector<std::string> problems;
  uint64_t written = 0;  // bytes sent, of shipments that did not come to their end, too
};

/// Whose store it is: what the temporary names and visits carry.
inline std::string sender_named(const WriterId& writer = filled_id<WriterId>(21)) {
  return writer.hex();
}

/// One contact and one pass from `store` to `remote`, with up to `in_flight` shipments that take
/// their steps in an order drawn from `seed`.
class PassRun {
 public:
  struct Ways {
    size_t in_flight = 3;
    bool relist = false;
    std::string sender = sender_named();
    CatalogMode catalog = CatalogMode::kReplicated;
  };
  PassRun(Storage& store, Storage& remote, const StoreConfig& config,
          const RemoteConfig& remote_config, uint64_t seed, Ways ways)
      : store_(store),
        remote_(remote),
        config_(config),
        remote_config_(remote_config),
        random_(seed),
        dice_(seed),
        ways_(std::move(ways)) {}

  /// Does the next bit of work; false when it is over.
  Result<bool> step() {
    if (!pass_) {
      VARVE_TRY(begin());
      return true;
    }
    figure();
    if (!running_.empty() && (running_.size() >= ways_.in_flight || dice_() % 2 == 0)) {
      VARVE_TRY(step_one());
      return true;
    }
    Pass::Next next = VARVE_TRY(pass_->next());
    if (next.ask == Pass::Ask::kOver) {
      figure();
      VARVE_TRY(ledger_->save());
      return false;
    }
    if (next.ask == Pass::Ask::kWork) running_.push_back(std::move(next.shipment));
    if (next.ask == Pass::Ask::kWait) VARVE_TRY(step_one());
    return true;
  }
  PassResult result;

 private:
  Result<void> begin() {
    ledger_ =
        VARVE_TRY(ReplicationLedger::open(store_, replication_ledger_path(remote_config_.replica)));
    VARVE_TRY(check_remote_identity(remote_, config_, remote_config_));
    VARVE_TRY(ways_.relist ? visit_remote_anew(remote_, ways_.sender, *ledger_, random_)
                           : visit_remote(remote_, ways_.sender, *ledger_, random_));
    VARVE_TRY(follow_expiry_log(remote_, *ledger_));
    const Shipment::Route route{
        store_,          remote_,         ways_.sender,          ledger_.get(),
        kTestBlockBytes, kTestWriteBytes, remote_config_.replica};
    pass_ = VARVE_TRY(Pass::begin(route, config_, history_, ways_.catalog));
    return {};
  }
  void figure() {
    result.figures = pass_->figures();
    result.problems = pass_->problems();
  }
  Result<void> step_one() {
    const size_t at = dice_() % running_.size();
    const uint64_t before = running_[at]->written();
    const Result<std::optional<Shipment::Outcome>> outcome = running_[at]->step();
    result.written += running_[at]->written() - before;
    if (!outcome.ok()) return outcome.error();
    if (!*outcome) return {};
    VARVE_TRY(pass_->finished(*running_[at], **outcome));
    running_.erase(running_.begin() + static_cast<ptrdiff_t>(at));
    return {};
  }

  Storage& store_;
  Storage& remote_;
  const StoreConfig config_;
  const RemoteConfig remote_config_;
  SeededRandom random_;
  std::mt19937_64 dice_;
  const Ways ways_;
  CarriedHistory history_;
  std::unique_ptr<ReplicationLedger> ledger_;
  std::unique_ptr<Pass> pass_;
  std::vector<std::unique_ptr<Shipment>> running_;
};

inline PassResult run_to_its_end(PassRun& run) {
  for (;;) {
    const Result<bool> goes_on = run.step();
    if (!goes_on.ok()) run.result.done = goes_on.error();
    if (!goes_on.ok() || !*goes_on) return std::move(run.result);
  }
}

inline PassResult run_pass(Storage& store, Storage& remote, const StoreConfig& config,
                           const RemoteConfig& remote_config, uint64_t seed, size_t in_flight = 3,
                           bool relist = false, const std::string& sender = sender_named()) {
  PassRun run(store, remote, config, remote_config, seed, {in_flight, relist, sender});
  return run_to_its_end(run);
}

/// The disks of a store and of its remote, each with a power of its own.
struct Machines {
  SimulatedPower store_power, remote_power;
  std::unique_ptr<SimulatedStorage> store, remote;
};

/// Every file with a final name hashes to it, and every visible snapshot is whole.
inline void expect_good_store(Storage& remote, const StoreConfig& config, const std::string& what) {
  const StoreFiles files = list_store_files(remote).value();
  std::set<StoreFile> there;
  bool any_history = false;
  for (const StoreFile& file : files.files) {
    const Bytes bytes = read_whole(remote, path_of(file), 1 << 30).value();
    ASSERT_EQ(sha256(bytes), file.hash) << what << ": " << path_of(file);
    there.insert(file);
    any_history = any_history || file.file_class == FileClass::kSnapshot;
  }
  if (!any_history) return;
  CarriedHistory history;
  const Result<void> refreshed = history.refresh(remote, config, files);
  ASSERT_TRUE(refreshed.ok()) << what << ": " << refreshed.error().message();
  EXPECT_TRUE(history.problems().empty()) << what;
  for (const CarriedSnapshot& snapshot : history.snapshots()) {
    EXPECT_TRUE(
        history.lacking(snapshot, [&](const StoreFile& file) { return there.contains(file); })
            .nothing())
        << what << ": snapshot " << snapshot.hash.hex() << " is seen and not whole";
  }
}

}  // namespace varve
