// Goal: over io_uring where the kernel offers it, over /dev/fuse else, requests that wait hold up
// no others, more of them than a ring has places included.
#include "fs/fuse_rings.h"

#include <sched.h>

#include <atomic>
#include <fstream>
#include <optional>

#include "fs/waiting_elsewhere.h"
#include "tests/fs/fuse_session_world.h"

namespace varve {
namespace {

using FuseRingsTest = FuseSessionWorld;

bool kernel_offers_ring() {
  std::ifstream parameter("/sys/module/fuse/parameters/enable_uring");
  char value = 'N';
  return parameter >> value && value == 'Y';
}

TEST_F(FuseRingsTest, ComesOverIoUringWhereTheKernelOffersItAndItIsWanted) {
  mount();
  EXPECT_EQ(session_->uses_io_uring(), kernel_offers_ring());
  session_.reset();
  SessionOptions chosen = options();
  chosen.io_uring = false;
  session_ = std::make_unique<FuseSession>(*filesystem_, chosen);
  ASSERT_TRUE(session_->mount().ok());
  EXPECT_FALSE(session_->uses_io_uring());
  EXPECT_TRUE(open("file", O_CREAT | O_WRONLY).valid());
}

/// Whose lookups of names that begin with "waits" wait until something is made.
class WaitingFilesystem : public NullFilesystem {
 public:
  WaitingFilesystem() : NullFilesystem(Options()) {}
  Result<Entry> lookup(Ino parent, std::string_view name) override {
    if (name.starts_with("waits")) {
      std::optional<WaitingElsewhere> elsewhere;
      if (name.starts_with("waits elsewhere")) elsewhere.emplace();
      waiting++;
      made.wait(false);
    }
    return NullFilesystem::lookup(parent, name);
  }
  Result<Entry> make_node(Ino parent, std::string_view name, mode_t mode, dev_t device,
                          std::string_view target, const Caller& caller) override {
    Result<Entry> entry = NullFilesystem::make_node(parent, name, mode, device, target, caller);
    if (S_ISREG(mode)) {
      made = true;
      made.notify_all();
    }
    return entry;
  }
  std::atomic<int> waiting{0};
  std::atomic<bool> made{false};
};

void stay_on_one_processor() {
  cpu_set_t allowed, one;
  CPU_ZERO(&one);
  ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
  for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
    if (CPU_ISSET(i, &allowed)) CPU_SET(i, &one);
  }
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
}

class FuseRingsWaits : public FuseSessionWorld, public testing::WithParamInterface<const char*> {};

TEST_P(FuseRingsWaits, RequestsThatWaitDoNotHoldUpOthersOfTheirProcessor) {
  auto waiting = std::make_unique<WaitingFilesystem>();
  WaitingFilesystem& filesystem = *waiting;
  filesystem_ = std::move(waiting);
  session_ = std::make_unique<FuseSession>(filesystem, options());
  ASSERT_TRUE(session_->mount().ok());
  const std::string prefix = GetParam();
  const int count = prefix == "waits" ? 6 : 40;
  std::vector<std::thread> programs;
  for (int i = 0; i < count; i++) {
    // Each in a directory of its own, which the kernel locks meanwhile.
    const std::string own = at("directory" + std::to_string(i));
    ASSERT_EQ(::mkdir(own.c_str(), 0755), 0);
    programs.emplace_back([&, own] {
      stay_on_one_processor();
      EXPECT_EQ(::access((own + "/" + prefix).c_str(), F_OK), -1);
    });
  }
  while (filesystem.waiting < count) std::this_thread::yield();
  std::thread([&] {
    stay_on_one_processor();
    EXPECT_EQ(::mknod(at("made").c_str(), S_IFREG | 0644, 0), 0);
    for (int i = 0; i < 100; i++) EXPECT_EQ(::access(at("none").c_str(), F_OK), -1);
  }).join();
  for (std::thread& program : programs) program.join();
}

INSTANTIATE_TEST_SUITE_P(Here, FuseRingsWaits, testing::Values("waits", "waits elsewhere"));

}  // namespace
}  // namespace varve
