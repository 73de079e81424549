// What every use of LMDB needs: its answers as errors, and views' transactions that are used again.
#pragma once

#include <lmdb.h>

#include <cerrno>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string_view>
#include <vector>

#include "dedup/base/bus_guard.h"
#include "dedup/base/result.h"

namespace varve {

/// `code` is not 0.
Error lmdb_error(int code, std::string_view what);

/// LMDB's answer, or EIO where the disk did not give a page of the map.
template <typename Call>
int guarded_lmdb(const Call& call) {
  int code = EIO;
  return survives_bus_error([&] { code = call(); }) ? code : EIO;
}

/// Read transactions that are reset keep their reader slot, so that renewing one takes no lock in
/// the file. Any thread.
class ReadTransactions {
 public:
  explicit ReadTransactions(MDB_env* environment) : environment_(environment) {}
  ~ReadTransactions();
  ReadTransactions(const ReadTransactions&) = delete;
  ReadTransactions& operator=(const ReadTransactions&) = delete;

  /// To be given back. Waits while the database grows.
  Result<MDB_txn*> take();
  void give_back(MDB_txn* transaction);
  /// Runs `change` while none is taken and none can be; kBusy if some stay taken for ten seconds.
  Result<void> while_none(const std::function<int()>& change);

 private:
  void leave(MDB_txn* transaction);

  MDB_env* const environment_;
  std::mutex mutex_;
  std::condition_variable may_open_, all_closed_;
  std::vector<MDB_txn*> idle_;
  size_t open_ = 0;
  bool growing_ = false;
};

}  // namespace varve
