// What tests of mounts share: a session over a filesystem that keeps nothing, at a directory of its
// own, which must not stay mounted.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "dedup/base/unique_fd.h"
#include "fs/fuse_session.h"
#include "tests/bench/null_filesystem.h"

namespace varve {

inline bool is_mounted(const std::string& path) {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(" " + path + " ") != std::string::npos) return true;
  }
  return false;
}

class FuseSessionWorld : public testing::Test {
 protected:
  void SetUp() override {
    if (::access("/dev/fuse", R_OK | W_OK) != 0) GTEST_SKIP() << "no /dev/fuse";
    std::string pattern = testing::TempDir() + "varve-session.XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }

  void TearDown() override {
    session_.reset();
    if (runner_.joinable()) runner_.join();
    if (directory_.empty()) return;
    if (is_mounted(directory_)) {
      ADD_FAILURE() << directory_ << " stayed mounted";
      (void)::umount2(directory_.c_str(), MNT_DETACH);
    }
    ::rmdir(directory_.c_str());
  }

  SessionOptions options() const {
    SessionOptions options;
    options.source = "a source, with a comma";
    options.mountpoint = directory_;
    return options;
  }

  void mount(NullFilesystem::Options null_options = {}, bool read_only = false) {
    filesystem_ = std::make_unique<NullFilesystem>(null_options);
    SessionOptions chosen = options();
    chosen.read_only = read_only;
    session_ = std::make_unique<FuseSession>(*filesystem_, chosen);
    Result<void> mounted = session_->mount();
    ASSERT_TRUE(mounted.ok()) << mounted.error().message();
  }

  // Runs the session to its end, which must come by itself.
  void run_to_end() {
    Result<void> result = session_->run();
    EXPECT_TRUE(result.ok()) << result.error().message();
  }

  std::string at(const std::string& name) const { return directory_ + "/" + name; }
  UniqueFd open(const std::string& name, int flags, mode_t mode = 0644) const {
    return UniqueFd(::open(at(name).c_str(), flags | O_CLOEXEC, mode));
  }
  struct stat stat_path(const std::string& name) const {
    struct stat st {};
    EXPECT_EQ(::lstat(at(name).c_str(), &st), 0) << name;
    return st;
  }

  std::string directory_;
  std::unique_ptr<NullFilesystem> filesystem_;
  std::unique_ptr<FuseSession> session_;
  std::thread runner_;
};

}  // namespace varve
