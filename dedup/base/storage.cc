#include "dedup/base/storage.h"

#include "dedup/base/random.h"

namespace varve {
namespace {

std::string directory_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::string temporary_name_beside(const std::string& path) {
  std::string directory = directory_of(path);
  std::array<uint8_t, 8> random;
  system_random().fill(random);
  return (directory.empty() ? std::string() : directory + "/") + ".tmp-" + to_hex(random);
}

Result<void> write_synced(Storage& storage, const std::string& path, ByteView bytes) {
  auto file = VARVE_TRY(storage.create(path));
  VARVE_TRY(file->write_at(0, bytes));
  return file->sync();
}

}  // namespace

Result<Bytes> read_whole(Storage& storage, const std::string& path, size_t limit) {
  auto file = VARVE_TRY(storage.open_read(path));
  uint64_t length = VARVE_TRY(file->length());
  if (length > limit) {
    return Error(Errc::kTooLarge, path + " has " + std::to_string(length) + " bytes, more than " +
                                      std::to_string(limit));
  }
  Bytes bytes(static_cast<size_t>(length));
  bytes.resize(VARVE_TRY(file->read_at(0, bytes)));
  return bytes;
}

Result<void> write_whole(Storage& storage, const std::string& path, ByteView bytes) {
  std::string temporary = temporary_name_beside(path);
  Result<void> written = write_synced(storage, temporary, bytes);
  if (written.ok()) written = storage.rename(temporary, path);
  if (!written.ok()) {
    // The first error counts; a temporary file that stays is swept when no varve runs.
    (void)storage.unlink(temporary);
    return written;
  }
  return storage.sync_dir(directory_of(path));
}

}  // namespace varve
