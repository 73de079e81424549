// The coding of lists, snapshots and records: one signed envelope, and what of it is readable
// without a key (docs/format.md section 6). What a snapshot seals is catalog/snapshot_body.h. Pure
// functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dedup/base/clock.h"
#include "dedup/base/random.h"
#include "dedup/keyring.h"
#include "dedup/pack_format.h"

namespace varve {

enum class HistoryKind : uint8_t { kList = 1, kSnapshot = 2, kRecord = 3 };

/// Sequences end long before they could wrap.
inline constexpr uint64_t kSequenceMax = INT64_MAX;

struct Envelope {
  HistoryKind kind = HistoryKind::kList;
  StoreId store;
  WriterId writer;
  EpochId epoch;
  uint64_t sequence = 0;
  FileHash previous;
  Nanoseconds time = 0;
  Bytes readable;
  Bytes sealed_plain;   // empty where the sealed part was not opened
  bool sealed = false;  // there is a sealed part
};

/// Seals and signs by the keyring's current epoch.
Bytes encode_envelope(const Envelope& envelope, const Keyring& keyring, Random& random);
/// Checks format, store and signature. Without keyring (`keyring` nullptr) signatures are checked
/// by `keys` and the sealed part stays closed.
Result<Envelope> decode_envelope(ByteView file, const StoreId& store,
                                 const std::vector<std::pair<EpochId, PublicKey>>& keys,
                                 const Keyring* keyring);

enum class SnapshotClass : uint8_t { kSet = 1, kMount = 2, kCheckpoint = 3 };

struct SnapshotHeader {  // readable
  SetId set;
  SnapshotClass snapshot_class = SnapshotClass::kSet;
  FileHash list;
};

Bytes encode_snapshot_header(const SnapshotHeader& header);
Result<SnapshotHeader> decode_snapshot_header(ByteView bytes);

/// Of an exact list's snapshots: (first, count).
using SnapshotRuns = std::vector<std::pair<uint32_t, uint32_t>>;

struct PackList {
  bool exact = false;
  uint8_t depth = 0;
  std::vector<FileHash> bases;
  std::vector<PackInfo> rows;
  std::vector<FileHash> snapshots;      // exact lists
  std::vector<SnapshotRuns> needed_by;  // exact lists: by whom each row is needed
};

/// Of an exact list: the rows whose runs have the snapshot.
std::vector<PackInfo> rows_needed_by(const PackList& exact, const FileHash& snapshot);

Bytes encode_pack_list(const PackList& list);
Result<PackList> decode_pack_list(ByteView bytes);

enum class StatementType : uint8_t {
  kDrop = 1,
  kForget = 2,
  kLock = 3,
  kHold = 4,
  kPolicy = 5,
  kLabels = 6,
  kPromotion = 7,
  kBase = 8,
  kUndrop = 9,
};

struct Statement {
  StatementType type = StatementType::kDrop;
  Bytes readable, sealed;
};

/// Readable part and sealed part of a record.
std::pair<Bytes, Bytes> encode_statements(const std::vector<Statement>& statements);
/// `sealed` empty: sealed parts are left empty.
Result<std::vector<Statement>> decode_statements(ByteView readable, ByteView sealed);

struct BaseRecord {
  struct Head {
    WriterId writer;
    uint64_t sequence = 0;
    FileHash hash;
  };
  struct Snapshot {
    FileHash hash;
    WriterId writer;
    uint64_t sequence = 0;
    Nanoseconds time = 0;
    SnapshotHeader header;
    std::string set_name, name;  // names from the sealed part
  };
  struct InForce {
    WriterId writer;
    uint64_t sequence = 0;
    Statement statement;
  };
  std::vector<Head> heads;
  std::vector<Snapshot> snapshots;
  std::vector<InForce> statements;
};
Statement encode_base(const BaseRecord& base);
Result<BaseRecord> decode_base(const Statement& statement);

}  // namespace varve
