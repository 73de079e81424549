#include "catalog/posix_acl.h"

#include <algorithm>

#include "dedup/base/codec.h"

namespace varve {
namespace {

constexpr uint32_t kVersion = 2;
constexpr size_t kHeaderBytes = 4;
constexpr size_t kEntryBytes = 8;

}  // namespace

Result<PosixAcl> PosixAcl::decode(std::string_view xattr) {
  PosixAcl acl;
  if (xattr.empty()) return acl;
  Decoder in(as_bytes(xattr));
  uint32_t version = in.u32();
  if (in.failed() || (xattr.size() - kHeaderBytes) % kEntryBytes != 0) return Errc::kInvalid;
  if (version != kVersion) return Errc::kUnsupported;
  while (in.remaining() > 0) {
    Entry entry;
    entry.tag = in.u16();
    entry.permissions = in.u16();
    entry.id = in.u32();
    acl.entries_.push_back(entry);
  }
  if (!acl.empty() && !acl.is_valid()) return Errc::kInvalid;
  return acl;
}

Result<PosixAcl> PosixAcl::of(std::vector<Entry> entries) {
  PosixAcl acl;
  acl.entries_ = std::move(entries);
  std::sort(acl.entries_.begin(), acl.entries_.end(), [](const Entry& a, const Entry& b) {
    return a.tag != b.tag ? a.tag < b.tag : a.id < b.id;
  });
  if (!acl.empty() && !acl.is_valid()) return Errc::kInvalid;
  return acl;
}

std::string PosixAcl::encode() const {
  Encoder out;
  out.u32(kVersion);
  for (const Entry& entry : entries_) out.u16(entry.tag).u16(entry.permissions).u32(entry.id);
  return std::string(as_text(out.view()));
}

bool PosixAcl::is_valid() const {
  // Tags are powers of two in their order; only those with a name may come again.
  uint16_t seen = 0;
  for (const Entry& entry : entries_) {
    if (entry.permissions > 7) return false;
    bool is_named = entry.tag == kUser || entry.tag == kGroup;
    bool is_known = is_named || entry.tag == kUserObject || entry.tag == kGroupObject ||
                    entry.tag == kMask || entry.tag == kOther;
    if (!is_known || seen > (is_named ? 2 * entry.tag - 1 : entry.tag - 1)) return false;
    seen |= entry.tag;
  }
  constexpr uint16_t kRequired = kUserObject | kGroupObject | kOther;
  if ((seen & kRequired) != kRequired) return false;
  return (seen & (kUser | kGroup)) == 0 || (seen & kMask) != 0;
}

PosixAcl::Entry* PosixAcl::find(uint16_t tag) {
  auto found = std::find_if(entries_.begin(), entries_.end(),
                            [tag](const Entry& entry) { return entry.tag == tag; });
  return found == entries_.end() ? nullptr : &*found;
}

void PosixAcl::for_each_class(const std::function<void(uint16_t&, int)>& visit) {
  Entry* const mask = find(kMask);
  Entry* const classes[] = {find(kUserObject), mask != nullptr ? mask : find(kGroupObject),
                            find(kOther)};
  int shift = 6;
  for (Entry* entry : classes) {
    if (entry != nullptr) visit(entry->permissions, shift);
    shift -= 3;
  }
}

uint16_t PosixAcl::mode() const {
  uint16_t user = 0, group = 0, other = 0;
  bool masked = false;
  for (const Entry& entry : entries_) {
    if (entry.tag == kUserObject) user = entry.permissions;
    if (entry.tag == kOther) other = entry.permissions;
    if (entry.tag == kGroupObject && !masked) group = entry.permissions;
    if (entry.tag == kMask) {
      group = entry.permissions;
      masked = true;
    }
  }
  return static_cast<uint16_t>(user << 6 | group << 3 | other);
}

bool PosixAcl::is_mode_only() const {
  return entries_.size() <= 3;
}

void PosixAcl::set_mode(uint16_t mode) {
  for_each_class([mode](uint16_t& permissions, int shift) { permissions = mode >> shift & 7; });
}

uint16_t PosixAcl::restrict_to(uint16_t mode) {
  if (empty()) return mode;
  uint16_t allowed = 0;
  for_each_class([&](uint16_t& permissions, int shift) {
    permissions = static_cast<uint16_t>(permissions & (mode >> shift) & 7);
    allowed = static_cast<uint16_t>(allowed | permissions << shift);
  });
  return static_cast<uint16_t>((mode & 07000) | allowed);
}

}  // namespace varve
