// HMAC-SHA-256 of many messages side by side: one message in each lane of the processor's vector
// registers (S. Gueron, V. Krasnov, "Simultaneous Hashing of Multiple Messages", 2012), by Intel's
// multi-buffer library where the build has it. The codes are the same as one by one.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "dedup/base/id.h"
#include "dedup/base/secret.h"

namespace varve {

/// Any thread.
class HmacLanes {
 public:
  /// Of messages up to this length.
  static constexpr size_t kMessageBytesMax = 65'000;
  /// Fewer messages than this are done as soon one by one.
  static constexpr size_t kMessagesMin = 12;

  /// nullptr where the build has no such library, the processor no such registers, or a code is not
  /// what `one_by_one` says, which knows the key too: a chunk under a wrong id would never be
  /// found.
  static std::unique_ptr<HmacLanes> make(const Secret& key,
                                         const std::function<ChunkId(ByteView)>& one_by_one);
  ~HmacLanes();

  struct Job {
    ByteView message;
    ChunkId* code;  // becomes the message's
  };
  void run(std::span<const Job> jobs) const;

 private:
  struct State;
  explicit HmacLanes(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace varve
