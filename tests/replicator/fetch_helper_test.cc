// Goal: what is read through a helper is what the storage has; a storage that hangs costs a bounded
// time and nothing that is known; what comes late is not read twice; a helper that ends is
// replaced.
#include "replicator/fetch_helper.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <random>
#include <thread>

#include "dedup/fetch_protocol.h"
#include "dedup/fetched_storage.h"
#include "tests/support/gated_storage.h"
#include "tests/support/simulated_storage.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

struct FetchWorld : ::testing::Test {
  SimulatedStorage disk;
  Gate gate;
  std::mutex mutex;
  std::vector<std::thread> helpers;
  std::vector<int> sockets;
  std::unique_ptr<FetchedStorage> storage;

  Result<UniqueFd> start() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return Errc::kIo;
    std::lock_guard lock(mutex);
    sockets.push_back(ends[1]);
    helpers.emplace_back([this, socket = ends[1]] {
      FetchHelper helper(
          socket,
          [this]() -> Result<std::unique_ptr<Storage>> {
            return std::unique_ptr<Storage>(std::make_unique<GatedStorage>(disk, gate));
          },
          4);
      helper.serve();
    });
    return UniqueFd(ends[0]);
  }
  void open(const FetchLimits& limits) {
    auto opened = open_fetched_storage([this] { return start(); }, limits);
    ASSERT_TRUE(opened.ok());
    storage = std::move(opened).value();
  }
  /// A test that measures no time must not fail where there is little of it.
  static FetchLimits patient() {
    using std::chrono::minutes;
    return {minutes(30), minutes(30), minutes(30)};
  }
  static FetchLimits short_limits() {
    using std::chrono::milliseconds;
    return {milliseconds(50), milliseconds(20), milliseconds(200)};
  }
  void write(const std::string& path, const Bytes& bytes) {
    ASSERT_TRUE(disk.make_directories("packs").ok());
    auto file = disk.create(path);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->write_at(0, bytes).ok());
  }
  Result<Bytes> read(const std::string& path) { return read_whole(*storage, path, 64 << 20); }
  /// Asks until it is there: for what comes when a gate was opened or a helper is anew.
  Bytes read_at_last(const std::string& path) {
    for (;;) {
      Result<Bytes> bytes = read(path);
      if (bytes.ok()) return *bytes;
      EXPECT_EQ(bytes.error().code(), Errc::kIo) << bytes.error().message();
      std::this_thread::yield();
    }
  }
  ~FetchWorld() override {
    gate.set(false);
    storage.reset();
    for (std::thread& helper : helpers) helper.join();
    for (const int socket : sockets) ::close(socket);
  }
};

Bytes some_bytes(std::mt19937_64& random, size_t size) {
  Bytes bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

TEST_F(FetchWorld, FilesOfAllSizesAreReadAtAllPlaces) {
  std::mt19937_64 random(test_seed());
  open(patient());
  constexpr size_t kEdge = kFetchWholeBytesMax, kPiece = kFetchReadBytesMax;
  for (const size_t size :
       {size_t{0}, size_t{1}, kEdge, kEdge + 1, kPiece, kPiece + 1, 5 * kPiece + 77}) {
    const std::string path = "packs/" + std::to_string(size);
    const Bytes bytes = some_bytes(random, size);
    write(path, bytes);
    EXPECT_EQ(read(path).value(), bytes);
    auto file = storage->open_read(path).value();
    EXPECT_EQ(file->length().value(), size);
    for (int i = 0; i < 50; i++) {
      const uint64_t offset = random() % (size + 10);
      Bytes out(random() % (2 * kPiece));
      const size_t expected = offset < size ? std::min(out.size(), size - offset) : 0;
      ASSERT_EQ(file->read_at(offset, out).value(), expected) << size << " at " << offset;
      if (expected == 0) continue;
      EXPECT_TRUE(std::equal(out.begin(), out.begin() + expected, bytes.begin() + offset));
    }
  }
}

TEST_F(FetchWorld, OtherAnswersAreTheStoragesOwn) {
  open(patient());
  write("packs/one", Bytes(10));
  EXPECT_TRUE(storage->exists("packs/one").value());
  EXPECT_FALSE(storage->exists("packs/two").value());
  EXPECT_EQ(storage->list("packs").value().size(), 1u);
  EXPECT_EQ(storage->list("packs").value()[0].name, "one");
  EXPECT_EQ(storage->list("nowhere").error().code(), Errc::kNotFound);
  EXPECT_EQ(storage->open_read("packs/two").error().code(), Errc::kNotFound);
  EXPECT_EQ(storage->space().value().total, disk.space().value().total);
}

TEST_F(FetchWorld, NothingIsChanged) {
  open(patient());
  write("packs/one", Bytes(10));
  EXPECT_EQ(storage->create("packs/two").error().code(), Errc::kReadOnly);
  EXPECT_EQ(storage->open_write("packs/one").error().code(), Errc::kReadOnly);
  EXPECT_EQ(storage->unlink("packs/one").error().code(), Errc::kReadOnly);
  EXPECT_EQ(storage->rename("packs/one", "packs/two").error().code(), Errc::kReadOnly);
  EXPECT_EQ(storage->make_directories("lists").error().code(), Errc::kReadOnly);
  EXPECT_EQ(storage->sync_dir("packs").error().code(), Errc::kReadOnly);
  EXPECT_EQ(storage->open_read("packs/one").value()->write_at(0, Bytes(1)).error().code(),
            Errc::kReadOnly);
}

TEST_F(FetchWorld, WhatHangsIsAnErrorAndIsThereWhenItComes) {
  open(short_limits());
  write("packs/one", Bytes(10, 1));
  gate.set(true);
  EXPECT_EQ(read("packs/one").error().code(), Errc::kIo);
  EXPECT_EQ(read("packs/one").error().code(), Errc::kIo);
  while (!storage->exists("packs/one").ok()) continue;  // others do not wait for what hangs
  gate.set(false);
  EXPECT_EQ(read_at_last("packs/one"), Bytes(10, 1));
  EXPECT_EQ(gate.count(), 1) << "who asks again joins the request that is under way";
}

TEST_F(FetchWorld, AnEndWaitsForNobody) {
  open(patient());
  write("packs/one", Bytes(10));
  gate.set(true);
  std::thread waiting([&] { EXPECT_EQ(read("packs/one").error().code(), Errc::kIo); });
  while (gate.count() == 0) std::this_thread::yield();
  storage->stop();
  waiting.join();
  EXPECT_EQ(read("packs/one").error().code(), Errc::kIo);
}

TEST_F(FetchWorld, AHelperThatEndsIsReplaced) {
  open(patient());
  write("packs/one", Bytes(10, 7));
  gate.set(true);
  std::thread waiting([&] { EXPECT_EQ(read("packs/one").error().code(), Errc::kIo); });
  while (gate.count() == 0) std::this_thread::yield();
  {
    std::lock_guard lock(mutex);
    ::shutdown(sockets[0], SHUT_RDWR);
  }
  waiting.join();
  gate.set(false);
  EXPECT_EQ(read_at_last("packs/one"), Bytes(10, 7));
  std::lock_guard lock(mutex);
  EXPECT_EQ(helpers.size(), 2u);
}

TEST(FetchProtocol, WhatMakesNoSenseIsRefused) {
  std::mt19937_64 random(test_seed());
  const Bytes request = encode_fetch_request({FetchKind::kRead, "packs/ab/cd", 77, 1000});
  EXPECT_EQ(decode_fetch_request(request)->path, "packs/ab/cd");
  EXPECT_EQ(decode_fetch_request(request)->offset, 77u);
  for (size_t length = 0; length < request.size(); length++)
    EXPECT_FALSE(decode_fetch_request(ByteView(request).first(length)).ok()) << length;
  EXPECT_FALSE(
      decode_fetch_request(encode_fetch_request({FetchKind::kRead, "x", 0, kFetchReadBytesMax + 1}))
          .ok());
  const Bytes frame = encode_fetch_frame(5, request);
  FetchFrames frames;
  for (size_t i = 0; i + 1 < frame.size(); i++) {
    frames.add(ByteView(frame).subspan(i, 1));
    EXPECT_FALSE(frames.next().value());
  }
  frames.add(ByteView(frame).last(1));
  const auto whole = frames.next().value();
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->number, 5u);
  EXPECT_EQ(whole->message, request);
  frames.add(Bytes(64, 0xff));
  EXPECT_FALSE(frames.next().ok());
  for (int i = 0; i < 2000; i++) {
    const Bytes noise = some_bytes(random, random() % 64);
    (void)decode_fetch_request(noise).ok();
    (void)decode_fetch_answer(noise).ok();
    (void)decode_opened(noise).ok();
    (void)decode_entries(noise).ok();
    (void)decode_space(noise).ok();
  }
}

}  // namespace
}  // namespace varve
