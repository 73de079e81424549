#include "tests/support/simulated_kv.h"

#include <random>

namespace varve {
namespace {

using MapPtr = std::shared_ptr<const SimulatedKv::Map>;

class SimulatedCursor final : public KvCursor {
 public:
  explicit SimulatedCursor(MapPtr map) : map_(std::move(map)), at_(map_->end()) {}

  Result<void> seek(std::string_view key) override {
    if (key.size() > kKvKeyBytesMax) return invalid_kv_key();
    at_ = map_->lower_bound(key);
    return {};
  }
  Result<void> next() override {
    if (valid()) ++at_;
    return {};
  }
  bool valid() const override { return at_ != map_->end(); }
  std::string_view key() const override { return at_->first; }
  std::string_view value() const override { return at_->second; }

 private:
  const MapPtr map_;
  SimulatedKv::Map::const_iterator at_;
};

class SimulatedView final : public KvView {
 public:
  explicit SimulatedView(MapPtr map) : map_(std::move(map)) {}

  Result<std::optional<std::string_view>> get(std::string_view key) override {
    if (!is_kv_key(key)) return invalid_kv_key();
    auto found = map_->find(key);
    if (found == map_->end()) return std::optional<std::string_view>();
    return std::optional<std::string_view>(found->second);
  }
  Result<std::unique_ptr<KvCursor>> cursor() override {
    return std::unique_ptr<KvCursor>(std::make_unique<SimulatedCursor>(map_));
  }

 private:
  const MapPtr map_;
};

}  // namespace

Result<std::unique_ptr<KvView>> SimulatedKv::view() {
  std::lock_guard lock(mutex_);
  if (power_ != nullptr && power_->is_off()) return Error(Errc::kIo, "the simulated power is off");
  return std::unique_ptr<KvView>(std::make_unique<SimulatedView>(committed_));
}

Result<void> SimulatedKv::commit(const KvBatch& batch) {
  if (power_ != nullptr) power_->announce_effect();
  std::lock_guard lock(mutex_);
  for (auto& [key, value] : batch) {
    if (!is_kv_key(key)) return invalid_kv_key();
  }
  if (failing_commit_ > 0 && --failing_commit_ == 0)
    return Error(failing_code_, "committing: simulated");
  auto state = power_ == nullptr ? SimulatedPower::State::kOn : power_->effect();
  if (state == SimulatedPower::State::kOff) return Error(Errc::kIo, "the simulated power is off");
  auto next = std::make_shared<Map>(*committed_);
  for (auto& [key, value] : batch) {
    if (value) {
      next->insert_or_assign(key, *value);
    } else {
      next->erase(key);
    }
  }
  if (state == SimulatedPower::State::kGoing) {
    under_way_ = std::move(next);
    return Error(Errc::kIo, "the simulated power is off");
  }
  committed_ = std::move(next);
  return {};
}

void SimulatedKv::fail_commit(uint64_t nth, Errc code) {
  std::lock_guard lock(mutex_);
  failing_commit_ = nth;
  failing_code_ = code;
}

void SimulatedKv::power_cut(uint64_t seed) {
  std::lock_guard lock(mutex_);
  std::mt19937_64 random(seed);
  if (under_way_ && random() % 2 == 0) committed_ = under_way_;
  under_way_.reset();
}

std::unique_ptr<SimulatedKv> SimulatedKv::copy_of(SimulatedPower* power) const {
  auto copy = std::make_unique<SimulatedKv>(power);
  std::lock_guard lock(mutex_);
  copy->committed_ = committed_;
  copy->under_way_ = under_way_;
  return copy;
}

SimulatedKv::Map SimulatedKv::contents() const {
  std::lock_guard lock(mutex_);
  return *committed_;
}

}  // namespace varve
