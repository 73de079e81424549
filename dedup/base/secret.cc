#include "dedup/base/secret.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "dedup/base/log.h"

namespace varve {
namespace {

/// Secrets have pages of their own: locking is by page, and unlocking one must not unlock a
/// neighbour.
size_t whole_pages(size_t size) {
  size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (size + page - 1) / page * page;
}

uint8_t* allocate_locked(size_t size) {
  size_t mapped = whole_pages(size);
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    log_error("out of memory for keys");
    std::abort();
  }
  (void)mlock(memory, mapped);
  (void)madvise(memory, mapped, MADV_DONTDUMP);
  return static_cast<uint8_t*>(memory);
}

void free_locked(uint8_t* memory, size_t size) {
  if (memory == nullptr) return;
  wipe({memory, size});
  munmap(memory, whole_pages(size));
}

}  // namespace

Secret::Secret(size_t size) : memory_(size == 0 ? nullptr : allocate_locked(size)), size_(size) {}

Secret::~Secret() {
  free_locked(memory_, size_);
}

Secret::Secret(Secret&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  free_locked(memory_, size_);
  memory_ = std::exchange(other.memory_, nullptr);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

Secret Secret::copy_of(ByteView bytes) {
  Secret secret(bytes.size());
  std::copy(bytes.begin(), bytes.end(), secret.memory_);
  return secret;
}

void wipe(ByteSpan memory) {
  if (!memory.empty()) explicit_bzero(memory.data(), memory.size());
}

void forbid_dumps() {
  rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    log_warning("core files of this process cannot be forbidden; they would hold keys");
  }
}

}  // namespace varve
