#include "dedup/compressor.h"

#include <zstd.h>

#include <algorithm>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

// Three kinds of waste are weighed here: compressing what does not shrink, keeping compressed what
// shrank so little that reading it back costs more than it saves, and trying what is short anyway.
constexpr size_t kTryFrom = 128 * kKiB;  // raw bytes; below, compressing is trying
constexpr size_t kSamplePieces = 4;
constexpr size_t kSamplePieceBytes = 8 * kKiB;
constexpr size_t kWorthOneIn = 64;  // at least 1/64 has to be saved

// The default level's tables, smaller than zstd's own for a MiB, so that both stay in a core's
// second cache: a fifth faster for 0.7 % more bytes (docs/performance.md).
constexpr int kDefaultHashLog = 15;
constexpr int kDefaultChainLog = 15;

constexpr uint32_t kZstdMagic = 0xFD2FB528;

struct CompressFree {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};
struct DecompressFree {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

bool worth_having(size_t raw, size_t compressed) {
  return compressed < raw - raw / kWorthOneIn;
}

bool set_level(ZSTD_CCtx* context, int level) {
  const auto set = [&](ZSTD_cParameter parameter, int value) {
    return !ZSTD_isError(ZSTD_CCtx_setParameter(context, parameter, value));
  };
  if (!set(ZSTD_c_compressionLevel, level)) return false;
  return level != kCompressionLevelDefault ||
         (set(ZSTD_c_hashLog, kDefaultHashLog) && set(ZSTD_c_chainLog, kDefaultChainLog));
}

/// One context a thread, kept: making one costs more than decoding a small segment.
ZSTD_DCtx* decompress_context() {
  thread_local const std::unique_ptr<ZSTD_DCtx, DecompressFree> context(ZSTD_createDCtx());
  return context.get();
}

Error corrupt(const char* why) {
  return Error(Errc::kCorrupt, std::string("compressed bytes do not decode: ") + why);
}

/// One zstd frame of today's format and nothing after it, which says the length that is expected or
/// none. Older formats' decoders and skippable frames are not for stored bytes.
Result<void> check_frame(ByteView payload, size_t raw_length) {
  Decoder in(payload);
  if (in.u32() != kZstdMagic || in.failed()) return corrupt("no zstd frame");
  const size_t frame = ZSTD_findFrameCompressedSize(payload.data(), payload.size());
  if (ZSTD_isError(frame) || frame != payload.size()) return corrupt("not one whole frame");
  const unsigned long long said = ZSTD_getFrameContentSize(payload.data(), payload.size());
  if (said == ZSTD_CONTENTSIZE_ERROR || (said != ZSTD_CONTENTSIZE_UNKNOWN && said != raw_length)) {
    return corrupt("of another length");
  }
  return {};
}

}  // namespace

struct Compressor::State {
  std::unique_ptr<ZSTD_CCtx, CompressFree> context;
  Buffer sample{kSamplePieces * kSamplePieceBytes};
  Buffer sample_out{ZSTD_COMPRESSBOUND(kSamplePieces * kSamplePieceBytes)};

  /// The compressed length, or raw.size() if compressing failed for want of room or memory.
  size_t compress(ByteView raw, ByteSpan out) {
    if (context == nullptr) return raw.size();
    const size_t length =
        ZSTD_compress2(context.get(), out.data(), out.size(), raw.data(), raw.size());
    return ZSTD_isError(length) ? raw.size() : length;
  }

  /// Whether pieces from all over `raw` shrink together.
  bool sample_shrinks(ByteView raw) {
    const size_t stride = raw.size() / kSamplePieces;
    for (size_t i = 0; i < kSamplePieces; i++) {
      const size_t from = i * stride + (stride - kSamplePieceBytes) / 2;
      std::copy_n(raw.data() + from, kSamplePieceBytes, sample.data() + i * kSamplePieceBytes);
    }
    return worth_having(sample.size(), compress(sample.view(), sample_out.span()));
  }
};

Compressor::Compressor(int level) : state_(std::make_unique<State>()) {
  if (level == 0) return;
  state_->context.reset(ZSTD_createCCtx());
  ZSTD_CCtx* context = state_->context.get();
  if (context == nullptr || !set_level(context, level)) {
    log_warning("zstd is not to be had: segments are stored as they are");
    state_->context.reset();
  }
}
Compressor::~Compressor() = default;

size_t Compressor::compress_bound(size_t raw_length) {
  return ZSTD_compressBound(raw_length);
}

Compressor::Outcome Compressor::compress(ByteView raw, ByteSpan out) {
  const Outcome stored{Codec::kStored, raw.size()};
  if (state_->context == nullptr) return stored;
  if (raw.size() >= kTryFrom && !state_->sample_shrinks(raw)) return stored;
  const size_t length = state_->compress(raw, out);
  return worth_having(raw.size(), length) ? Outcome{Codec::kZstd, length} : stored;
}

Result<void> decompress(Codec codec, ByteView payload, ByteSpan out) {
  if (codec == Codec::kStored) {
    if (payload.size() != out.size()) return corrupt("stored bytes of another length");
    std::copy(payload.begin(), payload.end(), out.begin());
    return {};
  }
  if (codec != Codec::kZstd) return corrupt("unknown codec");
  VARVE_TRY(check_frame(payload, out.size()));
  ZSTD_DCtx* context = decompress_context();
  if (context == nullptr) return Error(Errc::kIo, "no memory to decompress");
  // Decoding in one go writes into `out` and nowhere else: no window is allocated, whatever the
  // frame asks for.
  const size_t length =
      ZSTD_decompressDCtx(context, out.data(), out.size(), payload.data(), payload.size());
  if (ZSTD_isError(length)) return corrupt(ZSTD_getErrorName(length));
  if (length != out.size()) return corrupt("of another length");
  return {};
}

}  // namespace varve
