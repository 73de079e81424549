// Copying chosen files of a store to another place, verified, without a ledger: for drives.
//
// Class by class in the order of publishing, several files of a class at once. Each arrives as a
// shipment (shipment.h): hashed as it is read, whole and durable before it has its name; one that
// is there with its length counts. What is damaged is left out and named.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dedup/store_config.h"
#include "replicator/shipment.h"

namespace varve {

struct TransferFigures {
  uint64_t files_copied = 0, bytes_copied = 0;
  uint64_t files_were_there = 0;
  uint64_t snapshots_expired = 0;     // left out, because they have expired there
  uint64_t snapshots_waiting = 0;     // left out, because they would not be whole there
  std::vector<std::string> problems;  // one line a file that was not copied
};
/// Told as files are done, from any thread, one call at a time.
using TransferProgress = std::function<void(const TransferFigures&)>;

/// Whose temporary names they are, where files come from that directory (an absolute path): no two
/// sources write one temporary file.
std::string sender_of_source(const std::string& directory);

enum class TransferRule {
  kWhatIsThereCounts,  // with its length
  kReplace,            // whatever is there: it is known to be damaged
};

/// Copies `files` (any order). An error is the destination's; what came before it stays.
Result<void> transfer(const Shipment::Route& route, std::vector<StoreFile> files,
                      TransferFigures& figures, const TransferProgress& progress,
                      TransferRule rule = TransferRule::kWhatIsThereCounts);

/// Brings what a drive (or any directory with files of this store, any part of them) has and `to`
/// lacks into `to`. A snapshot comes in when it is whole in `to` then; others wait for the drives
/// that have the rest. Checkpoints that are superseded stay behind. kForeign if `from` is of
/// another store.
Result<TransferFigures> absorb(Storage& from, Storage& to, const std::string& sender,
                               const TransferProgress& progress);

/// Copies to `to` what the store `from` has and `is_there` (at a remote) says is not there.
/// Checkpoints that are superseded stay. `to` is empty, or has files of this store.
Result<TransferFigures> carry(Storage& from, Storage& to, const StoreConfig& config,
                              const std::string& sender,
                              const std::function<bool(const StoreFile&)>& is_there,
                              const TransferProgress& progress);

}  // namespace varve
