// Reads a tree in the pages of an LMDB file (its data version 1), and believes none of them.
//
// LMDB itself has no sums: on a damaged page it ends the process, or finds nothing where something
// is. Here each page that is visited has to be the one that was asked for, and of a form that LMDB
// writes; keys have to ascend, also across pages, and to lie between those that the pages above
// say. So a row that is not found is not there, unless pages of another time fit all that; rows
// themselves bear sums, which are the caller's.
//
// Nothing is written and nothing allocated: a thread may be pulled out of any call (bus_guard.h).
// One thread; the pages must not change while it is used (hold a transaction).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

namespace varve {

/// Which pages were found whole: only a page's head is looked at again, as long as it stays the
/// same. Any thread.
class CheckedPages {
 public:
  bool contains(uint64_t page, uint64_t head) const {
    return sums_[page % kSlots].load(std::memory_order_relaxed) == head;
  }
  void insert(uint64_t page, uint64_t head) {
    sums_[page % kSlots].store(head, std::memory_order_relaxed);
    visited_.fetch_add(1, std::memory_order_relaxed);
  }
  /// Whether kSlots pages came in since it said so last.
  bool turned_over() {
    return visited_.load(std::memory_order_relaxed) >= kSlots &&
           visited_.exchange(0, std::memory_order_relaxed) >= kSlots;
  }

  static constexpr size_t kSlots = 32768;

 private:
  std::atomic<uint64_t> visited_{0};
  const std::unique_ptr<std::atomic<uint64_t>[]> sums_ =
      std::make_unique<std::atomic<uint64_t>[]>(kSlots);
};

/// A tree as of one transaction.
struct LmdbTree {
  const uint8_t* map = nullptr;
  uint64_t page_bytes = 0, pages = 0;  // of the file, as far as it is used
  uint64_t root = 0;
  unsigned depth = 0;  // levels; 0: the tree is empty

  /// As its meta page says it; false if that is not of the transaction (any more).
  static bool read(const uint8_t* map, uint64_t page_bytes, uint64_t transaction, LmdbTree& out);
};

/// Whether what LMDB takes from its meta pages before anything can look at them (the size of a
/// page, how many there are, as it maps that much, and which meta page is the newer) fits a file of
/// `file_bytes` that begins with `head`: kLmdbHeadBytes, or the whole file if that is shorter.
/// Magic and version LMDB checks itself.
bool lmdb_head_fits(std::string_view head, uint64_t file_bytes);
constexpr size_t kLmdbHeadBytes = size_t{128} << 10;

class LmdbTreeCursor {
 public:
  enum class Found : uint8_t { kRow, kEnd, kDamaged };

  LmdbTreeCursor(const LmdbTree& tree, CheckedPages& checked) : tree_(tree), checked_(checked) {}

  /// To the first row with a key >= `key`. From the end, previous() leads to the last row.
  Found seek(std::string_view key);
  /// From a row to the next one, or to the one before it.
  Found next() { return step(true); }
  Found previous() { return step(false); }
  /// Of the row that was found.
  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }
  /// Which page is damaged, as far as that is known.
  uint64_t page() const { return page_; }

 private:
  struct Page {
    const uint8_t* bytes = nullptr;
    unsigned count = 0;  // of nodes
  };
  struct Node {
    std::string_view key;
    const uint8_t* bytes = nullptr;
    uint16_t flags = 0;
    uint64_t rest = 0;  // a leaf's: length of the value; a branch's: page of the child
  };
  struct Step {
    Page page;
    unsigned at = 0;
  };
  static constexpr unsigned kDepthMax = 20;

  bool is_leaf(unsigned level) const { return level + 1 == tree_.depth; }
  bool open_page(uint64_t number, bool leaf, Page& out);
  bool check_page(const Page& page, bool leaf) const;
  bool read_node(const Page& page, unsigned at, bool leaf, Node& out) const;
  bool enter(unsigned level, uint64_t page_number);
  bool child_at(unsigned level, uint64_t& out) const;
  bool leaf_fits() const;
  bool lower_bound(const Page& page, std::string_view key, bool leaf, unsigned& out) const;
  Found step(bool forward);
  Found neighbour(bool forward);
  Found take();
  bool read_overflow(const Node& node);

  const LmdbTree tree_;
  CheckedPages& checked_;
  std::array<Step, kDepthMax> way_;
  std::string_view key_, value_;
  bool at_end_ = false;
  uint64_t page_ = 0;
};

}  // namespace varve
