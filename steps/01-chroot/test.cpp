// Step 01 promises another `/`, and nothing else.

#include "steps/tests/host.hpp"

#include <csignal>

using host::Caller, host::shell, host::step;

TEST_SUITE_BEGIN("01-chroot");

TEST_AS_ROOT("/ is the rootfs") {
  const auto inside = shell(step(Caller::kRoot, "01-chroot") + "ls /");
  CHECK(inside.out == shell("ls " + host::rootfs(Caller::kRoot)).out);
  CHECK(shell(step(Caller::kRoot, "01-chroot") + "pwd").out == "/\n");
  CHECK(shell(step(Caller::kRoot, "01-chroot") + "ls -d /..").out == "/..\n");
}

TEST_AS_ROOT("a file made outside is seen inside, and the other way round") {
  const auto tree = host::scratch("two-ways");
  shell("cp -a " + host::rootfs(Caller::kRoot) + "/. " + tree);
  shell("echo from-outside >" + tree + "/tmp/one");
  const auto run = host::step_in(tree, Caller::kRoot, "01-chroot");
  CHECK(shell(run + "cat /tmp/one").out == "from-outside\n");
  shell(run + "sh -c 'echo from-inside >/tmp/two'");
  CHECK(host::contents(tree + "/tmp/two") == "from-inside\n");
}

TEST_AS_ROOT("its process numbers are the host's") {
  host::Running box{step(Caller::kRoot, "01-chroot") +
                    "sh -c 'echo $$; read wait'"};
  const auto number = box.hear();
  CHECK(number == std::to_string(box.child()));
  box.finish();
}

TEST_AS_ROOT("still open: it kills a process of the host") {
  host::Running victim{"sleep 1000"};
  const auto number = std::to_string(victim.pid());
  shell(step(Caller::kRoot, "01-chroot") + "kill -TERM " + number);
  CHECK(victim.finish() == 128 + SIGTERM);
}

TEST_AS_USER("chroot takes root, and the program says so") {
  const auto result = shell(step(Caller::kUser, "01-chroot") + "true");
  CHECK(result.status == 125);
  CHECK(
      result.err ==
      "01-chroot: cannot set the root directory to the working directory: "
      "Operation not permitted (EPERM); hint: this needs root: run it as root, "
      "or in make lab\n");
}

TEST_SUITE_END();
