// Archives on their way into sets: import.tar and import-replace.tar. Each import has a thread,
// which parses and merges; whoever writes to the file feeds it.
//
//   open --> bytes --write--> TarStream --> thread: TarImport, commit --> outcome --> write, close
//
// The archive's own end is the end of the import: a close before it may be that of a copy of the
// descriptor, and ends nothing; it is told kIo if there were bytes. The last close ends the stream.
// Any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "catalog/tar_import.h"
#include "catalog/tar_stream.h"
#include "catalog/working_copy.h"
#include "dedup/base/clock.h"

namespace varve {

class TarImports {
 public:
  /// What the import's thread does around it; given up when the import is done, and told so.
  class Host : public TarImport::Host {
   public:
    virtual void finished() = 0;
  };
  explicit TarImports(WorkingCopy& working_copy) : working_copy_(working_copy) {}
  /// No import goes on.
  ~TarImports();

  class Import {
   public:
    ~Import();
    /// `offset` must be where the last write ended.
    Result<void> write(uint64_t offset, ByteView bytes);
    /// As write, wherever that is.
    Result<void> append(ByteView bytes);
    /// A descriptor is closed, or synced: everything that came so far is imported, and durable if
    /// the archive has ended. kIo if it has not; but nothing before the first byte.
    Result<void> settle();

   private:
    friend class TarImports;
    Import(WorkingCopy& working_copy, const TarImport::Options& options,
           std::unique_ptr<Host> host);
    void run();

    WorkingCopy& working_copy_;
    const TarImport::Options options_;
    const std::unique_ptr<Host> host_;
    TarStream stream_;
    TarImport import_;
    std::mutex write_mutex_;  // one write after the other
    std::thread thread_;
    /// And nothing came since: that was the last close, most likely.
    std::atomic<bool> closed_{false};
  };

  /// kBusy while there is one into that set, or there are four, or they are over. One whose file
  /// was closed is waited for: the kernel tells of the last close some time after close(2).
  Result<std::shared_ptr<Import>> begin(const LiveTree::Set& set, bool replace,
                                        const ImportRights& rights, std::unique_ptr<Host> host);
  /// The last close; waits for the thread. Of a whole archive's import nothing is left to do.
  void end(const std::shared_ptr<Import>& import);
  /// Interrupts what goes on, and lets nothing begin.
  void end_all();

  struct Figures {
    std::string set;
    bool replace = false;
    uint64_t received_bytes = 0;
    TarImport::Progress progress;
  };
  std::vector<Figures> figures() const;

 private:
  WorkingCopy& working_copy_;
  mutable std::mutex mutex_;  // guards what follows; a leaf
  std::condition_variable ended_;
  std::vector<std::shared_ptr<Import>> imports_;
  bool over_ = false;
};

}  // namespace varve
