// Merkle trees of sorted records: written in one pass, read by key or in order.
//
// Writing cuts objects at places that the keys choose, so that equal content gives equal objects
// and a small change gives few new ones.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "catalog/tree_format.h"
#include "dedup/fetch.h"
#include "dedup/ingest.h"

namespace varve {

/// A record's key and value together; what is larger (megabytes of extended attributes) fits no
/// object and is refused with kTooLarge.
inline constexpr size_t kRecordBytesMax = size_t{576} * 1024;

/// Puts objects into catalog packs. One thread. After an error the writer is of no more use.
class TreeWriter {
 public:
  TreeWriter(Ingest& ingest, ChunkIndex& index, TreeKind kind);
  ~TreeWriter();
  TreeWriter(TreeWriter&&) noexcept;
  TreeWriter& operator=(TreeWriter&&) noexcept;

  /// Every id that an object names, with its place if that is known, and the objects themselves:
  /// what the snapshot's packs are looked up by. Called for objects that were stored before, too.
  using References = std::function<void(const ChunkId&, const std::optional<ChunkPlace>&)>;
  void on_reference(References callback);

  /// Keys ascend strictly, else kInvalid. Hints of references that are missing are filled in from
  /// the index.
  Result<void> add(TreeRecord record);
  /// The root; nullopt for a tree without records. Its hint is unset until the catalog pack is
  /// written (TreeRef::hint is optional).
  Result<std::optional<TreeRef>> finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads objects through Fetch and keeps some of them decoded. Any thread; copies share what is
/// kept.
class TreeReader {
 public:
  /// kSameSegment: what an object names without a hint is looked for beside it first, as it was
  /// often written; for who reads and writes nothing of what the hints say.
  enum class WithoutHint { kIndex, kSameSegment };
  explicit TreeReader(Fetch& fetch, size_t cache_bytes = kTreeCacheBytes,
                      WithoutHint without_hint = WithoutHint::kIndex);

  using Object = std::shared_ptr<const TreeObject>;
  Result<Object> object(const TreeRef& ref);
  /// The record with that key; nullopt if there is none.
  Result<std::optional<TreeRecord>> find(const TreeRef& root, std::string_view key);
  /// Records with keys >= `from` in order, until `visit` gives false.
  Result<void> scan(const TreeRef& root, std::string_view from,
                    const std::function<Result<bool>(const TreeRecord&)>& visit);
  /// The last record with a key <= `key`; nullopt if there is none.
  Result<std::optional<TreeRecord>> find_at_or_before(const TreeRef& root, std::string_view key);
  /// Records below the root.
  Result<uint64_t> count(const TreeRef& root);

  static constexpr size_t kTreeCacheBytes = 8u << 20;

 private:
  struct Cache;
  Result<Object> child(const TreeObject& parent, size_t branch);
  Result<Object> leaf(const TreeRef& root, std::string_view key);

  Fetch* fetch_;
  std::shared_ptr<Cache> cache_;
  WithoutHint without_hint_;
};

}  // namespace varve
