#include "catalog/lazy_packs.h"

#include <algorithm>

#include "catalog/index_bundles.h"
#include "dedup/base/log.h"
#include "dedup/base/parallel.h"

namespace varve {

namespace {

/// Half as many places are kept at least: some 64 MiB.
constexpr size_t kNotesMax = size_t{1} << 19;
constexpr size_t kMisleadingMax = size_t{1} << 16;
constexpr size_t kListsAtOnceMax = 64, kListsGrowth = 8;

bool is_passing(const Error& error) {
  return error.code() == Errc::kIo;
}

Error still_looking() {
  return {Errc::kIo, "many indexes must be read to find it: not all of them were yet"};
}

}  // namespace

LazyPacks::LazyPacks(const History& history, PackStore& packs, Executor& readers,
                     std::unique_ptr<ChunkIndex> read, std::chrono::milliseconds patience)
    : history_(history),
      packs_(packs),
      readers_(readers),
      read_(std::move(read)),
      patience_(patience) {
  for (const PackId& pack : read_->packs_on_disk()) indexed_.insert(pack);
  packs_.ask([this](const PackId& pack) {
    std::lock_guard lock(lists_mutex_);
    return find_pack(pack);
  });
}

void LazyPacks::expect(const FileHash& list, const SetId& set) {
  std::lock_guard lock(lists_mutex_);
  if (!met_.insert(list).second) return;
  lists_.push_front(list);
  expected_set_ = set;
  lists_at_once_ = 1;
}

// Places that trees name.

void LazyPacks::note(const ChunkId& id, const ChunkPlace& place) {
  std::lock_guard lock(notes_mutex_);
  if (notes_.size() >= kNotesMax) older_notes_ = std::exchange(notes_, {});
  notes_.insert_or_assign(id, place);
}

std::optional<ChunkPlace> LazyPacks::noted(const ChunkId& id) {
  std::lock_guard lock(notes_mutex_);
  for (const Notes* notes : {&notes_, &older_notes_}) {
    const auto found = notes->find(id);
    if (found != notes->end()) return found->second;
  }
  return std::nullopt;
}

void LazyPacks::disappointed(const ChunkId& id, const ChunkPlace& place) {
  std::lock_guard lock(notes_mutex_);
  if (misleading_.size() >= kMisleadingMax) misleading_.clear();
  misleading_.emplace(id, place.pack);
}

bool LazyPacks::is_misleading(const ChunkId& id, const ChunkPlace& place) {
  std::lock_guard lock(notes_mutex_);
  return misleading_.contains({id, place.pack});
}

// Lists.

void LazyPacks::add_rows(const std::vector<PackInfo>& rows) {
  for (const PackInfo& info : rows) {
    if (!known_.insert(info.pack).second) continue;
    packs_.add(info);
    (info.pack_class == PackClass::kCatalog ? catalogs_ : data_).push_back(info);
  }
}

std::vector<FileHash> LazyPacks::next_lists() {
  const size_t count_max = lists_at_once_;
  std::vector<FileHash> next;
  while (!lists_.empty() && next.size() < count_max) {
    next.push_back(lists_.front());
    lists_.pop_front();
  }
  const auto add = [&](const std::vector<FileHash>& lists) {
    for (const FileHash& list : lists) {
      if (next.size() == count_max) return;
      if (met_.insert(list).second) next.push_back(list);
    }
  };
  if (count_max > 1 || next.empty()) add(history_.lists_of(expected_set_));
  if (next.empty()) add(history_.lists());
  return next;
}

Result<bool> LazyPacks::read_next_lists() {
  const std::vector<FileHash> next = next_lists();
  if (next.empty()) return false;
  lists_at_once_ = std::min(lists_at_once_ * kListsGrowth, kListsAtOnceMax);
  std::vector<Result<PackList>> read(next.size(), Errc::kIo);
  run_parallel(readers_, next.size(), [&](size_t i) { read[i] = history_.list(next[i]); });
  std::optional<Error> passing;
  for (size_t i = next.size(); i-- > 0;) {
    if (!read[i].ok() && is_passing(read[i].error())) {
      passing = read[i].error();
      lists_.push_front(next[i]);
    } else if (!read[i].ok()) {
      log_warning(read[i].error().message() + "; packs are looked up in all other lists");
    } else {
      add_rows(read[i]->rows);
      for (const FileHash& base : read[i]->bases) {
        if (met_.insert(base).second) lists_.push_front(base);
      }
    }
  }
  if (passing) return *passing;
  return true;
}

Result<void> LazyPacks::find_pack(const PackId& pack) {
  while (!known_.contains(pack)) {
    const Result<bool> read = read_next_lists();
    if (!read.ok() && !known_.contains(pack)) return read.error();
    if (read.ok() && !*read) return {};
  }
  return {};
}

// Indexes.

Result<void> LazyPacks::read_index(const PackInfo& info) {
  if (indexed_.contains(info.pack)) return {};
  const Result<PackIndex> content = packs_.readable_index(info.pack);
  if (!content.ok() && is_passing(content.error())) return content.error();
  indexed_.insert(info.pack);
  if (content.ok()) {
    read_->add_pack(info.pack, *content);
  } else {
    log_warning(pack_path(info.pack_class, info.hash) + ": " + content.error().message());
  }
  return {};
}

Result<void> LazyPacks::read_bundles(const PackInfo& info) {
  const Result<void> visited = visit_bundles(info, packs_, [&](const IndexBundle& bundle) {
    const std::optional<PackInfo> listed = packs_.find(bundle.header.pack);
    if (!listed || listed->hash != bundle.info.hash) return;
    if (indexed_.insert(listed->pack).second) read_->add_pack(listed->pack, bundle.index);
  });
  if (!visited.ok() && is_passing(visited.error())) return visited;
  if (!visited.ok()) {
    log_warning(pack_path(info.pack_class, info.hash) + ": " + visited.error().message());
  }
  return {};
}

Result<void> LazyPacks::read_met_lists() {
  std::lock_guard lock(lists_mutex_);
  while (!lists_.empty()) VARVE_TRY(read_next_lists());
  return {};
}

Result<bool> LazyPacks::read_more_lists() {
  std::lock_guard lock(lists_mutex_);
  return read_next_lists();
}

std::optional<PackInfo> LazyPacks::front_of(const std::deque<PackInfo>& packs) {
  std::lock_guard lock(lists_mutex_);
  if (packs.empty()) return std::nullopt;
  return packs.front();
}

void LazyPacks::pop_front_of(std::deque<PackInfo>& packs) {
  std::lock_guard lock(lists_mutex_);
  packs.pop_front();
}

Result<bool> LazyPacks::read_next_index() {
  std::optional<PackInfo> catalog = front_of(catalogs_);
  if (!catalog) {
    // Without them nobody could say that a bundle's pack is the one that is listed.
    VARVE_TRY(read_met_lists());
    catalog = front_of(catalogs_);
  }
  if (catalog) {
    VARVE_TRY(read_index(*catalog));
    bundles_.push_back(*catalog);
    pop_front_of(catalogs_);
  } else if (!bundles_.empty()) {
    VARVE_TRY(read_bundles(bundles_.front()));
    bundles_.pop_front();
  } else if (const std::optional<PackInfo> data = front_of(data_)) {
    VARVE_TRY(read_index(*data));
    pop_front_of(data_);
  } else {
    return false;
  }
  return true;
}

Result<std::optional<ChunkPlace>> LazyPacks::find_in_indexes(const ChunkId& id,
                                                             Clock::time_point end) {
  for (;;) {
    std::optional<ChunkPlace> place = VARVE_TRY(read_->find(id));
    if (place && !is_misleading(id, *place)) return place;
    if (Clock::now() >= end) return still_looking();
    if (VARVE_TRY(read_next_index())) continue;
    if (!VARVE_TRY(read_more_lists())) return place;
  }
}

/// Where nothing else has the chunk, a place that was wrong may be whole again.
Result<std::optional<ChunkPlace>> LazyPacks::find(const ChunkId& id) {
  const std::optional<ChunkPlace> hint = noted(id);
  if (hint && !is_misleading(id, *hint)) return hint;
  const Clock::time_point end = Clock::now() + patience_;
  std::unique_lock lock(index_mutex_, end);
  if (!lock.owns_lock()) return still_looking();
  std::optional<ChunkPlace> place = VARVE_TRY(find_in_indexes(id, end));
  return place ? place : hint;
}

void LazyPacks::add_pack(const PackId& pack, const PackIndex& index) {
  std::lock_guard lock(index_mutex_);
  indexed_.insert(pack);
  read_->add_pack(pack, index);
}

Result<void> LazyPacks::add_packs(const std::vector<SealedPack>& packs) {
  for (const SealedPack& sealed : packs) add_pack(sealed.pack, sealed.index);
  return {};
}

void LazyPacks::remove_pack(const PackId& pack) {
  std::lock_guard lock(index_mutex_);
  indexed_.erase(pack);
  read_->remove_pack(pack);
}

}  // namespace varve
