// What a daemon and the helper process that reads a remote for it say to each other, over a stream
// socket (docs/replication.md, "A remote that is read").
//
// A frame is a u32, the bytes that follow; then a u64, the request's number, and the message.
// Requests are answered in any order, each once. Integers are little-endian.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dedup/base/bytes.h"
#include "dedup/base/result.h"
#include "dedup/base/storage.h"

namespace varve {

/// No frame is longer: who meets one ends the talk.
inline constexpr size_t kFetchFrameBytesMax = size_t{64} << 20;
/// A file that is no longer comes whole with the answer to kOpen.
inline constexpr uint64_t kFetchWholeBytesMax = uint64_t{64} << 10;
/// What one kRead may ask for.
inline constexpr uint32_t kFetchReadBytesMax = uint32_t{128} << 10;

enum class FetchKind : uint8_t {
  kOpen = 1,    // path -> length, and all bytes if they are few
  kRead = 2,    // path, offset, count -> bytes; fewer at the file's end
  kList = 3,    // path -> entries
  kExists = 4,  // path -> yes or no
  kSpace = 5,   // -> total, available
};

struct FetchRequest {
  FetchKind kind = FetchKind::kOpen;
  std::string path;
  uint64_t offset = 0;
  uint32_t count = 0;
};

Bytes encode_fetch_request(const FetchRequest& request);
Result<FetchRequest> decode_fetch_request(ByteView bytes);

/// An answer's message: a u8, 0 where it is one; else the error, whose code is that less one.
Bytes encode_fetch_answer(ByteView content);
Bytes encode_fetch_error(const Error& error);
/// The content, or the error that it tells of.
Result<Bytes> decode_fetch_answer(ByteView bytes);

struct OpenedFile {
  uint64_t length = 0;
  std::optional<Bytes> whole;
};
Bytes encode_opened(const OpenedFile& file);
Result<OpenedFile> decode_opened(ByteView content);
Bytes encode_entries(const std::vector<StorageEntry>& entries);
Result<std::vector<StorageEntry>> decode_entries(ByteView content);
Bytes encode_space(const StorageSpace& space);
Result<StorageSpace> decode_space(ByteView content);

/// A frame to send.
Bytes encode_fetch_frame(uint64_t number, ByteView message);

/// Cuts what arrives into frames.
class FetchFrames {
 public:
  struct Frame {
    uint64_t number = 0;
    Bytes message;
  };
  void add(ByteView bytes);
  /// The next whole frame; nullopt if more bytes are needed; kCorrupt if that is no frame.
  Result<std::optional<Frame>> next();

 private:
  Bytes waiting_;
  size_t taken_ = 0;
};

}  // namespace varve
