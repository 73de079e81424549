// What tests of checking share: a store of some sets and snapshots, and the check of it as a
// program would run it.
#pragma once

#include <fstream>

#include "catalog/checker.h"
#include "dedup/base/lmdb_kv.h"
#include "dedup/guard.h"
#include "tests/catalog/store_world.h"

namespace varve {

struct CheckedStoreWorld : StoreWorld {
  /// Two sets, hard links, a file of many extents, an empty and a deep directory, four snapshots.
  void fill() {
    open();
    const Ino web = set("web");
    const Ino etc = make(web, "etc", FileType::kDirectory);
    make(web, "empty", FileType::kDirectory);
    make(web, "link", FileType::kSymlink, "etc/passwd");
    Ino deep = etc;
    for (int i = 0; i < 12; i++) deep = make(deep, "d" + std::to_string(i), FileType::kDirectory);
    file(deep, "bottom", content(1, 3000));
    file(etc, "passwd", content(2, 90'000));
    const Ino big = file(web, "big", content(3, 700'000));
    EXPECT_TRUE(copy->tree().link(big, etc, "big too").ok());
    for (uint64_t i = 0; i < 150; i++) {
      file(etc, "small" + std::to_string(i), content(100 + i, 40 + i));
    }
    commit();
    EXPECT_TRUE(snapshot("web", "one").ok());
    EXPECT_TRUE(copy->tree().unlink(etc, "small7").ok());
    file(etc, "new", content(4, 50'000));
    file(set("db"), "dump", content(5, 300'000));
    EXPECT_TRUE(snapshot("web", "two").ok());
    EXPECT_TRUE(snapshot("db", "first").ok());
    close();
    open();
    file(set("db"), "dump2", content(6, 200'000));
    EXPECT_TRUE(snapshot("db", "second").ok());
    close();
  }

  Result<CheckReport> check(bool read_data = false, bool with_database = true) {
    CheckOptions options;
    options.read_data = read_data;
    options.local = with_database;
    return check(options);
  }
  /// The database is looked at with the rest of local/.
  Result<CheckReport> check(const CheckOptions& options) {
    const auto storage = VARVE_TRY(open_posix_storage(root));
    const StoreConfig config = VARVE_TRY(read_store_config(*storage));
    const Keyring keyring = VARVE_TRY(open_keyring(*storage, config, secret()));
    std::unique_ptr<Kv> database;
    std::unique_ptr<KvView> view;
    if (options.local) {
      database = VARVE_TRY(open_lmdb_kv(root + "/local/db"));
      view = VARVE_TRY(database->view());
    }
    return check_store({*storage, config, keyring, view.get(), replica(*storage, config)}, options);
  }
  Result<CheckReport> check_without_key() {
    const auto storage = VARVE_TRY(open_posix_storage(root));
    const StoreConfig config = VARVE_TRY(read_store_config(*storage));
    CheckOptions options;
    options.read_data = true;
    return check_store_without_key({*storage, config, replica(*storage, config)}, options);
  }
  ReplicaId replica(Storage& storage, const StoreConfig& config) {
    const auto found = read_guard(storage, root, config.store_id);
    return found.ok() && found->guard ? found->guard->replica : ReplicaId();
  }

  Bytes read_file(const std::string& path) {
    return read_whole(*open_posix_storage(root).value(), path, 1 << 30).value();
  }
  void put_file(const std::string& path, const Bytes& bytes) {
    std::ofstream out(root + "/" + path, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(out.good());
  }
  std::vector<StoreFile> files() {
    return list_store_files(*open_posix_storage(root).value()).value().files;
  }
};

inline std::string lines_of(const CheckReport& report) {
  std::string lines;
  for (const Finding& finding : report.findings) lines += line_of(finding) + "\n";
  return lines;
}

}  // namespace varve
