#include "dedup/pack_numbers.h"

#include <mutex>

namespace varve {

uint32_t PackNumbers::number_of(const PackId& pack) {
  std::lock_guard lock(mutex_);
  auto [at, is_new] = numbers_.try_emplace(pack, static_cast<uint32_t>(packs_.size() + 1));
  if (is_new) packs_.push_back({pack, State::kOpen, {}});
  return at->second;
}

uint32_t PackNumbers::gone_number(const PackId& pack) {
  std::lock_guard lock(mutex_);
  packs_.push_back({pack, State::kGone, {}});
  return static_cast<uint32_t>(packs_.size());
}

PackId PackNumbers::pack(uint32_t number) const {
  std::shared_lock lock(mutex_);
  return packs_[number - 1].id;
}

std::optional<PackId> PackNumbers::present(uint32_t number) const {
  std::shared_lock lock(mutex_);
  const Pack& pack = packs_[number - 1];
  if (pack.state == State::kGone) return std::nullopt;
  return pack.id;
}

PackNumbers::State PackNumbers::state(uint32_t number) const {
  std::shared_lock lock(mutex_);
  return packs_[number - 1].state;
}

void PackNumbers::set_state(uint32_t number, State state) {
  std::lock_guard lock(mutex_);
  Pack& pack = packs_[number - 1];
  if (pack.state == State::kGone) return;
  pack.state = state;
  if (state != State::kOpen) std::vector<bool>().swap(pack.segments);
}

void PackNumbers::remove(const PackId& pack) {
  std::lock_guard lock(mutex_);
  auto found = numbers_.find(pack);
  if (found != numbers_.end()) forget(found->second);
}

void PackNumbers::remove_number(uint32_t number) {
  std::lock_guard lock(mutex_);
  if (packs_[number - 1].state != State::kGone) forget(number);
}

void PackNumbers::forget(uint32_t number) {
  Pack& pack = packs_[number - 1];
  pack.state = State::kGone;
  std::vector<bool>().swap(pack.segments);
  numbers_.erase(pack.id);
}

std::vector<uint32_t> PackNumbers::in_state(State state) const {
  std::shared_lock lock(mutex_);
  std::vector<uint32_t> numbers;
  for (size_t i = 0; i < packs_.size(); i++) {
    if (packs_[i].state == state) numbers.push_back(static_cast<uint32_t>(i + 1));
  }
  return numbers;
}

void PackNumbers::note_segment(uint32_t number, uint32_t segment) {
  std::lock_guard lock(mutex_);
  std::vector<bool>& segments = packs_[number - 1].segments;
  if (segments.size() <= segment) segments.resize(size_t{segment} + 1);
  segments[segment] = true;
}

bool PackNumbers::has_segment(uint32_t number, uint32_t segment) const {
  std::shared_lock lock(mutex_);
  const std::vector<bool>& segments = packs_[number - 1].segments;
  return segment < segments.size() && segments[segment];
}

}  // namespace varve
