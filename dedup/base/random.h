// Unpredictable bytes come in through the constructor, so that a simulation can replay them.
#pragma once

#include "dedup/base/bytes.h"
#include "dedup/base/id.h"

namespace varve {

class Random {
 public:
  virtual ~Random() = default;
  /// Fills `out` with bytes fit for keys. Any thread. Ends the program if the system has none to
  /// give.
  virtual void fill(ByteSpan out) = 0;

  template <typename IdType>
  IdType id() {
    IdType result;
    fill(result.bytes);
    return result;
  }
};

/// The system's generator; lives for ever.
Random& system_random();

}  // namespace varve
