// A live tree on a simulated database, with one set, and what its tests ask of it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catalog/live_tree.h"
#include "dedup/base/codec.h"
#include "tests/support/simulated_kv.h"
#include "tests/support/simulation.h"

namespace varve {

class FakeUnfolder final : public Unfolder {
 public:
  std::map<ChunkId, std::vector<Child>> directories;
  std::map<ChunkId, std::vector<Extent>> files;
  int calls = 0;

  Result<std::vector<Child>> unfold_directory(const TreeRef& tree,
                                              const std::optional<TreeRef>&) override {
    calls++;
    if (!directories.contains(tree.id)) return Error(Errc::kIo, "no such object");
    return directories[tree.id];
  }
  Result<std::vector<Extent>> unfold_extents(const TreeRef& tree) override {
    calls++;
    return files[tree.id];
  }
  static Child child(std::string name, uint64_t number, FileType type) {
    Child child;
    child.name = std::move(name);
    child.number = number;
    child.inode.type = type;
    child.inode.permissions = 0644;
    return child;
  }
};

class LiveTreeTest : public testing::Test {
 protected:
  LiveTreeTest() {
    tree_ = LiveTree::open(kv_, &unfolder_, clock_, random_).value();
    set_ = make(kRootIno, "set", FileType::kDirectory);
  }

  template <typename T>
  static std::optional<Errc> failure(const Result<T>& result) {
    return result.ok() ? std::nullopt : std::optional(result.error().code());
  }
  static TreeRef ref_of(uint8_t byte) {
    TreeRef ref;
    ref.id.bytes.fill(byte);
    return ref;
  }
  Ino make(Ino directory, std::string_view name, FileType type = FileType::kFile,
           uint16_t permissions = 0755) {
    NewFile file;
    file.type = type;
    file.permissions = permissions;
    if (type == FileType::kSymlink) file.target = "target";
    return tree_->create(directory, name, file).value().ino;
  }
  uint32_t tree_number(Ino ino) { return tree_->set(set_of(ino))->row.tree; }
  bool is_marked(Ino directory) {
    auto mark = kv_.get(key::mark(tree_number(directory), number_of(directory))).value();
    return mark == encode_u64(tree_->generation());
  }
  void next_generation() {
    ASSERT_TRUE(tree_
                    ->exclusively([&]() -> Result<void> {
                      tree_->next_generation();
                      return {};
                    })
                    .ok());
  }
  size_t rows(char table) {
    size_t count = 0;
    EXPECT_TRUE(kv_.scan(std::string(1, table), std::string(1, static_cast<char>(table + 1)),
                         [&](std::string_view, std::string_view) { return ++count > 0; })
                    .ok());
    return count;
  }
  std::vector<std::string> names(Ino directory) {
    std::vector<std::string> found;
    EXPECT_TRUE(tree_
                    ->list(directory, 0,
                           [&](const LiveTree::Listed& entry) {
                             found.emplace_back(entry.name);
                             return true;
                           })
                    .ok());
    return found;
  }

  SimulatedKv base_;
  StagedKv kv_{base_};
  SimulatedClock clock_;
  SeededRandom random_{1};
  FakeUnfolder unfolder_;
  std::unique_ptr<LiveTree> tree_;
  Ino set_ = 0;
};

}  // namespace varve
