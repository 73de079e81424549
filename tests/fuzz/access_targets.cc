// store.json, generations of access, and recovery keys: what is parsed before any key is known.
#include "dedup/access_folder.h"
#include "dedup/access_slot.h"
#include "dedup/base/checksum.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/seeded_keyring.h"
#include "tests/support/simulated_storage.h"

namespace varve {
namespace {

/// A store of its own, made by the program; its secret costs no scrypt.
struct SmallStore {
  SimulatedStorage storage;
  SeededRandom random{1};
  NewStore made = make();

  static AccessSecret secret() {
    return {AccessSecret::Kind::kKeyFile, Secret::copy_of(as_bytes("a key file's bytes"))};
  }
  NewStore make() {
    std::vector<AccessSecret> secrets;
    secrets.push_back(secret());
    const ChunkerSizes sizes = ChunkerSizes::of_average(32 * kKiB).value();
    return create_store(storage, sizes, secrets, random, "2026-11-22T05:30:00Z").value();
  }
  Bytes generation() {
    for (const std::string& path : storage.files()) {
      if (path.starts_with("keys/")) return read_whole(storage, path, kGenerationBytesMax).value();
    }
    std::abort();
  }
};

SmallStore& small_store() {
  static SmallStore store;
  return store;
}

bool run_store_json(ByteView input) {
  const Result<StoreConfig> config = decode_store_config(input);
  if (!config.ok()) return false;
  const std::string written = encode_store_config(*config);
  const Result<StoreConfig> again = decode_store_config(as_bytes(written));
  expect_that(again.ok() && encode_store_config(*again) == written,
              "store.json does not come back as it was read");
  return true;
}

std::vector<Bytes> store_json_seeds() {
  return {bytes_of(encode_store_config(small_store().made.config))};
}

bool run_access_generation(ByteView input) {
  return expect_canonical(decode_generation(input), input, encode_generation);
}

AccessGeneration child_of(const AccessGeneration& parent, const FileHash& hash) {
  AccessGeneration child = parent;
  child.number = parent.number + 1;
  child.parents = {hash};
  child.epochs.push_back({small_store().random.id<EpochId>(), {}});
  return child;
}

std::vector<Bytes> access_generation_seeds() {
  const Bytes first = small_store().generation();
  const AccessGeneration decoded = decode_generation(first).value();
  AccessGeneration child = child_of(decoded, sha256(first));
  child.slots.push_back(child.slots[0]);
  child.slots[1].type = SlotType::kPassphrase;
  child.slots[1].scrypt_log2_n = kScryptLog2N;
  child.slots[1].scrypt_r = kScryptR;
  child.slots[1].scrypt_p = kScryptP;
  return {first, encode_generation(child)};
}

// A whole keys/: what is_valid and open_keyring make of generations that are signed as they say.
// Input: generations, each a blob; a parent hash whose first byte is N stands for the Nth blob.

Keyring::Epoch& first_epoch() {
  static Keyring::Epoch epoch = [] {
    const Keyring& keyring = small_store().made.keyring;
    return Keyring::Epoch{keyring.current().id, Secret::copy_of(keyring.current().key.view()),
                          keyring.current().public_key};
  }();
  return epoch;
}

/// The file of a generation whose signatures hold: both by the store's first epoch, which is every
/// generation's.
Bytes sign_anew(AccessGeneration generation, const std::vector<FileHash>& files) {
  for (FileHash& parent : generation.parents) {
    if (parent.bytes[0] < files.size()) parent = files[parent.bytes[0]];
  }
  const Secret seed = signing_seed(generation.store, first_epoch().key);
  generation.signature = sign(seed, encode_generation_unsigned(generation));
  generation.anchor = sign(seed, encode_generation_unanchored(generation));
  return encode_generation(generation);
}

bool run_keys_folder(ByteView input) {
  SimulatedStorage storage;
  (void)storage.make_directories(kKeysDirectory);
  Decoder in(input);
  std::vector<FileHash> files;
  while (in.remaining() > 0 && files.size() < 8) {
    const ByteView blob = in.blob();
    const Result<AccessGeneration> generation = decode_generation(blob);
    const Bytes file =
        generation.ok() ? sign_anew(*generation, files) : Bytes(blob.begin(), blob.end());
    files.push_back(sha256(file));
    (void)write_whole(storage, std::string(kKeysDirectory) + "/" + files.back().hex(), file);
  }
  const StoreConfig& config = small_store().made.config;
  const auto in_force = read_generations_in_force(storage, config);
  const auto keys = read_epoch_keys(storage, config);
  expect_that(in_force.ok() == keys.ok(), "keys/ says two things");
  if (!in_force.ok()) return false;
  expect_that(!in_force->empty(), "no generation is in force, and no error");
  for (const FoundGeneration& found : *in_force) {
    for (const FoundGeneration& other : *in_force) {
      const auto& parents = other.generation.parents;
      expect_that(std::find(parents.begin(), parents.end(), found.hash) == parents.end(),
                  "a superseded generation is in force");
    }
  }
  const Result<Keyring> keyring = open_keyring(storage, config, SmallStore::secret());
  expect_that(!keyring.ok() || keyring->find(config.first_epoch) != nullptr,
              "a keyring lacks the store's first epoch");
  return true;
}

std::vector<Bytes> keys_folder_seeds() {
  const Bytes first = small_store().generation();
  const AccessGeneration generation = decode_generation(first).value();
  FileHash number;  // zeros: the first file
  const AccessGeneration second = child_of(generation, number);
  AccessGeneration sibling = second;
  sibling.sealed_keyring.clear();
  return {Encoder().blob(ByteView(first)).take(),
          Encoder().blob(ByteView(first)).blob(ByteView(encode_generation(second))).take(),
          Encoder()
              .blob(ByteView(first))
              .blob(ByteView(encode_generation(second)))
              .blob(ByteView(encode_generation(sibling)))
              .take()};
}

bool run_recovery_key(ByteView input) {
  const Result<Secret> key = parse_recovery_key(as_text(input));
  if (!key.ok()) return false;
  const Result<Secret> again = parse_recovery_key(print_recovery_key(*key));
  expect_that(again.ok() && same_bytes(again->view(), key->view()), "a recovery key changes");
  return true;
}

std::vector<Bytes> recovery_key_seeds() {
  return {bytes_of(print_recovery_key(Secret::copy_of(random_bytes(5, kKeyBytes))))};
}

}  // namespace

std::vector<FuzzTarget> access_targets() {
  return {{"store_json", run_store_json, store_json_seeds},
          {"access_generation", run_access_generation, access_generation_seeds},
          {"keys_folder", run_keys_folder, keys_folder_seeds},
          {"recovery_key", run_recovery_key, recovery_key_seeds}};
}

}  // namespace varve
