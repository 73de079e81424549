// Calls and files. One thread speaks with the helper; whoever calls waits for the answer, no longer
// than the limits say, and leaves the call behind where that is over.
#include "dedup/fetched_storage.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "dedup/base/log.h"
#include "dedup/fetch_protocol.h"

namespace varve {

namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kCallsMax = 4096;
constexpr size_t kKeptBytesMax = size_t{32} << 20;
constexpr size_t kReceivedAtOnce = size_t{256} << 10;
constexpr milliseconds kRestartEvery{1'000};

struct Call {
  uint64_t number = 0;
  FetchKind kind = FetchKind::kOpen;
  Bytes request;
  std::optional<Result<Bytes>> answer;
  size_t waiters = 0;
};
using CallRef = std::shared_ptr<Call>;

/// The calls under way, and the thread that speaks for them.
class FetchTalk {
 public:
  FetchTalk(StartHelper start, const FetchLimits& limits)
      : start_(std::move(start)), limits_(limits) {}
  ~FetchTalk() {
    stop();
    if (speaker_.joinable()) speaker_.join();
  }

  Result<void> begin() {
    wake_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake_.valid()) return error_from_errno(errno, "eventfd");
    socket_ = VARVE_TRY(start_());
    speaker_ = std::thread([this] { speak(); });
    return {};
  }

  void stop() {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    wake();
  }

  Result<Bytes> ask(const FetchRequest& request, milliseconds call_limit) {
    return std::move(ask_all({request}, call_limit).front());
  }
  Result<Bytes> ask(const FetchRequest& request) { return ask(request, limits_.call); }
  std::vector<Result<Bytes>> ask_all(const std::vector<FetchRequest>& requests) {
    return ask_all(requests, limits_.call);
  }

  const FetchLimits& limits() const { return limits_; }
  bool is_silent() {
    std::lock_guard lock(mutex_);
    return !by_number_.empty() && SteadyClock::now() - heard_at_ >= limits_.patience_in_silence;
  }

 private:
  std::vector<Result<Bytes>> ask_all(const std::vector<FetchRequest>& requests,
                                     milliseconds call_limit) {
    std::unique_lock lock(mutex_);
    std::vector<CallRef> calls;
    for (const FetchRequest& request : requests) {
      calls.push_back(call_for(request));
      if (calls.back()) calls.back()->waiters++;
    }
    wake();
    std::vector<Result<Bytes>> answers;
    const SteadyClock::time_point begun = SteadyClock::now();
    for (size_t i = 0; i < calls.size(); i++) {
      if (!calls[i]) {
        answers.emplace_back(Error(Errc::kIo, "too many requests wait for the store's place"));
        continue;
      }
      answers.push_back(await(*calls[i], begun, call_limit, lock));
      calls[i]->waiters--;
      if (calls[i]->answer && calls[i]->waiters == 0) drop(*calls[i]);
    }
    return answers;
  }

  Result<Bytes> await(const Call& call, SteadyClock::time_point begun, milliseconds call_limit,
                      std::unique_lock<std::mutex>& lock) {
    while (!call.answer) {
      if (stopped_) return Error(Errc::kIo, "the mount is ending");
      const SteadyClock::time_point patience =
          std::max(heard_at_ + limits_.silence, begun + limits_.patience_in_silence);
      const SteadyClock::time_point end = std::min(patience, begun + call_limit);
      if (SteadyClock::now() >= end)
        return Error(Errc::kIo, "the place where the store lies does not answer");
      changed_.wait_until(lock, end);
    }
    return *call.answer;
  }

  // Under mutex_:

  /// The call of that request, begun unless it is under way or answered; nullptr if there are too
  /// many.
  CallRef call_for(const FetchRequest& request) {
    Bytes bytes = encode_fetch_request(request);
    const auto known = by_request_.find(bytes);
    if (known != by_request_.end()) return known->second;
    if (by_number_.size() >= kCallsMax) return nullptr;
    if (by_number_.empty()) heard_at_ = SteadyClock::now();
    auto call = std::make_shared<Call>();
    call->number = next_number_++;
    call->kind = request.kind;
    call->request = std::move(bytes);
    const Bytes frame = encode_fetch_frame(call->number, call->request);
    outbox_.insert(outbox_.end(), frame.begin(), frame.end());
    by_number_.emplace(call->number, call);
    by_request_.emplace(call->request, call);
    return call;
  }

  void drop(const Call& call) {
    if (call.answer && call.answer->ok()) {
      const auto kept = std::find_if(kept_.begin(), kept_.end(),
                                     [&](const CallRef& one) { return one.get() == &call; });
      if (kept != kept_.end()) {
        kept_bytes_ -= (*kept)->answer->value().size();
        const CallRef last = *kept;
        kept_.erase(kept);
        by_request_.erase(last->request);
        return;
      }
    }
    const auto found = by_request_.find(call.request);
    if (found != by_request_.end() && found->second.get() == &call) by_request_.erase(found);
  }

  /// What nobody waits for any more is kept for who asks again, if it stays true.
  void settle(const CallRef& call, Result<Bytes> answer) {
    call->answer = std::move(answer);
    by_number_.erase(call->number);
    if (call->waiters > 0) return;
    const bool stays = call->kind == FetchKind::kOpen || call->kind == FetchKind::kRead;
    if (!stays || !call->answer->ok()) {
      by_request_.erase(call->request);
      return;
    }
    kept_.push_back(call);
    kept_bytes_ += call->answer->value().size();
    while (kept_bytes_ > kKeptBytesMax) {
      const CallRef oldest = kept_.front();
      kept_.pop_front();
      kept_bytes_ -= oldest->answer->value().size();
      if (oldest->waiters == 0) by_request_.erase(oldest->request);
    }
  }

  // The speaker's own thread.

  void wake() {
    const uint64_t one = 1;
    // A counter that is full wakes as well.
    if (::write(wake_.get(), &one, sizeof one) < 0) return;
  }

  void speak() {
    Bytes piece(kReceivedAtOnce);
    for (;;) {
      pollfd ends[2] = {{wake_.get(), POLLIN, 0}, {socket_.get(), POLLIN, 0}};
      {
        std::lock_guard lock(mutex_);
        if (stopped_) return;
        if (!outbox_.empty()) ends[1].events |= POLLOUT;
      }
      const bool is_connected = socket_.valid();
      const int wait_ms = is_connected ? -1 : static_cast<int>(kRestartEvery.count());
      (void)::poll(ends, is_connected ? 2 : 1, wait_ms);
      uint64_t count = 0;
      if ((ends[0].revents & POLLIN) != 0 && ::read(wake_.get(), &count, sizeof count) < 0)
        continue;
      if (!is_connected) {
        restart();
        continue;
      }
      bool alive = true;
      if ((ends[1].revents & POLLOUT) != 0) alive = send_some();
      if (alive && (ends[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) alive = receive(piece);
      if (!alive) lost();
    }
  }

  bool send_some() {
    std::lock_guard lock(mutex_);
    const ssize_t sent =
        ::send(socket_.get(), outbox_.data(), outbox_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    outbox_.erase(outbox_.begin(), outbox_.begin() + sent);
    return true;
  }

  bool receive(Bytes& piece) {
    const ssize_t got = ::recv(socket_.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    frames_.add(ByteView(piece).first(static_cast<size_t>(got)));
    {
      std::lock_guard lock(mutex_);
      heard_at_ = SteadyClock::now();
    }
    for (;;) {
      Result<std::optional<FetchFrames::Frame>> frame = frames_.next();
      if (!frame.ok()) return false;
      if (!*frame) break;
      std::lock_guard lock(mutex_);
      const auto call = by_number_.find((*frame)->number);
      if (call == by_number_.end()) return false;
      settle(CallRef(call->second), decode_fetch_answer((*frame)->message));
    }
    changed_.notify_all();
    return true;
  }

  /// What was under way is over; what is asked from now on waits for the next helper.
  void lost() {
    socket_.reset();
    frames_ = FetchFrames();
    {
      std::lock_guard lock(mutex_);
      outbox_.clear();
      const std::map<uint64_t, CallRef> under_way = by_number_;
      for (const auto& [number, call] : under_way) {
        settle(call, Error(Errc::kIo, "the process that reads the store's place has ended"));
      }
    }
    changed_.notify_all();
    log_warning("the process that reads the store's place has ended; it is started again");
    restart();
  }

  void restart() {
    const SteadyClock::time_point now = SteadyClock::now();
    if (now < restarted_at_ + kRestartEvery) return;
    restarted_at_ = now;
    Result<UniqueFd> started = start_();
    if (started.ok()) {
      socket_ = std::move(started).value();
    } else {
      log_warning(started.error().message());
    }
  }

  const StartHelper start_;
  const FetchLimits limits_;
  UniqueFd wake_, socket_;                     // the socket is the speaker's
  FetchFrames frames_;                         // the speaker's
  SteadyClock::time_point restarted_at_ = {};  // the speaker's

  std::mutex mutex_;  // of all that follows
  std::condition_variable changed_;
  uint64_t next_number_ = 1;
  std::map<uint64_t, CallRef> by_number_;  // under way
  std::map<Bytes, CallRef> by_request_;    // those, and answered ones that somebody may take
  std::deque<CallRef> kept_;               // answered, and nobody waited
  size_t kept_bytes_ = 0;
  Bytes outbox_;
  SteadyClock::time_point heard_at_ = SteadyClock::now();
  bool stopped_ = false;
  std::thread speaker_;
};

Error only_read(const std::string& path) {
  return {Errc::kReadOnly, path + ": this store is only read here"};
}

class FetchedFile final : public StorageFile {
 public:
  FetchedFile(FetchTalk& talk, std::string path, OpenedFile opened)
      : talk_(talk), path_(std::move(path)), opened_(std::move(opened)) {}

  Result<size_t> read_at(uint64_t offset, ByteSpan out) override {
    const uint64_t end = std::min<uint64_t>(opened_.length, offset + out.size());
    if (offset >= end) return size_t{0};
    const size_t count = static_cast<size_t>(end - offset);
    if (opened_.whole) {
      std::copy_n(opened_.whole->begin() + static_cast<ptrdiff_t>(offset), count, out.begin());
      return count;
    }
    // All pieces are asked for at once: each takes the line's time.
    std::vector<FetchRequest> pieces;
    for (uint64_t at = offset; at < end; at += kFetchReadBytesMax) {
      const auto length = static_cast<uint32_t>(std::min<uint64_t>(kFetchReadBytesMax, end - at));
      pieces.push_back({FetchKind::kRead, path_, at, length});
    }
    size_t done = 0;
    for (Result<Bytes>& piece : talk_.ask_all(pieces)) {
      const Bytes bytes = VARVE_TRY(std::move(piece));
      if (bytes.size() > count - done)
        return Error(Errc::kCorrupt, path_ + ": more came than was asked for");
      std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<ptrdiff_t>(done));
      done += bytes.size();
      if (bytes.size() < kFetchReadBytesMax) break;  // the last one, or the file is shorter now
    }
    return done;
  }
  Result<uint64_t> length() override { return opened_.length; }
  Result<void> write_at(uint64_t, ByteView) override { return only_read(path_); }
  Result<void> sync() override { return only_read(path_); }
  Result<void> truncate(uint64_t) override { return only_read(path_); }
  Result<void> reserve(uint64_t) override { return only_read(path_); }

 private:
  FetchTalk& talk_;
  const std::string path_;
  const OpenedFile opened_;
};

class HelpedStorage final : public FetchedStorage {
 public:
  HelpedStorage(StartHelper start, const FetchLimits& limits) : talk_(std::move(start), limits) {}

  Result<void> begin() { return talk_.begin(); }
  void stop() override { talk_.stop(); }
  bool is_silent() override { return talk_.is_silent(); }
  Result<std::unique_ptr<StorageFile>> open_read(const std::string& path) override {
    const Bytes answer = VARVE_TRY(talk_.ask({FetchKind::kOpen, path}));
    return std::unique_ptr<StorageFile>(
        std::make_unique<FetchedFile>(talk_, path, VARVE_TRY(decode_opened(answer))));
  }
  Result<std::vector<StorageEntry>> list(const std::string& path) override {
    return decode_entries(VARVE_TRY(talk_.ask({FetchKind::kList, path})));
  }
  Result<bool> exists(const std::string& path) override {
    const Bytes answer = VARVE_TRY(talk_.ask({FetchKind::kExists, path}));
    return !answer.empty() && answer[0] != 0;
  }
  /// Asked by whoever looks at the mount: what was known last does where the answer takes long.
  Result<StorageSpace> space() override {
    const Result<Bytes> answer =
        talk_.ask({FetchKind::kSpace, ""}, talk_.limits().patience_in_silence);
    std::lock_guard lock(space_mutex_);
    if (!answer.ok() && known_space_) return *known_space_;
    known_space_ = VARVE_TRY(decode_space(VARVE_TRY(Result<Bytes>(answer))));
    return *known_space_;
  }

  Result<std::unique_ptr<StorageFile>> open_write(const std::string& path) override {
    return only_read(path);
  }
  Result<std::unique_ptr<StorageFile>> create(const std::string& path) override {
    return only_read(path);
  }
  Result<void> rename(const std::string& from, const std::string&) override {
    return only_read(from);
  }
  Result<void> unlink(const std::string& path) override { return only_read(path); }
  Result<void> make_directories(const std::string& path) override { return only_read(path); }
  Result<void> sync_dir(const std::string& path) override { return only_read(path); }

 private:
  FetchTalk talk_;
  std::mutex space_mutex_;
  std::optional<StorageSpace> known_space_;
};

}  // namespace

FetchLimits fetch_limits() {
  FetchLimits limits;
  std::ifstream file("/proc/sys/fs/fuse/default_request_timeout");
  int64_t seconds = 0;
  if (!(file >> seconds) || seconds <= 0) return limits;
  // A request of the kernel's may need several of ours.
  const milliseconds bound(std::max<int64_t>(1, seconds * 1000 / 4));
  limits.silence = std::min(limits.silence, bound);
  limits.patience_in_silence = std::min(limits.patience_in_silence, bound);
  limits.call = std::min(limits.call, bound);
  return limits;
}

Result<std::unique_ptr<FetchedStorage>> open_fetched_storage(StartHelper start,
                                                             const FetchLimits& limits) {
  auto storage = std::make_unique<HelpedStorage>(std::move(start), limits);
  VARVE_TRY(storage->begin());
  return std::unique_ptr<FetchedStorage>(std::move(storage));
}

}  // namespace varve
