// What a record's statements are about: made here, told apart here. Pure functions (docs/format.md
// section 6).
#pragma once

#include <string>
#include <string_view>

#include "dedup/history_format.h"

namespace varve {

Statement drop_statement(const FileHash& snapshot, const ReplicaId& replica);
Statement lock_statement(const FileHash& snapshot, int64_t until_seconds);
Statement policy_statement(const SetId& set, std::string_view json);

/// The subject that a statement speaks of, as a key: of all statements with one subject the newest
/// is in force. kCorrupt if the statement's readable part does not have its type's form. A base has
/// no subject: kInvalid.
Result<std::string> subject_of(const Statement& statement);

/// Subjects to look up what is in force.
std::string drop_subject(const FileHash& snapshot, const ReplicaId& replica);
std::string forget_subject(const FileHash& snapshot);
std::string lock_subject(const FileHash& snapshot);
std::string policy_subject(const SetId& set);

/// Of two statements with one subject this one is in force: the higher (sequence, writer), but of
/// locks the one with the later date. Of equals neither outranks the other.
bool outranks(const BaseRecord::InForce& one, const BaseRecord::InForce& other);

/// Until when a lock holds, in seconds since 1970.
Result<int64_t> lock_until(const Statement& lock);

}  // namespace varve
