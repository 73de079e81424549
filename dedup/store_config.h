// store.json: who a store is. Written once, the same at every replica.
#pragma once

#include "dedup/base/id.h"
#include "dedup/base/result.h"
#include "dedup/base/storage.h"
#include "dedup/sealer.h"

namespace varve {

/// The ways to cut that docs/format.md section 9 names. New stores have gear-nc1.
enum class ChunkerAlgorithm : uint8_t { kGearNc1, kGearNc2 };

struct ChunkerSizes {
  uint32_t minimum, average, maximum;  // bytes
  ChunkerAlgorithm algorithm;
  /// Of 16, 32, 64 or 128 KiB: kInvalid for any other average.
  static Result<ChunkerSizes> of_average(uint64_t average,
                                         ChunkerAlgorithm algorithm = ChunkerAlgorithm::kGearNc1);
};

struct StoreConfig {
  StoreId store_id;
  std::string created;  // UTC
  ChunkerSizes chunker;
  EpochId first_epoch;
  PublicKey first_public_key;
  FileHash hash;  // of the file's bytes
};

inline constexpr const char* kStoreConfigPath = "store.json";

/// The bytes of the file for `config` (whose hash is not looked at).
std::string encode_store_config(const StoreConfig& config);
/// kUnsupported for a newer format, by name; kCorrupt for anything else that is not a store.json.
Result<StoreConfig> decode_store_config(ByteView bytes);
/// kNotFound with "no varve store" if there is no store; kCorrupt, with what to do, if its
/// store.json is damaged or went.
Result<StoreConfig> read_store_config(Storage& storage);

}  // namespace varve
