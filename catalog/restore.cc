#include "catalog/restore.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <unordered_map>

#include "catalog/kernel_types.h"
#include "catalog/restore_target.h"
#include "dedup/base/checksum.h"
#include "dedup/base/limits.h"

namespace varve {

namespace {

constexpr size_t kBlockBytes = 1 * kMiB;
constexpr size_t kExtentsAtOnce = 4096;  // of a file's, looked at together
// Files from this size on are read back from the disk itself.
constexpr uint64_t kUncachedBytes = 8 * kMiB;
constexpr size_t kOpenDirectoriesMax = 128;  // of the path to where the restore is
constexpr uint64_t kFilesPerProgress = 64;

Result<void> write_all(int fd, ByteView bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return error_from_errno(errno, "write");
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
  return {};
}

Result<size_t> read_all(int fd, ByteSpan out, uint64_t offset) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t length =
        ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return error_from_errno(errno, "read");
    if (length == 0) break;
    done += static_cast<size_t>(length);
  }
  return done;
}

/// What was written at a place, to be compared with what is read back.
struct WrittenBlock {
  uint64_t offset = 0;
  uint32_t length = 0;
  uint64_t check = 0;
};

/// A directory on the way from the top to where the restore is.
struct Frame {
  TreeEntry entry;
  std::string name;  // empty for the top
  std::optional<RestoreDirectory> directory;
  std::vector<std::string> below;  // directories in it that are still to come, last first
};

class Restorer {
 public:
  Restorer(SnapshotReader reader, const SnapshotInfo& snapshot, const std::string& target,
           const RestoreCallbacks& callbacks)
      : reader_(std::move(reader)),
        target_(target),
        callbacks_(callbacks),
        temporary_(".varve-restore-" + snapshot.hash.hex().substr(0, 16)) {}

  Result<RestoreFigures> run();

 private:
  Result<void> fill(Frame& frame);
  Result<void> descend(const std::string& name);
  Result<void> finish();
  Result<const RestoreDirectory*> directory_at(size_t depth);
  Result<RestoreDirectory> walk_to(const std::vector<std::string>& names) const;

  Result<void> restore_entry(const RestoreDirectory& in, const TreeEntry& entry);
  Result<bool> restore_link(const RestoreDirectory& in, const TreeEntry& entry);
  Result<void> restore_file(const RestoreDirectory& in, const TreeEntry& entry);
  Result<bool> is_there(const RestoreDirectory& in, const TreeEntry& entry);
  bool is_own(const struct stat& present, const TreeEntry& entry);
  Result<void> restore_node(const RestoreDirectory& in, const TreeEntry& entry);
  Result<std::vector<WrittenBlock>> write_content(int fd, const TreeEntry& entry);
  Result<void> write_range(int fd, const TreeEntry& entry, uint64_t from, uint64_t to,
                           std::vector<WrittenBlock>& written);
  Result<void> check_content(int fd, const TreeEntry& entry,
                             const std::vector<WrittenBlock>& written);

  std::vector<std::string> names() const;
  std::string path_of(std::string_view name) const;
  /// Names the failure and goes on; but a full disk ends the run.
  Result<void> note(Result<void> outcome, std::string_view name);

  SnapshotReader reader_;
  const std::string target_;
  const RestoreCallbacks& callbacks_;
  const std::string temporary_;
  RestoreFigures figures_;
  std::vector<Frame> frames_;
  /// Where the first name of a file with several was restored: directories, then the name.
  std::unordered_map<uint64_t, std::vector<std::string>> first_names_;
  /// Which file of the snapshot a file with several names, that was there before, is kept as.
  std::map<std::pair<dev_t, ino_t>, uint64_t> claimed_;
  Bytes block_ = Bytes(kBlockBytes), other_block_ = Bytes(kBlockBytes);
};

// The walk: one directory after the other, files first, then what is below; attributes of a
// directory when all in it is done.

Result<RestoreFigures> Restorer::run() {
  Frame top;
  top.entry = reader_.top();
  top.directory = VARVE_TRY(RestoreDirectory::open_root(target_));
  frames_.push_back(std::move(top));
  VARVE_TRY(note(fill(frames_.back()), ""));
  while (!frames_.empty()) {
    std::vector<std::string>& below = frames_.back().below;
    if (below.empty()) {
      VARVE_TRY(note(finish(), ""));
      if (frames_.size() == 1) break;
      frames_.pop_back();
      continue;
    }
    const std::string name = std::move(below.back());
    below.pop_back();
    VARVE_TRY(note(descend(name), name));
  }
  VARVE_TRY(frames_.front().directory->sync_filesystem());
  if (callbacks_.progress) callbacks_.progress(figures_);
  return figures_;
}

Result<void> Restorer::fill(Frame& frame) {
  figures_.files++;
  const auto visit = [&](TreeEntry& entry) -> Result<bool> {
    if (entry.type == FileType::kDirectory) {
      frame.below.push_back(entry.name);
      return true;
    }
    Result<void> restored = restore_entry(*frame.directory, entry);
    VARVE_TRY(note(std::move(restored), entry.name));
    return true;
  };
  // Links are resolved one by one, so that a damaged link table fails only what is in it.
  Result<void> listed = reader_.list(frame.entry, "", false, visit);
  std::reverse(frame.below.begin(), frame.below.end());
  return listed;
}

Result<void> Restorer::descend(const std::string& name) {
  Frame frame;
  frame.entry = VARVE_TRY(reader_.lookup(frames_.back().entry, name));
  frame.name = name;
  const RestoreDirectory* parent = VARVE_TRY(directory_at(frames_.size() - 1));
  frame.directory.emplace(VARVE_TRY(parent->enter(name)));
  frames_.push_back(std::move(frame));
  if (frames_.size() > kOpenDirectoriesMax) {
    // The top stays open: the way back begins there.
    const size_t far = frames_.size() - kOpenDirectoriesMax;
    if (far > 0) frames_[far].directory.reset();
  }
  return note(fill(frames_.back()), "");
}

Result<void> Restorer::finish() {
  const RestoreDirectory* directory = VARVE_TRY(directory_at(frames_.size() - 1));
  return directory->set_attributes("", frames_.back().entry);
}

Result<const RestoreDirectory*> Restorer::directory_at(size_t depth) {
  if (!frames_[depth].directory) {
    std::vector<std::string> way = names();
    way.resize(depth);
    frames_[depth].directory.emplace(VARVE_TRY(walk_to(way)));
  }
  return &*frames_[depth].directory;
}

Result<RestoreDirectory> Restorer::walk_to(const std::vector<std::string>& names) const {
  RestoreDirectory at = VARVE_TRY(frames_.front().directory->open("."));
  for (const std::string& name : names) at = VARVE_TRY(at.open(name));
  return at;
}

std::vector<std::string> Restorer::names() const {
  std::vector<std::string> result;
  for (size_t i = 1; i < frames_.size(); i++) result.push_back(frames_[i].name);
  return result;
}

std::string Restorer::path_of(std::string_view name) const {
  std::string path;
  for (const std::string& part : names()) path += (path.empty() ? "" : "/") + part;
  if (!name.empty()) path.append(path.empty() ? "" : "/").append(name);
  return path;
}

Result<void> Restorer::note(Result<void> outcome, std::string_view name) {
  if (callbacks_.progress && figures_.files % kFilesPerProgress == 0) {
    callbacks_.progress(figures_);
  }
  if (outcome.ok() || outcome.error().code() == Errc::kNoSpace) return outcome;
  figures_.failures++;
  if (callbacks_.failed) callbacks_.failed(path_of(name), outcome.error());
  return {};
}

// One name.

Result<void> Restorer::restore_entry(const RestoreDirectory& in, const TreeEntry& listed) {
  figures_.files++;
  TreeEntry entry = listed;
  if (listed.linked) {
    if (VARVE_TRY(restore_link(in, listed))) return {};
    entry = VARVE_TRY(reader_.lookup(frames_.back().entry, listed.name));
  }
  if (entry.type == FileType::kFile) {
    VARVE_TRY(restore_file(in, entry));
  } else {
    VARVE_TRY(restore_node(in, entry));
  }
  if (entry.linked) {
    std::vector<std::string> first = names();
    first.push_back(entry.name);
    first_names_.emplace(entry.number, std::move(first));
  }
  return {};
}

/// True if another name of the file was there to link to.
Result<bool> Restorer::restore_link(const RestoreDirectory& in, const TreeEntry& entry) {
  const auto first = first_names_.find(entry.number);
  if (first == first_names_.end()) return false;
  std::vector<std::string> way = first->second;
  const std::string name = way.back();
  way.pop_back();
  const RestoreDirectory from = VARVE_TRY(walk_to(way));
  const std::optional<struct stat> original = from.status(name);
  const std::optional<struct stat> present = in.status(entry.name);
  if (!original) return false;
  const bool same =
      present && present->st_ino == original->st_ino && present->st_dev == original->st_dev;
  if (same) return true;
  VARVE_TRY(in.link(from, name, temporary_));
  VARVE_TRY(in.rename(temporary_, entry.name));
  return true;
}

Result<void> Restorer::restore_file(const RestoreDirectory& in, const TreeEntry& entry) {
  if (VARVE_TRY(is_there(in, entry))) {
    figures_.kept++;
    return in.set_attributes(entry.name, entry);
  }
  const UniqueFd fd = VARVE_TRY(in.create_file(temporary_));
  const auto write_and_check = [&]() -> Result<void> {
    const std::vector<WrittenBlock> written = VARVE_TRY(write_content(fd.get(), entry));
    return check_content(fd.get(), entry, written);
  };
  Result<void> outcome = write_and_check();
  Result<void> attributes;
  if (outcome.ok()) {
    attributes = in.set_attributes(temporary_, entry);
    outcome = in.rename(temporary_, entry.name);
  }
  if (!outcome.ok()) in.remove(temporary_);
  if (!outcome.ok()) return outcome;
  return attributes;
}

/// Not a link to what is another file in the snapshot.
bool Restorer::is_own(const struct stat& present, const TreeEntry& entry) {
  if (!entry.linked) return false;
  const auto claimed = claimed_.try_emplace({present.st_dev, present.st_ino}, entry.number);
  return claimed.first->second == entry.number;
}

/// A regular file of that size and time is there, and has the snapshot's bytes.
Result<bool> Restorer::is_there(const RestoreDirectory& in, const TreeEntry& entry) {
  const std::optional<struct stat> present = in.status(entry.name);
  const Inode& wanted = entry.node.inode;
  if (!present || !S_ISREG(present->st_mode)) return false;
  if (static_cast<uint64_t>(present->st_size) != wanted.size) return false;
  if (nanoseconds_of(present->st_mtim) != wanted.mtime) return false;
  if (present->st_nlink > 1 && !is_own(*present, entry)) return false;
  const Result<UniqueFd> fd = in.open_file(entry.name);
  if (!fd.ok()) return false;
  for (uint64_t offset = 0; offset < wanted.size; offset += kBlockBytes) {
    const size_t length =
        static_cast<size_t>(std::min<uint64_t>(kBlockBytes, wanted.size - offset));
    const Result<size_t> here = read_all(fd->get(), ByteSpan(block_).first(length), offset);
    if (!here.ok() || *here != length) return false;
    const size_t read =
        VARVE_TRY(reader_.read(entry, offset, ByteSpan(other_block_).first(length)));
    if (read != length || std::memcmp(block_.data(), other_block_.data(), length) != 0) {
      return false;
    }
  }
  figures_.checked_bytes += wanted.size;
  return true;
}

Result<void> Restorer::restore_node(const RestoreDirectory& in, const TreeEntry& entry) {
  const std::optional<struct stat> present = in.status(entry.name);
  if (entry.type == FileType::kSymlink && present && S_ISLNK(present->st_mode)) {
    const Result<std::string> target = in.read_link(entry.name);
    if (target.ok() && *target == entry.node.target) return in.set_attributes(entry.name, entry);
  }
  VARVE_TRY(in.create_node(temporary_, entry));
  const Result<void> attributes = in.set_attributes(temporary_, entry);
  const Result<void> renamed = in.rename(temporary_, entry.name);
  if (!renamed.ok()) in.remove(temporary_);
  return renamed.ok() ? attributes : renamed;
}

// Content.

Result<std::vector<WrittenBlock>> Restorer::write_content(int fd, const TreeEntry& entry) {
  std::vector<WrittenBlock> written;
  const uint64_t size = entry.node.inode.size;
  for (uint64_t from = 0; from < size;) {
    const std::vector<HintedExtent> extents =
        VARVE_TRY(reader_.extents(entry, from, size, kExtentsAtOnce));
    for (size_t i = 0; i < extents.size();) {
      const uint64_t begin = std::max(from, extents[i].extent.offset);
      uint64_t end = begin;
      // Extents that touch are one range.
      for (; i < extents.size() && extents[i].extent.offset <= end; i++) {
        end = std::max(end, extents[i].extent.offset + extents[i].extent.length);
      }
      VARVE_TRY(write_range(fd, entry, begin, std::min(end, size), written));
    }
    if (extents.size() < kExtentsAtOnce) break;
    from = extents.back().extent.offset + extents.back().extent.length;
  }
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) return error_from_errno(errno, "truncate");
  return written;
}

Result<void> Restorer::write_range(int fd, const TreeEntry& entry, uint64_t from, uint64_t to,
                                   std::vector<WrittenBlock>& written) {
  for (uint64_t offset = from; offset < to; offset += kBlockBytes) {
    const size_t length = static_cast<size_t>(std::min<uint64_t>(kBlockBytes, to - offset));
    const ByteSpan bytes = ByteSpan(block_).first(length);
    if (VARVE_TRY(reader_.read(entry, offset, bytes)) != length) {
      return Error(Errc::kCorrupt, "the snapshot holds fewer bytes than the file's size");
    }
    VARVE_TRY(write_all(fd, bytes, offset));
    written.push_back({offset, static_cast<uint32_t>(length), xxh3(bytes)});
    figures_.written_bytes += length;
  }
  return {};
}

Result<void> Restorer::check_content(int fd, const TreeEntry& entry,
                                     const std::vector<WrittenBlock>& written) {
  if (entry.node.inode.size >= kUncachedBytes) {
    if (::fdatasync(fd) != 0) return error_from_errno(errno, "sync");
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  }
  for (const WrittenBlock& block : written) {
    const ByteSpan bytes = ByteSpan(block_).first(block.length);
    if (VARVE_TRY(read_all(fd, bytes, block.offset)) != block.length ||
        xxh3(bytes) != block.check) {
      return Error(Errc::kCorrupt,
                   "what was written reads back otherwise: the target's disk fails");
    }
    figures_.checked_bytes += block.length;
  }
  return {};
}

}  // namespace

Result<RestoreFigures> restore(StoreReader& store, const SnapshotInfo& snapshot, const SetId& set,
                               const std::string& target, const RestoreCallbacks& callbacks) {
  SnapshotReader reader = VARVE_TRY(store.snapshot(snapshot, set));
  return Restorer(std::move(reader), snapshot, target, callbacks).run();
}

}  // namespace varve
