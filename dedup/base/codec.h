// Encode, don't cast: little-endian fields written by an Encoder and read by a Decoder that cannot
// over-read.
//
// A Decoder latches: after the first field that does not fit, every further read gives zeros and
// failed() is true. Read all fields, then ask finish() once.
#pragma once

#include "dedup/base/bytes.h"
#include "dedup/base/id.h"
#include "dedup/base/result.h"

namespace varve {

class Encoder {
 public:
  Encoder& u8(uint8_t value) { return put(value, 1); }
  Encoder& u16(uint16_t value) { return put(value, 2); }
  Encoder& u32(uint32_t value) { return put(value, 4); }
  Encoder& u64(uint64_t value) { return put(value, 8); }
  Encoder& i64(int64_t value) { return put(static_cast<uint64_t>(value), 8); }
  /// LEB128: seven bits a byte, least significant first, the top bit set on all but the last.
  Encoder& varint(uint64_t value);
  /// The bytes as they are.
  Encoder& raw(ByteView bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  /// A field that says nothing in this version of the format.
  Encoder& zeros(size_t count) {
    out_.resize(out_.size() + count);
    return *this;
  }
  template <typename Tag, size_t kBytes>
  Encoder& id(const Id<Tag, kBytes>& id) {
    return raw(id.view());
  }
  /// varint length, then the bytes.
  Encoder& blob(ByteView bytes) { return varint(bytes.size()).raw(bytes); }
  Encoder& blob(std::string_view text) { return blob(as_bytes(text)); }

  size_t size() const { return out_.size(); }
  ByteView view() const { return out_; }
  Bytes take() { return std::move(out_); }

 private:
  Encoder& put(uint64_t value, int count) {
    for (int i = 0; i < count; i++) out_.push_back(static_cast<uint8_t>(value >> (8 * i)));
    return *this;
  }

  Bytes out_;
};

class Decoder {
 public:
  explicit Decoder(ByteView in) : in_(in) {}

  uint8_t u8() { return static_cast<uint8_t>(get(1)); }
  uint16_t u16() { return static_cast<uint16_t>(get(2)); }
  uint32_t u32() { return static_cast<uint32_t>(get(4)); }
  uint64_t u64() { return get(8); }
  int64_t i64() { return static_cast<int64_t>(get(8)); }
  /// Refuses more than ten bytes and encodings longer than needed.
  uint64_t varint();
  /// `count` bytes of the input; a view into it. Empty once failed.
  ByteView raw(size_t count) {
    if (failed_ || count > in_.size()) {
      failed_ = true;
      return {};
    }
    ByteView result = in_.first(count);
    in_ = in_.subspan(count);
    return result;
  }
  /// Reads over `count` bytes, and fails if one of them is not zero.
  void zeros(size_t count);
  template <typename IdType>
  IdType id() {
    IdType result;
    ByteView bytes = raw(IdType::kSize);
    if (!failed_) std::copy(bytes.begin(), bytes.end(), result.bytes.begin());
    return result;
  }
  ByteView blob() { return raw(static_cast<size_t>(std::min<uint64_t>(varint(), SIZE_MAX))); }
  std::string text() { return std::string(as_text(blob())); }

  size_t remaining() const { return in_.size(); }
  bool failed() const { return failed_; }
  /// For a value that was read and makes no sense.
  void fail() { failed_ = true; }
  /// Nothing failed, and nothing is left over: else kCorrupt, naming `what`.
  Result<void> finish(std::string_view what) const;

 private:
  uint64_t get(size_t count) {
    ByteView bytes = raw(count);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size(); i++) value |= static_cast<uint64_t>(bytes[i]) << (8 * i);
    return value;
  }

  ByteView in_;
  bool failed_ = false;
};

}  // namespace varve
