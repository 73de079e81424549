// Rows of the working copy. They are the program's own, but a damaged database must not crash it.
#include "catalog/schema.h"
#include "tests/fuzz/fuzz_target.h"

namespace varve {
namespace {

template <typename Row, typename Encode>
bool check_row(const Result<Row>& row, std::string_view value, const Encode& coded) {
  expect_that(!row.ok() || coded(*row) == value, "an accepted row is not the canonical one");
  return row.ok();
}

template <typename Row>
bool check_row(const Result<Row>& row, std::string_view value) {
  return check_row(row, value, [](const Row& r) { return encode(r); });
}

// Input: which row u8, then its value.
bool run_row(ByteView input) {
  if (input.empty()) return false;
  const std::string_view value = as_text(input.subspan(1));
  const std::string extent_key = key::extent(1, 2, uint64_t{1} << 62);
  switch (input[0]) {
    case 0:
      return check_row(decode_set(value), value);
    case 1:
      return check_row(decode_entry(value), value);
    case 2:
      return check_row(decode_listed(value), value);
    case 3:
      return check_row(decode_inode(value), value);
    case 4:
      return check_row(decode_extent(extent_key, value), value);
    case 5:
      return check_row(decode_tree_ref(value), value);
    case 6:
      return check_row(decode_pack(value), value);
    case 7:
      return check_row(decode_open_pack(value), value);
    case 8:
      return check_row(decode_u32(value), value, encode_u32);
    case 9:
      return check_row(decode_u64(value), value, encode_u64);
    default:  // keys
      (void)key::last_u64(value);
      (void)key::tail(value, input[0]);
      expect_that(
          key::end_of(std::string(value)).empty() || key::end_of(std::string(value)) > value,
          "the end of a prefix lies before it");
  }
  return true;
}

std::vector<Bytes> row_seeds() {
  SetRow set;
  set.name = "home";
  set.links = TreeRef{ChunkId{{1}}, ChunkPlace{PackId{{2}}, 3}};
  set.newest_list = FileHash{{4}};
  const DirentRow entry{77, 0, FileType::kDirectory, 12};
  Inode inode;
  inode.size = 123456789;
  inode.mtime = -5;
  const std::string values[] = {
      encode(set),
      encode(entry),
      encode(ListedRow{entry, "name"}),
      encode(inode),
      encode(Extent{0, 1000, ChunkId{{5}}, 7}),
      encode(TreeRef{ChunkId{{6}}, std::nullopt}),
      encode(PackInfo{PackId{{1}}, FileHash{{2}}, 1000, PackClass::kCatalog}),
      encode(OpenPackRow{PackClass::kData, 128}),
      encode_u32(1),
      encode_u64(2),
      key::cookie(1, 2, 3)};
  std::vector<Bytes> seeds;
  uint8_t which = 0;
  for (const std::string& value : values)
    seeds.push_back(Encoder().u8(which++).raw(as_bytes(value)).take());
  return seeds;
}

}  // namespace

std::vector<FuzzTarget> row_targets() {
  return {{"row", run_row, row_seeds}};
}

}  // namespace varve
