// Goal: whatever happens to the immutable files of a store, verification finds it, and nothing that
// is read is ever wrong: each file of each snapshot gives the bytes that it had, or an error, and
// the check with the key says beforehand which.
//
// Files are flipped, truncated, deleted, swapped, lengthened, written over in places and duplicated
// under other names, at random; VARVE_SEED=N replays, VARVE_SCALE=full damages ten thousand times.

#include <cstdlib>

#include "catalog/store_reader.h"
#include "tests/catalog/checked_store.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

size_t damages_wanted() {
  if (is_full_scale()) return 10'000;
  return is_quick_scale() ? 60 : 300;
}

using Contents = std::map<std::string, Bytes>;  // "snapshot's hash/path"

struct ReadStore {
  Contents whole;
  std::set<std::string> failed;
  std::set<FileHash> snapshots;
};

void read_directory(SnapshotReader& reader, const TreeEntry& directory, const std::string& path,
                    ReadStore& out) {
  std::vector<TreeEntry> entries;
  const auto listed = reader.list(directory, "", true, [&](TreeEntry& entry) -> Result<bool> {
    entries.push_back(entry);
    return true;
  });
  if (!listed.ok()) out.failed.insert(path);
  for (const TreeEntry& entry : entries) {
    const std::string below = path + "/" + entry.name;
    if (entry.type == FileType::kDirectory) read_directory(reader, entry, below, out);
    if (entry.type != FileType::kFile) continue;
    Bytes bytes(entry.node.inode.size);
    const auto read = reader.read(entry, 0, bytes);
    if (read.ok() && *read == bytes.size()) {
      out.whole.emplace(below, std::move(bytes));
    } else {
      out.failed.insert(below);
    }
  }
}

Result<ReadStore> read_store(const std::string& root) {
  const auto store = VARVE_TRY(StoreReader::open(root, StoreWorld::secret(), 8 << 20));
  ReadStore out;
  for (const SnapshotInfo& info : store->history().snapshots()) {
    out.snapshots.insert(info.hash);
    auto reader = store->snapshot(info, info.header.set);
    if (reader.ok()) {
      read_directory(*reader, reader->top(), info.set_name + "/" + info.name + ":", out);
    } else {
      out.failed.insert(info.set_name + "/" + info.name + ":");
    }
  }
  return out;
}

struct Damage {
  std::string path, what;
  bool gone = false;  // nothing is left there that could be hashed
  FileClass file_class = FileClass::kPack;
};

class DamageWorld : public CheckedStoreWorld {
 public:
  explicit DamageWorld(uint64_t seed) : random_(seed) {
    fill();
    for (const StoreFile& file : files()) {
      const std::string path = path_of(file);
      classes_.emplace(path, file.file_class);
      pristine_.emplace(path, read_file(path));
    }
    expected_ = read_store(root).value();
  }

  /// Damages up to `count` files, each in its own way.
  std::vector<Damage> damage(size_t count) {
    std::vector<std::string> paths;
    for (const auto& [path, bytes] : pristine_) paths.push_back(path);
    std::shuffle(paths.begin(), paths.end(), random_);
    std::vector<Damage> done;
    for (size_t i = 0; i < paths.size() && done.size() < count; i++) {
      // Keys and the rest apart: without keys there is nothing to compare.
      if (!done.empty() && (is_keys(paths[i]) || is_keys(done[0].path))) continue;
      const std::string* other = i + 1 < paths.size() ? &paths[i + 1] : nullptr;
      if (damage_one(paths[i], other, done)) i++;
    }
    return done;
  }

  void restore() {
    for (const std::string& path : strays_) std::filesystem::remove(root + "/" + path);
    strays_.clear();
    for (const std::string& path : touched_) put_file(path, pristine_.at(path));
    touched_.clear();
  }

  const ReadStore& expected() const { return expected_; }
  std::mt19937_64& random() { return random_; }
  static bool is_keys(const std::string& path) { return path.starts_with("keys/"); }

 private:
  uint64_t below(uint64_t limit) { return limit == 0 ? 0 : random_() % limit; }

  /// True if it took the other file, too.
  bool damage_one(const std::string& path, const std::string* other, std::vector<Damage>& done) {
    Bytes bytes = pristine_.at(path);
    Damage damage{path, "", false, classes_.at(path)};
    switch (below(7)) {
      case 0: {
        const size_t at = below(bytes.size());
        bytes[at] ^= static_cast<uint8_t>(1 << below(8));
        damage.what = "a bit flipped at " + std::to_string(at);
        break;
      }
      case 1:
        bytes.resize(below(bytes.size()));
        damage.what = "cut off at " + std::to_string(bytes.size());
        break;
      case 2:
        touched_.insert(path);
        std::filesystem::remove(root + "/" + path);
        done.push_back({path, "deleted", true, classes_.at(path)});
        return false;
      case 3: {
        if (other == nullptr || classes_.at(*other) != classes_.at(path)) {
          return damage_one(path, nullptr, done);
        }
        put(path, pristine_.at(*other));
        put(*other, pristine_.at(path));
        done.push_back({path, "swapped with " + *other, false, classes_.at(path)});
        done.push_back({*other, "swapped with " + path, false, classes_.at(path)});
        return true;
      }
      case 4: {
        const size_t from = below(bytes.size()), to = below(bytes.size());
        const size_t length = 1 + below(std::min<size_t>(bytes.size() - from, 5'000));
        const Bytes piece(bytes.begin() + static_cast<ptrdiff_t>(from),
                          bytes.begin() + static_cast<ptrdiff_t>(from + length));
        bytes.insert(bytes.begin() + static_cast<ptrdiff_t>(to), piece.begin(), piece.end());
        damage.what = "a piece of it duplicated at " + std::to_string(to);
        break;
      }
      case 5: {
        const size_t at = below(bytes.size());
        const size_t length = 1 + below(std::min<size_t>(bytes.size() - at, 5'000));
        for (size_t i = at; i < at + length; i++) bytes[i] = static_cast<uint8_t>(bytes[i] + 1);
        damage.what = std::to_string(length) + " bytes written over at " + std::to_string(at);
        break;
      }
      default: {
        StoreFile stray{classes_.at(path), {}};
        for (uint8_t& byte : stray.hash.bytes) byte = static_cast<uint8_t>(random_());
        damage.path = path_of(stray);
        damage.what = "its bytes under another name";
        std::filesystem::create_directories(
            std::filesystem::path(root + "/" + damage.path).parent_path());
        put_file(damage.path, bytes);
        strays_.push_back(damage.path);
        done.push_back(damage);
        return false;
      }
    }
    put(path, bytes);
    done.push_back(damage);
    return false;
  }

  void put(const std::string& path, const Bytes& bytes) {
    touched_.insert(path);
    put_file(path, bytes);
  }

  std::mt19937_64 random_;
  std::map<std::string, Bytes> pristine_;
  std::map<std::string, FileClass> classes_;
  std::set<std::string> touched_;
  std::vector<std::string> strays_;
  ReadStore expected_;
};

std::set<std::string> files_named(const CheckReport& report) {
  std::set<std::string> files;
  for (const Finding& finding : report.findings) {
    if (finding.is_damage()) files.insert(finding.file);
  }
  return files;
}

/// What the check says of paths: "set/snapshot:/path".
std::set<std::string> paths_named(const CheckReport& report) {
  std::set<std::string> paths;
  for (const Finding& finding : report.findings) {
    if (finding.kind != FindingKind::kContent || !finding.path) continue;
    paths.insert(finding.set + "/" + finding.snapshot + ":" +
                 (finding.path->empty() ? "" : "/" + *finding.path));
  }
  return paths;
}

bool is_at_or_below(const std::string& path, const std::set<std::string>& named) {
  for (size_t end = path.size(); end != std::string::npos && end > 0;
       end = path.rfind('/', end - 1)) {
    if (named.contains(path.substr(0, end))) return true;
  }
  return false;
}

/// Everything of these classes that still has bytes, and packs and lists that are gone, is named.
void expect_found(const std::vector<Damage>& damages, const Result<CheckReport>& report,
                  bool history_damaged) {
  ASSERT_TRUE(report.ok()) << report.error().message();
  const std::set<std::string> files = files_named(*report);
  for (const Damage& damage : damages) {
    if (!damage.gone) {
      EXPECT_TRUE(files.contains(damage.path)) << damage.path << ": " << damage.what << "\n"
                                               << lines_of(*report);
    } else if (!history_damaged) {
      EXPECT_TRUE(files.contains(damage.path)) << damage.path << " is gone\n" << lines_of(*report);
    }
  }
}

void expect_right_bytes_or_errors(const DamageWorld& world, const Result<ReadStore>& read,
                                  const CheckReport& report, bool history_damaged) {
  ASSERT_TRUE(read.ok()) << read.error().message();
  const Contents& expected = world.expected().whole;
  for (const auto& [path, bytes] : read->whole) {
    const auto was = expected.find(path);
    ASSERT_NE(was, expected.end()) << path;
    ASSERT_EQ(bytes, was->second) << path << " is read wrong";
  }
  if (history_damaged) return;
  EXPECT_EQ(read->snapshots, world.expected().snapshots);
  const std::set<std::string> named = paths_named(report);
  for (const std::string& path : read->failed) {
    EXPECT_TRUE(is_at_or_below(path, named)) << path << " cannot be read, and no line says so\n"
                                             << lines_of(report);
  }
  for (const auto& [path, bytes] : expected) {
    EXPECT_TRUE(read->whole.contains(path) || is_at_or_below(path, named))
        << path << " cannot be read, and no line says so\n"
        << lines_of(report);
    if (named.contains(path)) {
      EXPECT_FALSE(read->whole.contains(path))
          << path << " can be read, and a line says otherwise\n"
          << lines_of(report);
    }
  }
}

TEST(StoreDamage, EveryDamageIsFoundAndNothingIsEverReadWrong) {
  DamageWorld world(test_seed());
  const size_t wanted = damages_wanted();
  size_t whole = 0, lost = 0;
  for (size_t made = 0; made < wanted && !testing::Test::HasFailure();) {
    const std::vector<Damage> damages = world.damage(1 + world.random()() % 8);
    made += damages.size();
    std::string what;
    bool history_damaged = false, keys_damaged = false;
    for (const Damage& damage : damages) {
      what += damage.path + ": " + damage.what + "\n";
      keys_damaged = keys_damaged || damage.file_class == FileClass::kKeys;
      history_damaged = history_damaged || (damage.file_class != FileClass::kPack &&
                                            damage.file_class != FileClass::kCatalogPack);
    }
    SCOPED_TRACE(what);
    expect_found(damages, world.check_without_key(), history_damaged);
    const auto report = world.check(true, false);
    const bool stray = damages[0].what == "its bytes under another name";
    if (keys_damaged && !stray) {
      EXPECT_FALSE(report.ok());
      EXPECT_FALSE(read_store(world.root).ok());
    } else {
      expect_found(damages, report, history_damaged);
      const auto read = read_store(world.root);
      if (report.ok()) expect_right_bytes_or_errors(world, read, *report, history_damaged);
      if (read.ok()) {
        whole += read->whole.size();
        lost += read->failed.size();
      }
    }
    world.restore();
  }
  EXPECT_GT(whole, 0u);
  EXPECT_GT(lost, 0u);
  std::printf("%zu files were read right, %zu could not be read\n", whole, lost);
  const auto report = world.check(true);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->damages, 0u) << lines_of(*report);
}

}  // namespace
}  // namespace varve
