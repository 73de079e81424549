// What tests of replication share: a store with a readable history on a simulated disk, a remote on
// another one, and passes between them with the shipments interleaved by chance.
#pragma once

#include <gtest/gtest.h>

#include "dedup/base/checksum.h"
#include "dedup/guard.h"
#include "dedup/keyring.h"
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
    keyring_ = std::make_unique<Keyring>(std::move(made.keyring));
    EXPECT_TRUE(
        write_unbound_guard(storage, config.store_id, {filled_id<ReplicaId>(7), writer}).ok());
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
  FileHash snapshot(const FileHash& list, SnapshotClass snapshot_class = SnapshotClass::kSet) {
    SnapshotHeader header{{}, snapshot_class, list};
    if (snapshot_class == SnapshotClass::kSet) header.set = filled_id<SetId>(9);
    return publish(HistoryKind::kSnapshot, FileClass::kSnapshot, encode_snapshot_header(header));
  }
  FileHash record() {
    return publish(HistoryKind::kRecord, FileClass::kRecord, encode_statements({}).first);
  }
  void put(const StoreFile& file, ByteView bytes) {
    const std::string path = path_of(file);
    EXPECT_TRUE(storage_->make_directories(path.substr(0, path.rfind('/'))).ok());
    EXPECT_TRUE(write_whole(*storage_, path, bytes).ok());
  }

  /// The same disk, opened anew.
  void go_on_with(Storage& storage) { storage_ = &storage; }

  StoreConfig config;
  WriterId writer = filled_id<WriterId>(21);

 private:
  FileHash publish(HistoryKind kind, FileClass file_class, Bytes readable) {
    Envelope envelope;
    envelope.kind = kind;
    envelope.writer = writer;
    envelope.sequence = ++sequence_;
    envelope.readable = std::move(readable);
    const Bytes bytes = encode_envelope(envelope, *keyring_, random_);
    const FileHash hash = sha256(bytes);
    put({file_class, hash}, bytes);
    return hash;
  }

  Storage* storage_;
  SeededRandom random_;
  std::unique_ptr<Keyring> keyring_;
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

/// One contact and one pass from `store` to `remote`, with up to `in_flight` shipments that take
/// their steps in an order drawn from `seed`.
inline PassResult run_pass(Storage& store, Storage& remote, const StoreConfig& config,
                           const RemoteConfig& remote_config, uint64_t seed, size_t in_flight = 3,
                           bool relist = false) {
  PassResult result;
  SeededRandom random(seed);
  std::mt19937_64 dice(seed);
  CarriedHistory history;
  std::vector<std::unique_ptr<Shipment>> running;
  const auto run = [&]() -> Result<void> {
    const auto ledger =
        VARVE_TRY(ReplicationLedger::open(store, replication_ledger_path(remote_config.replica)));
    VARVE_TRY(check_remote_identity(remote, config, remote_config));
    const std::string sender = filled_id<WriterId>(21).hex();
    VARVE_TRY(relist ? visit_remote_anew(remote, sender, *ledger, random)
                     : visit_remote(remote, sender, *ledger, random));
    const Shipment::Route route{store,        remote,          sender,
                                ledger.get(), kTestBlockBytes, kTestWriteBytes};
    const std::unique_ptr<Pass> pass = VARVE_TRY(Pass::begin(route, config, history));
    const auto step_one = [&]() -> Result<void> {
      const size_t at = dice() % running.size();
      const uint64_t before = running[at]->written();
      const Result<std::optional<Shipment::Outcome>> outcome = running[at]->step();
      result.written += running[at]->written() - before;
      if (!outcome.ok()) return outcome.error();
      if (!*outcome) return {};
      VARVE_TRY(pass->finished(*running[at], **outcome));
      running.erase(running.begin() + static_cast<ptrdiff_t>(at));
      return {};
    };
    for (;;) {
      result.figures = pass->figures();
      result.problems = pass->problems();
      if (!running.empty() && (running.size() >= in_flight || dice() % 2 == 0)) {
        VARVE_TRY(step_one());
        continue;
      }
      Pass::Next next = VARVE_TRY(pass->next());
      if (next.ask == Pass::Ask::kOver) {
        result.figures = pass->figures();
        result.problems = pass->problems();
        return ledger->save();
      }
      if (next.ask == Pass::Ask::kWork) running.push_back(std::move(next.shipment));
      if (next.ask == Pass::Ask::kWait) VARVE_TRY(step_one());
    }
  };
  result.done = run();
  return result;
}

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
