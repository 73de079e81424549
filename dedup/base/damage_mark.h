// A file that says that what lies beside it is damaged and must not be opened again.
//
// It is set by whoever finds the damage; or by the very signal that ends the process, so that what
// kills a program once does not do so at every start. Any thread.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <string_view>

namespace varve {

class DamageMark {
 public:
  /// The file "damaged" in that directory.
  explicit DamageMark(const std::string& directory);

  /// What it says, if it is there.
  std::optional<std::string> reason() const;
  /// Whether this was the first call; the first reason stays. What cannot be written is logged.
  bool set(std::string_view reason);

  /// While it lives, a signal of a broken program (SIGSEGV, SIGABRT, ...) in its thread sets the
  /// mark, and then ends the process as ever.
  class UntilDeath {
   public:
    explicit UntilDeath(const DamageMark& mark);
    ~UntilDeath();
    UntilDeath(const UntilDeath&) = delete;
    UntilDeath& operator=(const UntilDeath&) = delete;
  };

 private:
  const std::string path_;
  std::atomic<bool> is_set_ = false;
};

}  // namespace varve
