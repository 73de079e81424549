#include "dedup/base/lmdb_transactions.h"

#include <chrono>
#include <string>

namespace varve {
namespace {

constexpr auto kGrowWait = std::chrono::seconds(10);

}  // namespace

Error lmdb_error(int code, std::string_view what) {
  if (code == EIO) return Error(Errc::kIo, std::string(what) + ": the disk failed");
  if (code > 0) return error_from_errno(code, what);
  Errc kind = Errc::kIo;
  switch (code) {
    case MDB_NOTFOUND:
      kind = Errc::kNotFound;
      break;
    case MDB_READERS_FULL:
      kind = Errc::kBusy;
      break;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
    case MDB_BAD_TXN:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
      kind = Errc::kCorrupt;
      break;
    default:
      break;
  }
  return Error(kind, std::string(what) + ": " + mdb_strerror(code));
}

ReadTransactions::~ReadTransactions() {
  for (MDB_txn* transaction : idle_) mdb_txn_abort(transaction);
}

Result<MDB_txn*> ReadTransactions::take() {
  MDB_txn* transaction = nullptr;
  {
    std::unique_lock lock(mutex_);
    may_open_.wait(lock, [this] { return !growing_; });
    open_++;
    if (!idle_.empty()) {
      transaction = idle_.back();
      idle_.pop_back();
    }
  }
  int code = guarded_lmdb([&] {
    return transaction != nullptr ? mdb_txn_renew(transaction)
                                  : mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &transaction);
  });
  if (code == 0) return transaction;
  if (transaction != nullptr) mdb_txn_abort(transaction);
  leave(nullptr);
  return lmdb_error(code, "opening a view of the database");
}

void ReadTransactions::give_back(MDB_txn* transaction) {
  mdb_txn_reset(transaction);
  leave(transaction);
}

Result<void> ReadTransactions::while_none(const std::function<int()>& change) {
  std::unique_lock lock(mutex_);
  growing_ = true;
  bool none = all_closed_.wait_for(lock, kGrowWait, [this] { return open_ == 0; });
  int code = none ? change() : 0;
  growing_ = false;
  may_open_.notify_all();
  if (!none) return Error(Errc::kBusy, "the database cannot grow while views of it stay open");
  if (code != 0) return lmdb_error(code, "growing the database");
  return {};
}

void ReadTransactions::leave(MDB_txn* transaction) {
  std::lock_guard lock(mutex_);
  if (transaction != nullptr) idle_.push_back(transaction);
  if (--open_ == 0 && growing_) all_closed_.notify_all();
}

}  // namespace varve
