// The answer to one request of the kernel: given exactly once.
//
// Made by the operation that got the request, used by one thread. An answer that is forgotten
// becomes EIO and an error line; a second answer is an error line and nothing else. Damage (EIO) is
// logged here, with the operation's name and the node.
#pragma once

#include <sys/stat.h>

#include "fs/filesystem.h"

struct fuse_req;

namespace varve {

struct stat stat_of(const Attributes& attributes);

class FuseReply {
 public:
  /// `operation` and `node` are for the log.
  FuseReply(fuse_req* request, const char* operation, Ino node);
  ~FuseReply();
  FuseReply(const FuseReply&) = delete;
  FuseReply& operator=(const FuseReply&) = delete;

  void error(const Error& error);
  void error_number(int number);
  /// Success without anything to say, or the error.
  void done(const Result<void>& result);
  /// For requests that want no answer.
  void none();

  /// The following are false if the kernel no longer waits: what the answer would have given to it
  /// (a reference, a handle) is then the caller's to take back.
  bool entry(const Entry& entry);
  bool created(const Filesystem::Created& created);
  bool opened(const OpenFile& file);
  bool opened_directory(const OpenDirectory& directory);

  void attributes(const Entry& entry);
  void link_target(const std::string& target);
  void data(ByteView bytes);
  void written(size_t count);
  void position(uint64_t offset);
  void space(const SpaceFigures& figures);
  /// An extended attribute or the list of their names, for a caller who has room for `room` bytes
  /// (0: asks how many).
  void xattr(std::string_view value, size_t room);

 private:
  bool claim();

  fuse_req* request_;
  const char* operation_;
  Ino node_;
  bool answered_ = false;
};

}  // namespace varve
