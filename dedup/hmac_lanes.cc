#include "dedup/hmac_lanes.h"

#include "dedup/base/log.h"

#if VARVE_HAS_IPSEC_MB
#include <intel-ipsec-mb.h>

#include <algorithm>
#include <numeric>

#include "dedup/base/idle_pool.h"
#include "dedup/crypto_check.h"

namespace varve {
namespace {

constexpr size_t kBlockBytes = 64;          // SHA-256's
constexpr size_t kMessagesAtOnceMax = 128;  // a burst of the library's takes no more

/// The library's lanes. What is in them was derived from a key, so they lie where keys lie. One
/// thread at a time.
class Lanes {
 public:
  Lanes() : memory_(imb_get_mb_mgr_size()) {
    lanes_ = imb_set_pointers_mb_mgr(memory_.span().data(), 0, 1);
    IMB_ARCH arch = IMB_ARCH_NONE;
    if (lanes_ != nullptr) init_mb_mgr_auto(lanes_, &arch);
    // Below AVX2 a lane is no faster than what OpenSSL does one by one.
    is_fit_ = lanes_ != nullptr && imb_get_errno(lanes_) == 0 && arch >= IMB_ARCH_AVX2;
  }
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  bool is_fit() const { return is_fit_; }
  IMB_MGR* get() const { return lanes_; }

 private:
  Secret memory_;
  IMB_MGR* lanes_ = nullptr;
  bool is_fit_ = false;
};

/// SHA-256's state after the block of the key and `pad`.
Secret keyed(const Lanes& lanes, const Secret& key, uint8_t pad) {
  Secret block(kBlockBytes), state(ChunkId::kSize);
  std::ranges::copy(key.view(), block.span().begin());
  for (uint8_t& byte : block.span()) byte ^= pad;
  IMB_SHA256_ONE_BLOCK(lanes.get(), block.view().data(), state.span().data());
  return state;
}

}  // namespace

struct HmacLanes::State {
  State(const Lanes& lanes, const Secret& key)
      : inner(keyed(lanes, key, 0x36)), outer(keyed(lanes, key, 0x5c)) {}

  void burst(const Lanes& lanes, std::span<const Job> jobs) const;

  const Secret inner, outer;
  IdlePool<Lanes> idle;
};

void HmacLanes::State::burst(const Lanes& lanes, std::span<const Job> jobs) const {
  // The long ones first: a lane that is done takes the next, and so all are done at about one time.
  std::array<uint8_t, kMessagesAtOnceMax> order;
  const auto used = std::span(order).first(jobs.size());
  std::iota(used.begin(), used.end(), uint8_t{0});
  std::ranges::sort(used, std::greater(), [&](uint8_t at) { return jobs[at].message.size(); });
  std::array<IMB_JOB, kMessagesAtOnceMax> burst;
  for (size_t i = 0; i < used.size(); i++) {
    const Job& asked = jobs[used[i]];
    IMB_JOB& job = burst[i] = {};
    job.src = asked.message.data();
    job.msg_len_to_hash_in_bytes = asked.message.size();
    job.auth_tag_output = asked.code->bytes.data();
    job.auth_tag_output_len_in_bytes = ChunkId::kSize;
    job.u.HMAC._hashed_auth_key_xor_ipad = inner.view().data();
    job.u.HMAC._hashed_auth_key_xor_opad = outer.view().data();
  }
  const uint32_t done = IMB_SUBMIT_HASH_BURST(
      lanes.get(), burst.data(), static_cast<uint32_t>(used.size()), IMB_AUTH_HMAC_SHA_256);
  require_crypto(done == used.size(), "HMAC-SHA-256 of many messages");
}

namespace {

/// Asked of messages that end at different places of a block.
bool agrees(const HmacLanes& lanes, const std::function<ChunkId(ByteView)>& one_by_one) {
  constexpr size_t kMessages = 2 * HmacLanes::kMessagesMin + 1;
  const Bytes data(kMessages * 61, 0x5a);
  std::vector<ChunkId> codes(kMessages);
  std::vector<HmacLanes::Job> jobs;
  for (size_t i = 0; i < kMessages; i++)
    jobs.push_back({ByteView(data).first(1 + i * 61), &codes[i]});
  lanes.run(jobs);
  return std::ranges::all_of(
      jobs, [&](const HmacLanes::Job& job) { return *job.code == one_by_one(job.message); });
}

}  // namespace

std::unique_ptr<HmacLanes> HmacLanes::make(const Secret& key,
                                           const std::function<ChunkId(ByteView)>& one_by_one) {
  require_crypto(key.size() <= kBlockBytes, "HMAC key longer than a block");
  const Lanes lanes;
  if (!lanes.is_fit()) return nullptr;
  std::unique_ptr<HmacLanes> made(new HmacLanes(std::make_unique<State>(lanes, key)));
  if (agrees(*made, one_by_one)) return made;
  log_error("the multi-buffer library gives wrong hashes on this processor: it is not used");
  return nullptr;
}

HmacLanes::HmacLanes(std::unique_ptr<State> state) : state_(std::move(state)) {}
HmacLanes::~HmacLanes() = default;

void HmacLanes::run(std::span<const Job> jobs) const {
  const auto lanes = state_->idle.lease([] { return std::make_unique<Lanes>(); });
  for (; !jobs.empty(); jobs = jobs.subspan(std::min(kMessagesAtOnceMax, jobs.size())))
    state_->burst(*lanes, jobs.first(std::min(kMessagesAtOnceMax, jobs.size())));
}

}  // namespace varve

#else  // no such library

namespace varve {

struct HmacLanes::State {};
std::unique_ptr<HmacLanes> HmacLanes::make(const Secret&, const std::function<ChunkId(ByteView)>&) {
  return nullptr;
}
HmacLanes::HmacLanes(std::unique_ptr<State> state) : state_(std::move(state)) {}
HmacLanes::~HmacLanes() = default;
void HmacLanes::run(std::span<const Job>) const {}

}  // namespace varve

#endif
