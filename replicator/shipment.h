// One file on its way to another place: a state machine, so that a simulation can stop it anywhere.
//
//   look -> prepare -> [ read block -> write pieces -> sync -> note ] ... -> seal -> rename -> name
//   durable -> done
//             \-> it was there                                         \-> the source is damaged:
//             taken back
//
// 1. The file has its final name there only when all its bytes are durable there, hash to that name
// and
//    have its length. It is written under a temporary name beside it that the sender's id is part
//    of.
// 2. Blocks (4 MiB) are synced and then noted in the ledger, with a checksum of what
// was
//    sent. A shipment that finds its temporary file goes on behind the blocks that were noted and
//    that the source's bytes, read again, still fit: bytes that were damaged on their way in an
//    earlier run are never under a final name.
// 3. The source's bytes are hashed as they are sent; what does not hash to the name is not renamed.
//
// One thread at a time; the ledger and both storages may be shared.
#pragma once

#include <optional>
#include <string>

#include "dedup/base/checksum.h"
#include "dedup/base/limits.h"
#include "dedup/store_files.h"
#include "replicator/ledger.h"

namespace varve {

inline constexpr size_t kResumeBlockBytes = 4 * kMiB;
inline constexpr size_t kShipmentWriteBytes = 1 * kMiB;

/// Where the file is made before it has its name.
std::string shipment_temporary_path(const StoreFile& file, const std::string& sender);

class Shipment {
 public:
  enum class Outcome {
    kSent,
    kWasThere,       // with its name and length
    kNotThere,       // and it goes only if it is (Look::kMustBeThere)
    kSourceGone,     // removed since it was listed
    kSourceDamaged,  // or unreadable: problem() says how
  };
  struct Route {
    Storage& from;
    Storage& to;
    std::string sender;                   // a part of the temporary names
    ReplicationLedger* ledger = nullptr;  // nullptr: an interrupted file starts anew
    size_t block_bytes = kResumeBlockBytes;
    size_t write_bytes = kShipmentWriteBytes;
    ReplicaId replica = {};  // that `to` is, where holds at it matter
  };

  enum class Look {
    kNone,         // it is not there
    kFirst,        // it may be
    kMustBeThere,  // under its name; what has another length is replaced, and what is not there not
                   // sent
  };

  /// The folder of the file must be there at `route.to`.
  Shipment(const Route& route, const StoreFile& file, Look look);

  /// Does the next bit of work: at most one read of a block, one write, one sync, or one change of
  /// a name. The outcome when all is done. An error is the destination's (or the ledger's); the
  /// shipment is over then, and a later one goes on where it stopped.
  Result<std::optional<Outcome>> step();

  const StoreFile& file() const { return file_; }
  /// Bytes of the file; known once it is being sent or was there.
  uint64_t length() const { return length_; }
  /// Bytes that the next step writes to the destination; 0 if it writes none.
  uint64_t next_write() const {
    if (state_ != State::kWrite) return 0;
    return std::min(route_.write_bytes, block_used_ - block_done_);
  }
  /// Bytes written to the destination so far.
  uint64_t written() const { return written_; }
  const std::string& problem() const { return problem_; }

 private:
  enum class State {
    kLook,
    kPrepare,
    kRead,
    kWrite,
    kSync,
    kSeal,
    kTakeBack,
    kRename,
    kName,
    kDone
  };

  Result<std::optional<Outcome>> look();
  Result<std::optional<Outcome>> prepare();
  Result<std::optional<Outcome>> read_block();
  Result<void> write_piece();
  Result<void> sync_block();
  Result<void> seal();
  Result<void> take_back();
  Result<void> rename();
  Result<Outcome> name();
  std::optional<Outcome> source_failed(const Error& error);
  bool was_noted(uint64_t checksum);

  const Route route_;
  const StoreFile file_;
  const std::string path_, temporary_;
  const Look look_;
  State state_;
  Outcome outcome_ = Outcome::kSent;
  std::unique_ptr<StorageFile> source_, target_;
  ReplicationLedger::Blocks noted_;
  Sha256 hash_;
  Buffer block_;
  size_t block_used_ = 0, block_done_ = 0;
  uint64_t block_start_ = 0;
  uint64_t length_ = 0, written_ = 0, target_length_ = 0;
  bool temporary_durable_ = false;  // its name
  std::string problem_;
};

}  // namespace varve
