// POSIX access control lists in the kernel's xattr coding (version 2), and how they and mode bits
// follow each other (acl(5); Linux fs/posix_acl.c). Pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dedup/base/result.h"

namespace varve {

inline constexpr std::string_view kAclAccessName = "system.posix_acl_access";
inline constexpr std::string_view kAclDefaultName = "system.posix_acl_default";

class PosixAcl {
 public:
  // Tags of entries, in their order.
  static constexpr uint16_t kUserObject = 0x01, kUser = 0x02, kGroupObject = 0x04, kGroup = 0x08,
                            kMask = 0x10, kOther = 0x20;
  struct Entry {
    uint16_t tag = 0, permissions = 0;
    uint32_t id = 0;  // of a named user or group; kNoId else
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  static constexpr uint32_t kNoId = UINT32_MAX;

  /// In any order; kInvalid as below.
  static Result<PosixAcl> of(std::vector<Entry> entries);
  /// kInvalid unless it is a well-formed list: owner, named users, group, named groups, mask if
  /// anything is named, others. A value without entries gives an empty list.
  static Result<PosixAcl> decode(std::string_view xattr);
  std::string encode() const;

  const std::vector<Entry>& entries() const { return entries_; }
  bool empty() const { return entries_.empty(); }
  /// The permission bits (0777) that the list shows as.
  uint16_t mode() const;
  /// Whether mode() says all of it.
  bool is_mode_only() const;
  /// chmod: owner, others, and mask (or group, without a mask) become what `mode` says.
  void set_mode(uint16_t mode);
  /// A new file inherits this default list and is created with `mode`: the list becomes the file's
  /// access list, restricted to the mode; the result is the file's mode, restricted to the list.
  uint16_t restrict_to(uint16_t mode);

 private:
  Entry* find(uint16_t tag);
  /// The permissions that the mode's bits stand for, with the bits' shift: user, group (the mask,
  /// where there is one), other.
  void for_each_class(const std::function<void(uint16_t& permissions, int shift)>& visit);
  bool is_valid() const;

  std::vector<Entry> entries_;
};

}  // namespace varve
