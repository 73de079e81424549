// Goal: whatever is written where, a file that was cut anew has the bytes of a model; what is
// stored anew is about what was touched; and a stream that was flushed in pieces is cut as if it
// had come at once.
#include "fs/rechunk.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "fs/read_view.h"
#include "tests/support/test_seed.h"

namespace varve {
namespace {

constexpr size_t kMinimum = 64, kMaximum = 1024;
constexpr size_t kFrontsMax = 5;  // that are put at once

/// A chunker of the same kind with small chunks: cuts depend on the bytes since the last cut alone.
size_t toy_cut(ByteView bytes) {
  size_t end = std::min(bytes.size(), kMaximum);
  uint64_t hash = 0;
  for (size_t i = 0; i < end; i++) {
    hash = (hash << 1) + bytes[i] * 0x9e3779b97f4a7c15u;
    if (i + 1 >= kMinimum && (hash >> 56) == 0) return i + 1;
  }
  return end;
}

/// A file with its chunks, dirty data and a model of its bytes.
class ToyFile : public RechunkSource {
 public:
  Result<std::vector<Extent>> old_extents(uint64_t from, uint64_t to) override {
    std::vector<Extent> result;
    for (const auto& [offset, extent] : extents) {
      if (offset < to && offset + extent.length > from) result.push_back(extent);
    }
    return result;
  }
  Result<void> read(uint64_t offset, ByteSpan out) override {
    std::vector<Extent> old = VARVE_TRY(old_extents(offset, offset + out.size()));
    std::vector<Extent> all = old_extents(0, UINT64_MAX).value();
    EXPECT_GE(data_end(offset, dirty.runs(), all), offset + out.size());
    return read_view(offset, out, dirty.read(offset, offset + out.size()), old,
                     [this](const Extent& extent) -> Result<ChunkBytes> {
                       bytes_read += extent.length;
                       return ChunkBytes{nullptr, chunks.at(extent.chunk)};
                     });
  }
  DirtySlice borrow(uint64_t offset, uint64_t to) override { return dirty.together(offset, to); }
  Result<std::vector<Front>> put_fronts(ByteView window, size_t begins_before) override {
    std::vector<Front> fronts;
    size_t at = 0;
    do {
      fronts.push_back(put_front(window.subspan(at), SIZE_MAX).value());
      at += fronts.back().length;
    } while (at < begins_before && window.size() - at >= kMaximum && fronts.size() < kFrontsMax);
    return fronts;
  }
  Result<Front> put_front(ByteView window, size_t limit) override {
    const ByteView chunk = window.first(std::min(toy_cut(window), limit));
    EXPECT_FALSE(chunk.empty());
    auto known = names.find(Bytes(chunk.begin(), chunk.end()));
    if (known != names.end()) return Front{known->second, chunk.size()};
    ChunkId id;
    uint64_t number = names.size() + 1;
    std::memcpy(id.bytes.data(), &number, sizeof number);
    names.emplace(Bytes(chunk.begin(), chunk.end()), id);
    chunks.emplace(id, Bytes(chunk.begin(), chunk.end()));
    bytes_stored += chunk.size();
    return Front{id, chunk.size()};
  }
  Result<void> replace(FileRange range, std::vector<Extent> fresh) override {
    cut_out(range.from, range.to);
    uint64_t at = range.from;
    for (const Extent& extent : fresh) {
      EXPECT_EQ(extent.offset, at);
      at += extent.length;
      extents[extent.offset] = extent;
    }
    EXPECT_EQ(at, range.to);
    dirty.erase_flushed(range.from, range.to, version);
    if (range.to > committed_size) committed_size = range.to;
    return {};
  }
  void cut_out(uint64_t from, uint64_t to) {
    std::vector<Extent> old = old_extents(from, to).value();
    for (Extent extent : old) {
      extents.erase(extent.offset);
      uint64_t end = extent.offset + extent.length;
      if (extent.offset < from)
        extents[extent.offset] = {extent.offset, from - extent.offset, extent.chunk,
                                  extent.chunk_offset};
      if (end > to)
        extents[to] = {to, end - to, extent.chunk, extent.chunk_offset + (to - extent.offset)};
    }
  }
  void write(uint64_t offset, ByteView data) {
    dirty.write(offset, data);
    if (model.size() < offset + data.size()) model.resize(offset + data.size());
    std::copy(data.begin(), data.end(), model.begin() + static_cast<ptrdiff_t>(offset));
  }
  void punch(uint64_t from, uint64_t to) {
    to = std::min<uint64_t>(to, model.size());
    if (from >= to) return;
    dirty.erase(from, to);
    cut_out(from, to);
    std::fill(model.begin() + static_cast<ptrdiff_t>(from),
              model.begin() + static_cast<ptrdiff_t>(to), 0);
    natural_end = UINT64_MAX;
  }
  void flush(bool streaming = false) {
    version = dirty.version();
    dirty.freeze_pieces();
    RechunkOptions options{kMaximum,       4 * kMaximum, 16 * kMaximum,
                           committed_size, natural_end,  UINT64_MAX};
    if (streaming) options.open_end = model.size();
    Rechunk rechunk(*this, options);
    std::vector<FileRange> runs = dirty.runs();
    ASSERT_TRUE(rechunk.run(runs).ok());
    natural_end = rechunk.natural_end();
    EXPECT_TRUE(streaming || dirty.empty());
  }
  Bytes content() {
    Bytes out(model.size());
    EXPECT_TRUE(read_view(0, out, dirty.read(0, model.size()), old_extents(0, model.size()).value(),
                          [this](const Extent& e) -> Result<ChunkBytes> {
                            return ChunkBytes{nullptr, chunks.at(e.chunk)};
                          })
                    .ok());
    return out;
  }

  std::map<uint64_t, Extent> extents;
  std::map<ChunkId, Bytes> chunks;
  std::map<Bytes, ChunkId> names;
  DirtyExtents dirty;
  Bytes model;
  uint64_t committed_size = 0, natural_end = UINT64_MAX, version = 0;
  uint64_t bytes_stored = 0, bytes_read = 0;
};

Bytes noise(std::mt19937_64& random, size_t size) {
  Bytes result(size);
  for (uint8_t& byte : result) byte = static_cast<uint8_t>(random());
  return result;
}

TEST(Rechunk, AgreesWithAModel) {
  uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 150; round++) {
    ToyFile file;
    for (int step = 0; step < 40; step++) {
      uint64_t offset = random() % 3 == 0 ? file.model.size() : random() % 40000;
      size_t size = static_cast<size_t>(random() % (random() % 4 == 0 ? 9000 : 300) + 1);
      // Constant data never lets cuts fall together again by themselves.
      Bytes data = random() % 4 == 0 ? Bytes(size, 7) : noise(random, size);
      if (random() % 12 == 0) {
        file.punch(offset, offset + size);
      } else {
        file.write(offset, data);
      }
      if (random() % 3 == 0) file.flush(random() % 2 == 0);
      ASSERT_EQ(file.content(), file.model)
          << "seed " << seed << " round " << round << " step " << step;
    }
    file.flush();
    ASSERT_EQ(file.content(), file.model) << "seed " << seed << " round " << round;
  }
}

TEST(Rechunk, AStreamInPiecesIsCutAsOne) {
  uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  Bytes data = noise(random, 300000);
  ToyFile whole, pieces;
  whole.write(0, data);
  whole.flush();
  for (size_t at = 0; at < data.size();) {
    size_t size = std::min<size_t>(data.size() - at, random() % 20000 + 1);
    pieces.write(at, ByteView(data).subspan(at, size));
    at += size;
    // Now and then everything is flushed in between (fsync): the last chunk is then cut anew.
    pieces.flush(random() % 4 != 0);
  }
  pieces.flush();
  ASSERT_EQ(pieces.extents.size(), whole.extents.size()) << "seed " << seed;
  for (const auto& [offset, extent] : whole.extents) {
    ASSERT_TRUE(pieces.extents.contains(offset)) << "seed " << seed;
    EXPECT_EQ(pieces.extents[offset].length, extent.length);
  }
}

TEST(Rechunk, RandomWritesStoreAboutWhatTheyTouch) {
  uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  ToyFile file;
  file.write(0, noise(random, 4 << 20));
  file.flush();
  double mean = static_cast<double>(file.model.size()) / static_cast<double>(file.extents.size());
  uint64_t stored_before = file.bytes_stored, touched = 0;
  for (int i = 0; i < 300; i++) {
    uint64_t offset = random() % (file.model.size() - 2048);
    size_t size = static_cast<size_t>(random() % 2048 + 16);
    touched += file.old_extents(offset, offset + size).value().size();
    file.write(offset, noise(random, size));
    if (i % 10 == 9) file.flush();
  }
  double stored = static_cast<double>(file.bytes_stored - stored_before);
  EXPECT_LT(stored, 3 * static_cast<double>(touched) * mean) << "seed " << seed;
  std::cout << "stored anew / (touched * mean) = " << stored / (static_cast<double>(touched) * mean)
            << std::endl;
}

TEST(Rechunk, ConstantDataDoesNotCutTheRestOfTheFileAnew) {
  ToyFile file;
  file.write(0, Bytes(1 << 20, 5));
  file.flush();
  file.bytes_read = 0;
  file.write(1000, as_bytes("x"));
  file.flush();
  EXPECT_LT(file.bytes_read, 16 * kMaximum);
  EXPECT_EQ(file.content(), file.model);
}

TEST(Rechunk, HolesAreNotStored) {
  ToyFile file;
  file.write(100000, as_bytes("end"));
  file.flush();
  EXPECT_EQ(file.bytes_stored, 3u);
  EXPECT_EQ(file.content(), file.model);
}

}  // namespace
}  // namespace varve
