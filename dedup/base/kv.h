// An ordered map of byte strings that changes by atomic, durable batches and is read through
// consistent views.
//
// Keys are 1 to 511 bytes, but not the byte 0 alone; order is that of memcmp. Real (LmdbKv) and
// simulated (tests) ones pass one contract suite. A view sees what was committed when it was opened
// and nothing later; hold it briefly, for a long one makes the file grow. Views may be used from
// any thread, one thread at a time.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "dedup/base/result.h"

namespace varve {

/// What a commit changes: a value to store, or nothing to erase the key. Sorted, because a B+tree
/// takes sorted batches several times faster.
using KvBatch = std::map<std::string, std::optional<std::string>, std::less<>>;

constexpr size_t kKvKeyBytesMax = 511;
/// An implementation's own.
constexpr std::string_view kKvReservedKey("\0", 1);

inline bool is_kv_key(std::string_view key) {
  return !key.empty() && key.size() <= kKvKeyBytesMax && key != kKvReservedKey;
}
inline Error invalid_kv_key() {
  return Error(Errc::kInvalid, "a key must have 1 to 511 bytes, not the byte 0 alone");
}

class KvCursor {
 public:
  virtual ~KvCursor() = default;
  /// Moves to the first key that is >= `key`.
  virtual Result<void> seek(std::string_view key) = 0;
  virtual Result<void> next() = 0;
  /// False past the last key. key() and value() may be called only while it is true; they stay
  /// valid until the cursor moves.
  virtual bool valid() const = 0;
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
};

class KvView {
 public:
  virtual ~KvView() = default;
  /// The value, valid as long as the view; nullopt if there is none.
  virtual Result<std::optional<std::string_view>> get(std::string_view key) = 0;
  /// Cursors must not outlive the view.
  virtual Result<std::unique_ptr<KvCursor>> cursor() = 0;
};

class Kv {
 public:
  virtual ~Kv() = default;
  virtual Result<std::unique_ptr<KvView>> view() = 0;
  /// All of `batch` or nothing, durable on return. One caller at a time.
  virtual Result<void> commit(const KvBatch& batch) = 0;
};

}  // namespace varve
