// All packs of a store that are here: sealed ones by name, and those in writing; found by pack id.
//
// Any thread. What a pack says is checked before it is believed: segments are authenticated, and
// chunks are found by ids that are computed from their bytes. A pack that is missing, torn or
// damaged is read from elsewhere, if there is such a place, which is said once a pack; else it is
// reported once, with its pack id and file, and gives kCorrupt.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "dedup/base/metrics.h"
#include "dedup/base/random.h"
#include "dedup/base/storage.h"
#include "dedup/decoded_segment.h"
#include "dedup/elsewhere.h"
#include "dedup/hasher.h"
#include "dedup/keyring.h"
#include "dedup/pack_format.h"

namespace varve {

/// How far a read goes.
enum class Reach {
  kAnywhere,
  kHere,  // for who must not wait for a remote: what is only there is kIo
};

struct SegmentRead {
  Naming naming = Naming::kAtOnce;
  Reach reach = Reach::kAnywhere;
};

class PackStore {
 public:
  PackStore(Storage& storage, const Keyring& keyring, Random& random, WriterId writer,
            Metrics& metrics);
  ~PackStore();

  /// Tells of a sealed pack that is here (from the working copy's table, a list, or a listing).
  void add(const PackInfo& info);
  void remove(const PackId& pack);
  std::optional<PackInfo> find(const PackId& pack) const;
  /// Asked for a pack that is not known before it counts as unknown; it tells of what it finds by
  /// add(), and its error is the read's. Set before anything is read.
  using Finder = std::function<Result<void>(const PackId&)>;
  void ask(Finder finder);
  std::vector<PackInfo> sealed_packs() const;

  /// What is missing or damaged here is read from there, and `wanted` is told of it, from any
  /// thread, for who can put it back in its place; without `wanted` only what a remote holds is
  /// read there. Set before anything is read; `elsewhere` must outlive this.
  using Wanted = std::function<void(const PackInfo&)>;
  void look_elsewhere(Elsewhere* elsewhere, Wanted wanted);
  /// Whether there is such a place.
  bool looks_elsewhere() const;
  /// Packs that a remote is to keep: one of them that is missing here is evicted, not lost. It is
  /// read from elsewhere, nobody says so, and it is not wanted back.
  void hold(const std::vector<PackInfo>& packs);
  bool is_held(const PackId& pack) const;
  /// Tells of a held pack that is not here.
  void evicted(const PackInfo& info);
  /// Those that were told of, or met.
  std::vector<PackInfo> evicted_packs() const;
  /// Removes a held pack's file; the folder is synced by the caller, once for many.
  Result<void> evict(const PackInfo& info);
  /// The pack is in its place again, and whole.
  void mended(const PackInfo& info);
  /// Lets go of what was opened elsewhere, if it was not used since the last call.
  void rest();

  /// Reads, opens, decodes and checks one segment of a sealed pack or of one in writing. kNotFound,
  /// and no line in the log, if the pack is not known or has no such segment: a stale hint. kIo
  /// where a place that may have it does not answer. Chunks that are named as they are looked for
  /// must be so while this lives.
  Result<std::shared_ptr<const DecodedSegment>> read_segment(const PackId& pack, uint32_t segment,
                                                             const SegmentRead& how = {});
  /// Tells of a pack that is not here, and may be elsewhere.
  void lost(const PackInfo& info);
  /// Whether the pack was met missing here: what lies in it is not to be referred to by new data.
  bool is_lost(const PackId& pack) const;
  /// Whether the storage says that the pack's file is not there; then, once it is there again,
  /// take_returned gives it.
  bool is_missing(const PackId& pack);
  std::vector<PackInfo> take_returned();
  /// The sealed index from the pack's end.
  Result<PackIndex> read_index(const PackId& pack);
  /// The same; where that is damaged, what its segments hold that can be read: for finding chunks.
  Result<PackIndex> readable_index(const PackId& pack);

  /// The files under packs/ and catalog/ whose names are well-formed, with header and length as
  /// found; their bytes are not hashed.
  Result<std::vector<PackInfo>> list_files();
  /// The same, of those alone that were not told of: known ones are not looked at.
  struct Stranger {
    PackInfo info;
    WriterId writer;
  };
  Result<std::vector<Stranger>> list_strangers();
  /// Reads all of the file; kCorrupt if its bytes do not hash to its name.
  Result<void> check_hash(const PackInfo& info);
  /// Removes the file of a pack that nothing refers to.
  Result<void> remove_file(const PackInfo& info);

  // Writing; used by Ingest alone.

  /// A new pack in local/open/, its header synced, its name too. One writer at a time per pack.
  class Writer;
  Result<std::unique_ptr<Writer>> create(PackClass pack_class);

  struct Recovered {
    PackInfo info;
    PackIndex index;
  };
  /// After a crash: authenticates local/open/<pack> from the front. What is whole is kept, the rest
  /// behind `committed_length` cut off, index and trailer are written, and the pack is sealed.
  /// Damage below `committed_length` is logged and stays in its place as segments that do not open,
  /// each of one chunk that nothing asks for; segments behind it that can be found are kept. A pack
  /// with no segment is removed: nullopt. kNotFound if there is no such file: then it was sealed
  /// before the crash, and list_strangers finds it. kCorrupt if not even the header is whole; the
  /// file stays. kNoSpace: the pack is readable, and waits in local/open/ for finish_waiting.
  Result<std::optional<Recovered>> recover(const PackId& pack, uint64_t committed_length);
  /// What is in a pack that recover has left waiting; nullopt if it does not wait.
  std::optional<PackIndex> waiting_index(const PackId& pack) const;
  /// Seals the packs that wait, as far as there is space; `sealed` is told of each. One thread at a
  /// time.
  Result<void> finish_waiting(const std::function<void(Recovered)>& sealed);
  /// The packs found in local/open/.
  Result<std::vector<PackId>> list_open();
  Result<void> remove_open(const PackId& pack);

  struct State;  // shared by the parts of the implementation alone

 private:
  std::unique_ptr<State> state_;
};

/// A segment that is compressed and waits for its place.
struct PreparedSegment {
  SegmentType type = SegmentType::kChunks;
  Codec codec = Codec::kStored;
  uint32_t raw_length = 0;
  std::vector<IndexedChunk> chunks;
  ByteView payload;  // encoded by codec; stays the caller's
};

class PackStore::Writer {
 public:
  virtual ~Writer() = default;
  virtual const PackId& pack() const = 0;
  virtual PackClass pack_class() const = 0;
  /// Whether one more segment of that many payload bytes and chunks leaves room for index and
  /// trailer in kPackBytes.
  virtual bool fits(size_t payload_bytes, size_t chunks) const = 0;
  /// Seals and writes; returns the segment's ordinal. Readable at once through read_segment. After
  /// kNoSpace append the same segment again, or none: its bytes are sealed already, and wait.
  virtual Result<uint32_t> append(const PreparedSegment& segment) = 0;
  /// Durable up to the returned length. May run beside append and finish; these two are one
  /// thread's at a time.
  virtual Result<uint64_t> sync() = 0;
  /// Index, trailer, padding (to kPackBytes if `full`, else Padmé), SHA-256, sync, rename,
  /// directory sync; then known as sealed. After kNoSpace call it again; after any other error the
  /// pack is left to recovery.
  virtual Result<Recovered> finish(bool full) = 0;
};

}  // namespace varve
