// Whether the line to a remote was lost, as far as who replicates has written down.
//
// Nothing here touches the remote: it answers at once whatever that does. Any thread.
#pragma once

#include "replicator/remote.h"

namespace varve {

/// Why nothing gets to the remote: it hangs, or the last contact failed. Empty: it does, or nothing
/// is known of it. What was written last counts, also where nobody replicates any more.
Result<std::string> link_loss(Storage& store, const RemoteConfig& remote);

/// One line a remote that was lost and that jobs wait for (OnLinkLoss::kStop).
Result<std::vector<std::string>> lost_links(Storage& store);

}  // namespace varve
