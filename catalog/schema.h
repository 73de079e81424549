// The tables of the working copy: one key space, told apart by the first byte. Integers in keys are
// big-endian, so that order is numeric order. Private to the program: a change of this page is a
// new kSchemaVersion, and the working copy is rebuilt.
//
//   table            key                                 value
//   m  meta          name                                as each name says
//   s  set           set u32                             SetRow
//   n  removed name  name                                set u32: the set that was last removed
//                                                        under that name
//   i  inode         tree u32, number u64                Inode
//   d  entry         tree u32, directory u64, name       DirentRow
//   c  cookie        tree u32, directory u64, cookie u64 ListedRow: the order in which readdir goes
//   x  xattr         tree u32, number u64, name          value
//   l  symlink       tree u32, number u64                target
//   e  extent        tree u32, number u64, offset u64    Extent without its offset; rows at or
//                                                        behind the file's size are dead (see f)
//   t  stub          tree u32, number u64                TreeRef: entries (or extents) are still in
//                                                        that tree object only
//   r  clean         tree u32, number u64                TreeRef: the tree object that says the
//                                                        same as the rows here
//   k  mark          tree u32, directory u64             generation u64: changed since, so r does
//                                                        not hold any more; a directory with a t
//                                                        row has the entries of that object
//                                                        whatever its mark says
//   h  linked        tree u32, number u64                generation u64 of the last change of an
//                                                        inode of the link table; where the inode
//                                                        is gone or has no links left, it is in the
//                                                        table no more
//   o  orphan        tree u32, number u64                empty: open and without a name, removed at
//                                                        the latest by the next mount
//   g  garbage       tree u32                            empty: a tree that nothing shows, to be
//                                                        erased piece by piece
//   f  freed         tree u32, number u64                offset u64: extents from there on are
//                                                        dead, to be erased piece by piece
//   p  pack          pack id                             PackInfo
//   u  unbundled     pack id                             empty: a sealed data pack whose index is
//                                                        in no bundle yet
//   w  open pack     pack id                             class u8, durable length u64
//   b  listed        set id, pack id                     empty: named by the newest list that the
//                                                        set's next one will build on
//   v  view          snapshot's hash, set id             u32: number in the inode numbers that the
//                                                        snapshot shows
//
// Marks: what changes a directory's tree object (its entries; inodes, xattrs and extents of its
// children that are not linked) puts the generation on the directory and on all directories above
// it, up to the set's top; so an unmarked directory has nothing changed below it. A top's own inode
// and xattrs are in the snapshot itself: they mark the top. A change of a linked inode writes its h
// row and marks the top alone: its content is in the link table and in no directory.
//
// Meta names: schema, generation, next_tree, figures and a set's number: each an encoded integer or
// as live_tree says; closed: empty, there from the end of a mount in order to the next one.
//
// A *tree* is one instance of a set's live tree: revert gives the set a new instance, whose top
// directory is a stub, and leaves the old one to be erased as garbage. File numbers belong to the
// set and survive that.
#pragma once

#include <string>

#include "catalog/inode.h"
#include "dedup/base/result.h"
#include "dedup/pack_format.h"

namespace varve {

inline constexpr uint32_t kSchemaVersion = 1;

struct SetRow {
  SetId id;
  std::string name;              // empty for the root's own files
  uint32_t tree = 0;             // the live instance
  uint64_t next_number = 2;      // the next free file number
  bool removed = false;          // the directory was removed; snapshots may be left
  std::optional<TreeRef> links;  // the link table as of the last snapshot
  std::optional<FileHash> newest_list;
};

struct DirentRow {
  uint64_t number = 0;  // in the directory's set; for a set's directory in the root: 1
  uint32_t set = 0;     // the entry's set: other than the directory's for a set's directory alone
  FileType type = FileType::kFile;
  uint64_t cookie = 0;
};

/// What readdir says of an entry.
struct ListedRow {
  DirentRow entry;
  std::string_view name;  // points into what was decoded
};

namespace key {
std::string meta(std::string_view name);
std::string set(uint32_t set);
std::string removed_name(std::string_view name);
std::string inode(uint32_t tree, uint64_t number);
std::string entry(uint32_t tree, uint64_t directory, std::string_view name);
std::string cookie(uint32_t tree, uint64_t directory, uint64_t cookie);
std::string xattr(uint32_t tree, uint64_t number, std::string_view name);
std::string symlink(uint32_t tree, uint64_t number);
std::string extent(uint32_t tree, uint64_t number, uint64_t offset);
std::string stub(uint32_t tree, uint64_t number);
std::string clean(uint32_t tree, uint64_t number);
std::string mark(uint32_t tree, uint64_t directory);
std::string linked(uint32_t tree, uint64_t number);
std::string orphan(uint32_t tree, uint64_t number);
std::string garbage(uint32_t tree);
std::string freed(uint32_t tree, uint64_t number);
std::string pack(const PackId& pack);
std::string unbundled(const PackId& pack);
std::string open_pack(const PackId& pack);
std::string listed(const SetId& set, const PackId& pack);
std::string view(const FileHash& snapshot, const SetId& set);
/// What all keys of a tree's directory or file in one table begin with: `table` as above.
std::string prefix(char table, uint32_t tree, uint64_t number);
/// The first key behind all that begin with `prefix`.
std::string end_of(std::string prefix);
/// The last integer of a key of that layout (cookie, offset, number); 0 if the key is too short.
uint64_t last_u64(std::string_view key);
/// Ids and names at the end of keys, behind their first `skip` bytes; empty if the key is too
/// short.
std::string_view tail(std::string_view key, size_t skip);
inline constexpr size_t kNumberKeyBytes = 13;  // table, tree, number: what names follow
}  // namespace key

std::string encode(const SetRow& row);
std::string encode(const DirentRow& row);
std::string encode(const ListedRow& row);
std::string encode(const Inode& inode);
std::string encode(const Extent& extent);
std::string encode(const TreeRef& ref);
std::string encode(const PackInfo& info);
struct OpenPackRow {
  PackClass pack_class = PackClass::kData;
  uint64_t length = 0;  // bytes that are durable and that commits may refer to
};
std::string encode(const OpenPackRow& row);
Result<OpenPackRow> decode_open_pack(std::string_view value);
std::string encode_u32(uint32_t value);
std::string encode_u64(uint64_t value);
Result<SetRow> decode_set(std::string_view value);
Result<DirentRow> decode_entry(std::string_view value);
Result<ListedRow> decode_listed(std::string_view value);
Result<Inode> decode_inode(std::string_view value);
/// The offset is in the key.
Result<Extent> decode_extent(std::string_view key, std::string_view value);
Result<TreeRef> decode_tree_ref(std::string_view value);
Result<PackInfo> decode_pack(std::string_view value);
Result<uint32_t> decode_u32(std::string_view value);
Result<uint64_t> decode_u64(std::string_view value);

}  // namespace varve
