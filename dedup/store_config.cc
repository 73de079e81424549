#include "dedup/store_config.h"

#include <nlohmann/json.hpp>

#include "dedup/base/checksum.h"
#include "dedup/base/limits.h"

namespace varve {
namespace {

using Json = nlohmann::json;

constexpr size_t kConfigBytesMax = 64 * kKiB;
constexpr size_t kCreatedBytesMax = 64;
constexpr std::string_view kGearNc1 = "gear-nc1", kGearNc2 = "gear-nc2";

Error corrupt(const std::string& why) {
  return Error(Errc::kCorrupt, "store.json: " + why);
}

/// The member of `object` if it is there and an object.
const Json* object_at(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || !found->is_object() ? nullptr : &*found;
}

uint64_t number_at(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || !found->is_number_unsigned() ? 0 : found->get<uint64_t>();
}

std::string text_at(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || !found->is_string() ? std::string() : found->get<std::string>();
}

Result<ChunkerSizes> decode_chunker(const Json& chunker) {
  const std::string name = text_at(chunker, "algorithm");
  if (name != kGearNc1 && name != kGearNc2) {
    return Error(Errc::kUnsupported, "store.json: unknown chunker \"" + name + "\"");
  }
  const auto algorithm = name == kGearNc1 ? ChunkerAlgorithm::kGearNc1 : ChunkerAlgorithm::kGearNc2;
  Result<ChunkerSizes> sizes = ChunkerSizes::of_average(number_at(chunker, "average"), algorithm);
  if (!sizes.ok() || number_at(chunker, "minimum") != sizes->minimum ||
      number_at(chunker, "maximum") != sizes->maximum) {
    return corrupt("chunker sizes that version 1 does not have");
  }
  return sizes;
}

Result<void> check_version(const Json& json) {
  const uint64_t version = number_at(json, "format_version");
  if (version == kFormatVersion) return {};
  if (version == 0) return corrupt("no format_version");
  return Error(Errc::kUnsupported, "the store has format version " + std::to_string(version) +
                                       "; this varve reads version " +
                                       std::to_string(kFormatVersion));
}

}  // namespace

Result<ChunkerSizes> ChunkerSizes::of_average(uint64_t average, ChunkerAlgorithm algorithm) {
  if (average != 16 * kKiB && average != 32 * kKiB && average != 64 * kKiB &&
      average != 128 * kKiB) {
    return Error(Errc::kInvalid, "the chunk size must be 16K, 32K, 64K or 128K");
  }
  const uint32_t size = static_cast<uint32_t>(average);
  const uint32_t maximum = algorithm == ChunkerAlgorithm::kGearNc1 ? size * 2 : size * 4;
  return ChunkerSizes{size / 4, size, maximum, algorithm};
}

std::string encode_store_config(const StoreConfig& config) {
  nlohmann::ordered_json json;
  json["format_version"] = kFormatVersion;
  json["store_id"] = config.store_id.hex();
  json["created"] = config.created;
  const bool is_nc1 = config.chunker.algorithm == ChunkerAlgorithm::kGearNc1;
  json["chunker"] = {{"algorithm", is_nc1 ? kGearNc1 : kGearNc2},
                     {"minimum", config.chunker.minimum},
                     {"average", config.chunker.average},
                     {"maximum", config.chunker.maximum}};
  json["epoch"] = {{"id", config.first_epoch.hex()},
                   {"public_key", to_hex(config.first_public_key)}};
  return json.dump(2) + "\n";
}

Result<StoreConfig> decode_store_config(ByteView bytes) {
  if (bytes.size() > kConfigBytesMax) return corrupt("too large");
  // The callback refuses nesting: the parser is recursive nowhere, but what is deep is not ours.
  const auto shallow = [](int depth, Json::parse_event_t, Json&) { return depth <= 4; };
  const Json json = Json::parse(bytes.begin(), bytes.end(), shallow, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) return corrupt("is no JSON object");
  VARVE_TRY(check_version(json));

  StoreConfig config;
  const auto store = StoreId::from_hex(text_at(json, "store_id"));
  if (!store) return corrupt("no store_id");
  config.store_id = *store;
  config.created = text_at(json, "created");
  if (config.created.size() > kCreatedBytesMax) return corrupt("created is too long");
  const Json* chunker = object_at(json, "chunker");
  if (chunker == nullptr) return corrupt("no chunker");
  config.chunker = VARVE_TRY(decode_chunker(*chunker));
  const Json* epoch = object_at(json, "epoch");
  if (epoch == nullptr) return corrupt("no epoch");
  const auto id = EpochId::from_hex(text_at(*epoch, "id"));
  if (!id || !from_hex(text_at(*epoch, "public_key"), config.first_public_key)) {
    return corrupt("no epoch with id and public_key");
  }
  config.first_epoch = *id;
  config.hash = sha256(bytes);
  return config;
}

namespace {

/// What is left of a store whose store.json went.
bool has_keys(Storage& storage) {
  const auto keys = storage.list("keys");
  return keys.ok() && !keys->empty();
}

Error with_advice(const Error& damage) {
  return Error(damage.code(), damage.message() +
                                  "; it is the same at every replica of the store: copy it from "
                                  "one, or from where it was kept");
}

}  // namespace

Result<StoreConfig> read_store_config(Storage& storage) {
  Result<Bytes> bytes = read_whole(storage, kStoreConfigPath, kConfigBytesMax);
  if (bytes.ok()) {
    Result<StoreConfig> config = decode_store_config(*bytes);
    const bool damaged = !config.ok() && config.error().code() == Errc::kCorrupt;
    return damaged ? with_advice(config.error()) : std::move(config);
  }
  if (bytes.error().code() == Errc::kNotFound) {
    if (has_keys(storage)) return with_advice(corrupt("is missing, though there is keys/"));
    return Error(Errc::kNotFound, "this is no varve store: it has no store.json");
  }
  if (bytes.error().code() == Errc::kTooLarge) return with_advice(corrupt("too large"));
  return std::move(bytes).error();
}

}  // namespace varve
