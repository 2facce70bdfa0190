// Step 05 promises a mount table of its own, and an image that nobody changes.

#include "steps/tests/host.hpp"

#include <algorithm>
#include <filesystem>

using host::Caller, host::must, host::shell, host::step;
namespace fs = std::filesystem;

TEST_SUITE_BEGIN("05-mountns");

namespace {

const std::string kStep = "05-mountns";

// Names, kinds, sizes and contents of a whole tree.
std::string fingerprint(const std::string& tree) {
  return shell("cd '" + tree +
               "' && ls -lAR --time-style=full-iso . && "
               "find . -type f -exec cat {} + | cksum")
      .out;
}

// A rootfs of the caller's own, to be spoilt.
std::string copy_of_rootfs(Caller caller, const std::string& name) {
  auto tree = host::scratch(name) + "/rootfs";
  must("cp -a '" + host::rootfs(caller) + "' " + tree);
  return tree;
}

}  // namespace

TEST_AS_BOTH("a mount made inside is not on the host") {
  const auto before = host::mounts();
  host::Running box{step(caller, kStep) +
                    "sh -c 'mount -t tmpfs secret /mnt && echo 1 >/mnt/file && "
                    "echo ready; read wait'"};
  CHECK(box.hear() == "ready");
  CHECK(host::changed_mounts(before) == "");
  const auto table = "/proc/" + std::to_string(box.child()) + "/mountinfo";
  CHECK(host::contents(table).find(" /mnt ") != std::string::npos);
  box.finish();
}

TEST_AS_BOTH("nothing of the host's mounts is left inside") {
  const auto mounts = shell(step(caller, kStep) +
                            "sh -c 'cut -d\" \" -f5 /proc/self/mountinfo | "
                            "sort | xargs'");
  CHECK(mounts.out ==
        "/ /dev /dev/full /dev/null /dev/pts /dev/random /dev/shm /dev/tty "
        "/dev/urandom /dev/zero /proc /tmp\n");
  const auto table = shell(step(caller, kStep) + "cat /proc/self/mountinfo");
  const auto rows = host::lines(table.out);
  // Not always the first: who copies the devices earlier has them above it.
  const auto root = std::find_if(rows.begin(), rows.end(), [](const auto& row) {
    return row.find(" / / ") != row.npos;
  });
  const auto root_mount = root == rows.end() ? "" : *root;
  CHECK(root_mount.find(" / / rw,nodev") != std::string::npos);
  CHECK(root_mount.find(" - overlay ") != std::string::npos);
  const auto spreads = shell(step(caller, kStep) +
                             "grep -oE '(shared|master):' /proc/self/mountinfo")
                           .out;
  CHECK(spreads == "");
  CHECK(shell(step(caller, kStep) + "ls /..").out ==
        shell(step(caller, kStep) + "ls /").out);
}

TEST_AS_ROOT("what the host mounts meanwhile is not inside") {
  const auto tree = copy_of_rootfs(Caller::kRoot, "shared");
  // As systemd leaves all mounts.
  must("mount --bind " + tree + " " + tree + "; mount --make-shared " + tree);
  host::Running box{host::step_in(tree, Caller::kRoot, kStep) +
                    "sh -c 'echo ready; read wait; ls /mnt; echo end'"};
  CHECK(box.hear() == "ready");
  must("mount -t tmpfs late " + tree + "/mnt; touch " + tree + "/mnt/late");
  box.say("go on");
  CHECK(box.hear() == "end");
  box.finish();
  must("umount -R " + tree);
}

TEST_AS_BOTH("its mount namespace is its own") {
  const auto inside = shell(step(caller, kStep) + "readlink /proc/self/ns/mnt");
  CHECK(inside.out.starts_with("mnt:["));
  CHECK(inside.out != shell("readlink /proc/self/ns/mnt").out);
}

TEST_AS_BOTH("what it writes is gone with it, and the image as it was") {
  const auto before = fingerprint(host::rootfs(caller));
  const auto result = shell(
      step(caller, kStep) +
      "sh -c 'echo new >/file && cat /file; rm -rf /bin /etc 2>/dev/null'");
  CHECK(result.out == "new\n");
  CHECK(fingerprint(host::rootfs(caller)) == before);
}

TEST_AS_USER("a user's image can be torn apart inside, and is whole outside") {
  const auto before = fingerprint(host::rootfs(Caller::kUser));
  const auto result =
      shell(step(Caller::kUser, kStep) +
            "sh -c 'rm /etc/passwd; mkdir /etc/new; rm -rf /bin; "
            "[ ! -d /bin ] || echo /bin is there'");
  INFO(result.err);
  const std::string left =
      host::has_tmpfs_attributes() ? "" : "/bin is there\n";
  CHECK(result.out == left);
  CHECK(fingerprint(host::rootfs(Caller::kUser)) == before);
}

TEST_AS_BOTH("/proc shows its own processes, ps sees again") {
  CHECK(shell(step(caller, kStep) + "sh -c 'echo /proc/[0-9]*'").out ==
        "/proc/1\n");
}

TEST_AS_BOTH("/dev has the harmless devices, terminals and memory of its own") {
  CHECK(shell(step(caller, kStep) + "sh -c 'head -c3 /dev/zero | wc -c; "
                                    "echo x >/dev/null && echo ok; "
                                    "echo x >/dev/full || echo full; "
                                    "head -c8 /dev/urandom | wc -c'")
            .out == "3\nok\nfull\n8\n");
  CHECK(shell(step(caller, kStep) +
              "sh -c 'ls /dev/pts; ls /dev/shm; "
              "echo in | cat /dev/fd/0; ls -d /dev/ptmx' 2>/dev/null")
            .out == "ptmx\nin\n/dev/ptmx\n");
  CHECK(shell(step(caller, kStep) + "mknod /dev/disk b 254 0").status == 1);
}

TEST_AS_BOTH("--read-only forbids writing, but to /tmp and /dev/shm") {
  const auto result =
      shell(step(caller, kStep, "--read-only") +
            "sh -c 'for file in /x /dev/x /tmp/x /dev/shm/x; do "
            "touch $file && echo $file; done; "
            "echo x >/dev/null && echo /dev/null'");
  CHECK(result.out == "/tmp/x\n/dev/shm/x\n/dev/null\n");
  CHECK(result.err.find("Read-only file system") != std::string::npos);
}

TEST_AS_BOTH("--bind shows a directory of the host's, :ro only shows it") {
  const auto shared = host::scratch(
      "shared " + std::string{caller == Caller::kRoot ? "root" : "user"});
  must("echo host >'" + shared + "/file'; chmod 777 '" + shared + "'");
  const auto both =
      "--bind '" + shared + ":/mnt' --bind '" + shared + ":/new:ro'";
  const auto result = shell(step(caller, kStep, both) +
                            "sh -c 'cat /mnt/file /new/file; echo box "
                            ">/mnt/back && cat /new/back; echo x >/new/no'");
  CHECK(result.out == "host\nhost\nbox\n");
  CHECK(result.err.find("Read-only file system") != std::string::npos);
  CHECK(host::contents(shared + "/back") == "box\n");
}

TEST_AS_BOTH("--bind shows a single file, too") {
  const auto file = host::scratch("files") + "/one";
  must("echo content >" + file);
  CHECK(shell(step(caller, kStep, "--bind " + file + ":/that") + "cat /that")
            .out == "content\n");
}

TEST_AS_ROOT("--bind reaches below a private directory of the host's") {
  const auto home = host::scratch("home");
  must("mkdir " + home + "/work; echo mine >" + home +
       "/work/file; chown -R "
       "54321 " +
       home + "; chmod 700 " + home);
  CHECK(shell(step(Caller::kRoot, kStep, "--bind " + home + "/work:/mnt") +
              "cat /mnt/file")
            .out == "mine\n");
}

TEST_AS_BOTH("a --bind that cannot be is refused in one line") {
  for (const std::string bind :
       {"/no/such:/mnt", "/etc:mnt", "/etc:/", "/etc://", "/etc:/mnt/../etc",
        "/etc", ":/mnt", "/etc:/no/such/place",
        "/etc/hostname:/etc/passwd/x"}) {
    CAPTURE(bind);
    const auto result =
        shell(step(caller, kStep, "--bind " + bind) + "echo ran");
    CHECK(result.status == 125);
    CHECK(result.out.empty());
    CHECK(host::lines(result.err).size() == 1);
  }
}

// CVE-2026-41579 of runc, and its many elder sisters: the image has a link
// where the runtime mounts.
TEST_AS_BOTH("an image with links to the host has no hold on it") {
  const auto victim =
      host::scratch(caller == Caller::kRoot ? "victim-root" : "victim-user");
  must("chmod 777 " + victim);
  for (const std::string name : {"dev", "proc", "sys", "tmp"}) {
    CAPTURE(name);
    const auto tree = copy_of_rootfs(
        caller, name + (caller == Caller::kRoot ? "-root" : "-user"));
    fs::remove_all(tree + "/" + name);
    fs::create_directory_symlink("../../../../../../.." + victim,
                                 tree + "/" + name);
    const auto result =
        shell(host::step_in(tree, caller, kStep) + "sh -c 'echo x >/" + name +
              "/x; ls -ld /" + name + "'");
    CHECK(result.out.starts_with("d"));
    CHECK(fs::is_empty(victim));
  }
}

TEST_AS_BOTH("a path with blanks, commas and colons is a path") {
  const auto tree =
      host::scratch(caller == Caller::kRoot ? "a b,c:d" : "e f,g:h") +
      "/upperdir=x";
  must("cp -a " + host::rootfs(caller) + " '" + tree + "'");
  CHECK(shell(host::step_in(tree, caller, kStep) + "echo fine").out ==
        "fine\n");
}

TEST_AS_BOTH("the umask of the caller shows nowhere") {
  CHECK(shell("umask 077; " + step(caller, kStep) +
              "stat -c %a / /dev /proc /tmp")
            .out == "755\n755\n555\n1777\n");
  CHECK(shell("umask 077; " + step(caller, kStep) + "sh -c umask").out ==
        "0022\n");
}

TEST_AS_BOTH("each mount allows no more than it is for") {
  const auto table = shell(step(caller, kStep) + "cat /proc/self/mounts").out;
  for (const std::string mount :
       {"/ overlay rw,nodev", "/proc proc rw,nosuid,nodev,noexec",
        "/dev tmpfs rw,nosuid,noexec", "/dev/pts devpts rw,nosuid,noexec",
        "/dev/shm tmpfs rw,nosuid,nodev", "/tmp tmpfs rw,nosuid,nodev"})
    CHECK_MESSAGE(table.find(" " + mount) != table.npos,
                  "the table of mounts has no " << mount);
  CHECK(table.find("mode=620,ptmxmode=666") != table.npos);
}

// steps/tests/streams_test.cpp has the rest.
TEST_AS_BOTH("no standard stream is a file of the host's") {
  const auto directory = host::scratch("streams");
  must("cd " + directory + " && echo kept | tee in out err && chmod 666 *" +
       (caller == Caller::kUser && ::geteuid() == 0 ? "; chown 54321 *" : ""));
  const auto result =
      shell("cd " + directory + "; " + step(caller, kStep) +
            "sh -c 'for i in 0 1 2; do chmod 4777 /proc/self/fd/$i; "
            "echo evil >/proc/self/fd/$i; done; exit 7' <in >>out 2>>err");
  CHECK(result.status == 7);
  for (const std::string name : {"/in", "/out", "/err"}) {
    CHECK(host::contents(directory + name).starts_with("kept\n"));
    CHECK(shell("stat -c %a " + directory + name).out == "666\n");
  }
}

TEST_SUITE_END();
