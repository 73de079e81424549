#include "catalog/tree_format.h"

#include <map>

#include "catalog/tree_node.h"
#include "dedup/base/limits.h"
#include "dedup/segment_format.h"

namespace varve {
namespace {

// The least that a record takes: an empty key blob, an empty value blob.
constexpr size_t kRecordBytesMin = 2;

std::string big_endian(uint64_t value) {
  std::string key(8, '\0');
  for (size_t i = 0; i < 8; i++) key[i] = static_cast<char>(value >> (8 * (7 - i)));
  return key;
}

std::optional<uint64_t> from_big_endian(std::string_view key) {
  if (key.size() != 8) return std::nullopt;
  uint64_t value = 0;
  for (char c : key) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

// Of what lies in a directory: the top's own number there would be a directory in itself.
bool is_entry_number(uint64_t number) {
  return number > kTopNumber && number <= kFileNumberMask;
}

Error corrupt(std::string what) {
  return Error(Errc::kCorrupt, std::move(what));
}

// What a record's value must be: the ids in it, and nothing left over.
Result<std::vector<HintedId>> references_in(TreeKind kind, ByteView value) {
  std::vector<HintedId> ids;
  Decoder in(value);
  switch (kind) {
    case TreeKind::kDirectory: {
      auto type = static_cast<FileType>(in.u8());
      in.varint();
      uint8_t linked = in.u8();
      if (linked > 1 || !is_file_type(type)) in.fail();
      if (linked == 0) read_node(in, type, nullptr, &ids);
      break;
    }
    case TreeKind::kExtents: {
      Extent extent;
      read_extent(in, extent);
      ids.push_back({extent.chunk, std::nullopt});
      break;
    }
    case TreeKind::kLinks: {
      auto type = static_cast<FileType>(in.u8());
      if (in.varint() > UINT32_MAX || !is_file_type(type)) in.fail();
      read_node(in, type, nullptr, &ids);
      break;
    }
  }
  VARVE_TRY(in.finish("a tree object's record"));
  return ids;
}

bool key_fits(TreeKind kind, std::string_view key) {
  return kind == TreeKind::kDirectory ? is_entry_name(key) : key.size() == 8;
}

Result<void> check_order(const std::string& before, const std::string& key) {
  if (!before.empty() && before >= key) return corrupt("a tree object's keys do not ascend");
  return {};
}

Result<void> decode_records(Decoder& in, uint64_t count, TreeObject& object) {
  object.records.reserve(std::min<uint64_t>(count, in.remaining() / kRecordBytesMin));
  std::string before;
  for (uint64_t i = 0; i < count; i++) {
    TreeRecord record;
    record.key = in.text();
    ByteView value = in.blob();
    if (in.failed() || !key_fits(object.kind, record.key))
      return corrupt("a tree object's record is malformed");
    VARVE_TRY(check_order(before, record.key));
    record.references = VARVE_TRY(references_in(object.kind, value));
    record.value.assign(value.begin(), value.end());
    before = record.key;
    object.records.push_back(std::move(record));
  }
  return {};
}

Result<void> decode_branches(Decoder& in, uint64_t count, TreeObject& object) {
  object.branches.reserve(std::min<uint64_t>(count, in.remaining() / ChunkId::kSize));
  std::string before;
  for (uint64_t i = 0; i < count; i++) {
    TreeObject::Branch branch;
    branch.first_key = in.text();
    branch.child.id = in.id<ChunkId>();
    branch.records = in.varint();
    if (in.failed() || !key_fits(object.kind, branch.first_key))
      return corrupt("a tree object's branch is malformed");
    VARVE_TRY(check_order(before, branch.first_key));
    before = branch.first_key;
    object.branches.push_back(std::move(branch));
  }
  return {};
}

template <typename Visit>
void each_reference(TreeObject& object, Visit visit) {
  for (TreeRecord& record : object.records)
    for (HintedId& reference : record.references) visit(reference);
  for (TreeObject::Branch& branch : object.branches) visit(branch.child);
}

template <typename Visit>
void each_reference(const TreeObject& object, Visit visit) {
  for (const TreeRecord& record : object.records)
    for (const HintedId& reference : record.references) visit(reference);
  for (const TreeObject::Branch& branch : object.branches) visit(branch.child);
}

void encode_hints(const TreeObject& object, Encoder& out) {
  std::map<PackId, uint64_t> numbers;
  std::vector<PackId> packs;
  each_reference(object, [&](const HintedId& reference) {
    if (!reference.hint || !numbers.try_emplace(reference.hint->pack, packs.size() + 1).second)
      return;
    packs.push_back(reference.hint->pack);
  });
  out.varint(packs.size());
  for (const PackId& pack : packs) out.id(pack);
  each_reference(object, [&](const HintedId& reference) {
    if (!reference.hint) {
      out.varint(0);
      return;
    }
    out.varint(numbers.find(reference.hint->pack)->second).varint(reference.hint->segment);
  });
}

Result<void> decode_hints(Decoder& in, TreeObject& object) {
  uint64_t count = in.varint();
  if (in.failed() || count > in.remaining() / PackId::kSize)
    return corrupt("a tree object's hints are malformed");
  std::vector<PackId> packs(count);
  for (PackId& pack : packs) pack = in.id<PackId>();
  each_reference(object, [&](HintedId& reference) {
    uint64_t number = in.varint();
    if (number == 0) return;
    uint64_t segment = in.varint();
    if (number > packs.size() || segment > UINT32_MAX) {
      in.fail();
      return;
    }
    reference.hint = ChunkPlace{packs[number - 1], static_cast<uint32_t>(segment)};
  });
  return in.finish("a tree object's hints");
}

// Gives the ids in a node, in order of appearance, the hints of the record.
Result<void> attach_hints(const TreeRecord& record, TreeNode& node) {
  size_t ids = node.below ? 1 : node.extents.size();
  if (record.references.size() != ids) return corrupt("a tree record's hints do not fit its ids");
  if (node.below) node.below->hint = record.references[0].hint;
  if (node.below) return {};
  for (size_t i = 0; i < ids; i++) node.extents[i].hint = record.references[i].hint;
  return {};
}

}  // namespace

TreeRecord encode_entry(const TreeEntry& entry) {
  TreeRecord record;
  record.key = entry.name;
  Encoder out;
  out.u8(static_cast<uint8_t>(entry.type)).varint(entry.number).u8(entry.linked ? 1 : 0);
  if (!entry.linked) encode_node(out, entry.node, record.references);
  record.value = out.take();
  return record;
}

Result<TreeEntry> decode_entry(const TreeRecord& record) {
  TreeEntry entry;
  entry.name = record.key;
  Decoder in(record.value);
  entry.type = static_cast<FileType>(in.u8());
  entry.number = in.varint();
  uint8_t linked = in.u8();
  if (!is_file_type(entry.type) || linked > 1 || !is_entry_number(entry.number)) in.fail();
  if (!is_entry_name(entry.name)) in.fail();
  if (linked == 1 && entry.type == FileType::kDirectory) in.fail();
  entry.linked = linked == 1;
  if (!entry.linked) read_node(in, entry.type, &entry.node, nullptr);
  VARVE_TRY(in.finish("a directory entry"));
  if (!entry.linked) VARVE_TRY(attach_hints(record, entry.node));
  return entry;
}

TreeRecord encode_extent_record(const HintedExtent& extent) {
  TreeRecord record;
  record.key = big_endian(extent.extent.offset);
  Encoder out;
  write_extent(out, extent.extent);
  record.value = out.take();
  record.references.push_back({extent.extent.chunk, extent.hint});
  return record;
}

Result<HintedExtent> decode_extent_record(const TreeRecord& record) {
  HintedExtent result;
  std::optional<uint64_t> offset = from_big_endian(record.key);
  Decoder in(record.value);
  read_extent(in, result.extent);
  if (!offset || !extent_end_fits(*offset, result.extent.length)) in.fail();
  VARVE_TRY(in.finish("an extent"));
  result.extent.offset = *offset;
  if (record.references.size() == 1) result.hint = record.references[0].hint;
  return result;
}

TreeRecord encode_link_record(uint64_t number, const TreeNode& node) {
  TreeRecord record;
  record.key = big_endian(number);
  Encoder out;
  out.u8(static_cast<uint8_t>(node.inode.type)).varint(node.inode.links);
  encode_node(out, node, record.references);
  record.value = out.take();
  return record;
}

std::string link_key(uint64_t number) {
  return big_endian(number);
}
std::string extent_key(uint64_t offset) {
  return big_endian(offset);
}

Result<LinkRecord> decode_link_record(const TreeRecord& record) {
  LinkRecord link;
  std::optional<uint64_t> number = from_big_endian(record.key);
  Decoder in(record.value);
  auto type = static_cast<FileType>(in.u8());
  uint64_t links = in.varint();
  if (!number || !is_entry_number(*number) || links > UINT32_MAX || !is_file_type(type)) in.fail();
  read_node(in, type, &link.node, nullptr);
  VARVE_TRY(in.finish("a link"));
  VARVE_TRY(attach_hints(record, link.node));
  link.number = *number;
  link.node.inode.links = static_cast<uint32_t>(links);
  link.node.inode.linked = true;
  return link;
}

Bytes encode_tree_object(const TreeObject& object) {
  Encoder canonical;
  canonical.u8(static_cast<uint8_t>(object.kind)).u8(object.level);
  if (object.level == 0) {
    canonical.varint(object.records.size());
    for (const TreeRecord& record : object.records)
      canonical.blob(record.key).blob(ByteView(record.value));
  } else {
    canonical.varint(object.branches.size());
    for (const TreeObject::Branch& branch : object.branches)
      canonical.blob(branch.first_key).id(branch.child.id).varint(branch.records);
  }
  Encoder out;
  out.u32(static_cast<uint32_t>(canonical.size())).raw(canonical.view());
  encode_hints(object, out);
  return out.take();
}

Result<TreeObject> decode_tree_object(ByteView item) {
  if (item.size() > kObjectBytesMax) return corrupt("a tree object is larger than objects may be");
  Decoder in(item);
  Decoder canonical(in.raw(in.u32()));
  TreeObject object;
  object.kind = static_cast<TreeKind>(canonical.u8());
  object.level = canonical.u8();
  uint64_t count = canonical.varint();
  if (in.failed() || canonical.failed()) return corrupt("a tree object is cut short");
  if (object.kind < TreeKind::kDirectory || object.kind > TreeKind::kLinks)
    return corrupt("a tree object is of no known kind");
  if (object.level > kTreeLevelMax || count == 0) return corrupt("a tree object is malformed");
  if (object.level == 0)
    VARVE_TRY(decode_records(canonical, count, object));
  else
    VARVE_TRY(decode_branches(canonical, count, object));
  VARVE_TRY(canonical.finish("a tree object"));
  VARVE_TRY(decode_hints(in, object));
  return object;
}

}  // namespace varve
