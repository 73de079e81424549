#include "dedup/base/codec.h"

namespace varve {

Encoder& Encoder::varint(uint64_t value) {
  while (value >= 0x80) {
    out_.push_back(static_cast<uint8_t>(value | 0x80));
    value >>= 7;
  }
  out_.push_back(static_cast<uint8_t>(value));
  return *this;
}

uint64_t Decoder::varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    uint8_t byte = u8();
    // The tenth byte has room for one bit; a last byte of zero says that the encoding is longer
    // than needed.
    if (failed_ || (shift == 63 && byte > 1) || (shift > 0 && byte == 0)) break;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  failed_ = true;
  return 0;
}

void Decoder::zeros(size_t count) {
  for (const uint8_t byte : raw(count)) {
    if (byte != 0) failed_ = true;
  }
}

Result<void> Decoder::finish(std::string_view what) const {
  if (failed_) return Error(Errc::kCorrupt, std::string(what) + " is cut short or malformed");
  if (!in_.empty()) return Error(Errc::kCorrupt, std::string(what) + " has bytes left over");
  return {};
}

}  // namespace varve
