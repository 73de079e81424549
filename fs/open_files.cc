#include "fs/open_files.h"

namespace varve {

FileRef& FileRef::operator=(FileRef&& other) noexcept {
  if (this != &other) {
    reset();
    files_ = other.files_;
    state_ = std::move(other.state_);
  }
  return *this;
}

void FileRef::reset() {
  if (state_) files_->let_go(std::move(state_));
  state_ = nullptr;
}

FileRef OpenFiles::get(Ino ino) {
  std::lock_guard lock(mutex_);
  std::shared_ptr<FileState>& state = files_[ino];
  if (!state) state = std::make_shared<FileState>(ino);
  return {this, state};
}

FileRef OpenFiles::find(Ino ino) {
  std::lock_guard lock(mutex_);
  auto at = files_.find(ino);
  return at == files_.end() ? FileRef() : FileRef(this, at->second);
}

std::vector<FileRef> OpenFiles::all() {
  std::lock_guard lock(mutex_);
  std::vector<FileRef> result;
  result.reserve(files_.size());
  for (const auto& [ino, state] : files_) result.emplace_back(this, state);
  return result;
}

size_t OpenFiles::size() const {
  std::lock_guard lock(mutex_);
  return files_.size();
}

void OpenFiles::let_go(std::shared_ptr<FileState> state) {
  std::shared_ptr<FileState>
      last;  // destroyed outside the lock: its stream hands its segment to Ingest
  std::lock_guard lock(mutex_);
  auto at = files_.find(state->ino);
  bool ours = at != files_.end() && at->second == state;
  last = std::move(state);
  // The map's and ours: references are made under this lock alone, so nobody else can be at it.
  if (ours && at->second.use_count() == 2 && (last->discarded || !last->pending()))
    files_.erase(at);
}

}  // namespace varve
