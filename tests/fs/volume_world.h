// What tests of the volume share: a mounted store without FUSE, and files by name in plain words.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include "fs/volume.h"
#include "tests/catalog/store_world.h"

namespace varve {

struct VolumeWorld : StoreWorld {
  std::unique_ptr<Volume> volume;
  Volume::Options options;
  const Caller root_user{0, 0, 1, 022};

  void mount() {
    if (!copy) open();
    options.dirty_bytes_max = 8 << 20;
    options.texts = {[] { return std::string("{}"); }, [] { return std::string("metrics"); }};
    volume = std::make_unique<Volume>(*copy, system_clock(), metrics, options);
  }
  void unmount() {
    auto closed =
        copy->finish([this](const Snapshotter::Moment& moment) { return volume->quiesce(moment); });
    ASSERT_TRUE(closed.ok()) << closed.error().message();
    volume.reset();
    copy.reset();
  }
  void kill() {
    volume.reset();
    copy.reset();
  }

  Ino directory_of(Ino parent, const std::string& name) {
    auto made = volume->make_node(parent, name, S_IFDIR | 0755, 0, "", root_user);
    EXPECT_TRUE(made.ok()) << name;
    return made.ok() ? made->attributes.ino : 0;
  }
  Ino find(Ino parent, const std::string& path) {
    size_t slash = path.find('/');
    auto found = volume->lookup(parent, path.substr(0, slash));
    if (!found.ok() || found->attributes.ino == 0) return 0;
    return slash == std::string::npos ? found->attributes.ino
                                      : find(found->attributes.ino, path.substr(slash + 1));
  }
  Filesystem::Created create(Ino parent, const std::string& name) {
    auto made = volume->create(parent, name, S_IFREG | 0644, O_RDWR, root_user);
    EXPECT_TRUE(made.ok()) << name;
    return *made;
  }
  void put(Ino parent, const std::string& name, const Bytes& bytes) {
    Filesystem::Created made = create(parent, name);
    write_all(made.entry.attributes.ino, made.file.handle, 0, bytes);
    volume->release(made.entry.attributes.ino, made.file.handle);
  }
  void write_all(Ino ino, uint64_t handle, uint64_t offset, ByteView bytes) {
    auto written = volume->write(ino, handle, offset, bytes, {});
    ASSERT_TRUE(written.ok()) << written.error().message();
    ASSERT_EQ(*written, bytes.size());
  }
  Bytes read_all(Ino ino) {
    auto opened = volume->open(ino, O_RDONLY, false, Caller{});
    EXPECT_TRUE(opened.ok());
    if (!opened.ok()) return {};
    Bytes result = read_range(ino, opened->handle, 0, SIZE_MAX / 2);
    volume->release(ino, opened->handle);
    return result;
  }
  Bytes read_range(Ino ino, uint64_t handle, uint64_t offset, size_t size) {
    Bytes result;
    auto done = volume->read(ino, handle, offset, size,
                             [&](ByteView bytes) { result.assign(bytes.begin(), bytes.end()); });
    EXPECT_TRUE(done.ok()) << (done.ok() ? "" : done.error().message());
    return result;
  }
  std::vector<std::string> names(Ino node, bool attributes = false) {
    auto opened = volume->open_directory(node);
    EXPECT_TRUE(opened.ok());
    std::vector<std::string> result;
    uint64_t cookie = 0;
    for (bool more = true; more;) {
      more = false;
      int room = 3;  // few at a time, as a small buffer of the kernel's
      auto listed = volume->read_directory(node, opened->handle, cookie, attributes,
                                           [&](const DirectoryEntry& entry) {
                                             if (room-- == 0) return false;
                                             if (entry.name != "." && entry.name != "..")
                                               result.emplace_back(entry.name);
                                             cookie = entry.next_cookie;
                                             return more = true;
                                           });
      EXPECT_TRUE(listed.ok());
    }
    volume->release_directory(node, opened->handle);
    std::sort(result.begin(), result.end());
    return result;
  }
};

}  // namespace varve
