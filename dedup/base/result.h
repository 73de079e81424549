// Errors are values that cannot be dropped: Result<T> is either a T or an Error.
//
// An Error has a code (one enum for the whole program; fs/errno_map alone turns it into an errno)
// and a message that is one clear line for a person. Context is added once, where the meaning is
// known. Error without message is cheap, so that "no such name" costs nothing on the hot path.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace varve {

enum class Errc : uint8_t {
  kIo,               // the storage below failed (EIO)
  kNoSpace,          // the storage below is full (ENOSPC)
  kNotFound,         // ENOENT
  kExists,           // EEXIST
  kInvalid,          // a caller's argument makes no sense (EINVAL)
  kCorrupt,          // stored bytes that do not say what they must (EIO)
  kAuthentication,   // a seal that does not open, a signature that does not hold (EIO)
  kWrongPassphrase,  // no slot opens with the secret given
  kForeign,          // belongs to another store
  kUnsupported,      // a newer format, or a call that cannot be had here (EOPNOTSUPP)
  kBusy,             // held by somebody else (EBUSY)
  kReadOnly,         // EROFS
  kPermission,       // EPERM
  kAccess,           // EACCES
  kNotDirectory,     // ENOTDIR
  kIsDirectory,      // EISDIR
  kNotEmpty,         // ENOTEMPTY
  kNameTooLong,      // ENAMETOOLONG
  kCrossDevice,      // EXDEV
  kTooManyLinks,     // EMLINK
  kNoAttribute,      // ENODATA
  kRange,            // ERANGE
  kTooLarge,         // EFBIG, E2BIG
  kStale,            // ESTALE
  kQuota,            // EDQUOT
  kInterrupted,      // EINTR
  kBadHandle,        // EBADF
  kNoDevice,         // ENXIO (SEEK_DATA past the end)
};

class [[nodiscard]] Error {
 public:
  explicit Error(Errc code) : code_(code) {}
  Error(Errc code, std::string message) : code_(code), message_(std::move(message)) {}

  Errc code() const { return code_; }
  const std::string& message() const { return message_; }

  /// The same error with "context: " before its message.
  Error with_context(std::string_view context) && {
    std::string text(context);
    if (!message_.empty()) text.append(": ").append(message_);
    message_ = std::move(text);
    return std::move(*this);
  }

 private:
  Errc code_;
  std::string message_;
};

/// An Error of the code that fits `number` (an errno), with "what: strerror(number)" as message.
Error error_from_errno(int number, std::string_view what);

template <typename T>
class [[nodiscard]] Result {
 public:
  // Implicit, for `return value;` and `return Errc::kNotFound;`.
  // NOLINTBEGIN(google-explicit-constructor)
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  Result(Errc code) : state_(std::in_place_index<1>, Error(code)) {}
  // NOLINTEND(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  /// By value, so that `for (x : f().value())` and the like refer to nothing that is gone.
  T value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { return std::get<1>(state_); }
  Error error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() : state_(std::in_place_index<0>) {}
  // NOLINTBEGIN(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  Result(Errc code) : state_(std::in_place_index<1>, Error(code)) {}
  // NOLINTEND(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  void value() const {}

  const Error& error() const& { return std::get<1>(state_); }
  Error error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<std::monostate, Error> state_;
};

/// `result`, an error of it with "context: " before its message.
template <typename T>
Result<T> in_context(Result<T> result, std::string_view context) {
  if (result.ok()) return result;
  return std::move(result).error().with_context(context);
}

}  // namespace varve

/// The value of `expression`, a Result; its error returns from the calling function. May stand
/// within another's expression.
#define VARVE_TRY(expression) VARVE_TRY_AS(__COUNTER__, expression)
#define VARVE_TRY_AS(number, expression) VARVE_TRY_JOIN(number, expression)
#define VARVE_TRY_JOIN(number, expression) VARVE_TRY_NAMED(varve_result_##number, expression)
// `result` is a name that is declared, which parentheses cannot be around.
// NOLINTBEGIN(bugprone-macro-parentheses)
#define VARVE_TRY_NAMED(result, expression) \
  __extension__({                           \
    auto&& result = (expression);           \
    if (!result.ok()) {                     \
      return std::move(result).error();     \
    }                                       \
    std::move(result).value();              \
  })
// NOLINTEND(bugprone-macro-parentheses)
