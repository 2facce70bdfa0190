// The caller's keys. No namespace separates a session keyring, so the child
// inherits it.

#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.hpp"
#include "steps/08-all/layers.hpp"

void leave_keys() {
  const auto keyring =
      ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
  if (keyring == -1 && errno == ENOSYS) return;  // A kernel without keys.
  sys::check(keyring, "keyctl(2) KEYCTL_JOIN_SESSION_KEYRING: a new keyring");
}
