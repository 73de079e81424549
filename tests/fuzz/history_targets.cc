// Lists, snapshots and records: their plain parts, envelopes whose signatures hold, and a history
// of several such files.
#include <algorithm>

#include "catalog/snapshot_needs.h"
#include "dedup/base/checksum.h"
#include "dedup/statement.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/seeded_keyring.h"
#include "tests/support/simulated_storage.h"

namespace varve {
namespace {

constexpr size_t kHistoryFilesMax = 8;
constexpr HistoryKind kHistoryKinds[] = {HistoryKind::kList, HistoryKind::kSnapshot,
                                         HistoryKind::kRecord};
constexpr const char* kHistoryFolders[] = {"lists", "snapshots", "records"};

const Keyring& history_keyring() {
  static const Keyring keyring = seeded_keyring(3);
  return keyring;
}

// Plain parts.

bool run_snapshot_header(ByteView input) {
  return expect_canonical(decode_snapshot_header(input), input, encode_snapshot_header);
}

std::vector<Bytes> snapshot_header_seeds() {
  return {encode_snapshot_header({SetId{{1}}, SnapshotClass::kSet, FileHash{}}),
          encode_snapshot_header({SetId{}, SnapshotClass::kCheckpoint, FileHash{}})};
}

bool run_snapshot_body(ByteView input) {
  return expect_canonical(decode_snapshot_body(input), input, encode_snapshot_body);
}

SnapshotTree seed_tree(const SetId& set, std::string name) {
  SnapshotTree tree;
  tree.set = set;
  tree.set_name = std::move(name);
  tree.next_number = 77;
  tree.top.inode.type = FileType::kDirectory;
  tree.top.inode.permissions = 0755;
  tree.top.xattrs = {{"user.a", "b"}};
  tree.top.below = TreeRef{ChunkId{{9}}, ChunkPlace{PackId{{8}}, 5}};
  tree.links = TreeRef{ChunkId{{7}}, std::nullopt};
  return tree;
}

SnapshotBody seed_set_body() {
  return {"monday", {seed_tree(SetId{{1}}, "web01")}};
}

SnapshotBody seed_mount_body() {
  SnapshotBody body{"", {seed_tree({}, ""), seed_tree(SetId{{1}}, "web01")}};
  body.trees[0].links.reset();
  body.trees[0].top.below.reset();
  return body;
}

std::vector<Bytes> snapshot_body_seeds() {
  return {encode_snapshot_body(seed_set_body()), encode_snapshot_body(seed_mount_body())};
}

bool run_pack_list(ByteView input) {
  return expect_canonical(decode_pack_list(input), input, encode_pack_list);
}

PackList seed_list(std::vector<FileHash> bases) {
  PackList list;
  list.depth = bases.empty() ? 0 : 1;
  list.bases = std::move(bases);
  list.rows = {{PackId{{1}}, FileHash{{1}}, 1000, PackClass::kData},
               {PackId{{2}}, FileHash{{2}}, 2000, PackClass::kCatalog}};
  return list;
}

std::vector<Bytes> pack_list_seeds() {
  PackList exact = seed_list({});
  exact.exact = true;
  exact.snapshots = {FileHash{{3}}, FileHash{{4}}};
  exact.needed_by = {{{0, 2}}, {{0, 1}, {1, 1}}};
  return {encode_pack_list(seed_list({FileHash{{5}}})), encode_pack_list(exact)};
}

// Input: the record's readable part as a blob, then the sealed one.
bool run_statements(ByteView input) {
  Decoder in(input);
  const ByteView readable = in.blob(), sealed = in.raw(in.remaining());
  const Result<std::vector<Statement>> statements = decode_statements(readable, sealed);
  if (!statements.ok()) return false;
  if (!sealed.empty()) {
    const auto again = encode_statements(*statements);
    expect_that(same_bytes(again.first, readable) && same_bytes(again.second, sealed),
                "a record does not come back");
  }
  bool accepted = true;
  for (const Statement& statement : *statements) {
    (void)lock_until(statement);
    if (statement.type != StatementType::kBase) {
      accepted = accepted && subject_of(statement).ok();
      continue;
    }
    const Result<BaseRecord> base = decode_base(statement);
    accepted = accepted && base.ok();
    if (!base.ok() || statement.sealed.empty()) continue;
    const Statement again = encode_base(*base);
    expect_that(again.readable == statement.readable && again.sealed == statement.sealed,
                "a base record does not come back");
  }
  return accepted;
}

BaseRecord seed_base() {
  BaseRecord base;
  base.heads = {{WriterId{{1}}, 9, FileHash{{2}}}};
  base.snapshots = {{FileHash{},
                     WriterId{{1}},
                     3,
                     5,
                     {SetId{{1}}, SnapshotClass::kSet, FileHash{}},
                     "web01",
                     "monday"}};
  base.statements = {{WriterId{{1}}, 4, policy_statement(SetId{{1}}, R"({"keep": 7})")},
                     {WriterId{{1}}, 5, lock_statement(FileHash{}, 1'900'000'000)}};
  return base;
}

Statement seed_hold() {
  Encoder out;
  out.raw(Bytes(16, 1)).id(ReplicaId{{2}}).u8(1).raw(Bytes(7)).u32(1).id(FileHash{{3}});
  return {StatementType::kHold, out.take(), {}};
}

Bytes statements_input(const std::vector<Statement>& statements) {
  const auto [readable, sealed] = encode_statements(statements);
  return Encoder().blob(ByteView(readable)).raw(sealed).take();
}

std::vector<Statement> seed_statements() {
  return {drop_statement(FileHash{}, ReplicaId{{1}}), lock_statement(FileHash{}, 1'900'000'000),
          policy_statement(SetId{{1}}, "{}"), seed_hold()};
}

std::vector<Bytes> statements_seeds() {
  return {statements_input(seed_statements()), statements_input({encode_base(seed_base())})};
}

// An envelope. Input: a file, whose signature is made right.

bool run_envelope(ByteView input) {
  const Keyring& keyring = history_keyring();
  Bytes file(input.begin(), input.end());
  if (file.size() >= kSignatureBytes) {
    const Signature signature = keyring.sign(ByteView(file).first(file.size() - kSignatureBytes));
    std::copy(signature.begin(), signature.end(), file.end() - kSignatureBytes);
  }
  const auto carried = decode_envelope(
      file, keyring.store_id(), {{keyring.current().id, keyring.current().public_key}}, nullptr);
  const auto opened = decode_envelope(file, keyring.store_id(), {}, &keyring);
  expect_that(!opened.ok() || carried.ok(), "an envelope that opens does not verify");
  expect_that(!opened.ok() || opened->readable == carried->readable,
              "an envelope reads in two ways");
  return opened.ok();
}

Bytes seed_envelope(HistoryKind kind, Bytes readable, Bytes sealed) {
  SeededRandom random(1);
  Envelope envelope;
  envelope.kind = kind;
  envelope.writer = WriterId{{1}};
  envelope.sequence = 3;
  envelope.readable = std::move(readable);
  envelope.sealed = !sealed.empty();
  envelope.sealed_plain = std::move(sealed);
  return encode_envelope(envelope, history_keyring(), random);
}

std::vector<Bytes> envelope_seeds() {
  return {
      seed_envelope(HistoryKind::kList, pack_list_seeds()[0], {}),
      seed_envelope(HistoryKind::kSnapshot, snapshot_header_seeds()[0], snapshot_body_seeds()[0])};
}

// A history. Input: files, each kind u8, writer u8, sequence varint, readable blob, sealed blob. A
// hash of a number N and zeros stands for the Nth file.

void point_at(FileHash& hash, const std::vector<FileHash>& files) {
  const size_t number = hash.bytes[0];
  FileHash plain;
  plain.bytes[0] = hash.bytes[0];
  if (hash == plain && number < files.size()) hash = files[number];
}

void point_at(Statement& statement, const std::vector<FileHash>& files) {
  if (statement.type == StatementType::kBase) {
    Result<BaseRecord> base = decode_base(statement);
    if (!base.ok()) return;
    for (BaseRecord::Snapshot& snapshot : base->snapshots) {
      point_at(snapshot.hash, files);
      point_at(snapshot.header.list, files);
    }
    statement = encode_base(*base);
  } else if (statement.readable.size() >= FileHash::kSize) {
    FileHash hash = Decoder(statement.readable).id<FileHash>();
    point_at(hash, files);
    std::copy(hash.bytes.begin(), hash.bytes.end(), statement.readable.begin());
  }
}

/// The parts with what they name put right, as far as they decode.
void point_at(Envelope& envelope, const std::vector<FileHash>& files) {
  if (envelope.kind == HistoryKind::kList) {
    Result<PackList> list = decode_pack_list(envelope.readable);
    if (!list.ok()) return;
    for (FileHash& base : list->bases) point_at(base, files);
    envelope.readable = encode_pack_list(*list);
  } else if (envelope.kind == HistoryKind::kSnapshot) {
    Result<SnapshotHeader> header = decode_snapshot_header(envelope.readable);
    if (!header.ok()) return;
    point_at(header->list, files);
    envelope.readable = encode_snapshot_header(*header);
  } else {
    auto statements = decode_statements(envelope.readable, envelope.sealed_plain);
    if (!statements.ok()) return;
    for (Statement& statement : *statements) point_at(statement, files);
    std::tie(envelope.readable, envelope.sealed_plain) = encode_statements(*statements);
  }
}

struct FuzzedHistory {
  SimulatedStorage storage;
  SimulatedClock clock;
  SeededRandom random{1};

  explicit FuzzedHistory(ByteView input) {
    for (const char* folder : kHistoryFolders) (void)storage.make_directories(folder);
    std::vector<FileHash> files;
    for (Decoder in(input); in.remaining() > 0 && files.size() < kHistoryFilesMax;) {
      Envelope envelope;
      const size_t kind = in.u8() % std::size(kHistoryKinds);
      envelope.kind = kHistoryKinds[kind];
      envelope.writer.bytes[0] = in.u8();
      envelope.sequence = in.varint();
      const ByteView readable = in.blob(), sealed = in.blob();
      envelope.readable.assign(readable.begin(), readable.end());
      envelope.sealed_plain.assign(sealed.begin(), sealed.end());
      point_at(envelope, files);
      envelope.sealed = !envelope.sealed_plain.empty();
      const Bytes file = encode_envelope(envelope, history_keyring(), random);
      files.push_back(sha256(file));
      (void)write_whole(storage, std::string(kHistoryFolders[kind]) + "/" + files.back().hex(),
                        file);
    }
  }
  std::unique_ptr<History> open() {
    auto history = History::open(storage, history_keyring(), clock, random, ReplicaId{{1}});
    expect_that(history.ok(), "a history does not open");
    return std::move(history).value();
  }
};

void ask_all(const History& history, Storage& storage) {
  SnapshotNeeds needs(history, lies_in(storage));
  for (const SnapshotInfo& info : history.snapshots()) {
    (void)history.body(info.hash);
    (void)history.packs_of_list(info.header.list);
    (void)history.list_depth(info.header.list);
    (void)needs.is_whole(info);
    (void)needs.of(info);
    (void)history.policy(info.header.set);
    expect_that(history.find(info.header.set, info.name).has_value(),
                "a shown snapshot is not found");
  }
  (void)history.sets();
  (void)history.checkpoints();
  (void)history.listed_packs();
}

std::vector<FileHash> shown_by(const History& history) {
  std::vector<FileHash> hashes;
  for (const SnapshotInfo& info : history.snapshots()) hashes.push_back(info.hash);
  return hashes;
}

bool run_history(ByteView input) {
  FuzzedHistory world(input);
  const std::unique_ptr<History> history = world.open();
  ask_all(*history, world.storage);
  const std::vector<FileHash> shown = shown_by(*history);
  history->become(WriterId{{200}});
  if (!history->publish_base().ok()) return false;
  expect_that(shown_by(*world.open()) == shown, "a base record changes what is in force");
  return !shown.empty();
}

Encoder& add_file(Encoder& out, uint8_t kind, uint64_t sequence, const Bytes& readable,
                  const Bytes& sealed) {
  return out.u8(kind).u8(1).varint(sequence).blob(ByteView(readable)).blob(ByteView(sealed));
}

std::vector<Bytes> history_seeds() {
  Encoder out;
  add_file(out, 0, 1, encode_pack_list(seed_list({})), {});
  add_file(out, 0, 2, encode_pack_list(seed_list({FileHash{}})), {});
  add_file(out, 1, 3, encode_snapshot_header({SetId{{1}}, SnapshotClass::kSet, FileHash{{1}}}),
           encode_snapshot_body(seed_set_body()));
  add_file(out, 1, 4, encode_snapshot_header({SetId{}, SnapshotClass::kMount, FileHash{}}),
           encode_snapshot_body(seed_mount_body()));
  Bytes few = Encoder().raw(out.view()).take();
  const auto [readable, sealed] =
      encode_statements({drop_statement(FileHash{{2}}, ReplicaId{{1}})});
  const auto [base_readable, base_sealed] = encode_statements({encode_base(seed_base())});
  add_file(out, 2, 5, readable, sealed);
  add_file(out, 2, 6, base_readable, base_sealed);
  return {few, out.take()};
}

}  // namespace

std::vector<FuzzTarget> history_targets() {
  return {{"snapshot_header", run_snapshot_header, snapshot_header_seeds},
          {"snapshot_body", run_snapshot_body, snapshot_body_seeds},
          {"pack_list", run_pack_list, pack_list_seeds},
          {"statements", run_statements, statements_seeds},
          {"envelope", run_envelope, envelope_seeds},
          {"history", run_history, history_seeds}};
}

}  // namespace varve
