// Step 02 promises process numbers of the container's own.

#include "common/testing.hpp"
#include "steps/tests/host.hpp"

#include <csignal>
#include <filesystem>

using host::Caller, host::shell, host::step;
namespace fs = std::filesystem;

TEST_SUITE_BEGIN("02-pidns");

namespace {

bool has_child(pid_t pid) {
  return !host::children(pid).empty();
}

}  // namespace

TEST_AS_ROOT("the command is PID 1, and has another number outside") {
  host::Running box{step(Caller::kRoot, "02-pidns") +
                    "sh -c 'echo $$; read wait'"};
  CHECK(box.hear() == "1");
  CHECK(box.child() > 1);
  const auto status =
      host::contents("/proc/" + std::to_string(box.child()) + "/status");
  CHECK(status.find("NSpid:\t" + std::to_string(box.child()) + "\t1\n") !=
        std::string::npos);
  box.finish();
}

TEST_AS_ROOT("its PID namespace is another one than the host's") {
  const auto inside =
      shell(step(Caller::kRoot, "02-pidns") + "readlink /proc/self/ns/pid");
  CHECK(inside.out.starts_with("pid:["));
  CHECK(inside.out != shell("readlink /proc/self/ns/pid").out);
  // One step earlier it is the same.
  shell("mount -t proc proc " + host::rootfs(Caller::kRoot) + "/proc");
  CHECK(shell(step(Caller::kRoot, "01-chroot") + "readlink /proc/self/ns/pid")
            .out == shell("readlink /proc/self/ns/pid").out);
  shell("umount " + host::rootfs(Caller::kRoot) + "/proc");
}

TEST_AS_ROOT("ps sees only the container's processes") {
  CHECK(shell(step(Caller::kRoot, "02-pidns") + "sh -c 'echo /proc/[0-9]*'")
            .out == "/proc/1\n");
}

TEST_AS_ROOT("it cannot name a process of the host, so cannot kill it") {
  host::Running victim{"sleep 1000"};
  const auto number = std::to_string(victim.pid());
  CHECK(shell(step(Caller::kRoot, "02-pidns") + "kill -9 " + number).status ==
        1);
  CHECK(host::is_alive(victim.pid()));
}

TEST_AS_ROOT("PID 1 shrugs off its own SIGKILL") {
  CHECK(
      shell(step(Caller::kRoot, "02-pidns") + "sh -c 'kill -9 $$; echo alive'")
          .out == "alive\n");
}

TEST_AS_ROOT("the end of PID 1 ends all") {
  host::Running box{step(Caller::kRoot, "02-pidns") +
                    "sh -c 'sleep 1000 & echo ready; read wait'"};
  CHECK(box.hear() == "ready");
  CHECK(host::eventually(has_child, box.child()));
  const auto sleeper = testing::first(host::children(box.child()));
  ::kill(box.child(), SIGKILL);
  CHECK(box.finish() == 128 + SIGKILL);
  CHECK(!host::is_alive(sleeper));
}

TEST_AS_ROOT("still open: the host's mount table shows its /proc meanwhile") {
  host::Running box{step(Caller::kRoot, "02-pidns") +
                    "sh -c 'echo ready; read wait'"};
  CHECK(box.hear() == "ready");
  CHECK(shell("mountpoint -q '" + host::rootfs(Caller::kRoot) + "/proc'")
            .status == 0);
  box.finish();
}

TEST_AS_ROOT("/proc may not be a link, nor be missing") {
  const auto tree = host::scratch("linked-proc");
  shell("cp -a '" + host::rootfs(Caller::kRoot) + "/bin' " + tree);
  const auto run = host::step_in(tree, Caller::kRoot, "02-pidns") + "true";
  CHECK(shell(run).status == 125);
  CHECK(shell(run).err ==
        "02-pidns: cannot find a directory proc in " + tree +
            ": No such file or directory (ENOENT); hint: a root "
            "filesystem has one: make rootfs\n");
  fs::create_directory_symlink("bin", tree + "/proc");
  CHECK(shell(run).status == 125);
  CHECK(shell(run).err == "02-pidns: cannot find a directory proc in " + tree +
                              ": Not a directory (ENOTDIR)\n");
}

TEST_SUITE_END();
