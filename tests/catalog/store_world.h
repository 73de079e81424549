// What tests of whole stores share: a store in a directory of its own, opened as often as a test
// likes, and plain words for files in it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "catalog/working_copy.h"
#include "dedup/base/posix_storage.h"
#include "tests/support/simulation.h"
#include "tests/support/temporary_directory.h"

namespace varve {

struct StoreWorld {
  TemporaryDirectory directory;
  std::string root = directory / "store";
  Metrics metrics;
  std::unique_ptr<WorkingCopy> copy;

  StoreWorld() {
    std::filesystem::create_directory(root);
    auto storage = open_posix_storage(root).value();
    std::vector<AccessSecret> secrets;
    secrets.push_back(secret());
    auto made = create_store(*storage, ChunkerSizes::of_average(32 << 10).value(), secrets,
                             system_random(), "2026-11-22T05:30:00Z");
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message());
  }

  static AccessSecret secret(const std::string& text = "a key file's bytes") {
    return {AccessSecret::Kind::kKeyFile, Secret::copy_of(as_bytes(text))};
  }

  Result<std::unique_ptr<WorkingCopy>> try_open(const std::string& at) {
    WorkingCopy::Options options;
    options.threads = 1;
    options.cache_bytes = 16 << 20;
    options.mountpoint = "/mnt/b";
    return WorkingCopy::open(at, secret(), options, metrics);
  }
  void open() {
    copy.reset();
    auto opened = try_open(root);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    copy = std::move(opened).value();
  }
  void close() {
    auto closed = copy->finish(at_once);
    ASSERT_TRUE(closed.ok()) << closed.error().message();
    copy.reset();
  }
  /// As after kill -9, but that memory is freed.
  void crash() { copy.reset(); }
  void lose_local() { std::filesystem::remove_all(root + "/local"); }

  static Result<void> at_once(const Snapshotter::Moment& moment) { return moment(); }

  Ino set(const std::string& name) { return make(kRootIno, name, FileType::kDirectory); }
  Ino make(Ino parent, const std::string& name, FileType type, const std::string& target = "") {
    if (auto found = copy->tree().lookup(parent, name); found.ok()) return found->ino;
    NewFile file;
    file.type = type;
    file.permissions = type == FileType::kDirectory ? 0755 : 0644;
    file.uid = ::getuid();
    file.gid = ::getgid();
    file.target = target;
    auto made = copy->tree().create(parent, name, file);
    EXPECT_TRUE(made.ok()) << name;
    return made.ok() ? made->ino : 0;
  }

  /// Bytes that do not compress, the same for the same seed.
  static Bytes content(uint64_t seed, size_t size) { return random_bytes(seed, size); }

  void write(Ino ino, const Bytes& bytes, uint64_t at = 0) {
    auto stream = copy->ingest().open_stream(SegmentType::kChunks, Ingest::Access::kSequential);
    LiveTree::ContentChange change;
    change.from = at;
    change.to = at + bytes.size();
    change.size = change.to;
    ByteView left = bytes;
    while (!left.empty()) {
      const size_t length = copy->chunker().cut(left);
      auto put = copy->ingest().put(*stream, left.first(length));
      ASSERT_TRUE(put.ok());
      change.extents.push_back({at, length, put->id, 0});
      at += length;
      left = left.subspan(length);
    }
    ASSERT_TRUE(copy->tree().change_content(ino, change).ok());
  }
  Ino file(Ino parent, const std::string& name, const Bytes& bytes) {
    const Ino ino = make(parent, name, FileType::kFile);
    write(ino, bytes);
    return ino;
  }
  void commit() {
    auto done = copy->committer().commit();
    ASSERT_TRUE(done.ok()) << done.error().message();
  }
  /// "set/dir/name"; nullopt if it is not there or cannot be read.
  std::optional<Bytes> read(const std::string& path) {
    Ino at = kRootIno;
    for (const auto& part : std::filesystem::path(path)) {
      auto found = copy->tree().lookup(at, part.string());
      if (!found.ok()) return std::nullopt;
      at = found->ino;
    }
    auto inode = copy->tree().inode(at);
    auto extents = copy->tree().extents(at, 0, inode->size);
    if (!inode.ok() || !extents.ok()) return std::nullopt;
    Bytes result(inode->size);
    for (const Extent& extent : *extents) {
      auto chunk = copy->fetch().chunk(extent.chunk);
      if (!chunk.ok()) return std::nullopt;
      std::memcpy(result.data() + extent.offset, chunk->bytes.data() + extent.chunk_offset,
                  extent.length);
    }
    return result;
  }

  Result<SnapshotInfo> snapshot(const std::string& set_name, const std::string& name) {
    return copy->snapshotter().take(
        {SnapshotClass::kSet, copy->tree().set_named(set_name)->number, name}, at_once);
  }
  SetId set_id(const std::string& name) { return copy->tree().set_named(name)->row.id; }
  std::vector<std::string> names(const std::string& set_name) {
    std::vector<std::string> result;
    for (const SnapshotInfo& info : copy->history().snapshots_of(set_id(set_name))) {
      result.push_back(info.name);
    }
    return result;
  }
};

}  // namespace varve
