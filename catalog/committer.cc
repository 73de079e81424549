#include "catalog/committer.h"

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>

namespace varve {
namespace {

/// One commit, and all the calls that it serves: those that came before it froze the rows.
struct Round {
  bool ended = false;
  Result<void> outcome;
};

}  // namespace

struct Committer::State {
  State(StagedKv& kv_, LiveTree& tree_, Ingest& ingest_, Options options_)
      : kv(kv_), tree(tree_), ingest(ingest_), options(std::move(options_)) {}

  StagedKv& kv;
  LiveTree& tree;
  Ingest& ingest;
  const Options options;

  std::mutex mutex;  // guards what follows; never held over a commit's work
  std::condition_variable changed;
  std::shared_ptr<Round> gathering;  // the round that will begin next
  bool committing = false;
  std::optional<Error> broken;
  std::atomic<bool> is_broken{false};  // for who only looks

  // Of the thread that commits or seals: the lengths of open packs that the base knows.
  std::map<PackId, uint64_t> open_lengths;

  Result<void> run(const std::function<Result<void>()>& at_freeze);
  Result<void> write(bool froze);
  void add_open(const std::vector<OpenPackLength>& lengths, KvBatch& rows);
  void add_sealed(const PackInfo& info, KvBatch& rows);
};

Committer::Committer(StagedKv& kv, LiveTree& tree, Ingest& ingest, Options options)
    : state_(std::make_unique<State>(kv, tree, ingest, std::move(options))) {}
Committer::~Committer() = default;

Result<void> Committer::admit(Change change) {
  if (state_->is_broken.load(std::memory_order_acquire)) {
    std::lock_guard lock(state_->mutex);
    return *state_->broken;
  }
  const size_t room = state_->options.staged_bytes_max * (change == Change::kRemoval ? 2 : 1);
  if (staged_bytes() <= room) return {};
  Result<void> committed = commit();
  return staged_bytes() <= room ? Result<void>() : committed;
}

Result<void> Committer::commit() {
  std::unique_lock lock(state_->mutex);
  if (!state_->gathering) state_->gathering = std::make_shared<Round>();
  std::shared_ptr<Round> round = state_->gathering;
  state_->changed.wait(lock, [&] { return round->ended || !state_->committing; });
  if (round->ended) return round->outcome;

  state_->gathering.reset();  // who comes from here on may come after the freeze
  state_->committing = true;
  lock.unlock();
  Result<void> outcome = state_->run(nullptr);
  lock.lock();
  round->ended = true;
  round->outcome = outcome;
  state_->committing = false;
  state_->changed.notify_all();
  return outcome;
}

Result<std::unique_ptr<KvView>> Committer::commit_and_view(
    const std::function<Result<void>()>& at_freeze) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return !state_->committing; });
  state_->committing = true;
  lock.unlock();
  Result<void> outcome = state_->run(at_freeze);
  // Nobody else commits yet: the view shows this commit and nothing later.
  Result<std::unique_ptr<KvView>> view = Errc::kIo;
  if (outcome.ok()) {
    view = state_->kv.base().view();
  } else {
    view = outcome.error();
  }
  lock.lock();
  state_->committing = false;
  state_->changed.notify_all();
  return view;
}

Result<std::vector<PackStore::Recovered>> Committer::seal_open(PackClass pack_class) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return !state_->committing; });
  state_->committing = true;
  lock.unlock();
  auto sealed = state_->ingest.seal_open(pack_class);
  if (sealed.ok() && !sealed->empty()) {
    KvBatch rows;
    for (const PackStore::Recovered& one : *sealed) state_->add_sealed(one.info, rows);
    state_->kv.apply(std::move(rows));
  }
  lock.lock();
  state_->committing = false;
  state_->changed.notify_all();
  return sealed;
}

size_t Committer::staged_bytes() const {
  return state_->kv.staged_bytes();
}

Result<void> Committer::State::run(const std::function<Result<void>()>& at_freeze) {
  {
    std::lock_guard lock(mutex);
    if (broken) return *broken;
  }
  bool froze = false;
  VARVE_TRY(tree.exclusively([&]() -> Result<void> {
    if (at_freeze) VARVE_TRY(at_freeze());
    froze = kv.freeze();
    return {};
  }));
  Result<void> outcome = write(froze);
  // What was frozen stays so, and is more by the rows that the first try added: one moment, one
  // commit.
  while (!outcome.ok() && outcome.error().code() == Errc::kNoSpace && options.find_space())
    outcome = write(true);
  if (!outcome.ok()) {
    kv.thaw();
    std::lock_guard lock(mutex);
    // Busy: the database has to grow, and a view of it stayed open.
    const Errc code = outcome.error().code();
    if (code != Errc::kNoSpace && code != Errc::kBusy) {
      broken = outcome.error();
      is_broken.store(true, std::memory_order_release);
    }
  }
  return outcome;
}

Result<void> Committer::State::write(bool froze) {
  KvBatch rows;
  if (froze) add_open(VARVE_TRY(ingest.sync()), rows);
  // After the sync: a pack that was open there and is sealed by now has its w row erased again.
  for (const PackStore::Recovered& sealed : ingest.take_sealed()) add_sealed(sealed.info, rows);
  if (!froze && rows.empty()) return {};
  return kv.commit_frozen(std::move(rows));
}

void Committer::State::add_open(const std::vector<OpenPackLength>& lengths, KvBatch& rows) {
  for (const OpenPackLength& open : lengths) {
    auto known = open_lengths.find(open.pack);
    if (known != open_lengths.end() && known->second == open.length) continue;
    // Remembered before it is durable: where the commit fails, the row stays staged.
    open_lengths.insert_or_assign(open.pack, open.length);
    rows.insert_or_assign(
        key::open_pack(open.pack),
        encode(OpenPackRow{.pack_class = open.pack_class, .length = open.length}));
  }
}

void Committer::State::add_sealed(const PackInfo& info, KvBatch& rows) {
  open_lengths.erase(info.pack);
  rows.insert_or_assign(key::open_pack(info.pack), std::nullopt);
  rows.insert_or_assign(key::pack(info.pack), encode(info));
  if (info.pack_class == PackClass::kData) rows.insert_or_assign(key::unbundled(info.pack), "");
}

}  // namespace varve
