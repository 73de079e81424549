#include "catalog/row_probe.h"

namespace varve {

Result<RowProbe> RowProbe::open(KvView& view) {
  return RowProbe(VARVE_TRY(view.cursor()));
}

bool RowProbe::covers(std::string_view key) const {
  return placed_ && key >= from_ && (!cursor_->valid() || key <= cursor_->key());
}

Result<void> RowProbe::seek(std::string_view key) {
  if (covers(key)) return {};
  // Rows of neighbours are often neighbours.
  if (placed_ && cursor_->valid() && key > cursor_->key()) {
    VARVE_TRY(next());
    if (covers(key)) return {};
  }
  VARVE_TRY(cursor_->seek(key));
  from_.assign(key);
  placed_ = true;
  return {};
}

Result<void> RowProbe::next() {
  from_.assign(cursor_->key());
  from_.push_back('\0');
  return cursor_->next();
}

}  // namespace varve
