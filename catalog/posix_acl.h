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
  /// kInvalid unless it is a well-formed list: owner, named users, group, named groups, mask if
  /// anything is named, others. A value without entries gives an empty list.
  static Result<PosixAcl> decode(std::string_view xattr);
  std::string encode() const;

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
  struct Entry {
    uint16_t tag = 0, permissions = 0;
    uint32_t id = 0;
  };
  Entry* find(uint16_t tag);
  /// The permissions that the mode's bits stand for, with the bits' shift: user, group (the mask,
  /// where there is one), other.
  void for_each_class(const std::function<void(uint16_t& permissions, int shift)>& visit);
  bool is_valid() const;

  std::vector<Entry> entries_;
};

}  // namespace varve
