#include "catalog/live_tree.h"

#include <unistd.h>

#include "catalog/live_tree_state.h"
#include "catalog/snapshot_body.h"

namespace varve {
namespace {

std::string figures_key(uint32_t set) {
  return key::meta("figures") + key::set(set);
}

std::string encode_figures(const LiveTree::Figures& figures) {
  return encode_u64(figures.files) + encode_u64(figures.logical_bytes);
}

Result<LiveTree::Figures> decode_figures(std::string_view value) {
  if (value.size() != 16) return Error(Errc::kCorrupt, "figures row has a wrong length");
  LiveTree::Figures figures;
  figures.files = VARVE_TRY(decode_u64(value.substr(0, 8)));
  figures.logical_bytes = VARVE_TRY(decode_u64(value.substr(8)));
  return figures;
}

}  // namespace

LiveTree::LiveTree(std::unique_ptr<State> state) : state_(std::move(state)) {}
LiveTree::~LiveTree() = default;

Result<std::unique_ptr<LiveTree>> LiveTree::open(StagedKv& kv, Unfolder* unfolder, Clock& clock,
                                                 Random& random) {
  auto state = std::make_unique<State>(kv, unfolder, clock, random);
  auto schema = VARVE_TRY(kv.get(key::meta("schema")));
  if (!schema) {
    VARVE_TRY(state->make_root());
  } else if (VARVE_TRY(decode_u32(*schema)) != kSchemaVersion) {
    return Error(Errc::kUnsupported, "the working copy is of another version of varve");
  }
  VARVE_TRY(state->load());
  return std::unique_ptr<LiveTree>(new LiveTree(std::move(state)));
}

Result<void> LiveTree::State::make_root() {
  SetRow row;
  row.tree = 0;
  Inode root;
  root.type = FileType::kDirectory;
  root.permissions = 0755;
  root.uid = geteuid();  // whoever makes the working copy can use it
  root.gid = getegid();
  root.links = 2;
  root.parent = kRootIno;
  root.atime = root.mtime = root.ctime = root.btime = clock.now();
  KvBatch batch;
  batch.emplace(key::meta("schema"), encode_u32(kSchemaVersion));
  batch.emplace(key::meta("generation"), encode_u64(generation));
  batch.emplace(key::set(kRootSet), encode(row));
  batch.emplace(key::inode(row.tree, kTopNumber), encode(root));
  batch.emplace(key::mark(row.tree, kTopNumber), encode_u64(generation));
  batch.emplace(figures_key(kRootSet), encode_figures({.files = 1, .logical_bytes = 0}));
  kv.apply(std::move(batch));
  return {};
}

Result<void> LiveTree::State::load() {
  if (auto value = VARVE_TRY(kv.get(key::meta("generation")))) {
    generation = VARVE_TRY(decode_u64(*value));
  }
  if (auto value = VARVE_TRY(kv.get(key::meta("next_tree")))) {
    next_tree = VARVE_TRY(decode_u32(*value));
  }
  VARVE_TRY(load_sets());
  for (const auto& [number, set] : sets) {
    if (set.row.removed) continue;
    std::string from = key::prefix('f', set.row.tree, 0);
    VARVE_TRY(kv.scan(from, key::prefix('f', set.row.tree, UINT64_MAX),
                      [this, number = number](std::string_view key, std::string_view) {
                        freed.insert(make_ino(number, key::last_u64(key)));
                        return true;
                      }));
  }
  return {};
}

Result<void> LiveTree::State::load_sets() {
  std::vector<std::pair<uint32_t, std::string>> found;
  VARVE_TRY(
      kv.scan(key::set(0), key::end_of("s"), [&](std::string_view key, std::string_view value) {
        uint32_t number = 0;
        for (char c : key::tail(key, 1)) number = number << 8 | static_cast<uint8_t>(c);
        found.emplace_back(number, value);
        return true;
      }));
  for (const auto& [number, value] : found) {
    VARVE_TRY(load_set(number, VARVE_TRY(decode_set(value))));
  }
  return {};
}

Result<void> LiveTree::State::load_set(uint32_t number, SetRow row) {
  auto known = sets.find(number);
  if (known != sets.end()) {  // changed by somebody inside exclusively
    known->second.row = std::move(row);
    return {};
  }
  OpenSet set;
  set.row = std::move(row);
  set.next_number = set.row.next_number;
  if (auto value = VARVE_TRY(kv.get(figures_key(number)))) {
    set.figures = VARVE_TRY(decode_figures(*value));
  }
  set.has_stubs = VARVE_TRY(has_rows('t', set.row.tree));
  sets.emplace(number, std::move(set));
  return {};
}

Result<bool> LiveTree::State::has_rows(char table, uint32_t tree) {
  bool found = false;
  VARVE_TRY(kv.scan(key::prefix(table, tree, 0), key::prefix(table, tree, UINT64_MAX),
                    [&](std::string_view, std::string_view) {
                      found = true;
                      return false;
                    }));
  return found;
}

void LiveTree::State::stage_figures() {
  KvBatch batch;
  for (auto& [number, set] : sets) {
    if (!set.figures_changed) continue;
    batch.emplace(figures_key(number), encode_figures(set.figures));
    set.figures_changed = false;
  }
  if (!batch.empty()) kv.apply(std::move(batch));
}

Result<uint64_t> LiveTree::State::take_number(uint32_t set_number) {
  // Numbers are reserved by the thousand, at once and whatever becomes of the call, so that a
  // create seldom writes the set's row.
  constexpr uint64_t kReservedAtOnce = 1024;
  OpenSet& set = sets[set_number];
  if (set.next_number >= kNextNumberMax) {
    return Error(Errc::kNoSpace, "the backup set has no file number left");
  }
  if (set.next_number >= set.row.next_number) {
    set.row.next_number = std::min(set.next_number + kReservedAtOnce, kNextNumberMax);
    KvBatch batch;
    batch.emplace(key::set(set_number), encode(set.row));
    kv.apply(std::move(batch));
  }
  return set.next_number++;
}

uint32_t LiveTree::State::take_tree(TreeCall& call) {
  uint32_t tree = next_tree++;
  call.rows.put(key::meta("next_tree"), encode_u32(next_tree));
  return tree;
}

Result<LiveEntry> LiveTree::lookup(Ino directory, std::string_view name) {
  auto find = [&](TreeCall& call) -> Result<std::optional<LiveEntry>> {
    if (name.size() > kNameBytesMax) return Errc::kNameTooLong;
    auto row = VARVE_TRY(call.find_entry(directory, name));
    if (!row) {
      VARVE_TRY(call.directory(directory));
      return std::optional<LiveEntry>();
    }
    LiveEntry entry;
    entry.ino = make_ino(row->set, row->number);
    entry.inode = VARVE_TRY(call.inode(entry.ino));
    return std::optional<LiveEntry>(entry);
  };
  // Whether the directory is a stub is asked only where the name is not found: a stub has no
  // entries yet.
  auto found = VARVE_TRY(state_->read({}, find));
  if (!found) found = VARVE_TRY(state_->read({directory}, find));
  if (!found) return Errc::kNotFound;
  return *found;
}

Result<Inode> LiveTree::inode(Ino ino) {
  return state_->read({}, [&](TreeCall& call) { return call.inode(ino); });
}

Result<std::string> LiveTree::read_link(Ino ino) {
  return state_->read({}, [&](TreeCall& call) -> Result<std::string> {
    auto target =
        VARVE_TRY(call.rows.get(key::symlink(VARVE_TRY(call.tree_of(ino)), number_of(ino))));
    if (!target) return Errc::kInvalid;
    return *target;
  });
}

Result<void> LiveTree::list(Ino directory, uint64_t after,
                            const std::function<bool(const Listed&)>& visit) {
  return state_->read({directory}, [&](TreeCall& call) -> Result<void> {
    VARVE_TRY(call.directory(directory));
    if (after == UINT64_MAX) return {};
    uint32_t tree = VARVE_TRY(call.tree_of(directory));
    Result<void> outcome;
    auto visit_row = [&](std::string_view key, std::string_view value) {
      auto row = decode_listed(value);
      if (!row.ok()) {
        outcome = std::move(row).error();
        return false;
      }
      return visit({.name = row->name,
                    .ino = make_ino(row->entry.set, row->entry.number),
                    .type = row->entry.type,
                    .cookie = key::last_u64(key)});
    };
    VARVE_TRY(call.rows.scan(key::cookie(tree, number_of(directory), after + 1),
                             key::end_of(key::prefix('c', tree, number_of(directory))), visit_row));
    return outcome;
  });
}

Result<Ino> LiveTree::parent(Ino directory) {
  return state_->read({}, [&](TreeCall& call) -> Result<Ino> {
    Ino parent = VARVE_TRY(call.directory(directory)).parent;
    return parent == 0 ? directory : parent;  // of one that was removed nobody can tell
  });
}

Result<std::vector<Ino>> LiveTree::orphans() {
  return state_->read({}, [&](TreeCall& call) -> Result<std::vector<Ino>> {
    std::vector<Ino> found;
    for (const auto& [number, set] : state_->sets) {
      if (set.row.removed) continue;
      VARVE_TRY(call.rows.scan(key::orphan(set.row.tree, 0), key::orphan(set.row.tree, UINT64_MAX),
                               [&, number = number](std::string_view key, std::string_view) {
                                 found.push_back(make_ino(number, key::last_u64(key)));
                                 return true;
                               }));
    }
    return found;
  });
}

Result<void> LiveTree::exclusively(const std::function<Result<void>()>& action) {
  std::unique_lock lock(state_->mutex);
  state_->stage_figures();
  uint64_t applies = state_->kv.applies();
  Result<void> outcome = action();
  if (state_->kv.applies() != applies) VARVE_TRY(state_->load_sets());
  return outcome;
}

uint64_t LiveTree::generation() const {
  std::shared_lock lock(state_->mutex);
  return state_->generation;
}

void LiveTree::next_generation() {
  state_->generation++;
  KvBatch batch;
  batch.emplace(key::meta("generation"), encode_u64(state_->generation));
  state_->kv.apply(std::move(batch));
}

LiveTree::Figures LiveTree::figures() const {
  std::shared_lock lock(state_->mutex);
  Figures sum;
  for (const auto& [number, set] : state_->sets) {
    sum.files += set.figures.files;
    sum.logical_bytes += set.figures.logical_bytes;
  }
  return sum;
}

}  // namespace varve
