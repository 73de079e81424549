#include "dedup/fetch_protocol.h"

#include "dedup/base/codec.h"

namespace varve {

namespace {

constexpr size_t kLengthBytes = 4;
constexpr size_t kNumberBytes = 8;

}  // namespace

Bytes encode_fetch_request(const FetchRequest& request) {
  Encoder out;
  out.u8(static_cast<uint8_t>(request.kind)).u64(request.offset).u32(request.count);
  return out.blob(request.path).take();
}

Result<FetchRequest> decode_fetch_request(ByteView bytes) {
  Decoder in(bytes);
  FetchRequest request;
  const uint8_t kind = in.u8();
  if (kind < static_cast<uint8_t>(FetchKind::kOpen) ||
      kind > static_cast<uint8_t>(FetchKind::kSpace))
    in.fail();
  request.kind = static_cast<FetchKind>(kind);
  request.offset = in.u64();
  request.count = in.u32();
  if (request.count > kFetchReadBytesMax) in.fail();
  request.path = in.text();
  VARVE_TRY(in.finish("a request to the fetch helper"));
  return request;
}

Bytes encode_fetch_answer(ByteView content) {
  Encoder out;
  return out.u8(0).raw(content).take();
}

Bytes encode_fetch_error(const Error& error) {
  Encoder out;
  out.u8(static_cast<uint8_t>(static_cast<uint8_t>(error.code()) + 1));
  return out.raw(as_bytes(error.message())).take();
}

Result<Bytes> decode_fetch_answer(ByteView bytes) {
  Decoder in(bytes);
  const uint8_t code = in.u8();
  if (in.failed() || code > static_cast<uint8_t>(Errc::kNoDevice) + 1)
    return Error(Errc::kCorrupt, "an answer of the fetch helper makes no sense");
  const ByteView rest = in.raw(in.remaining());
  if (code == 0) return Bytes(rest.begin(), rest.end());
  return Error(static_cast<Errc>(code - 1), std::string(as_text(rest)));
}

Bytes encode_opened(const OpenedFile& file) {
  Encoder out;
  out.u64(file.length).u8(file.whole ? 1 : 0);
  if (file.whole) out.raw(*file.whole);
  return out.take();
}

Result<OpenedFile> decode_opened(ByteView content) {
  Decoder in(content);
  OpenedFile file;
  file.length = in.u64();
  const uint8_t has_bytes = in.u8();
  const ByteView rest = in.raw(in.remaining());
  if (has_bytes > 1 || (has_bytes == 0 && !rest.empty()) ||
      (has_bytes == 1 && rest.size() != file.length))
    in.fail();
  VARVE_TRY(in.finish("what the fetch helper says of a file"));
  if (has_bytes == 1) file.whole.emplace(rest.begin(), rest.end());
  return file;
}

Bytes encode_entries(const std::vector<StorageEntry>& entries) {
  Encoder out;
  for (const StorageEntry& entry : entries) out.u8(entry.is_directory ? 1 : 0).blob(entry.name);
  return out.take();
}

Result<std::vector<StorageEntry>> decode_entries(ByteView content) {
  Decoder in(content);
  std::vector<StorageEntry> entries;
  while (in.remaining() > 0 && !in.failed()) {
    const bool is_directory = in.u8() == 1;
    entries.push_back({in.text(), is_directory});
  }
  VARVE_TRY(in.finish("a listing of the fetch helper"));
  return entries;
}

Bytes encode_space(const StorageSpace& space) {
  Encoder out;
  return out.u64(space.total).u64(space.available).take();
}

Result<StorageSpace> decode_space(ByteView content) {
  Decoder in(content);
  StorageSpace space;
  space.total = in.u64();
  space.available = in.u64();
  VARVE_TRY(in.finish("what the fetch helper says of space"));
  return space;
}

// Frames.

Bytes encode_fetch_frame(uint64_t number, ByteView message) {
  Encoder out;
  out.u32(static_cast<uint32_t>(kNumberBytes + message.size())).u64(number);
  return out.raw(message).take();
}

void FetchFrames::add(ByteView bytes) {
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(taken_));
  taken_ = 0;
  waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
}

Result<std::optional<FetchFrames::Frame>> FetchFrames::next() {
  const ByteView left = ByteView(waiting_).subspan(taken_);
  if (left.size() < kLengthBytes) return std::optional<Frame>();
  Decoder in(left);
  const uint32_t length = in.u32();
  if (length < kNumberBytes || length > kFetchFrameBytesMax)
    return Error(Errc::kCorrupt, "the fetch helper's words make no sense");
  if (left.size() < kLengthBytes + length) return std::optional<Frame>();
  Frame frame;
  frame.number = in.u64();
  const ByteView message = in.raw(length - kNumberBytes);
  frame.message.assign(message.begin(), message.end());
  taken_ += kLengthBytes + length;
  return std::optional<Frame>(std::move(frame));
}

}  // namespace varve
