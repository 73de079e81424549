// Segments of packs here and elsewhere: which packs are missing, and what is read from other
// places in their stead.
#include <fmt/format.h>

#include "dedup/base/log.h"
#include "dedup/pack_store_state.h"

namespace varve {
namespace {

std::string far_reader_name(const Elsewhere::Place& place, const PackInfo& info) {
  return place.name + "/" + info.hash.hex();
}

}  // namespace

void PackStore::look_elsewhere(Elsewhere* elsewhere, Wanted wanted) {
  state_->elsewhere = elsewhere;
  state_->wanted = std::move(wanted);
}

bool PackStore::looks_elsewhere() const {
  return state_->elsewhere != nullptr && state_->elsewhere->has_places();
}

Result<std::shared_ptr<const DecodedSegment>> PackStore::read_segment(const PackId& pack,
                                                                      uint32_t segment,
                                                                      const SegmentRead& how) {
  Result<State::Segment> here = state_->read_here(pack, segment, how.naming);
  if (here.ok()) return here;
  if (here.error().code() == Errc::kNotFound) {  // a stale hint, no damage
    return std::move(here).error().with_context("pack " + pack.hex());
  }
  const std::optional<PackInfo> info = find(pack);
  const bool is_sought = info && (state_->wanted || is_held(pack));
  if (!is_sought || !looks_elsewhere()) return state_->report(pack, segment, here.error());
  state_->miss(*info, here.error());
  if (how.reach == Reach::kHere)
    return Error(Errc::kIo, fmt::format("pack {}: {}, and a remote is not asked for this",
                                        pack.hex(), here.error().message()));
  return state_->read_elsewhere(*info, segment, how.naming, here.error());
}

void PackStore::State::miss(const PackInfo& info, const Error& reason) {
  const std::string path = pack_path(info.pack_class, info.hash);
  const Result<bool> there = storage.exists(path);
  bool is_new = false;
  {
    std::lock_guard lock(mutex);
    readers.erase(info.pack);
    if (there.ok() && !*there && held.contains(info.pack)) {
      evicted.insert(info.pack);
      return;
    }
    if (there.ok() && !*there && !missing.contains(info.pack)) {
      lost.insert(info.pack);
      any_lost = true;
    }
    is_new = told_elsewhere.insert(info.pack).second;
  }
  if (is_new) {
    packs_elsewhere.add();
    log_warning(fmt::format("pack {} ({}): {}; it is read from a remote", info.pack.hex(), path,
                            reason.message().empty() ? "it is damaged" : reason.message()));
  }
  if (wanted) wanted(info);
}

Result<std::shared_ptr<PackReader>> PackStore::State::reader_at(const Elsewhere::Place& place,
                                                                const PackInfo& info) {
  const std::string name = far_reader_name(place, info);
  std::shared_ptr<const SegmentTable> table;
  {
    std::lock_guard lock(mutex);
    far_used = true;
    // One that was opened before the place's files were opened anew reads nothing any more.
    if (auto* known = far_readers.find(name); known != nullptr && known->files == place.files)
      return known->reader;
    if (auto* known = tables.find(info.pack)) table = *known;
  }
  auto opened = VARVE_TRY(PackReader::open(*place.files, keyring, info, table.get()));
  std::lock_guard lock(mutex);
  if (!table && !opened->was_walked()) tables.put(info.pack, opened->table());
  far_readers.put(name, {place.files, opened});
  return opened;
}

Result<PackStore::State::Segment> PackStore::State::read_elsewhere(const PackInfo& info,
                                                                   uint32_t segment, Naming naming,
                                                                   const Error& reason) {
  Result<Segment> got = reason;
  const Result<void> asked = elsewhere->ask(info, [&](const Elsewhere::Place& p) -> Result<void> {
    const std::shared_ptr<PackReader> from = VARVE_TRY(reader_at(p, info));
    got = from->read(segment, hasher, naming);
    // A stale hint: that the pack has no such segment says nothing of the place.
    if (got.ok() || got.error().code() == Errc::kNotFound) return {};
    std::lock_guard lock(mutex);
    far_readers.erase(far_reader_name(p, info));
    return got.error();
  });
  if (asked.ok()) {
    if (got.ok()) segments_decoded.add();
    if (got.ok()) segments_elsewhere.add();
    return got;
  }
  failures_elsewhere.add();
  if (asked.error().code() != Errc::kIo) return report(info.pack, segment, reason);
  return Error(
      Errc::kIo,
      fmt::format("pack {} ({}): {}; {}", info.pack.hex(), pack_path(info.pack_class, info.hash),
                  reason.message().empty() ? "it is damaged here" : reason.message(),
                  asked.error().message()));
}

void PackStore::hold(const std::vector<PackInfo>& packs) {
  std::lock_guard lock(state_->mutex);
  for (const PackInfo& info : packs) state_->held.insert(info.pack);
}

bool PackStore::is_held(const PackId& pack) const {
  std::lock_guard lock(state_->mutex);
  return state_->held.contains(pack);
}

void PackStore::evicted(const PackInfo& info) {
  std::lock_guard lock(state_->mutex);
  state_->evicted.insert(info.pack);
}

std::vector<PackInfo> PackStore::evicted_packs() const {
  std::lock_guard lock(state_->mutex);
  std::vector<PackInfo> packs;
  for (const PackId& pack : state_->evicted) {
    const auto found = state_->sealed.find(pack);
    if (found != state_->sealed.end()) packs.push_back(found->second);
  }
  return packs;
}

Result<void> PackStore::evict(const PackInfo& info) {
  if (!is_held(info.pack)) return Error(Errc::kInvalid, "pack " + info.pack.hex() + " is not held");
  evicted(info);
  Result<void> removed = state_->storage.unlink(pack_path(info.pack_class, info.hash));
  std::lock_guard lock(state_->mutex);
  state_->readers.erase(info.pack);  // its space is free once nobody has it open
  if (!removed.ok()) state_->evicted.erase(info.pack);
  return removed;
}

void PackStore::mended(const PackInfo& info) {
  std::lock_guard lock(state_->mutex);
  state_->evicted.erase(info.pack);
  state_->readers.erase(info.pack);
  state_->damaged.erase(info.pack);
  state_->told_elsewhere.erase(info.pack);
  state_->lost.erase(info.pack);
  state_->any_lost = !state_->lost.empty();
}

void PackStore::rest() {
  std::lock_guard lock(state_->mutex);
  if (!std::exchange(state_->far_used, false)) state_->far_readers.clear();
}

void PackStore::lost(const PackInfo& info) {
  {
    std::lock_guard lock(state_->mutex);
    state_->lost.insert(info.pack);
    state_->any_lost = true;
  }
  if (state_->wanted) state_->wanted(info);
}

bool PackStore::is_lost(const PackId& pack) const {
  if (!state_->any_lost) return false;
  std::lock_guard lock(state_->mutex);
  return state_->lost.contains(pack);
}

bool PackStore::is_missing(const PackId& pack) {
  const std::optional<PackInfo> info = find(pack);
  if (!info) return false;
  const Result<bool> there = state_->storage.exists(pack_path(info->pack_class, info->hash));
  if (!there.ok() || *there) return false;
  std::lock_guard lock(state_->mutex);
  state_->missing.insert(pack);
  return true;
}

std::vector<PackInfo> PackStore::take_returned() {
  std::set<PackId> gone;
  {
    std::lock_guard lock(state_->mutex);
    gone = state_->missing;
    gone.insert(state_->lost.begin(), state_->lost.end());
    gone.insert(state_->evicted.begin(), state_->evicted.end());
  }
  std::vector<PackInfo> returned;
  for (const PackId& pack : gone) {
    const std::optional<PackInfo> info = find(pack);
    if (info) {
      const Result<bool> there = state_->storage.exists(pack_path(info->pack_class, info->hash));
      if (!there.ok() || !*there) continue;
      returned.push_back(*info);
    }
    std::lock_guard lock(state_->mutex);
    state_->missing.erase(pack);
    state_->lost.erase(pack);
    state_->evicted.erase(pack);
    state_->damaged.erase(pack);
    state_->any_lost = !state_->lost.empty();
  }
  return returned;
}

}  // namespace varve
