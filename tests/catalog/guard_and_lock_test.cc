// Goal: a place knows itself by its guard, and no store is opened twice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "catalog/store_lock.h"
#include "dedup/base/posix_storage.h"
#include "dedup/guard.h"
#include "dedup/writer_head.h"
#include "tests/catalog/history_world.h"
#include "tests/support/temporary_directory.h"

namespace varve {
namespace {

struct PlaceTest : testing::Test {
  TemporaryDirectory directory;
  std::string root = directory / "store";
  StoreId store = same_bytes<StoreId>(1);
  Guard guard{same_bytes<ReplicaId>(2), same_bytes<WriterId>(3)};

  PlaceTest() { std::filesystem::create_directory(root); }
  static std::unique_ptr<Storage> storage(const std::string& at) {
    return open_posix_storage(at).value();
  }
};

TEST_F(PlaceTest, GuardComesBackInItsPlace) {
  auto here = storage(root);
  EXPECT_FALSE(read_guard(*here, root, store)->guard);
  ASSERT_TRUE(write_guard(*here, root, store, guard).ok());
  auto found = read_guard(*here, root, store);
  ASSERT_TRUE(found.ok());
  ASSERT_TRUE(found->guard);
  EXPECT_EQ(found->guard->replica, guard.replica);
  EXPECT_EQ(found->guard->writer, guard.writer);
}

TEST_F(PlaceTest, GuardOfACopiedDirectoryIsAbsent) {
  ASSERT_TRUE(write_guard(*storage(root), root, store, guard).ok());
  const std::string copy = directory / "copy";
  std::filesystem::copy(root, copy, std::filesystem::copy_options::recursive);
  auto found = read_guard(*storage(copy), copy, store);
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->guard);
  ASSERT_TRUE(found->moved);
  EXPECT_EQ(found->moved->replica, guard.replica);
  const std::string renamed = directory / "renamed";
  std::filesystem::rename(root, renamed);
  EXPECT_TRUE(read_guard(*storage(renamed), renamed, store)->guard) << "a rename is no copy";
}

TEST_F(PlaceTest, GuardThatMakesNoSenseIsAbsent) {
  auto here = storage(root);
  ASSERT_TRUE(write_guard(*here, root, same_bytes<StoreId>(9), guard).ok());
  EXPECT_FALSE(read_guard(*here, root, store)->guard) << "another store's";
  for (const char* text : {"", "{", "[]", "{}", R"({"format_version":1,"place":3})",
                           R"({"format_version":1,"store_id":5,"place":{}})"}) {
    ASSERT_TRUE(write_whole(*here, "replica/guard", as_bytes(text)).ok());
    auto found = read_guard(*here, root, store);
    ASSERT_TRUE(found.ok());
    EXPECT_FALSE(found->guard);
    EXPECT_FALSE(found->moved);
  }
}

TEST_F(PlaceTest, LockNamesItsHolderAndGoesWithIt) {
  std::filesystem::create_directory(root + "/local");
  EXPECT_EQ(read_store_lock(root).error().code(), Errc::kNotFound);
  {
    auto lock = StoreLock::acquire(root, "/mnt/b", system_clock());
    ASSERT_TRUE(lock.ok());
    auto second = StoreLock::acquire(root, "/mnt/c", system_clock());
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().code(), Errc::kBusy);
    EXPECT_THAT(second.error().message(),
                testing::StartsWith(root + " is in use by " + std::to_string(getpid()) + " on "));
    auto content = read_store_lock(root);
    ASSERT_TRUE(content.ok());
    EXPECT_THAT(*content, testing::HasSubstr("\"/mnt/b\""));
  }
  EXPECT_TRUE(StoreLock::acquire(root, "", system_clock()).ok());
}

TEST_F(PlaceTest, LockOfAHolderThatEndsIsWaitedFor) {
  std::filesystem::create_directory(root + "/local");
  auto first = StoreLock::acquire(root, "/mnt/b", system_clock());
  ASSERT_TRUE(first.ok());
  (*first)->enter(StoreLock::Stage::kMounted);
  auto refused = StoreLock::acquire(root, "/mnt/c", system_clock());
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message(), testing::HasSubstr(" is mounted by "));
  (*first)->enter(StoreLock::Stage::kEnding);
  std::thread ends([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    first->reset();
  });
  EXPECT_TRUE(StoreLock::acquire(root, "/mnt/c", system_clock()).ok());
  ends.join();
}

TEST_F(PlaceTest, LockOutlivesNoCrash) {
  std::filesystem::create_directory(root + "/local");
  const pid_t child = fork();
  if (child == 0) {
    auto lock = StoreLock::acquire(root, "", system_clock());
    if (lock.ok()) lock->release();
    _exit(lock.ok() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_TRUE(StoreLock::acquire(root, "", system_clock()).ok());
}

TEST_F(PlaceTest, WriterHeadComesBack) {
  auto here = storage(root);
  std::filesystem::create_directory(root + "/local");
  EXPECT_FALSE(*read_writer_head(*here));
  const WriterHead head{same_bytes<WriterId>(1), 12, {same_bytes<WriterId>(2)}};
  ASSERT_TRUE(write_writer_head(*here, head).ok());
  auto found = read_writer_head(*here);
  ASSERT_TRUE(found.ok() && *found);
  EXPECT_EQ((*found)->writer, head.writer);
  EXPECT_EQ((*found)->sequence, 12u);
  EXPECT_EQ((*found)->succeeded, head.succeeded);
  ASSERT_TRUE(write_whole(*here, "local/head", as_bytes("{\"writer\":1}")).ok());
  EXPECT_FALSE(*read_writer_head(*here));
}

}  // namespace
}  // namespace varve
