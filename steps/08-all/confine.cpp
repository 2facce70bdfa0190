// The walls that stand between a command and the rest, when all is set up that
// needs rights. 08-all and enter both end with them.

#include <sys/personality.h>
#include <sys/prctl.h>

#include "common/error.hpp"
#include "steps/08-all/layers.hpp"

void confine(const sys::Walls& walls) {
  leave_descriptors();
  sys::check(::personality(PER_LINUX), "personality(2) PER_LINUX");
  if (walls.no_new_privs)
    sys::check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
               "prctl(2) PR_SET_NO_NEW_PRIVS 1");
  if (walls.landlock) confine_programs();
  if (walls.seccomp) filter_system_calls();
  if (walls.capabilities) drop_capabilities();
}
