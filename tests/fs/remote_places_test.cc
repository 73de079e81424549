// Goal: of a store's remotes one that has a pack gives it, whatever the others do; a remote that
// hangs, is not mounted, or whose helper died is an error in bounded time and is read again when it
// is back.
#include "fs/remote_places.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "fs/waiting_elsewhere.h"
#include "replicator/fetch_helper.h"
#include "tests/support/gated_storage.h"
#include "tests/support/simulated_storage.h"

namespace varve {
namespace {

/// Remotes on simulated disks, read by helpers that are threads.
struct RemotePlacesTest : ::testing::Test {
  struct Remote {
    SimulatedStorage disk;
    Gate gate;
  };
  SimulatedStorage store;
  std::map<std::string, Remote> remotes;
  std::mutex mutex;
  std::vector<std::thread> helpers;
  std::vector<int> sockets;
  std::unique_ptr<RemotePlaces> places;

  /// What RemotePlaces owns; the disk stays the test's.
  class Borrowed final : public Storage {
   public:
    explicit Borrowed(Storage& below) : below_(below) {}
    Result<std::unique_ptr<StorageFile>> open_read(const std::string& path) override {
      return below_.open_read(path);
    }
    Result<std::unique_ptr<StorageFile>> open_write(const std::string& path) override {
      return below_.open_write(path);
    }
    Result<std::unique_ptr<StorageFile>> create(const std::string& path) override {
      return below_.create(path);
    }
    Result<void> rename(const std::string& from, const std::string& to) override {
      return below_.rename(from, to);
    }
    Result<void> unlink(const std::string& path) override { return below_.unlink(path); }
    Result<void> make_directories(const std::string& path) override {
      return below_.make_directories(path);
    }
    Result<void> sync_dir(const std::string& path) override { return below_.sync_dir(path); }
    Result<std::vector<StorageEntry>> list(const std::string& path) override {
      return below_.list(path);
    }
    Result<bool> exists(const std::string& path) override { return below_.exists(path); }
    Result<StorageSpace> space() override { return below_.space(); }

   private:
    Storage& below_;
  };

  void add(const std::string& name, bool mounted = true) {
    if (mounted) put(name, "store.json", Bytes(10));
    RemoteConfig config{name, "/" + name, {}, "2026-11-22T05:30:00Z", ""};
    ASSERT_TRUE(write_remote(store, config).ok());
  }
  void put(const std::string& name, const std::string& path, const Bytes& bytes) {
    ASSERT_TRUE(write_whole(remotes[name].disk, path, bytes).ok());
  }
  void open(const FetchLimits& limits) {
    const auto start_at = [this](const std::string& directory) -> StartHelper {
      return [this, name = directory.substr(1)] { return start(remotes[name]); };
    };
    places = std::make_unique<RemotePlaces>(std::make_unique<Borrowed>(store), start_at, limits);
  }
  Result<UniqueFd> start(Remote& remote) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return Errc::kIo;
    std::lock_guard lock(mutex);
    sockets.push_back(ends[1]);
    helpers.emplace_back([&remote, socket = ends[1]] {
      FetchHelper helper(
          socket,
          [&remote]() -> Result<std::unique_ptr<Storage>> {
            return std::unique_ptr<Storage>(
                std::make_unique<GatedStorage>(remote.disk, remote.gate));
          },
          2);
      helper.serve();
    });
    return UniqueFd(ends[0]);
  }
  /// A file's bytes from whichever remote gives them.
  Result<Bytes> ask(const std::string& path) {
    Bytes bytes;
    VARVE_TRY(places->ask({}, [&](const Elsewhere::Place& place) -> Result<void> {
      bytes = VARVE_TRY(read_whole(*place.files, path, 1 << 20));
      if (bytes.empty()) return Error(Errc::kCorrupt, "is damaged");
      return {};
    }));
    return bytes;
  }
  Bytes ask_at_last(const std::string& path) {
    for (;;) {
      Result<Bytes> bytes = ask(path);
      if (bytes.ok()) return *bytes;
      EXPECT_EQ(bytes.error().code(), Errc::kIo) << bytes.error().message();
      std::this_thread::yield();
    }
  }
  static FetchLimits patient() {
    using std::chrono::minutes;
    return {minutes(30), minutes(30), minutes(30)};
  }
  static FetchLimits short_limits() {
    using std::chrono::milliseconds;
    return {milliseconds(50), milliseconds(20), milliseconds(200)};
  }
  ~RemotePlacesTest() override {
    for (auto& [name, remote] : remotes) remote.gate.set(false);
    places.reset();
    for (std::thread& helper : helpers) helper.join();
    for (const int socket : sockets) ::close(socket);
  }
};

TEST_F(RemotePlacesTest, WhoeverHasItGivesIt) {
  add("a");
  add("b");
  open(patient());
  put("b", "one", Bytes(10, 1));
  put("a", "two", Bytes());
  put("b", "two", Bytes(10, 2));
  EXPECT_EQ(ask("one").value(), Bytes(10, 1));
  EXPECT_EQ(ask("two").value(), Bytes(10, 2)) << "what is damaged at one is asked of the next";
  EXPECT_EQ(ask("three").error().code(), Errc::kNotFound);
  put("a", "four", Bytes());
  EXPECT_EQ(ask("four").error().code(), Errc::kCorrupt);
}

TEST_F(RemotePlacesTest, WithoutRemotesThereIsNone) {
  open(patient());
  EXPECT_FALSE(places->has_places());
  EXPECT_EQ(ask("one").error().code(), Errc::kNotFound);
  add("a");
  put("a", "one", Bytes(10, 1));
  places->rest();
  EXPECT_TRUE(places->has_places());
  EXPECT_EQ(ask("one").value(), Bytes(10, 1));
}

TEST_F(RemotePlacesTest, AMountpointWithoutItsMountIsNoAnswer) {
  add("a", false);
  open(patient());
  const Result<Bytes> asked = ask("one");
  ASSERT_FALSE(asked.ok());
  EXPECT_EQ(asked.error().code(), Errc::kIo);
  EXPECT_NE(asked.error().message().find("mounted"), std::string::npos);
  put("a", "store.json", Bytes(10));
  put("a", "one", Bytes(10, 1));
  EXPECT_EQ(ask_at_last("one"), Bytes(10, 1));
}

TEST_F(RemotePlacesTest, OneThatHangsIsAnErrorThenLastAndThenReadAgain) {
  add("a");
  open(short_limits());
  put("a", "one", Bytes(10, 1));
  remotes["a"].gate.set(true);
  EXPECT_EQ(ask("one").error().code(), Errc::kIo);
  add("b");
  put("b", "one", Bytes(10, 1));
  places->rest();
  const int before = remotes["a"].gate.count();
  EXPECT_EQ(ask_at_last("one"), Bytes(10, 1));
  EXPECT_EQ(remotes["a"].gate.count(), before) << "the one that answers is asked first";
  ASSERT_TRUE(remotes["b"].disk.unlink("one").ok());
  remotes["a"].gate.set(false);
  EXPECT_EQ(ask_at_last("one"), Bytes(10, 1));
}

TEST_F(RemotePlacesTest, AnEndWaitsForNobody) {
  add("a");
  open(patient());
  put("a", "one", Bytes(10, 1));
  remotes["a"].gate.set(true);
  std::thread waiting([&] { EXPECT_EQ(ask("one").error().code(), Errc::kIo); });
  while (remotes["a"].gate.count() == 0) std::this_thread::yield();
  places->stop();
  waiting.join();
  EXPECT_EQ(ask("one").error().code(), Errc::kIo);
}

TEST_F(RemotePlacesTest, NoMoreThanSoManyWait) {
  add("a");
  open(patient());
  put("a", "one", Bytes(10, 1));
  remotes["a"].gate.set(true);
  std::atomic<size_t> entered{0};
  std::vector<std::thread> waiting;
  for (size_t i = 0; i < kRemoteWaitsMax; i++) {
    waiting.emplace_back([&] {
      const auto read = [&](const Elsewhere::Place& place) -> Result<void> {
        entered++;
        VARVE_TRY(read_whole(*place.files, "one", 1 << 20));
        return {};
      };
      EXPECT_TRUE(places->ask({}, read).ok());
    });
  }
  while (entered < kRemoteWaitsMax) std::this_thread::yield();
  EXPECT_EQ(ask("one").error().code(), Errc::kIo);
  remotes["a"].gate.set(false);
  for (std::thread& thread : waiting) thread.join();
  EXPECT_TRUE(ask("one").ok());
}

}  // namespace
}  // namespace varve
