#include <algorithm>
#include <list>
#include <mutex>
#include <unordered_map>

#include "catalog/tree.h"

namespace varve {
namespace {

size_t memory_of(const TreeObject& object) {
  size_t bytes = sizeof object;
  for (const TreeRecord& record : object.records)
    bytes += sizeof record + record.key.capacity() + record.value.capacity() +
             record.references.capacity() * sizeof(HintedId);
  for (const TreeObject::Branch& branch : object.branches)
    bytes += sizeof branch + branch.first_key.capacity();
  return bytes;
}

// The last branch whose first key is <= `key`; 0 if there is none.
size_t branch_for(const TreeObject& object, std::string_view key) {
  auto behind = std::upper_bound(
      object.branches.begin(), object.branches.end(), key,
      [](std::string_view k, const TreeObject::Branch& branch) { return k < branch.first_key; });
  return behind == object.branches.begin()
             ? 0
             : static_cast<size_t>(behind - object.branches.begin()) - 1;
}

// Of an object that was decoded: it has a record or a branch at least.
std::string_view first_key(const TreeObject& object) {
  return object.level > 0 ? object.branches.front().first_key : object.records.front().key;
}
std::string_view last_key(const TreeObject& object) {
  return object.level > 0 ? object.branches.back().first_key : object.records.back().key;
}

// The first record whose key is >= `key`.
size_t record_from(const TreeObject& object, std::string_view key) {
  auto found =
      std::lower_bound(object.records.begin(), object.records.end(), key,
                       [](const TreeRecord& record, std::string_view k) { return record.key < k; });
  return static_cast<size_t>(found - object.records.begin());
}

}  // namespace

// Decoded objects, least recently used last.
struct TreeReader::Cache {
  struct Entry {
    ChunkId id;
    Object object;
    size_t bytes;
  };

  Object find(const ChunkId& id) {
    std::lock_guard lock(mutex);
    auto found = places.find(id);
    if (found == places.end()) return nullptr;
    entries.splice(entries.begin(), entries, found->second);
    return found->second->object;
  }

  void insert(const ChunkId& id, Object object) {
    size_t cost = memory_of(*object);
    std::lock_guard lock(mutex);
    if (places.contains(id)) return;
    entries.push_front({id, std::move(object), cost});
    places[id] = entries.begin();
    bytes += cost;
    while (bytes > limit && entries.size() > 1) {
      bytes -= entries.back().bytes;
      places.erase(entries.back().id);
      entries.pop_back();
    }
  }

  std::mutex mutex;
  std::list<Entry> entries;
  std::unordered_map<ChunkId, std::list<Entry>::iterator, IdHash> places;
  size_t bytes = 0, limit = 0;
};

namespace {

void fill_missing_hints(TreeObject& object, const ChunkPlace& place) {
  for (TreeRecord& record : object.records) {
    for (HintedId& reference : record.references) {
      if (!reference.hint) reference.hint = place;
    }
  }
  for (TreeObject::Branch& branch : object.branches) {
    if (!branch.child.hint) branch.child.hint = place;
  }
}

}  // namespace

TreeReader::TreeReader(Fetch& fetch, size_t cache_bytes, WithoutHint without_hint)
    : fetch_(&fetch), cache_(std::make_shared<Cache>()), without_hint_(without_hint) {
  cache_->limit = cache_bytes;
}

Result<TreeReader::Object> TreeReader::object(const TreeRef& ref) {
  if (Object kept = cache_->find(ref.id)) return kept;
  ChunkBytes item = VARVE_TRY(fetch_->chunk(ref.id, {.hint = ref.hint}));
  auto decoded = decode_tree_object(item.bytes);
  if (!decoded.ok()) return std::move(decoded).error().with_context("tree object " + ref.id.hex());
  if (without_hint_ == WithoutHint::kSameSegment && ref.hint)
    fill_missing_hints(*decoded, *ref.hint);
  Object object = std::make_shared<const TreeObject>(*std::move(decoded));
  cache_->insert(ref.id, object);
  return object;
}

Result<TreeReader::Object> TreeReader::child(const TreeObject& parent, size_t branch) {
  const HintedId& at = parent.branches[branch].child;
  Object result = VARVE_TRY(object({at.id, at.hint}));
  const bool in_order = first_key(*result) == parent.branches[branch].first_key &&
                        (branch + 1 == parent.branches.size() ||
                         last_key(*result) < parent.branches[branch + 1].first_key);
  if (result->kind != parent.kind || result->level + 1 != parent.level || !in_order)
    return Error(Errc::kCorrupt, "tree object " + at.id.hex() + " is not what its parent says");
  return result;
}

Result<TreeReader::Object> TreeReader::leaf(const TreeRef& root, std::string_view key) {
  Object at = VARVE_TRY(object(root));
  while (at->level > 0) at = VARVE_TRY(child(*at, branch_for(*at, key)));
  return at;
}

Result<std::optional<TreeRecord>> TreeReader::find(const TreeRef& root, std::string_view key) {
  Object at = VARVE_TRY(leaf(root, key));
  size_t index = record_from(*at, key);
  if (index == at->records.size() || at->records[index].key != key)
    return std::optional<TreeRecord>();
  return std::optional<TreeRecord>(at->records[index]);
}

Result<std::optional<TreeRecord>> TreeReader::find_at_or_before(const TreeRef& root,
                                                                std::string_view key) {
  // The leaf that the branches lead to begins with a key <= `key`, unless all keys are greater.
  Object at = VARVE_TRY(leaf(root, key));
  size_t index = record_from(*at, key);
  if (index < at->records.size() && at->records[index].key == key) index++;
  if (index == 0) return std::optional<TreeRecord>();
  return std::optional<TreeRecord>(at->records[index - 1]);
}

Result<void> TreeReader::scan(const TreeRef& root, std::string_view from,
                              const std::function<Result<bool>(const TreeRecord&)>& visit) {
  struct Step {
    Object object;
    size_t next;
  };
  std::vector<Step> path;
  std::string last;  // of the leaf before: it may lie below another branch of a branch above
  Object at = VARVE_TRY(object(root));
  size_t first = at->level > 0 ? branch_for(*at, from) : record_from(*at, from);
  path.push_back({std::move(at), first});
  while (!path.empty()) {
    Object here = path.back().object;
    if (here->level == 0) {
      if (!last.empty() && first_key(*here) <= last)
        return Error(Errc::kCorrupt, "tree object " + root.id.hex() + " is not in order");
      last = last_key(*here);
      for (size_t i = path.back().next; i < here->records.size(); i++)
        if (!VARVE_TRY(visit(here->records[i]))) return {};
      path.pop_back();
      continue;
    }
    size_t branch = path.back().next++;
    if (branch == here->branches.size()) {
      path.pop_back();
      continue;
    }
    if (branch + 1 < here->branches.size())
      fetch_->prefetch(here->branches[branch + 1].child.id, here->branches[branch + 1].child.hint);
    Object below = VARVE_TRY(child(*here, branch));
    // Only the first way down begins within objects: behind it every key is greater than `from`.
    size_t begin = below->level > 0 ? branch_for(*below, from) : record_from(*below, from);
    path.push_back({std::move(below), begin});
  }
  return {};
}

Result<uint64_t> TreeReader::count(const TreeRef& root) {
  Object at = VARVE_TRY(object(root));
  if (at->level == 0) return uint64_t{at->records.size()};
  uint64_t sum = 0;
  for (const TreeObject::Branch& branch : at->branches) sum += branch.records;
  return sum;
}

}  // namespace varve
