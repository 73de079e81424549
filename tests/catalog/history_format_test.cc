// Goal: lists, snapshots and records come back as they were written, and nothing that differs by
// one bit is believed.
#include <gtest/gtest.h>

#include "catalog/snapshot_body.h"
#include "dedup/statement.h"
#include "tests/catalog/history_world.h"

namespace varve {
namespace {

struct EnvelopeTest : testing::Test {
  Keyring keyring = signing_keyring();
  SeededRandom random{1};
  std::vector<std::pair<EpochId, PublicKey>> keys{
      {keyring.current().id, keyring.current().public_key}};

  Envelope envelope() {
    Envelope result;
    result.kind = HistoryKind::kSnapshot;
    result.writer = same_bytes<WriterId>(5);
    result.sequence = 42;
    result.previous = same_bytes<FileHash>(6);
    result.time = -3;
    result.readable = {1, 2, 3};
    result.sealed_plain = {4, 5, 6, 7};
    result.sealed = true;
    return result;
  }
};

TEST_F(EnvelopeTest, ComesBack) {
  const Bytes file = encode_envelope(envelope(), keyring, random);
  auto opened = decode_envelope(file, keyring.store_id(), {}, &keyring);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->kind, HistoryKind::kSnapshot);
  EXPECT_EQ(opened->writer, same_bytes<WriterId>(5));
  EXPECT_EQ(opened->epoch, keyring.current().id);
  EXPECT_EQ(opened->sequence, 42u);
  EXPECT_EQ(opened->previous, same_bytes<FileHash>(6));
  EXPECT_EQ(opened->time, -3);
  EXPECT_EQ(opened->readable, (Bytes{1, 2, 3}));
  EXPECT_EQ(opened->sealed_plain, (Bytes{4, 5, 6, 7}));
  EXPECT_TRUE(opened->sealed);
}

TEST_F(EnvelopeTest, WithoutKeysShowsTheReadablePartAlone) {
  const Bytes file = encode_envelope(envelope(), keyring, random);
  auto opened = decode_envelope(file, keyring.store_id(), keys, nullptr);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->readable, (Bytes{1, 2, 3}));
  EXPECT_TRUE(opened->sealed);
  EXPECT_TRUE(opened->sealed_plain.empty());
  EXPECT_FALSE(decode_envelope(file, keyring.store_id(), {}, nullptr).ok());
}

TEST_F(EnvelopeTest, AnyFlippedBitIsRefused) {
  const Bytes file = encode_envelope(envelope(), keyring, random);
  for (size_t bit = 0; bit < file.size() * 8; bit++) {
    Bytes damaged = file;
    damaged[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    ASSERT_FALSE(decode_envelope(damaged, keyring.store_id(), {}, &keyring).ok()) << bit;
    ASSERT_FALSE(decode_envelope(damaged, keyring.store_id(), keys, nullptr).ok()) << bit;
  }
}

TEST_F(EnvelopeTest, AnyOtherLengthIsRefused) {
  Bytes file = encode_envelope(envelope(), keyring, random);
  for (size_t length = 0; length < file.size(); length++) {
    const ByteView cut(file.data(), length);
    ASSERT_FALSE(decode_envelope(cut, keyring.store_id(), keys, nullptr).ok()) << length;
  }
  file.push_back(0);
  EXPECT_FALSE(decode_envelope(file, keyring.store_id(), keys, nullptr).ok());
}

TEST_F(EnvelopeTest, AnotherStoresIsForeign) {
  const Bytes file = encode_envelope(envelope(), keyring, random);
  auto opened = decode_envelope(file, same_bytes<StoreId>(9), keys, nullptr);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), Errc::kForeign);
}

TEST_F(EnvelopeTest, NewerFormatIsNamed) {
  Bytes file = encode_envelope(envelope(), keyring, random);
  file[8] = 2;
  auto opened = decode_envelope(file, keyring.store_id(), keys, nullptr);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), Errc::kUnsupported);
}

TEST(SnapshotFormat, RefusesNamesThatNoFileMayHave) {
  const auto accepts = [](auto change) {
    SnapshotBody body;
    body.trees = {tree_of({}, ""), tree_of(same_bytes<SetId>(4), "web01"),
                  tree_of(same_bytes<SetId>(5), "web02")};
    change(body);
    return decode_snapshot_body(encode_snapshot_body(body)).ok();
  };
  EXPECT_TRUE(accepts([](SnapshotBody&) {}));
  EXPECT_TRUE(accepts([](SnapshotBody& body) { body.name = "monday"; }));
  for (const std::string& name :
       {std::string(".."), std::string("a/b"), std::string("a\0b", 3), std::string(256, 'a')}) {
    EXPECT_FALSE(accepts([&](SnapshotBody& body) { body.name = name; })) << name;
    EXPECT_FALSE(accepts([&](SnapshotBody& body) { body.trees[1].set_name = name; })) << name;
  }
  EXPECT_FALSE(accepts([](SnapshotBody& body) { body.trees[1].set_name.clear(); }));
  EXPECT_FALSE(accepts([](SnapshotBody& body) { body.trees[0].set_name = "root"; }));
  EXPECT_FALSE(accepts([](SnapshotBody& body) { std::swap(body.trees[1], body.trees[2]); }));
  EXPECT_FALSE(accepts([](SnapshotBody& body) { body.trees[2].set = body.trees[1].set; }));
}

TEST(SnapshotFormat, RefusesNumbersThatLeaveNoneToGive) {
  const auto accepts = [](uint64_t next_number) {
    SnapshotBody body;
    body.trees = {tree_of(same_bytes<SetId>(4), "web01")};
    body.trees[0].next_number = next_number;
    return decode_snapshot_body(encode_snapshot_body(body)).ok();
  };
  EXPECT_TRUE(accepts(2));
  EXPECT_TRUE(accepts(uint64_t{1} << 39));
  // A number that wraps round would be given a second time.
  for (const uint64_t number : {uint64_t{0}, uint64_t{1}, (uint64_t{1} << 39) + 1, UINT64_MAX}) {
    EXPECT_FALSE(accepts(number)) << number;
  }
}

/// Every truncation of `bytes` is refused, and no single-byte change over-reads (the sanitizers
/// watch).
template <typename Decode>
void expect_robust(const Bytes& bytes, const Decode& decode) {
  for (size_t length = 0; length < bytes.size(); length++) {
    EXPECT_FALSE(decode(ByteView(bytes).first(length))) << length;
  }
  for (size_t i = 0; i < bytes.size(); i++) {
    for (const int value : {0x00, 0x7f, 0x80, 0xff}) {
      Bytes changed = bytes;
      changed[i] = static_cast<uint8_t>(value);
      decode(changed);
    }
  }
}

TEST(SnapshotFormat, ComesBack) {
  SnapshotBody body;
  body.name = "monday";
  body.trees.push_back(tree_of({}, ""));
  body.trees.push_back(tree_of(same_bytes<SetId>(4), "web01"));
  body.trees[1].links = TreeRef{same_bytes<ChunkId>(6), ChunkPlace{same_bytes<PackId>(7), 3}};
  body.trees[0].top.below.reset();
  const Bytes bytes = encode_snapshot_body(body);
  auto decoded = decode_snapshot_body(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->name, "monday");
  ASSERT_EQ(decoded->trees.size(), 2u);
  EXPECT_FALSE(decoded->trees[0].top.below);
  EXPECT_FALSE(decoded->trees[0].links);
  const SnapshotTree& web = decoded->trees[1];
  EXPECT_EQ(web.set, same_bytes<SetId>(4));
  EXPECT_EQ(web.set_name, "web01");
  EXPECT_EQ(web.next_number, 77u);
  EXPECT_EQ(web.links->id, same_bytes<ChunkId>(6));
  EXPECT_EQ(web.links->hint->segment, 3u);
  EXPECT_EQ(web.top.below->id, same_bytes<ChunkId>(9));
  EXPECT_EQ(web.top.below->hint->pack, same_bytes<PackId>(8));
  EXPECT_EQ(web.top.inode.permissions, 0755);
  expect_robust(bytes, [](ByteView b) { return decode_snapshot_body(b).ok(); });
}

TEST(SnapshotFormat, HeaderIsFixed) {
  const SnapshotHeader header{same_bytes<SetId>(4), SnapshotClass::kSet, same_bytes<FileHash>(5)};
  const Bytes bytes = encode_snapshot_header(header);
  EXPECT_EQ(bytes.size(), 56u);
  auto decoded = decode_snapshot_header(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->set, header.set);
  EXPECT_EQ(decoded->list, header.list);
  expect_robust(bytes, [](ByteView b) { return decode_snapshot_header(b).ok(); });
}

TEST(ListFormat, BothKindsComeBack) {
  PackList list;
  list.depth = 3;
  list.bases = {same_bytes<FileHash>(1), same_bytes<FileHash>(2)};
  list.rows = {pack_info(1), pack_info(2)};
  Bytes bytes = encode_pack_list(list);
  auto decoded = decode_pack_list(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_FALSE(decoded->exact);
  EXPECT_EQ(decoded->depth, 3);
  EXPECT_EQ(decoded->bases, list.bases);
  EXPECT_EQ(decoded->rows, list.rows);
  expect_robust(bytes, [](ByteView b) { return decode_pack_list(b).ok(); });

  list.exact = true;
  list.snapshots = {same_bytes<FileHash>(7), same_bytes<FileHash>(8)};
  list.needed_by = {{{0, 2}}, {{1, 1}}};
  bytes = encode_pack_list(list);
  decoded = decode_pack_list(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->snapshots, list.snapshots);
  EXPECT_EQ(decoded->needed_by, list.needed_by);
  expect_robust(bytes, [](ByteView b) { return decode_pack_list(b).ok(); });

  list.needed_by[1] = {{2, 1}};  // beyond the snapshots
  EXPECT_FALSE(decode_pack_list(encode_pack_list(list)).ok());
}

TEST(RecordFormat, StatementsComeBackWithAndWithoutKeys) {
  const std::vector<Statement> statements{
      drop_statement(same_bytes<FileHash>(1), same_bytes<ReplicaId>(2)),
      policy_statement(same_bytes<SetId>(3), R"({"keep": 7})"),
      lock_statement(same_bytes<FileHash>(4), 99),
  };
  const auto [readable, sealed] = encode_statements(statements);
  auto opened = decode_statements(readable, sealed);
  ASSERT_TRUE(opened.ok());
  ASSERT_EQ(opened->size(), 3u);
  EXPECT_EQ((*opened)[0].readable, statements[0].readable);
  EXPECT_EQ((*opened)[1].sealed, statements[1].sealed);
  EXPECT_EQ(*lock_until((*opened)[2]), 99);
  auto closed = decode_statements(readable, {});
  ASSERT_TRUE(closed.ok());
  EXPECT_TRUE((*closed)[1].sealed.empty());
  expect_robust(readable, [](ByteView b) { return decode_statements(b, {}).ok(); });
}

TEST(RecordFormat, BaseComesBack) {
  BaseRecord base;
  base.heads = {{same_bytes<WriterId>(1), 5, same_bytes<FileHash>(2)}};
  base.snapshots.push_back({same_bytes<FileHash>(3),
                            same_bytes<WriterId>(1),
                            4,
                            123,
                            {same_bytes<SetId>(6), SnapshotClass::kSet, same_bytes<FileHash>(7)},
                            "web01",
                            "monday"});
  base.statements.push_back(
      {same_bytes<WriterId>(1), 3, policy_statement(same_bytes<SetId>(3), "{}")});
  const Statement statement = encode_base(base);
  auto decoded = decode_base(statement);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->heads[0].hash, same_bytes<FileHash>(2));
  EXPECT_EQ(decoded->snapshots[0].set_name, "web01");
  EXPECT_EQ(decoded->snapshots[0].name, "monday");
  EXPECT_EQ(decoded->snapshots[0].header.list, same_bytes<FileHash>(7));
  EXPECT_EQ(decoded->statements[0].statement.sealed, Bytes({'{', '}'}));
  expect_robust(statement.readable, [&](ByteView b) {
    return decode_base({StatementType::kBase, Bytes(b.begin(), b.end()), statement.sealed}).ok();
  });
}

}  // namespace
}  // namespace varve
