// Step 01 promises another `/`, and nothing else.

#include "steps/tests/host.hpp"

#include <csignal>

using host::Caller, host::Fails, host::Kept, host::Pieces, host::shell,
    host::step;

TEST_SUITE_BEGIN("01-chroot");

PROMISE_AS_ROOT(
    "/ is the rootfs", Kept{"01-08"}, Pieces{"Another root directory"},
    Fails{"We list / in the container and expect the files of the rootfs, and "
          "no way up by .., because a path to the host is a way out."}) {
  const auto inside = shell(step(Caller::kRoot, "01-chroot") + "ls /");
  CHECK(inside.out == shell("ls " + host::rootfs(Caller::kRoot)).out);
  CHECK(shell(step(Caller::kRoot, "01-chroot") + "pwd").out == "/\n");
  CHECK(shell(step(Caller::kRoot, "01-chroot") + "ls -d /..").out == "/..\n");
}

PROMISE_AS_ROOT(
    "a file made outside is seen inside, and the other way round",
    Kept{"01-04"}, Pieces{"Another root directory"},
    Fails{"We make a file on the host and one in the container, and expect "
          "each side to see both, because they share the directory."}) {
  const auto tree = host::scratch("two-ways");
  shell("cp -a " + host::rootfs(Caller::kRoot) + "/. " + tree);
  shell("echo from-outside >" + tree + "/tmp/one");
  const auto run = host::step_in(tree, Caller::kRoot, "01-chroot");
  CHECK(shell(run + "cat /tmp/one").out == "from-outside\n");
  shell(run + "sh -c 'echo from-inside >/tmp/two'");
  CHECK(host::contents(tree + "/tmp/two") == "from-inside\n");
}

PROMISE_AS_ROOT("its process numbers are the host's", Kept{"01"},
                Pieces{"Another root directory"},
                Fails{"We compare the PID that the command knows with its PID "
                      "on the host, and expect the same number, because this "
                      "step changes only the root directory."}) {
  host::Running box{step(Caller::kRoot, "01-chroot") +
                    "sh -c 'echo $$; read wait'"};
  const auto number = box.hear();
  CHECK(number == std::to_string(box.child()));
  box.finish();
}

PROMISE_AS_ROOT(
    "still open: it kills a process of the host", Kept{"01"},
    Pieces{"Another root directory"},
    Fails{"We kill a process of the host from the container and expect it to "
          "end, because this step separates no processes yet."}) {
  host::Running victim{"sleep 1000"};
  const auto number = std::to_string(victim.pid());
  shell(step(Caller::kRoot, "01-chroot") + "kill -TERM " + number);
  CHECK_MESSAGE(host::eventually(host::is_gone, victim.pid()),
                "the process of the host lives");
}

PROMISE_AS_USER("chroot takes root, and the program says so", Kept{"01"},
                Pieces{"Another root directory"},
                Fails{"We run the step as an ordinary user and expect status "
                      "125 and the error of chroot(2), because a call that is "
                      "not checked leaves the command on the host."}) {
  const auto result = shell(step(Caller::kUser, "01-chroot") + "true");
  CHECK(result.status == 125);
  CHECK(
      result.err ==
      "01-chroot: chroot(2) to the working directory: "
      "Operation not permitted (EPERM); hint: this needs root: run it as root, "
      "or in make lab\n");
}

TEST_SUITE_END();
