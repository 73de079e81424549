// Things that cost much to make and serve one thread at a time: made when none is idle, kept for
// the next who needs one.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

namespace varve {

/// Any thread. Must outlive its leases.
template <typename T>
class IdlePool {
 public:
  /// The thing, until this goes.
  class Lease {
   public:
    Lease(IdlePool& pool, std::unique_ptr<T> thing) : pool_(pool), thing_(std::move(thing)) {}
    ~Lease() {
      std::lock_guard lock(pool_.mutex_);
      pool_.idle_.push_back(std::move(thing_));
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    T& operator*() const { return *thing_; }
    T* operator->() const { return thing_.get(); }

   private:
    IdlePool& pool_;
    std::unique_ptr<T> thing_;
  };

  /// An idle one, or what `make` gives: a std::unique_ptr<T>. It is called without a lock.
  template <typename Make>
  Lease lease(const Make& make) {
    std::unique_ptr<T> thing;
    {
      std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        thing = std::move(idle_.back());
        idle_.pop_back();
      }
    }
    return Lease(*this, thing ? std::move(thing) : make());
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> idle_;
};

}  // namespace varve
