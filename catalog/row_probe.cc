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

Result<void> scan_table(
    KvView& view, char table,
    const std::function<Result<void>(std::string_view, std::string_view)>& visit) {
  const std::unique_ptr<KvCursor> cursor = VARVE_TRY(view.cursor());
  VARVE_TRY(cursor->seek(std::string(1, table)));
  while (cursor->valid() && cursor->key().front() == table) {
    VARVE_TRY(visit(cursor->key(), cursor->value()));
    VARVE_TRY(cursor->next());
  }
  return {};
}

}  // namespace varve
