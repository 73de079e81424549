#include "replicator/whole_lists.h"

#include <algorithm>

namespace varve {

bool WholeLists::is_whole(const FileHash& list) {
  std::vector<FileHash> bases_first;
  history_.add_with_bases(list, met_, bases_first);
  for (const FileHash& one : bases_first) {
    const PackList& content = history_.lists().at(one).content;
    whole_[one] = is_there_({FileClass::kList, one}) &&
                  std::all_of(content.bases.begin(), content.bases.end(),
                              [&](const FileHash& base) {
                                const auto known = whole_.find(base);
                                return known != whole_.end() && known->second;
                              }) &&
                  std::all_of(content.rows.begin(), content.rows.end(),
                              [&](const PackInfo& row) { return is_there_(file_of_pack(row)); });
  }
  const auto known = whole_.find(list);
  return known != whole_.end() && known->second;
}

std::optional<FileHash> WholeLists::newest_whole_list(const CarriedSnapshot& snapshot) {
  std::vector<std::pair<uint64_t, FileHash>> newest_first;
  for (const FileHash& exact : history_.exact_lists_of(snapshot.hash))
    newest_first.emplace_back(history_.lists().at(exact).sequence, exact);
  std::sort(newest_first.rbegin(), newest_first.rend());
  for (const auto& [sequence, exact] : newest_first) {
    const auto rows = rows_needed_by(history_.lists().at(exact).content, snapshot.hash);
    const bool all_there = std::all_of(rows.begin(), rows.end(), [&](const PackInfo& row) {
      return is_there_(file_of_pack(row));
    });
    if (all_there && is_there_({FileClass::kList, exact})) return exact;
  }
  // An exact list is newer than the one that a snapshot in it was born with.
  if (is_whole(snapshot.header.list)) return snapshot.header.list;
  return std::nullopt;
}

}  // namespace varve
