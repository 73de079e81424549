#include "dedup/disk_image.h"

#include "dedup/base/limits.h"

namespace varve {
namespace {

bool has(ByteView head, size_t at, std::string_view magic) {
  return head.size() >= at + magic.size() && as_text(head.subspan(at, magic.size())) == magic;
}

constexpr size_t kSmallestImage = 64 * kKiB;  // a boot sector alone is no disk

}  // namespace

bool looks_like_disk_image(ByteView head) {
  if (head.size() < kSmallestImage) return false;
  return has(head, 510, "\x55\xaa") ||  // MBR, GPT's protective one, FAT, NTFS
         has(head, 512, "EFI PART") ||  //
         has(head, 1080, std::string_view("\x53\xef", 2)) ||  // ext2 to ext4
         has(head, 0, "XFSB") || has(head, 0, "QFI\xfb") ||   // XFS, qcow2
         has(head, 0, "KDMV") || has(head, 0, "vhdxfile") ||  // VMDK, VHDX
         has(head, 64, "\x7f\x10\xda\xbe") ||                 // VDI
         has(head, 0, "LUKS\xba\xbe") || has(head, 0, "conectix") ||
         // A database is overwritten in the same way.
         has(head, 0, std::string_view("SQLite format 3\0", 16));
}

}  // namespace varve
