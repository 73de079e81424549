// local/head: who this working copy writes as, and the highest sequence that it gave. Written
// before anything is published, so that a working copy restored from an image meets its own id with
// a sequence that it does not remember, and takes a new one.
#pragma once

#include <optional>
#include <vector>

#include "dedup/base/id.h"
#include "dedup/base/storage.h"

namespace varve {

struct WriterHead {
  WriterId writer;
  uint64_t sequence = 0;            // the highest that was given
  std::vector<WriterId> succeeded;  // whose checkpoints this writer took over
};

/// nullopt if there is none, or none that makes sense (logged).
Result<std::optional<WriterHead>> read_writer_head(Storage& storage);
Result<void> write_writer_head(Storage& storage, const WriterHead& head);

}  // namespace varve
