// Goal: LMDB and the simulated store keep one contract; LMDB is refused when it is damaged, grows,
// and survives what kills it.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "dedup/base/lmdb_kv.h"
#include "tests/support/simulated_kv.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

enum class KvKind { kLmdb, kSimulated };

SimulatedKv::Map contents_of(KvView& view) {
  SimulatedKv::Map map;
  auto cursor = view.cursor().value();
  EXPECT_TRUE(cursor->seek("").ok());
  while (cursor->valid()) {
    map.emplace(cursor->key(), cursor->value());
    EXPECT_TRUE(cursor->next().ok());
  }
  return map;
}

class KvContract : public testing::TestWithParam<KvKind> {
 protected:
  void SetUp() override {
    if (GetParam() == KvKind::kLmdb) {
      kv_ = open_lmdb_kv(directory_.path()).value();
    } else {
      kv_ = std::make_unique<SimulatedKv>();
    }
  }
  std::optional<std::string> get(std::string_view key) {
    auto view = kv_->view().value();
    auto found = view->get(key).value();
    return found ? std::optional<std::string>(*found) : std::nullopt;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Kv> kv_;
};

INSTANTIATE_TEST_SUITE_P(, KvContract, testing::Values(KvKind::kLmdb, KvKind::kSimulated),
                         [](const auto& which) {
                           return which.param == KvKind::kLmdb ? "Lmdb" : "Simulated";
                         });

TEST_P(KvContract, StoresReplacesAndErases) {
  ASSERT_TRUE(kv_->commit({{"a", "1"}, {"b", "2"}, {"c", ""}}).ok());
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(get("c"), "");
  EXPECT_EQ(get("d"), std::nullopt);
  ASSERT_TRUE(kv_->commit({{"a", "one"}, {"b", std::nullopt}, {"never there", std::nullopt}}).ok());
  EXPECT_EQ(get("a"), "one");
  EXPECT_EQ(get("b"), std::nullopt);
  ASSERT_TRUE(kv_->commit({}).ok());
}

TEST_P(KvContract, ViewsStayAsTheyWere) {
  ASSERT_TRUE(kv_->commit({{"key", "old"}, {"other", "x"}}).ok());
  auto before = kv_->view().value();
  auto cursor = before->cursor().value();
  ASSERT_TRUE(cursor->seek("key").ok());
  ASSERT_TRUE(kv_->commit({{"key", "new"}, {"later", "y"}, {"other", std::nullopt}}).ok());
  auto after = kv_->view().value();
  EXPECT_EQ(**before->get("key"), "old");
  EXPECT_EQ(cursor->value(), "old");
  ASSERT_TRUE(cursor->next().ok());
  EXPECT_EQ(cursor->key(), "other");
  EXPECT_EQ(contents_of(*after), (SimulatedKv::Map{{"key", "new"}, {"later", "y"}}));
}

TEST_P(KvContract, OrderIsThatOfMemcmp) {
  using namespace std::string_literals;
  ASSERT_TRUE(
      kv_->commit({{"\xff"s, "5"}, {"a\0"s, "2"}, {"a", "1"}, {"aa", "3"}, {"\x80", "4"}}).ok());
  auto view = kv_->view().value();
  auto cursor = view->cursor().value();
  EXPECT_FALSE(cursor->valid());
  std::string order;
  ASSERT_TRUE(cursor->seek("a").ok());
  while (cursor->valid()) {
    order += cursor->value();
    ASSERT_TRUE(cursor->next().ok());
  }
  EXPECT_EQ(order, "12345");
  ASSERT_TRUE(cursor->next().ok());
  EXPECT_FALSE(cursor->valid());
  ASSERT_TRUE(cursor->seek("ab").ok());
  EXPECT_EQ(cursor->value(), "4");
  ASSERT_TRUE(cursor->seek("\xff\xff").ok());
  EXPECT_FALSE(cursor->valid());
}

TEST_P(KvContract, KeysHaveLimits) {
  ASSERT_TRUE(kv_->commit({{std::string(511, 'k'), "long"}}).ok());
  EXPECT_EQ(get(std::string(511, 'k')), "long");
  EXPECT_EQ(kv_->commit({{"fine", "x"}, {std::string(512, 'k'), "x"}}).error().code(),
            Errc::kInvalid);
  EXPECT_EQ(kv_->commit({{"", "x"}, {"fine", "x"}}).error().code(), Errc::kInvalid);
  EXPECT_EQ(kv_->commit({{std::string(kKvReservedKey), "x"}}).error().code(), Errc::kInvalid);
  EXPECT_EQ(get("fine"), std::nullopt) << "all or nothing";
  auto view = kv_->view().value();
  EXPECT_EQ(view->get("").error().code(), Errc::kInvalid);
  EXPECT_EQ(view->get(std::string(512, 'k')).error().code(), Errc::kInvalid);
  EXPECT_FALSE(view->cursor().value()->seek(std::string(512, 'k')).ok());
}

TEST_P(KvContract, LargeValues) {
  std::string large(3 << 20, 'v');
  ASSERT_TRUE(kv_->commit({{"large", large}, {"small", "s"}}).ok());
  EXPECT_EQ(get("large"), large);
  EXPECT_EQ(get("small"), "s");
}

TEST_P(KvContract, EqualsAModel) {
  std::mt19937_64 random(test_seed());
  SimulatedKv::Map model;
  for (int round = 0; round < 60; round++) {
    KvBatch batch;
    for (uint64_t i = random() % 60; i > 0; i--) {
      std::string key = std::to_string(random() % 300);
      if (random() % 3 == 0) {
        batch[key] = std::nullopt;
        model.erase(key);
      } else {
        batch[key] = model[key] =
            std::string(random() % 200, static_cast<char>('a' + random() % 26));
      }
    }
    for (auto& [key, value] : batch) {
      if (!value) model.erase(key);
    }
    ASSERT_TRUE(kv_->commit(batch).ok());
    auto view = kv_->view().value();
    ASSERT_EQ(contents_of(*view), model);
  }
}

TEST_P(KvContract, ReadersSeeWholeCommits) {
  std::atomic<bool> done{false};
  std::atomic<int> torn{0};
  ASSERT_TRUE(kv_->commit({{"a", "0"}, {"b", "0"}}).ok());
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; i++) {
    readers.emplace_back([&] {
      while (!done) {
        auto view = kv_->view().value();
        if (**view->get("a") != **view->get("b")) torn++;
      }
    });
  }
  for (int i = 1; i <= 50; i++) {
    std::string value = std::to_string(i);
    EXPECT_TRUE(kv_->commit({{"a", value}, {"b", value}}).ok());
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(torn, 0);
}

class Lmdb : public testing::Test {
 protected:
  TemporaryDirectory directory_;
};

TEST_F(Lmdb, IsThereAfterOpeningAnew) {
  ASSERT_TRUE(open_lmdb_kv(directory_.path()).value()->commit({{"key", "value"}}).ok());
  auto kv = open_lmdb_kv(directory_.path()).value();
  EXPECT_EQ(**kv->view().value()->get("key"), "value");
  struct stat status {};
  ASSERT_EQ(::stat((directory_ / "data.mdb").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(Lmdb, GrowsWhenItsMapIsFull) {
  auto kv = open_lmdb_kv(directory_.path(), {.map_bytes = 1 << 20}).value();
  auto idle = kv->view();
  idle = Errc::kStale;  // back in the pool
  for (int i = 0; i < 40; i++) {
    ASSERT_TRUE(kv->commit({{"key" + std::to_string(i), std::string(200 << 10, 'v')}}).ok()) << i;
  }
  auto view = kv->view().value();
  EXPECT_EQ(contents_of(*view).size(), 40u);
}

TEST_F(Lmdb, OtherFilesAreRefused) {
  std::ofstream(directory_ / "data.mdb") << std::string(8192, 'x');
  EXPECT_EQ(open_lmdb_kv(directory_.path()).error().code(), Errc::kCorrupt);
  EXPECT_EQ(open_lmdb_kv(directory_ / "none").error().code(), Errc::kNotFound);
}

TEST_F(Lmdb, CutShortIsRefused) {
  {
    auto kv = open_lmdb_kv(directory_.path()).value();
    for (int i = 0; i < 20; i++)
      ASSERT_TRUE(kv->commit({{std::to_string(i), std::string(9000, 'v')}}).ok());
  }
  auto size = std::filesystem::file_size(directory_ / "data.mdb");
  std::filesystem::resize_file(directory_ / "data.mdb", size / 2);
  EXPECT_EQ(open_lmdb_kv(directory_.path()).error().code(), Errc::kCorrupt);
}

// Pages behind the end of a mapped file are SIGBUS, as pages are that a disk cannot read.
TEST_F(Lmdb, PagesThatCannotBeReadAreErrors) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the thread sanitizer keeps SIGBUS for itself";
#endif
  auto kv = open_lmdb_kv(directory_.path()).value();
  KvBatch batch;
  for (int i = 0; i < 2000; i++) batch["key" + std::to_string(i)] = std::string(1000, 'v');
  batch["large"] = std::string(100'000, 'v');
  ASSERT_TRUE(kv->commit(batch).ok());
  {
    auto view = kv->view().value();
    std::filesystem::resize_file(directory_ / "data.mdb", 8192);  // its meta pages stay
    EXPECT_EQ(view->get("key1").error().code(), Errc::kIo);
    EXPECT_EQ(view->get("large").error().code(), Errc::kIo);
    auto cursor = view->cursor().value();
    EXPECT_EQ(cursor->seek("key1").error().code(), Errc::kIo);
    EXPECT_FALSE(cursor->valid());
  }
  EXPECT_EQ(kv->commit({{"key1", "new"}}).error().code(), Errc::kIo);
  EXPECT_EQ(kv->commit({{"key1", "new"}}).error().code(), Errc::kIo) << "for good";
}

/// What this process has resident of mapped databases, in bytes.
uint64_t resident_of_maps() {
  std::ifstream maps("/proc/self/smaps");
  uint64_t kib = 0;
  bool of_database = false;
  for (std::string line; std::getline(maps, line);) {
    unsigned long number = 0;
    if (std::sscanf(line.c_str(), "%*x-%lx", &number) == 1)
      of_database = line.ends_with("/data.mdb");
    else if (of_database && std::sscanf(line.c_str(), "Rss: %lu kB", &number) == 1)
      kib += number;
  }
  return kib << 10;
}

TEST_F(Lmdb, HoweverMuchIsReadAndWrittenAPartOfTheMapStaysResident) {
  auto kv = open_lmdb_kv(directory_.path()).value();
  for (int i = 0; i < 120'000;) {  // two rows a page
    KvBatch batch;
    for (int last = i + 20'000; i < last; i++)
      batch["key" + std::to_string(i)] = std::string(1900, 'v');
    ASSERT_TRUE(kv->commit(batch).ok());
  }
  const uint64_t size = std::filesystem::file_size(directory_ / "data.mdb");
  ASSERT_GT(size, 220u << 20);
  EXPECT_LT(resident_of_maps(), 170u << 20);
  EXPECT_EQ(contents_of(*kv->view().value()).size(), 120'000u);
  EXPECT_LT(resident_of_maps(), 170u << 20);
}

TEST_F(Lmdb, ManyViewsAtOnce) {
  auto kv = open_lmdb_kv(directory_.path()).value();
  ASSERT_TRUE(kv->commit({{"key", "value"}}).ok());
  for (int round = 0; round < 2; round++) {
    std::vector<std::unique_ptr<KvView>> views;
    for (int i = 0; i < 1000; i++) views.push_back(kv->view().value());
    for (auto& view : views) ASSERT_EQ(**view->get("key"), "value");
  }
}

/// Commits numbered pairs and reports each one that was answered, until it is killed.
[[noreturn]] void commit_until_killed(const std::string& directory, int report) {
  auto kv = open_lmdb_kv(directory);
  for (uint64_t i = 1; kv.ok(); i++) {
    std::string value = std::to_string(i);
    if (!(*kv)->commit({{"a", value}, {"b", value}, {"row" + value, std::string(3000, 'r')}}).ok())
      break;
    if (::write(report, &i, sizeof i) != sizeof i) break;
  }
  ::_exit(1);
}

TEST_F(Lmdb, KilledAtAnyMomentItHasAllThatWasAnswered) {
  std::mt19937_64 random(test_seed());
  for (int round = 0; round < 5; round++) {
    int report[2];
    ASSERT_EQ(::pipe(report), 0);
    pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) commit_until_killed(directory_.path(), report[1]);
    ::close(report[1]);
    uint64_t answered = 0, wanted = 1 + random() % 20;
    while (answered < wanted && ::read(report[0], &answered, sizeof answered) == sizeof answered) {
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    while (::read(report[0], &answered, sizeof answered) == sizeof answered) {
    }
    ::close(report[0]);
    auto kv = open_lmdb_kv(directory_.path()).value();
    auto view = kv->view().value();
    uint64_t found = std::stoull(std::string(**view->get("a")));
    EXPECT_GE(found, answered);
    EXPECT_EQ(**view->get("b"), std::to_string(found));
    EXPECT_TRUE(view->get("row" + std::to_string(found))->has_value());
  }
}

}  // namespace
}  // namespace varve
