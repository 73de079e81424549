// Bytes, and views of them, in one spelling for the whole program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace varve {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;
using ByteSpan = std::span<uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Lower-case hexadecimal.
std::string to_hex(ByteView bytes);

/// Fills `out` from exactly 2 * out.size() hexadecimal digits of either case; false if `text` is
/// anything else.
bool from_hex(std::string_view text, ByteSpan out);

/// Memory of a fixed size whose content is not set: what a vector would zero for nothing.
/// Move-only.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t size) : memory_(new uint8_t[size]), size_(size) {}

  uint8_t* data() { return memory_.get(); }
  const uint8_t* data() const { return memory_.get(); }
  size_t size() const { return size_; }
  ByteSpan span() { return {memory_.get(), size_}; }
  ByteView view() const { return {memory_.get(), size_}; }
  /// Makes the buffer appear smaller; memory is not given back.
  void shrink(size_t size) { size_ = size < size_ ? size : size_; }

 private:
  std::unique_ptr<uint8_t[]> memory_;
  size_t size_ = 0;
};

}  // namespace varve
