// Goal: a stream hands bytes over in order, bounded, and tells each side how the other stands.
#include "catalog/tar_stream.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/support/simulation.h"

namespace varve {
namespace {

TEST(TarStream, CarriesAllBytesThroughASmallBound) {
  TarStream stream(1 << 20);
  const Bytes bytes = random_bytes(1, 5'000'000);
  Bytes read;
  std::thread reader([&] {
    for (;;) {
      Result<ByteView> next = stream.next();
      ASSERT_TRUE(next.ok());
      if (next->empty()) break;
      read.insert(read.end(), next->begin(), next->end());
    }
    stream.done({});
  });
  for (size_t at = 0; at < bytes.size(); at += 10240)
    ASSERT_TRUE(
        stream.write(ByteView(bytes).subspan(at, std::min<size_t>(10240, bytes.size() - at))).ok());
  EXPECT_FALSE(stream.wait_for_reader().done);
  stream.end();
  reader.join();
  EXPECT_EQ(read, bytes);
  EXPECT_TRUE(stream.wait_for_reader().done);
}

TEST(TarStream, BehindTheEndOnlyZerosMayCome) {
  TarStream stream(1000);
  stream.done({});
  EXPECT_TRUE(stream.write(Bytes(5000, 0)).ok());
  EXPECT_EQ(stream.write(as_bytes("more")).error().code(), Errc::kIo);
}

TEST(TarStream, AWriterIsToldOfTheReadersError) {
  TarStream stream(1000);
  std::thread reader([&] {
    EXPECT_TRUE(stream.next().ok());
    stream.done(Errc::kNoSpace);
  });
  Result<void> written;
  while (written.ok()) written = stream.write(Bytes(1000, 1));
  EXPECT_EQ(written.error().code(), Errc::kNoSpace);
  EXPECT_EQ(stream.wait_for_reader().outcome.error().code(), Errc::kNoSpace);
  reader.join();
}

TEST(TarStream, AnAbortWakesBothSides) {
  TarStream stream(1000);
  std::thread reader([&] { EXPECT_FALSE(stream.next().ok()); });
  stream.abort();
  reader.join();
  EXPECT_FALSE(stream.write(as_bytes("x")).ok());
}

}  // namespace
}  // namespace varve
