#include "dedup/pack_mender.h"

#include <fmt/format.h>

#include "dedup/base/checksum.h"
#include "dedup/base/disk_reserve.h"
#include "dedup/base/log.h"
#include "dedup/quarantine.h"
#include "dedup/scrub.h"

namespace varve {
namespace {

// Asked for at once: a line's time is then paid once for all of it.
constexpr size_t kCopiedAtOnceBytes = 4 * kMiB;

std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

StoreFile file_of(const PackInfo& pack) {
  const bool data = pack.pack_class == PackClass::kData;
  return {data ? FileClass::kPack : FileClass::kCatalogPack, pack.hash};
}

}  // namespace

PackMender::PackMender(Storage& storage, Elsewhere& elsewhere, Executor& executor, Metrics& metrics,
                       Mended mended)
    : storage_(storage),
      elsewhere_(elsewhere),
      executor_(executor),
      mended_(std::move(mended)),
      mended_packs_(metrics.counter("varve_mended_packs_total",
                                    "Packs put back in their place from a remote")),
      mended_bytes_(
          metrics.counter("varve_mended_bytes_total", "Bytes of packs put back in their place")) {}

void PackMender::want(const PackInfo& pack) {
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || !known_.insert(pack.hash).second) return;
    wanted_.push_back(pack);
    if (std::exchange(working_, true)) return;
  }
  executor_.run([this] { work(); });
}

void PackMender::try_again() {
  {
    std::lock_guard lock(mutex_);
    if (stopped_ || waiting_.empty()) return;
    wanted_.insert(wanted_.end(), waiting_.begin(), waiting_.end());
    waiting_.clear();
    if (std::exchange(working_, true)) return;
  }
  executor_.run([this] { work(); });
}

void PackMender::stop() {
  std::lock_guard lock(mutex_);
  stopped_ = true;
}

bool PackMender::stopped() {
  std::lock_guard lock(mutex_);
  return stopped_;
}

void PackMender::work() {
  for (;;) {
    PackInfo pack;
    {
      std::lock_guard lock(mutex_);
      working_ = !stopped_ && !wanted_.empty();
      if (!working_) return;
      pack = wanted_.front();
      wanted_.pop_front();
    }
    settle(pack, mend(pack));
  }
}

void PackMender::settle(const PackInfo& pack, const Result<void>& done) {
  const std::string path = pack_path(pack.pack_class, pack.hash);
  if (done.ok()) {
    {
      std::lock_guard lock(mutex_);
      known_.erase(pack.hash);
      told_.erase(pack.hash);
    }
    return mended_(pack);
  }
  const Errc code = done.error().code();
  const bool nowhere = code == Errc::kNotFound || code == Errc::kCorrupt;
  bool is_new = false;
  {
    std::lock_guard lock(mutex_);
    if (stopped_) return;
    is_new = told_.insert(pack.hash).second;
    if (!nowhere) waiting_.push_back(pack);
  }
  if (nowhere) {
    log_error(fmt::format("{}: no remote has a whole copy: {}", path, done.error().message()));
  } else if (is_new) {
    log_warning(fmt::format("{} cannot be healed now, and is tried again: {}", path,
                            done.error().message()));
  }
}

Result<void> PackMender::mend(const PackInfo& pack) {
  // Somebody else may have brought it.
  if (hash_store_file(storage_, file_of(pack)).ok()) return {};
  const StorageSpace space = VARVE_TRY(storage_.space());
  if (space.available < pack.length + disk_reserve_bytes(space.total))
    return Error(Errc::kNoSpace, "the store's disk has no room for it");
  const std::string path = pack_path(pack.pack_class, pack.hash), folder = folder_of(path);
  const std::string temporary = folder + "/.tmp-mend-" + pack.hash.hex();
  VARVE_TRY(storage_.make_directories(folder));
  std::string from;
  const Result<void> copied = elsewhere_.ask(pack, [&](const Elsewhere::Place& place) {
    from = place.name;
    return copy(pack, place, temporary);
  });
  const Result<void> done = copied.ok() ? put(pack, temporary) : copied;
  if (!done.ok()) {
    (void)storage_.unlink(temporary);  // the first error counts
    return done;
  }
  mended_packs_.add();
  mended_bytes_.add(pack.length);
  log_info(fmt::format("{} is healed from {}", path, from));
  return {};
}

Result<void> PackMender::copy(const PackInfo& pack, const Elsewhere::Place& from,
                              const std::string& temporary) {
  const std::string path = pack_path(pack.pack_class, pack.hash);
  const auto source = VARVE_TRY(from.files->open_read(path));
  if (VARVE_TRY(source->length()) != pack.length)
    return Error(Errc::kCorrupt, from.name + ": " + path + " has another length");
  if (VARVE_TRY(storage_.exists(temporary))) VARVE_TRY(storage_.unlink(temporary));
  const auto target = VARVE_TRY(storage_.create(temporary));
  Sha256 hash;
  Buffer piece(std::min<uint64_t>(kCopiedAtOnceBytes, pack.length));
  for (uint64_t offset = 0; offset < pack.length;) {
    if (stopped()) return Error(Errc::kInterrupted, "the mount is ending");
    const size_t wanted = std::min<uint64_t>(piece.size(), pack.length - offset);
    const size_t count = VARVE_TRY(source->read_at(offset, piece.span().first(wanted)));
    if (count != wanted) return Error(Errc::kCorrupt, from.name + ": " + path + " is cut off");
    hash.update(piece.view().first(count));
    VARVE_TRY(target->write_at(offset, piece.view().first(count)));
    offset += count;
  }
  if (hash.finish() != pack.hash)
    return Error(Errc::kCorrupt, from.name + ": " + path + " does not hash to its name");
  return target->sync();
}

Result<void> PackMender::put(const PackInfo& pack, const std::string& temporary) {
  const std::string path = pack_path(pack.pack_class, pack.hash);
  if (VARVE_TRY(move_to_quarantine(storage_, path)))
    log_warning(path + " is damaged; it is moved to " + kQuarantineFolder);
  VARVE_TRY(storage_.rename(temporary, path));
  return storage_.sync_dir(folder_of(path));
}

}  // namespace varve
