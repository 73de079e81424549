#include "dedup/writer_head.h"

#include <nlohmann/json.hpp>

#include "dedup/base/limits.h"
#include "dedup/base/log.h"

namespace varve {

namespace {

using nlohmann::json;

constexpr const char* kPath = "local/head";

std::optional<WriterId> id_in(const json& value) {
  return value.is_string() ? WriterId::from_hex(value.get_ref<const std::string&>()) : std::nullopt;
}

/// nullopt unless every field is there and of its form. Fields are looked at where they are: a copy
/// of what is nested deep enough would exhaust the stack.
std::optional<WriterHead> parse(ByteView bytes) {
  const json parsed = json::parse(as_text(bytes), nullptr, false);
  if (!parsed.is_object()) return std::nullopt;
  const auto writer = parsed.find("writer");
  const auto sequence = parsed.find("sequence");
  const auto succeeded = parsed.find("succeeded");
  if (writer == parsed.end() || sequence == parsed.end() || succeeded == parsed.end()) {
    return std::nullopt;
  }
  const auto id = id_in(*writer);
  if (!id || !sequence->is_number_unsigned() || !succeeded->is_array()) return std::nullopt;
  WriterHead head{*id, sequence->get<uint64_t>(), {}};
  for (const json& one : *succeeded) {
    const auto old = id_in(one);
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
