// Archives that are imported.
#include "catalog/posix_acl.h"
#include "catalog/tar_reader.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/tar_bytes.h"

namespace varve {
namespace {

void check_path(const std::string& path) {
  const auto parts = tar_path(path);
  if (!parts.ok()) return;
  for (size_t i = 0; i < parts->size(); i++) {
    const std::string_view part = (*parts)[i];
    expect_that(!part.empty() && part != "." && part != "..", "a path climbs");
    expect_that(i > 0 || part != ".varve", "a path leads into .varve");
    expect_that(part.find('/') == part.npos, "a part of a path has parts");
  }
}

void check_entry(const TarEntry& entry) {
  check_path(entry.path);
  if (entry.link) check_path(*entry.link);
  for (const auto& [name, value] : entry.xattrs) {
    if (name == kAclAccessName || name == kAclDefaultName) (void)PosixAcl::decode(value);
  }
}

/// Every piece lies behind the last one.
bool read_pieces(TarReader& reader) {
  uint64_t end = 0;
  for (;;) {
    auto piece = reader.data();
    if (!piece.ok()) return false;
    if (!*piece) return true;
    expect_that((*piece)->offset >= end || end == 0, "pieces overlap");
    end = (*piece)->offset + (*piece)->bytes.size();
  }
}

// Input: how many hundred bytes come at once u8, then the stream.
bool run_tar(ByteView input) {
  if (input.empty()) return false;
  const size_t at_once = (input[0] + size_t{1}) * 100;
  ByteView left = input.subspan(1);
  TarReader reader([&]() -> Result<ByteView> {
    const ByteView next = left.first(std::min(left.size(), at_once));
    left = left.subspan(next.size());
    return next;
  });
  TarEntry entry;
  for (;;) {
    const auto more = reader.next(entry);
    if (!more.ok()) return false;
    if (!*more) return true;
    check_entry(entry);
    if (entry.type == FileType::kFile && !read_pieces(reader)) return false;
  }
}

std::vector<Bytes> tar_seeds() {
  const std::string sparse = padded("2\n0\n512\n4096\n0\n") + std::string(512, 's');
  const std::string archive =
      tar_of({{.path = "./", .kind = '5'},
              {.path = "file", .content = "content"},
              {.path = "link", .kind = '1', .target = "file"},
              {.path = "symlink", .kind = '2', .target = "file"},
              {.path = "device", .kind = '3'},
              {.path = "GNUSparseFile.0/sparse",
               .content = sparse,
               .records = {{"GNU.sparse.major", "1"},
                           {"GNU.sparse.minor", "0"},
                           {"GNU.sparse.name", "sparse"},
                           {"GNU.sparse.realsize", "4096"}}},
              {.path = "attributes",
               .records = {{"mtime", "-1.5"},
                           {"SCHILY.xattr.user.a%3D", "value"},
                           {"SCHILY.acl.access",
                            "user::rw-,user:7:r--,group::r--,mask::r--,other::r--"}}}});
  std::vector<Bytes> seeds;
  for (const char at_once : {'\0', '\xff'}) seeds.push_back(bytes_of(at_once + archive));
  return seeds;
}

}  // namespace

std::vector<FuzzTarget> tar_targets() {
  return {{"tar", run_tar, tar_seeds}};
}

}  // namespace varve
