// The container can run the programs below its root directory, and no other.
// Until execve(2), a process of the container runs our program of the host. So
// a file of the image that begins with "#!/proc/self/exe" would make execve(2)
// run our program in the container, and then the container could open its file.
// In this way CVE-2019-5736 overwrote runc. See landlock(7).

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.hpp"
#include "steps/08-all/layers.hpp"

#ifndef LANDLOCK_ACCESS_FS_REFER  // Linux 5.19
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif

void confine_programs() {
  // The other right is to link and rename from one directory to another: a rule
  // set that does not mention it forbids it, and before version 2 none could.
  constexpr auto kRights =
      LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REFER;
  const auto version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0,
                                 LANDLOCK_CREATE_RULESET_VERSION);
  const bool is_missing =
      version == -1 && (errno == ENOSYS || errno == EOPNOTSUPP);
  if (!is_missing)
    sys::check(version, "landlock_create_ruleset(2): ask for the version");
  if (version < 2) {
    sys::lack("wall around the host's programs",
              "this kernel has no Landlock, or an early one");
    return;
  }
  landlock_ruleset_attr rules{};
  rules.handled_access_fs = kRights;
  const sys::Fd ruleset{static_cast<int>(sys::check(
      ::syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0),
      "landlock_create_ruleset(2)"))};
  const sys::Fd root{sys::check(::open("/", O_PATH | O_CLOEXEC), "open(2) /")};
  landlock_path_beneath_attr beneath{};
  beneath.allowed_access = kRights;
  beneath.parent_fd = root.get();
  sys::check(::syscall(SYS_landlock_add_rule, ruleset.get(),
                       LANDLOCK_RULE_PATH_BENEATH, &beneath, 0),
             "landlock_add_rule(2): allow programs below /");
  sys::check(::syscall(SYS_landlock_restrict_self, ruleset.get(), 0),
             "landlock_restrict_self(2): allow no other program");
}
