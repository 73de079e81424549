#include "dedup/history_format.h"

#include "dedup/base/limits.h"
#include "dedup/history_format_fields.h"

namespace varve {

namespace {

constexpr std::string_view kHistoryMagic = "VRVHIST\n";
constexpr size_t kHeadBytes = 152;  // magic to sealed length
constexpr size_t kFreshBytes = 32;
constexpr std::string_view kKeyInfo = "varve/1 history";

static_assert(8 + 2 + 1 + 5 + 3 * 16 + 8 + 32 + 8 + kFreshBytes + 4 + 4 == kHeadBytes);

Error no_envelope(std::string message) {
  return {Errc::kCorrupt, std::move(message)};
}

struct Head {
  Envelope envelope;
  ByteView fresh;
  uint32_t readable_length = 0, sealed_length = 0;
};

Result<Head> decode_head(Decoder& in, const StoreId& store) {
  Head head;
  if (as_text(in.raw(kHistoryMagic.size())) != kHistoryMagic)
    return no_envelope("is no list, snapshot or record");
  const uint16_t format = in.u16();
  if (!in.failed() && format > kFormatVersion) {
    return Error(Errc::kUnsupported,
                 "has format version " + std::to_string(format) + ", newer than this program's");
  }
  const uint8_t kind = in.u8();
  if (format != kFormatVersion || kind < 1 || kind > 3) in.fail();
  in.zeros(5);
  Envelope& envelope = head.envelope;
  envelope.kind = static_cast<HistoryKind>(kind);
  envelope.store = in.id<StoreId>();
  envelope.writer = in.id<WriterId>();
  envelope.epoch = in.id<EpochId>();
  envelope.sequence = decode_sequence(in);
  envelope.previous = in.id<FileHash>();
  envelope.time = in.i64();
  head.fresh = in.raw(kFreshBytes);
  head.readable_length = in.u32();
  head.sealed_length = in.u32();
  envelope.sealed = head.sealed_length != 0;
  if (in.failed()) return no_envelope("has a damaged head");
  if (envelope.store != store) return Error(Errc::kForeign, "belongs to another store");
  return head;
}

Result<PublicKey> find_key(const EpochId& epoch,
                           const std::vector<std::pair<EpochId, PublicKey>>& keys,
                           const Keyring* keyring) {
  if (keyring != nullptr) {
    if (const Keyring::Epoch* found = keyring->find(epoch)) return found->public_key;
  }
  for (const auto& [id, key] : keys) {
    if (id == epoch) return key;
  }
  return Error(Errc::kAuthentication, "is signed under the unknown epoch " + epoch.hex());
}

}  // namespace

uint64_t decode_sequence(Decoder& in) {
  const uint64_t sequence = in.u64();
  if (sequence > kSequenceMax) in.fail();
  return sequence;
}

Bytes encode_envelope(const Envelope& envelope, const Keyring& keyring, Random& random) {
  Bytes fresh(kFreshBytes);
  random.fill(fresh);
  Encoder out;
  out.raw(as_bytes(kHistoryMagic)).u16(kFormatVersion).u8(static_cast<uint8_t>(envelope.kind));
  out.zeros(5).id(keyring.store_id()).id(envelope.writer).id(keyring.current().id);
  out.u64(envelope.sequence).id(envelope.previous).i64(envelope.time).raw(fresh);
  out.u32(static_cast<uint32_t>(envelope.readable.size()));
  out.u32(envelope.sealed ? static_cast<uint32_t>(envelope.sealed_plain.size() + kTagBytes) : 0);
  out.raw(envelope.readable);
  if (envelope.sealed) {
    const Secret key = keyring.epoch_key(keyring.current().id, fresh, as_bytes(kKeyInfo)).value();
    out.raw(seal_once(key, out.view(), envelope.sealed_plain));
  }
  const Signature signature = keyring.sign(out.view());
  return out.raw(signature).take();
}

Result<Envelope> decode_envelope(ByteView file, const StoreId& store,
                                 const std::vector<std::pair<EpochId, PublicKey>>& keys,
                                 const Keyring* keyring) {
  Decoder in(file);
  Head head = VARVE_TRY(decode_head(in, store));
  Envelope& envelope = head.envelope;
  const ByteView readable = in.raw(head.readable_length);
  const ByteView sealed = in.raw(head.sealed_length);
  const ByteView signature = in.raw(kSignatureBytes);
  VARVE_TRY(in.finish("a list, snapshot or record"));

  const PublicKey key = VARVE_TRY(find_key(envelope.epoch, keys, keyring));
  if (!verify_signature(key, file.first(file.size() - kSignatureBytes), signature)) {
    return Error(Errc::kAuthentication, "has a signature that does not hold");
  }
  envelope.readable.assign(readable.begin(), readable.end());
  if (keyring != nullptr && envelope.sealed) {
    const Secret opener =
        VARVE_TRY(keyring->epoch_key(envelope.epoch, head.fresh, as_bytes(kKeyInfo)));
    envelope.sealed_plain =
        VARVE_TRY(open_once(opener, file.first(kHeadBytes + readable.size()), sealed));
  }
  return std::move(envelope);
}

// Snapshots: what is readable.

Bytes encode_snapshot_header(const SnapshotHeader& header) {
  Encoder out;
  out.id(header.set).u8(static_cast<uint8_t>(header.snapshot_class)).zeros(7);
  return out.id(header.list).take();
}

SnapshotHeader decode_snapshot_header_fields(Decoder& in) {
  SnapshotHeader header;
  header.set = in.id<SetId>();
  const uint8_t snapshot_class = in.u8();
  if (snapshot_class < 1 || snapshot_class > 3) in.fail();
  header.snapshot_class = static_cast<SnapshotClass>(snapshot_class);
  in.zeros(7);
  header.list = in.id<FileHash>();
  if (header.snapshot_class != SnapshotClass::kSet && !header.set.is_zero()) in.fail();
  return header;
}

Result<SnapshotHeader> decode_snapshot_header(ByteView bytes) {
  Decoder in(bytes);
  SnapshotHeader header = decode_snapshot_header_fields(in);
  VARVE_TRY(in.finish("a snapshot's header"));
  return header;
}

}  // namespace varve
