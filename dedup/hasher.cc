#include "dedup/hasher.h"

#include <openssl/evp.h>

#include "dedup/crypto_check.h"
#include "dedup/hmac_lanes.h"

namespace varve {
namespace {

struct DigestContextFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using DigestContext = std::unique_ptr<EVP_MD_CTX, DigestContextFree>;

constexpr size_t kBlockBytes = 64;  // SHA-256's

DigestContext new_context() {
  DigestContext context(EVP_MD_CTX_new());
  require_crypto(context != nullptr, "SHA-256");
  return context;
}

void update(EVP_MD_CTX* context, ByteView bytes) {
  require_crypto(EVP_DigestUpdate(context, bytes.data(), bytes.size()) == 1, "SHA-256");
}

/// HMAC under one key with the two keyed blocks hashed beforehand: a small message costs two blocks
/// less, and no lookup.
class Hmac {
 public:
  explicit Hmac(const Secret& key) : inner_(keyed(key, 0x36)), outer_(keyed(key, 0x5c)) {}

  /// The code of `prefix` followed by `message`. Any thread: the keyed states are only copied from.
  ChunkId code(ByteView prefix, ByteView message) const {
    const DigestContext context = new_context();
    ChunkId out;
    copy(context.get(), inner_.get());
    if (!prefix.empty()) update(context.get(), prefix);
    if (!message.empty()) update(context.get(), message);
    finish(context.get(), out);
    copy(context.get(), outer_.get());
    update(context.get(), out.view());
    finish(context.get(), out);
    return out;
  }

 private:
  static DigestContext keyed(const Secret& key, uint8_t pad) {
    require_crypto(key.size() <= kBlockBytes, "HMAC key longer than a block");
    Secret block(kBlockBytes);
    std::copy(key.view().begin(), key.view().end(), block.span().begin());
    for (uint8_t& byte : block.span()) byte ^= pad;
    DigestContext context = new_context();
    // SHA-256 by an explicit lookup: the implicit one would be made again for each message.
    EVP_MD* sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    require_crypto(sha256 != nullptr && EVP_DigestInit_ex2(context.get(), sha256, nullptr) == 1,
                   "SHA-256");
    EVP_MD_free(sha256);  // the context keeps its own reference
    update(context.get(), block.view());
    return context;
  }
  static void copy(EVP_MD_CTX* to, const EVP_MD_CTX* from) {
    require_crypto(EVP_MD_CTX_copy_ex(to, from) == 1, "SHA-256");
  }
  static void finish(EVP_MD_CTX* context, ChunkId& out) {
    unsigned length = 0;
    require_crypto(
        EVP_DigestFinal_ex(context, out.bytes.data(), &length) == 1 && length == ChunkId::kSize,
        "SHA-256");
  }

  DigestContext inner_, outer_;
};

}  // namespace

struct Hasher::State {
  explicit State(const Secret& chunk_key, const Secret& object_key)
      : chunks(chunk_key),
        objects(object_key),
        many(HmacLanes::make(chunk_key,
                             [this](ByteView chunk) { return chunks.code({}, chunk); })) {}

  const Hmac chunks, objects;
  const std::unique_ptr<HmacLanes> many;  // of chunks; nullptr where there is no such thing
};

Hasher::Hasher(const Keyring& keyring)
    : state_(std::make_unique<State>(keyring.dedup_key("varve/1 chunk id"),
                                     keyring.dedup_key("varve/1 object id"))) {}
Hasher::~Hasher() = default;

ChunkId Hasher::chunk_id(ByteView chunk) const {
  return state_->chunks.code({}, chunk);
}

ChunkId Hasher::object_id(SegmentType type, ByteView canonical) const {
  const uint8_t prefix = static_cast<uint8_t>(type);
  return state_->objects.code({&prefix, 1}, canonical);
}

Result<ChunkId> Hasher::item_id(SegmentType type, ByteView item) const {
  if (type == SegmentType::kChunks) return chunk_id(item);
  Decoder in(item);
  const ByteView canonical = in.raw(in.u32());
  if (in.failed()) return Error(Errc::kCorrupt, "an object is shorter than it says");
  return object_id(type, canonical);
}

Result<void> Hasher::item_ids(SegmentType type, std::span<const ByteView> items,
                              std::span<ChunkId> ids) const {
  const bool side_by_side = type == SegmentType::kChunks && state_->many;
  std::vector<HmacLanes::Job> jobs;
  for (size_t i = 0; i < items.size(); i++) {
    if (side_by_side && items[i].size() <= HmacLanes::kMessageBytesMax) {
      jobs.push_back({items[i], &ids[i]});
    } else {
      ids[i] = VARVE_TRY(item_id(type, items[i]));
    }
  }
  if (jobs.size() >= HmacLanes::kMessagesMin) {
    state_->many->run(jobs);
  } else {
    for (const HmacLanes::Job& job : jobs) *job.code = chunk_id(job.message);
  }
  return {};
}

}  // namespace varve
