#include "fs/tar_imports.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

// Between the writer and the import's thread.
constexpr size_t kStreamBytes = 8 * kMiB;
// A write that waits keeps one of the session's threads; others must be left for what imports
// themselves wait for.
constexpr size_t kImportsMax = 4;
constexpr auto kLastCloseWait = std::chrono::seconds(10);

}  // namespace

TarImports::Import::Import(WorkingCopy& working_copy, const TarImport::Options& options,
                           std::unique_ptr<Host> host)
    : working_copy_(working_copy),
      options_(options),
      host_(std::move(host)),
      stream_(kStreamBytes),
      import_({working_copy.tree(), working_copy.ingest(), working_copy.chunker()}, options, *host_,
              [this] { return stream_.next(); }) {
  thread_ = std::thread([this] { run(); });
}

TarImports::Import::~Import() {
  stream_.abort();
  if (thread_.joinable()) thread_.join();
}

void TarImports::Import::run() {
  Result<void> outcome = import_.run();
  // What is whole stays, also of an archive that is not.
  Result<void> committed = working_copy_.committer().commit();
  if (outcome.ok()) outcome = std::move(committed);
  host_->finished();
  const TarImport::Progress done = import_.progress();
  if (outcome.ok()) {
    log_info(fmt::format("import into {}: {} entries, {} bytes", options_.name, done.entries,
                         done.bytes));
  } else {
    log_error(fmt::format("import into {} failed: {}", options_.name, outcome.error().message()));
  }
  stream_.done(std::move(outcome));
}

Result<void> TarImports::Import::write(uint64_t offset, ByteView bytes) {
  std::lock_guard lock(write_mutex_);
  closed_ = false;
  if (offset != stream_.written())
    return Error(Errc::kInvalid, "an archive is written from its beginning to its end");
  return stream_.write(bytes);
}

Result<void> TarImports::Import::append(ByteView bytes) {
  std::lock_guard lock(write_mutex_);
  closed_ = false;
  return stream_.write(bytes);
}

Result<void> TarImports::Import::settle() {
  if (stream_.written() == 0) return {};
  const TarStream::Standing standing = stream_.wait_for_reader();
  closed_ = true;
  if (standing.done) return standing.outcome;
  return Error(Errc::kIo, "closed before the archive's end had come");
}

TarImports::~TarImports() {
  end_all();
}

Result<std::shared_ptr<TarImports::Import>> TarImports::begin(const LiveTree::Set& set,
                                                              bool replace,
                                                              const ImportRights& rights,
                                                              std::unique_ptr<Host> host) {
  TarImport::Options options;
  options.top = make_ino(set.number, kTopNumber);
  options.replace = replace;
  options.rights = rights;
  options.name = set.row.name;
  std::unique_lock lock(mutex_);
  const auto earlier = [&] {
    const auto found = std::find_if(imports_.begin(), imports_.end(), [&](const auto& import) {
      return import->options_.top == options.top;
    });
    return found == imports_.end() ? nullptr : found->get();
  };
  ended_.wait_for(lock, kLastCloseWait, [&] {
    const Import* before = earlier();
    return over_ || before == nullptr || !before->closed_;
  });
  if (over_ || imports_.size() >= kImportsMax || earlier() != nullptr) return Errc::kBusy;
  std::shared_ptr<Import> import(new Import(working_copy_, options, std::move(host)));
  imports_.push_back(import);
  return import;
}

void TarImports::end(const std::shared_ptr<Import>& import) {
  import->stream_.end();
  if (import->thread_.joinable()) import->thread_.join();
  {
    std::lock_guard lock(mutex_);
    std::erase(imports_, import);
  }
  ended_.notify_all();
}

void TarImports::end_all() {
  std::vector<std::shared_ptr<Import>> going;
  {
    std::lock_guard lock(mutex_);
    over_ = true;
    going = std::exchange(imports_, {});
  }
  ended_.notify_all();
  for (const std::shared_ptr<Import>& import : going) {
    import->stream_.abort();
    if (import->thread_.joinable()) import->thread_.join();
  }
}

std::vector<TarImports::Figures> TarImports::figures() const {
  std::vector<Figures> result;
  std::lock_guard lock(mutex_);
  for (const std::shared_ptr<Import>& import : imports_) {
    result.push_back({import->options_.name, import->options_.replace, import->stream_.written(),
                      import->import_.progress()});
  }
  return result;
}

}  // namespace varve
