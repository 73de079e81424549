#include "catalog/schema.h"

#include "dedup/base/codec.h"

namespace varve {
namespace {

// Rows are written straight into the strings that the key-value store takes: they are made on every
// call of the tree.

template <typename Integer>
void put_little_endian(std::string& out, Integer value) {
  for (size_t i = 0; i < sizeof value; i++) {
    out.push_back(static_cast<char>(static_cast<uint8_t>(value >> (8 * i))));
  }
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

void put_bytes(std::string& out, ByteView bytes) {
  out.append(as_text(bytes));
}

void put_text(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out.append(text);
}

void put_tree_ref(std::string& out, const TreeRef& ref) {
  put_bytes(out, ref.id.view());
  out.push_back(ref.hint ? 1 : 0);
  if (!ref.hint) return;
  put_bytes(out, ref.hint->pack.view());
  put_little_endian(out, ref.hint->segment);
}

bool read_flag(Decoder& in) {
  uint8_t value = in.u8();
  if (value > 1) in.fail();
  return value == 1;
}

TreeRef read_tree_ref(Decoder& in) {
  TreeRef ref;
  ref.id = in.id<ChunkId>();
  if (!read_flag(in)) return ref;
  ChunkPlace place;
  place.pack = in.id<PackId>();
  place.segment = in.u32();
  ref.hint = place;
  return ref;
}

FileType read_type(Decoder& in) {
  uint8_t type = in.u8();
  if (type < 1 || type > 7) {
    in.fail();
    return FileType::kFile;
  }
  return static_cast<FileType>(type);
}

PackClass read_pack_class(Decoder& in) {
  uint8_t value = in.u8();
  if (value != 1 && value != 2) in.fail();
  return value == 2 ? PackClass::kCatalog : PackClass::kData;
}

uint32_t read_varint_u32(Decoder& in) {
  uint64_t value = in.varint();
  if (value > UINT32_MAX) in.fail();
  return static_cast<uint32_t>(value);
}

template <typename T>
Result<T> finished(const Decoder& in, T value, const char* what) {
  VARVE_TRY(in.finish(what));
  return value;
}

}  // namespace

std::string encode(const SetRow& row) {
  std::string out;
  put_bytes(out, row.id.view());
  put_text(out, row.name);
  put_varint(out, row.tree);
  put_varint(out, row.next_number);
  out.push_back(row.removed ? 1 : 0);
  out.push_back(row.links ? 1 : 0);
  if (row.links) put_tree_ref(out, *row.links);
  out.push_back(row.newest_list ? 1 : 0);
  if (row.newest_list) put_bytes(out, row.newest_list->view());
  return out;
}

Result<SetRow> decode_set(std::string_view value) {
  Decoder in(as_bytes(value));
  SetRow row;
  row.id = in.id<SetId>();
  row.name = in.text();
  row.tree = read_varint_u32(in);
  row.next_number = in.varint();
  row.removed = read_flag(in);
  if (read_flag(in)) row.links = read_tree_ref(in);
  if (read_flag(in)) row.newest_list = in.id<FileHash>();
  return finished(in, std::move(row), "set row");
}

std::string encode(const DirentRow& row) {
  std::string out;
  out.push_back(static_cast<char>(row.type));
  put_varint(out, row.number);
  put_varint(out, row.set);
  put_varint(out, row.cookie);
  return out;
}

Result<DirentRow> decode_entry(std::string_view value) {
  Decoder in(as_bytes(value));
  DirentRow row;
  row.type = read_type(in);
  row.number = in.varint();
  row.set = read_varint_u32(in);
  row.cookie = in.varint();
  return finished(in, row, "entry row");
}

std::string encode(const ListedRow& row) {
  std::string entry = encode(row.entry);
  std::string out(1, static_cast<char>(entry.size()));
  return out.append(entry).append(row.name);
}

Result<ListedRow> decode_listed(std::string_view value) {
  size_t length = value.empty() ? 0 : static_cast<uint8_t>(value[0]);
  if (value.size() < 1 + length) return Error(Errc::kCorrupt, "cookie row is too short");
  ListedRow row;
  row.entry = VARVE_TRY(decode_entry(value.substr(1, length)));
  row.name = value.substr(1 + length);
  return row;
}

std::string encode(const Inode& inode) {
  std::string out;
  out.reserve(96);
  out.push_back(static_cast<char>(inode.type));
  out.push_back(inode.linked ? 1 : 0);
  put_varint(out, inode.permissions);
  put_varint(out, inode.uid);
  put_varint(out, inode.gid);
  put_varint(out, inode.links);
  put_varint(out, inode.device_major);
  put_varint(out, inode.device_minor);
  put_varint(out, inode.size);
  put_varint(out, inode.allocated);
  for (Nanoseconds time : {inode.atime, inode.mtime, inode.ctime, inode.btime}) {
    put_little_endian(out, static_cast<uint64_t>(time));
  }
  put_varint(out, inode.parent);
  put_varint(out, inode.next_cookie);
  put_varint(out, inode.data_generation);
  return out;
}

Result<Inode> decode_inode(std::string_view value) {
  Decoder in(as_bytes(value));
  Inode inode;
  inode.type = read_type(in);
  inode.linked = read_flag(in);
  uint64_t permissions = in.varint();
  if (permissions > 07777) in.fail();
  inode.permissions = static_cast<uint16_t>(permissions);
  inode.uid = read_varint_u32(in);
  inode.gid = read_varint_u32(in);
  inode.links = read_varint_u32(in);
  inode.device_major = read_varint_u32(in);
  inode.device_minor = read_varint_u32(in);
  inode.size = in.varint();
  inode.allocated = in.varint();
  for (Nanoseconds* time : {&inode.atime, &inode.mtime, &inode.ctime, &inode.btime})
    *time = in.i64();
  inode.parent = in.varint();
  inode.next_cookie = in.varint();
  inode.data_generation = in.varint();
  return finished(in, inode, "inode row");
}

std::string encode(const Extent& extent) {
  std::string out;
  out.reserve(48);
  put_bytes(out, extent.chunk.view());
  put_varint(out, extent.length);
  put_varint(out, extent.chunk_offset);
  return out;
}

Result<Extent> decode_extent(std::string_view key, std::string_view value) {
  Decoder in(as_bytes(value));
  Extent extent;
  extent.offset = key::last_u64(key);
  extent.chunk = in.id<ChunkId>();
  extent.length = in.varint();
  extent.chunk_offset = in.varint();
  if (extent.length == 0 || extent.length > UINT64_MAX - extent.offset) in.fail();
  return finished(in, extent, "extent row");
}

std::string encode(const TreeRef& ref) {
  std::string out;
  put_tree_ref(out, ref);
  return out;
}

Result<TreeRef> decode_tree_ref(std::string_view value) {
  Decoder in(as_bytes(value));
  TreeRef ref = read_tree_ref(in);
  return finished(in, ref, "tree reference row");
}

std::string encode(const PackInfo& info) {
  std::string out;
  put_bytes(out, info.pack.view());
  put_bytes(out, info.hash.view());
  put_little_endian(out, info.length);
  out.push_back(static_cast<char>(info.pack_class));
  return out;
}

Result<PackInfo> decode_pack(std::string_view value) {
  Decoder in(as_bytes(value));
  PackInfo info;
  info.pack = in.id<PackId>();
  info.hash = in.id<FileHash>();
  info.length = in.u64();
  info.pack_class = read_pack_class(in);
  return finished(in, info, "pack row");
}

std::string encode(const OpenPackRow& row) {
  std::string out(1, static_cast<char>(row.pack_class));
  put_little_endian(out, row.length);
  return out;
}

Result<OpenPackRow> decode_open_pack(std::string_view value) {
  Decoder in(as_bytes(value));
  OpenPackRow row;
  row.pack_class = read_pack_class(in);
  row.length = in.u64();
  return finished(in, row, "open pack row");
}

std::string encode_u32(uint32_t value) {
  std::string out;
  put_little_endian(out, value);
  return out;
}

std::string encode_u64(uint64_t value) {
  std::string out;
  put_little_endian(out, value);
  return out;
}

Result<uint32_t> decode_u32(std::string_view value) {
  Decoder in(as_bytes(value));
  uint32_t number = in.u32();
  return finished(in, number, "u32 row");
}

Result<uint64_t> decode_u64(std::string_view value) {
  Decoder in(as_bytes(value));
  uint64_t number = in.u64();
  return finished(in, number, "u64 row");
}

}  // namespace varve
