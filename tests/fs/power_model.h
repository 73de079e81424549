// What a store must show after a power cut: all states that it may come back in, by what was
// promised (docs/durability.md), kept beside a run of the real thing.
//
// An operation is told to the model before the store does it, so that a cut in the midst of it may
// show it done or not; what it promises is told when it has returned.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catalog/inode.h"
#include "dedup/base/bytes.h"

namespace varve {

/// A file as it was found, by its path.
struct FoundFile {
  FileType type = FileType::kFile;
  Ino ino = 0;
  Bytes content;  // of a symlink: its target
};
using FoundTree = std::map<std::string, FoundFile>;

/// "" if both hold the same, else what differs first. Inode numbers are left out.
std::string difference(const FoundTree& expected, const FoundTree& found);

/// Where the live tree may be taken from when local/ is lost.
struct ModelPoint {
  enum class Kind { kCheckpoint, kMount, kSet } kind = Kind::kCheckpoint;
  std::string set;
  std::optional<std::string> name;  // nullopt: varve chooses it
  FoundTree tree;                   // paths from the root, of a set's snapshot from the set
  bool returned = false;            // it is promised
  bool dropping = false, dropped = false;
};

class PowerModel {
 public:
  // Changes; `path`s are from the root.
  void make_directory(const std::string& path) { add_name(path, FileType::kDirectory, {}); }
  void make_file(const std::string& path) { add_name(path, FileType::kFile, {}); }
  void make_symlink(const std::string& path, const std::string& target);
  void link(const std::string& from, const std::string& to);
  void remove(const std::string& path);
  void rename(const std::string& from, const std::string& to);
  void write(const std::string& path, size_t offset, const Bytes& bytes);
  void truncate(const std::string& path, size_t size);
  void punch(const std::string& path, size_t from, size_t to);
  void clone(const std::string& from, const std::string& to);
  /// The set's live tree becomes that of the snapshot.
  void revert(const std::string& set, const std::string& name);
  /// Its data is in the tree; the next commit has it.
  void flushed(const std::string& path);
  void flushed_all();

  // Promises.
  void promise_names() { required_ = states_.size() - 1; }
  void promise_file(const std::string& path);
  void promise_all();

  // History.
  size_t begin_point(ModelPoint::Kind kind, const std::string& set,
                     std::optional<std::string> name);
  void end_point(size_t point, const std::string& name);
  void begin_drop(const std::string& set, const std::string& name);
  void end_drop(const std::string& set, const std::string& name);

  /// What programs see now.
  FoundTree visible() const;
  bool has(const std::string& path) const { return states_.back().contains(path); }
  /// Whether both are names of one file, or one name.
  bool is_same(const std::string& a, const std::string& b) const;
  const std::vector<ModelPoint>& points() const { return points_; }
  /// Every content that any file had, once each.
  std::vector<Bytes> contents() const;

  /// "" if the store may look so after a cut at this moment, else why not.
  std::string check_live(const FoundTree& found) const;
  struct FoundSnapshot {
    std::string set;  // "": of the whole mount
    std::string name;
    FoundTree tree;
  };
  std::string check_snapshots(const std::vector<FoundSnapshot>& found) const;
  /// The same for a live tree that was rebuilt after the loss of local/.
  std::string check_rebuilt(const FoundTree& found) const;

  /// What was found is what is, from now on.
  void rebase(const FoundTree& live, const std::vector<FoundSnapshot>& snapshots);

 private:
  struct File {
    Bytes visible, in_tree;
    std::vector<Bytes> versions;  // that a crash may show, oldest first
    size_t promised = 0;          // the first of them that it still may
  };
  struct Name {
    FileType type = FileType::kFile;
    size_t file = 0;   // the same for links
    size_t since = 0;  // the version that the name came with at least
  };
  using Names = std::map<std::string, Name>;

  void add_name(const std::string& path, FileType type, const Bytes& content);
  Names& next_state();
  File& file_at(const std::string& path) { return files_[states_.back().at(path).file]; }
  void changed(File& file);
  std::string check_state(const Names& names, const FoundTree& found) const;
  FoundTree tree_of(const std::string& set) const;
  ModelPoint* point_of(const std::string& set, const std::string& name);

  std::vector<File> files_;
  std::vector<Names> states_{Names{}};
  size_t required_ = 0;
  std::vector<ModelPoint> points_;
};

}  // namespace varve
