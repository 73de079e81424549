// Does a file look like a disk image, to be read and overwritten at random places? Judged by its
// first bytes.
#pragma once

#include "dedup/base/bytes.h"

namespace varve {

bool looks_like_disk_image(ByteView head);

}  // namespace varve
