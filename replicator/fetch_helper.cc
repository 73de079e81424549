#include "replicator/fetch_helper.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>

#include "dedup/base/executor.h"
#include "dedup/base/id.h"
#include "dedup/base/posix_storage.h"
#include "dedup/fetch_protocol.h"
#include "dedup/lru.h"

namespace varve {
namespace {

constexpr size_t kWaitingMax = 8192;
constexpr size_t kOpenFilesMax = 128;
constexpr size_t kReceivedAtOnce = size_t{64} << 10;

}  // namespace

struct FetchHelper::State {
  State(int socket_in, OpenPlace open_in) : socket(socket_in), open(std::move(open_in)) {}

  Result<Storage*> place();
  Result<std::shared_ptr<StorageFile>> file(const std::string& path);
  Result<Bytes> answer(const FetchRequest& request);
  Result<Bytes> open_file(const std::string& path);
  Result<Bytes> read(const FetchRequest& request);
  void handle(uint64_t number, const FetchRequest& request);

  const int socket;
  const OpenPlace open;
  std::mutex send_mutex;

  std::mutex place_mutex;  // held while the place is opened: nobody can do anything before
  std::unique_ptr<Storage> storage;

  std::mutex files_mutex;  // a leaf
  LruMap<std::string, std::shared_ptr<StorageFile>, std::hash<std::string>> files{kOpenFilesMax};

  std::unique_ptr<Executor> threads;
};

Result<Storage*> FetchHelper::State::place() {
  std::lock_guard lock(place_mutex);
  if (!storage) storage = VARVE_TRY(open());
  return storage.get();
}

Result<Bytes> FetchHelper::State::open_file(const std::string& path) {
  Storage* const from = VARVE_TRY(place());
  std::shared_ptr<StorageFile> opened = VARVE_TRY(from->open_read(path));
  OpenedFile result;
  result.length = VARVE_TRY(opened->length());
  if (result.length <= kFetchWholeBytesMax) {
    Bytes whole(static_cast<size_t>(result.length));
    // A file that changes under our hands is no file of a store's; who asked finds out.
    whole.resize(VARVE_TRY(opened->read_at(0, whole)));
    result.length = whole.size();
    result.whole = std::move(whole);
    return encode_opened(result);
  }
  std::lock_guard lock(files_mutex);
  files.put(path, std::move(opened));
  return encode_opened(result);
}

/// One that was opened lately, as long as it gives what is asked for.
Result<std::shared_ptr<StorageFile>> FetchHelper::State::file(const std::string& path) {
  {
    std::lock_guard lock(files_mutex);
    if (auto* known = files.find(path)) return *known;
  }
  Storage* const from = VARVE_TRY(place());
  std::shared_ptr<StorageFile> opened = VARVE_TRY(from->open_read(path));
  std::lock_guard lock(files_mutex);
  files.put(path, opened);
  return opened;
}

Result<Bytes> FetchHelper::State::read(const FetchRequest& request) {
  const std::shared_ptr<StorageFile> from = VARVE_TRY(file(request.path));
  Bytes bytes(request.count);
  const Result<size_t> got = from->read_at(request.offset, bytes);
  if (!got.ok()) {
    // After a line that broke only a new handle reads again.
    std::lock_guard lock(files_mutex);
    files.erase(request.path);
    return got.error();
  }
  bytes.resize(*got);
  return bytes;
}

Result<Bytes> FetchHelper::State::answer(const FetchRequest& request) {
  switch (request.kind) {
    case FetchKind::kOpen:
      return open_file(request.path);
    case FetchKind::kRead:
      return read(request);
    case FetchKind::kList:
      return encode_entries(VARVE_TRY(VARVE_TRY(place())->list(request.path)));
    case FetchKind::kExists:
      return Bytes{static_cast<uint8_t>(VARVE_TRY(VARVE_TRY(place())->exists(request.path)))};
    case FetchKind::kSpace:
      return encode_space(VARVE_TRY(VARVE_TRY(place())->space()));
  }
  return Errc::kInvalid;
}

void FetchHelper::State::handle(uint64_t number, const FetchRequest& request) {
  const Result<Bytes> content = answer(request);
  const Bytes message =
      content.ok() ? encode_fetch_answer(*content) : encode_fetch_error(content.error());
  const Bytes frame = encode_fetch_frame(number, message);
  ByteView left = frame;
  std::lock_guard lock(send_mutex);
  while (!left.empty()) {
    const ssize_t sent = ::send(socket, left.data(), left.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return;  // nobody listens any more; serve() finds out
    left = left.subspan(static_cast<size_t>(sent));
  }
}

FetchHelper::FetchHelper(int socket, OpenPlace open, size_t threads)
    : state_(std::make_unique<State>(socket, std::move(open))) {
  state_->threads = make_thread_pool("varve-fetch", threads, kWaitingMax);
}

FetchHelper::~FetchHelper() {
  state_->threads.reset();
}

void FetchHelper::serve() {
  FetchFrames frames;
  Bytes piece(kReceivedAtOnce);
  for (;;) {
    const ssize_t got = ::recv(state_->socket, piece.data(), piece.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    frames.add(ByteView(piece).first(static_cast<size_t>(got)));
    for (;;) {
      const Result<std::optional<FetchFrames::Frame>> frame = frames.next();
      if (!frame.ok()) return;
      if (!*frame) break;
      Result<FetchRequest> request = decode_fetch_request((*frame)->message);
      if (!request.ok()) return;
      state_->threads->run([state = state_.get(), number = (*frame)->number,
                            asked = std::move(request).value()] { state->handle(number, asked); });
    }
  }
}

void run_fetch_helper(int socket, const std::string& directory) {
  if (::chdir("/") != 0) ::_exit(1);  // else the place could not be unmounted
  FetchHelper helper(socket, [&] { return open_posix_storage(directory); });
  helper.serve();
  ::_exit(0);
}

}  // namespace varve
