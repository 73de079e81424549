// Goal: a database with damaged pages gives the right rows or an error, never a wrong row and never
// none where one is; what was found damaged, or ended the process, is not opened again.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <random>

#include "dedup/base/damage_mark.h"
#include "dedup/base/lmdb_kv.h"
#include "dedup/base/log.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

constexpr size_t kPage = 4096;

using Rows = std::map<std::string, std::string, std::less<>>;

struct LmdbDamage : testing::Test {
  void SetUp() override { set_log_level(static_cast<LogLevel>(99)); }
  void TearDown() override { set_log_level(LogLevel::kInfo); }

  /// Rows as the working copy has them: prefixes in common, long and short keys, some values of
  /// several pages; changed over several commits, so that pages were split, merged and used again.
  void fill() {
    auto kv = open_lmdb_kv(directory_.path()).value();
    for (int round = 0; round < 12; round++) {
      KvBatch batch;
      for (int i = 0; i < 400; i++) {
        std::string key = std::string(1, "deix"[random_() % 4]) + std::string(7, '\0') +
                          std::to_string(random_() % 3000);
        if (random_() % 50 == 0) key += std::string(random_() % 400, 'k');
        if (random_() % 3 == 0) {
          batch[key] = std::nullopt;
        } else {
          const size_t length = random_() % 80 == 0 ? random_() % 20'000 : random_() % 120;
          batch[key] = std::string(length, static_cast<char>(random_()));
        }
      }
      ASSERT_TRUE(kv->commit(batch).ok());
      for (const auto& [key, value] : batch) {
        if (value) {
          rows_[key] = *value;
        } else {
          rows_.erase(key);
        }
        absent_.insert(key);
      }
    }
    for (const auto& [key, value] : rows_) absent_.erase(key);
  }

  std::string read_file() {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write_file(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }

  /// What is wrong; "" if all that was read is right. `errors` counts what could not be read.
  std::string check_rows(KvView& view, size_t& errors) {
    const auto is_told = [&](const Error& error) {
      errors++;
      return error.code() == Errc::kCorrupt || error.code() == Errc::kIo;
    };
    for (const auto& [key, value] : rows_) {
      const auto found = view.get(key);
      if (!found.ok() && !is_told(found.error())) return found.error().message();
      if (found.ok() && !*found) return "a row is not found";
      if (found.ok() && **found != value) return "a row has another value";
    }
    for (const std::string& key : absent_) {
      const auto found = view.get(key);
      if (!found.ok() && !is_told(found.error())) return found.error().message();
      if (found.ok() && *found) return "a row is found that was erased";
    }
    return check_order(view, errors);
  }

  std::string check_order(KvView& view, size_t& errors) {
    const auto cursor = view.cursor().value();
    auto expected = rows_.begin();
    Result<void> moved = cursor->seek(std::string(1, '\0'));
    for (; moved.ok() && cursor->valid(); moved = cursor->next(), expected++) {
      if (expected == rows_.end()) return "there is a row too many";
      if (cursor->key() != expected->first) return "rows come in another order, or not all";
      if (cursor->value() != expected->second) return "a row has another value in the order";
    }
    if (!moved.ok()) errors++;
    return moved.ok() && expected != rows_.end() ? "rows are missing at the end" : "";
  }

  TemporaryDirectory directory_;
  const std::string path_ = directory_ / "data.mdb";
  const uint64_t seed_ = test_seed();
  std::mt19937_64 random_{seed_};
  Rows rows_;
  std::set<std::string> absent_;
};

void damage(std::string& bytes, std::mt19937_64& random) {
  const size_t pages = bytes.size() / kPage;
  const size_t page = 2 + random() % (pages - 2), other = 2 + random() % (pages - 2);
  const auto flip = [&](size_t at) {
    bytes[at] = static_cast<char>(bytes[at] ^ 1 << random() % 8);
  };
  switch (random() % 7) {
    case 0:
      flip(page * kPage + random() % kPage);
      break;
    case 1:  // the page's head and table
      flip(page * kPage + random() % 100);
      break;
    case 2:
      for (size_t i = 0; i < 10; i++) flip((2 + random() % (pages - 2)) * kPage + random() % 32);
      break;
    case 3:
      bytes.replace(page * kPage, kPage, kPage, '\0');
      break;
    case 4:
      for (size_t i = 0; i < 512; i++) bytes[page * kPage + i] = static_cast<char>(random());
      break;
    case 5:
      std::swap_ranges(&bytes[page * kPage], &bytes[page * kPage] + kPage, &bytes[other * kPage]);
      break;
    default:
      bytes.replace(page * kPage, kPage, bytes.substr(other * kPage, kPage));
      break;
  }
}

TEST_F(LmdbDamage, GivesRightRowsOrErrors) {
  ASSERT_NO_FATAL_FAILURE(fill());
  const std::string whole = read_file();
  size_t errors = 0;
  {
    auto kv = open_lmdb_kv(directory_.path()).value();
    EXPECT_EQ(check_rows(*kv->view().value(), errors), "");
    ASSERT_EQ(errors, 0u);
  }
  const int rounds = is_full_scale() ? 5000 : 150;
  int harmful = 0;
  for (int round = 0; round < rounds; round++) {
    std::string bytes = whole;
    damage(bytes, random_);
    write_file(bytes);
    const auto kv = open_lmdb_kv(directory_.path());
    if (!kv.ok()) continue;
    const auto view = (*kv)->view();
    if (!view.ok()) continue;
    const size_t before = errors;
    ASSERT_EQ(check_rows(**view, errors), "") << "round " << round << ", seed " << seed_;
    if (errors > before) harmful++;
  }
  EXPECT_GT(harmful, rounds / 4);
}

// A bit there may say that the database is of terabytes: what LMDB makes of that is told as damage,
// not as a lack of memory.
TEST_F(LmdbDamage, OfAnyBitOfItsMetaPagesIsHarmlessOrTold) {
  ASSERT_NO_FATAL_FAILURE(fill());
  const std::string whole = read_file();
  constexpr size_t kMetaBytes = 152;
  size_t errors = 0, refused = 0;
  const size_t step = is_full_scale() ? 1 : 7;
  for (size_t bit = random_() % step; bit < 2 * kMetaBytes * 8; bit += step) {
    std::string bytes = whole;
    const size_t at = bit / 8;
    bytes[at < kMetaBytes ? at : kPage + at - kMetaBytes] ^= static_cast<char>(1U << bit % 8);
    write_file(bytes);
    const auto kv = open_lmdb_kv(directory_.path());
    if (!kv.ok()) {
      ASSERT_EQ(kv.error().code(), Errc::kCorrupt) << kv.error().message() << ", bit " << bit;
      refused++;
      continue;
    }
    const auto view = (*kv)->view();
    if (!view.ok()) {
      ASSERT_EQ(view.error().code(), Errc::kCorrupt) << "bit " << bit;
      continue;
    }
    ASSERT_EQ(check_rows(**view, errors), "") << "bit " << bit << ", seed " << seed_;
  }
  EXPECT_GT(refused, 300 / step);
}

TEST_F(LmdbDamage, OfItsLengthIsTold) {
  ASSERT_NO_FATAL_FAILURE(fill());
  const std::string whole = read_file();
  for (const size_t length : {size_t{1}, size_t{100}, kPage, 2 * kPage, whole.size() - 1}) {
    write_file(whole.substr(0, length));
    EXPECT_EQ(open_lmdb_kv(directory_.path()).error().code(), Errc::kCorrupt) << length;
  }
}

TEST_F(LmdbDamage, UnderAnOpenDatabaseIsToldToo) {
  ASSERT_NO_FATAL_FAILURE(fill());
  const std::string whole = read_file();
  size_t errors = 0;
  for (int round = 0; round < 40; round++) {
    write_file(whole);
    const auto kv = open_lmdb_kv(directory_.path()).value();
    EXPECT_EQ(check_rows(*kv->view().value(), errors), "");
    std::string bytes = whole;
    damage(bytes, random_);
    // In place: the map is of this file.
    std::fstream(path_, std::ios::binary | std::ios::in | std::ios::out) << bytes;
    ASSERT_EQ(check_rows(*kv->view().value(), errors), "")
        << "round " << round << ", seed " << seed_;
  }
  EXPECT_GT(errors, 0u);
}

TEST_F(LmdbDamage, IsMarkedAndRefusedFromThenOn) {
  ASSERT_NO_FATAL_FAILURE(fill());
  std::string bytes = read_file();
  for (size_t at = 2 * kPage; at < bytes.size(); at += kPage) bytes[at] ^= 1;  // pages' numbers
  write_file(bytes);
  const std::string some_key = rows_.begin()->first;
  {
    auto kv = open_lmdb_kv(directory_.path()).value();
    EXPECT_EQ(kv->view().error().code(), Errc::kCorrupt);
  }
  {
    auto kv = open_lmdb_kv(directory_.path(), {.mark_damage = true}).value();
    EXPECT_EQ(kv->commit({{some_key, "new"}}).error().code(), Errc::kCorrupt);
  }
  const auto refused = open_lmdb_kv(directory_.path());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Errc::kCorrupt);
  EXPECT_NE(refused.error().message().find("found damaged"), std::string::npos);
}

TEST_F(LmdbDamage, ADeathWithinIsMarked) {
  const DamageMark mark(directory_.path());
  for (const bool within : {false, true}) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      std::optional<DamageMark::UntilDeath> until_death;
      until_death.emplace(mark);
      if (!within) until_death.reset();
      (void)::raise(SIGABRT);
      (void)::raise(SIGABRT);  // a signal that is raised is not tried again by itself
      ::_exit(1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status)) << status;
    EXPECT_EQ(mark.reason().has_value(), within);
  }
}

}  // namespace
}  // namespace varve
