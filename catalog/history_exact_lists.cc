// Exact lists, which collection publishes: what they say is in catalog/snapshot_needs.
#include <algorithm>

#include "catalog/history_state.h"

namespace varve {

Result<std::vector<FileHash>> History::State::exact_lists_of(const FileHash& snapshot) {
  std::vector<std::pair<uint64_t, FileHash>> found;
  for (const FileHash& list : lists) {
    const Result<const ListNode*> node = list_node(list);
    if (!node.ok() && node.error().code() == Errc::kIo) return node.error();
    if (node.ok() && (*node)->snapshots.contains(snapshot))
      found.emplace_back((*node)->sequence, list);
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<FileHash> result;
  for (const auto& [sequence, list] : found) result.push_back(list);
  return result;
}

void History::State::remove_superseded_exact_lists(const FileHash& newest) {
  const std::set<FileHash> named = list_nodes[newest].snapshots;
  std::vector<FileHash> superseded;
  for (const FileHash& list : lists) {
    const auto node = list_node(list);
    if (!node.ok() || list == newest || (*node)->snapshots.empty()) continue;
    const WriterId& by = (*node)->writer;
    if (by != writer && std::find(succeeded.begin(), succeeded.end(), by) == succeeded.end())
      continue;
    const auto is_left = [&](const FileHash& snapshot) {
      return snapshots.contains(snapshot) && !named.contains(snapshot);
    };
    if (!std::any_of((*node)->snapshots.begin(), (*node)->snapshots.end(), is_left))
      superseded.push_back(list);
  }
  tidy_lists(std::move(superseded), {});
}

// The public face.

Result<std::vector<FileHash>> History::exact_lists_of(const FileHash& snapshot) const {
  std::lock_guard lock(state_->mutex);
  return state_->exact_lists_of(snapshot);
}

Result<FileHash> History::publish_exact_list(PackList list) {
  std::lock_guard lock(state_->mutex);
  State& state = *state_;
  list.exact = true;
  list.depth = 0;
  list.bases.clear();
  VARVE_TRY(state.announce(1));
  const FileHash hash = VARVE_TRY(
      state.publish({HistoryKind::kList, encode_pack_list(list), {}, false, state.clock.now()}));
  state.lists.insert(hash);
  state.list_nodes[hash] = {
      0, {}, state.highest_sequence, state.writer, {list.snapshots.begin(), list.snapshots.end()}};
  state.remove_superseded_exact_lists(hash);
  return hash;
}

void History::let_go_lists(const std::vector<FileHash>& lists) {
  std::function<std::vector<FileHash>()> keep;
  {
    std::lock_guard lock(state_->mutex);
    keep = state_->keep_lists;
  }
  const std::vector<FileHash> kept = keep ? keep() : std::vector<FileHash>();

  std::lock_guard lock(state_->mutex);
  std::erase_if(state_->newest_born, [&](const auto& born) {
    return std::find(lists.begin(), lists.end(), born.second) != lists.end();
  });
  state_->tidy_lists(lists, kept);
}

}  // namespace varve
