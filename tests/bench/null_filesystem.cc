#include "tests/bench/null_filesystem.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "catalog/kernel_types.h"
#include "dedup/base/limits.h"

namespace varve {
namespace {

Buffer zeroed(size_t size) {
  Buffer buffer(size);
  std::memset(buffer.data(), 0, size);
  return buffer;
}

}  // namespace

struct NullFilesystem::Node {
  struct Name {
    Ino ino;
    uint64_t cookie;
  };
  Attributes attributes;
  std::string target;
  std::map<std::string, std::string, std::less<>> xattrs;
  std::unordered_map<std::string, Name> names;
  std::map<uint64_t, const std::string*> by_cookie;  // the keys of `names`
  uint64_t next_cookie = 3;                          // behind "." and ".."
  Ino parent = kRootIno;
  uint64_t references = 0;  // the kernel's
  uint64_t opened = 0;
};

NullFilesystem::NullFilesystem(Options options)
    : options_(options), zeros_(zeroed(kFuseRequestBytes)) {
  auto root = std::make_unique<Node>();
  root->attributes.ino = kRootIno;
  root->attributes.type = FileType::kDirectory;
  root->attributes.permissions = 0755;
  root->attributes.links = 2;
  root->attributes.uid = getuid();
  root->attributes.gid = getgid();
  root->references = 1;
  nodes_.emplace(kRootIno, std::move(root));
}

NullFilesystem::~NullFilesystem() = default;

size_t NullFilesystem::nodes() const {
  std::lock_guard lock(mutex_);
  return nodes_.size();
}

WriteOptions NullFilesystem::last_write_options() const {
  std::lock_guard lock(mutex_);
  return last_write_options_;
}

uint64_t NullFilesystem::xattr_reads() const {
  std::lock_guard lock(mutex_);
  return xattr_reads_;
}

NullFilesystem::Node* NullFilesystem::find(Ino node) {
  auto found = nodes_.find(node);
  return found == nodes_.end() ? nullptr : found->second.get();
}

Result<NullFilesystem::Node*> NullFilesystem::find_directory(Ino ino) {
  Node* node = find(ino);
  if (node == nullptr) return Errc::kStale;
  if (node->attributes.type != FileType::kDirectory) return Errc::kNotDirectory;
  return node;
}

Entry NullFilesystem::entry_of(const Node& node) const {
  return {node.attributes, 0, options_.timeout_seconds};
}

NullFilesystem::Node& NullFilesystem::new_node(mode_t mode, const Caller& caller) {
  auto node = std::make_unique<Node>();
  node->attributes.ino = next_ino_++;
  node->attributes.type = file_type_of(mode).value();
  node->attributes.permissions = static_cast<uint16_t>(mode & 07777 & ~caller.umask);
  node->attributes.links = S_ISDIR(mode) ? 2 : 1;
  node->attributes.uid = caller.uid;
  node->attributes.gid = caller.gid;
  node->attributes.atime = node->attributes.mtime = node->attributes.ctime = system_clock().now();
  Node& result = *node;
  nodes_.emplace(result.attributes.ino, std::move(node));
  return result;
}

void NullFilesystem::insert(Node& directory, std::string_view name, Ino child) {
  const uint64_t cookie = directory.next_cookie++;
  auto [at, fresh] = directory.names.emplace(std::string(name), Node::Name{child, cookie});
  directory.by_cookie.emplace(cookie, &at->first);
}

Ino NullFilesystem::take_out(Node& directory, std::string_view name) {
  auto found = directory.names.find(std::string(name));
  if (found == directory.names.end()) return 0;
  const Ino ino = found->second.ino;
  directory.by_cookie.erase(found->second.cookie);
  directory.names.erase(found);
  return ino;
}

Result<NullFilesystem::Node*> NullFilesystem::add(Ino parent, std::string_view name, mode_t mode,
                                                  const Caller& caller) {
  Node* directory = VARVE_TRY(find_directory(parent));
  if (name.size() > kNameBytesMax) return Errc::kNameTooLong;
  if (directory->names.contains(std::string(name))) return Errc::kExists;
  Node& node = new_node(mode, caller);
  node.parent = parent;
  node.references = 1;
  insert(*directory, name, node.attributes.ino);
  if (S_ISDIR(mode)) directory->attributes.links++;
  return &node;
}

void NullFilesystem::drop_if_unused(Ino ino) {
  Node* node = find(ino);
  if (node != nullptr && node->attributes.links == 0 && node->references == 0 &&
      node->opened == 0) {
    nodes_.erase(ino);
  }
}

void NullFilesystem::drop_link(Ino ino) {
  Node* node = find(ino);
  if (node == nullptr) return;
  if (node->attributes.type == FileType::kDirectory) {
    node->attributes.links = 0;
    if (Node* parent = find(node->parent)) parent->attributes.links--;
  } else {
    node->attributes.links--;
  }
  drop_if_unused(ino);
}

Result<Entry> NullFilesystem::lookup(Ino parent, std::string_view name) {
  std::lock_guard lock(mutex_);
  Node* directory = VARVE_TRY(find_directory(parent));
  Node* node = nullptr;
  if (name == ".") {
    node = directory;
  } else if (name == "..") {
    node = find(directory->parent);
  } else {
    auto found = directory->names.find(std::string(name));
    if (found == directory->names.end()) {
      Entry none;
      none.timeout_seconds = options_.timeout_seconds;
      return none;
    }
    node = find(found->second.ino);
  }
  if (node == nullptr) return Errc::kStale;
  node->references++;
  return entry_of(*node);
}

void NullFilesystem::forget(Ino ino, uint64_t count) {
  std::lock_guard lock(mutex_);
  Node* node = find(ino);
  if (node == nullptr) return;
  node->references -= std::min(count, node->references);
  drop_if_unused(ino);
}

Result<Entry> NullFilesystem::get_attributes(Ino ino, std::optional<uint64_t>) {
  std::lock_guard lock(mutex_);
  Node* node = find(ino);
  if (node == nullptr) return Errc::kStale;
  return entry_of(*node);
}

Result<Entry> NullFilesystem::set_attributes(Ino ino, const SetAttributes& change,
                                             std::optional<uint64_t>, const Caller&) {
  std::lock_guard lock(mutex_);
  Node* node = find(ino);
  if (node == nullptr) return Errc::kStale;
  Attributes& attributes = node->attributes;
  const Nanoseconds now = system_clock().now();
  if (change.permissions) attributes.permissions = *change.permissions;
  if (change.uid) attributes.uid = *change.uid;
  if (change.gid) attributes.gid = *change.gid;
  if (change.size) attributes.size = attributes.allocated = *change.size;
  if (change.atime || change.atime_now) attributes.atime = change.atime.value_or(now);
  if (change.mtime || change.mtime_now) attributes.mtime = change.mtime.value_or(now);
  attributes.ctime = change.ctime.value_or(now);
  return entry_of(*node);
}

Result<std::string> NullFilesystem::read_link(Ino ino) {
  std::lock_guard lock(mutex_);
  Node* node = find(ino);
  if (node == nullptr) return Errc::kStale;
  return node->target;
}

Result<Entry> NullFilesystem::make_node(Ino parent, std::string_view name, mode_t mode,
                                        dev_t device, std::string_view target,
                                        const Caller& caller) {
  std::lock_guard lock(mutex_);
  Caller maker = caller;
  if (S_ISLNK(mode)) maker.umask = 0;
  Node* node = VARVE_TRY(add(parent, name, mode, maker));
  node->attributes.device_major = major(device);
  node->attributes.device_minor = minor(device);
  node->target = target;
  if (S_ISLNK(mode)) node->attributes.size = target.size();
  return entry_of(*node);
}

Result<Entry> NullFilesystem::link(Ino ino, Ino new_parent, std::string_view new_name) {
  std::lock_guard lock(mutex_);
  Node* node = find(ino);
  Node* directory = VARVE_TRY(find_directory(new_parent));
  if (node == nullptr) return Errc::kStale;
  if (directory->names.contains(std::string(new_name))) return Errc::kExists;
  insert(*directory, new_name, ino);
  node->attributes.links++;
  node->references++;
  return entry_of(*node);
}

Result<void> NullFilesystem::unlink(Ino parent, std::string_view name) {
  std::lock_guard lock(mutex_);
  Node* directory = VARVE_TRY(find_directory(parent));
  const Ino ino = take_out(*directory, name);
  if (ino == 0) return Errc::kNotFound;
  drop_link(ino);
  return {};
}

Result<void> NullFilesystem::remove_directory(Ino parent, std::string_view name, const Caller&) {
  std::lock_guard lock(mutex_);
  Node* directory = VARVE_TRY(find_directory(parent));
  auto found = directory->names.find(std::string(name));
  if (found == directory->names.end()) return Errc::kNotFound;
  Node* node = VARVE_TRY(find_directory(found->second.ino));
  if (!node->names.empty()) return Errc::kNotEmpty;
  drop_link(take_out(*directory, name));
  return {};
}

Result<void> NullFilesystem::rename(Ino parent, std::string_view name, Ino new_parent,
                                    std::string_view new_name, unsigned flags) {
  std::lock_guard lock(mutex_);
  if (flags & ~unsigned{RENAME_NOREPLACE | RENAME_EXCHANGE}) return Errc::kInvalid;
  Node* from = VARVE_TRY(find_directory(parent));
  Node* to = VARVE_TRY(find_directory(new_parent));
  auto source = from->names.find(std::string(name));
  if (source == from->names.end()) return Errc::kNotFound;
  auto target = to->names.find(std::string(new_name));
  const bool taken = target != to->names.end();
  if (flags & RENAME_EXCHANGE) {
    if (!taken) return Errc::kNotFound;
    std::swap(source->second.ino, target->second.ino);
    if (Node* moved = find(source->second.ino)) moved->parent = parent;
    if (Node* moved = find(target->second.ino)) moved->parent = new_parent;
    return {};
  }
  if (taken && (flags & RENAME_NOREPLACE)) return Errc::kExists;
  if (taken && target->second.ino == source->second.ino) return {};
  Node* moved = find(source->second.ino);
  if (taken) {
    Node* replaced = find(target->second.ino);
    if (replaced != nullptr && !replaced->names.empty()) return Errc::kNotEmpty;
    drop_link(take_out(*to, new_name));
  }
  insert(*to, new_name, take_out(*from, name));
  if (moved != nullptr && moved->attributes.type == FileType::kDirectory) {
    from->attributes.links--;
    to->attributes.links++;
    moved->parent = new_parent;
  }
  return {};
}

Result<OpenFile> NullFilesystem::open(Ino ino, int flags, bool, const Caller&) {
  std::lock_guard lock(mutex_);
  Node* node = find(ino);
  if (node == nullptr) return Errc::kStale;
  if (flags & O_TRUNC) node->attributes.size = node->attributes.allocated = 0;
  node->opened++;
  return OpenFile{ino, options_.direct_io, !options_.direct_io, true};
}

Result<Filesystem::Created> NullFilesystem::create(Ino parent, std::string_view name, mode_t mode,
                                                   int, const Caller& caller) {
  std::lock_guard lock(mutex_);
  Node* node = VARVE_TRY(add(parent, name, (mode & 07777) | S_IFREG, caller));
  node->opened++;
  return Created{entry_of(*node), {node->attributes.ino, options_.direct_io, false, true}};
}

Result<Filesystem::Created> NullFilesystem::create_unnamed(Ino, mode_t mode, int,
                                                           const Caller& caller) {
  std::lock_guard lock(mutex_);
  Node& node = new_node((mode & 07777) | S_IFREG, caller);
  node.attributes.links = 0;
  node.references = 1;
  node.opened++;
  return Created{entry_of(node), {node.attributes.ino, options_.direct_io, false, true}};
}

Result<void> NullFilesystem::read(Ino ino, uint64_t, uint64_t offset, size_t size,
                                  const std::function<void(ByteView)>& reply) {
  uint64_t end = 0;
  {
    std::lock_guard lock(mutex_);
    Node* node = find(ino);
    if (node == nullptr) return Errc::kStale;
    end = node->attributes.size;
  }
  const uint64_t left = offset < end ? end - offset : 0;
  reply(zeros_.view().first(std::min<uint64_t>({size, left, zeros_.size()})));
  return {};
}

Result<size_t> NullFilesystem::write(Ino ino, uint64_t, uint64_t offset, ByteView data,
                                     WriteOptions options) {
  std::lock_guard lock(mutex_);
  Node* node = find(ino);
  if (node == nullptr) return Errc::kStale;
  Attributes& attributes = node->attributes;
  if (options.append) offset = attributes.size;
  attributes.size = std::max(attributes.size, offset + data.size());
  attributes.allocated = attributes.size;
  attributes.mtime = attributes.ctime = system_clock().now();
  last_write_options_ = std::move(options);
  last_write_options_.memory.reset();
  return data.size();
}

Result<void> NullFilesystem::flush(Ino, uint64_t) {
  return {};
}

void NullFilesystem::release(Ino ino, uint64_t) {
  std::lock_guard lock(mutex_);
  Node* node = find(ino);
  if (node == nullptr) return;
  node->opened--;
  drop_if_unused(ino);
}

Result<void> NullFilesystem::sync(Ino, uint64_t, bool) {
  return {};
}

Result<void> NullFilesystem::allocate(Ino ino, uint64_t, int mode, uint64_t offset,
                                      uint64_t length) {
  std::lock_guard lock(mutex_);
  Node* node = find(ino);
  if (node == nullptr) return Errc::kStale;
  if ((mode & FALLOC_FL_KEEP_SIZE) == 0) {
    node->attributes.size = std::max(node->attributes.size, offset + length);
  }
  return {};
}

Result<uint64_t> NullFilesystem::seek(Ino ino, uint64_t, uint64_t offset, int whence) {
  std::lock_guard lock(mutex_);
  Node* node = find(ino);
  if (node == nullptr) return Errc::kStale;
  if (offset >= node->attributes.size) return Errc::kNoDevice;
  return whence == SEEK_HOLE ? node->attributes.size : offset;
}

Result<size_t> NullFilesystem::copy_range(Ino, uint64_t, uint64_t, Ino to, uint64_t to_handle,
                                          uint64_t to_offset, size_t length) {
  const size_t count = std::min(length, zeros_.size());
  return write(to, to_handle, to_offset, zeros_.view().first(count), {});
}

Result<OpenDirectory> NullFilesystem::open_directory(Ino) {
  return OpenDirectory{};
}

Result<void> NullFilesystem::read_directory(
    Ino ino, uint64_t, uint64_t cookie, bool attributes,
    const std::function<bool(const DirectoryEntry&)>& visit) {
  std::lock_guard lock(mutex_);
  Node* directory = VARVE_TRY(find_directory(ino));
  if (cookie < 1 && !visit({".", 1, entry_of(*directory)})) return {};
  Node* parent = find(directory->parent);
  if (cookie < 2 && parent != nullptr && !visit({"..", 2, entry_of(*parent)})) return {};
  for (auto at = directory->by_cookie.upper_bound(cookie); at != directory->by_cookie.end(); ++at) {
    Node* node = find(directory->names.at(*at->second).ino);
    if (node == nullptr) continue;
    if (!visit({*at->second, at->first, entry_of(*node)})) return {};
    if (attributes) node->references++;
  }
  return {};
}

void NullFilesystem::release_directory(Ino, uint64_t) {}

Result<void> NullFilesystem::sync_directory(Ino) {
  return {};
}

Result<SpaceFigures> NullFilesystem::space() {
  std::lock_guard lock(mutex_);
  constexpr uint64_t kTebibyte = uint64_t{1} << 40;
  return SpaceFigures{kTebibyte, kTebibyte / 2, nodes_.size()};
}

Result<void> NullFilesystem::set_xattr(Ino ino, std::string_view name, std::string_view value,
                                       XattrFlags flags, const Caller&) {
  std::lock_guard lock(mutex_);
  Node* node = find(ino);
  if (node == nullptr) return Errc::kStale;
  const bool there = node->xattrs.contains(name);
  if (there && (flags.mode & XATTR_CREATE)) return Errc::kExists;
  if (!there && (flags.mode & XATTR_REPLACE)) return Errc::kNoAttribute;
  node->xattrs[std::string(name)] = value;
  return {};
}

Result<std::string> NullFilesystem::get_xattr(Ino ino, std::string_view name) {
  std::lock_guard lock(mutex_);
  xattr_reads_++;
  Node* node = find(ino);
  if (node == nullptr) return Errc::kStale;
  auto found = node->xattrs.find(name);
  if (found == node->xattrs.end()) return Errc::kNoAttribute;
  return found->second;
}

Result<std::string> NullFilesystem::list_xattrs(Ino ino, const Caller&) {
  std::lock_guard lock(mutex_);
  Node* node = find(ino);
  if (node == nullptr) return Errc::kStale;
  std::string names;
  for (const auto& [name, value] : node->xattrs) names.append(name).push_back('\0');
  return names;
}

Result<void> NullFilesystem::remove_xattr(Ino ino, std::string_view name, const Caller&) {
  std::lock_guard lock(mutex_);
  Node* node = find(ino);
  if (node == nullptr) return Errc::kStale;
  auto found = node->xattrs.find(name);
  if (found == node->xattrs.end()) return Errc::kNoAttribute;
  node->xattrs.erase(found);
  return {};
}

}  // namespace varve
