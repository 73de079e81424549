// What tests of expiry share: a store, a remote of it, runs of expiry and passes, one inside the
// other.
#pragma once

#include <gtest/gtest.h>

#include "dedup/base/subdirectory.h"
#include "dedup/statement.h"
#include "replicator/expirer.h"
#include "tests/replicator/replication_world.h"

namespace varve {

inline constexpr Nanoseconds kDay = 24 * 3600 * kSecond;
inline constexpr Nanoseconds kTestStart = 1'800'000'000 * kSecond;
inline constexpr size_t kTestPackBytes = 3000;

inline Statement hold(uint8_t id, bool held, const std::vector<FileHash>& lists) {
  Encoder out;
  out.id(filled_id<ReplicaId>(id)).id(filled_id<ReplicaId>(70)).u8(held ? 1 : 0).zeros(7);
  out.u32(static_cast<uint32_t>(lists.size()));
  for (const FileHash& list : lists) out.id(list);
  return {StatementType::kHold, out.take(), {}};
}

inline Statement forget(const FileHash& snapshot) {
  return {StatementType::kForget, Bytes(snapshot.bytes.begin(), snapshot.bytes.end()), {}};
}

/// A snapshot with a pack and a list of its own.
struct MadeSnapshot {
  FileHash hash, list;
  PackInfo pack;
  StoreFile file() const { return {FileClass::kSnapshot, hash}; }
  StoreFile pack_file() const { return file_of_pack(pack); }
};

inline MadeSnapshot make_snapshot(StoreMaker& maker, size_t bytes = kTestPackBytes) {
  MadeSnapshot made;
  maker.time += kDay;
  made.pack = maker.pack(bytes);
  made.list = maker.list({}, {made.pack});
  made.hash = maker.snapshot(made.list);
  return made;
}

struct ExpiryTest : testing::Test {
  SimulatedStorage store, remote;
  StoreMaker maker{store};
  RemoteConfig config{"offsite", "/mnt/offsite", {}, "", ""};
  Subdirectory condemned{remote, "replica/condemned"};
  MachineTime machine{kTestStart + 1000 * kDay, "this boot", 0};
  bool dry_run = false;

  ExpiryTest() {
    SeededRandom random(5);
    config.replica = settle_remote(remote, store, maker.config, random).value();
    maker.time = kTestStart;
  }

  std::vector<MadeSnapshot> snapshots(size_t count) {
    std::vector<MadeSnapshot> made;
    for (size_t i = 0; i < count; i++) made.push_back(make_snapshot(maker));
    return made;
  }
  Result<ExpiryReport> run_at(Storage& place, const std::string& rule) {
    return expire(place, {parse_retention(rule).value(), dry_run, {}}, machine);
  }
  Result<ExpiryReport> run(const std::string& rule) { return run_at(remote, rule); }
  void run_twice(const std::string& rule) {
    for (int i = 0; i < 2; i++) {
      const Result<ExpiryReport> done = run(rule);
      ASSERT_TRUE(done.ok()) << done.error().message();
      EXPECT_TRUE(done->unknown.empty()) << done->unknown.front();
    }
  }
  PassResult pass(uint64_t seed = 1, bool relist = false) {
    return run_pass(store, remote, maker.config, config, seed, 3, relist);
  }
  PassResult pass_between(Machines& world, uint64_t seed) {
    return run_pass(*world.store, *world.remote, maker.config, config, seed);
  }
  bool is_at_remote(const StoreFile& file) { return remote.exists(path_of(file)).value(); }
  bool is_condemned(const StoreFile& file) { return condemned.exists(path_of(file)).value(); }
  /// By hand.
  void put_at_remote(const StoreFile& file) {
    const std::string path = path_of(file);
    ASSERT_TRUE(remote.make_directories(folder_of(file)).ok());
    ASSERT_TRUE(write_whole(remote, path, read_whole(store, path, 1 << 20).value()).ok());
  }
  std::unique_ptr<Machines> copy() const {
    auto made = std::make_unique<Machines>();
    made->store = store.copy_of(&made->store_power);
    made->remote = remote.copy_of(&made->remote_power);
    return made;
  }
  /// What was begun comes to its end.
  void expect_two_more_runs_and_a_pass_agree(Machines& world) {
    for (int i = 0; i < 3; i++) {
      ASSERT_TRUE(run_at(*world.remote, "last 1").ok());
      expect_good_store(*world.remote, maker.config, "a further run");
    }
    const PassResult last = pass_between(world, 1234);
    ASSERT_TRUE(last.done.ok()) << last.done.error().message();
    EXPECT_EQ(last.figures.files_left, 0u);
    EXPECT_TRUE(last.problems.empty());
    expect_good_store(*world.remote, maker.config, "the last pass");
    Subdirectory away(*world.remote, "replica/condemned");
    EXPECT_TRUE(list_store_files(away).value().files.empty());
  }
};

/// A store, a second site of it, and a remote; things happen in an order drawn from a seed.
class RandomExpiry {
 public:
  explicit RandomExpiry(uint64_t seed) : dice_(seed) {
    world_.store = std::make_unique<SimulatedStorage>(&world_.store_power);
    world_.remote = std::make_unique<SimulatedStorage>(&world_.remote_power);
    maker_ = std::make_unique<StoreMaker>(*world_.store, dice_());
    maker_->time = kTestStart;
    SeededRandom random(dice_());
    config_.replica = settle_remote(*world_.remote, *world_.store, maker_->config, random).value();
  }

  void run() {
    // Where nothing lies at all there are no keys either, and nothing to expire.
    maker_->live_here();
    publish_somewhere();
    EXPECT_TRUE(one_pass()) << last_error_;
    for (int round = 0; round < 16 && !testing::Test::HasFailure(); round++) {
      for (uint64_t n = dice_() % 3; n > 0; n--) publish_somewhere();
      if (dice_() % 5 == 0) found_other_site();
      remember_what_must_stay();
      const uint64_t accident = dice_() % 6;
      if (accident == 0) world_.remote_power.stop_after(dice_() % 120);
      if (accident == 1) world_.store_power.stop_after(dice_() % 60);
      if (accident == 2) world_.remote->fail_sync(1 + dice_() % 30);
      const bool is_run = dice_() % 2 == 0;
      const bool went = is_run ? run_with_a_pass_inside() : pass_with_a_run_inside();
      world_.store_power.restore();
      world_.remote_power.restore();
      if (!went && accident == 0 && dice_() % 2 == 0) world_.remote->power_cut(dice_());
      if (!went && accident == 1 && dice_() % 2 == 0) world_.store->power_cut(dice_());
      reopen();
      // A run that died while it moved what a pass found in place: the next one makes up for it.
      if (is_run && !went) {
        bool made_up = false;  // the disk may fail once more
        for (int tries = 0; tries < 3 && !made_up; tries++) {
          made_up = !other_maker_ && dice_() % 2 == 0 ? own_pass() : one_run({});
          reopen();
        }
        EXPECT_TRUE(made_up) << last_error_;
      }
      expect_good_store(*world_.remote, maker_->config, "round " + std::to_string(round));
      expect_what_must_stay();
    }
    if (!testing::Test::HasFailure()) finish();
  }

 private:
  void publish_somewhere() {
    if (other_maker_ && dice_() % 3 == 0) {
      other_maker_->time = maker_->time;
      publish(*other_maker_, *other_);
    } else {
      publish(*maker_, *world_.store);
    }
  }
  void publish(StoreMaker& maker, Storage& store) {
    std::vector<PackInfo> rows;
    for (uint64_t n = dice_() % 3; n > 0; n--)
      rows.push_back(maker.pack(1 + dice_() % 9'000,
                                dice_() % 3 == 0 ? PackClass::kCatalog : PackClass::kData));
    std::vector<FileHash> bases;
    if (!made_.empty() && dice_() % 2 == 0) {
      const FileHash& base = made_[dice_() % made_.size()].list;
      if (store.exists(path_of({FileClass::kList, base})).value()) bases.push_back(base);
    }
    maker.time += kDay;
    MadeSnapshot made;
    made.list = maker.list(bases, rows);
    made.hash = maker.snapshot(made.list,
                               dice_() % 5 == 0 ? SnapshotClass::kCheckpoint : SnapshotClass::kSet,
                               static_cast<uint8_t>(8 + dice_() % 2));
    made_.push_back(made);
    if (dice_() % 6 == 0 && !rows.empty()) maker.exact_list({made.hash}, {rows.front()});
    const MadeSnapshot& any = made_[dice_() % made_.size()];
    if (dice_() % 6 == 0)
      locks_[maker.record({lock_statement(any.hash, INT64_MAX / 2)})] = any.hash;
    // Held is what lies there: else nobody could say what it needs. And here: should it go before
    // the hold comes, it is sent again.
    const StoreFile list{FileClass::kList, any.list};
    if (dice_() % 6 == 0 && is_there(list) && world_.store->exists(path_of(list)).value())
      maker_->record({hold(static_cast<uint8_t>(dice_() % 4), dice_() % 3 != 0, {any.list})});
    if (dice_() % 8 == 0) maker.record({drop_statement(any.hash, config_.replica)});
  }
  bool is_there(const StoreFile& file) const {
    return world_.remote->exists(path_of(file)).value();
  }

  /// It has what the store has now, and goes its own way from then on; as a writer of its own, or
  /// as a place that only carries. The one before it is lost.
  void found_other_site() {
    other_maker_.reset();
    other_ = world_.store->copy_of(nullptr);
    other_->remove_all("local");
    const auto writer = filled_id<WriterId>(static_cast<uint8_t>(30 + dice_() % 200));
    other_sender_ = writer.hex();
    if (dice_() % 2 == 0) other_maker_.emplace(*other_, *maker_, writer);
  }

  /// True if it came to its end.
  bool one_pass() {
    const bool by_other = other_ && dice_() % 3 == 0;
    // One process at a time replicates from a site to a remote: it holds a lock.
    bool& at_work = by_other ? other_at_work_ : own_at_work_;
    if (std::exchange(at_work, true)) return false;
    const bool done = ended(run_pass(by_other ? *other_ : *world_.store, *world_.remote,
                                     maker_->config, config_, dice_(), 1 + dice_() % 4, by_other,
                                     by_other ? other_sender_ : filled_id<WriterId>(21).hex())
                                .done);
    at_work = false;
    return done;
  }
  /// By the site that has all that was published.
  bool own_pass() {
    return ended(run_pass(*world_.store, *world_.remote, maker_->config, config_, dice_(), 3).done);
  }
  bool ended(const Result<void>& done) {
    if (!done.ok()) last_error_ = done.error().message();
    return done.ok();
  }
  bool one_run(const std::function<Result<void>()>& wait) {
    machine_.since_boot += static_cast<Nanoseconds>(dice_() % 20) * kDay;
    const std::string rule = "last " + std::to_string(1 + dice_() % 4);
    const auto done =
        expire(*world_.remote, {parse_retention(rule).value(), false, wait}, machine_);
    return ended(done.ok() ? Result<void>() : done.error());
  }
  template <typename Call>
  void once_at_an_effect(Call call) {
    world_.remote_power.before_effects([this, call, left = dice_() % 150]() mutable {
      if (inside_ || left-- != 0) return;
      inside_ = true;
      call();
      inside_ = false;
    });
  }
  bool pass_with_a_run_inside() {
    once_at_an_effect([this] { one_run({}); });
    const bool done = one_pass();
    world_.remote_power.before_effects({});
    return done;
  }
  bool run_with_a_pass_inside() {
    once_at_an_effect([this] { one_pass(); });
    const bool done = one_run([this]() -> Result<void> {
      if (!inside_ && dice_() % 3 == 0) one_pass();
      return {};
    });
    world_.remote_power.before_effects({});
    return done;
  }

  void remember_what_must_stay() {
    must_stay_.clear();
    for (const auto& [record, snapshot] : locks_) {
      if (is_there({FileClass::kRecord, record}) && is_there({FileClass::kSnapshot, snapshot}))
        must_stay_.insert({FileClass::kSnapshot, snapshot});
    }
  }
  void expect_what_must_stay() {
    for (const StoreFile& file : must_stay_) {
      // But for checkpoints, which a replicator replaces by newer ones.
      const bool is_set = is_set_snapshot(file.hash);
      EXPECT_TRUE(is_there(file) || !is_set) << path_of(file) << " was locked";
    }
  }
  bool is_set_snapshot(const FileHash& hash) {
    CarriedHistory history;
    EXPECT_TRUE(
        history.refresh(*world_.store, maker_->config, list_store_files(*world_.store).value())
            .ok());
    for (const CarriedSnapshot& snapshot : history.snapshots()) {
      if (snapshot.hash == hash) return !snapshot.is_checkpoint();
    }
    return false;
  }

  /// Whoever opens a disk after an error opens it anew.
  void reopen() {
    world_.remote = world_.remote->copy_of(&world_.remote_power);
    world_.store = world_.store->copy_of(&world_.store_power);
    maker_->go_on_with(*world_.store);
  }

  void finish() {
    for (int i = 0; i < 2; i++) {
      const PassResult pass =
          run_pass(*world_.store, *world_.remote, maker_->config, config_, dice_());
      ASSERT_TRUE(pass.done.ok()) << pass.done.error().message();
      EXPECT_EQ(pass.figures.files_left, 0u);
      expect_good_store(*world_.remote, maker_->config, "the last pass");
      for (int runs = 0; runs < 3; runs++) {
        const auto done =
            expire(*world_.remote, {parse_retention("last 1").value(), false, {}}, machine_);
        ASSERT_TRUE(done.ok()) << done.error().message();
        EXPECT_TRUE(done->unknown.empty()) << done->unknown.front();
        expect_good_store(*world_.remote, maker_->config, "the last run");
      }
    }
    Subdirectory away(*world_.remote, "replica/condemned");
    EXPECT_TRUE(list_store_files(away).value().files.empty());
  }

  std::mt19937_64 dice_;
  Machines world_;
  std::unique_ptr<SimulatedStorage> other_;
  std::string other_sender_;
  std::unique_ptr<StoreMaker> maker_;
  std::optional<StoreMaker> other_maker_;  // where somebody writes there
  RemoteConfig config_{"offsite", "/mnt/offsite", {}, "", ""};
  MachineTime machine_{kTestStart + 5000 * kDay, "this boot", 0};
  std::vector<MadeSnapshot> made_;
  std::map<FileHash, FileHash> locks_;  // record: snapshot
  std::set<StoreFile> must_stay_;
  bool inside_ = false;
  bool own_at_work_ = false, other_at_work_ = false;
  std::string last_error_;
};

}  // namespace varve
