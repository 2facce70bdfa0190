// Step 02 promises process numbers of the container's own.

#include "common/testing.hpp"
#include "steps/tests/host.hpp"
#include "steps/tests/mounts.hpp"

#include <csignal>
#include <filesystem>

using host::Caller, host::Fails, host::Kept, host::Pieces, host::must,
    host::shell, host::step;
namespace fs = std::filesystem;

TEST_SUITE_BEGIN("02-pidns");

namespace {

bool has_child(pid_t pid) {
  return !host::children(pid).empty();
}

}  // namespace

PROMISE_AS_ROOT(
    "the command is PID 1, and has another number outside", Kept{"02-07"},
    Pieces{"Separate process numbers"},
    Fails{"We ask the command for its PID and expect 1, and another number on "
          "the host, because the container has a new table of PIDs."}) {
  host::Running box{step(Caller::kRoot, "02-pidns") +
                    "sh -c 'echo $$; read wait'"};
  CHECK(box.hear() == "1");
  CHECK(box.child() > 1);
  const auto status =
      host::contents("/proc/" + std::to_string(box.child()) + "/status");
  CHECK_MESSAGE(
      status.find("NSpid:\t" + std::to_string(box.child()) + "\t1\n") !=
          std::string::npos,
      "the child of the program is not PID 1 of a new PID namespace, as the "
      "command must be");
  box.finish();
}

PROMISE_AS_ROOT("its PID namespace is another one than the host's",
                Kept{"02 05-08"},
                Pieces{"Separate process numbers", "A /proc for these numbers",
                       "/proc and /dev"},
                Fails{"We read /proc/self/ns/pid on both sides and expect two "
                      "different namespaces, because processes in one "
                      "namespace can signal each other."}) {
  const auto inside =
      shell(step(Caller::kRoot, "02-pidns") + "readlink /proc/self/ns/pid");
  CHECK_MESSAGE(inside.out.starts_with("pid:["),
                "the container cannot read this link: its /proc is empty, or "
                "not its own");
  CHECK(inside.out != shell("readlink /proc/self/ns/pid").out);
  // One step earlier it is the same.
  shell("mount -t proc proc " + host::rootfs(Caller::kRoot) + "/proc");
  CHECK(shell(step(Caller::kRoot, "01-chroot") + "readlink /proc/self/ns/pid")
            .out == shell("readlink /proc/self/ns/pid").out);
  shell("umount " + host::rootfs(Caller::kRoot) + "/proc");
}

PROMISE_AS_ROOT(
    "ps sees only the container's processes", Kept{"02 05-07"},
    Pieces{"A /proc for these numbers", "/proc and /dev"},
    Fails{"We list the numbers in the container's /proc and expect only 1, "
          "because a procfs must show the PID namespace of the container."}) {
  CHECK(shell(step(Caller::kRoot, "02-pidns") + "sh -c 'echo /proc/[0-9]*'")
            .out == "/proc/1\n");
}

PROMISE_AS_ROOT(
    "it cannot name a process of the host, so cannot kill it", Kept{"02-08"},
    Pieces{"Separate process numbers"},
    Fails{"We kill a PID of the host from the container and expect an error, "
          "because that number must mean nothing in the container."}) {
  host::Running victim{"sleep 1000"};
  const auto number = std::to_string(victim.pid());
  CHECK(shell(step(Caller::kRoot, "02-pidns") + "kill -9 " + number).status ==
        1);
  CHECK_MESSAGE(host::is_alive(victim.pid()),
                "the process of the host was killed");
}

PROMISE_AS_ROOT("PID 1 shrugs off its own SIGKILL", Kept{"02-07"},
                Pieces{"Separate process numbers"},
                Fails{"PID 1 kills itself and we expect it to go on, because "
                      "the kernel protects the first process of a PID "
                      "namespace from its own signals."}) {
  CHECK(
      shell(step(Caller::kRoot, "02-pidns") + "sh -c 'kill -9 $$; echo alive'")
          .out == "alive\n");
}

PROMISE_AS_ROOT("the end of PID 1 ends all", Kept{"02-08"},
                Pieces{"Separate process numbers"},
                Fails{"We kill PID 1 from the host and expect its children to "
                      "end too, because the end of a container must be the end "
                      "of all its processes."}) {
  host::Running box{step(Caller::kRoot, "02-pidns") +
                    "sh -c 'sleep 1000 & echo ready; read wait'"};
  CHECK(box.hear() == "ready");
  CHECK(host::eventually(has_child, box.child()));
  const auto sleeper = testing::first(host::children(box.child()));
  ::kill(box.child(), SIGKILL);
  CHECK(box.finish() == 128 + SIGKILL);
  CHECK_MESSAGE(!host::is_alive(sleeper), "a child of PID 1 still runs");
}

PROMISE_AS_ROOT("its /proc permits no more than it needs", Kept{"02"},
                Pieces{"A /proc for these numbers"},
                Fails{"We read the flags of the container's /proc and expect "
                      "nosuid, nodev and noexec, because no program and no "
                      "device is in a procfs."}) {
  const auto table =
      shell(step(Caller::kRoot, "02-pidns") + "cat /proc/self/mounts").out;
  const auto lacks = host::lacks(table, "/proc", "proc nosuid nodev noexec");
  CHECK_MESSAGE(lacks == "", lacks);
}

// In this user namespace, mount(2) is refused. One that makes a mount
// namespace, too, may mount.
PROMISE_AS_ROOT("it does not run a command without its /proc", Kept{"02"},
                Pieces{"A /proc for these numbers"},
                Fails{"We run the step where the kernel refuses to mount, and "
                      "expect the command not to run, because it would see "
                      "the /proc of the image."}) {
  CHECK(shell("unshare --user --map-root-user " +
              step(Caller::kRoot, "02-pidns") +
              "sh -c '[ -e /proc/1 ] || echo ran without'")
            .out == "");
}

// One that is better has a separate mount table.
TEST_AS_ROOT("still open: the host's mount table shows its /proc meanwhile") {
  host::Running box{step(Caller::kRoot, "02-pidns") +
                    "sh -c 'echo ready; read wait'"};
  CHECK(box.hear() == "ready");
  CHECK(shell("mountpoint -q '" + host::rootfs(Caller::kRoot) + "/proc'")
            .status == 0);
  box.finish();
}

PROMISE_AS_ROOT(
    "its /proc is gone afterwards, and no other mount is", Kept{"02-04"},
    Pieces{"A /proc for these numbers", "A separate user namespace"},
    Fails{"The host has a mount below the rootfs and looks into the "
          "container's /proc, and the container puts a link in the place of "
          "proc. We expect only the container's mount to be gone afterwards, "
          "because a program must unmount what it has mounted, and nothing "
          "else."}) {
  const auto tree = host::scratch("mounts-of-host") + "/rootfs";
  const auto proc = tree + "/proc";
  must("cp -a '" + host::rootfs(Caller::kRoot) + "' " + tree);
  const auto run = host::step_in(tree, Caller::kRoot, "02-pidns");

  must("mount -t tmpfs of-host " + proc);
  CHECK(shell(run + "true").status == 0);
  CHECK_MESSAGE(shell("mountpoint -q " + proc).status == 0,
                "a mount that was there before is gone");
  shell("umount " + proc);

  CHECK(shell("cd " + tree + "/..; " +
              host::step_in("rootfs", Caller::kRoot, "02-pidns") + "true")
            .status == 0);
  CHECK_MESSAGE(shell("mountpoint -q " + proc).status != 0,
                "the container's /proc stays if ROOTFS is a relative path");
  shell("umount " + proc);

  host::Running box{run + "sh -c 'echo ready; read wait'"};
  CHECK(box.hear() == "ready");
  host::Running guest{"sh -c 'cd " + proc + "; echo there; read wait'"};
  CHECK(guest.hear() == "there");
  box.finish();
  CHECK_MESSAGE(
      shell("mountpoint -q " + proc).status != 0,
      "the container's /proc stays if a process of the host is in it");
  guest.finish();
  shell("umount " + proc);

  const auto other = host::scratch("other-of-host");
  must("mount -t tmpfs of-host " + other);
  (void)shell(run + "sh -c 'umount /proc; rmdir /proc && ln -s " + other +
              " /proc'");
  CHECK_MESSAGE(shell("mountpoint -q " + other).status == 0,
                "a mount of the host is gone, because /proc had become a link "
                "to it");
  shell("umount " + other + "; umount " + proc);
}

PROMISE_AS_ROOT("/proc may not be a link, nor be missing", Kept{"02"},
                Pieces{"No link in the place of /proc"},
                Fails{"We run a rootfs without proc, and one where proc is a "
                      "link, and expect status 125 and one line, because "
                      "mount(2) would follow the link."}) {
  const auto tree = host::scratch("linked-proc");
  shell("cp -a '" + host::rootfs(Caller::kRoot) + "/bin' " + tree);
  const auto run = host::step_in(tree, Caller::kRoot, "02-pidns") + "true";
  CHECK(shell(run).status == 125);
  const auto line = "02-pidns: open(2) " + tree + "/proc";
  const auto is_line = [&](const std::string& err, const std::string& rest) {
    CHECK(host::lines(err).size() == 1);
    CHECK(err.starts_with(line));
    if (!host::is_learners()) CHECK(err == line + rest);
  };
  is_line(shell(run).err,
          ": No such file or directory (ENOENT); hint: a root filesystem has "
          "a directory proc: make rootfs\n");
  fs::create_directory_symlink("bin", tree + "/proc");
  CHECK(shell(run).status == 125);
  is_line(shell(run).err, ": Not a directory (ENOTDIR)\n");
}

TEST_SUITE_END();
