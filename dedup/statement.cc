#include "dedup/statement.h"

#include "dedup/hold_format.h"

namespace varve {

namespace {

std::string subject(char group, ByteView first, ByteView second = {}) {
  std::string key(1, group);
  return key.append(as_text(first)).append(as_text(second));
}

struct Form {
  char group;
  size_t size;  // of the readable part
};

/// Zero for types whose size is not fixed.
Form form_of(StatementType type) {
  switch (type) {
    case StatementType::kDrop:
    case StatementType::kUndrop:
      return {'d', 48};
    case StatementType::kForget:
      return {'f', 32};
    case StatementType::kLock:
      return {'l', 40};
    case StatementType::kPolicy:
      return {'p', 16};
    case StatementType::kLabels:
      return {'b', 32};
    case StatementType::kPromotion:
      return {'m', 48};
    case StatementType::kHold:
    case StatementType::kBase:
      break;
  }
  return {'?', 0};
}

}  // namespace

Statement drop_statement(const FileHash& snapshot, const ReplicaId& replica) {
  Encoder out;
  out.id(snapshot).id(replica);
  return {StatementType::kDrop, out.take(), {}};
}

Statement lock_statement(const FileHash& snapshot, int64_t until_seconds) {
  Encoder out;
  out.id(snapshot).i64(until_seconds);
  return {StatementType::kLock, out.take(), {}};
}

Statement policy_statement(const SetId& set, std::string_view json) {
  Encoder out;
  out.id(set);
  const ByteView bytes = as_bytes(json);
  return {StatementType::kPolicy, out.take(), Bytes(bytes.begin(), bytes.end())};
}

Result<std::string> subject_of(const Statement& statement) {
  const ByteView readable = statement.readable;
  if (statement.type == StatementType::kHold)
    return subject('h', VARVE_TRY(decode_hold(statement)).id.view());
  if (statement.type == StatementType::kBase) return Errc::kInvalid;
  const Form form = form_of(statement.type);
  if (readable.size() != form.size) {
    return Error(Errc::kCorrupt, "has a statement of a wrong length");
  }
  if (statement.type == StatementType::kLock) return subject(form.group, readable.first(32));
  if (statement.type == StatementType::kPromotion) {
    return subject(form.group, readable.first(16), readable.subspan(32));
  }
  return subject(form.group, readable);
}

std::string drop_subject(const FileHash& snapshot, const ReplicaId& replica) {
  return subject('d', snapshot.view(), replica.view());
}

std::string forget_subject(const FileHash& snapshot) {
  return subject('f', snapshot.view());
}

std::string lock_subject(const FileHash& snapshot) {
  return subject('l', snapshot.view());
}

std::string policy_subject(const SetId& set) {
  return subject('p', set.view());
}

bool outranks(const BaseRecord::InForce& one, const BaseRecord::InForce& other) {
  if (one.statement.type == StatementType::kLock && other.statement.type == StatementType::kLock) {
    const Result<int64_t> until = lock_until(one.statement), before = lock_until(other.statement);
    if (until.ok() && before.ok() && *until != *before) return *until > *before;
  }
  return std::pair(one.sequence, one.writer) > std::pair(other.sequence, other.writer);
}

Result<int64_t> lock_until(const Statement& lock) {
  Decoder in(lock.readable);
  in.raw(FileHash::kSize);
  const int64_t until = in.i64();
  VARVE_TRY(in.finish("a lock"));
  return until;
}

}  // namespace varve
