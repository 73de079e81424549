// Goal: mounts end by umount, by request and by destruction, whatever is open or waits, and nothing
// stays mounted.
#include <atomic>
#include <chrono>
#include <future>

#include "tests/fs/fuse_session_world.h"

namespace varve {
namespace {

using FuseSessionEnd = FuseSessionWorld;

TEST_F(FuseSessionEnd, EndsByUnmount) {
  mount();
  open("file", O_CREAT | O_WRONLY);
  runner_ = std::thread([this] { run_to_end(); });
  for (int i = 0; i < 1000 && ::umount2(directory_.c_str(), 0) != 0; i++) ::usleep(1000);
  runner_.join();
  EXPECT_FALSE(is_mounted(directory_));
  session_->invalidate_node(kRootIno);  // too late, and harmless
}

TEST_F(FuseSessionEnd, EndsOnRequestThoughAFileIsOpen) {
  mount();
  runner_ = std::thread([this] { run_to_end(); });
  UniqueFd file = open("file", O_CREAT | O_WRONLY);
  session_->request_stop();
  runner_.join();
  EXPECT_FALSE(is_mounted(directory_));
  EXPECT_EQ(::write(file.get(), "abc", 3), -1);
}

/// Which keeps requests for attributes and lists waiting.
class SilentFilesystem : public NullFilesystem {
 public:
  SilentFilesystem() : NullFilesystem(Options()) {}
  Result<Entry> get_attributes(Ino node, std::optional<uint64_t> handle) override {
    speaks.wait(false);
    return NullFilesystem::get_attributes(node, handle);
  }
  Result<OpenDirectory> open_directory(Ino node) override {
    speaks.wait(false);
    return NullFilesystem::open_directory(node);
  }
  std::atomic<bool> speaks{false};
};

// A process that waits in its own mount while it dies never ends, and its mount stays.
TEST_F(FuseSessionEnd, MountingAsksNothingOfTheMount) {
  auto silent = std::make_unique<SilentFilesystem>();
  SilentFilesystem& filesystem = *silent;
  filesystem_ = std::move(silent);
  session_ = std::make_unique<FuseSession>(filesystem, options());
  std::future<Result<void>> mounted =
      std::async(std::launch::async, [this] { return session_->mount(); });
  EXPECT_EQ(mounted.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  filesystem.speaks = true;
  filesystem.speaks.notify_all();
  EXPECT_TRUE(mounted.get().ok());
}

/// Whose writes wait, as an import's do, for a thread that tells the kernel of names.
class NotifyingFilesystem : public NullFilesystem {
 public:
  NotifyingFilesystem() : NullFilesystem(Options()) {}
  Result<size_t> write(Ino, uint64_t, uint64_t, ByteView data, WriteOptions) override {
    writing = true;
    std::thread notifier([&] {
      constexpr auto kTimeForTheOthersToStop = std::chrono::milliseconds(300);
      std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
      while (std::chrono::steady_clock::now() < until) {
        session->invalidate_entry(kRootIno, "name");
        if (stopping.exchange(false))
          until = std::chrono::steady_clock::now() + kTimeForTheOthersToStop;
      }
    });
    notifier.join();
    return data.size();
  }
  FuseSession* session = nullptr;
  std::atomic<bool> writing{false}, stopping{false};
};

TEST_F(FuseSessionEnd, EndsThoughARequestWaitsForWhoNotifiesOfABusyDirectory) {
  auto notifying = std::make_unique<NotifyingFilesystem>();
  NotifyingFilesystem& filesystem = *notifying;
  filesystem_ = std::move(notifying);
  session_ = std::make_unique<FuseSession>(filesystem, options());
  filesystem.session = session_.get();
  ASSERT_TRUE(session_->mount().ok());
  UniqueFd file = open("file", O_CREAT | O_WRONLY);
  ASSERT_TRUE(file.valid());
  std::thread writer([&] { (void)!::write(file.get(), "x", 1); });
  // The kernel locks the directory until each of these is answered, the last of which is not.
  std::thread maker([&] {
    for (int i = 0; ::mkdir(at("d" + std::to_string(i)).c_str(), 0755) == 0; i++) {
    }
  });
  while (!filesystem.writing) std::this_thread::yield();
  session_->request_stop();
  filesystem.stopping = true;
  std::future<void> ended = std::async(std::launch::async, [&] { run_to_end(); });
  if (ended.wait_for(std::chrono::seconds(30)) != std::future_status::ready) {
    ADD_FAILURE() << "it would never end";
    (void)::umount2(directory_.c_str(), MNT_FORCE);
  }
  ended.wait();
  writer.join();
  maker.join();
  EXPECT_FALSE(is_mounted(directory_));
}

TEST_F(FuseSessionEnd, EndsByDestruction) {
  mount();
  UniqueFd file = open("file", O_CREAT | O_WRONLY);
  session_.reset();
  EXPECT_FALSE(is_mounted(directory_));
}

TEST_F(FuseSessionEnd, RefusesAMountpointThatIsNone) {
  filesystem_ = std::make_unique<NullFilesystem>(NullFilesystem::Options{});
  SessionOptions chosen = options();
  chosen.mountpoint = at("missing");
  FuseSession session(*filesystem_, chosen);
  EXPECT_FALSE(session.mount().ok());
}

}  // namespace
}  // namespace varve
