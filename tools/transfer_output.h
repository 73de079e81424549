// What `varve absorb` and `varve carry` show of a transfer.
#pragma once

#include <string>

#include "replicator/transfer.h"
#include "tools/progress_line.h"

namespace varve {

/// The path as the kernel knows it; as it is if it cannot be told.
std::string absolute_path(const std::string& path);

class TransferLine {
 public:
  explicit TransferLine(bool wanted) : line_(wanted) {}
  ~TransferLine() { line_.clear(); }
  void show(const TransferFigures& figures);

 private:
  ProgressLine line_;
};

/// Prints the outcome; the exit code that fits.
int report_transfer(const TransferFigures& figures, bool json);

}  // namespace varve
