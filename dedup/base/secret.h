// Memory for keys: locked against swapping, left out of core files, wiped when it goes.
#pragma once

#include "dedup/base/bytes.h"
#include "dedup/base/result.h"

namespace varve {

/// A fixed number of secret bytes, zero at first. Move-only. Locking is best effort
/// (RLIMIT_MEMLOCK); wiping is not.
class Secret {
 public:
  Secret() = default;
  explicit Secret(size_t size);
  ~Secret();
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

  static Secret copy_of(ByteView bytes);

  ByteSpan span() { return {memory_, size_}; }
  ByteView view() const { return {memory_, size_}; }
  size_t size() const { return size_; }

 private:
  uint8_t* memory_ = nullptr;
  size_t size_ = 0;
};

/// Overwrites memory in a way that the compiler does not remove.
void wipe(ByteSpan memory);

/// Forbids core files and ptrace by others of this process; for programs that hold keys.
void forbid_dumps();

}  // namespace varve
