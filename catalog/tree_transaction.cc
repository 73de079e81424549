#include "catalog/tree_transaction.h"

#include <vector>

namespace varve {

Result<std::optional<std::string>> TreeTransaction::get(std::string_view key) const {
  if (!batch_.empty()) {
    auto found = batch_.find(key);
    if (found != batch_.end()) return found->second;
  }
  return kv_.get(key);
}

Result<bool> TreeTransaction::has(std::string_view key) const {
  return VARVE_TRY(get(key)).has_value();
}

Result<void> TreeTransaction::scan(
    std::string_view from, std::string_view to,
    const std::function<bool(std::string_view, std::string_view)>& visit) const {
  auto own = batch_.lower_bound(from);
  auto own_end = from < to ? batch_.lower_bound(to) : own;
  if (own == own_end) return kv_.scan(from, to, visit);

  bool going = true;
  auto visit_own = [&] {
    if (own->second) going = visit(own->first, *own->second);
    ++own;
  };
  VARVE_TRY(kv_.scan(from, to, [&](std::string_view key, std::string_view value) {
    while (going && own != own_end && own->first < key) visit_own();
    if (going && own != own_end && own->first == key) {
      visit_own();
    } else if (going) {
      going = visit(key, value);
    }
    return going;
  }));
  while (going && own != own_end) visit_own();
  return {};
}

void TreeTransaction::put(std::string key, std::string value) {
  batch_.insert_or_assign(std::move(key), std::move(value));
}

void TreeTransaction::erase(std::string key) {
  batch_.insert_or_assign(std::move(key), std::nullopt);
}

Result<void> TreeTransaction::erase_if_there(std::string key) {
  if (VARVE_TRY(has(key))) erase(std::move(key));
  return {};
}

Result<size_t> TreeTransaction::erase_range(std::string_view from, std::string_view to,
                                            size_t rows_max) {
  std::vector<std::string> keys;
  if (rows_max == 0) return size_t{0};
  VARVE_TRY(scan(from, to, [&](std::string_view key, std::string_view) {
    keys.emplace_back(key);
    return keys.size() < rows_max;
  }));
  for (std::string& key : keys) erase(std::move(key));
  return keys.size();
}

void TreeTransaction::apply() {
  if (batch_.empty()) return;
  kv_.apply(std::move(batch_));
  batch_.clear();
}

}  // namespace varve
