// Bytes in: new chunks go through a bounded pipeline into packs.
//
//   put -> chunk id -> index -- known -> done
//                         `-- new -> segment -> compress (all cores)
//                                 -> seal, append (in order) -> open pack -> sealed pack
//
// put returns as soon as the chunk has an id; the bytes are in memory until they are in a pack, and
// find_pending gives them to readers meanwhile. Nothing that put returned may be referred to by a
// commit before sync has returned. Any thread.
//
// Errors: kNoSpace from the disk is waited out inside (the pipeline stalls, put gives kNoSpace to
// callers, what was accepted is kept); any other failure of a write or sync is final: every later
// call gives the first error.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "dedup/base/executor.h"
#include "dedup/chunk_index.h"
#include "dedup/chunker.h"
#include "dedup/compressor.h"
#include "dedup/pack_store.h"

namespace varve {

/// How far an open pack is durable; stored with the commit that may refer to it.
struct OpenPackLength {
  PackId pack;
  PackClass pack_class = PackClass::kData;
  uint64_t length = 0;
};

/// Full packs that wait for the disk; then appending waits too.
inline constexpr size_t kFinishingPacksMax = 8;

class Ingest {
 public:
  struct Options {
    /// Chunks in memory that are in no pack yet; put blocks above.
    size_t pending_bytes_max = 64u << 20;
    int compression_level = kCompressionLevelDefault;
    Executor* finisher = nullptr;  // brings packs to their end; nullptr: a thread of the Ingest's
  };
  /// `compressors` runs compression; it, and the finisher, must outlive the Ingest.
  Ingest(PackStore& packs, ChunkIndex& index, const Hasher& hasher, Executor& compressors,
         Metrics& metrics, Options options);
  ~Ingest();

  /// Chunks that belong together and shall lie together: one file's, in order. Streams that end
  /// hand their unfinished segment to the next of the same kind, so that small files share
  /// segments. One thread at a time per stream; none may outlive the Ingest.
  class Stream;
  enum class Access {
    kSequential,
    kRandom
  };  // of what comes next much is decoded at once, or little
  std::unique_ptr<Stream> open_stream(SegmentType type, Access access);

  /// The id of `item` (for objects: format.md's coding with canonical part and hints); stored if it
  /// is new. Blocks for back-pressure.
  struct Put {
    ChunkId id;
    size_t length = 0;
    bool is_new = false;
  };
  Result<Put> put(Stream& stream, ByteView item);
  /// Puts the chunk that begins at the front of `window`, which is as Chunker::cut wants it, and
  /// chunks behind it that begin before `begins_before`, as far as the window holds what cutting
  /// them wants: many at once cost less. What follows known data and was there before is not cut
  /// anew: the same cuts come out, for less work. After an error some of them may be stored.
  Result<std::vector<Put>> put_fronts(Stream& stream, ByteView window, const Chunker& chunker,
                                      size_t begins_before = 1);

  /// The bytes of a chunk that is in no pack yet.
  std::optional<Bytes> find_pending(const ChunkId& id);

  /// Everything that was put before is appended to packs (with unfinished segments), so that the
  /// index knows its place. Objects that find no space are left to seal_open, which says so: no
  /// commit refers to them before it.
  Result<void> flush();
  /// flush, then everything appended is durable; the open packs' lengths, to be committed. A pack
  /// may fill up and be sealed meanwhile: one that is here and in take_sealed is sealed.
  Result<std::vector<OpenPackLength>> sync();
  /// flush, then seals the open packs of the class, and those that recovery had no space for; what
  /// was sealed since the last call (full packs included), with indexes.
  Result<std::vector<PackStore::Recovered>> seal_open(PackClass pack_class);
  /// Packs that filled up and were sealed since the last call of this or seal_open; any class.
  std::vector<PackStore::Recovered> take_sealed();

  // For collection (docs/collection.md).

  /// What lies in these packs is stored anew from now on, for they are about to go. Those that went
  /// stay condemned: somebody may have looked them up just before.
  void condemn(const std::vector<PackId>& packs);
  /// These stay after all.
  void pardon(const std::vector<PackId>& packs);
  /// Sealed packs that hold what streams were told is stored, and have not settled.
  std::vector<PackId> relied_on();

  /// Worst case, in bytes, of what is pending and will need space on the disk.
  uint64_t outstanding_bytes() const;

  struct State;  // the implementation's

 private:
  std::unique_ptr<State> state_;
};

class Ingest::Stream {
 public:
  virtual ~Stream() = default;
  /// What was put so far is in the live tree, or will never be referred to. Until then, and as long
  /// as the stream lives, collection leaves the packs of it alone: so references live no longer
  /// than their stream.
  virtual void settle() = 0;
};

}  // namespace varve
