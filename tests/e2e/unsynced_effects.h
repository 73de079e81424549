// What a directory tree would lose if its machine's power went now: writes that no fsync of the
// file, and changes of names that no fsync of the directory, has made durable.
//
// Changes are made at once and noted here with what was before; lose() takes the latest of them
// back, as many as chance says. One thread at a time.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace varve {

class UnsyncedEffects {
 public:
  /// Before `length` bytes at `offset` of the open file `fd` change; or, with length 0, before it
  /// is truncated to `offset`.
  void note_write(int fd, off_t offset, size_t length);
  /// The contents of that file are durable.
  void synced(int fd);

  /// A name in `directory` has changed; `take_back` makes it as it was.
  void note_name(const std::string& directory, std::function<void()> take_back);
  /// The names in that directory are durable.
  void synced_directory(const std::string& directory);

  /// Takes back a suffix of what is not durable, of each file's writes and of the names. How much
  /// is told.
  std::string lose(uint64_t seed);

 private:
  struct Descriptor;
  struct Write {
    off_t offset;
    std::vector<char> before;
    off_t length_before;
  };
  struct File {
    std::shared_ptr<Descriptor> descriptor;
    std::vector<Write> writes;
  };
  struct Name {
    std::string directory;
    std::function<void()> take_back;
  };
  static void take_back(int fd, const Write& write);

  std::map<ino_t, File> files_;
  std::vector<Name> names_;
};

}  // namespace varve
