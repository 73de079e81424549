// Goal: an archive becomes files of a set as tar -x would make them, whole or not at all, within
// the set and the user's rights, whatever its bytes say.
#include "catalog/tar_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/posix_acl.h"
#include "tests/catalog/store_world.h"
#include "tests/support/tar_bytes.h"

namespace varve {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A mount that only the import uses.
class QuietHost final : public TarImport::Host {
 public:
  explicit QuietHost(LiveTree& tree) : tree_(tree) {}
  Result<void> admit(uint64_t bytes) override {
    if (bytes > room) return Errc::kNoSpace;
    room -= bytes;
    return {};
  }
  void stored(uint64_t) override {}
  Result<void> change(const std::function<Result<void>()>& action) override { return action(); }
  bool is_pending(Ino) override { return false; }
  void renamed(Ino, std::string_view, const std::optional<LiveEntry>& lost) override {
    if (lost && lost->inode.links == 0) {
      EXPECT_TRUE(tree_.release(lost->ino).ok());
    }
  }
  void dressed(Ino) override {}
  uint64_t room = UINT64_MAX;

 private:
  LiveTree& tree_;
};

struct TarImportTest : testing::Test, StoreWorld {
  void SetUp() override {
    open();
    top_ = set("set");
    host_ = std::make_unique<QuietHost>(copy->tree());
    options_.top = top_;
    options_.name = "set";
    options_.rights.administrator = true;
  }

  /// The stream comes in pieces of `piece` bytes.
  Result<void> import(const std::string& bytes, size_t piece = 10240) {
    size_t at = 0;
    TarImport import({copy->tree(), copy->ingest(), copy->chunker()}, options_, *host_,
                     [&]() -> Result<ByteView> {
                       const size_t from = at;
                       at = std::min(bytes.size(), at + piece);
                       return as_bytes(bytes).subspan(from, at - from);
                     });
    Result<void> done = import.run();
    failed_ = import.progress().failed;
    return done;
  }
  std::optional<LiveEntry> find(const std::string& path) {
    LiveEntry at{top_, copy->tree().inode(top_).value()};
    for (const auto& part : std::filesystem::path(path)) {
      Result<LiveEntry> next = copy->tree().lookup(at.ino, part.string());
      if (!next.ok()) return std::nullopt;
      at = *next;
    }
    return at;
  }
  std::string text(const std::string& path) {
    std::optional<Bytes> bytes = read("set/" + path);
    return bytes ? std::string(as_text(*bytes)) : "(cannot be read)";
  }
  std::vector<std::string> names(const std::string& path = "") {
    std::vector<std::string> result;
    std::optional<LiveEntry> there = find(path);
    if (!there) return result;
    EXPECT_TRUE(copy->tree()
                    .list(there->ino, 0,
                          [&](const LiveTree::Listed& entry) {
                            result.emplace_back(entry.name);
                            return true;
                          })
                    .ok());
    std::sort(result.begin(), result.end());
    return result;
  }

  Ino top_ = 0;
  TarImport::Options options_;
  std::unique_ptr<QuietHost> host_;
  uint64_t failed_ = 0;
};

TEST_F(TarImportTest, EveryKindOfFileComesWithItsAttributes) {
  const std::string large = std::string(as_text(content(1, 900'000)));
  ASSERT_TRUE(import(tar_of({{.path = "./", .kind = '5', .mode = 0750, .mtime = 7},
                             {.path = "./d/", .kind = '5', .mode = 02775, .mtime = 8},
                             {.path = "./d/large", .content = large, .mode = 04711, .uid = 5},
                             {.path = "./d/empty"},
                             {.path = "./d/other", .kind = '1', .target = "./d/large"},
                             {.path = "./d/sym", .kind = '2', .target = "../../elsewhere"},
                             {.path = "./d/fifo", .kind = '6'},
                             {.path = "./d/char", .kind = '3', .mode = 0600},
                             {.path = "./d/x",
                              .content = "x",
                              .records = {{"mtime", "1234567890.123456789"},
                                          {"SCHILY.xattr.user.text", "value"},
                                          {"SCHILY.xattr.user.a%3Db%25", "odd"}}}}))
                  .ok());
  EXPECT_EQ(find("")->inode.permissions, 0750);
  EXPECT_EQ(find("")->inode.mtime, 7'000'000'000);
  EXPECT_EQ(find("d")->inode.permissions, 02775);
  EXPECT_EQ(find("d")->inode.mtime, 8'000'000'000);
  EXPECT_EQ(text("d/large"), large);
  EXPECT_EQ(find("d/large")->inode.permissions, 04711);
  EXPECT_EQ(find("d/large")->inode.uid, 5u);
  EXPECT_EQ(find("d/large")->inode.links, 2u);
  EXPECT_EQ(find("d/other")->ino, find("d/large")->ino);
  EXPECT_EQ(text("d/empty"), "");
  EXPECT_EQ(copy->tree().read_link(find("d/sym")->ino).value(), "../../elsewhere");
  EXPECT_EQ(find("d/fifo")->inode.type, FileType::kFifo);
  EXPECT_EQ(find("d/char")->inode.device_minor, 3u);
  EXPECT_EQ(find("d/x")->inode.mtime, 1'234'567'890'123'456'789);
  EXPECT_EQ(copy->tree().xattr(find("d/x")->ino, "user.text").value(), "value");
  EXPECT_EQ(copy->tree().xattr(find("d/x")->ino, "user.a=b%").value(), "odd");
}

TEST_F(TarImportTest, NamesThatClimbOrLeadElsewhereAreRefused) {
  make(top_, "away", FileType::kSymlink, "/tmp");
  Result<void> done = import(tar_of({{.path = "../out"},
                                     {.path = "in/../../out"},
                                     {.path = "away/through"},
                                     {.path = "link", .kind = '1', .target = "../../etc/passwd"},
                                     {.path = ".varve/snapshots/x", .kind = '5'},
                                     {.path = "./.varve", .content = "x"},
                                     {.path = std::string(300, 'n')},
                                     {.path = "/absolute", .content = "inside"},
                                     {.path = "good", .content = "good"}}));
  EXPECT_EQ(done.error().code(), Errc::kIo);
  EXPECT_EQ(failed_, 4u);
  EXPECT_EQ(text("absolute"), "inside");
  EXPECT_EQ(text("good"), "good");
  EXPECT_THAT(names(), ElementsAre("absolute", "away", "good", std::string(100, 'n')));
}

TEST_F(TarImportTest, AStreamThatBreaksAnywhereLeavesWholeFilesOnly) {
  const std::string a(700, 'a'), b(100'000, 'b');
  const std::string archive = tar_of(
      {{.path = "d/", .kind = '5'}, {.path = "d/a", .content = a}, {.path = "d/b", .content = b}});
  std::vector<size_t> lengths;
  for (size_t at = 0; at < archive.size(); at += 512) lengths.push_back(at);
  for (size_t at : {size_t{1}, size_t{700}, archive.size() - 1000, archive.size() - 1})
    lengths.push_back(at);
  options_.extents_in_memory = 1;  // the large one takes the way of large ones
  for (size_t length : lengths) {
    Result<void> done = import(archive.substr(0, length), 4096);
    ASSERT_FALSE(done.ok()) << length;
    EXPECT_EQ(done.error().code(), Errc::kIo) << length;
    if (find("d/a")) {
      EXPECT_EQ(text("d/a"), a) << length;
    }
    if (find("d/b")) {
      EXPECT_EQ(text("d/b"), b) << length;
    }
    EXPECT_THAT(copy->tree().orphans().value(), IsEmpty()) << length;
    if (find("d/b")) {
      EXPECT_TRUE(copy->tree().unlink(find("d")->ino, "b").ok());
    }
    for (Ino orphan : copy->tree().orphans().value())
      EXPECT_TRUE(copy->tree().release(orphan).ok());
  }
  ASSERT_TRUE(import(archive).ok());
  EXPECT_EQ(text("d/b"), b);
}

TEST_F(TarImportTest, FilesWithManyExtentsAreWhole) {
  options_.extents_in_memory = 2;
  const std::string large = std::string(as_text(content(3, 3'000'000)));
  ASSERT_TRUE(
      import(tar_of({{.path = "large", .content = large}, {.path = "small", .content = "s"}}))
          .ok());
  EXPECT_EQ(text("large"), large);
  EXPECT_EQ(text("small"), "s");
  EXPECT_THAT(copy->tree().orphans().value(), IsEmpty());
}

TEST_F(TarImportTest, MergingKeepsWhatTheArchiveDoesNotName) {
  const Ino d = make(top_, "d", FileType::kDirectory);
  file(d, "kept", content(1, 100));
  file(d, "replaced", content(2, 100));
  make(top_, "full", FileType::kDirectory);
  file(find("full")->ino, "in it", content(3, 10));
  Result<void> done = import(tar_of({{.path = "d/replaced", .content = "new"},
                                     {.path = "full", .content = "no"},
                                     {.path = "kept2/deep/file", .content = "deep"}}));
  EXPECT_EQ(done.error().code(), Errc::kIo);  // a full directory gives way to nothing
  EXPECT_EQ(failed_, 1u);
  EXPECT_THAT(names("d"), ElementsAre("kept", "replaced"));
  EXPECT_EQ(text("d/replaced"), "new");
  EXPECT_THAT(names("full"), ElementsAre("in it"));
  EXPECT_EQ(text("kept2/deep/file"), "deep");
}

TEST_F(TarImportTest, ReplacingRemovesWhatTheArchiveDoesNotName) {
  options_.replace = true;
  const std::vector<TarFile> files = {{.path = "d/", .kind = '5', .mtime = 9},
                                      {.path = "d/a", .content = "a"},
                                      {.path = "full", .content = "now a file"}};
  ASSERT_TRUE(import(tar_of(files)).ok());
  const Ino a = find("d/a")->ino;
  const Ino gone = make(find("d")->ino, "gone", FileType::kDirectory);
  file(gone, "below", content(1, 10));
  file(find("d")->ino, "loose", content(1, 10));
  ASSERT_TRUE(copy->tree().link(find("d/loose")->ino, top_, "loose link").ok());
  ASSERT_TRUE(copy->tree().unlink(top_, "full").ok());
  file(make(make(top_, "full", FileType::kDirectory), "deeper", FileType::kDirectory), "f",
       content(2, 10));
  ASSERT_TRUE(import(tar_of(files)).ok());
  EXPECT_THAT(names(), ElementsAre("d", "full"));
  EXPECT_THAT(names("d"), ElementsAre("a"));
  EXPECT_EQ(text("full"), "now a file");
  EXPECT_EQ(find("d")->inode.mtime, 9'000'000'000);
  EXPECT_EQ(find("d/a")->ino, a) << "a file that is equal stays as it is";
  ASSERT_TRUE(import(tar_of({})).ok());
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(TarImportTest, NothingIsRemovedForAnArchiveWithErrors) {
  options_.replace = true;
  file(top_, "old", content(1, 10));
  EXPECT_FALSE(import(tar_of({{.path = "../x"}, {.path = "new"}})).ok());
  EXPECT_FALSE(import(tar_of({{.path = "new"}}).substr(0, 1024)).ok());
  EXPECT_THAT(names(), ElementsAre("new", "old"));
}

TEST_F(TarImportTest, UsersDoWhatTheyCouldDoWithTar) {
  options_.rights = {.administrator = false, .uid = 77, .gid = 88};
  AttributeChange owner;
  owner.uid = 77;
  ASSERT_TRUE(copy->tree().change(top_, owner).ok());
  file(make(top_, "roots", FileType::kDirectory), "f", content(1, 10));
  Result<void> done = import(
      tar_of({{.path = "mine", .content = "m", .uid = 0},
              {.path = "roots/f", .content = "changed"},
              {.path = "roots/", .kind = '5'},
              {.path = "device", .kind = '4'},
              {.path = "stolen", .kind = '1', .target = "roots/f"},
              {.path = "trusted",
               .records = {{"SCHILY.xattr.trusted.x", "1"}, {"SCHILY.xattr.user.x", "2"}}}}));
  EXPECT_EQ(done.error().code(), Errc::kIo);
  EXPECT_EQ(find("mine")->inode.uid, 77u);
  EXPECT_EQ(find("mine")->inode.gid, 88u);
  EXPECT_EQ(read("set/roots/f"), content(1, 10));
  EXPECT_FALSE(find("device"));
  EXPECT_FALSE(find("stolen"));
  EXPECT_FALSE(copy->tree().xattr(find("trusted")->ino, "trusted.x").ok());
  EXPECT_EQ(copy->tree().xattr(find("trusted")->ino, "user.x").value(), "2");
}

TEST_F(TarImportTest, AccessListsAreTheArchivesOwn) {
  const Ino d = make(top_, "d", FileType::kDirectory);
  const std::string inherited = PosixAcl::of({{PosixAcl::kUserObject, 7, PosixAcl::kNoId},
                                              {PosixAcl::kUser, 7, 5},
                                              {PosixAcl::kGroupObject, 7, PosixAcl::kNoId},
                                              {PosixAcl::kMask, 7, PosixAcl::kNoId},
                                              {PosixAcl::kOther, 0, PosixAcl::kNoId}})
                                    .value()
                                    .encode();
  ASSERT_TRUE(
      copy->tree().set_xattr(d, kAclDefaultName, inherited, LiveTree::XattrMode::kAny).ok());
  ASSERT_TRUE(
      import(tar_of({{.path = "d/plain", .mode = 0644},
                     {.path = "d/listed",
                      .mode = 0664,
                      .records = {{"SCHILY.acl.access",
                                   "user::rw-,user:1234:rwx,group::r--,mask::rw-,other::---"}}}}))
          .ok());
  EXPECT_FALSE(copy->tree().xattr(find("d/plain")->ino, kAclAccessName).ok());
  EXPECT_EQ(find("d/plain")->inode.permissions, 0644);
  const PosixAcl acl =
      PosixAcl::decode(copy->tree().xattr(find("d/listed")->ino, kAclAccessName).value()).value();
  ASSERT_EQ(acl.entries().size(), 5u);
  EXPECT_EQ(acl.entries()[1], (PosixAcl::Entry{PosixAcl::kUser, 7, 1234}));
  EXPECT_EQ(find("d/listed")->inode.permissions, 0660);
}

TEST_F(TarImportTest, AFullDiskEndsTheImport) {
  host_->room = 1000;
  Result<void> done = import(tar_of({{.path = "a", .content = std::string(900, 'a')},
                                     {.path = "b", .content = std::string(900, 'b')},
                                     {.path = "c"}}));
  EXPECT_EQ(done.error().code(), Errc::kNoSpace);
  EXPECT_THAT(names(), ElementsAre("a"));
}

TEST_F(TarImportTest, WhatIsNoSingleArchiveIsRefused) {
  EXPECT_EQ(
      import(std::string("\x1f\x8b\x08\0\0\0\0\0", 8) + std::string(1000, 'z')).error().code(),
      Errc::kInvalid);
  EXPECT_EQ(import(std::string(10000, 'z')).error().code(), Errc::kIo);
  const std::string one = tar_of({{.path = "a", .content = "a"}});
  EXPECT_EQ(import(one + one).error().code(), Errc::kIo);
  EXPECT_EQ(text("a"), "a");
  EXPECT_TRUE(import(one + std::string(9000, '\0')).ok());
}

}  // namespace
}  // namespace varve
