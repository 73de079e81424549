// varve verify: reads a store's immutable files and says whether they are what they should be.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>
#include <unordered_set>

#include "catalog/local_place.h"
#include "dedup/base/log.h"
#include "dedup/base/posix_storage.h"
#include "dedup/catalog_mode.h"
#include "dedup/guard.h"
#include "fs/check_fields.h"
#include "replicator/holding_remotes.h"
#include "tools/check_output.h"
#include "tools/commands.h"
#include "tools/exit_codes.h"
#include "tools/passphrase.h"
#include "tools/report.h"

namespace varve {
namespace {

struct VerifyOptions {
  std::string store, ledger;
  SecretSource secret;
  bool no_key = false, json = false;
  double sample = 100, max_age_days = 0;
};

constexpr const char* kOwnLedger = "local/verified";
constexpr int64_t kSecondsPerDay = 86'400;

class Verify {
 public:
  explicit Verify(const VerifyOptions& options)
      : options_(options),
        line_(!options.json),
        now_(system_clock().now() / 1'000'000'000),
        depth_(options.no_key ? VerificationLedger::Depth::kHash
                              : VerificationLedger::Depth::kDecoded) {}

  Result<int> run() {
    storage_ = VARVE_TRY(open_store_storage(options_.store));
    config_ = VARVE_TRY(in_context(read_store_config(*storage_), options_.store));
    const GuardFound found = VARVE_TRY(read_guard(*storage_, options_.store, config_.store_id));
    if (found.guard) replica_ = found.guard->replica;
    VARVE_TRY(open_ledger());
    VARVE_TRY(choose());
    const CheckReport report = VARVE_TRY(check());
    line_.clear();
    nlohmann::json fields = check_fields(report);
    if (const auto senders = VARVE_TRY(senders_without_catalog(*storage_)); !senders.empty())
      fields["no_disaster_copy"] = no_disaster_copy(senders);
    if (ledger_) {
      add_ages(fields);
      VARVE_TRY(ledger_->compact(packs_));
    }
    print(fields);
    return outcome_of(fields).left > 0 ? kExitCorrupt : kExitOk;
  }

 private:
  Result<void> open_ledger() {
    if (options_.ledger.empty()) {
      // A remote has no local/, and may be read-only: then nothing is remembered.
      const std::string local = options_.store + "/local";
      if (::access(local.c_str(), W_OK) == 0) {
        ledger_ = VARVE_TRY(VerificationLedger::open(*storage_, kOwnLedger));
      } else if (options_.max_age_days > 0) {
        return Error(Errc::kInvalid,
                     "--max-age needs a ledger, and the store has no local/ to keep it in: name a "
                     "file with --ledger");
      }
      return {};
    }
    const size_t slash = options_.ledger.rfind('/');
    const std::string folder =
        slash == std::string::npos ? "." : options_.ledger.substr(0, slash + 1);
    ledger_storage_ = VARVE_TRY(open_posix_storage(folder));
    ledger_ = VARVE_TRY(VerificationLedger::open(
        *ledger_storage_,
        slash == std::string::npos ? options_.ledger : options_.ledger.substr(slash + 1)));
    return {};
  }

  /// The packs to read: those that were not read for the longest time, oldest first.
  Result<void> choose() {
    std::vector<std::tuple<int64_t, uint64_t, FileHash>> due;
    std::mt19937_64 dice{std::random_device()()};  // packs of one age come in any order
    const StoreFiles files = VARVE_TRY(list_store_files(*storage_));
    for (const StoreFile& file : files.files) {
      if (file.file_class != FileClass::kPack && file.file_class != FileClass::kCatalogPack)
        continue;
      packs_.insert(file.hash);
      const int64_t last = last_of(file.hash);
      if (options_.max_age_days > 0 && now_ - last < max_age_seconds()) continue;
      due.emplace_back(last, dice(), file.hash);
    }
    std::sort(due.begin(), due.end());
    const double part = static_cast<double>(packs_.size()) * options_.sample / 100;
    const auto count = std::min(due.size(), static_cast<size_t>(std::ceil(part)));
    for (size_t i = 0; i < count; i++) chosen_.insert(std::get<FileHash>(due[i]));
    return {};
  }

  int64_t last_of(const FileHash& pack) const {
    return ledger_ ? ledger_->last(pack, depth_).value_or(0) : 0;
  }
  int64_t max_age_seconds() const {
    return static_cast<int64_t>(options_.max_age_days * kSecondsPerDay);
  }

  Result<CheckReport> check() {
    CheckOptions options;
    options.read_data = true;
    options.local = false;
    options.threads = std::max(1U, std::thread::hardware_concurrency());
    if (auto holding = holding_remotes(*storage_); holding.ok()) options.remotes = *holding;
    options.ledger = ledger_.get();
    options.wanted = [this](const FileHash& pack) { return chosen_.contains(pack); };
    options.progress = [this](const CheckProgress& progress) { show_progress(line_, progress); };
    if (options_.no_key) {
      return check_store_without_key({*storage_, config_, replica_}, options);
    }
    const AccessSecret secret = VARVE_TRY(read_access_secret(options_.secret, options_.store));
    const Keyring keyring = VARVE_TRY(open_keyring(*storage_, config_, secret));
    return check_store({*storage_, config_, keyring, nullptr, replica_}, options);
  }

  void add_ages(nlohmann::json& fields) const {
    uint64_t never = 0, late = 0;
    int64_t oldest = now_;
    for (const FileHash& pack : packs_) {
      const int64_t last = last_of(pack);
      if (last == 0) {
        never++;
        continue;
      }
      oldest = std::min(oldest, last);
      if (options_.max_age_days > 0 && now_ - last > max_age_seconds()) late++;
    }
    fields["never_verified"] = never;
    if (options_.max_age_days > 0) fields["older_than_max_age"] = late;
    if (never < packs_.size()) fields["oldest_verification"] = utc_iso(oldest * 1'000'000'000);
  }

  void print(const nlohmann::json& fields) const {
    if (options_.json) {
      fmt::print("{}\n", fields.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
      return;
    }
    print_check(fields, options_.store);
    if (fields.contains("no_disaster_copy"))
      fmt::print("{}\n", fields["no_disaster_copy"].get<std::string>());
    if (!fields.contains("never_verified")) return;
    const uint64_t never = fields["never_verified"].get<uint64_t>();
    if (never > 0) {
      fmt::print("{} of {} packs were never found whole so far\n", never, packs_.size());
    } else if (fields.contains("oldest_verification")) {
      fmt::print("every pack was read and found whole since {}\n",
                 fields["oldest_verification"].get<std::string>());
    }
  }

  const VerifyOptions& options_;
  ProgressLine line_;
  const int64_t now_;
  const VerificationLedger::Depth depth_;
  std::unique_ptr<Storage> storage_, ledger_storage_;
  StoreConfig config_;
  ReplicaId replica_;
  std::unique_ptr<VerificationLedger> ledger_;
  std::unordered_set<FileHash, IdHash> packs_, chosen_;
};

}  // namespace

void add_verify_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = app.add_subcommand(
      "verify", "Read a store's files and check them, mounted or not; a remote or a drive, too");
  command->add_option("store", options->store, "STORE, or any directory with its files")
      ->required();
  auto* no_key = command->add_flag(
      "--no-key", options->no_key,
      "Without a key: hashes, signatures, and whether the packs that snapshots need are here");
  add_secret_options(*command, options->secret);
  for (const char* secret : {"--passphrase-file", "--key-file", "--recovery-key-file"}) {
    no_key->excludes(command->get_option(secret));
  }
  command
      ->add_option("--sample", options->sample,
                   "Read that part of the packs only, those first that were not read for longest")
      ->type_name("N%")
      ->transform([](std::string text) {
        if (!text.empty() && text.back() == '%') text.pop_back();
        return text;
      })
      ->check(CLI::Range(0.0, 100.0));
  command
      ->add_option("--max-age", options->max_age_days,
                   "Read only packs that were not found whole within that many days")
      ->type_name("DAYS")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--ledger", options->ledger,
                   "File that remembers when which pack was read (else STORE/local/verified)")
      ->type_name("FILE");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "Examples: varve verify --passphrase-file pw /srv/store\n"
      "          varve verify --no-key --max-age 30 --sample 5% --ledger /var/lib/varve/drive "
      "/mnt/drive\n"
      "Run daily, the second reads a twentieth each day, and everything within 30 days.");
  command->callback([options, &exit_code] {
    set_log_level(LogLevel::kError);
    const Result<int> done = Verify(*options).run();
    exit_code = done.ok() ? *done : report_error(done.error());
  });
}

}  // namespace varve
