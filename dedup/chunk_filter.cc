#include "dedup/chunk_filter.h"

#include "dedup/base/codec.h"

namespace varve {
namespace {

constexpr uint64_t kBitsPerKey = 10;
// Odd multipliers that each choose another bit of their word (Parquet's).
constexpr uint32_t kSalt[] = {0x47b6137bU, 0x44974d91U, 0x8824ad5bU, 0xa2b7289dU,
                              0x705495c7U, 0x2df1424bU, 0x9efc4947U, 0x5c6bfb31U};

uint32_t bit_of(const ChunkKey& key, size_t word) {
  return 1U << ((static_cast<uint32_t>(key.low) * kSalt[word]) >> 27);
}

}  // namespace

ChunkFilter::ChunkFilter(uint64_t keys) {
  uint64_t blocks =
      std::max<uint64_t>(1, (keys * kBitsPerKey + kBlockBytes * 8 - 1) / (kBlockBytes * 8));
  words_.resize(std::min<uint64_t>(blocks, UINT32_MAX) * kWordsPerBlock);
}

ChunkFilter ChunkFilter::from_bytes(ByteView bytes) {
  ChunkFilter filter(0);
  filter.words_.resize(bytes.size() / sizeof(uint32_t));
  Decoder decoder(bytes);
  for (uint32_t& word : filter.words_) word = decoder.u32();
  return filter;
}

void ChunkFilter::add(const ChunkKey& key) {
  size_t first = first_word(key);
  for (size_t i = 0; i < kWordsPerBlock; i++) words_[first + i] |= bit_of(key, i);
}

bool ChunkFilter::may_hold(const ChunkKey& key) const {
  size_t first = first_word(key);
  uint32_t missing = 0;
  for (size_t i = 0; i < kWordsPerBlock; i++) missing |= ~words_[first + i] & bit_of(key, i);
  return missing == 0;
}

Bytes ChunkFilter::to_bytes() const {
  Encoder encoder;
  for (uint32_t word : words_) encoder.u32(word);
  return encoder.take();
}

}  // namespace varve
