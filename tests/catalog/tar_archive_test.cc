// Goal: a snapshot as an archive is the same bytes at every offset and in every order of reading,
// and what is read from it is what the snapshot has.
#include "catalog/tar_archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/posix_acl.h"
#include "catalog/tar_reader.h"
#include "tests/catalog/store_world.h"

namespace varve {
namespace {

using testing::ElementsAre;

struct TarArchiveTest : testing::Test, StoreWorld {
  void SetUp() override {
    open();
    top_ = set("set");
  }

  SnapshotBody body() {
    auto taken = snapshot("set", "s" + std::to_string(++snapshots_));
    EXPECT_TRUE(taken.ok());
    return copy->history().body(taken->hash).value();
  }
  std::shared_ptr<TarArchive> archive(const SnapshotBody& body, TarArchive::Options options = {}) {
    auto opened = TarArchive::open(copy->fetch(), body, body.trees.size() > 1, options);
    EXPECT_TRUE(opened.ok()) << (opened.ok() ? "" : opened.error().message());
    return opened.value();
  }
  static Bytes read_from(TarArchive& archive, uint64_t offset, size_t size) {
    Bytes bytes(size);
    auto read = archive.read(offset, bytes);
    EXPECT_TRUE(read.ok()) << (read.ok() ? "" : read.error().message());
    bytes.resize(read.ok() ? *read : 0);
    return bytes;
  }
  static Bytes whole(TarArchive& archive) { return read_from(archive, 0, archive.size() + 1); }

  struct Found {
    TarEntry entry;
    Bytes content;
  };
  static std::map<std::string, Found> parse(const Bytes& bytes) {
    bool given = false;
    TarReader reader([&]() -> Result<ByteView> {
      return std::exchange(given, true) ? ByteView() : ByteView(bytes);
    });
    std::map<std::string, Found> result;
    Found found;
    for (;;) {
      auto more = reader.next(found.entry);
      EXPECT_TRUE(more.ok()) << (more.ok() ? "" : more.error().message());
      if (!more.ok() || !*more) return result;
      EXPECT_TRUE(found.entry.troubles.empty()) << found.entry.troubles.front();
      found.content.assign(found.entry.link ? 0 : found.entry.size, 0);
      while (auto piece = reader.data().value())
        std::copy(piece->bytes.begin(), piece->bytes.end(),
                  found.content.begin() + static_cast<ptrdiff_t>(piece->offset));
      EXPECT_TRUE(result.emplace(found.entry.path, found).second) << found.entry.path;
    }
  }
  /// Something of every kind, and many small files.
  void fill() {
    const Ino d = make(top_, "d", FileType::kDirectory);
    file(d, "large", content(1, 900'000));
    make(d, "empty", FileType::kFile);
    make(d, "sym", FileType::kSymlink, std::string(300, 't'));
    make(d, "fifo", FileType::kFifo);
    make(d, "socket", FileType::kSocket);
    const Ino first = file(d, "one", content(2, 700));
    EXPECT_TRUE(copy->tree().link(first, top_, "another").ok());
    const Ino sparse = file(d, "sparse", content(3, 10'000));
    write(sparse, content(4, 5'000), 1'000'000);
    LiveTree::ContentChange longer;
    longer.size = 3'000'001;
    EXPECT_TRUE(copy->tree().change_content(sparse, longer).ok());
    file(make(top_, std::string(200, 'n'), FileType::kDirectory), std::string(255, 'm'),
         content(5, 100));
    const Ino many = make(top_, "many", FileType::kDirectory);
    for (int i = 0; i < 600; i++)
      file(many, "file" + std::to_string(i), content(static_cast<uint64_t>(i), 300));
  }

  Ino top_ = 0;
  int snapshots_ = 0;
};

TEST_F(TarArchiveTest, HasWhatTheSnapshotHas) {
  fill();
  const Ino d = copy->tree().lookup(top_, "d")->ino;
  const Ino one = copy->tree().lookup(d, "large")->ino;
  AttributeChange change;
  change.permissions = 04755;
  change.uid = 3'000'000'000;
  change.mtime = -1'500'000'001;
  ASSERT_TRUE(copy->tree().change(one, change).ok());
  const std::string acl = PosixAcl::of({{PosixAcl::kUserObject, 6, PosixAcl::kNoId},
                                        {PosixAcl::kUser, 7, 1234},
                                        {PosixAcl::kGroupObject, 4, PosixAcl::kNoId},
                                        {PosixAcl::kMask, 6, PosixAcl::kNoId},
                                        {PosixAcl::kOther, 0, PosixAcl::kNoId}})
                              .value()
                              .encode();
  for (const auto& [name, value] :
       {std::pair<std::string, std::string>("user.a=b%", std::string("\0\n\xff", 3)),
        std::pair<std::string, std::string>(kAclAccessName, acl)})
    ASSERT_TRUE(copy->tree().set_xattr(one, name, value, LiveTree::XattrMode::kAny).ok());

  auto found = parse(whole(*archive(body())));
  EXPECT_EQ(found["./"].entry.type, FileType::kDirectory);
  const Found& large = found["d/large"];
  EXPECT_EQ(large.content, content(1, 900'000));
  EXPECT_EQ(large.entry.uid, 3'000'000'000u);
  EXPECT_EQ(large.entry.mtime, -1'500'000'001);
  EXPECT_THAT(large.entry.xattrs,
              ElementsAre(testing::Pair(std::string(kAclAccessName), acl),
                          testing::Pair("user.a=b%", std::string("\0\n\xff", 3))));
  EXPECT_EQ(found["d/empty"].content.size(), 0u);
  EXPECT_EQ(found["d/sym"].entry.target, std::string(300, 't'));
  EXPECT_EQ(found["d/fifo"].entry.type, FileType::kFifo);
  EXPECT_FALSE(found.contains("d/socket"));
  EXPECT_EQ(found["another"].content, content(2, 700));
  EXPECT_EQ(found["d/one"].entry.link, "another");
  Bytes sparse(3'000'001);
  const Bytes begin = content(3, 10'000), island = content(4, 5'000);
  std::copy(begin.begin(), begin.end(), sparse.begin());
  std::copy(island.begin(), island.end(), sparse.begin() + 1'000'000);
  EXPECT_EQ(found["d/sparse"].content, sparse);
  EXPECT_EQ(found[std::string(200, 'n') + "/" + std::string(255, 'm')].content, content(5, 100));
  EXPECT_EQ(found["many/file599"].content, content(599, 300));
}

TEST_F(TarArchiveTest, IsTheSameAtEveryOffset) {
  fill();
  const SnapshotBody of = body();
  const Bytes expected = whole(*archive(of));
  EXPECT_EQ(expected.size() % 512, 0u);
  TarArchive::Options few;
  few.spacing_bytes = 4096;
  few.positions_max = 16;  // so that positions are thinned out
  few.ahead_bytes = 10'000;
  auto tested = archive(of, few);
  ASSERT_EQ(tested->size(), expected.size());
  std::mt19937_64 random(7);
  for (int i = 0; i < 300; i++) {
    const uint64_t offset = random() % (expected.size() + 1000);
    const size_t size = random() % 20'000;
    const uint64_t from = std::min<uint64_t>(offset, expected.size());
    const uint64_t to = std::min<uint64_t>(offset + size, expected.size());
    EXPECT_EQ(read_from(*tested, offset, size),
              Bytes(expected.begin() + static_cast<ptrdiff_t>(from),
                    expected.begin() + static_cast<ptrdiff_t>(std::max(from, to))))
        << offset << " " << size;
  }
  Bytes in_order;
  for (uint64_t at = 0; at < expected.size(); at += 10'240) {
    const Bytes part = read_from(*tested, at, 10'240);
    in_order.insert(in_order.end(), part.begin(), part.end());
  }
  EXPECT_EQ(in_order, expected);
}

TEST_F(TarArchiveTest, AWholeMountHasItsSetsAsDirectories) {
  file(top_, "f", content(1, 10));
  file(set("other"), "f", content(2, 10));
  file(kRootIno, "own", content(3, 10));
  auto taken = copy->snapshotter().take({SnapshotClass::kMount, 0, "all"}, at_once);
  ASSERT_TRUE(taken.ok());
  auto found = parse(whole(*archive(copy->history().body(taken->hash).value())));
  std::vector<std::string> paths;
  for (const auto& [path, one] : found) paths.push_back(path);
  EXPECT_THAT(paths, ElementsAre("./", "other/", "other/f", "own", "set/", "set/f"));
  EXPECT_EQ(found["own"].content, content(3, 10));
}

TEST_F(TarArchiveTest, KnowsWhetherItIsOneUsers) {
  file(top_, "f", content(1, 10));
  EXPECT_TRUE(archive(body())->belongs_to(::getuid()));
  AttributeChange other;
  other.uid = ::getuid() + 1;
  ASSERT_TRUE(copy->tree().change(copy->tree().lookup(top_, "f")->ino, other).ok());
  EXPECT_FALSE(archive(body())->belongs_to(::getuid()));
}

TEST_F(TarArchiveTest, RunsAreCutAtBlocks) {
  std::vector<TarRun> runs;
  add_tar_run(runs, 5000, 5001, 100'000);
  add_tar_run(runs, 8191, 8193, 100'000);
  add_tar_run(runs, 50'000, 60'000, 60'001);
  EXPECT_THAT(runs, ElementsAre(TarRun{4096, 8192}, TarRun{49'152, 10'849}));
  EXPECT_EQ(encode_tar_map({}, 5).substr(0, 6), std::string("1\n5\n0\n"));
}

}  // namespace
}  // namespace varve
