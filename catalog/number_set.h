// A set of file numbers, small where they lie close together, as those of one tree do. One thread.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <unordered_map>

namespace varve {

class NumberSet {
 public:
  void add(uint64_t number) {
    std::unique_ptr<Page>& page = pages_[number / kPage];
    if (!page) page = std::make_unique<Page>();
    page->set(number % kPage);
  }
  bool contains(uint64_t number) const {
    auto found = pages_.find(number / kPage);
    return found != pages_.end() && found->second->test(number % kPage);
  }

 private:
  static constexpr uint64_t kPage = 4096;
  using Page = std::bitset<kPage>;
  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_;
};

}  // namespace varve
