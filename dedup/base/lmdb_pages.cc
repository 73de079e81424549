#include "dedup/base/lmdb_pages.h"

#include <bit>
#include <cstring>
#include <utility>

#include "dedup/base/checksum.h"

namespace varve {
namespace {

// A page: number u64, pad u16, flags u16, then the end of the table of nodes u16 and the beginning
// of the nodes u16, or in an overflow page the count of pages u32; then the table, u16 each.
constexpr uint64_t kHeadBytes = 16;
constexpr uint64_t kFlagsAt = 10, kLowerAt = 12, kUpperAt = 14, kOverflowPagesAt = 12;
constexpr uint16_t kBranch = 1, kLeaf = 2, kOverflow = 4;

// A node: u16, u16 and flags u16 (of the value's length, or of the child's page), length of the key
// u16; the key; a leaf's value, or the page where it begins.
constexpr uint64_t kNodeBytes = 8;
constexpr uint16_t kBigValue = 1;

// A meta page, behind its head: magic u32, version u32, address u64, size of the map u64; twice a
// tree: pad u32, flags u16, depth u16, three counts of pages u64, count of rows u64, root u64; then
// the last page u64, transaction u64.
constexpr uint64_t kMetaFreeTreeAt = kHeadBytes + 24;  // where its pad is, the bytes of a page
constexpr uint64_t kMetaTreeAt = kMetaFreeTreeAt + 48;
constexpr uint64_t kMetaRootAt = kMetaTreeAt + 40;
constexpr unsigned kMetaDepthShift = 48;  // in the tree's first eight bytes
static_assert(kMetaTreeAt % 8 == 0, "fields are loaded at once");
constexpr uint64_t kMetaLastAt = kMetaTreeAt + 48, kMetaTransactionAt = kMetaLastAt + 8;
constexpr uint64_t kMetaEnd = kMetaTransactionAt + 8;
constexpr uint64_t kPageBytesMin = 512, kPageBytesMax = kLmdbHeadBytes / 2;

template <typename Integer>
Integer load(const uint8_t* at) {
  Integer value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

/// A field that another process or thread may write at any time; loads stay in this order.
uint64_t load_shared(const uint8_t* at) {
  return __atomic_load_n(reinterpret_cast<const uint64_t*>(at), __ATOMIC_ACQUIRE);
}

struct MetaFields {
  uint64_t tree = 0, root = 0, last = 0;
  friend bool operator==(const MetaFields&, const MetaFields&) = default;
};

MetaFields load_meta(const uint8_t* meta) {
  return {load_shared(meta + kMetaTreeAt), load_shared(meta + kMetaRootAt),
          load_shared(meta + kMetaLastAt)};
}

std::string_view text(const uint8_t* at, uint64_t length) {
  return {reinterpret_cast<const char*>(at), length};
}

}  // namespace

bool LmdbTree::read(const uint8_t* map, uint64_t page_bytes, uint64_t transaction, LmdbTree& out) {
  const uint8_t* meta = map + (transaction & 1) * page_bytes;
  // LMDB may be writing the page anew meanwhile, its transaction last: what is read twice alike
  // before that is whole.
  const MetaFields fields = load_meta(meta), again = load_meta(meta);
  out.map = map;
  out.page_bytes = page_bytes;
  out.pages = fields.last + 1;
  out.root = fields.root;
  out.depth = static_cast<unsigned>(fields.tree >> kMetaDepthShift);
  return fields == again && load_shared(meta + kMetaTransactionAt) == transaction;
}

bool lmdb_head_fits(std::string_view head, uint64_t file_bytes) {
  if (head.size() < kMetaEnd) return false;
  const uint8_t* first = reinterpret_cast<const uint8_t*>(head.data());
  const uint64_t page_bytes = load<uint32_t>(first + kMetaFreeTreeAt);
  if (!std::has_single_bit(page_bytes) || page_bytes < kPageBytesMin ||
      page_bytes > kPageBytesMax || head.size() < page_bytes + kMetaEnd) {
    return false;
  }
  // Commits write the one page and the other in turns: after the odd ones the second is newer.
  const uint8_t* second = first + page_bytes;
  const uint64_t even = load<uint64_t>(first + kMetaTransactionAt);
  const uint64_t odd = load<uint64_t>(second + kMetaTransactionAt);
  const bool are_neighbours = even % 2 == 0 && (odd == even + 1 || odd + 1 == even);
  if (!are_neighbours && (even != 0 || odd != 0)) return false;  // 0, 0: nothing was committed yet
  const uint8_t* newer = odd > even ? second : first;
  return load<uint32_t>(newer + kMetaFreeTreeAt) == page_bytes &&
         load<uint64_t>(newer + kMetaLastAt) < file_bytes / page_bytes;
}

// Pages.

bool LmdbTreeCursor::open_page(uint64_t number, bool leaf, Page& out) {
  page_ = number;
  if (number < 2 || number >= tree_.pages) return false;
  out.bytes = tree_.map + number * tree_.page_bytes;
  const uint64_t lower = load<uint16_t>(out.bytes + kLowerAt);
  const bool fits = load<uint64_t>(out.bytes) == number &&
                    load<uint16_t>(out.bytes + kFlagsAt) == (leaf ? kLeaf : kBranch) &&
                    lower > kHeadBytes && lower <= tree_.page_bytes && lower % 2 == 0;
  if (!fits) return false;
  out.count = static_cast<unsigned>((lower - kHeadBytes) / 2);
  const uint64_t head = xxh3({out.bytes, lower});
  if (checked_.contains(number, head)) return true;
  if (!check_page(out, leaf)) return false;
  checked_.insert(number, head);
  return true;
}

/// Nodes lie one behind the other up to the page's end, and their keys ascend.
bool LmdbTreeCursor::check_page(const Page& page, bool leaf) const {
  const uint64_t upper = load<uint16_t>(page.bytes + kUpperAt);
  if (upper < kHeadBytes + uint64_t{page.count} * 2 || upper > tree_.page_bytes) return false;
  uint64_t used = 0;
  std::string_view last;
  for (unsigned i = 0; i < page.count; i++) {
    Node node;
    if (!read_node(page, i, leaf, node)) return false;
    if (node.bytes < page.bytes + upper) return false;
    const uint64_t tail = !leaf ? 0 : (node.flags & kBigValue) != 0 ? sizeof(uint64_t) : node.rest;
    used += (kNodeBytes + node.key.size() + tail + 1) & ~uint64_t{1};
    // What a branch's first key is plays no part.
    const bool first = i == (leaf ? 0U : 1U);
    if ((leaf || i > 0) && !first && node.key <= last) return false;
    last = node.key;
  }
  return used == tree_.page_bytes - upper;
}

bool LmdbTreeCursor::read_node(const Page& page, unsigned at, bool leaf, Node& out) const {
  const uint64_t offset = load<uint16_t>(page.bytes + kHeadBytes + uint64_t{at} * 2);
  if (offset < kHeadBytes || offset + kNodeBytes > tree_.page_bytes) return false;
  out.bytes = page.bytes + offset;
  const uint64_t low = load<uint16_t>(out.bytes), middle = load<uint16_t>(out.bytes + 2);
  out.flags = load<uint16_t>(out.bytes + 4);
  const uint64_t key_length = load<uint16_t>(out.bytes + 6);
  uint64_t end = offset + kNodeBytes + key_length;
  if (leaf) {
    if ((out.flags & ~kBigValue) != 0 || key_length == 0) return false;
    out.rest = low | middle << 16;
    end += out.flags == kBigValue ? sizeof(uint64_t) : out.rest;
  } else {
    out.rest = low | middle << 16 | uint64_t{out.flags} << 32;
  }
  if (end > tree_.page_bytes) return false;
  out.key = text(out.bytes + kNodeBytes, key_length);
  return true;
}

// The way down.

/// Onto that level; where in the page is not set yet.
bool LmdbTreeCursor::enter(unsigned level, uint64_t page_number) {
  way_[level].at = 0;
  return open_page(page_number, is_leaf(level), way_[level].page);
}

bool LmdbTreeCursor::child_at(unsigned level, uint64_t& out) const {
  Node node;
  if (!read_node(way_[level].page, way_[level].at, false, node)) return false;
  out = node.rest;
  return true;
}

/// The first node whose key is >= `key`; of a branch: the last child that may have it.
bool LmdbTreeCursor::lower_bound(const Page& page, std::string_view key, bool leaf,
                                 unsigned& out) const {
  unsigned low = leaf ? 0 : 1, high = page.count;
  while (low < high) {
    const unsigned middle = low + (high - low) / 2;
    Node node;
    if (!read_node(page, middle, leaf, node)) return false;
    if (node.key < key || (!leaf && node.key == key)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  out = leaf ? low : low - 1;
  return true;
}

/// Whether the leaf's keys lie between those that the branches above it say.
bool LmdbTreeCursor::leaf_fits() const {
  const unsigned leaf = tree_.depth - 1;
  const Page& page = way_[leaf].page;
  Node first, last, bound;
  if (!read_node(page, 0, true, first) || !read_node(page, page.count - 1, true, last))
    return false;
  bool has_lower = false, has_upper = false;
  for (unsigned level = leaf; level-- > 0 && !(has_lower && has_upper);) {
    const Step& step = way_[level];
    if (!has_lower && step.at > 0) {
      has_lower = true;
      if (!read_node(step.page, step.at, false, bound) || first.key < bound.key) return false;
    }
    if (!has_upper && step.at + 1 < step.page.count) {
      has_upper = true;
      if (!read_node(step.page, step.at + 1, false, bound) || last.key >= bound.key) return false;
    }
  }
  return true;
}

LmdbTreeCursor::Found LmdbTreeCursor::seek(std::string_view key) {
  key_ = {};
  at_end_ = false;
  if (tree_.depth == 0) return Found::kEnd;
  if (tree_.depth > kDepthMax) return Found::kDamaged;
  uint64_t number = tree_.root;
  for (unsigned level = 0; level < tree_.depth; level++) {
    const bool leaf = is_leaf(level);
    if (!enter(level, number)) return Found::kDamaged;
    if (!lower_bound(way_[level].page, key, leaf, way_[level].at)) return Found::kDamaged;
    if (!leaf && !child_at(level, number)) return Found::kDamaged;
  }
  if (!leaf_fits()) return Found::kDamaged;
  Step& leaf = way_[tree_.depth - 1];
  if (leaf.at == leaf.page.count) {
    leaf.at--;
    const Found found = step(true);
    at_end_ = found == Found::kEnd;
    return found == Found::kRow && key_ < key ? Found::kDamaged : found;
  }
  return take();
}

/// To the first row of the leaf behind this one, or the last of the one before it.
LmdbTreeCursor::Found LmdbTreeCursor::neighbour(bool forward) {
  unsigned level = tree_.depth - 1;
  for (;;) {
    if (level == 0) return Found::kEnd;
    Step& above = way_[--level];
    if (forward ? above.at + 1 < above.page.count : above.at > 0) {
      above.at = forward ? above.at + 1 : above.at - 1;
      break;
    }
  }
  while (!is_leaf(level)) {
    uint64_t number = 0;
    if (!child_at(level, number) || !enter(++level, number)) return Found::kDamaged;
    if (!forward) way_[level].at = way_[level].page.count - 1;
  }
  return leaf_fits() ? take() : Found::kDamaged;
}

LmdbTreeCursor::Found LmdbTreeCursor::step(bool forward) {
  if (tree_.depth == 0) return Found::kEnd;
  if (!forward && std::exchange(at_end_, false)) return take();
  Step& leaf = way_[tree_.depth - 1];
  const std::string_view from = key_;
  const bool inside = forward ? leaf.at + 1 < leaf.page.count : leaf.at > 0;
  if (inside) leaf.at = forward ? leaf.at + 1 : leaf.at - 1;
  const Found found = inside ? take() : neighbour(forward);
  if (found != Found::kRow || from.empty()) return found;
  return (forward ? from < key_ : key_ < from) ? found : Found::kDamaged;
}

LmdbTreeCursor::Found LmdbTreeCursor::take() {
  const Step& leaf = way_[tree_.depth - 1];
  Node node;
  if (!read_node(leaf.page, leaf.at, true, node)) return Found::kDamaged;
  key_ = node.key;
  const uint8_t* value = node.bytes + kNodeBytes + node.key.size();
  if (node.flags != kBigValue) {
    value_ = text(value, node.rest);
    return Found::kRow;
  }
  return read_overflow(node) ? Found::kRow : Found::kDamaged;
}

/// A value with pages of its own.
bool LmdbTreeCursor::read_overflow(const Node& node) {
  const uint64_t number = load<uint64_t>(node.bytes + kNodeBytes + node.key.size());
  page_ = number;
  if (number < 2 || number >= tree_.pages) return false;
  const uint8_t* page = tree_.map + number * tree_.page_bytes;
  const uint64_t count = load<uint32_t>(page + kOverflowPagesAt);
  if (load<uint64_t>(page) != number || load<uint16_t>(page + kFlagsAt) != kOverflow ||
      count > tree_.pages - number || node.rest > count * tree_.page_bytes - kHeadBytes) {
    return false;
  }
  value_ = text(page + kHeadBytes, node.rest);
  return true;
}

}  // namespace varve
