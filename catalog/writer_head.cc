#include "catalog/writer_head.h"

#include <nlohmann/json.hpp>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"

namespace varve {

namespace {

using nlohmann::json;

constexpr const char* kPath = "local/head";

std::optional<WriterHead> parse(ByteView bytes) {
  const json parsed = json::parse(as_text(bytes), nullptr, false);
  if (!parsed.is_object()) return std::nullopt;
  const auto id = [](const json& value) {
    return value.is_string() ? WriterId::from_hex(value.get<std::string>()) : std::nullopt;
  };
  const auto writer = id(parsed.value("writer", json()));
  const json sequence = parsed.value("sequence", json());
  const json succeeded = parsed.value("succeeded", json());
  if (!writer || !sequence.is_number_unsigned() || !succeeded.is_array()) return std::nullopt;
  WriterHead head{*writer, sequence.get<uint64_t>(), {}};
  for (const json& one : succeeded) {
    const auto old = id(one);
    if (!old) return std::nullopt;
    head.succeeded.push_back(*old);
  }
  return head;
}

}  // namespace

Result<std::optional<WriterHead>> read_writer_head(Storage& storage) {
  const Result<Bytes> bytes = read_whole(storage, kPath, 16 * kMiB);
  if (!bytes.ok() && bytes.error().code() == Errc::kNotFound) return std::optional<WriterHead>();
  if (!bytes.ok()) return bytes.error();
  std::optional<WriterHead> head = parse(*bytes);
  if (!head) log_warning(std::string(kPath) + ": makes no sense; it counts as absent");
  return head;
}

Result<void> write_writer_head(Storage& storage, const WriterHead& head) {
  json succeeded = json::array();
  for (const WriterId& old : head.succeeded) succeeded.push_back(old.hex());
  const json content = {{"writer", head.writer.hex()},
                        {"sequence", head.sequence},
                        {"succeeded", std::move(succeeded)}};
  return write_whole(storage, kPath, as_bytes(content.dump() + "\n"));
}

}  // namespace varve
