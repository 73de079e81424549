// Goal: whatever calls come, in any order, with commits, failed commits and reopening between them,
// the live tree says what a simple model says; every change is marked up to its set's top; and the
// figures are right.
#include <gtest/gtest.h>

#include <random>

#include "catalog/live_tree.h"
#include "catalog/posix_acl.h"
#include "tests/catalog/live_tree_model.h"
#include "tests/support/simulated_kv.h"
#include "tests/support/simulation.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

using Content = LiveTreeModel::Content;

ChunkId chunk_of(uint64_t number) {
  ChunkId id;
  std::memcpy(id.bytes.data(), &number, sizeof number);
  return id;
}

uint64_t byte_of(const Extent& extent, uint64_t at) {
  uint64_t chunk = 0;
  std::memcpy(&chunk, extent.chunk.bytes.data(), sizeof chunk);
  return chunk << 32 | (extent.chunk_offset + at);
}

template <typename T>
Outcome outcome(const Result<T>& result) {
  return result.ok() ? Outcome() : Outcome(result.error().code());
}

class LiveTreeProperty : public testing::Test {
 public:
  LiveTreeProperty() : random_(test_seed()), ids_(random_()) { reopen(); }

  size_t below(size_t limit) { return static_cast<size_t>(random_() % limit); }

  void reopen() {
    tree_.reset();
    kv_ = std::make_unique<StagedKv>(base_);
    tree_ = LiveTree::open(*kv_, nullptr, clock_, ids_).value();
  }

  void commit() {
    bool froze = false;
    ASSERT_TRUE(tree_
                    ->exclusively([&]() -> Result<void> {
                      froze = kv_->freeze();
                      return {};
                    })
                    .ok());
    if (!froze) return;
    if (below(4) == 0) {
      base_.fail_commit(1, Errc::kNoSpace);
      EXPECT_FALSE(kv_->commit_frozen({}).ok());
      return;
    }
    EXPECT_TRUE(kv_->commit_frozen({}).ok());
    if (below(3) == 0) {
      EXPECT_EQ(kv_->staged_bytes(), 0u);
      reopen();
    }
  }

  Ino some(bool directory) {
    std::vector<Ino> found;
    for (const auto& [ino, node] : model_.nodes) {
      if (!directory || (node.type == FileType::kDirectory && node.links > 0)) found.push_back(ino);
    }
    return found[below(found.size())];
  }
  std::string name() {
    return below(60) == 0 ? ".varve" : std::string(1, static_cast<char>('a' + below(6)));
  }

  void create() {
    Ino directory = some(true);
    std::string text = name();
    NewFile file;
    file.type = std::array{FileType::kFile, FileType::kDirectory, FileType::kFile,
                           FileType::kFifo}[below(4)];
    file.permissions = 0755;
    file.umask = 022;
    auto made = tree_->create(directory, text, file);
    ASSERT_EQ(outcome(made), model_.can_add(directory, text));
    if (!made.ok()) return;
    bool is_set = directory == kRootIno && file.type == FileType::kDirectory;
    if (is_set) {
      model_.ever.erase(made->ino);
    } else {
      ASSERT_EQ(set_of(made->ino), set_of(directory));
    }
    ASSERT_FALSE(model_.ever.contains(made->ino)) << "a number was given twice";
    model_.nodes.erase(made->ino);
    model_.add(directory, text, made->ino, file.type);
    model_.nodes[made->ino].permissions = 0755;
  }

  void create_orphan() {
    Ino directory = some(true);
    NewFile file;
    file.permissions = 0600;
    auto made = tree_->create_orphan(directory, file);
    ASSERT_TRUE(made.ok());
    ASSERT_EQ(set_of(made->ino), set_of(directory));
    ASSERT_FALSE(model_.ever.contains(made->ino)) << "a number was given twice";
    model_.add_orphan(made->ino);
    model_.nodes[made->ino].permissions = 0600;
  }

  void link() {
    Ino ino = some(false), directory = some(true);
    if (model_.is_directory(ino) && model_.nodes[ino].links == 0) return;
    std::string text = name();
    auto linked = tree_->link(ino, directory, text);
    ASSERT_EQ(outcome(linked), model_.link(ino, directory, text));
  }

  void remove() {
    Ino directory = some(true);
    std::string text = name();
    auto& children = model_.nodes[directory].children;
    Ino ino = children.contains(text) ? children[text] : 0;
    bool as_directory = below(2) == 0;
    auto lost =
        as_directory ? tree_->remove_directory(directory, text) : tree_->unlink(directory, text);
    ASSERT_EQ(outcome(lost), as_directory ? model_.remove_directory(directory, text)
                                          : model_.unlink(directory, text));
    if (!lost.ok()) return;
    ASSERT_EQ(lost->ino, ino);
    settle(*lost);
  }

  /// Orphans are released now or stay for a while.
  void settle(const LiveEntry& lost) {
    ASSERT_EQ(lost.inode.links, model_.nodes.at(lost.ino).links);
    if (lost.inode.links > 0) return;
    bool is_set = number_of(lost.ino) == kTopNumber;
    if (is_set) {
      std::erase_if(model_.nodes,
                    [&](const auto& node) { return set_of(node.first) == set_of(lost.ino); });
    } else if (below(2) == 0) {
      ASSERT_TRUE(tree_->release(lost.ino).ok());
      model_.nodes.erase(lost.ino);
    }
  }

  void rename() {
    Ino directory = some(true), new_directory = below(2) == 0 ? directory : some(true);
    std::string from = name(), to = name();
    auto mode = static_cast<LiveTree::RenameMode>(below(3));
    bool whiteout = mode != LiveTree::RenameMode::kExchange && below(4) == 0;
    auto renamed = tree_->rename(directory, from, new_directory, to, mode, whiteout);
    ASSERT_EQ(outcome(renamed), model_.rename(directory, from, new_directory, to, mode))
        << from << " -> " << to << " mode " << static_cast<int>(mode);
    if (!renamed.ok()) return;
    if (renamed->replaced) settle(*renamed->replaced);
    if (whiteout && !model_.nodes[directory].children.contains(from))
      note_whiteout(directory, from);
  }

  void note_whiteout(Ino directory, const std::string& text) {
    LiveEntry left = tree_->lookup(directory, text).value();
    ASSERT_EQ(left.inode.device_major + left.inode.device_minor, 0u);
    ASSERT_FALSE(model_.ever.contains(left.ino)) << "a number was given twice";
    model_.add(directory, text, left.ino, FileType::kCharacterDevice);
  }

  void change() {
    Ino ino = some(false);
    auto permissions = static_cast<uint16_t>(below(01000));
    LiveTreeModel::Node& node = model_.nodes[ino];
    AttributeChange change;
    if (below(2) == 0) change.permissions = node.permissions = permissions;
    if (below(4) == 0) change.uid = node.uid = static_cast<uint32_t>(random_());
    if (below(4) == 0) change.gid = node.gid = static_cast<uint32_t>(random_());
    if (below(4) == 0) change.atime = node.atime = static_cast<Nanoseconds>(random_());
    ASSERT_TRUE(tree_->change(ino, change).ok());
    if (change.permissions) follow_mode(node);
  }

  /// chmod changes an ACL's owner, mask and others.
  void follow_mode(LiveTreeModel::Node& node) {
    auto found = node.xattrs.find(std::string(kAclAccessName));
    if (found != node.xattrs.end()) found->second = acl_of(node.permissions);
  }
  static std::string acl_of(uint16_t mode) {
    struct Entry {
      uint16_t tag, permissions;
      uint32_t id;
    };
    auto three = [&](int shift) { return static_cast<uint16_t>(mode >> shift & 7); };
    const Entry entries[] = {{1, three(6), UINT32_MAX},
                             {2, 5, 1000},
                             {4, 4, UINT32_MAX},
                             {16, three(3), UINT32_MAX},
                             {32, three(0), UINT32_MAX}};
    std::string text("\2\0\0\0", 4);
    return text.append(reinterpret_cast<const char*>(entries), sizeof entries);
  }

  void acl() {
    Ino ino = some(false);
    LiveTreeModel::Node& node = model_.nodes[ino];
    if (below(3) == 0) {
      ASSERT_TRUE(tree_->remove_xattr(ino, kAclAccessName).ok());
      node.xattrs.erase(std::string(kAclAccessName));
      return;
    }
    auto mode = static_cast<uint16_t>(below(01000));
    ASSERT_TRUE(
        tree_->set_xattr(ino, kAclAccessName, acl_of(mode), LiveTree::XattrMode::kAny).ok());
    node.permissions = static_cast<uint16_t>((node.permissions & 07000) | mode);
    node.xattrs[std::string(kAclAccessName)] = acl_of(mode);
  }

  void xattr() {
    Ino ino = some(false);
    std::string text = "user." + name();
    auto& xattrs = model_.nodes[ino].xattrs;
    if (below(3) == 0) {
      auto removed = tree_->remove_xattr(ino, text);
      ASSERT_EQ(outcome(removed), xattrs.erase(text) > 0 ? Outcome() : Outcome(Errc::kNoAttribute));
      return;
    }
    std::string value(below(20), 'v');
    auto mode = static_cast<LiveTree::XattrMode>(below(3));
    bool there = xattrs.contains(text);
    Outcome expected;
    if (there && mode == LiveTree::XattrMode::kCreate) expected = Errc::kExists;
    if (!there && mode == LiveTree::XattrMode::kReplace) expected = Errc::kNoAttribute;
    ASSERT_EQ(outcome(tree_->set_xattr(ino, text, value, mode)), expected);
    if (!expected) xattrs[text] = value;
  }

  void write() {
    Ino ino = some(false);
    LiveTree::ContentChange change;
    change.from = below(400);
    change.to = change.from + below(200);
    std::vector<std::pair<uint64_t, uint64_t>> bytes;
    for (uint64_t at = change.from; at < change.to;) {
      uint64_t length = std::min<uint64_t>(1 + below(60), change.to - at);
      if (below(4) != 0) {
        Extent extent{.offset = at,
                      .length = length,
                      .chunk = chunk_of(++chunks_),
                      .chunk_offset = below(100)};
        change.extents.push_back(extent);
        for (uint64_t i = 0; i < length; i++) bytes.emplace_back(at + i, byte_of(extent, i));
      }
      at += length;
    }
    Content& content = model_.nodes[ino].content;
    uint64_t end = bytes.empty() ? 0 : bytes.back().first + 1;
    uint64_t size = std::max<uint64_t>(content.size(), end);
    if (below(4) == 0) size = *(change.size = below(700));
    auto changed = tree_->change_content(ino, change);
    if (model_.nodes[ino].type != FileType::kFile) {
      ASSERT_FALSE(changed.ok());
      return;
    }
    ASSERT_TRUE(changed.ok()) << changed.error().message();
    content.resize(std::max<uint64_t>({content.size(), change.to, size}));
    for (uint64_t at = change.from; at < change.to; at++) content[at] = 0;
    for (auto [at, byte] : bytes) content[at] = byte;
    content.resize(size);
  }

  void clone() {
    Ino from = some(false), to = some(false);
    if (model_.nodes[from].type != FileType::kFile || model_.nodes[to].type != FileType::kFile)
      return;
    uint64_t from_offset = below(400), to_offset = below(400), length = below(300);
    Content source = model_.nodes[from].content;
    uint64_t count =
        from_offset < source.size() ? std::min(length, source.size() - from_offset) : 0;
    bool overlap = from == to && from_offset < to_offset + count && to_offset < from_offset + count;
    auto cloned = tree_->clone_range(from, from_offset, to, to_offset, length);
    ASSERT_EQ(outcome(cloned), overlap ? Outcome(Errc::kInvalid) : Outcome());
    if (overlap || count == 0) return;
    Content& content = model_.nodes[to].content;
    content.resize(std::max<uint64_t>(content.size(), to_offset + count));
    for (uint64_t i = 0; i < count; i++) content[to_offset + i] = source[from_offset + i];
  }

  void check_node(Ino ino, const LiveTreeModel::Node& node) {
    auto inode = tree_->inode(ino);
    ASSERT_TRUE(inode.ok());
    EXPECT_EQ(inode->type, node.type);
    EXPECT_EQ(inode->links, node.links);
    EXPECT_EQ(inode->linked, node.linked);
    EXPECT_EQ(inode->permissions, node.permissions);
    EXPECT_EQ(inode->uid, node.uid);
    EXPECT_EQ(inode->gid, node.gid);
    if (node.atime != 0) {
      EXPECT_EQ(inode->atime, node.atime);
    }
    Xattrs xattrs(node.xattrs.begin(), node.xattrs.end());
    EXPECT_EQ(tree_->xattrs(ino).value(), xattrs);
    if (node.type == FileType::kFile) check_content(ino, *inode, node);
    if (node.type == FileType::kDirectory) check_children(ino, node);
  }

  void check_content(Ino ino, const Inode& inode, const LiveTreeModel::Node& node) {
    EXPECT_EQ(inode.size, node.content.size());
    Content content(inode.size);
    uint64_t allocated = 0, end = 0;
    for (const Extent& extent : tree_->extents(ino, 0, UINT64_MAX).value()) {
      EXPECT_GE(extent.offset, end);
      end = extent.offset + extent.length;
      ASSERT_LE(end, inode.size);
      for (uint64_t i = 0; i < extent.length; i++) content[extent.offset + i] = byte_of(extent, i);
      allocated += extent.length;
    }
    EXPECT_EQ(content, node.content);
    EXPECT_EQ(inode.allocated, allocated);
    check_part(ino);
  }

  /// Some of the extents from somewhere on are the first of all from there on.
  void check_part(Ino ino) {
    uint64_t from = below(500);
    size_t count = 1 + below(3);
    std::vector<Extent> all = tree_->extents(ino, from, UINT64_MAX).value();
    std::vector<Extent> some = tree_->extents(ino, from, UINT64_MAX, count).value();
    all.resize(std::min(all.size(), count));
    EXPECT_EQ(some, all);
  }

  void check_children(Ino ino, const LiveTreeModel::Node& node) {
    std::map<std::string, Ino> listed;
    uint64_t last = 0;
    ASSERT_TRUE(tree_
                    ->list(ino, 0,
                           [&](const LiveTree::Listed& entry) {
                             EXPECT_TRUE(listed.emplace(entry.name, entry.ino).second);
                             EXPECT_GT(entry.cookie, last);
                             EXPECT_EQ(entry.type, model_.nodes.at(entry.ino).type);
                             last = entry.cookie;
                             return true;
                           })
                    .ok());
    EXPECT_EQ(listed, node.children);
    if (node.links > 0) {
      EXPECT_EQ(tree_->parent(ino).value(), node.parent);
    }
    for (const auto& [text, child] : node.children)
      EXPECT_EQ(tree_->lookup(ino, text).value().ino, child);
  }

  void check_all() {
    LiveTree::Figures expected;
    for (const auto& [ino, node] : model_.nodes) {
      ASSERT_NO_FATAL_FAILURE(check_node(ino, node)) << ino;
      expected.files++;
      expected.logical_bytes += node.content.size();
    }
    EXPECT_EQ(tree_->figures().files, expected.files);
    EXPECT_EQ(tree_->figures().logical_bytes, expected.logical_bytes);
    check_marks();
  }

  /// What the directory's tree object would say, and below.
  std::string describe_node(Ino ino) {
    Inode inode = tree_->inode(ino).value();
    inode.parent = 0;
    inode.next_cookie = inode.data_generation = 0;
    inode.links = 0;  // of a directory it follows from its entries
    std::string text = encode(inode);
    for (const auto& [key, value] : tree_->xattrs(ino).value()) text += key + "=" + value + ";";
    if (inode.type != FileType::kFile) return text;
    for (const Extent& extent : tree_->extents(ino, 0, UINT64_MAX).value())
      text += encode(extent) + "@";
    return text;
  }
  std::string describe(Ino directory, std::map<Ino, std::string>& into) {
    std::string text = number_of(directory) == kTopNumber ? describe_node(directory) : "";
    for (const auto& [child_name, ino] : model_.nodes[directory].children) {
      if (set_of(ino) != set_of(directory)) continue;
      text += child_name + ":" + std::to_string(ino) +
              (model_.nodes[ino].linked ? "" : describe_node(ino));
      if (model_.is_directory(ino)) text += "{" + describe(ino, into) + "}";
    }
    return into[directory] = text;
  }
  std::map<Ino, std::string> describe_all() {
    std::map<Ino, std::string> all;
    for (const auto& [ino, node] : model_.nodes) {
      if (number_of(ino) == kTopNumber) describe(ino, all);
      if (node.linked && node.links > 0) all[ino] = describe_node(ino);
    }
    return all;
  }

  /// Compares with what was there when the generation began; then begins the next one.
  void check_marks() {
    std::map<Ino, std::string> now = describe_all();
    std::string generation = encode_u64(tree_->generation());
    for (const auto& [ino, text] : now) {
      auto before = described_.find(ino);
      if (before != described_.end() && before->second == text) continue;
      uint32_t tree = tree_->set(set_of(ino))->row.tree;
      bool is_directory = model_.is_directory(ino);
      auto mark = kv_->get(is_directory ? key::mark(tree, number_of(ino))
                                        : key::linked(tree, number_of(ino)))
                      .value();
      EXPECT_EQ(mark, generation) << "change not marked: " << ino;
      EXPECT_EQ(kv_->get(key::mark(tree, kTopNumber)).value(), generation);
    }
    described_ = std::move(now);
    ASSERT_TRUE(tree_
                    ->exclusively([&]() -> Result<void> {
                      tree_->next_generation();
                      return {};
                    })
                    .ok());
  }

  std::mt19937_64 random_;
  SeededRandom ids_;
  SimulatedClock clock_;
  SimulatedKv base_;
  std::unique_ptr<StagedKv> kv_;
  std::unique_ptr<LiveTree> tree_;
  LiveTreeModel model_;
  std::map<Ino, std::string> described_;
  uint64_t chunks_ = 0;
};

TEST_F(LiveTreeProperty, AgreesWithTheModel) {
  constexpr void (LiveTreeProperty::*kSteps[])() = {
      &LiveTreeProperty::create, &LiveTreeProperty::create, &LiveTreeProperty::link,
      &LiveTreeProperty::remove, &LiveTreeProperty::rename, &LiveTreeProperty::rename,
      &LiveTreeProperty::change, &LiveTreeProperty::xattr,  &LiveTreeProperty::write,
      &LiveTreeProperty::clone,  &LiveTreeProperty::acl,    &LiveTreeProperty::create_orphan};
  for (int round = 0; round < 4000; round++) {
    clock_.advance(1000);
    ASSERT_NO_FATAL_FAILURE((this->*kSteps[below(std::size(kSteps))])()) << "step " << round;
    if (below(20) == 0) commit();
    if (below(25) == 0) check_all();
    if (below(50) == 0) {
      EXPECT_TRUE(tree_->erase_garbage(1 + below(50)).ok());
    }
    if (HasFailure()) FAIL() << "after step " << round;
  }
}

TEST_F(LiveTreeProperty, OrphansAreFoundAfterReopening) {
  for (int i = 0; i < 300; i++) {
    create();
    remove();
    commit();
  }
  std::set<Ino> expected;
  for (const auto& [ino, node] : model_.nodes) {
    if (node.links == 0) expected.insert(ino);
  }
  while (kv_->staged_bytes() > 0) commit();
  reopen();
  std::vector<Ino> orphans = tree_->orphans().value();
  EXPECT_EQ(std::set<Ino>(orphans.begin(), orphans.end()), expected);
  for (Ino ino : orphans) EXPECT_TRUE(tree_->release(ino).ok());
  EXPECT_TRUE(tree_->orphans().value().empty());
}

}  // namespace
}  // namespace varve
