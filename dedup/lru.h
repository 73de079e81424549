// A map that keeps what was used last, up to a total weight.
//
// Not for two threads at once.
#pragma once

#include <cstddef>
#include <list>
#include <unordered_map>
#include <utility>

namespace varve {

template <typename Key, typename Value, typename Hash>
class LruMap {
 public:
  explicit LruMap(size_t weight_max) : weight_max_(weight_max) {}

  /// The value, now the last used; nullptr if there is none. Valid until the next change.
  Value* find(const Key& key) {
    auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &found->second->value;
  }

  /// Stores, or replaces, and lets the least recently used go until the weights fit. What is
  /// heavier than all may be is not kept.
  void put(const Key& key, Value value, size_t weight = 1) {
    erase(key);
    if (weight > weight_max_) return;
    entries_.push_front(Entry{key, std::move(value), weight});
    places_[key] = entries_.begin();
    weight_ += weight;
    while (weight_ > weight_max_) erase(entries_.back().key);
  }

  /// Without using it.
  bool contains(const Key& key) const { return places_.count(key) != 0; }

  void erase(const Key& key) {
    auto found = places_.find(key);
    if (found == places_.end()) return;
    weight_ -= found->second->weight;
    const auto entry = found->second;
    places_.erase(found);
    entries_.erase(entry);  // last: `key` may be the entry's own
  }

  void clear() {
    places_.clear();
    entries_.clear();
    weight_ = 0;
  }

  size_t weight() const { return weight_; }
  size_t size() const { return places_.size(); }

 private:
  struct Entry {
    Key key;
    Value value;
    size_t weight;
  };
  const size_t weight_max_;
  size_t weight_ = 0;
  std::list<Entry> entries_;
  std::unordered_map<Key, typename std::list<Entry>::iterator, Hash> places_;
};

}  // namespace varve
