// Goal: whatever is written, cut, copied, renamed, linked and removed in any order, with flushes,
// snapshots, remounts and crashes between, the volume holds what a simple model in memory holds.
// VARVE_SEED replays.
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <stdio.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/fs/volume_world.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

struct VolumeModel : testing::Test, VolumeWorld {
  void SetUp() override {
    mount();
    set_ = directory_of(kRootIno, "web");
  }
  void TearDown() override {
    if (volume) unmount();
  }
  Ino set_ = 0;
};

/// One file and what it must hold.
struct Modelled {
  Ino ino;
  uint64_t handle;
  Bytes bytes;
};

class FileModel {
 public:
  FileModel(VolumeWorld& world, uint64_t seed) : world_(world), random_(seed) {}

  void step(Modelled& file, Modelled& other) {
    uint64_t at = random_() % kSpan;
    size_t size = static_cast<size_t>(random_() % (random_() % 5 == 0 ? 300'000 : 5'000) + 1);
    switch (random_() % 16) {
      case 0:
        return resize(file, at);
      case 1:
        return punch(file, at, size);
      case 2:
        return copy(file, other, at, size);
      case 3:
        ASSERT_TRUE(world_.volume->sync(file.ino, file.handle, false).ok());
        return;
      case 4:
        ASSERT_TRUE(world_.volume->sync_all().ok());
        return;
      case 5:
        return write(file, file.bytes.size(), size);
      case 6:
        return append(file, size);
      case 7:
        return zero(file, at, size);
      case 8:
        return allocate(file, at, size);
      default:
        return write(file, at, size);
    }
  }
  void check(const Modelled& file) {
    uint64_t from = random_() % (file.bytes.size() + 1);
    size_t size = static_cast<size_t>(random_() % 200'000);
    Bytes expected(file.bytes.begin() + static_cast<ptrdiff_t>(from),
                   file.bytes.begin() +
                       static_cast<ptrdiff_t>(std::min<uint64_t>(file.bytes.size(), from + size)));
    ASSERT_EQ(world_.read_range(file.ino, file.handle, from, size), expected);
    ASSERT_EQ(world_.volume->get_attributes(file.ino, file.handle)->attributes.size,
              file.bytes.size());
    ASSERT_NO_FATAL_FAILURE(check_holes(file, from));
  }

 private:
  static constexpr uint64_t kSpan = 1'500'000;

  /// What SEEK_DATA passes over is zeros, and data and holes take turns up to the end.
  void check_holes(const Modelled& file, uint64_t from) {
    const uint64_t size = file.bytes.size();
    while (from < size) {
      auto data = world_.volume->seek(file.ino, file.handle, from, SEEK_DATA);
      ASSERT_TRUE(data.ok() || data.error().code() == Errc::kNoDevice);
      const uint64_t start = data.ok() ? *data : size;
      ASSERT_GE(start, from);
      ASSERT_LE(start, size);
      auto begin = file.bytes.begin();
      ASSERT_TRUE(std::all_of(begin + static_cast<ptrdiff_t>(from),
                              begin + static_cast<ptrdiff_t>(start),
                              [](uint8_t byte) { return byte == 0; }));
      if (start == size) return;
      auto hole = world_.volume->seek(file.ino, file.handle, start, SEEK_HOLE);
      ASSERT_TRUE(hole.ok());
      ASSERT_GT(*hole, start);
      ASSERT_LE(*hole, size);
      from = *hole;
    }
  }

  void append(Modelled& file, size_t size) {
    Bytes data = StoreWorld::content(random_(), size);
    // The kernel's idea of the end may be old: what it says is not what counts.
    auto written =
        world_.volume->write(file.ino, file.handle, random_() % kSpan, data, {true, false});
    ASSERT_TRUE(written.ok());
    file.bytes.insert(file.bytes.end(), data.begin(), data.end());
  }
  void zero(Modelled& file, uint64_t at, size_t size) {
    bool keep_size = random_() % 2 == 0;
    int mode = FALLOC_FL_ZERO_RANGE | (keep_size ? FALLOC_FL_KEEP_SIZE : 0);
    ASSERT_TRUE(world_.volume->allocate(file.ino, file.handle, mode, at, size).ok());
    if (!keep_size && file.bytes.size() < at + size) file.bytes.resize(at + size);
    for (uint64_t i = at; i < std::min<uint64_t>(at + size, file.bytes.size()); i++)
      file.bytes[i] = 0;
  }
  void allocate(Modelled& file, uint64_t at, size_t size) {
    bool keep_size = random_() % 2 == 0;
    int mode = keep_size ? FALLOC_FL_KEEP_SIZE : 0;
    ASSERT_TRUE(world_.volume->allocate(file.ino, file.handle, mode, at, size).ok());
    if (!keep_size && file.bytes.size() < at + size) file.bytes.resize(at + size);
  }
  void write(Modelled& file, uint64_t at, size_t size) {
    Bytes data = random_() % 4 == 0 ? Bytes(size, 9) : StoreWorld::content(random_(), size);
    world_.write_all(file.ino, file.handle, at, data);
    if (file.bytes.size() < at + size) file.bytes.resize(at + size);
    std::copy(data.begin(), data.end(), file.bytes.begin() + static_cast<ptrdiff_t>(at));
  }
  void resize(Modelled& file, uint64_t size) {
    SetAttributes change;
    change.size = size;
    ASSERT_TRUE(
        world_.volume->set_attributes(file.ino, change, file.handle, world_.root_user).ok());
    file.bytes.resize(size);
  }
  void punch(Modelled& file, uint64_t at, size_t size) {
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    ASSERT_TRUE(world_.volume->allocate(file.ino, file.handle, mode, at, size).ok());
    for (uint64_t i = at; i < std::min<uint64_t>(at + size, file.bytes.size()); i++)
      file.bytes[i] = 0;
  }
  void copy(Modelled& from, Modelled& to, uint64_t at, size_t size) {
    uint64_t target = random_() % kSpan;
    auto copied =
        world_.volume->copy_range(from.ino, from.handle, at, to.ino, to.handle, target, size);
    ASSERT_TRUE(copied.ok());
    size_t available = at < from.bytes.size() ? from.bytes.size() - static_cast<size_t>(at) : 0;
    ASSERT_EQ(*copied, std::min(size, available));
    if (*copied == 0) return;
    if (to.bytes.size() < target + *copied) to.bytes.resize(target + *copied);
    std::copy_n(from.bytes.begin() + static_cast<ptrdiff_t>(at), *copied,
                to.bytes.begin() + static_cast<ptrdiff_t>(target));
  }

  VolumeWorld& world_;
  std::mt19937_64 random_;
};

TEST_F(VolumeModel, AgreesWithAModel) {
  uint64_t seed = test_seed();
  FileModel model(*this, seed);
  Filesystem::Created a = create(set_, "a"), b = create(set_, "b");
  Modelled first{a.entry.attributes.ino, a.file.handle, {}},
      second{b.entry.attributes.ino, b.file.handle, {}};
  for (int i = 0; i < 250 && !HasFatalFailure(); i++) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " step " + std::to_string(i));
    model.step(first, second);
    model.check(second);
    std::swap(first, second);
  }
  for (Modelled* file : {&first, &second}) volume->release(file->ino, file->handle);
  ASSERT_EQ(read_all(first.ino), first.bytes) << "seed " << seed;
  ASSERT_TRUE(volume->take_snapshot("web", "end").ok());
  unmount();
  mount();
  for (const Modelled* file : {&first, &second}) {
    std::string name = file->ino == a.entry.attributes.ino ? "a" : "b";
    EXPECT_EQ(read_all(find(kRootIno, "web/" + name)), file->bytes) << "seed " << seed;
    EXPECT_EQ(read_all(find(kRootIno, "web/.varve/snapshots/end/" + name)), file->bytes)
        << "seed " << seed;
  }
}

/// Names in two directories and the files that they name. Files that are open live on without a
/// name.
class NamesModel {
 public:
  NamesModel(VolumeWorld& world, uint64_t seed) : world_(world), random_(seed) {}

  void step() {
    switch (below(14)) {
      case 0:
      case 1:
      case 2:
        return create();
      case 3:
        return link();
      case 4:
        return unlink();
      case 5:
      case 6:
        return rename();
      case 7:
        return close_one();
      case 8:
        return open();
      default:
        return write();
    }
  }

  /// The volume was mounted anew: the kernel holds nothing. `lost`: what was not synced may be
  /// gone.
  void begin_anew() { open_.clear(); }
  void close_all() {
    while (!open_.empty()) close(open_.size() - 1);
  }

  void check() {
    find_directories();
    for (int directory = 0; directory < 2; directory++) {
      std::vector<std::string> expected;
      for (const auto& [place, file] : names_) {
        if (place.first == directory) expected.push_back(place.second);
      }
      ASSERT_EQ(world_.names(directories_[directory]), expected);
    }
    for (const auto& [place, file] : names_) {
      Ino ino = find(place);
      ASSERT_NE(ino, 0u);
      ASSERT_EQ(world_.read_all(ino), file->bytes) << place.second;
      ASSERT_EQ(world_.volume->get_attributes(ino, std::nullopt)->attributes.links,
                links_of(*file));
      world_.volume->forget(ino, 1);
    }
    for (const Open& one : open_)
      ASSERT_EQ(world_.read_range(one.ino, one.handle, 0, SIZE_MAX / 2), one.file->bytes);
  }

  void make_directories(Ino set) {
    for (const char* name : {"one", "two"}) world_.directory_of(set, name);
    find_directories();
  }

 private:
  struct File {
    Bytes bytes;
  };
  struct Open {
    Ino ino;
    uint64_t handle;
    std::shared_ptr<File> file;
  };
  using Place = std::pair<int, std::string>;

  size_t below(size_t limit) { return static_cast<size_t>(random_() % limit); }
  Place place() {
    return {static_cast<int>(below(2)), std::string(1, static_cast<char>('a' + below(5)))};
  }
  uint32_t links_of(const File& file) const {
    return static_cast<uint32_t>(std::count_if(names_.begin(), names_.end(), [&](const auto& name) {
      return name.second.get() == &file;
    }));
  }
  void find_directories() {
    directories_[0] = world_.find(kRootIno, "web/one");
    directories_[1] = world_.find(kRootIno, "web/two");
  }
  /// Counts a reference of the kernel's.
  Ino find(const Place& place) { return world_.find(directories_[place.first], place.second); }

  void create() {
    Place at = place();
    auto made = world_.volume->create(directories_[at.first], at.second, S_IFREG | 0644, O_RDWR,
                                      world_.root_user);
    ASSERT_EQ(made.ok(), !names_.contains(at));
    if (!made.ok()) return;
    names_[at] = std::make_shared<File>();
    open_.push_back({made->entry.attributes.ino, made->file.handle, names_[at]});
  }
  void link() {
    Place from = place(), to = place();
    if (!names_.contains(from)) return;
    Ino ino = find(from);
    auto linked = world_.volume->link(ino, directories_[to.first], to.second);
    world_.volume->forget(ino, linked.ok() ? 2 : 1);
    ASSERT_EQ(linked.ok(), !names_.contains(to));
    if (linked.ok()) names_[to] = names_[from];
  }
  void unlink() {
    Place at = place();
    auto done = world_.volume->unlink(directories_[at.first], at.second);
    ASSERT_EQ(done.ok(), names_.erase(at) > 0);
  }
  void rename() {
    Place from = place(), to = place();
    const unsigned flags[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE};
    unsigned flag = flags[below(3)];
    auto done = world_.volume->rename(directories_[from.first], from.second, directories_[to.first],
                                      to.second, flag);
    bool good = names_.contains(from);
    if (flag == RENAME_NOREPLACE) good = good && !names_.contains(to);
    if (flag == RENAME_EXCHANGE) good = good && names_.contains(to);
    ASSERT_EQ(done.ok(), good);
    if (!good || names_[from] == names_[to]) return;
    if (flag == RENAME_EXCHANGE) return std::swap(names_[from], names_[to]);
    names_[to] = names_[from];
    names_.erase(from);
  }
  void open() {
    Place at = place();
    if (!names_.contains(at)) return;
    Ino ino = find(at);
    auto opened = world_.volume->open(ino, O_RDWR, false, Caller{});
    ASSERT_TRUE(opened.ok());
    open_.push_back({ino, opened->handle, names_[at]});
  }
  void close_one() {
    if (!open_.empty()) close(below(open_.size()));
  }
  void close(size_t index) {
    world_.volume->release(open_[index].ino, open_[index].handle);
    world_.volume->forget(open_[index].ino, 1);
    open_.erase(open_.begin() + static_cast<ptrdiff_t>(index));
  }
  void write() {
    if (open_.empty()) return;
    Open& one = open_[below(open_.size())];
    Bytes& bytes = one.file->bytes;
    if (below(5) == 0) {
      SetAttributes change;
      change.size = below(60'000);
      ASSERT_TRUE(
          world_.volume->set_attributes(one.ino, change, one.handle, world_.root_user).ok());
      return bytes.resize(*change.size);
    }
    size_t at = below(bytes.size() + 5'000);
    Bytes data = StoreWorld::content(random_(), 1 + below(70'000));
    world_.write_all(one.ino, one.handle, at, data);
    if (bytes.size() < at + data.size()) bytes.resize(at + data.size());
    std::copy(data.begin(), data.end(), bytes.begin() + static_cast<ptrdiff_t>(at));
  }

  VolumeWorld& world_;
  std::mt19937_64 random_;
  Ino directories_[2] = {0, 0};
  std::map<Place, std::shared_ptr<File>> names_;
  std::vector<Open> open_;
};

TEST_F(VolumeModel, NamesAndFilesAgreeOverRemountsAndCrashes) {
  uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  NamesModel model(*this, seed);
  model.make_directories(set_);
  for (int i = 0; i < 600 && !HasFailure(); i++) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " step " + std::to_string(i));
    model.step();
    if (random() % 40 == 0) model.check();
    if (random() % 60 == 0) {
      ASSERT_TRUE(volume->sync_all().ok());
    }
    if (random() % 80 == 0) {
      ASSERT_TRUE(volume->take_snapshot("web", "at " + std::to_string(i)).ok());
    }
    if (random() % 120 != 0) continue;
    if (random() % 2 == 0) {
      ASSERT_TRUE(volume->sync_all().ok());
      kill();
    } else {
      unmount();
    }
    mount();
    model.begin_anew();
    model.check();
  }
  model.close_all();
  model.check();
}

}  // namespace
}  // namespace varve
