// An archive merged into a set, as `tar -x` would do it: names that are taken pass over to the
// files of the archive, directories that are there are kept and dressed, numeric owners count.
// Other than `tar -x`: no symlink is followed, an access list or owner that is not in the archive
// is not inherited, and a file appears under its name only when it is whole.
//
// Knows no FUSE: what the mount must do beside the live tree is asked of a Host. One thread.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "catalog/live_tree.h"
#include "catalog/number_set.h"
#include "catalog/tar_content.h"
#include "catalog/tar_reader.h"
#include "dedup/chunker.h"
#include "dedup/ingest.h"

namespace varve {

/// What the importing user may do: an administrator everything, others what they could do with the
/// files of their own.
struct ImportRights {
  bool administrator = false;
  uint32_t uid = 0, gid = 0;
};

class TarImport {
 public:
  /// What a mount does around an import. Called from the import's thread, without any lock.
  class Host {
   public:
    virtual ~Host() = default;
    /// Room for so many bytes of a chunk, and: so many turned out to be new.
    virtual Result<void> admit(uint64_t bytes) = 0;
    virtual void stored(uint64_t bytes) = 0;
    /// Runs `action`, a change of the tree, where changes are allowed.
    virtual Result<void> change(const std::function<Result<void>()>& action) = 0;
    /// Something of the file is not in the tree yet.
    virtual bool is_pending(Ino ino) = 0;
    /// The name leads to another file now, or to none; `lost` is the one that it led to.
    virtual void renamed(Ino directory, std::string_view name,
                         const std::optional<LiveEntry>& lost) = 0;
    /// The directory's attributes are others now.
    virtual void dressed(Ino directory) = 0;
  };
  struct Parts {
    LiveTree& tree;
    Ingest& ingest;
    const Chunker& chunker;
  };
  struct Options {
    Ino top = 0;           // the set's top directory
    bool replace = false;  // what the archive does not name is removed
    ImportRights rights;
    std::string name;  // of the set, for the log
    /// A file with more extents than that gets rows for them before it is whole, instead of memory.
    size_t extents_in_memory = 16384;
  };
  TarImport(Parts parts, Options options, Host& host, TarReader::Source source);
  ~TarImport();

  /// To the archive's end. Where it fails, or entries fail (a line each in the log, and kIo at the
  /// end), nothing is removed for the archive not naming it; what was imported stays.
  Result<void> run();

  struct Progress {
    uint64_t entries = 0, failed = 0, bytes = 0;
    std::string path;  // of the entry that is being imported
  };
  /// Any thread.
  Progress progress() const;

 private:
  struct Step {
    std::string name;
    Ino ino = 0;
  };
  using Path = std::vector<std::string_view>;

  Result<void> import(TarEntry& entry);
  Result<void> at_way(const std::function<Result<void>()>& action);
  Result<void> import_directory(const WholeFile& file, const Path& path);
  Result<void> import_link(const Path& target, const Path& path);
  Result<void> put(const WholeFile& file, const Path& path);
  /// Runs `put_there(mode)` and does what a new name asks for.
  using Put = std::function<Result<LiveTree::PutFile>(LiveTree::PutMode mode)>;
  Result<void> put_name(Ino directory, std::string_view name, const Put& put_there);
  Result<void> read_content(const TarEntry& entry, WholeFile& file);
  Result<void> grow(WholeFile& file, uint64_t from, uint64_t to);
  void drop_orphan();
  Result<WholeFile> whole(TarEntry& entry, std::string_view path);
  void drop_unusable_xattrs(TarEntry& entry);

  Result<Ino> directory_of(const Path& path);
  Result<Ino> enter(Ino directory, std::string_view name);
  Result<Inode> own_directory(Ino directory);
  Result<void> remove_unnamed();
  Result<void> remove_below(Ino directory, bool all);
  Result<void> remove(Ino directory, const Step& entry, bool is_directory);
  Result<void> change(const std::function<Result<void>()>& action) { return host_.change(action); }
  void trouble(std::string_view path, std::string_view what);

  Parts parts_;
  const Options options_;
  Host& host_;
  TarReader reader_;
  TarContent content_;
  std::vector<Step> way_;      // from the top to the directory that was used last
  NumberSet named_, dressed_;  // files that the archive names, and directories that it has dressed
  Ino orphan_ = 0;             // a large file on its way

  mutable std::mutex progress_mutex_;
  Progress progress_;
};

}  // namespace varve
