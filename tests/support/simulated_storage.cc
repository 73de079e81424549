#include "tests/support/simulated_storage.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <random>

#include "tests/support/simulated_effects.h"

namespace varve {

using simulated::apply_effect;
using simulated::DataEffect;
using simulated::directory_of;
using simulated::NameEffect;
using simulated::Names;
using simulated::Node;
using simulated::NodePtr;

namespace {

Error power_is_off() {
  return Error(Errc::kIo, "the simulated power is off");
}

/// Fails at the nth call from when it was set, once.
class Countdown {
 public:
  void set(uint64_t nth) { left_ = nth; }
  bool strikes() { return left_ > 0 && --left_ == 0; }

 private:
  uint64_t left_ = 0;
};

}  // namespace

struct SimulatedStorage::State {
  explicit State(SimulatedPower* given_power) : power(given_power) {}

  mutable std::mutex mutex;
  SimulatedPower* const power;
  uint64_t boot = 0;
  Names current, durable;
  std::set<std::string> directories{""}, durable_directories{""};
  std::deque<NameEffect> pending_names;
  std::optional<uint64_t> capacity;
  Countdown failing_write, failing_sync, failing_read;
  std::map<std::string, Error> broken_directories;
  uint64_t nodes_made = 0;

  NodePtr new_node() {
    auto node = std::make_shared<Node>();
    node->number = ++nodes_made;
    return node;
  }
  /// Asked before the lock is taken.
  void announce() const {
    if (power != nullptr) power->announce_effect();
  }
  SimulatedPower::State effect() const {
    return power == nullptr ? SimulatedPower::State::kOn : power->effect();
  }
  Result<void> check_power() const {
    if (power != nullptr && power->is_off()) return power_is_off();
    return {};
  }

  Result<void> check_parent(const std::string& path) const {
    if (path.empty() || path.front() == '/' || path.back() == '/') {
      return Error(Errc::kInvalid, "not a path below a storage's root: " + path);
    }
    if (directories.contains(directory_of(path))) return {};
    return Error(Errc::kNotFound, "opening " + path + ": no such directory");
  }

  /// A change of names: seen at once, durable after the directory's sync. The last one before the
  /// power goes is pending too.
  Result<void> change_names(NameEffect change) {
    SimulatedPower::State state = effect();
    if (state == SimulatedPower::State::kOff) return power_is_off();
    apply_effect(current, change);
    pending_names.push_back(std::move(change));
    if (state == SimulatedPower::State::kGoing) return power_is_off();
    return {};
  }

  /// Made and its parent synced in one effect, where it is not known to be durable.
  Result<void> make_directory(const std::string& path) {
    if (current.contains(path)) return Error(Errc::kNotDirectory, path + " is a file");
    if (durable_directories.contains(path)) return check_power();
    const SimulatedPower::State state = effect();
    if (state == SimulatedPower::State::kOff) return power_is_off();
    directories.insert(path);
    if (state == SimulatedPower::State::kGoing) return power_is_off();
    durable_directories.insert(path);
    return {};
  }

  uint64_t used_bytes() const {
    std::set<const Node*> nodes;
    uint64_t used = 0;
    for (auto& [path, node] : current) {
      if (nodes.insert(node.get()).second)
        used += std::max<uint64_t>(node->current.size(), node->reserved);
    }
    return used;
  }
  /// How far beyond its present size a file may grow.
  uint64_t room(const Node& node) const {
    if (!capacity) return UINT64_MAX;
    uint64_t own = std::max<uint64_t>(node.current.size(), node.reserved);
    uint64_t used = used_bytes();
    return own - node.current.size() + (*capacity > used ? *capacity - used : 0);
  }
};

namespace {

/// What is left of the directories; a directory that is lost takes with it what is below.
void settle_directories(SimulatedStorage::State& state, uint64_t seed, Unsynced unsynced) {
  std::mt19937_64 random(seed ^ 0x5bd1e995);
  std::set<std::string> left{""};
  for (const std::string& directory : state.directories) {  // parents come before what is in them
    const bool kept =
        unsynced == Unsynced::kBySeed ? random() % 2 == 0 : unsynced == Unsynced::kKept;
    if ((kept || state.durable_directories.contains(directory)) &&
        left.contains(directory_of(directory)))
      left.insert(directory);
  }
  std::erase_if(state.durable,
                [&](const auto& name) { return !left.contains(directory_of(name.first)); });
  state.directories = state.durable_directories = std::move(left);
}

class SimulatedFile final : public StorageFile {
 public:
  SimulatedFile(std::shared_ptr<SimulatedStorage::State> state, NodePtr node, std::string path,
                bool writable)
      : state_(std::move(state)),
        node_(std::move(node)),
        path_(std::move(path)),
        boot_(state_->boot),
        writable_(writable) {}

  Result<size_t> read_at(uint64_t offset, ByteSpan out) override {
    std::lock_guard lock(state_->mutex);
    VARVE_TRY(check_alive());
    if (state_->failing_read.strikes()) return Error(Errc::kIo, "reading " + path_ + ": simulated");
    if (offset >= node_->current.size()) return size_t{0};
    size_t count = std::min<size_t>(out.size(), node_->current.size() - offset);
    std::copy_n(node_->current.begin() + static_cast<ptrdiff_t>(offset), count, out.begin());
    for (auto bit = node_->flipped_bits.lower_bound(offset * 8);
         bit != node_->flipped_bits.end() && *bit < (offset + count) * 8; ++bit) {
      out[*bit / 8 - offset] ^= static_cast<uint8_t>(1u << (*bit % 8));
    }
    return count;
  }

  Result<void> write_at(uint64_t offset, ByteView bytes) override {
    state_->announce();
    std::lock_guard lock(state_->mutex);
    VARVE_TRY(check_writable());
    if (state_->failing_write.strikes())
      return break_with(Error(Errc::kIo, "writing " + path_ + ": simulated"));
    uint64_t end_max = node_->current.size();
    uint64_t room = state_->room(*node_);
    end_max = room > UINT64_MAX - end_max ? UINT64_MAX : end_max + room;
    bool fits = offset + bytes.size() <= end_max;
    if (!fits) bytes = bytes.first(end_max > offset ? static_cast<size_t>(end_max - offset) : 0);
    if (!bytes.empty()) VARVE_TRY(change({false, offset, Bytes(bytes.begin(), bytes.end())}));
    if (!fits)
      return break_with(Error(Errc::kNoSpace, "writing " + path_ + ": the simulated disk is full"));
    return {};
  }

  Result<void> truncate(uint64_t length) override {
    state_->announce();
    std::lock_guard lock(state_->mutex);
    VARVE_TRY(check_writable());
    return change({true, length, {}});
  }

  Result<void> sync() override {
    state_->announce();
    std::lock_guard lock(state_->mutex);
    VARVE_TRY(check_alive());
    if (broken_) return *broken_;
    if (state_->failing_sync.strikes())
      return break_with(Error(Errc::kIo, "syncing " + path_ + ": simulated"));
    if (state_->effect() != SimulatedPower::State::kOn) return power_is_off();
    for (const DataEffect& effect : node_->pending) apply_effect(node_->durable, effect);
    node_->pending.clear();
    return {};
  }

  Result<void> reserve(uint64_t length) override {
    std::lock_guard lock(state_->mutex);
    VARVE_TRY(check_writable());
    uint64_t size = node_->current.size();
    if (length > size && length - size > state_->room(*node_)) {
      return Error(Errc::kNoSpace, "reserving space for " + path_ + ": the simulated disk is full");
    }
    node_->reserved = std::max(node_->reserved, length);
    return {};
  }

  Result<uint64_t> length() override {
    std::lock_guard lock(state_->mutex);
    VARVE_TRY(check_alive());
    return uint64_t{node_->current.size()};
  }

 private:
  Result<void> check_alive() const {
    if (boot_ != state_->boot) return Error(Errc::kIo, path_ + " was opened before the power cut");
    return state_->check_power();
  }
  Result<void> check_writable() const {
    VARVE_TRY(check_alive());
    if (!writable_) return Error(Errc::kBadHandle, path_ + " is open for reading");
    if (broken_) return *broken_;
    return {};
  }
  Error break_with(Error error) {
    broken_ = error;
    return error;
  }
  Result<void> change(DataEffect effect) {
    SimulatedPower::State state = state_->effect();
    if (state == SimulatedPower::State::kOff) return power_is_off();
    apply_effect(node_->current, effect);
    uint64_t end = effect.truncates ? UINT64_MAX / 8 : effect.offset + effect.bytes.size();
    node_->flipped_bits.erase(node_->flipped_bits.lower_bound(effect.offset * 8),
                              node_->flipped_bits.lower_bound(end * 8));
    node_->pending.push_back(std::move(effect));
    if (state == SimulatedPower::State::kGoing) return power_is_off();
    return {};
  }

  const std::shared_ptr<SimulatedStorage::State> state_;
  const NodePtr node_;
  const std::string path_;
  const uint64_t boot_;
  const bool writable_;
  std::optional<Error> broken_;
};

}  // namespace

SimulatedStorage::SimulatedStorage(SimulatedPower* power)
    : state_(std::make_shared<State>(power)) {}
SimulatedStorage::~SimulatedStorage() = default;

Result<std::unique_ptr<StorageFile>> SimulatedStorage::open_read(const std::string& path) {
  std::lock_guard lock(state_->mutex);
  VARVE_TRY(state_->check_power());
  auto found = state_->current.find(path);
  if (found == state_->current.end())
    return Error(Errc::kNotFound, "opening " + path + ": no such file");
  return std::unique_ptr<StorageFile>(
      std::make_unique<SimulatedFile>(state_, found->second, path, false));
}

Result<std::unique_ptr<StorageFile>> SimulatedStorage::open_write(const std::string& path) {
  std::lock_guard lock(state_->mutex);
  VARVE_TRY(state_->check_power());
  auto found = state_->current.find(path);
  if (found == state_->current.end())
    return Error(Errc::kNotFound, "opening " + path + ": no such file");
  return std::unique_ptr<StorageFile>(
      std::make_unique<SimulatedFile>(state_, found->second, path, true));
}

Result<std::unique_ptr<StorageFile>> SimulatedStorage::create(const std::string& path) {
  state_->announce();
  std::lock_guard lock(state_->mutex);
  VARVE_TRY(state_->check_parent(path));
  if (state_->current.contains(path) || state_->directories.contains(path)) {
    return Error(Errc::kExists, "opening " + path + ": the name is taken");
  }
  NodePtr node = state_->new_node();
  VARVE_TRY(state_->change_names({"", path, node}));
  return std::unique_ptr<StorageFile>(
      std::make_unique<SimulatedFile>(state_, std::move(node), path, true));
}

Result<void> SimulatedStorage::rename(const std::string& from, const std::string& to) {
  state_->announce();
  std::lock_guard lock(state_->mutex);
  VARVE_TRY(state_->check_parent(to));
  auto found = state_->current.find(from);
  if (found == state_->current.end())
    return Error(Errc::kNotFound, "renaming " + from + ": no such file");
  if (state_->directories.contains(to)) return Error(Errc::kIsDirectory, to + " is a directory");
  if (from == to) return {};
  return state_->change_names({from, to, found->second});
}

Result<void> SimulatedStorage::unlink(const std::string& path) {
  state_->announce();
  std::lock_guard lock(state_->mutex);
  VARVE_TRY(state_->check_power());
  auto found = state_->current.find(path);
  if (found == state_->current.end())
    return Error(Errc::kNotFound, "removing " + path + ": no such file");
  return state_->change_names({path, "", found->second});
}

Result<void> SimulatedStorage::make_directories(const std::string& path) {
  for (size_t end = path.find('/');; end = path.find('/', end + 1)) {
    state_->announce();
    std::lock_guard lock(state_->mutex);
    VARVE_TRY(state_->make_directory(path.substr(0, end)));
    if (end == std::string::npos) return {};
  }
}

Result<void> SimulatedStorage::sync_dir(const std::string& path) {
  state_->announce();
  std::lock_guard lock(state_->mutex);
  auto broken = state_->broken_directories.find(path);
  if (broken != state_->broken_directories.end()) return broken->second;
  if (!state_->directories.contains(path))
    return Error(Errc::kNotFound, "syncing " + path + ": no such directory");
  if (state_->failing_sync.strikes()) {
    Error error(Errc::kIo, "syncing directory " + path + ": simulated");
    return state_->broken_directories.emplace(path, std::move(error)).first->second;
  }
  if (state_->effect() != SimulatedPower::State::kOn) return power_is_off();
  for (const std::string& directory : state_->directories)
    if (directory_of(directory) == path) state_->durable_directories.insert(directory);
  std::deque<NameEffect> left;
  for (NameEffect& effect : state_->pending_names) {
    bool target = !effect.to.empty() && directory_of(effect.to) == path;
    bool source = !effect.from.empty() && directory_of(effect.from) == path;
    if (!target && !source) {
      left.push_back(std::move(effect));
    } else if (target && effect.crosses()) {
      // The new name is durable; the old one may still come back until its directory is synced.
      apply_effect(state_->durable, NameEffect{"", effect.to, effect.node});
      left.push_back({effect.from, "", effect.node});
    } else {
      apply_effect(state_->durable, effect);
    }
  }
  state_->pending_names = std::move(left);
  return {};
}

Result<std::vector<StorageEntry>> SimulatedStorage::list(const std::string& path) {
  std::lock_guard lock(state_->mutex);
  VARVE_TRY(state_->check_power());
  if (!state_->directories.contains(path))
    return Error(Errc::kNotFound, "listing " + path + ": no such directory");
  std::string prefix = path.empty() ? "" : path + "/";
  std::vector<StorageEntry> entries;
  auto add = [&](const std::string& name, bool is_directory) {
    if (name.size() <= prefix.size() || !name.starts_with(prefix)) return;
    if (name.find('/', prefix.size()) != std::string::npos) return;
    entries.push_back({name.substr(prefix.size()), is_directory});
  };
  for (auto& [name, node] : state_->current) add(name, false);
  for (auto& name : state_->directories) add(name, true);
  return entries;
}

Result<bool> SimulatedStorage::exists(const std::string& path) {
  std::lock_guard lock(state_->mutex);
  VARVE_TRY(state_->check_power());
  return state_->current.contains(path) || state_->directories.contains(path);
}

Result<StorageSpace> SimulatedStorage::space() {
  std::lock_guard lock(state_->mutex);
  uint64_t total = state_->capacity.value_or(uint64_t{1} << 40);
  uint64_t used = state_->used_bytes();
  return StorageSpace{total, total > used ? total - used : 0};
}

void SimulatedStorage::power_cut(uint64_t seed, Unsynced unsynced) {
  std::lock_guard lock(state_->mutex);
  std::mt19937_64 random(seed);
  state_->boot++;
  for (const NameEffect& effect : state_->pending_names) {
    switch (unsynced == Unsynced::kBySeed ? random() % 3 : unsynced == Unsynced::kKept ? 0 : 2) {
      case 0:
        apply_effect(state_->durable, effect);
        break;
      case 1:
        // A name alone cannot tear; a rename may leave both names.
        if (!effect.from.empty() && !effect.to.empty()) state_->durable[effect.to] = effect.node;
        break;
      default:
        break;
    }
  }
  state_->pending_names.clear();
  settle_directories(*state_, seed, unsynced);
  state_->broken_directories.clear();
  std::set<Node*> settled;
  for (auto& [path, node] : state_->durable) {
    if (!settled.insert(node.get()).second) continue;
    if (unsynced != Unsynced::kBySeed) {
      simulated::settle_bytes(*node, unsynced == Unsynced::kKept);
      continue;
    }
    std::mt19937_64 of_node(seed * 0x9e3779b97f4a7c15U + node->number);
    simulated::settle_bytes(*node, of_node);
  }
  state_->current = state_->durable;
}

std::unique_ptr<SimulatedStorage> SimulatedStorage::copy_of(SimulatedPower* power) const {
  auto copy = std::make_unique<SimulatedStorage>(power);
  std::lock_guard lock(state_->mutex);
  std::map<const Node*, NodePtr> copies;
  auto copied = [&](const NodePtr& node) {
    NodePtr& made = copies[node.get()];
    if (!made) made = std::make_shared<Node>(*node);
    return made;
  };
  State& to = *copy->state_;
  for (auto& [path, node] : state_->current) to.current[path] = copied(node);
  for (auto& [path, node] : state_->durable) to.durable[path] = copied(node);
  for (const NameEffect& effect : state_->pending_names)
    to.pending_names.push_back({effect.from, effect.to, copied(effect.node)});
  to.directories = state_->directories;
  to.durable_directories = state_->durable_directories;
  to.capacity = state_->capacity;
  to.nodes_made = state_->nodes_made;
  return copy;
}

void SimulatedStorage::remove_all(const std::string& directory) {
  std::lock_guard lock(state_->mutex);
  auto below = [&](const std::string& path) {
    return path == directory || path.starts_with(directory + "/");
  };
  for (Names* names : {&state_->current, &state_->durable})
    std::erase_if(*names, [&](const auto& entry) { return below(entry.first); });
  std::erase_if(state_->directories, below);
  std::erase_if(state_->durable_directories, below);
  std::erase_if(state_->pending_names,
                [&](const NameEffect& effect) { return below(effect.from) || below(effect.to); });
}

void SimulatedStorage::set_capacity(std::optional<uint64_t> bytes) {
  std::lock_guard lock(state_->mutex);
  state_->capacity = bytes;
}

void SimulatedStorage::fail_write(uint64_t nth) {
  std::lock_guard lock(state_->mutex);
  state_->failing_write.set(nth);
}

void SimulatedStorage::fail_sync(uint64_t nth) {
  std::lock_guard lock(state_->mutex);
  state_->failing_sync.set(nth);
}

void SimulatedStorage::fail_read(uint64_t nth) {
  std::lock_guard lock(state_->mutex);
  state_->failing_read.set(nth);
}

bool SimulatedStorage::flip_bit(const std::string& path, uint64_t bit) {
  std::lock_guard lock(state_->mutex);
  auto found = state_->current.find(path);
  if (found == state_->current.end() || bit / 8 >= found->second->current.size()) return false;
  auto [at, inserted] = found->second->flipped_bits.insert(bit);
  if (!inserted) found->second->flipped_bits.erase(at);
  return true;
}

void SimulatedStorage::repair_all() {
  std::lock_guard lock(state_->mutex);
  for (auto& [path, node] : state_->current) node->flipped_bits.clear();
}

std::vector<std::string> SimulatedStorage::files() const {
  std::lock_guard lock(state_->mutex);
  std::vector<std::string> paths;
  for (auto& [path, node] : state_->current) paths.push_back(path);
  return paths;
}

}  // namespace varve
