#include "catalog/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <array>
#include <map>

#include "catalog/kernel_types.h"
#include "catalog/posix_acl.h"
#include "dedup/base/limits.h"

namespace varve {
namespace {

// Headers and maps of holes are kept in memory until they are whole.
constexpr uint64_t kHeaderBytesMax = 16 * kMiB;
constexpr std::string_view kControlDirectoryName = ".varve";

struct KnownMagic {
  std::string_view magic, name;
};
constexpr std::array kCompressed = {KnownMagic{"\x1f\x8b", "gzip"},
                                    KnownMagic{"\x28\xb5\x2f\xfd", "zstd"},
                                    KnownMagic{"\xfd\x37zXZ", "xz"}, KnownMagic{"BZh", "bzip2"}};

/// libarchive warns where a name is no text of its locale; it gives the bytes all the same, and
/// bytes are what names are here.
bool is_about_characters(std::string_view message) {
  return message.find("can't be converted from") != message.npos;
}

std::string text_or_nothing(const char* text) {
  return text == nullptr ? std::string() : std::string(text);
}

/// The number of a user or group that an access list only names.
std::optional<uint32_t> number_named(bool user, const char* name) {
  if (name == nullptr || *name == '\0') return std::nullopt;
  std::vector<char> space(16 * kKiB);
  if (user) {
    passwd found{};
    passwd* result = nullptr;
    if (::getpwnam_r(name, &found, space.data(), space.size(), &result) != 0 || result == nullptr)
      return std::nullopt;
    return result->pw_uid;
  }
  group found{};
  group* result = nullptr;
  if (::getgrnam_r(name, &found, space.data(), space.size(), &result) != 0 || result == nullptr)
    return std::nullopt;
  return result->gr_gid;
}

uint16_t tag_of(int tag) {
  switch (tag) {
    case ARCHIVE_ENTRY_ACL_USER_OBJ:
      return PosixAcl::kUserObject;
    case ARCHIVE_ENTRY_ACL_USER:
      return PosixAcl::kUser;
    case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
      return PosixAcl::kGroupObject;
    case ARCHIVE_ENTRY_ACL_GROUP:
      return PosixAcl::kGroup;
    case ARCHIVE_ENTRY_ACL_MASK:
      return PosixAcl::kMask;
    case ARCHIVE_ENTRY_ACL_OTHER:
      return PosixAcl::kOther;
    default:
      return 0;
  }
}

uint16_t permissions_of(int permset) {
  return static_cast<uint16_t>(((permset & ARCHIVE_ENTRY_ACL_READ) ? 4 : 0) |
                               ((permset & ARCHIVE_ENTRY_ACL_WRITE) ? 2 : 0) |
                               ((permset & ARCHIVE_ENTRY_ACL_EXECUTE) ? 1 : 0));
}

/// The list of that kind as an xattr's value; empty if there is none.
Result<std::string> acl_of(archive_entry* from, int kind) {
  std::vector<PosixAcl::Entry> entries;
  if (archive_entry_acl_reset(from, kind) == 0) return std::string();
  int type = 0, permset = 0, tag = 0, number = 0;
  const char* name = nullptr;
  while (archive_entry_acl_next(from, kind, &type, &permset, &tag, &number, &name) == ARCHIVE_OK) {
    PosixAcl::Entry one{tag_of(tag), permissions_of(permset), PosixAcl::kNoId};
    if (one.tag == PosixAcl::kUser || one.tag == PosixAcl::kGroup) {
      std::optional<uint32_t> id;
      if (number >= 0) id = static_cast<uint32_t>(number);
      if (!id) id = number_named(one.tag == PosixAcl::kUser, name);
      if (!id)
        return Error(Errc::kInvalid,
                     fmt::format("nobody here is called '{}'", text_or_nothing(name)));
      one.id = *id;
    }
    entries.push_back(one);
  }
  return VARVE_TRY(PosixAcl::of(std::move(entries))).encode();
}

/// The name of an attribute as GNU tar and libarchive put it into a record's key: %XX for a byte.
std::string decoded_name(std::string_view name) {
  std::string result;
  while (!name.empty()) {
    uint8_t byte = 0;
    if (name.front() == '%' && name.size() >= 3 && from_hex(name.substr(1, 2), {&byte, 1}) &&
        byte != 0) {
      result += static_cast<char>(byte);
      name.remove_prefix(3);
    } else {
      result += name.front();
      name.remove_prefix(1);
    }
  }
  return result;
}

Result<FileType> type_of(archive_entry* from) {
  const auto mode = archive_entry_filetype(from);
  Result<FileType> type = file_type_of(mode == 0 ? mode_t{AE_IFREG} : mode);
  if (!type.ok()) return Error(Errc::kInvalid, "is of no type that files have");
  return type;
}

/// libarchive takes "-1.5" for -1 + 0.5.
Nanoseconds time_of(time_t seconds, long nanoseconds) {
  return seconds < 0 && nanoseconds > 0 ? nanoseconds_of({seconds - 1, 1'000'000'000 - nanoseconds})
                                        : nanoseconds_of({seconds, nanoseconds});
}

uint32_t number_of_owner(int64_t number) {
  return number < 0 || number > int64_t{UINT32_MAX} - 1 ? 0 : static_cast<uint32_t>(number);
}

}  // namespace

struct TarReader::State {
  explicit State(Source source_in) : source(std::move(source_in)), reader(archive_read_new()) {}
  ~State() { archive_read_free(reader); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  static la_ssize_t read(archive*, void* self, const void** bytes) {
    return static_cast<State*>(self)->give(bytes);
  }
  la_ssize_t give(const void** bytes);
  Result<void> open();
  Error failure();
  Result<void> check_rest();
  void convert(archive_entry* from, TarEntry& to);
  void convert_xattrs(archive_entry* from, TarEntry& to);

  const Source source;
  archive* const reader;
  archive_entry* entry = nullptr;  // libarchive's; nullptr before the first and behind the last
  bool opened = false, ended = false;
  std::optional<Error> failed;  // of the source, or final
  ByteView last;                // what the source gave last
  uint64_t given = 0;           // bytes so far
  uint64_t header_from = 0;     // where what is being parsed began
  bool in_header = false;
  std::string head;  // of the stream
};

la_ssize_t TarReader::State::give(const void** bytes) {
  if (failed) return -1;
  if (in_header && given - header_from > kHeaderBytesMax) {
    failed = Error(Errc::kIo, "the archive has a header that is too large");
    return -1;
  }
  Result<ByteView> next = source();
  if (!next.ok()) {
    failed = std::move(next).error();
    return -1;
  }
  last = *next;
  given += last.size();
  ended = last.empty();
  if (head.size() < 8) head.append(as_text(last).substr(0, 8 - head.size()));
  *bytes = last.data();
  return static_cast<la_ssize_t>(last.size());
}

Result<void> TarReader::State::open() {
  if (std::exchange(opened, true)) return {};
  archive_read_support_format_tar(reader);
  if (archive_read_open(reader, this, nullptr, &State::read, nullptr) != ARCHIVE_OK)
    return failure();
  return {};
}

/// Why libarchive does not go on; the same ever after.
Error TarReader::State::failure() {
  if (failed) return *failed;
  for (const KnownMagic& known : kCompressed) {
    if (!head.starts_with(known.magic)) continue;
    failed = Error(Errc::kInvalid,
                   fmt::format("the stream is compressed: put '{} -dc' before it", known.name));
    return *failed;
  }
  if (ended) {
    failed = Error(Errc::kIo,
                   fmt::format("the stream ends after {} bytes, before the archive does", given));
  } else {
    failed = Error(Errc::kIo, fmt::format("the archive is damaged within its first {} bytes: {}",
                                          given, text_or_nothing(archive_error_string(reader))));
  }
  return *failed;
}

/// Behind the two blocks of zeros that end an archive nothing else may be.
Result<void> TarReader::State::check_rest() {
  const auto parsed =
      static_cast<uint64_t>(std::max<la_int64_t>(archive_filter_bytes(reader, 0), 0));
  const uint64_t left = given - std::min(given, parsed);
  const ByteView rest = last.last(static_cast<size_t>(std::min<uint64_t>(left, last.size())));
  if (std::all_of(rest.begin(), rest.end(), [](uint8_t byte) { return byte == 0; })) return {};
  failed = Error(Errc::kIo, "there is something behind the archive's end; import one at a time");
  return *failed;
}

Result<bool> TarReader::next(TarEntry& entry) {
  State& state = *state_;
  state.in_header = false;  // what is left of the last file is skipped first
  VARVE_TRY(state.open());
  if (state.entry != nullptr && archive_read_data_skip(state.reader) < ARCHIVE_WARN)
    return state.failure();
  state.entry = nullptr;
  state.header_from = state.given;
  state.in_header = true;
  archive_entry* from = nullptr;
  archive_clear_error(state.reader);
  const int outcome = archive_read_next_header(state.reader, &from);
  // A stream that ends between two entries looks like an archive's end to libarchive.
  if (outcome == ARCHIVE_EOF && !state.ended) {
    VARVE_TRY(state.check_rest());
    return false;
  }
  if (outcome != ARCHIVE_OK && outcome != ARCHIVE_WARN) return state.failure();
  state.entry = from;
  entry = TarEntry();
  const std::string warning = text_or_nothing(archive_error_string(state.reader));
  if (outcome == ARCHIVE_WARN && !is_about_characters(warning)) entry.troubles.push_back(warning);
  state.convert(from, entry);
  return true;
}

void TarReader::State::convert(archive_entry* from, TarEntry& to) {
  to.path = text_or_nothing(archive_entry_pathname(from));
  if (const char* link = archive_entry_hardlink(from)) to.link = link;
  if (Result<FileType> type = type_of(from); type.ok()) {
    to.type = *type;
  } else {
    to.troubles.push_back(type.error().message());
  }
  to.permissions = static_cast<uint16_t>(archive_entry_perm(from) & 07777);
  to.uid = number_of_owner(archive_entry_uid(from));
  to.gid = number_of_owner(archive_entry_gid(from));
  if (to.type == FileType::kCharacterDevice || to.type == FileType::kBlockDevice) {
    to.device_major = static_cast<uint32_t>(archive_entry_rdevmajor(from));
    to.device_minor = static_cast<uint32_t>(archive_entry_rdevminor(from));
  }
  if (to.type == FileType::kSymlink) to.target = text_or_nothing(archive_entry_symlink(from));
  if (to.type == FileType::kFile)
    to.size = static_cast<uint64_t>(std::max<la_int64_t>(archive_entry_size(from), 0));
  to.mtime = time_of(archive_entry_mtime(from), archive_entry_mtime_nsec(from));
  if (archive_entry_atime_is_set(from) != 0)
    to.atime = time_of(archive_entry_atime(from), archive_entry_atime_nsec(from));
  if (!to.link) convert_xattrs(from, to);
}

void TarReader::State::convert_xattrs(archive_entry* from, TarEntry& to) {
  std::map<std::string, std::string> found;  // libarchive's own writer says each of them twice
  archive_entry_xattr_reset(from);
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  while (archive_entry_xattr_next(from, &name, &value, &size) == ARCHIVE_OK)
    found.insert_or_assign(decoded_name(name), std::string(static_cast<const char*>(value), size));
  for (const auto& [kind, acl_name] :
       {std::pair(ARCHIVE_ENTRY_ACL_TYPE_ACCESS, kAclAccessName),
        std::pair(ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, kAclDefaultName)}) {
    Result<std::string> acl = acl_of(from, kind);
    if (!acl.ok()) {
      to.troubles.push_back(fmt::format("{} cannot be set: {}", acl_name, acl.error().message()));
    } else if (!acl->empty()) {
      found.insert_or_assign(std::string(acl_name), std::move(*acl));
    }
  }
  for (auto& one : found) to.xattrs.emplace_back(one.first, std::move(one.second));
}

Result<std::optional<TarReader::Piece>> TarReader::data() {
  State& state = *state_;
  if (state.failed) return *state.failed;
  if (state.entry == nullptr) return std::optional<Piece>();
  for (;;) {
    const void* bytes = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int outcome = archive_read_data_block(state.reader, &bytes, &size, &offset);
    state.in_header = false;
    if (outcome == ARCHIVE_EOF) return std::optional<Piece>();
    if (outcome < ARCHIVE_WARN || offset < 0) return state.failure();
    if (size > 0) {
      return std::optional(
          Piece{static_cast<uint64_t>(offset), {static_cast<const uint8_t*>(bytes), size}});
    }
  }
}

Result<std::vector<std::string_view>> tar_path(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), part.size() + 1));
    if (part.empty() || part == ".") continue;
    if (part == "..") return Error(Errc::kInvalid, "the name climbs by '..'");
    if (part.size() > kNameBytesMax) return Errc::kNameTooLong;
    if (parts.empty() && part == kControlDirectoryName)
      return Error(Errc::kPermission, ".varve is varve's own");
    parts.push_back(part);
  }
  return parts;
}

TarReader::TarReader(Source source) : state_(std::make_unique<State>(std::move(source))) {}
TarReader::~TarReader() = default;

}  // namespace varve
