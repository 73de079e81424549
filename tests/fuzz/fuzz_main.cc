// Goal: no bytes, however hostile, make a parser crash, hang, or allocate without bound; and what
// it accepts is what its encoder writes.
//
//   fuzz_parsers --list                     the parsers' names
//   fuzz_parsers --seeds DIR                writes valid inputs to DIR/PARSER/
//   fuzz_parsers PARSER [OPTION|CORPUS]...  libFuzzer on one parser: its own options, or a file to
//                                           replay
//
// tests/fuzz/run does all of it; its --help says how.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "dedup/base/log.h"
#include "tests/fuzz/fuzz_target.h"

namespace varve {

void expect_that(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz_parsers: %s\n", what);
  std::abort();
}

namespace {

// libFuzzer starts itself anew for some of its options, with the parser's name cut off.
constexpr const char* kParserVariable = "VARVE_FUZZ_PARSER";

const std::vector<FuzzTarget>& all_targets() {
  static const std::vector<FuzzTarget> all = [] {
    std::vector<FuzzTarget> targets;
    for (auto family : {access_targets, pack_targets, index_run_targets, tree_targets,
                        history_targets, row_targets, text_targets, tar_targets}) {
      for (const FuzzTarget& target : family()) targets.push_back(target);
    }
    return targets;
  }();
  return all;
}

const FuzzTarget* find_target(std::string_view name) {
  for (const FuzzTarget& target : all_targets()) {
    if (target.name == name) return &target;
  }
  return nullptr;
}

/// Fails where a seed is refused: most of that parser would never be reached.
int write_seeds(const std::filesystem::path& folder) {
  int refused = 0;
  for (const FuzzTarget& target : all_targets()) {
    const std::filesystem::path own = folder / target.name;
    std::filesystem::create_directories(own);
    size_t number = 0;
    for (const Bytes& seed : target.seeds()) {
      if (!target.run(seed)) {
        std::fprintf(stderr, "fuzz_parsers: %s refuses its seed %zu\n",
                     std::string(target.name).c_str(), number);
        refused++;
      }
      std::ofstream file(own / ("seed-" + std::to_string(number++)), std::ios::binary);
      file.write(reinterpret_cast<const char*>(seed.data()),
                 static_cast<std::streamsize>(seed.size()));
      if (!file.flush()) return 1;
    }
  }
  return refused == 0 ? 0 : 1;
}

int list_targets() {
  for (const FuzzTarget& target : all_targets())
    std::printf("%s\n", std::string(target.name).c_str());
  return 0;
}

const FuzzTarget* chosen_target = nullptr;

}  // namespace
}  // namespace varve

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
  using namespace varve;
  set_log_level(LogLevel::kError);
  const std::string_view first = *count > 1 ? (*arguments)[1] : "";
  if (first == "--list") std::exit(list_targets());
  if (first == "--seeds" && *count == 3) std::exit(write_seeds((*arguments)[2]));
  chosen_target = find_target(first);
  if (chosen_target != nullptr) {
    ::setenv(kParserVariable, (*arguments)[1], 1);
    for (int i = 1; i < *count; i++) (*arguments)[i] = (*arguments)[i + 1];
    --*count;
  } else if (const char* name = std::getenv(kParserVariable)) {
    chosen_target = find_target(name);
  }
  if (chosen_target == nullptr) {
    std::fprintf(stderr, "fuzz_parsers: name a parser (--list), or write seeds (--seeds DIR)\n");
    std::exit(1);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  varve::chosen_target->run({data, size});
  return 0;
}
