// What people, other programs and this place's own files say in text: the guard, the writer's head,
// the control socket's requests, mount options.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "dedup/guard.h"
#include "dedup/writer_head.h"
#include "fs/control.h"
#include "fs/mount_options.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/simulated_storage.h"
#include "tests/support/temporary_directory.h"

namespace varve {
namespace {

constexpr const char* kGuardPath = "replica/guard";
constexpr const char* kHeadPath = "local/head";
const StoreId kGuardedStore{{1, 2, 3}};

/// A place that a guard can be bound to.
const std::string& guarded_root() {
  static const TemporaryDirectory directory;
  static const bool made = std::filesystem::create_directory(directory / "replica");
  expect_that(made, "no directory for the guard");
  return directory.path();
}

void put_file(SimulatedStorage& storage, const std::string& path, ByteView content) {
  (void)storage.make_directories(path.substr(0, path.rfind('/')));
  (void)write_whole(storage, path, content);
}

bool run_guard(ByteView input) {
  SimulatedStorage storage;
  put_file(storage, kGuardPath, input);
  const Result<GuardFound> found = read_guard(storage, guarded_root(), kGuardedStore);
  expect_that(found.ok(), "a guard that makes no sense is an error");
  const std::optional<Guard>& guard = found->guard ? found->guard : found->moved;
  if (!guard) return false;
  expect_that(write_guard(storage, guarded_root(), kGuardedStore, *guard).ok(), "no guard written");
  const Result<GuardFound> again = read_guard(storage, guarded_root(), kGuardedStore);
  expect_that(again.ok() && again->guard && again->guard->replica == guard->replica &&
                  again->guard->writer == guard->writer,
              "a guard does not come back");
  return true;
}

std::vector<Bytes> guard_seeds() {
  SimulatedStorage storage;
  (void)write_guard(storage, guarded_root(), kGuardedStore, {ReplicaId{{1}}, WriterId{{2}}});
  return {read_whole(storage, kGuardPath, 4096).value()};
}

bool run_writer_head(ByteView input) {
  SimulatedStorage storage;
  put_file(storage, kHeadPath, input);
  const Result<std::optional<WriterHead>> head = read_writer_head(storage);
  expect_that(head.ok(), "a head that makes no sense is an error");
  if (!*head) return false;
  expect_that(write_writer_head(storage, **head).ok(), "no head written");
  const auto again = read_writer_head(storage);
  expect_that(again.ok() && *again && (*again)->sequence == (*head)->sequence &&
                  (*again)->succeeded == (*head)->succeeded,
              "a writer's head does not come back");
  return true;
}

std::vector<Bytes> writer_head_seeds() {
  SimulatedStorage storage;
  (void)storage.make_directories("local");
  (void)write_writer_head(storage, {WriterId{{1}}, 42, {WriterId{{2}}, WriterId{{3}}}});
  return {read_whole(storage, kHeadPath, 4096).value()};
}

bool run_control_request(ByteView input) {
  static const ControlHandlers handlers = {
      {"sync", [](const nlohmann::json&) -> Result<nlohmann::json> { return nlohmann::json(); }},
      {"status",
       [](const nlohmann::json&) -> Result<nlohmann::json> { return Error(Errc::kBusy); }}};
  const std::string answer = control_answer(handlers, std::string(as_text(input)));
  const nlohmann::json parsed = nlohmann::json::parse(answer, nullptr, false);
  expect_that(parsed.is_object() && parsed.contains("ok") && answer.find('\n') == std::string::npos,
              "an answer is not one line of JSON");
  return true;
}

std::vector<Bytes> control_request_seeds() {
  return {
      bytes_of(R"({"command": "status"})"),
      bytes_of(
          R"({"command": "sync", "set": "home", "name": "b\u00e4r", "n": [1, 2.5e3, null, {}]})")};
}

bool run_mount_options(ByteView input) {
  const bool options = parse_mount_options(as_text(input)).ok();
  const bool bytes = parse_byte_count(as_text(input)).ok();
  return parse_duration_seconds(as_text(input)).ok() || options || bytes;
}

std::vector<Bytes> mount_options_seeds() {
  return {
      bytes_of("ro,allow_other,passphrase_file=/etc/secret,cache=1G,checkpoint=15m,nosuid,_netdev"),
      bytes_of("16777215TiB"), bytes_of("1000000000d")};
}

}  // namespace

std::vector<FuzzTarget> text_targets() {
  return {{"guard", run_guard, guard_seeds},
          {"writer_head", run_writer_head, writer_head_seeds},
          {"control_request", run_control_request, control_request_seeds},
          {"mount_options", run_mount_options, mount_options_seeds}};
}

}  // namespace varve
