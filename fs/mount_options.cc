#include "fs/mount_options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace varve {
namespace {

// Passed to mount(2) as they are. suid and dev take back what a mount of ours forbids by itself.
constexpr std::array<std::string_view, 13> kKernelFlags = {
    "nosuid", "suid",       "nodev",    "dev",  "noexec", "exec",   "noatime",
    "atime",  "nodiratime", "diratime", "sync", "async",  "dirsync"};

// What mount(8), systemd and libfuse's users write and what changes nothing here. relatime and its
// kin are for filesystems whose atimes the kernel keeps.
constexpr std::array<std::string_view, 23> kPassedOver = {"defaults",
                                                          "relatime",
                                                          "norelatime",
                                                          "strictatime",
                                                          "nostrictatime",
                                                          "lazytime",
                                                          "nolazytime",
                                                          "_netdev",
                                                          "nofail",
                                                          "noauto",
                                                          "auto",
                                                          "user",
                                                          "nouser",
                                                          "users",
                                                          "group",
                                                          "nogroup",
                                                          "owner",
                                                          "noowner",
                                                          "iversion",
                                                          "noiversion",
                                                          "silent",
                                                          "loud",
                                                          "default_permissions"};

template <size_t kCount>
bool contains(const std::array<std::string_view, kCount>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

Error invalid(std::string message) {
  return {Errc::kInvalid, std::move(message)};
}

struct Option {
  std::string_view name;
  std::optional<std::string_view> value;
};

Option split_option(std::string_view text) {
  size_t equals = text.find('=');
  if (equals == std::string_view::npos) return {text, std::nullopt};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

Result<std::string> value_of(const Option& option) {
  if (!option.value || option.value->empty()) {
    return invalid("option " + std::string(option.name) +
                   " needs a value: " + std::string(option.name) + "=...");
  }
  return std::string(*option.value);
}

Result<void> apply_valued(MountOptions& options, const Option& option, bool& known) {
  known = true;
  if (option.name == "passphrase_file") {
    options.passphrase_file = VARVE_TRY(value_of(option));
  } else if (option.name == "key_file") {
    options.key_file = VARVE_TRY(value_of(option));
  } else if (option.name == "recovery_key_file") {
    options.recovery_key_file = VARVE_TRY(value_of(option));
  } else if (option.name == "cache") {
    const std::string text = VARVE_TRY(value_of(option));
    options.cache_bytes = VARVE_TRY(parse_byte_count(text));
  } else if (option.name == "dirty") {
    const std::string text = VARVE_TRY(value_of(option));
    options.dirty_bytes = VARVE_TRY(parse_byte_count(text));
    if (options.dirty_bytes < kDirtyBytesMin)
      return invalid("option dirty needs at least 8M: " + text);
  } else if (option.name == "compression") {
    const std::string text = VARVE_TRY(value_of(option));
    options.compression_level = VARVE_TRY(parse_compression_level(text));
  } else if (option.name == "checkpoint") {
    const std::string text = VARVE_TRY(value_of(option));
    options.checkpoint_seconds = VARVE_TRY(parse_duration_seconds(text));
  } else if (option.name == "snapshots") {
    const std::string text = VARVE_TRY(value_of(option));
    if (text != "append") return invalid("option snapshots can only be \"append\"");
    options.append_only_snapshots = true;
  } else if (option.name == "io_uring") {
    const std::string text = VARVE_TRY(value_of(option));
    if (text != "auto" && text != "off") return invalid("option io_uring is auto or off: " + text);
    options.io_uring = text == "auto";
  } else if (option.name == "local") {
    options.local = VARVE_TRY(value_of(option));
  } else {
    known = false;
  }
  return {};
}

bool is_passed_over(const Option& option) {
  // SELinux contexts and comments may carry values; x-* is mount(8)'s own name space.
  return option.name.starts_with("x-") || option.name.starts_with("X-") ||
         option.name == "comment" || (!option.value && contains(kPassedOver, option.name)) ||
         (option.name == "user" && option.value.has_value());
}

Result<void> apply(MountOptions& options, const Option& option) {
  bool known = false;
  VARVE_TRY(apply_valued(options, option, known));
  if (known || is_passed_over(option)) return {};
  if (!option.value && option.name == "ro") {
    options.read_only = true;
  } else if (!option.value && option.name == "rw") {
    options.read_only = false;
  } else if (!option.value && option.name == "allow_other") {
    options.allow_other = true;
  } else if (!option.value && contains(kKernelFlags, option.name)) {
    options.kernel_flags.emplace_back(option.name);
  } else {
    return invalid("unknown mount option: " + std::string(option.name));
  }
  return {};
}

// The number at the front of `text`, which is cut off.
std::optional<uint64_t> take_number(std::string_view& text) {
  uint64_t number = 0;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

}  // namespace

Result<int> parse_compression_level(std::string_view text) {
  if (text == "none") return 0;
  std::string_view rest = text;
  if (rest.starts_with("zstd:")) {
    rest.remove_prefix(std::string_view("zstd:").size());
    const std::optional<uint64_t> level = take_number(rest);
    if (level && rest.empty() && *level >= 1 && *level <= kCompressionLevelMax)
      return static_cast<int>(*level);
  }
  return invalid("option compression is none or zstd:1 to zstd:" +
                 std::to_string(kCompressionLevelMax) + ": " + std::string(text));
}

Result<uint64_t> parse_byte_count(std::string_view text) {
  const std::string whole(text);
  std::optional<uint64_t> number = take_number(text);
  if (!number) return invalid("no number of bytes: " + whole);
  int shift = 0;
  if (!text.empty()) {
    switch (text[0] | 0x20) {
      case 'k':
        shift = 10;
        break;
      case 'm':
        shift = 20;
        break;
      case 'g':
        shift = 30;
        break;
      case 't':
        shift = 40;
        break;
      default:
        return invalid("no number of bytes: " + whole);
    }
    text.remove_prefix(1);
  }
  if (!text.empty() && text != "iB" && text != "B") return invalid("no number of bytes: " + whole);
  if (*number > (UINT64_MAX >> shift)) return invalid("too many bytes: " + whole);
  return *number << shift;
}

Result<int64_t> parse_duration_seconds(std::string_view text) {
  const std::string whole(text);
  std::optional<uint64_t> number = take_number(text);
  uint64_t unit = 1;
  if (text == "m" || text == "min") {
    unit = 60;
  } else if (text == "h") {
    unit = 3600;
  } else if (text == "d") {
    unit = 86400;
  } else if (!text.empty() && text != "s") {
    number.reset();
  }
  if (!number || *number > 1'000'000'000)
    return invalid("no length of time (90s, 15m, 2h, 1d): " + whole);
  return static_cast<int64_t>(*number * unit);
}

Result<MountOptions> parse_mount_options(std::string_view list) {
  MountOptions options;
  while (!list.empty()) {
    size_t comma = std::min(list.find(','), list.size());
    std::string_view text = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (!text.empty()) VARVE_TRY(apply(options, split_option(text)));
  }
  if (!options.local.empty() && !options.read_only)
    return invalid("option local=DIR is for stores that are only read: add ro");
  int secrets = !options.passphrase_file.empty() + !options.key_file.empty() +
                !options.recovery_key_file.empty();
  if (secrets > 1) {
    return invalid("passphrase_file, key_file and recovery_key_file exclude each other");
  }
  return options;
}

}  // namespace varve
