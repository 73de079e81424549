#include "catalog/history_format.h"

#include "catalog/tree_node.h"
#include "dedup/base/limits.h"

namespace varve {

namespace {

constexpr std::string_view kHistoryMagic = "VRVHIST\n";
constexpr size_t kHeadBytes = 152;  // magic to sealed length
constexpr size_t kFreshBytes = 32;
constexpr std::string_view kKeyInfo = "varve/1 history";

static_assert(8 + 2 + 1 + 5 + 3 * 16 + 8 + 32 + 8 + kFreshBytes + 4 + 4 == kHeadBytes);

void expect_zeros(Decoder& in, size_t count) {
  for (uint8_t byte : in.raw(count)) {
    if (byte != 0) in.fail();
  }
}

Error no_envelope(std::string message) {
  return {Errc::kCorrupt, std::move(message)};
}

struct Head {
  Envelope envelope;
  ByteView fresh;
  uint32_t readable_length = 0, sealed_length = 0;
};

uint64_t decode_sequence(Decoder& in) {
  const uint64_t sequence = in.u64();
  if (sequence > kSequenceMax) in.fail();
  return sequence;
}

Result<Head> decode_head(Decoder& in, const StoreId& store) {
  Head head;
  if (as_text(in.raw(kHistoryMagic.size())) != kHistoryMagic)
    return no_envelope("is no list, snapshot or record");
  const uint16_t format = in.u16();
  if (!in.failed() && format > kFormatVersion) {
    return Error(Errc::kUnsupported,
                 "has format version " + std::to_string(format) + ", newer than this program's");
  }
  const uint8_t kind = in.u8();
  if (format != kFormatVersion || kind < 1 || kind > 3) in.fail();
  expect_zeros(in, 5);
  Envelope& envelope = head.envelope;
  envelope.kind = static_cast<HistoryKind>(kind);
  envelope.store = in.id<StoreId>();
  envelope.writer = in.id<WriterId>();
  envelope.epoch = in.id<EpochId>();
  envelope.sequence = decode_sequence(in);
  envelope.previous = in.id<FileHash>();
  envelope.time = in.i64();
  head.fresh = in.raw(kFreshBytes);
  head.readable_length = in.u32();
  head.sealed_length = in.u32();
  envelope.sealed = head.sealed_length != 0;
  if (in.failed()) return no_envelope("has a damaged head");
  if (envelope.store != store) return Error(Errc::kForeign, "belongs to another store");
  return head;
}

Result<PublicKey> find_key(const EpochId& epoch,
                           const std::vector<std::pair<EpochId, PublicKey>>& keys,
                           const Keyring* keyring) {
  if (keyring != nullptr) {
    if (const Keyring::Epoch* found = keyring->find(epoch)) return found->public_key;
  }
  for (const auto& [id, key] : keys) {
    if (id == epoch) return key;
  }
  return Error(Errc::kAuthentication, "is signed under the unknown epoch " + epoch.hex());
}

}  // namespace

Bytes encode_envelope(const Envelope& envelope, const Keyring& keyring, Random& random) {
  Bytes fresh(kFreshBytes);
  random.fill(fresh);
  Encoder out;
  out.raw(as_bytes(kHistoryMagic)).u16(kFormatVersion).u8(static_cast<uint8_t>(envelope.kind));
  out.raw(Bytes(5)).id(keyring.store_id()).id(envelope.writer).id(keyring.current().id);
  out.u64(envelope.sequence).id(envelope.previous).i64(envelope.time).raw(fresh);
  out.u32(static_cast<uint32_t>(envelope.readable.size()));
  out.u32(envelope.sealed ? static_cast<uint32_t>(envelope.sealed_plain.size() + kTagBytes) : 0);
  out.raw(envelope.readable);
  if (envelope.sealed) {
    const Secret key = keyring.epoch_key(keyring.current().id, fresh, as_bytes(kKeyInfo)).value();
    out.raw(seal_once(key, out.view(), envelope.sealed_plain));
  }
  const Signature signature = keyring.sign(out.view());
  return out.raw(signature).take();
}

Result<Envelope> decode_envelope(ByteView file, const StoreId& store,
                                 const std::vector<std::pair<EpochId, PublicKey>>& keys,
                                 const Keyring* keyring) {
  Decoder in(file);
  Head head = VARVE_TRY(decode_head(in, store));
  Envelope& envelope = head.envelope;
  const ByteView readable = in.raw(head.readable_length);
  const ByteView sealed = in.raw(head.sealed_length);
  const ByteView signature = in.raw(kSignatureBytes);
  VARVE_TRY(in.finish("a list, snapshot or record"));

  const PublicKey key = VARVE_TRY(find_key(envelope.epoch, keys, keyring));
  if (!verify_signature(key, file.first(file.size() - kSignatureBytes), signature)) {
    return Error(Errc::kAuthentication, "has a signature that does not hold");
  }
  envelope.readable.assign(readable.begin(), readable.end());
  if (keyring != nullptr && envelope.sealed) {
    const Secret opener =
        VARVE_TRY(keyring->epoch_key(envelope.epoch, head.fresh, as_bytes(kKeyInfo)));
    envelope.sealed_plain =
        VARVE_TRY(open_once(opener, file.first(kHeadBytes + readable.size()), sealed));
  }
  return std::move(envelope);
}

// Snapshots.

namespace {

constexpr uint64_t kNextNumberMin = kTopNumber + 1;
constexpr uint64_t kNextNumberMax = uint64_t{1} << (kFileNumberBits - 1);  // half of all there are

void encode_hint(Encoder& out, const std::optional<ChunkPlace>& hint) {
  out.u8(hint ? 1 : 0);
  if (hint) out.id(hint->pack).u32(hint->segment);
}

std::optional<ChunkPlace> decode_hint(Decoder& in) {
  const uint8_t form = in.u8();
  if (form > 1) in.fail();
  if (form != 1 || in.failed()) return std::nullopt;
  ChunkPlace place;
  place.pack = in.id<PackId>();
  place.segment = in.u32();
  return place;
}

/// The hint of `tree`; none may stand where there is no tree.
void decode_hint_of(Decoder& in, std::optional<TreeRef>& tree) {
  const std::optional<ChunkPlace> hint = decode_hint(in);
  if (tree) tree->hint = hint;
  if (!tree && hint) in.fail();
}

void encode_snapshot_tree(Encoder& out, const SnapshotTree& tree) {
  out.id(tree.set).blob(tree.set_name).varint(tree.next_number).u8(tree.links ? 1 : 0);
  if (tree.links) out.id(tree.links->id);
  encode_hint(out, tree.links ? tree.links->hint : std::nullopt);
  std::vector<HintedId> references;
  encode_node(out, tree.top, references);
  encode_hint(out, tree.top.below ? tree.top.below->hint : std::nullopt);
}

SnapshotTree decode_snapshot_tree(Decoder& in) {
  SnapshotTree tree;
  tree.set = in.id<SetId>();
  tree.set_name = in.text();
  tree.next_number = in.varint();
  const uint8_t links_form = in.u8();
  if (links_form > 1) in.fail();
  if (links_form == 1) tree.links = TreeRef{in.id<ChunkId>(), std::nullopt};
  decode_hint_of(in, tree.links);
  tree.top = decode_node(in, FileType::kDirectory);
  decode_hint_of(in, tree.top.below);
  // The names become names in the mount and in a restored directory.
  const bool name_fits = tree.set.is_zero() ? tree.set_name.empty() : is_entry_name(tree.set_name);
  if (!name_fits || tree.next_number < kNextNumberMin || tree.next_number > kNextNumberMax)
    in.fail();
  return tree;
}

}  // namespace

Bytes encode_snapshot_header(const SnapshotHeader& header) {
  Encoder out;
  out.id(header.set).u8(static_cast<uint8_t>(header.snapshot_class)).raw(Bytes(7));
  return out.id(header.list).take();
}

namespace {

SnapshotHeader decode_header_fields(Decoder& in) {
  SnapshotHeader header;
  header.set = in.id<SetId>();
  const uint8_t snapshot_class = in.u8();
  if (snapshot_class < 1 || snapshot_class > 3) in.fail();
  header.snapshot_class = static_cast<SnapshotClass>(snapshot_class);
  expect_zeros(in, 7);
  header.list = in.id<FileHash>();
  if (header.snapshot_class != SnapshotClass::kSet && !header.set.is_zero()) in.fail();
  return header;
}

}  // namespace

Result<SnapshotHeader> decode_snapshot_header(ByteView bytes) {
  Decoder in(bytes);
  SnapshotHeader header = decode_header_fields(in);
  VARVE_TRY(in.finish("a snapshot's header"));
  return header;
}

Bytes encode_snapshot_body(const SnapshotBody& body) {
  Encoder out;
  out.blob(body.name).varint(body.trees.size());
  for (const SnapshotTree& tree : body.trees) encode_snapshot_tree(out, tree);
  return out.take();
}

Result<SnapshotBody> decode_snapshot_body(ByteView bytes) {
  Decoder in(bytes);
  SnapshotBody body;
  body.name = in.text();
  if (!body.name.empty() && !is_entry_name(body.name)) in.fail();
  const uint64_t count = in.varint();
  for (uint64_t i = 0; i < count && !in.failed(); i++) {
    SnapshotTree tree = decode_snapshot_tree(in);
    if (i > 0 && tree.set <= body.trees.back().set) in.fail();
    body.trees.push_back(std::move(tree));
  }
  VARVE_TRY(in.finish("a snapshot"));
  return body;
}

Result<void> check_snapshot_shape(const SnapshotHeader& header, const SnapshotBody& body) {
  const bool of_set = header.snapshot_class == SnapshotClass::kSet;
  const bool fits = of_set ? body.trees.size() == 1 && body.trees[0].set == header.set
                           : !body.trees.empty() && body.trees[0].set.is_zero();
  if (!fits) return Error(Errc::kCorrupt, "holds other sets than its header says");
  return {};
}

// Lists.

namespace {

using Runs = std::vector<std::pair<uint32_t, uint32_t>>;

void encode_row(Encoder& out, const PackInfo& row) {
  out.id(row.hash).id(row.pack).u64(row.length);
  out.u8(static_cast<uint8_t>(row.pack_class)).raw(Bytes(7));
}

PackInfo decode_row(Decoder& in) {
  PackInfo row;
  row.hash = in.id<FileHash>();
  row.pack = in.id<PackId>();
  row.length = in.u64();
  const uint8_t pack_class = in.u8();
  if (pack_class < 1 || pack_class > 2) in.fail();
  row.pack_class = static_cast<PackClass>(pack_class);
  expect_zeros(in, 7);
  return row;
}

Runs decode_runs(Decoder& in, size_t snapshots) {
  Runs runs;
  const uint16_t count = in.u16();
  for (uint16_t i = 0; i < count && !in.failed(); i++) {
    const uint32_t first = in.u32();
    const uint32_t length = in.u32();
    if (first > snapshots || length > snapshots - first) in.fail();
    runs.emplace_back(first, length);
  }
  return runs;
}

}  // namespace

Bytes encode_pack_list(const PackList& list) {
  Encoder out;
  out.u8(list.exact ? 2 : 1).u8(list.depth).raw(Bytes(6));
  out.u32(static_cast<uint32_t>(list.bases.size()));
  for (const FileHash& base : list.bases) out.id(base);
  out.u32(static_cast<uint32_t>(list.rows.size()));
  for (const PackInfo& row : list.rows) encode_row(out, row);
  if (!list.exact) return out.take();
  out.u32(static_cast<uint32_t>(list.snapshots.size()));
  for (const FileHash& snapshot : list.snapshots) out.id(snapshot);
  for (const Runs& runs : list.needed_by) {
    out.u16(static_cast<uint16_t>(runs.size()));
    for (const auto& [first, count] : runs) out.u32(first).u32(count);
  }
  return out.take();
}

Result<PackList> decode_pack_list(ByteView bytes) {
  Decoder in(bytes);
  PackList list;
  const uint8_t kind = in.u8();
  if (kind < 1 || kind > 2) in.fail();
  list.exact = kind == 2;
  list.depth = in.u8();
  expect_zeros(in, 6);
  const uint32_t bases = in.u32();
  for (uint32_t i = 0; i < bases && !in.failed(); i++) list.bases.push_back(in.id<FileHash>());
  if ((list.depth == 0) != list.bases.empty()) in.fail();
  const uint32_t rows = in.u32();
  for (uint32_t i = 0; i < rows && !in.failed(); i++) list.rows.push_back(decode_row(in));
  if (list.exact) {
    const uint32_t snapshots = in.u32();
    for (uint32_t i = 0; i < snapshots && !in.failed(); i++) {
      list.snapshots.push_back(in.id<FileHash>());
    }
    for (uint32_t i = 0; i < rows && !in.failed(); i++) {
      list.needed_by.push_back(decode_runs(in, list.snapshots.size()));
    }
  }
  VARVE_TRY(in.finish("a pack list"));
  return list;
}

// Records.

namespace {

constexpr uint8_t kStatementTypeMax = 9;

void encode_statement_head(Encoder& out, const Statement& statement) {
  out.u8(static_cast<uint8_t>(statement.type)).raw(Bytes(3));
  out.u32(static_cast<uint32_t>(statement.readable.size()));
  out.u32(static_cast<uint32_t>(statement.sealed.size()));
  out.raw(statement.readable);
}

/// Reads the readable half; the sealed half's length goes to `sealed_length`.
Statement decode_statement_head(Decoder& in, uint32_t& sealed_length) {
  Statement statement;
  const uint8_t type = in.u8();
  if (type < 1 || type > kStatementTypeMax) in.fail();
  statement.type = static_cast<StatementType>(type);
  expect_zeros(in, 3);
  const uint32_t readable_length = in.u32();
  sealed_length = in.u32();
  const ByteView readable = in.raw(readable_length);
  statement.readable.assign(readable.begin(), readable.end());
  return statement;
}

void read_sealed(Decoder& in, uint32_t length, Statement& statement) {
  const ByteView sealed = in.raw(length);
  statement.sealed.assign(sealed.begin(), sealed.end());
}

}  // namespace

std::pair<Bytes, Bytes> encode_statements(const std::vector<Statement>& statements) {
  Encoder readable, sealed;
  readable.u16(static_cast<uint16_t>(statements.size()));
  for (const Statement& statement : statements) {
    encode_statement_head(readable, statement);
    sealed.raw(statement.sealed);
  }
  return {readable.take(), sealed.take()};
}

Result<std::vector<Statement>> decode_statements(ByteView readable, ByteView sealed) {
  Decoder in(readable), closed(sealed);
  std::vector<Statement> statements;
  const uint16_t count = in.u16();
  for (uint16_t i = 0; i < count && !in.failed(); i++) {
    uint32_t sealed_length = 0;
    statements.push_back(decode_statement_head(in, sealed_length));
    if (!sealed.empty()) read_sealed(closed, sealed_length, statements.back());
  }
  VARVE_TRY(in.finish("a record"));
  VARVE_TRY(closed.finish("a record's sealed part"));
  return statements;
}

Statement encode_base(const BaseRecord& base) {
  Encoder readable, sealed;
  readable.u32(static_cast<uint32_t>(base.heads.size()));
  for (const BaseRecord::Head& head : base.heads) {
    readable.id(head.writer).u64(head.sequence).id(head.hash);
  }
  readable.u32(static_cast<uint32_t>(base.snapshots.size()));
  for (const BaseRecord::Snapshot& snapshot : base.snapshots) {
    readable.id(snapshot.hash).id(snapshot.writer).u64(snapshot.sequence).i64(snapshot.time);
    readable.raw(encode_snapshot_header(snapshot.header));
    sealed.blob(snapshot.set_name).blob(snapshot.name);
  }
  readable.u32(static_cast<uint32_t>(base.statements.size()));
  for (const BaseRecord::InForce& in_force : base.statements) {
    readable.id(in_force.writer).u64(in_force.sequence);
    encode_statement_head(readable, in_force.statement);
    sealed.raw(in_force.statement.sealed);
  }
  return {StatementType::kBase, readable.take(), sealed.take()};
}

namespace {

BaseRecord::Snapshot decode_base_snapshot(Decoder& in, Decoder& closed, bool opened) {
  BaseRecord::Snapshot snapshot;
  snapshot.hash = in.id<FileHash>();
  snapshot.writer = in.id<WriterId>();
  snapshot.sequence = decode_sequence(in);
  snapshot.time = in.i64();
  snapshot.header = decode_header_fields(in);
  if (opened) {
    snapshot.set_name = closed.text();
    snapshot.name = closed.text();
  }
  return snapshot;
}

}  // namespace

Result<BaseRecord> decode_base(const Statement& statement) {
  Decoder in(statement.readable), closed(statement.sealed);
  const bool opened = !statement.sealed.empty();
  BaseRecord base;
  const uint32_t heads = in.u32();
  for (uint32_t i = 0; i < heads && !in.failed(); i++) {
    BaseRecord::Head head;
    head.writer = in.id<WriterId>();
    head.sequence = decode_sequence(in);
    head.hash = in.id<FileHash>();
    base.heads.push_back(head);
  }
  const uint32_t snapshots = in.u32();
  for (uint32_t i = 0; i < snapshots && !in.failed(); i++) {
    base.snapshots.push_back(decode_base_snapshot(in, closed, opened));
  }
  const uint32_t statements = in.u32();
  for (uint32_t i = 0; i < statements && !in.failed(); i++) {
    BaseRecord::InForce in_force;
    in_force.writer = in.id<WriterId>();
    in_force.sequence = decode_sequence(in);
    uint32_t sealed_length = 0;
    in_force.statement = decode_statement_head(in, sealed_length);
    if (in_force.statement.type == StatementType::kBase) in.fail();
    if (opened) read_sealed(closed, sealed_length, in_force.statement);
    base.statements.push_back(std::move(in_force));
  }
  VARVE_TRY(in.finish("a base record"));
  VARVE_TRY(closed.finish("a base record's sealed part"));
  return base;
}

}  // namespace varve
