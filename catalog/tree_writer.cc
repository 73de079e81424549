#include "catalog/tree.h"
#include "dedup/base/checksum.h"
#include "dedup/base/limits.h"

namespace varve {
namespace {

// Where objects end. Keys choose: one in `mean` of them begins a new object; the other limits only
// bound what a run of unlucky keys can do.
struct CutRule {
  size_t count_min, mean, count_max;
};
constexpr CutRule kCutFew{16, 128, 1024};   // names, links, branches
constexpr CutRule kCutMany{64, 512, 4096};  // extents
constexpr size_t kCutBytes = 256 * kKiB;
// What a reference may take in the hints: a pack id, its number and a segment.
constexpr size_t kHintBytes = 24;

static_assert(kRecordBytesMax + kCutBytes < kObjectBytesMax);

const CutRule& rule_for(TreeKind kind, size_t level) {
  return kind == TreeKind::kExtents && level == 0 ? kCutMany : kCutFew;
}

bool begins_object(std::string_view key, size_t level, size_t mean) {
  return (xxh3(as_bytes(key), level) & (mean - 1)) == 0;
}

size_t cost_of(const TreeRecord& record) {
  return record.key.size() + record.value.size() + kHintBytes * record.references.size();
}

size_t cost_of(const TreeObject::Branch& branch) {
  return branch.first_key.size() + ChunkId::kSize + kHintBytes;
}

}  // namespace

struct TreeWriter::State {
  // The object of one level that is being filled.
  struct Level {
    TreeObject object;
    size_t bytes = 0;
    uint64_t records = 0;  // at level 0, below
    bool emitted = false;  // some object of this level was written before
    size_t count() const { return object.records.size() + object.branches.size(); }
  };

  State(Ingest& ingest_to, ChunkIndex& index_of, TreeKind kind_of)
      : ingest(ingest_to),
        index(index_of),
        kind(kind_of),
        stream(ingest.open_stream(SegmentType::kTree, Ingest::Access::kRandom)) {}

  Level& level(size_t number) {
    while (levels.size() <= number) {
      levels.emplace_back();
      levels.back().object.kind = kind;
      levels.back().object.level = static_cast<uint8_t>(levels.size() - 1);
    }
    return levels[number];
  }

  bool must_cut(const Level& at, size_t number, std::string_view key, size_t cost) const {
    const CutRule& rule = rule_for(kind, number);
    size_t count = at.count();
    if (count == 0) return false;
    if (at.bytes + cost > kCutBytes || count >= rule.count_max) return true;
    return count >= rule.count_min && begins_object(key, number, rule.mean);
  }

  Result<void> add_record(TreeRecord record) {
    if (level(0).count() > 0 && record.key <= last_key)
      return Error(Errc::kInvalid, "a tree's keys do not ascend");
    size_t cost = cost_of(record);
    if (record.key.size() + record.value.size() > kRecordBytesMax)
      return Error(Errc::kTooLarge, "a file's extended attributes are larger than " +
                                        std::to_string(kRecordBytesMax / kKiB) +
                                        " KiB together and fit no snapshot");
    if (must_cut(level(0), 0, record.key, cost)) VARVE_TRY(emit(0));
    last_key = record.key;
    Level& at = level(0);
    at.bytes += cost;
    at.records++;
    at.object.records.push_back(std::move(record));
    return {};
  }

  Result<void> add_branch(size_t number, TreeObject::Branch branch) {
    if (number > kTreeLevelMax) return Error(Errc::kTooLarge, "a tree has too many levels");
    size_t cost = cost_of(branch);
    if (must_cut(level(number), number, branch.first_key, cost)) VARVE_TRY(emit(number));
    Level& at = level(number);
    at.bytes += cost;
    at.records += branch.records;
    at.object.branches.push_back(std::move(branch));
    return {};
  }

  Result<void> refer(HintedId& reference) {
    if (!reference.hint) reference.hint = VARVE_TRY(index.find(reference.id));
    if (callback) callback(reference.id, reference.hint);
    return {};
  }

  // Writes the object of that level; the level begins anew.
  Result<TreeObject::Branch> write(size_t number) {
    Level& at = levels[number];
    for (TreeRecord& record : at.object.records)
      for (HintedId& reference : record.references) VARVE_TRY(refer(reference));
    for (TreeObject::Branch& branch : at.object.branches) VARVE_TRY(refer(branch.child));
    Bytes item = encode_tree_object(at.object);
    if (item.size() > kObjectBytesMax)
      return Error(Errc::kTooLarge, "a tree object is larger than objects may be");
    Ingest::Put put = VARVE_TRY(ingest.put(*stream, item));
    if (callback) callback(put.id, std::nullopt);
    TreeObject::Branch branch;
    branch.first_key =
        number == 0 ? at.object.records.front().key : at.object.branches.front().first_key;
    branch.child.id = put.id;
    branch.records = at.records;
    at.object.records.clear();
    at.object.branches.clear();
    at.bytes = 0;
    at.records = 0;
    at.emitted = true;
    return branch;
  }

  Result<void> emit(size_t number) {
    TreeObject::Branch branch = VARVE_TRY(write(number));
    return add_branch(number + 1, std::move(branch));
  }

  Ingest& ingest;
  ChunkIndex& index;
  TreeKind kind;
  std::unique_ptr<Ingest::Stream> stream;
  References callback;
  std::vector<Level> levels;
  std::string last_key;
};

TreeWriter::TreeWriter(Ingest& ingest, ChunkIndex& index, TreeKind kind)
    : state_(std::make_unique<State>(ingest, index, kind)) {}

TreeWriter::~TreeWriter() = default;
TreeWriter::TreeWriter(TreeWriter&&) noexcept = default;
TreeWriter& TreeWriter::operator=(TreeWriter&&) noexcept = default;

void TreeWriter::on_reference(References callback) {
  state_->callback = std::move(callback);
}

Result<void> TreeWriter::add(TreeRecord record) {
  return state_->add_record(std::move(record));
}

Result<std::optional<TreeRef>> TreeWriter::finish() {
  State& state = *state_;
  if (state.level(0).count() == 0) return std::optional<TreeRef>();
  for (size_t number = 0;; number++) {
    State::Level& at = state.level(number);
    // A level of one branch, with nothing written before it, says no more than its child.
    bool superfluous = number > 0 && !at.emitted && at.count() == 1;
    if (superfluous) {
      const HintedId& root = at.object.branches.front().child;
      return std::optional<TreeRef>(TreeRef{root.id, root.hint});
    }
    VARVE_TRY(state.emit(number));
  }
}

}  // namespace varve
