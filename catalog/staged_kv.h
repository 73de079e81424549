// A Kv whose changes are visible at once and durable at the next commit.
//
//   apply -> active --freeze--> frozen --commit_frozen--> base
//
// Readers see active over frozen over base. A commit writes what was applied before freeze, while
// new changes go on into a fresh active layer: nobody waits for a disk. One frozen layer at a time.
//
// Threads: get, scan and apply may be called from any thread; who needs several of them to be one
// transaction holds a lock of his own around them and around freeze (LiveTree does). commit_frozen
// is for one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "dedup/base/kv.h"

namespace varve {

class StagedKv {
 public:
  explicit StagedKv(Kv& base);
  ~StagedKv();

  Result<std::optional<std::string>> get(std::string_view key) const;

  /// Calls `visit(key, value)` for keys in [from, to) in order until it gives false. Within
  /// `visit`, get may be called, apply and freeze not.
  Result<void> scan(std::string_view from, std::string_view to,
                    const std::function<bool(std::string_view, std::string_view)>& visit) const;

  /// All of `batch`, at once.
  void apply(KvBatch batch);

  /// False if there is nothing to commit. A layer that is frozen still, because its commit was
  /// given up, is frozen anew with the rest.
  bool freeze();
  /// Commits the frozen layer, if there is one, together with `extra`. On failure both stay frozen,
  /// nothing is lost: call it again, or thaw, or freeze them anew with what came since.
  Result<void> commit_frozen(KvBatch extra);
  /// Puts the frozen layer, if there is one, back beneath the active one: for a commit that is
  /// given up.
  void thaw();

  /// Memory that changes take which are not durable yet, about.
  size_t staged_bytes() const;
  /// How often apply was called: who keeps a copy of rows sees whether it can still be right.
  uint64_t applies() const;
  Kv& base();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace varve
