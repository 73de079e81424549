// Publishes, in a store that is not mounted, what programs will publish one day, for tests:
//
//   publish STORE PASSPHRASE-FILE lock SNAPSHOT SECONDS   a lock until then (seconds since 1970)
//   publish STORE PASSPHRASE-FILE exact                   an exact list: each set's snapshot needs
//   what
//                                                         its own list has in its rows, and no
//                                                         base's
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "dedup/base/checksum.h"
#include "dedup/base/posix_storage.h"
#include "dedup/statement.h"
#include "replicator/carried_history.h"
#include "replicator/carried_records.h"

namespace varve {
namespace {

class Publisher {
 public:
  Publisher(Storage& storage, StoreConfig config, Keyring keyring)
      : storage_(storage), config_(std::move(config)), keyring_(std::move(keyring)) {}

  Result<void> read() {
    const StoreFiles files = VARVE_TRY(list_store_files(storage_));
    VARVE_TRY(history_.refresh(storage_, config_, files));
    VARVE_TRY(records_.refresh(storage_, config_, files));
    for (const CarriedSnapshot& snapshot : history_.snapshots())
      sequence_ = std::max(sequence_, snapshot.sequence);
    for (const auto& [hash, list] : history_.lists())
      sequence_ = std::max(sequence_, list.sequence);
    for (const auto& [hash, record] : records_.records())
      sequence_ = std::max(sequence_, record.sequence);
    return {};
  }

  Result<void> lock(const FileHash& snapshot, int64_t until) {
    return publish(HistoryKind::kRecord, FileClass::kRecord,
                   encode_statements({lock_statement(snapshot, until)}).first);
  }

  Result<void> exact() {
    PackList list;
    list.exact = true;
    std::map<FileHash, std::pair<PackInfo, SnapshotRuns>> rows;
    for (const CarriedSnapshot& snapshot : history_.snapshots()) {
      const auto number = static_cast<uint32_t>(list.snapshots.size());
      list.snapshots.push_back(snapshot.hash);
      for (const FileHash& named : own_lists(snapshot)) {
        for (const PackInfo& row : history_.rows_of(named)) {
          auto& [pack, runs] = rows[row.hash];
          pack = row;
          if (runs.empty() || runs.back().first != number) runs.emplace_back(number, 1);
        }
      }
    }
    for (const auto& [hash, row] : rows) {
      list.rows.push_back(row.first);
      list.needed_by.push_back(row.second);
    }
    return publish(HistoryKind::kList, FileClass::kList, encode_pack_list(list));
  }

 private:
  /// A checkpoint refers to the trees that its sets had at their last snapshots.
  std::vector<FileHash> own_lists(const CarriedSnapshot& snapshot) const {
    std::vector<FileHash> lists{snapshot.header.list};
    if (snapshot.header.snapshot_class == SnapshotClass::kSet) return lists;
    const std::vector<FileHash>& bases = history_.lists().at(snapshot.header.list).content.bases;
    lists.insert(lists.end(), bases.begin(), bases.end());
    return lists;
  }

  Result<void> publish(HistoryKind kind, FileClass file_class, Bytes readable) {
    Envelope envelope;
    envelope.kind = kind;
    envelope.writer = system_random().id<WriterId>();
    envelope.sequence = sequence_ + 1;
    envelope.time = system_clock().now();
    envelope.readable = std::move(readable);
    const Bytes bytes = encode_envelope(envelope, keyring_, system_random());
    return write_whole(storage_, path_of({file_class, sha256(bytes)}), bytes);
  }

  Storage& storage_;
  const StoreConfig config_;
  const Keyring keyring_;
  CarriedHistory history_;
  CarriedRecords records_;
  uint64_t sequence_ = 0;
};

Result<void> run(const std::vector<std::string>& arguments) {
  if (arguments.size() < 3) return Error(Errc::kInvalid, "usage: see the source");
  const auto storage = VARVE_TRY(open_posix_storage(arguments[0]));
  const auto here = VARVE_TRY(open_posix_storage("/"));
  Bytes passphrase = VARVE_TRY(read_whole(*here, arguments[1].substr(1), 4096));
  if (!passphrase.empty() && passphrase.back() == '\n') passphrase.pop_back();
  const StoreConfig config = VARVE_TRY(read_store_config(*storage));
  Keyring keyring = VARVE_TRY(open_keyring(
      *storage, config, {AccessSecret::Kind::kPassphrase, Secret::copy_of(passphrase)}));
  Publisher publisher(*storage, config, std::move(keyring));
  VARVE_TRY(publisher.read());
  if (arguments[2] == "exact") return publisher.exact();
  const auto snapshot = FileHash::from_hex(arguments.size() == 5 ? arguments[3] : "");
  if (arguments[2] != "lock" || !snapshot) return Error(Errc::kInvalid, "usage: see the source");
  return publisher.lock(*snapshot, std::atoll(arguments[4].c_str()));
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  const varve::Result<void> done = varve::run({argv + 1, argv + argc});
  if (!done.ok()) fmt::print(stderr, "publish: {}\n", done.error().message());
  return done.ok() ? 0 : 1;
}
