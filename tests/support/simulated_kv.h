// A Kv in memory with exact versions, whose commits can be made to fail or to hang between done and
// not done.
#pragma once

#include <map>
#include <mutex>

#include "dedup/base/kv.h"
#include "tests/support/simulated_power.h"

namespace varve {

class SimulatedKv final : public Kv {
 public:
  using Map = std::map<std::string, std::string, std::less<>>;

  /// `power` may be nullptr. A commit is one effect.
  explicit SimulatedKv(SimulatedPower* power = nullptr) : power_(power) {}

  Result<std::unique_ptr<KvView>> view() override;
  Result<void> commit(const KvBatch& batch) override;

  /// The `nth` commit from now on (1: the next) answers `code` and changes nothing.
  void fail_commit(uint64_t nth, Errc code);
  /// The commit that was under way when the power went has happened or not, by the seed.
  void power_cut(uint64_t seed);
  /// The same contents, on a machine of its own.
  std::unique_ptr<SimulatedKv> copy_of(SimulatedPower* power) const;
  /// What is committed now.
  Map contents() const;

 private:
  SimulatedPower* const power_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Map> committed_ = std::make_shared<const Map>();
  std::shared_ptr<const Map> under_way_;
  uint64_t failing_commit_ = 0;
  Errc failing_code_ = Errc::kIo;
};

}  // namespace varve
