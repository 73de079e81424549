// Fields that more than one of history's files has. A field that makes no sense fails the decoder.
#pragma once

#include "dedup/history_format.h"

namespace varve {

/// In every envelope, and of every writer in a base record.
uint64_t decode_sequence(Decoder& in);
/// A snapshot's readable part, which a base record repeats.
SnapshotHeader decode_snapshot_header_fields(Decoder& in);

}  // namespace varve
