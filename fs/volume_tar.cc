// The tar door: archives written into sets, snapshots read as archives.
#include <fcntl.h>

#include <algorithm>
#include <set>
#include <shared_mutex>

#include "fs/volume.h"

namespace varve {
namespace {

constexpr size_t kChangedDirectoriesMax = 1024;  // whose attributes the kernel is told of together

}  // namespace

/// What an import does to this volume beside the tree.
class Volume::ImportHost final : public TarImports::Host {
 public:
  explicit ImportHost(Volume& volume) : volume_(volume) {}

  Result<void> admit(uint64_t bytes) override { return volume_.admit(bytes, &account_); }
  void stored(uint64_t bytes) override { account_.stored_bytes += bytes; }

  Result<void> change(const std::function<Result<void>()>& action) override {
    VARVE_TRY(volume_.admit_name());
    Shared shared(volume_.barrier_);
    return action();
  }

  bool is_pending(Ino ino) override {
    FileRef file = volume_.files_.find(ino);
    if (!file) return false;
    std::lock_guard lock(file->mutex);
    return file->pending();
  }

  void renamed(Ino directory, std::string_view name,
               const std::optional<LiveEntry>& lost) override {
    if (volume_.kernel_cache_ && volume_.counts_.knows(directory)) {
      volume_.kernel_cache_->invalidate_entry(directory, name);
      dressed(directory);
    }
    if (!lost) return;
    if (lost->inode.links > 0) dressed(lost->ino);
    volume_.lost_name(*lost);
  }

  void dressed(Ino ino) override {
    changed_.insert(ino);
    if (changed_.size() >= kChangedDirectoriesMax) tell();
  }

  void finished() override { tell(); }

 private:
  void tell() {
    for (Ino ino : std::exchange(changed_, {}))
      if (volume_.kernel_cache_ && volume_.counts_.knows(ino))
        volume_.kernel_cache_->invalidate_node(ino);
  }

  Volume& volume_;
  FileState account_{0};  // on a full disk the whole archive may try as one file may
  std::set<Ino> changed_;
};

Result<OpenFile> Volume::open_import(const ControlDirectory::ImportDoor& door,
                                     const Caller& caller) {
  VARVE_TRY(check_history_writable());
  ImportRights rights;
  rights.administrator = caller.uid == 0;
  rights.uid = caller.uid;
  rights.gid = caller.gid;
  auto handle = std::make_shared<Handle>();
  handle->import = VARVE_TRY(
      imports_.begin(door.set, door.replace, rights, std::make_unique<ImportHost>(*this)));
  OpenFile file;
  file.direct_io = true;
  file.handle = handles_.add(std::move(handle));
  return file;
}

/// An archive shows files whatever their permissions: to an administrator, or to whom all of them
/// belong.
Result<OpenFile> Volume::open_archive(std::shared_ptr<TarArchive> archive, const Caller& caller) {
  if (caller.uid != 0 && !archive->belongs_to(caller.uid))
    return Error(Errc::kAccess, "there are others' files in the archive");
  auto handle = std::make_shared<Handle>();
  handle->archive = std::move(archive);
  OpenFile file;
  file.no_flush = true;
  file.handle = handles_.add(std::move(handle));
  return file;
}

/// Of what is in the set now: as a checkpoint has it, taken if something changed since the last.
Result<std::shared_ptr<TarArchive>> Volume::live_archive(const SetId& set) {
  if (!options_.read_only) {
    VARVE_TRY(flusher_.flush_all());
    VARVE_TRY(checkpoint());
  } else if (working_copy_.snapshotter().checkpoint_due()) {
    return Error(Errc::kReadOnly, "live.tar needs a checkpoint, which a read-only mount takes not");
  }
  const std::vector<SnapshotInfo> checkpoints = working_copy_.history().checkpoints();
  const auto own = std::find_if(checkpoints.begin(), checkpoints.end(), [&](const auto& one) {
    return one.writer == working_copy_.history().writer();
  });
  if (own != checkpoints.end()) return exports_.of_checkpoint(*own, set);
  if (checkpoints.empty()) return Error(Errc::kNotFound, "there is no checkpoint");
  return exports_.of_checkpoint(checkpoints.front(), set);
}

Result<void> Volume::read_archive(TarArchive& archive, uint64_t offset, size_t size,
                                  const std::function<void(ByteView)>& reply) {
  Buffer out(size);
  out.shrink(VARVE_TRY(archive.read(offset, out.span())));
  reply(out.view());
  return {};
}

Result<size_t> Volume::write_import(uint64_t number, uint64_t offset, ByteView data,
                                    const WriteOptions& options) {
  std::shared_ptr<Handle> handle = VARVE_TRY(handle_of(number, false));
  if (!handle->import) return Errc::kBadHandle;
  if (options.append) {
    VARVE_TRY(handle->import->append(data));
  } else {
    VARVE_TRY(handle->import->write(offset, data));
  }
  return data.size();
}

}  // namespace varve
