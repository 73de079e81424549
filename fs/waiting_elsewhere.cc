#include "fs/waiting_elsewhere.h"

namespace varve {
namespace {

thread_local Substitution* session_of_thread = nullptr;

}  // namespace

void tell_waits_of_this_thread(Substitution* session) {
  session_of_thread = session;
}

WaitingElsewhere::WaitingElsewhere() {
  if (session_of_thread != nullptr) session_of_thread->wait_begins();
}

WaitingElsewhere::~WaitingElsewhere() {
  if (session_of_thread != nullptr) session_of_thread->wait_ends();
}

}  // namespace varve
