// A Filesystem that keeps names, attributes and extended attributes in memory and throws data away:
// files read as zeros.
//
// What it costs is what the kernel's door costs. The same session, threads and negotiated flags as
// varve's. Any thread: one lock.
#pragma once

#include <map>
#include <mutex>
#include <unordered_map>

#include "fs/filesystem.h"

namespace varve {

class NullFilesystem : public Filesystem {
 public:
  struct Options {
    bool direct_io = false;  // bypass the page cache for every file
    double timeout_seconds = 3600;
  };
  explicit NullFilesystem(Options options);
  ~NullFilesystem() override;

  /// Nodes that exist, open and unlinked ones included.
  size_t nodes() const;
  /// Of the last write: whether it said append, and kill_privileges.
  WriteOptions last_write_options() const;
  /// How often an extended attribute was asked for.
  uint64_t xattr_reads() const;

  Result<Entry> lookup(Ino parent, std::string_view name) override;
  void forget(Ino node, uint64_t count) override;
  Result<Entry> get_attributes(Ino node, std::optional<uint64_t> handle) override;
  Result<Entry> set_attributes(Ino node, const SetAttributes& change,
                               std::optional<uint64_t> handle, const Caller& caller) override;
  Result<std::string> read_link(Ino node) override;
  Result<Entry> make_node(Ino parent, std::string_view name, mode_t mode, dev_t device,
                          std::string_view target, const Caller& caller) override;
  Result<Entry> link(Ino node, Ino new_parent, std::string_view new_name) override;
  Result<void> unlink(Ino parent, std::string_view name) override;
  Result<void> remove_directory(Ino parent, std::string_view name, const Caller& caller) override;
  Result<void> rename(Ino parent, std::string_view name, Ino new_parent, std::string_view new_name,
                      unsigned flags) override;
  Result<OpenFile> open(Ino node, int flags, bool kill_privileges, const Caller& caller) override;
  Result<Created> create(Ino parent, std::string_view name, mode_t mode, int flags,
                         const Caller& caller) override;
  Result<Created> create_unnamed(Ino parent, mode_t mode, int flags, const Caller& caller) override;
  Result<void> read(Ino node, uint64_t handle, uint64_t offset, size_t size,
                    const std::function<void(ByteView)>& reply) override;
  Result<size_t> write(Ino node, uint64_t handle, uint64_t offset, ByteView data,
                       WriteOptions options) override;
  Result<void> flush(Ino node, uint64_t handle) override;
  void release(Ino node, uint64_t handle) override;
  Result<void> sync(Ino node, uint64_t handle, bool data_only) override;
  Result<void> allocate(Ino node, uint64_t handle, int mode, uint64_t offset,
                        uint64_t length) override;
  Result<uint64_t> seek(Ino node, uint64_t handle, uint64_t offset, int whence) override;
  Result<size_t> copy_range(Ino from, uint64_t from_handle, uint64_t from_offset, Ino to,
                            uint64_t to_handle, uint64_t to_offset, size_t length) override;
  Result<OpenDirectory> open_directory(Ino node) override;
  Result<void> read_directory(Ino node, uint64_t handle, uint64_t cookie, bool attributes,
                              const std::function<bool(const DirectoryEntry&)>& visit) override;
  void release_directory(Ino node, uint64_t handle) override;
  Result<void> sync_directory(Ino node) override;
  Result<SpaceFigures> space() override;
  Result<void> set_xattr(Ino node, std::string_view name, std::string_view value, XattrFlags flags,
                         const Caller& caller) override;
  Result<std::string> get_xattr(Ino node, std::string_view name) override;
  Result<std::string> list_xattrs(Ino node, const Caller& caller) override;
  Result<void> remove_xattr(Ino node, std::string_view name, const Caller& caller) override;

 private:
  struct Node;
  Node* find(Ino node);
  Result<Node*> find_directory(Ino node);
  Entry entry_of(const Node& node) const;
  Result<Node*> add(Ino parent, std::string_view name, mode_t mode, const Caller& caller);
  Node& new_node(mode_t mode, const Caller& caller);
  void insert(Node& directory, std::string_view name, Ino child);
  Ino take_out(Node& directory, std::string_view name);
  void drop_link(Ino node);
  void drop_if_unused(Ino node);

  const Options options_;
  const Buffer zeros_;
  mutable std::mutex mutex_;
  std::unordered_map<Ino, std::unique_ptr<Node>> nodes_;
  Ino next_ino_ = kRootIno + 1;
  WriteOptions last_write_options_;
  uint64_t xattr_reads_ = 0;
};

}  // namespace varve
