#include "catalog/tar_format.h"

#include <fmt/format.h>

#include <algorithm>

#include "catalog/posix_acl.h"

namespace varve {
namespace {

constexpr size_t kNameField = 100;
constexpr uint64_t kOctal7Max = 07777777, kOctal11Max = 077777777777;
constexpr Nanoseconds kNanosecondsInSecond = 1'000'000'000;

/// A block of the header, filled field by field.
class HeaderBlock {
 public:
  void text(size_t at, size_t width, std::string_view value) {
    block_.replace(at, std::min(width, value.size()), value.substr(0, width));
  }
  /// Digits and a NUL.
  void octal(size_t at, size_t width, uint64_t value) {
    text(at, width - 1, fmt::format("{:0{}o}", value, width - 1));
  }
  std::string finish() {
    text(257, 8, std::string_view("ustar\00000", 8));
    text(148, 8, "        ");
    unsigned sum = 0;
    for (char c : block_) sum += static_cast<unsigned char>(c);
    text(148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    return std::move(block_);
  }

 private:
  std::string block_ = std::string(kTarBlockBytes, '\0');
};

void add_record(std::string& records, std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;  // " ", "=" and "\n"
  size_t length = rest + 1;
  while (fmt::formatted_size("{}", length) + rest != length) length++;
  records += fmt::format("{} {}={}\n", length, key, value);
}

/// Seconds as a decimal number, exactly.
std::string decimal(Nanoseconds time) {
  const bool negative = time < 0;
  const uint64_t size =
      negative ? uint64_t{0} - static_cast<uint64_t>(time) : static_cast<uint64_t>(time);
  std::string text = fmt::format("{}{}.{:09}", negative ? "-" : "", size / kNanosecondsInSecond,
                                 size % kNanosecondsInSecond);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string permissions_text(uint16_t permissions) {
  return {(permissions & 4) ? 'r' : '-', (permissions & 2) ? 'w' : '-',
          (permissions & 1) ? 'x' : '-'};
}

std::string acl_text(const PosixAcl& acl) {
  std::string text;
  for (const PosixAcl::Entry& entry : acl.entries()) {
    const bool of_group = entry.tag == PosixAcl::kGroupObject || entry.tag == PosixAcl::kGroup;
    const bool of_user = entry.tag == PosixAcl::kUserObject || entry.tag == PosixAcl::kUser;
    const std::string_view kind = of_user                        ? "user"
                                  : of_group                     ? "group"
                                  : entry.tag == PosixAcl::kMask ? "mask"
                                                                 : "other";
    const bool named = entry.tag == PosixAcl::kUser || entry.tag == PosixAcl::kGroup;
    text += fmt::format("{}{}:{}:{}", text.empty() ? "" : ",", kind,
                        named ? std::to_string(entry.id) : "", permissions_text(entry.permissions));
  }
  return text;
}

/// As GNU tar writes names of attributes: "=" would end a record's key.
std::string xattr_key(std::string_view name) {
  std::string key = "SCHILY.xattr.";
  for (char c : name) {
    if (c == '=') {
      key += "%3D";
    } else if (c == '%') {
      key += "%25";
    } else {
      key += c;
    }
  }
  return key;
}

void add_xattrs(std::string& records, const Xattrs& xattrs) {
  for (const auto& [name, value] : xattrs) {
    const bool access = name == kAclAccessName;
    if (access || name == kAclDefaultName) {
      const Result<PosixAcl> acl = PosixAcl::decode(value);
      if (acl.ok() && !acl->empty()) {
        add_record(records, access ? "SCHILY.acl.access" : "SCHILY.acl.default", acl_text(*acl));
        continue;
      }
    }
    add_record(records, xattr_key(name), value);
  }
}

std::string records_of(const TarHeader& header) {
  std::string records;
  if (!header.is_sparse && header.path.size() > kNameField)
    add_record(records, "path", header.path);
  if (header.target.size() > kNameField) add_record(records, "linkpath", header.target);
  if (header.body > kOctal11Max) add_record(records, "size", std::to_string(header.body));
  if (header.uid > kOctal7Max) add_record(records, "uid", std::to_string(header.uid));
  if (header.gid > kOctal7Max) add_record(records, "gid", std::to_string(header.gid));
  const bool in_field = header.mtime >= 0 && header.mtime % kNanosecondsInSecond == 0;
  if (!in_field) add_record(records, "mtime", decimal(header.mtime));
  if (header.is_sparse) {
    add_record(records, "GNU.sparse.major", "1");
    add_record(records, "GNU.sparse.minor", "0");
    add_record(records, "GNU.sparse.name", header.path);
    add_record(records, "GNU.sparse.realsize", std::to_string(header.size));
  }
  if (!header.is_link) add_xattrs(records, header.xattrs);
  return records;
}

char kind_of(const TarHeader& header) {
  if (header.is_link) return '1';
  switch (header.type) {
    case FileType::kDirectory:
      return '5';
    case FileType::kSymlink:
      return '2';
    case FileType::kCharacterDevice:
      return '3';
    case FileType::kBlockDevice:
      return '4';
    case FileType::kFifo:
      return '6';
    default:
      return '0';
  }
}

uint64_t seconds_of(Nanoseconds time) {
  return time < 0 ? 0 : static_cast<uint64_t>(time / kNanosecondsInSecond);
}

std::string main_block(const TarHeader& header) {
  HeaderBlock block;
  // A program that knows no sparse files is not to take the map for the file.
  block.text(0, kNameField, header.is_sparse ? "GNUSparseFile.0/" + header.path : header.path);
  block.octal(100, 8, header.permissions);
  block.octal(108, 8, header.uid > kOctal7Max ? 0 : header.uid);
  block.octal(116, 8, header.gid > kOctal7Max ? 0 : header.gid);
  block.octal(124, 12, header.body > kOctal11Max ? 0 : header.body);
  block.octal(136, 12, seconds_of(header.mtime));
  const char kind = kind_of(header);
  block.text(156, 1, {&kind, 1});
  block.text(157, kNameField, header.target);
  if (kind == '3' || kind == '4') {
    block.octal(329, 8, std::min<uint64_t>(header.device_major, kOctal7Max));
    block.octal(337, 8, std::min<uint64_t>(header.device_minor, kOctal7Max));
  }
  return block.finish();
}

}  // namespace

void add_tar_run(std::vector<TarRun>& runs, uint64_t from, uint64_t to, uint64_t file_size) {
  from -= from % kTarRunBytes;
  to = std::min((to + kTarRunBytes - 1) / kTarRunBytes * kTarRunBytes, file_size);
  if (from >= to) return;
  if (runs.empty() || runs.back().offset + runs.back().length < from) {
    runs.push_back({from, to - from});
  } else {
    runs.back().length = std::max(runs.back().length, to - runs.back().offset);
  }
}

std::string encode_tar_header(const TarHeader& header) {
  const std::string records = records_of(header);
  std::string result;
  if (!records.empty()) {
    HeaderBlock block;
    const size_t slash = header.path.find_last_of('/', header.path.size() - 2);
    block.text(0, kNameField,
               "PaxHeaders/" + header.path.substr(slash == std::string::npos ? 0 : slash + 1));
    block.octal(100, 8, 0644);
    block.octal(108, 8, 0);
    block.octal(116, 8, 0);
    block.octal(124, 12, records.size());
    block.octal(136, 12, seconds_of(header.mtime));
    block.text(156, 1, "x");
    result = block.finish() + records;
    result.resize(tar_padded(result.size()));
  }
  return result + main_block(header);
}

std::string encode_tar_map(const std::vector<TarRun>& runs, uint64_t file_size) {
  // Readers learn from an empty run at the end how far a last hole goes.
  const bool hole_at_end = runs.empty() || runs.back().offset + runs.back().length < file_size;
  std::string map = fmt::format("{}\n", runs.size() + (hole_at_end ? 1 : 0));
  for (const TarRun& run : runs) map += fmt::format("{}\n{}\n", run.offset, run.length);
  if (hole_at_end) map += fmt::format("{}\n0\n", file_size);
  map.resize(tar_padded(map.size()));
  return map;
}

}  // namespace varve
