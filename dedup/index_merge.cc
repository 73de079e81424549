#include "dedup/index_merge.h"

#include <algorithm>

namespace varve {
namespace {

constexpr uint64_t kBucketsAtOnce = 1024;

/// The rows of one run in order, those of packs that stay.
class RunCursor {
 public:
  RunCursor(const MergedPart& part, size_t number) : part_(&part), number_(number) {}

  /// False at the end.
  Result<bool> next() {
    do {
      if (at_ == rows_.size() && !VARVE_TRY(load())) return false;
      row_ = rows_[at_++];
      row_.pack = part_->packs[row_.pack];
    } while (row_.pack == kNoPack);
    return true;
  }
  const ChunkRow& row() const { return row_; }
  size_t number() const { return number_; }

 private:
  Result<bool> load() {
    rows_.clear();
    at_ = 0;
    for (; rows_.empty() && bucket_ < part_->run->buckets(); bucket_ += kBucketsAtOnce) {
      VARVE_TRY(part_->run->read_buckets(bucket_, kBucketsAtOnce, rows_));
    }
    return !rows_.empty();
  }

  const MergedPart* part_;
  size_t number_;
  std::vector<ChunkRow> rows_;
  size_t at_ = 0;
  uint64_t bucket_ = 0;
  ChunkRow row_;
};

}  // namespace

Result<void> merge_runs(const std::vector<MergedPart>& parts, IndexRunWriter& writer,
                        const std::function<void(size_t part, const Error&)>& damaged) {
  std::vector<RunCursor> cursors;
  const auto advance = [&](RunCursor& cursor) {
    Result<bool> more = cursor.next();
    if (!more.ok() && more.error().code() == Errc::kCorrupt) damaged(cursor.number(), more.error());
    return more;
  };
  for (size_t i = 0; i < parts.size(); i++) {
    RunCursor cursor(parts[i], i);
    if (VARVE_TRY(advance(cursor))) cursors.push_back(std::move(cursor));
  }
  while (!cursors.empty()) {
    // Of equal keys the newest run's comes first.
    size_t least = 0;
    for (size_t i = 1; i < cursors.size(); i++) {
      if (cursors[i].row().key < cursors[least].row().key) least = i;
    }
    VARVE_TRY(writer.add(cursors[least].row()));
    if (VARVE_TRY(advance(cursors[least]))) continue;
    cursors.erase(cursors.begin() + static_cast<ptrdiff_t>(least));
  }
  return {};
}

}  // namespace varve
