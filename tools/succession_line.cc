#include "tools/succession_line.h"

#include "dedup/guard.h"
#include "dedup/succession.h"
#include "dedup/writer_head.h"

namespace varve {

Result<std::string> succession_line(const std::string& root, Storage& storage,
                                    const StoreConfig& config) {
  const GuardFound found = VARVE_TRY(read_guard(storage, root, config.store_id));
  const Guard guard = found.guard ? *found.guard : found.moved.value_or(Guard{});
  // A remote lives on without a writer, and a promotion that is under way settles this itself.
  if (guard.writer.is_zero() || guard.promoting) return std::string();
  std::vector<WriterId> mine{guard.writer};
  if (const auto head = VARVE_TRY(read_writer_head(storage))) {
    mine.push_back(head->writer);
    mine.insert(mine.end(), head->succeeded.begin(), head->succeeded.end());
  }
  // Where no record can be verified, others say why.
  const Result<std::vector<Promotion>> promotions = read_promotions(storage, config);
  if (!promotions.ok()) return std::string();
  const auto promotion = unsettled_promotion(*promotions, mine, guard.replica);
  return promotion ? what_succession_asks(root, *promotion) : std::string();
}

}  // namespace varve
