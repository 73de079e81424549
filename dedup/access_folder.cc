#include "dedup/access_folder.h"

#include <algorithm>
#include <map>
#include <set>

#include "dedup/base/checksum.h"
#include "dedup/base/log.h"

namespace varve {
namespace {

constexpr size_t kGenerationFilesMax = 4096;

using Valid = std::map<FileHash, const AccessGeneration*>;

/// What the folder holds before anything is believed: whole files, oldest first.
struct Candidates {
  std::vector<FoundGeneration> ours;
  size_t foreign = 0;
};

void report(const std::string& name, std::string_view why) {
  log_warning("keys/" + name + " counts as absent: " + std::string(why));
}

/// The generation in the file, if its bytes are what its name says.
Result<FoundGeneration> read_generation(Storage& storage, const std::string& name,
                                        const FileHash& hash) {
  const Bytes bytes =
      VARVE_TRY(read_whole(storage, std::string(kKeysDirectory) + "/" + name, kGenerationBytesMax));
  if (sha256(bytes) != hash) return Error(Errc::kCorrupt, "its bytes do not fit its name");
  return FoundGeneration{hash, VARVE_TRY(decode_generation(bytes))};
}

Result<Candidates> read_candidates(Storage& storage, const StoreConfig& config) {
  Result<std::vector<StorageEntry>> entries = storage.list(kKeysDirectory);
  if (!entries.ok() && entries.error().code() != Errc::kNotFound) return entries.error();
  Candidates found;
  if (!entries.ok()) return found;
  size_t files = 0;
  for (const StorageEntry& entry : *entries) {
    const auto hash = FileHash::from_hex(entry.name);
    if (entry.is_directory || !hash || hash->hex() != entry.name) continue;
    if (++files > kGenerationFilesMax) return Error(Errc::kCorrupt, "keys/ holds too many files");
    Result<FoundGeneration> read = read_generation(storage, entry.name, *hash);
    if (!read.ok()) {
      const Errc code = read.error().code();
      if (code != Errc::kCorrupt && code != Errc::kTooLarge && code != Errc::kNotFound) {
        return std::move(read).error();
      }
      report(entry.name, read.error().message());
    } else if (read->generation.store != config.store_id) {
      report(entry.name, "it is of another store");
      found.foreign++;
    } else {
      found.ours.push_back(std::move(read).value());
    }
  }
  std::sort(found.ours.begin(), found.ours.end(), [](const auto& a, const auto& b) {
    return std::tie(a.generation.number, a.hash) < std::tie(b.generation.number, b.hash);
  });
  return found;
}

bool signature_holds(const AccessGeneration& generation, const EpochEntry& signer) {
  return generation.signer == signer.id &&
         verify_signature(signer.public_key, encode_generation_unsigned(generation),
                          generation.signature);
}

/// Whoever has opened the store once has the first epoch's key, and a carrier never.
bool anchor_holds(const AccessGeneration& generation, const StoreConfig& config) {
  return verify_signature(config.first_public_key, encode_generation_unanchored(generation),
                          generation.anchor);
}

bool epochs_differ(const AccessGeneration& generation) {
  std::set<EpochId> ids;
  for (const EpochEntry& epoch : generation.epochs) ids.insert(epoch.id);
  return ids.size() == generation.epochs.size();
}

bool has_epochs_of(const AccessGeneration& child, const AccessGeneration& parent) {
  return std::all_of(parent.epochs.begin(), parent.epochs.end(), [&](const EpochEntry& epoch) {
    return std::find(child.epochs.begin(), child.epochs.end(), epoch) != child.epochs.end();
  });
}

/// Signed by a parent that is here; or, where superseded parents have been removed, by one of its
/// own epochs. The anchor says in either case that a holder of the store's first epoch made it.
bool child_is_valid(const AccessGeneration& child, const Valid& valid) {
  bool parent_here = false, signed_by_parent = false;
  for (const FileHash& hash : child.parents) {
    const auto found = valid.find(hash);
    if (found == valid.end()) continue;
    const AccessGeneration& parent = *found->second;
    parent_here = true;
    if (parent.number >= child.number || !has_epochs_of(child, parent)) return false;
    signed_by_parent = signed_by_parent || signature_holds(child, parent.current());
  }
  if (parent_here) return signed_by_parent;
  return std::any_of(child.epochs.begin(), child.epochs.end(),
                     [&](const EpochEntry& epoch) { return signature_holds(child, epoch); });
}

bool is_valid(const AccessGeneration& generation, const StoreConfig& config, const Valid& valid) {
  const EpochEntry first{config.first_epoch, config.first_public_key};
  if (generation.epochs.front() != first || !epochs_differ(generation)) return false;
  if ((generation.number == 1) != generation.parents.empty()) return false;
  if (!generation.parents.empty()) {
    return anchor_holds(generation, config) && child_is_valid(generation, valid);
  }
  return generation.epochs.size() == 1 && signature_holds(generation, first);
}

/// Whose generations are to be believed, and what they name as parents.
struct Judged {
  Candidates found;
  Valid valid;  // points into found
  std::set<FileHash> superseded;
};

Result<Judged> judge_generations(Storage& storage, const StoreConfig& config) {
  Judged judged;
  judged.found = VARVE_TRY(read_candidates(storage, config));
  // Oldest first: a parent has a smaller number than its children, so it is judged before them.
  for (const FoundGeneration& candidate : judged.found.ours) {
    if (is_valid(candidate.generation, config, judged.valid)) {
      judged.valid.emplace(candidate.hash, &candidate.generation);
      judged.superseded.insert(candidate.generation.parents.begin(),
                               candidate.generation.parents.end());
    } else {
      report(candidate.hash.hex(), "it is not signed by who may sign it");
    }
  }
  return judged;
}

}  // namespace

Result<std::vector<FileHash>> read_superseded_generations(Storage& storage,
                                                          const StoreConfig& config) {
  const Judged judged = VARVE_TRY(judge_generations(storage, config));
  std::map<FileHash, uint64_t> numbers;  // of one that is not here: what it is at most
  for (const auto& [hash, generation] : judged.valid) {
    for (const FileHash& parent : generation->parents) {
      const auto here = judged.valid.find(parent);
      const uint64_t most =
          here == judged.valid.end() ? generation->number - 1 : here->second->number;
      const auto [at, is_new] = numbers.emplace(parent, most);
      if (!is_new) at->second = std::min(at->second, most);
    }
  }
  std::vector<std::pair<uint64_t, FileHash>> oldest_first;
  for (const auto& [hash, number] : numbers) oldest_first.emplace_back(number, hash);
  std::sort(oldest_first.begin(), oldest_first.end());
  std::vector<FileHash> superseded;
  for (const auto& [number, hash] : oldest_first) superseded.push_back(hash);
  return superseded;
}

Result<std::vector<FoundGeneration>> read_generations_in_force(Storage& storage,
                                                               const StoreConfig& config) {
  Judged judged = VARVE_TRY(judge_generations(storage, config));
  Candidates& found = judged.found;
  std::vector<FoundGeneration> in_force;
  for (auto candidate = found.ours.rbegin(); candidate != found.ours.rend(); candidate++) {
    if (judged.valid.contains(candidate->hash) && !judged.superseded.contains(candidate->hash)) {
      in_force.push_back(std::move(*candidate));
    }
  }
  if (!in_force.empty()) return in_force;
  if (found.foreign + found.ours.size() > 0) {
    return Error(Errc::kForeign, "store.json and keys/ are of different stores");
  }
  return Error(Errc::kCorrupt, "keys/ holds no whole generation of access");
}

}  // namespace varve
