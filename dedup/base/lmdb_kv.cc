#include "dedup/base/lmdb_kv.h"

#include <lmdb.h>
#include <sys/statvfs.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>

#include "dedup/base/checked_rows.h"
#include "dedup/base/checksum.h"
#include "dedup/base/lmdb_transactions.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kMapBytes = uint64_t{16}
                               << 30;  // sanitizers need most of the address space themselves
#else
constexpr uint64_t kMapBytes = uint64_t{1} << 40;
#endif
constexpr uint64_t kMapBytesMin = uint64_t{1} << 30;
constexpr unsigned kReadersMax = 1024;
constexpr uint64_t kFullBytes = uint64_t{1} << 20;

/// The row that says which transaction wrote the tree; shown to nobody.
constexpr std::string_view kStampKey = kKvReservedKey;

std::string stamp_of(uint64_t transaction) {
  return {reinterpret_cast<const char*>(&transaction), sizeof transaction};
}

MDB_val to_val(std::string_view text) {
  return {text.size(), const_cast<char*>(text.data())};
}

struct EnvironmentCloser {
  void operator()(MDB_env* environment) const { mdb_env_close(environment); }
};
using Environment = std::unique_ptr<MDB_env, EnvironmentCloser>;

class LmdbCursor final : public KvCursor {
 public:
  explicit LmdbCursor(CheckedCursor at) : at_(at) {}

  Result<void> seek(std::string_view key) override {
    if (key.size() > kKvKeyBytesMax) return invalid_kv_key();
    return moved(at_.seek(key));
  }
  Result<void> next() override { return valid_ ? moved(at_.next()) : Result<void>(); }
  bool valid() const override { return valid_; }
  std::string_view key() const override { return at_.key(); }
  std::string_view value() const override { return at_.value(); }

 private:
  Result<void> moved(const Result<bool>& to_row) {
    valid_ = to_row.ok() && *to_row;
    if (!to_row.ok()) return to_row.error();
    return valid_ && at_.key() == kStampKey ? next() : Result<void>();
  }

  CheckedCursor at_;
  bool valid_ = false;
};

class LmdbView final : public KvView {
 public:
  LmdbView(ReadTransactions& pool, MDB_txn* transaction, CheckedCursor at)
      : pool_(pool), transaction_(transaction), at_(at) {}
  ~LmdbView() override { pool_.give_back(transaction_); }
  LmdbView(const LmdbView&) = delete;
  LmdbView& operator=(const LmdbView&) = delete;

  Result<std::optional<std::string_view>> get(std::string_view key) override {
    if (!is_kv_key(key)) return invalid_kv_key();
    const bool found = VARVE_TRY(at_.seek(key));
    if (!found || at_.key() != key) return std::optional<std::string_view>();
    return std::optional<std::string_view>(at_.value());
  }

  Result<std::unique_ptr<KvCursor>> cursor() override {
    return std::unique_ptr<KvCursor>(std::make_unique<LmdbCursor>(at_));
  }

 private:
  ReadTransactions& pool_;
  MDB_txn* const transaction_;
  CheckedCursor at_;
};

class LmdbKv final : public Kv {
 public:
  LmdbKv(Environment environment, MDB_dbi table, const std::string& directory, bool mark_damage)
      : environment_(std::move(environment)),
        table_(table),
        directory_(directory),
        damage_(directory, mark_damage),
        readers_(environment_.get()) {
    MDB_stat statistics{};
    mdb_env_stat(environment_.get(), &statistics);
    page_bytes_ = statistics.ms_psize;
  }

  /// LMDB's code.
  int map_pages() {
    MDB_envinfo info{};
    mdb_env_info(environment_.get(), &info);
    return map_.open(directory_, info.me_mapsize);
  }

  Result<std::unique_ptr<KvView>> view() override {
    // Its meta page is written over by the next but one commit: a view that was begun just before
    // that is begun anew.
    constexpr int kTries = 100;
    for (int i = 0; i < kTries; i++) {
      MDB_txn* transaction = VARVE_TRY(readers_.take());
      LmdbTree tree;
      bool read = false;
      const int code = guarded_lmdb([&] {
        read = LmdbTree::read(map_.data(), page_bytes_, mdb_txn_id(transaction), tree);
        return 0;
      });
      if (code == 0 && read) {
        const CheckedCursor at(tree, map_, checked_, damage_);
        auto view = std::make_unique<LmdbView>(readers_, transaction, at);
        VARVE_TRY(check_stamp(at, tree, mdb_txn_id(transaction)));
        return std::unique_ptr<KvView>(std::move(view));
      }
      readers_.give_back(transaction);
      if (code != 0) return lmdb_error(code, "opening a view of the database");
    }
    return damage_.found("its meta pages");
  }

  Result<void> commit(const KvBatch& batch) override {
    if (broken_) return *broken_;
    for (auto& [key, value] : batch) {
      if (!is_kv_key(key)) return invalid_kv_key();
    }
    VARVE_TRY(check_ways(batch));
    for (;;) {
      // What a page that could not be read left half done is never touched again: that is final.
      int code = 0;
      {
        std::optional<DamageMark::UntilDeath> until_death;
        if (damage_.mark()) until_death.emplace(*damage_.mark());
        code = guarded_lmdb([&] { return try_commit(batch); });
      }
      if (code == 0) return {};
      if (code == MDB_MAP_FULL) {
        VARVE_TRY(grow());
        continue;
      }
      if (code == EIO && disk_is_full()) code = ENOSPC;
      Error error = lmdb_error(code, "committing to the database");
      // What a failed write or sync left behind nobody knows; a full disk is told before anything
      // is referred to.
      if (code != ENOSPC && code != EDQUOT) broken_ = error;
      if (error.code() == Errc::kCorrupt) (void)damage_.found(error.message());
      return error;
    }
  }

 private:
  /// LMDB writes on what it takes for its own pages: those on the way to a row are looked at first.
  Result<void> check_ways(const KvBatch& batch) {
    stamped_ = 0;
    const auto view = this->view();
    if (!view.ok() && view.error().code() == Errc::kBusy) return view.error();
    if (!view.ok()) return broken_.emplace(view.error());
    for (const auto& [key, value] : batch) {
      const auto found = (*view)->get(key);
      if (!found.ok()) return broken_.emplace(found.error());
    }
    return {};
  }

  /// The tree of that transaction, and no other: a bit of a meta page may lead to one of another
  /// time. Looked up once after each commit. A tree that nothing was committed to has no stamp.
  Result<void> check_stamp(CheckedCursor at, const LmdbTree& tree, uint64_t transaction) {
    if (transaction == 0 && tree.depth == 0) return {};
    const std::array<uint64_t, 3> tree_is = {transaction, tree.root, tree.depth};
    const uint64_t sum = xxh3({reinterpret_cast<const uint8_t*>(tree_is.data()), sizeof tree_is});
    if (stamped_ == sum) return {};
    const bool found = VARVE_TRY(at.seek(kStampKey));
    if (!found || at.key() != kStampKey || at.value() != stamp_of(transaction)) {
      return damage_.found("its tree is not that of its last commit");
    }
    stamped_ = sum;
    return {};
  }

  int put(MDB_txn* transaction, std::string_view key_text, std::string_view value_text) {
    put_sum(key_text, value_text, row_);
    MDB_val key = to_val(key_text), value = to_val(row_);
    return mdb_put(transaction, table_, &key, &value, 0);
  }

  int try_commit(const KvBatch& batch) {
    MDB_txn* transaction = nullptr;
    int code = mdb_txn_begin(environment_.get(), nullptr, 0, &transaction);
    if (code != 0) return code;
    stamp_ = stamp_of(mdb_txn_id(transaction));
    code = put(transaction, kStampKey, stamp_);
    if (code != 0) {
      mdb_txn_abort(transaction);
      return code;
    }
    for (auto& [key_text, value_text] : batch) {
      if (value_text) {
        code = put(transaction, key_text, *value_text);
      } else {
        MDB_val key = to_val(key_text);
        code = mdb_del(transaction, table_, &key, nullptr);
        if (code == MDB_NOTFOUND) code = 0;
      }
      if (code != 0) {
        mdb_txn_abort(transaction);
        return code;
      }
    }
    return mdb_txn_commit(transaction);
  }

  /// LMDB says EIO where the last write before the disk was full took a part only.
  bool disk_is_full() const {
    struct statvfs status {};
    if (::statvfs(directory_.c_str(), &status) != 0) return false;
    return status.f_bavail * uint64_t{status.f_frsize} < kFullBytes;
  }

  Result<void> grow() {
    MDB_envinfo info{};
    mdb_env_info(environment_.get(), &info);
    log_info("the database has filled its map and is given twice the room");
    return readers_.while_none([&] {
      const int code = mdb_env_set_mapsize(environment_.get(), 2 * info.me_mapsize);
      return code == 0 ? map_pages() : code;
    });
  }

  const Environment environment_;
  const MDB_dbi table_;
  const std::string directory_;
  uint64_t page_bytes_ = 0;
  PageMap map_;
  CheckedPages checked_;
  DatabaseDamage damage_;
  ReadTransactions readers_;
  std::string row_, stamp_;  // commit's; members: whoever is pulled out of it destroys nothing
  std::atomic<uint64_t> stamped_{0};  // which tree was found to bear its stamp
  std::optional<Error> broken_;
};

/// LMDB's code, and the environment if it is 0. One that failed to open may only be closed.
int open_environment(const std::string& directory, uint64_t map_bytes, Environment& out) {
  MDB_env* raw = nullptr;
  int code = mdb_env_create(&raw);
  if (code != 0) return code;
  Environment environment(raw);
  mdb_env_set_maxreaders(raw, kReadersMax);
  mdb_env_set_mapsize(raw, map_bytes);
  code = mdb_env_open(raw, directory.c_str(), MDB_NOTLS, 0600);
  if (code == 0) out = std::move(environment);
  return code;
}

Result<MDB_dbi> open_table(MDB_env* environment) {
  MDB_txn* transaction = nullptr;
  int code = mdb_txn_begin(environment, nullptr, 0, &transaction);
  if (code != 0) return lmdb_error(code, "opening the database");
  MDB_dbi table = 0;
  code = mdb_dbi_open(transaction, nullptr, 0, &table);
  if (code != 0) {
    mdb_txn_abort(transaction);
    return lmdb_error(code, "opening the database");
  }
  code = mdb_txn_commit(transaction);
  if (code != 0) return lmdb_error(code, "opening the database");
  return table;
}

}  // namespace

Result<std::unique_ptr<Kv>> open_lmdb_kv(const std::string& directory, const LmdbOptions& options) {
  bus_guard::install();
  if (const auto reason = DamageMark(directory).reason()) {
    return Error(Errc::kCorrupt, "the database was found damaged: " + *reason);
  }
  VARVE_TRY(check_database_head(directory));
  uint64_t wanted = options.map_bytes != 0 ? options.map_bytes : kMapBytes;
  for (;; wanted /= 2) {
    Environment environment;
    int code = open_environment(directory, wanted, environment);
    std::unique_ptr<LmdbKv> kv;
    if (code == 0) {
      int dead = 0;
      mdb_reader_check(environment.get(), &dead);
      const MDB_dbi table = VARVE_TRY(open_table(environment.get()));
      kv = std::make_unique<LmdbKv>(std::move(environment), table, directory, options.mark_damage);
      code = kv->map_pages();
    }
    if (code == 0) return std::unique_ptr<Kv>(std::move(kv));
    // Where address space is limited, a smaller map does: it can grow.
    if (code != ENOMEM || wanted <= kMapBytesMin)
      return lmdb_error(code, "opening the database in " + directory);
  }
}

}  // namespace varve
