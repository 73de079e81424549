// One set's live tree: entries name inodes, each as often as it says; extents lie in files and in
// packs.
#include <fmt/format.h>

#include "catalog/check_live.h"
#include "catalog/tree_node.h"

namespace varve {
namespace {

void put_above(std::string& path, std::string_view above) {
  if (!path.empty()) path.insert(0, "/");
  path.insert(0, above);
}

}  // namespace

LiveTreeCheck::LiveTreeCheck(const LiveTables& tables, uint32_t set, const SetRow& row,
                             TreeCheck& trees, CheckReport& report)
    : tables_(tables), set_(set), row_(row), trees_(trees), report_(report) {
  where_.set = row.name;
  where_.id = row.id;
}

Result<void> LiveTreeCheck::run() {
  VARVE_TRY(each('t', [&](uint64_t, std::string_view, std::string_view) -> Result<void> {
    has_stubs_ = true;
    return {};
  }));
  if (!VARVE_TRY(inode(kTopNumber))) {
    wrong(kTopNumber, "the top directory has no inode");
    return {};
  }
  reached_.at(kTopNumber) = 1;
  VARVE_TRY(check_entries());
  VARVE_TRY(check_inodes());
  VARVE_TRY(check_belongings());
  VARVE_TRY(check_extents());
  return check_references();
}

Result<void> LiveTreeCheck::each(char table, const Row& visit) {
  std::string prefix = key::prefix(table, row_.tree, 0);
  prefix.resize(prefix.size() - sizeof(uint64_t));
  return visit_rows(tables_.view, prefix,
                    [&](std::string_view key, std::string_view value) -> Result<void> {
                      if (trees_.is_stopped()) return Errc::kInterrupted;
                      const uint64_t number = key::last_u64(key.substr(0, key::kNumberKeyBytes));
                      return visit(number, key::tail(key, key::kNumberKeyBytes), value);
                    });
}

Result<std::optional<Inode>> LiveTreeCheck::inode(uint64_t number) {
  const auto value = VARVE_TRY(tables_.view.get(key::inode(row_.tree, number)));
  if (!value) return std::optional<Inode>();
  Result<Inode> decoded = decode_inode(*value);
  if (!decoded.ok()) return std::optional<Inode>();  // reported where all inodes are looked at
  return std::optional<Inode>(*decoded);
}

Result<bool> LiveTreeCheck::has(const std::string& key) {
  return VARVE_TRY(tables_.view.get(key)).has_value();
}

void LiveTreeCheck::wrong(uint64_t number, std::string problem) {
  Finding finding;
  finding.kind = FindingKind::kWorkingCopy;
  finding.file = "local/db";
  finding.set = row_.name;
  finding.path = path_of(number);
  finding.problem = std::move(problem);
  report_.add(std::move(finding));
}

/// Called for what is wrong alone: looking for names among entries takes its time.
std::string LiveTreeCheck::path_of(uint64_t number) {
  constexpr int kDepthMax = 4096;  // a ring of directories has no end
  std::string path;
  for (int depth = 0; number != kTopNumber && depth < kDepthMax; depth++) {
    const auto name = name_of(number);
    if (!name) break;
    put_above(path, name->second);
    number = name->first;
  }
  if (number == kTopNumber) return path;
  return fmt::format("file number {}{}{}", number, path.empty() ? "" : "/", path);
}

/// The directory and the name of a file: of one that is linked, any.
std::optional<std::pair<uint64_t, std::string>> LiveTreeCheck::name_of(uint64_t number) {
  const Result<std::optional<Inode>> at = inode(number);
  if (!at.ok() || !*at) return std::nullopt;
  std::string prefix = key::prefix('d', row_.tree, number_of((*at)->parent));
  if ((*at)->parent == 0) {
    if (!(*at)->linked || ++searches_ > kSearchesMax) return std::nullopt;
    prefix.resize(prefix.size() - sizeof(uint64_t));
  }
  std::optional<std::pair<uint64_t, std::string>> found;
  const auto look = [&](std::string_view key, std::string_view value) -> Result<void> {
    const auto row = decode_entry(value);
    if (found || !row.ok() || row->set != set_ || row->number != number) return {};
    const uint64_t directory = key::last_u64(key.substr(0, key::kNumberKeyBytes));
    found.emplace(directory, std::string(key::tail(key, key::kNumberKeyBytes)));
    return {};
  };
  if (!visit_rows(tables_.view, prefix, look).ok()) return std::nullopt;
  return found;
}

// Entries.

Result<void> LiveTreeCheck::check_entries() {
  VARVE_TRY(each('d', [&](uint64_t directory, std::string_view name, std::string_view value) {
    return check_entry(directory, name, value);
  }));
  VARVE_TRY(end_directory());
  uint64_t cookies = 0;
  VARVE_TRY(each('c', [&](uint64_t, std::string_view, std::string_view) -> Result<void> {
    cookies++;
    return {};
  }));
  if (cookies != entries_) {
    wrong(kTopNumber, fmt::format("{} entries and {} cookies of entries", entries_, cookies));
  }
  return {};
}

Result<void> LiveTreeCheck::check_entry(uint64_t directory, std::string_view name,
                                        std::string_view value) {
  if (directory != directory_) {
    VARVE_TRY(end_directory());
    directory_ = directory;
    const auto found = VARVE_TRY(inode(directory));
    if (!found || found->type != FileType::kDirectory) {
      wrong(directory, "has entries, and is no directory");
    }
  }
  entries_++;
  report_.paths++;
  const auto row = decode_entry(value);
  if (!row.ok() || !is_entry_name(name)) {
    wrong(directory, "an entry makes no sense");
    return {};
  }
  if (row->type == FileType::kDirectory) subdirectories_++;
  const auto listed = VARVE_TRY(tables_.view.get(key::cookie(row_.tree, directory, row->cookie)));
  const auto listing = listed ? decode_listed(*listed) : Result<ListedRow>(Errc::kNotFound);
  if (!listing.ok() || listing->name != name || listing->entry.number != row->number) {
    wrong(directory, fmt::format("entry '{}' is listed under another name, or not at all", name));
  }
  if (row->set != set_) return check_set_entry(name, *row);
  return check_entry_inode(directory, name, *row);
}

Result<void> LiveTreeCheck::check_set_entry(std::string_view name, const DirentRow& row) {
  const auto value = VARVE_TRY(tables_.view.get(key::set(row.set)));
  const auto set = value ? decode_set(*value) : Result<SetRow>(Errc::kNotFound);
  if (set_ == kRootSet && row.number == kTopNumber && set.ok() && !set->removed &&
      set->name == name) {
    return {};
  }
  wrong(kTopNumber, fmt::format("entry '{}' names a set that is not there", name));
  return {};
}

Result<void> LiveTreeCheck::check_entry_inode(uint64_t directory, std::string_view name,
                                              const DirentRow& row) {
  const auto child = VARVE_TRY(inode(row.number));
  if (!child) {
    wrong(directory,
          fmt::format("entry '{}' names file number {}, which has no inode", name, row.number));
    return {};
  }
  if (child->type != row.type) {
    wrong(directory, fmt::format("entry '{}' is of another type than its inode", name));
  }
  if (!child->linked && child->parent != make_ino(set_, directory)) {
    wrong(directory, fmt::format("entry '{}' names an inode of another directory", name));
  }
  uint8_t& count = names_.at(row.number);
  if (count < NumberTable::kMax) count++;
  if (count == NumberTable::kMax)
    many_.try_emplace(row.number, NumberTable::kMax - 1).first->second++;
  return {};
}

/// A directory has a link from itself, one from above, and one from each directory in it.
Result<void> LiveTreeCheck::end_directory() {
  if (directory_ == 0) return {};
  const uint64_t directories = std::exchange(subdirectories_, 0);
  const auto found = VARVE_TRY(inode(directory_));
  if (!found || VARVE_TRY(has(key::stub(row_.tree, directory_)))) return {};
  if (found->links != directories + 2) {
    wrong(directory_,
          fmt::format("has {} directories in it and {} links", directories, found->links));
  }
  return {};
}

// Inodes.

Result<void> LiveTreeCheck::check_inodes() {
  return each('i', [&](uint64_t number, std::string_view, std::string_view value) -> Result<void> {
    const auto inode = decode_inode(value);
    if (!inode.ok()) {
      wrong(number, inode.error().message());
      return {};
    }
    return check_inode(number, *inode);
  });
}

Result<void> LiveTreeCheck::check_inode(uint64_t number, const Inode& inode) {
  uint32_t names = names_.at(number);
  if (const auto more = many_.find(number); more != many_.end()) names = more->second;
  if (number != kTopNumber && number >= row_.next_number) {
    wrong(number, fmt::format("is file number {}, which was not given yet", number));
  }
  if (inode.links == 0) {
    const bool orphan = VARVE_TRY(has(key::orphan(row_.tree, number)));
    if (names > 0) wrong(number, "has a name, and no links");
    if (!orphan) wrong(number, "has no links, and is not among the orphans");
    return {};
  }
  if (inode.type == FileType::kDirectory) {
    if (number == kTopNumber) return {};
    if (names != 1) wrong(number, fmt::format("is a directory with {} names", names));
    return check_directory(number, inode);
  }
  // Other names of a linked file may be in tree objects still.
  const bool fits = inode.linked && has_stubs_ ? names <= inode.links : names == inode.links;
  if (!fits) wrong(number, fmt::format("has {} names and {} links", names, inode.links));
  if (inode.type == FileType::kSymlink && !VARVE_TRY(has(key::symlink(row_.tree, number)))) {
    wrong(number, "is a symbolic link without a target");
  }
  return {};
}

/// Whether the top is above it: each directory is climbed from once.
Result<void> LiveTreeCheck::check_directory(uint64_t number, const Inode& inode_of_number) {
  constexpr uint8_t kReached = 1, kOnTheWay = 2;
  std::vector<uint64_t> way;
  uint64_t at = number;
  Inode now = inode_of_number;
  while (reached_.at(at) == 0) {
    reached_.at(at) = kOnTheWay;
    way.push_back(at);
    if (set_of(now.parent) != set_ || number_of(now.parent) == 0) break;
    at = number_of(now.parent);
    const auto above = VARVE_TRY(inode(at));
    if (!above) break;
    now = *above;
  }
  if (reached_.at(at) != kReached) wrong(number, "is a directory that the top is not above");
  for (const uint64_t one : way) reached_.at(one) = kReached;
  return {};
}

// What belongs to inodes.

Result<void> LiveTreeCheck::check_belongings() {
  for (const char table : std::string_view("xlo")) {
    uint64_t last = 0;
    VARVE_TRY(each(table, [&](uint64_t number, std::string_view, std::string_view) -> Result<void> {
      if (number == std::exchange(last, number)) return {};
      const auto owner = VARVE_TRY(inode(number));
      if (!owner) {
        wrong(number, fmt::format("has rows in table {}, and no inode", table));
      } else if (table == 'o' && owner->links != 0) {
        wrong(number, "is among the orphans, and has links");
      } else if (table == 'l' && owner->type != FileType::kSymlink) {
        wrong(number, "has a target, and is no symbolic link");
      }
      return {};
    }));
  }
  return {};
}

Result<void> LiveTreeCheck::check_extents() {
  uint64_t file = 0, end = 0, dead_from = 0;
  std::optional<Inode> owner;
  VARVE_TRY(each(
      'e', [&](uint64_t number, std::string_view rest, std::string_view value) -> Result<void> {
        if (number != file) {
          VARVE_TRY(end_extents(file));
          file = number;
          end = 0;
          owner = VARVE_TRY(inode(number));
          if (!owner || owner->type != FileType::kFile)
            wrong(number, "has extents, and is no file");
          dead_from = owner ? owner->size : 0;
          if (const auto freed = VARVE_TRY(tables_.view.get(key::freed(row_.tree, number)))) {
            const auto from = decode_u64(*freed);
            if (from.ok()) dead_from = std::min(dead_from, *from);
          }
        }
        const auto extent = decode_extent("e" + std::string(rest), value);
        if (!extent.ok() || rest.size() != sizeof(uint64_t)) {
          wrong(number, "an extent makes no sense");
          return {};
        }
        if (extent->offset >= dead_from) return {};
        if (extent->offset < end) wrong(number, "has extents that overlap");
        end = extent->offset + extent->length;
        trees_.check_extent(*extent, std::nullopt, damage_);
        return {};
      }));
  return end_extents(file);
}

Result<void> LiveTreeCheck::end_extents(uint64_t number) {
  if (damage_.bytes > 0) trees_.report_file(where_, path_of(number), damage_);
  damage_ = {};
  return {};
}

// What is in tree objects.

Result<void> LiveTreeCheck::check_references() {
  VARVE_TRY(
      each('t', [&](uint64_t number, std::string_view, std::string_view value) -> Result<void> {
        const auto ref = decode_tree_ref(value);
        const auto owner = VARVE_TRY(inode(number));
        if (!ref.ok() || !owner ||
            (owner->type != FileType::kDirectory && owner->type != FileType::kFile)) {
          wrong(number, "is said to be in a tree object, and is no file or directory");
          return {};
        }
        const bool directory = owner->type == FileType::kDirectory;
        const size_t before = report_.findings.size();
        trees_.check_stub(where_, "", *ref, directory ? TreeKind::kDirectory : TreeKind::kExtents,
                          row_.links);
        if (report_.findings.size() == before || number == kTopNumber) return {};
        const std::string above = path_of(number);
        for (size_t i = before; i < report_.findings.size(); i++) {
          std::string& path = *report_.findings[i].path;
          put_above(path, above);
        }
        return {};
      }));
  // The next snapshot refers to these as they are.
  return each('r', [&](uint64_t number, std::string_view, std::string_view value) -> Result<void> {
    const auto ref = decode_tree_ref(value);
    if (!ref.ok()) {
      wrong(number, "the tree object that says the same makes no sense");
    } else if (!tables_.packs.chunk(ref->id)) {
      Finding finding;
      finding.kind = FindingKind::kContent;
      finding.set = row_.name;
      finding.path = path_of(number);
      const auto lost = tables_.packs.lost_place(ref->id, ref->hint);
      if (lost) finding.pack = lost->pack;
      finding.problem = fmt::format("its next snapshot would refer to object {}, which is {}",
                                    ref->id.hex(), tables_.packs.where(lost));
      report_.add(std::move(finding));
    }
    return {};
  });
}

}  // namespace varve
