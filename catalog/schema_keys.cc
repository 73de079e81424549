// The keys of the working copy's tables.

#include "catalog/schema.h"

namespace varve {
namespace {

template <typename Integer>
void put_big_endian(std::string& out, Integer value) {
  for (int shift = static_cast<int>(sizeof value) * 8 - 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(static_cast<uint8_t>(value >> shift)));
  }
}

std::string tree_key(char table, uint32_t tree, uint64_t number) {
  std::string key(1, table);
  put_big_endian(key, tree);
  put_big_endian(key, number);
  return key;
}

std::string named_key(char table, uint32_t tree, uint64_t number, std::string_view name) {
  std::string key;
  key.reserve(key::kNumberKeyBytes + name.size());
  key.push_back(table);
  put_big_endian(key, tree);
  put_big_endian(key, number);
  key.append(name);
  return key;
}

std::string id_key(char table, ByteView first, ByteView second = {}) {
  std::string key;
  key.reserve(1 + first.size() + second.size());
  key.push_back(table);
  key.append(as_text(first));
  key.append(as_text(second));
  return key;
}

}  // namespace

namespace key {

std::string meta(std::string_view name) {
  return id_key('m', as_bytes(name));
}

std::string set(uint32_t set) {
  std::string key(1, 's');
  put_big_endian(key, set);
  return key;
}

std::string removed_name(std::string_view name) {
  return id_key('n', as_bytes(name));
}

std::string inode(uint32_t tree, uint64_t number) {
  return tree_key('i', tree, number);
}

std::string entry(uint32_t tree, uint64_t directory, std::string_view name) {
  return named_key('d', tree, directory, name);
}

std::string cookie(uint32_t tree, uint64_t directory, uint64_t cookie) {
  std::string key = tree_key('c', tree, directory);
  put_big_endian(key, cookie);
  return key;
}

std::string xattr(uint32_t tree, uint64_t number, std::string_view name) {
  return named_key('x', tree, number, name);
}

std::string symlink(uint32_t tree, uint64_t number) {
  return tree_key('l', tree, number);
}

std::string extent(uint32_t tree, uint64_t number, uint64_t offset) {
  std::string key = tree_key('e', tree, number);
  put_big_endian(key, offset);
  return key;
}

std::string stub(uint32_t tree, uint64_t number) {
  return tree_key('t', tree, number);
}
std::string clean(uint32_t tree, uint64_t number) {
  return tree_key('r', tree, number);
}
std::string mark(uint32_t tree, uint64_t directory) {
  return tree_key('k', tree, directory);
}
std::string linked(uint32_t tree, uint64_t number) {
  return tree_key('h', tree, number);
}
std::string orphan(uint32_t tree, uint64_t number) {
  return tree_key('o', tree, number);
}
std::string freed(uint32_t tree, uint64_t number) {
  return tree_key('f', tree, number);
}

std::string garbage(uint32_t tree) {
  std::string key(1, 'g');
  put_big_endian(key, tree);
  return key;
}

std::string pack(const PackId& pack) {
  return id_key('p', pack.view());
}
std::string unbundled(const PackId& pack) {
  return id_key('u', pack.view());
}
std::string open_pack(const PackId& pack) {
  return id_key('w', pack.view());
}

std::string listed(const SetId& set, const PackId& pack) {
  return id_key('b', set.view(), pack.view());
}

std::string view(const FileHash& snapshot, const SetId& set) {
  return id_key('v', snapshot.view(), set.view());
}

std::string prefix(char table, uint32_t tree, uint64_t number) {
  return tree_key(table, tree, number);
}

std::string end_of(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<uint8_t>(prefix.back()) + 1);
  return prefix;
}

uint64_t last_u64(std::string_view key) {
  if (key.size() < sizeof(uint64_t) + 1) return 0;
  uint64_t value = 0;
  for (char c : key.substr(key.size() - sizeof value)) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

std::string_view tail(std::string_view key, size_t skip) {
  return key.size() < skip ? std::string_view() : key.substr(skip);
}

}  // namespace key

}  // namespace varve
