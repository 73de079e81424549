#include "dedup/replaced_keys.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "dedup/base/limits.h"

namespace varve {
namespace {

constexpr const char* kFolder = "local";
constexpr const char* kPath = "local/replaced-keys";
constexpr size_t kFileBytesMax = 16 * kMiB;  // a quarter of a million changes

}  // namespace

Result<std::vector<FileHash>> read_replaced_keys(Storage& storage) {
  const Result<Bytes> bytes = read_whole(storage, kPath, kFileBytesMax);
  if (!bytes.ok() && bytes.error().code() == Errc::kNotFound) return std::vector<FileHash>();
  if (!bytes.ok()) return bytes.error();
  std::string_view text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  std::vector<FileHash> hashes;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (const auto hash = FileHash::from_hex(text.substr(0, end))) hashes.push_back(*hash);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return hashes;
}

Result<void> note_replaced_keys(Storage& storage, const std::vector<FileHash>& hashes) {
  std::vector<FileHash> all = VARVE_TRY(read_replaced_keys(storage));
  const size_t before = all.size();
  for (const FileHash& hash : hashes) {
    if (std::find(all.begin(), all.end(), hash) == all.end()) all.push_back(hash);
  }
  if (all.size() == before) return {};
  std::string text;
  for (const FileHash& hash : all) text += hash.hex() + "\n";
  VARVE_TRY(storage.make_directories(kFolder));
  return write_whole(storage, kPath,
                     ByteView(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

}  // namespace varve
