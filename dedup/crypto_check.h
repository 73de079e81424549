// Cryptography that fails where it cannot has no answer to give: no memory, or a broken library.
#pragma once

namespace varve {

/// Ends the program with a line that names `what` unless `held`. For calls into the crypto library
/// with arguments that are right by construction, and for sizes that callers promise; never for
/// stored bytes, which are an Error.
void require_crypto(bool held, const char* what);

}  // namespace varve
