// Other places that may hold a store's packs: what is missing or damaged here is read from there.
//
// The pack store knows that there are such places, and nothing of what they are: fs/remote_places.h
// makes them of the store's remotes. What comes from there is checked as what is here is.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "dedup/base/storage.h"
#include "dedup/pack_format.h"

namespace varve {

class Elsewhere {
 public:
  /// A store's files at another place. Whoever keeps what was opened there keeps `files` too.
  struct Place {
    std::string name;  // for people
    std::shared_ptr<Storage> files;
  };
  using Read = std::function<Result<void>(const Place&)>;

  virtual ~Elsewhere() = default;

  /// Calls `read` with one place after the other until it succeeds. Ends in bounded time, whatever
  /// hangs. kIo if a place that may have the pack did not answer: who asks again joins what is
  /// under way. kNotFound if no place has it, kCorrupt if none has it whole. What `read` fails with
  /// for reasons of its own, kNoSpace or kInterrupted, is the outcome at once. Any thread, and none
  /// that holds a lock that others need.
  virtual Result<void> ask(const PackInfo& pack, const Read& read) = 0;
  /// Whether there is any place to ask, as far as is known.
  virtual bool has_places() = 0;
  /// From now on every ask, also one that waits, is kIo: for an end that waits for nobody.
  virtual void stop() = 0;
  /// Called now and then: lets go of what was not used for a while, and looks for new places.
  virtual void rest() = 0;
};

}  // namespace varve
