// The one seam to disks: every byte that a store's own files carry goes through here.
//
// Paths are relative to the storage's root, "/"-separated, never absolute and never with ".."; as a
// directory the root is "". A Storage and the files that it opened may be used from any thread;
// calls on one file that overlap in range are the caller's to order. What is not synced may be
// lost, torn or reordered by a crash: a file's bytes until StorageFile::sync, a name (create,
// rename, unlink) until sync_dir of its directory.
//
// An object whose write or sync has failed is broken and stays so: every later write or sync on it
// answers the first error, because a sync that succeeds after one that failed proves nothing. A
// sync (of a file, of a directory) that finds no space itself is kIo, for what it was to keep may
// be gone: kNoSpace from sync means that an earlier write found none, and what was written before
// that one is as it was.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dedup/base/bytes.h"
#include "dedup/base/result.h"

namespace varve {

class StorageFile {
 public:
  virtual ~StorageFile() = default;

  /// Reads up to out.size() bytes at `offset`; fewer only at the end of the file. Returns the
  /// count.
  virtual Result<size_t> read_at(uint64_t offset, ByteSpan out) = 0;
  /// Writes all of `bytes` at `offset`, or fails.
  virtual Result<void> write_at(uint64_t offset, ByteView bytes) = 0;
  /// Makes what was written durable, length included.
  virtual Result<void> sync() = 0;
  virtual Result<void> truncate(uint64_t length) = 0;
  /// Reserves space for `length` bytes from the start, without changing the file's length.
  virtual Result<void> reserve(uint64_t length) = 0;
  virtual Result<uint64_t> length() = 0;
};

struct StorageEntry {
  std::string name;
  bool is_directory = false;
};

struct StorageSpace {
  uint64_t total = 0;      // bytes
  uint64_t available = 0;  // bytes that this process may still use
};

class Storage {
 public:
  virtual ~Storage() = default;

  /// kNotFound if there is none.
  virtual Result<std::unique_ptr<StorageFile>> open_read(const std::string& path) = 0;
  /// An existing file, for reading and writing.
  virtual Result<std::unique_ptr<StorageFile>> open_write(const std::string& path) = 0;
  /// A new file, for reading and writing; kExists if the name is taken.
  virtual Result<std::unique_ptr<StorageFile>> create(const std::string& path) = 0;
  /// Replaces what `to` was.
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<void> unlink(const std::string& path) = 0;
  /// Makes the directory and its parents; no error if it is there. Durable on return.
  virtual Result<void> make_directories(const std::string& path) = 0;
  virtual Result<void> sync_dir(const std::string& path) = 0;
  /// In no order. kNotFound if there is no such directory.
  virtual Result<std::vector<StorageEntry>> list(const std::string& path) = 0;
  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<StorageSpace> space() = 0;
};

/// A whole file's bytes; kTooLarge above `limit`.
Result<Bytes> read_whole(Storage& storage, const std::string& path, size_t limit);

/// Writes `bytes` under a temporary name in the same directory, syncs, renames to `path`, syncs the
/// directory: after a crash there is all of it or nothing.
Result<void> write_whole(Storage& storage, const std::string& path, ByteView bytes);

}  // namespace varve
