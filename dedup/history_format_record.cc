// Records: statements, and the base that sums them up.

#include "dedup/history_format.h"
#include "dedup/history_format_fields.h"

namespace varve {
namespace {

constexpr uint8_t kStatementTypeMax = 9;

void encode_statement_head(Encoder& out, const Statement& statement) {
  out.u8(static_cast<uint8_t>(statement.type)).zeros(3);
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
  in.zeros(3);
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

BaseRecord::Snapshot decode_base_snapshot(Decoder& in, Decoder& closed, bool opened) {
  BaseRecord::Snapshot snapshot;
  snapshot.hash = in.id<FileHash>();
  snapshot.writer = in.id<WriterId>();
  snapshot.sequence = decode_sequence(in);
  snapshot.time = in.i64();
  snapshot.header = decode_snapshot_header_fields(in);
  if (opened) {
    snapshot.set_name = closed.text();
    snapshot.name = closed.text();
  }
  return snapshot;
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
