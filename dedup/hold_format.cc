#include "dedup/hold_format.h"

namespace varve {
namespace {

constexpr size_t kHoldZeros = 7;

}  // namespace

Statement encode_hold(const Hold& hold) {
  Encoder out;
  out.id(hold.id).id(hold.replica).u8(hold.held ? 1 : 0).zeros(kHoldZeros);
  out.u32(static_cast<uint32_t>(hold.lists.size()));
  for (const FileHash& list : hold.lists) out.id(list);
  return {StatementType::kHold, out.take(), {}};
}

Result<Hold> decode_hold(const Statement& statement) {
  Decoder in(statement.readable);
  Hold hold;
  hold.id = in.id<HoldId>();
  hold.replica = in.id<ReplicaId>();
  const uint8_t state = in.u8();
  if (state > 1 || statement.type != StatementType::kHold) in.fail();
  hold.held = state == 1;
  in.zeros(kHoldZeros);
  const uint32_t count = in.u32();
  for (uint32_t i = 0; i < count && !in.failed(); i++) hold.lists.push_back(in.id<FileHash>());
  VARVE_TRY(in.finish("a hold"));
  return hold;
}

}  // namespace varve
