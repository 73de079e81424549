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

/// Of equal keys the newest run's row comes first.
bool comes_before(const RunCursor* a, const RunCursor* b) {
  if (a->row().key == b->row().key) return a->number() < b->number();
  return a->row().key < b->row().key;
}

/// The heap's first has another row, or is another: it sinks to its place.
void sink_first(std::vector<RunCursor*>& heap) {
  size_t at = 0;
  for (size_t child = 1; child < heap.size(); child = 2 * at + 1) {
    if (child + 1 < heap.size() && comes_before(heap[child + 1], heap[child])) child++;
    if (comes_before(heap[at], heap[child])) return;
    std::swap(heap[at], heap[child]);
    at = child;
  }
}

}  // namespace

Result<void> merge_runs(const std::vector<MergedPart>& parts, IndexRunWriter& writer,
                        const std::function<void(size_t part, const Error&)>& damaged) {
  const auto advance = [&](RunCursor& cursor) {
    Result<bool> more = cursor.next();
    if (!more.ok() && more.error().code() == Errc::kCorrupt) damaged(cursor.number(), more.error());
    return more;
  };
  std::vector<RunCursor> cursors;
  for (size_t i = 0; i < parts.size(); i++) cursors.emplace_back(parts[i], i);
  std::vector<RunCursor*> heap;
  for (RunCursor& cursor : cursors) {
    if (VARVE_TRY(advance(cursor))) heap.push_back(&cursor);
  }
  std::sort(heap.begin(), heap.end(), comes_before);
  while (!heap.empty()) {
    VARVE_TRY(writer.add(heap.front()->row()));
    if (!VARVE_TRY(advance(*heap.front()))) {
      heap.front() = heap.back();
      heap.pop_back();
    }
    sink_first(heap);
  }
  return {};
}

}  // namespace varve
