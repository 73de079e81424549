// The filesystem without FUSE: live files over a WorkingCopy, dirty data, snapshots as directories,
// .varve.
//
// Any thread. Lock rules: docs/architecture.md. Cut by family: volume.cc (nodes), volume_names.cc,
// volume_attributes.cc, volume_files.cc, volume_ranges.cc (truncation, holes, clones),
// volume_directories.cc, volume_snapshots.cc, volume_tar.cc.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "catalog/working_copy.h"
#include "fs/barrier.h"
#include "fs/control_directory.h"
#include "fs/filesystem.h"
#include "fs/flusher.h"
#include "fs/handle_table.h"
#include "fs/lookup_counts.h"
#include "fs/open_files.h"
#include "fs/prefetcher.h"
#include "fs/snapshot_nodes.h"
#include "fs/space.h"
#include "fs/tar_exports.h"
#include "fs/tar_imports.h"

namespace varve {

struct CollectFigures;

/// What an off_t can say.
inline constexpr uint64_t kFileBytesMax = INT64_MAX;

class Volume final : public Filesystem {
 public:
  struct Options {
    uint64_t dirty_bytes_max = uint64_t{128} << 20;
    size_t flush_threads = 2;  // 0: who asks for a flush does it
    bool append_only_snapshots = false;
    bool read_only = false;  // the kernel refuses changes of files; here, of snapshots
    ControlDirectory::Texts texts;
  };
  /// Releases what earlier mounts left without a name.
  Volume(WorkingCopy& working_copy, Clock& clock, Metrics& metrics, Options options);
  /// As after a crash: what was not flushed is lost, and a log line says so.
  ~Volume() override;

  // For the daemon.
  /// Everything written before the call becomes durable.
  Result<void> sync_all();
  /// Calls `moment` while everything that was written is in the tree, and nothing changes.
  Result<void> quiesce(const Snapshotter::Moment& moment);
  /// `set_name` empty: the whole mount; `name` empty: a UTC name. kNotFound, kExists, kInvalid.
  Result<SnapshotInfo> take_snapshot(std::string_view set_name, std::string_view name);
  Result<void> drop_snapshot(std::string_view set_name, std::string_view name);
  /// Gives back the space of what nothing needs any more, while all else goes on.
  Result<CollectFigures> collect(bool dry_run);
  /// Takes a checkpoint if something changed since the last one; true if it did.
  Result<bool> checkpoint();
  /// The name of the snapshot that was taken of the state before.
  Result<std::string> revert(std::string_view set_name, std::string_view name);
  /// The history changed by another door than this mount's: the kernel looks again.
  void snapshots_changed();
  /// Tells the kernel what changed behind its back; nullptr (the default): nobody is told.
  void set_kernel_cache(KernelCache* cache) { kernel_cache_ = cache; }
  Flusher& flusher() { return flusher_; }
  bool is_read_only() const { return options_.read_only; }
  /// kPermission where nobody may remove snapshots.
  Result<void> check_snapshots_removable() const;
  /// By another door than drop_snapshot: the kernel forgets it.
  void snapshot_removed(const SnapshotInfo& snapshot);
  struct Figures {
    uint64_t dirty_bytes = 0, dirty_bytes_max = 0, states = 0, known_nodes = 0, snapshot_nodes = 0;
  };
  Figures figures() const;
  std::vector<TarImports::Figures> imports() const { return imports_.figures(); }
  /// From now on every change, and every snapshot, is kReadOnly; what was written before goes its
  /// way. Any thread.
  void close_to_changes() { closed_to_changes_ = true; }
  /// kReadOnly, saying why, where nothing may be published: a read-only mount, a store that was
  /// succeeded.
  Result<void> check_history_writable() const;
  /// Interrupts imports, and lets none begin: before the end.
  void end_imports() { imports_.end_all(); }

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
  using Shared = std::shared_lock<Barrier>;
  /// What a program has open.
  struct Handle {
    FileRef live;
    std::shared_ptr<SnapshotNodes::File> snapshot;
    std::string text;  // of .varve's files, as of the open
    std::shared_ptr<TarImports::Import> import;
    std::shared_ptr<TarArchive> archive;
    bool writes = false;
    std::mutex mutex;  // guards prefetcher; a leaf
    Prefetcher prefetcher;
  };
  struct DirectoryHandle {
    SnapshotNodes::Position position;
    std::vector<ControlDirectory::Listed> listed;  // of .varve's directories, as of the open
  };

  // Nodes.
  Attributes attributes_of(Ino ino, const Inode& inode);
  Entry entry_of(const LiveEntry& live);
  Entry known_entry(const LiveEntry& live);
  Result<void> check_name(Ino parent, std::string_view name) const;
  bool names_control(Ino parent, std::string_view name) const;
  void lost_name(const LiveEntry& file);
  Result<void> flush_before_replacing(Ino parent, std::string_view name, Ino new_parent,
                                      std::string_view new_name);
  void release_orphan(Ino ino);
  void discard(FileState& file);
  void tell_unstored();
  std::string describe(Ino ino);
  /// The error with the file's path; the session logs it.
  Error read_error(Ino ino, Error error);

  // Content.
  Result<void> load(FileState& file);
  void touch(FileState& file);
  Result<void> admit(uint64_t bytes, FileState* file);
  Result<void> admit_name();
  Result<void> admit_removal();
  Result<void> drain();
  uint64_t outstanding_bytes();
  Result<void> wait_for_room();
  void start_flushing(FileRef file);
  Result<void> drop_privileges(FileState& file, bool kill_privileges);
  Result<void> drop_setgid(Ino node);
  std::optional<Error> take_error(FileState& file);
  Result<void> resize(FileState& file, uint64_t size);
  Result<void> resize_locked(FileState& file, uint64_t size);
  Result<void> make_hole(FileState& file, FileRange range, bool keep_size);
  Result<void> clone(FileState& from, uint64_t from_offset, FileState& to, uint64_t to_offset,
                     uint64_t length);
  Result<std::shared_ptr<Handle>> handle_of(uint64_t handle, bool writes) const;
  Result<OpenFile> open_live(Ino node, bool writes);
  Result<Created> opened(const LiveEntry& live, int flags);
  Result<void> read_live(Handle& handle, uint64_t offset, size_t size,
                         const std::function<void(ByteView)>& reply);
  void prefetch(Ino ino, FileRange range);
  Result<void> list_live(Ino node, uint64_t cookie, bool attributes,
                         const std::function<bool(const DirectoryEntry&)>& visit);
  Result<bool> visit_live(const LiveTree::Listed& listed, bool attributes,
                          const std::function<bool(const DirectoryEntry&)>& visit);
  AttributeChange attribute_change(const Inode& inode, const SetAttributes& change,
                                   const Caller& caller);

  // The tar door.
  class ImportHost;
  Result<OpenFile> open_control(Ino node, bool writes, const Caller& caller);
  Result<OpenFile> open_import(const ControlDirectory::ImportDoor& door, const Caller& caller);
  Result<OpenFile> open_archive(std::shared_ptr<TarArchive> archive, const Caller& caller);
  Result<std::shared_ptr<TarArchive>> live_archive(const SetId& set);
  Result<void> read_archive(TarArchive& archive, uint64_t offset, size_t size,
                            const std::function<void(ByteView)>& reply);
  Result<size_t> write_import(uint64_t handle, uint64_t offset, ByteView data,
                              const WriteOptions& options);

  // Snapshots.
  Result<SnapshotInfo> take(const SetId& set, std::string_view name);
  Result<SetId> set_id(std::string_view set_name);
  Result<void> check_open_to_changes() const;
  Result<void> drop(const SetId& set, std::string_view name);
  void forget_content(uint32_t set);
  Result<bool> changed_since_snapshot(uint32_t set);
  Result<bool> revert_unchanged(uint32_t set, const SnapshotInfo& snapshot);

  WorkingCopy& working_copy_;
  LiveTree& tree_;
  Clock& clock_;
  Options options_;
  KernelCache* kernel_cache_ = nullptr;
  Metric &reads_, &read_bytes_, &writes_, &written_bytes_, &read_failures_;

  // One snapshot, checkpoint or revert at a time; before all other locks.
  std::mutex collect_mutex_;  // one collection at a time; taken before all others
  std::mutex history_mutex_;
  Barrier barrier_;
  std::atomic<bool> closed_to_changes_{false};
  LookupCounts counts_;
  DirtyBudget budget_;
  OpenFiles files_;
  Flusher flusher_;
  Space space_;
  SnapshotNodes snapshots_;
  TarExports exports_;
  ControlDirectory control_;
  HandleTable<Handle> handles_;
  HandleTable<DirectoryHandle> directory_handles_;

  std::mutex described_mutex_;  // a leaf but for describe(): guards the path of the last file that
                                // could not be read
  Ino described_ = 0;
  std::string description_;

  TarImports imports_;  // goes first: its threads use the rest
};

}  // namespace varve
