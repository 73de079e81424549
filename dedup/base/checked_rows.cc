#include "dedup/base/checked_rows.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "dedup/base/bus_guard.h"
#include "dedup/base/checksum.h"
#include "dedup/base/log.h"
#include "dedup/base/unique_fd.h"

namespace varve {
namespace {

using RowSum = uint64_t;
using Found = LmdbTreeCursor::Found;

RowSum sum_of(std::string_view key, std::string_view value) {
  return xxh3(as_bytes(value), xxh3(as_bytes(key)));
}

std::string file_in(const std::string& directory) {
  return directory + "/data.mdb";
}

/// The row before the one that was found is whole too, and belongs there: between them is nothing.
bool is_gap(LmdbTreeCursor before, std::string_view key) {
  const Found found = before.previous();
  if (found != Found::kRow) return found == Found::kEnd;
  std::string_view value = before.value();
  return before.key() < key && take_sum(before.key(), value);
}

/// Another shared, read-only map of `bytes` of the same file; nullptr if there is none. By proc(5).
void* other_map(int file, const void* own, uint64_t bytes) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return nullptr;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    void *from = nullptr, *to = nullptr;
    unsigned long inode = 0;
    char access[5] = {};
    if (std::sscanf(line.c_str(), "%p-%p %4s %*x %*s %lu", &from, &to, access, &inode) != 4)
      continue;
    const auto length = static_cast<uint64_t>(static_cast<char*>(to) - static_cast<char*>(from));
    if (std::string_view(access) == "r--s" && inode == status.st_ino && length == bytes &&
        from != own)
      return from;
  }
  return nullptr;
}

}  // namespace

void put_sum(std::string_view key, std::string_view value, std::string& out) {
  const RowSum sum = sum_of(key, value);
  out.assign(value);
  out.append(reinterpret_cast<const char*>(&sum), sizeof sum);
}

bool take_sum(std::string_view key, std::string_view& value) {
  if (value.size() < sizeof(RowSum)) return false;
  RowSum sum = 0;
  std::memcpy(&sum, value.data() + value.size() - sizeof sum, sizeof sum);
  value.remove_suffix(sizeof sum);
  return sum == sum_of(key, value);
}

Result<void> check_database_head(const std::string& directory) {
  const std::string what = "opening the database in " + directory;
  const UniqueFd file(::open(file_in(directory).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return errno == ENOENT ? Result<void>() : error_from_errno(errno, what);
  struct stat status {};
  std::string head(kLmdbHeadBytes, '\0');
  const ssize_t got = ::pread(file.get(), head.data(), head.size(), 0);
  if (got < 0 || ::fstat(file.get(), &status) != 0) return error_from_errno(errno, what);
  head.resize(static_cast<size_t>(got));
  if (head.empty() || lmdb_head_fits(head, static_cast<uint64_t>(status.st_size))) return {};
  return Error(Errc::kCorrupt,
               "the database in " + directory + " is cut short, or its meta pages are damaged");
}

// The map.

int PageMap::open(const std::string& directory, uint64_t bytes) {
  close();
  const UniqueFd file(::open(file_in(directory).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return errno;
  void* map = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, file.get(), 0);
  if (map == MAP_FAILED) return errno;
  map_ = static_cast<const uint8_t*>(map);
  bytes_ = bytes;
  of_lmdb_ = other_map(file.get(), map, bytes);
  return 0;
}

void PageMap::close() {
  if (map_ != nullptr) (void)::munmap(const_cast<uint8_t*>(map_), bytes_);
  map_ = nullptr;
}

// A file's shared, read-only map loses nothing by it.
void PageMap::let_go() const {
  if (map_ != nullptr) (void)::madvise(const_cast<uint8_t*>(map_), bytes_, MADV_DONTNEED);
  if (of_lmdb_ != nullptr) (void)::madvise(of_lmdb_, bytes_, MADV_DONTNEED);
}

// Damage.

DatabaseDamage::DatabaseDamage(const std::string& directory, bool mark_it) {
  if (mark_it) mark_.emplace(directory);
}

Error DatabaseDamage::found(const std::string& what) {
  if (mark_ && mark_->set(what)) {
    log_error("the database in local/ is damaged (" + what +
              "): what needs it is an error until the next mount, which makes it anew");
  }
  return Error(Errc::kCorrupt, "the database is damaged: " + what);
}

// The cursor.

bool CheckedCursor::take_value() {
  value_ = at_.value();
  return take_sum(at_.key(), value_);
}

template <typename Move>
Result<bool> CheckedCursor::move(const Move& move_to) {
  Found found = Found::kDamaged;
  if (!survives_bus_error([&] { found = move_to(); })) {
    return Error(Errc::kIo, "reading the database: the disk failed");
  }
  if (pages_->turned_over()) map_->let_go();
  if (found != Found::kDamaged) return found == Found::kRow;
  return damage_->found("page " + std::to_string(at_.page()) + " or a row in it");
}

Result<bool> CheckedCursor::seek(std::string_view key) {
  return move([&] {
    const Found found = at_.seek(key);
    if (found == Found::kDamaged || (found == Found::kRow && !take_value())) return Found::kDamaged;
    const bool exact = found == Found::kRow && at_.key() == key;
    return exact || is_gap(at_, key) ? found : Found::kDamaged;
  });
}

Result<bool> CheckedCursor::next() {
  return move([&] {
    const Found found = at_.next();
    return found == Found::kRow && !take_value() ? Found::kDamaged : found;
  });
}

}  // namespace varve
