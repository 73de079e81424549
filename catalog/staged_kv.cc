#include "catalog/staged_kv.h"

#include <atomic>
#include <mutex>
#include <shared_mutex>

namespace varve {
namespace {

/// A row's node in the map and what malloc adds to its strings.
constexpr size_t kRowOverheadBytes = 128;

size_t row_bytes(std::string_view key, const std::optional<std::string>& value) {
  return key.size() + (value ? value->size() : 0) + kRowOverheadBytes;
}

struct Layer {
  KvBatch rows;
  size_t bytes = 0;

  /// Moves the rows of `batch` in; they win.
  void take(KvBatch& batch) {
    while (!batch.empty()) {
      auto node = batch.extract(batch.begin());
      size_t added = row_bytes(node.key(), node.mapped());
      auto inserted = rows.insert(std::move(node));
      if (!inserted.inserted) {
        bytes -= row_bytes(inserted.position->first, inserted.position->second);
        inserted.position->second = std::move(inserted.node.mapped());
      }
      bytes += added;
    }
  }

  /// Moves the rows of an older layer in, where they are not hidden.
  void take_beneath(Layer& older) {
    rows.merge(older.rows);
    for (const auto& [key, value] : older.rows) older.bytes -= row_bytes(key, value);
    bytes += older.bytes;
    older = Layer();
  }
};

/// A layer's rows in a range, as one source of a merge.
struct LayerRange {
  KvBatch::const_iterator at, end;

  LayerRange(const KvBatch& rows, std::string_view from, std::string_view to)
      : at(rows.lower_bound(from)), end(rows.lower_bound(to)) {
    if (from >= to) at = end;
  }
  bool valid() const { return at != end; }
};

}  // namespace

struct StagedKv::State {
  explicit State(Kv& base_kv) : base(base_kv) {}

  Kv& base;
  mutable std::shared_mutex mutex;  // guards both layers; shared to read them
  Layer active;
  Layer frozen;
  bool has_frozen = false;
  std::atomic<uint64_t> applies{0};
};

StagedKv::StagedKv(Kv& base) : state_(std::make_unique<State>(base)) {}
StagedKv::~StagedKv() = default;

Result<std::optional<std::string>> StagedKv::get(std::string_view key) const {
  {
    std::shared_lock lock(state_->mutex);
    for (const Layer* layer : {&state_->active, &state_->frozen}) {
      if (layer->rows.empty()) continue;
      auto found = layer->rows.find(key);
      if (found != layer->rows.end()) return found->second;
    }
  }
  // A commit between here and there can only bring the base nearer to what the layers said.
  auto view = VARVE_TRY(state_->base.view());
  auto value = VARVE_TRY(view->get(key));
  if (!value) return std::optional<std::string>();
  return std::optional<std::string>(*value);
}

Result<void> StagedKv::scan(
    std::string_view from, std::string_view to,
    const std::function<bool(std::string_view, std::string_view)>& visit) const {
  std::shared_lock lock(state_->mutex);
  LayerRange active(state_->active.rows, from, to);
  LayerRange frozen(state_->frozen.rows, from, to);
  auto view = VARVE_TRY(state_->base.view());
  auto cursor = VARVE_TRY(view->cursor());
  VARVE_TRY(cursor->seek(from));
  for (;;) {
    bool base_valid = cursor->valid() && cursor->key() < to;
    if (!base_valid && !active.valid() && !frozen.valid()) return {};
    std::string_view key;
    if (base_valid) key = cursor->key();
    if (frozen.valid() && (!base_valid || frozen.at->first < key)) key = frozen.at->first;
    bool layer_first = base_valid || frozen.valid();
    if (active.valid() && (!layer_first || active.at->first < key)) key = active.at->first;

    // The newest source that has the key says its value; all that have it move on.
    const std::optional<std::string>* layered = nullptr;
    if (frozen.valid() && frozen.at->first == key) layered = &(frozen.at++)->second;
    if (active.valid() && active.at->first == key) layered = &(active.at++)->second;
    bool in_base = base_valid && cursor->key() == key;
    if (layered == nullptr) {
      if (!visit(key, cursor->value())) return {};
    } else if (layered->has_value() && !visit(key, **layered)) {
      return {};
    }
    if (in_base) VARVE_TRY(cursor->next());
  }
}

void StagedKv::apply(KvBatch batch) {
  std::unique_lock lock(state_->mutex);
  state_->active.take(batch);
  state_->applies.fetch_add(1, std::memory_order_relaxed);
}

bool StagedKv::freeze() {
  std::unique_lock lock(state_->mutex);
  if (state_->has_frozen) state_->active.take_beneath(state_->frozen);
  state_->has_frozen = false;
  if (state_->active.rows.empty()) return false;
  std::swap(state_->active, state_->frozen);
  state_->has_frozen = true;
  return true;
}

Result<void> StagedKv::commit_frozen(KvBatch extra) {
  {
    std::unique_lock lock(state_->mutex);
    state_->frozen.take(extra);
    state_->has_frozen = !state_->frozen.rows.empty();
    if (!state_->has_frozen) return {};
  }
  // Nobody changes the frozen layer but this thread, so that reading it needs no lock.
  Result<void> committed = state_->base.commit(state_->frozen.rows);
  if (!committed.ok()) return committed;
  Layer done;  // destroyed after the lock: that takes a while
  std::unique_lock lock(state_->mutex);
  std::swap(done, state_->frozen);
  state_->has_frozen = false;
  lock.unlock();
  return {};
}

void StagedKv::thaw() {
  std::unique_lock lock(state_->mutex);
  state_->active.take_beneath(state_->frozen);
  state_->has_frozen = false;
}

size_t StagedKv::staged_bytes() const {
  std::shared_lock lock(state_->mutex);
  return state_->active.bytes + state_->frozen.bytes;
}

uint64_t StagedKv::applies() const {
  return state_->applies.load(std::memory_order_relaxed);
}

Kv& StagedKv::base() {
  return state_->base;
}

}  // namespace varve
