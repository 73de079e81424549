#include "fs/mount_table.h"

#include <libmount.h>

#include <memory>

#include "dedup/base/log.h"

namespace varve {
namespace {

struct FreeUpdate {
  void operator()(libmnt_update* update) const { mnt_free_update(update); }
};
struct FreeTable {
  void operator()(libmnt_table* table) const { mnt_unref_table(table); }
};
struct FreeFilesystem {
  void operator()(libmnt_fs* filesystem) const { mnt_unref_fs(filesystem); }
};

bool add_row(const std::string& source, const std::string& mountpoint) {
  const std::unique_ptr<libmnt_fs, FreeFilesystem> row(mnt_new_fs());
  const std::unique_ptr<libmnt_update, FreeUpdate> update(mnt_new_update());
  if (row == nullptr || update == nullptr) return false;
  return mnt_fs_set_source(row.get(), source.c_str()) == 0 &&
         mnt_fs_set_target(row.get(), mountpoint.c_str()) == 0 &&
         mnt_fs_append_options(row.get(), "helper=varve") == 0 &&
         mnt_update_set_fs(update.get(), 0, nullptr, row.get()) == 0 &&
         mnt_update_table(update.get(), nullptr) == 0;
}

}  // namespace

void name_umount_helper(const std::string& source, const std::string& mountpoint) {
  if (!add_row(source, mountpoint))
    log_line(LogLevel::kDebug,
             "umount(8) will not wait for the end: /run/mount/utab cannot be written");
}

std::optional<MountedThere> mounted_at(const std::string& path) {
  const std::unique_ptr<libmnt_table, FreeTable> table(
      mnt_new_table_from_file("/proc/self/mountinfo"));
  if (table == nullptr) return std::nullopt;
  libmnt_fs* found = mnt_table_find_target(table.get(), path.c_str(), MNT_ITER_BACKWARD);
  if (found == nullptr) return std::nullopt;
  const char *type = mnt_fs_get_fstype(found), *source = mnt_fs_get_source(found);
  return MountedThere{type != nullptr ? type : "", source != nullptr ? source : ""};
}

}  // namespace varve
