// Step 05 promises a mount table of its own, and an image that nobody changes.

#include "common/fd.hpp"
#include "steps/tests/host.hpp"
#include "steps/tests/mounts.hpp"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

using host::Caller, host::Fails, host::Kept, host::Pieces, host::must,
    host::shell, host::step;
namespace fs = std::filesystem;

TEST_SUITE_BEGIN("05-mountns");

namespace {

const std::string kStep = "05-mountns";

// Names, kinds, sizes and contents of a whole tree, a line for each file.
std::vector<std::string> fingerprint(const std::string& tree) {
  const auto found =
      shell("cd '" + tree +
            "' && find . -printf '%p: %M, %U, %G, %s bytes, %t, %l\\n' && "
            "find . -type f -exec cksum {} +");
  host::ran().pop_back();  // Nobody reads so long a list.
  return host::lines(found.out);
}

// Compares it with what it was before.
void check_image(Caller caller, const std::vector<std::string>& before) {
  const auto changes = host::changed(before, fingerprint(host::rootfs(caller)));
  CHECK_MESSAGE(changes == "", "the image is not as it was: " << changes);
}

// One line of a mountinfo: see proc(5).
struct Row {
  explicit Row(const std::string& line) {
    std::istringstream words{line};
    std::string skip;
    words >> skip >> skip >> device >> skip >> point;
    words = std::istringstream{line.substr(line.find(" - ") + 3)};
    words >> type;
  }
  std::string device;  // "0:43": of the file system.
  std::string point, type;
};

// A rootfs of the caller's own, to be spoilt.
std::string copy_of_rootfs(Caller caller, const std::string& name) {
  auto tree = host::scratch(name) + "/rootfs";
  must("cp -a '" + host::rootfs(caller) + "' " + tree);
  return tree;
}

}  // namespace

PROMISE_AS_BOTH(
    "a mount made inside is not on the host", Kept{"05-07", "05-06"},
    Pieces{"A separate mount table"},
    Fails{"We mount in the container and expect the host's mount table to stay "
          "as it was, because the container has a separate table."}) {
  const auto before = host::mounts();
  host::Running box{step(caller, kStep) +
                    "sh -c 'mount -t tmpfs secret /mnt && echo 1 >/mnt/file && "
                    "echo ready || echo refused; read wait'"};
  CHECK(box.hear() == "ready");
  CHECK_MESSAGE(host::changed_mounts(before) == "",
                "while it runs, the host's mount table is not as before");
  const auto table = "/proc/" + std::to_string(box.child()) + "/mountinfo";
  CHECK(host::contents(table).find(" /mnt ") != std::string::npos);
  box.finish();
}

PROMISE_AS_BOTH("nothing of the host's mounts is left inside", Kept{"05"},
                Pieces{"The old root"},
                Fails{"We read the container's mount table and expect only its "
                      "own private mounts, because each mount of the host is a "
                      "way to the host's files."}) {
  // The six devices are the host's.
  std::set<std::string> missing{"/",         "/dev",     "/dev/full",
                                "/dev/null", "/dev/pts", "/dev/random",
                                "/dev/shm",  "/dev/tty", "/dev/urandom",
                                "/dev/zero", "/proc",    "/tmp"};
  std::set<std::string> of_host;
  for (const auto& line : host::lines(host::contents("/proc/self/mountinfo")))
    of_host.insert(Row{line}.device);
  const auto inside = shell(step(caller, kStep) + "cat /proc/self/mountinfo");
  for (const auto& line : host::lines(inside.out)) {
    const Row row{line};
    const bool is_wanted = missing.erase(row.point) == 1;
    const bool is_device = is_wanted && row.point.starts_with("/dev/") &&
                           row.point != "/dev/pts" && row.point != "/dev/shm";
    CHECK_MESSAGE((is_device || of_host.count(row.device) == 0),
                  "a mount of the host is in the container's table: " << line);
  }
  for (const auto& point : missing)
    CHECK_MESSAGE(false, "there is no mount at " << point);
  const auto lacks =
      host::lacks(shell(step(caller, kStep) + "cat /proc/self/mounts").out, "/",
                  "overlay rw nodev");
  CHECK_MESSAGE(lacks == "", lacks);
  const auto spreads = shell(step(caller, kStep) +
                             "grep -oE '(shared|master):' /proc/self/mountinfo")
                           .out;
  CHECK_MESSAGE(spreads == "",
                "mounts are still connected with the host's: " << spreads);
  CHECK(shell(step(caller, kStep) + "ls /..").out ==
        shell(step(caller, kStep) + "ls /").out);
}

PROMISE_AS_ROOT("what the host mounts meanwhile is not inside", Kept{"05"},
                Pieces{"A separate mount table"},
                Fails{"The host mounts below the rootfs while the container "
                      "runs, and we expect the container not to see it, "
                      "because its mounts are private."}) {
  const auto tree = copy_of_rootfs(Caller::kRoot, "shared");
  // As systemd leaves all mounts.
  must("mount --bind " + tree + " " + tree + "; mount --make-shared " + tree);
  host::Running box{host::step_in(tree, Caller::kRoot, kStep) +
                    "sh -c 'echo ready; read wait; ls /mnt; echo end'"};
  CHECK(box.hear() == "ready");
  std::string connected;
  for (const auto& line : host::lines(host::contents(
           "/proc/" + std::to_string(box.child()) + "/mountinfo")))
    if (line.find(" shared:") != std::string::npos ||
        line.find(" master:") != std::string::npos)
      connected += line + " ";
  CHECK_MESSAGE(connected == "",
                "mounts are still connected with the host's: " << connected);
  must("mount -t tmpfs late " + tree + "/mnt; touch " + tree + "/mnt/late");
  box.say("go on");
  CHECK(box.hear() == "end");
  box.finish();
  must("umount -R " + tree);
}

PROMISE_AS_BOTH("its mount namespace is its own", Kept{"05-08", "05-06 08"},
                Pieces{"A separate mount table"},
                Fails{"We read /proc/self/ns/mnt on both sides and expect two "
                      "different namespaces, because a shared mount table lets "
                      "the container change the host."}) {
  const auto inside = shell(step(caller, kStep) + "readlink /proc/self/ns/mnt");
  CHECK_MESSAGE(inside.out.starts_with("mnt:["),
                "the container cannot read this link in its /proc");
  CHECK(inside.out != shell("readlink /proc/self/ns/mnt").out);
}

PROMISE_AS_BOTH(
    "what it writes is gone with it, and the image as it was",
    Kept{"05-08", "05-06 08"}, Pieces{"The overlay"},
    Fails{"The container writes and removes files, and we expect the image to "
          "stay as it was, because the next container begins with it."}) {
  const auto before = fingerprint(host::rootfs(caller));
  const auto result = shell(
      step(caller, kStep) +
      "sh -c 'echo new >/file && cat /file; rm -rf /bin /etc 2>/dev/null'");
  CHECK(result.out == "new\n");
  check_image(caller, before);
}

PROMISE_AS_USER(
    "a user's image can be torn apart inside, and is whole outside",
    Kept{"05-08"}, Pieces{"The overlay"},
    Fails{"The container of an ordinary user removes /bin and changes /etc, "
          "and we expect this to work there and to leave the image whole, "
          "because other containers use the same image."}) {
  const auto before = fingerprint(host::rootfs(Caller::kUser));
  const auto result =
      shell(step(Caller::kUser, kStep) +
            "sh -c 'rm /etc/passwd; mkdir /etc/new; rm -rf /bin; "
            "[ ! -d /bin ] || echo /bin is there'");
  INFO(result.err);
  const std::string left =
      host::has_tmpfs_attributes() ? "" : "/bin is there\n";
  CHECK(result.out == left);
  check_image(Caller::kUser, before);
}

PROMISE_AS_BOTH("/proc shows its own processes, ps sees again",
                Kept{"05-07", "05-06"}, Pieces{"/proc and /dev"},
                Fails{"We list the numbers in the container's /proc and expect "
                      "only 1, because ps(1) reads them there."}) {
  CHECK(shell(step(caller, kStep) + "sh -c 'echo /proc/[0-9]*'").out ==
        "/proc/1\n");
}

PROMISE_AS_BOTH(
    "its root is an overlay without devices", Kept{"05-08", "05-06 08"},
    Pieces{"The overlay"},
    Fails{"We read the container's mount table from the host and expect an "
          "overlay with nodev as its root, because an image can have a device "
          "node of a disk."}) {
  host::Running box{step(caller, kStep) + "sh -c 'echo ready; read wait'"};
  CHECK(box.hear() == "ready");
  const auto lacks = host::lacks(
      host::contents("/proc/" + std::to_string(box.child()) + "/mounts"), "/",
      "overlay rw nodev");
  CHECK_MESSAGE(lacks == "", lacks);
  box.finish();
}

PROMISE_AS_BOTH(
    "/dev has the harmless devices, terminals and memory of its own",
    Kept{"05-08", "05-06 08"}, Pieces{"/proc and /dev"},
    Fails{"We use null, zero, full, urandom, pts and shm and read the links in "
          "/dev, and expect them to be right, and mknod(1) to fail, because a "
          "disk is no harmless device."}) {
  CHECK(shell(step(caller, kStep) + "sh -c 'head -c3 /dev/zero | wc -c; "
                                    "echo x >/dev/null && echo ok; "
                                    "echo x >/dev/full || echo full; "
                                    "head -c8 /dev/urandom | wc -c'")
            .out == "3\nok\nfull\n8\n");
  const std::string numbers =
      "stat -c '%n %t:%T' /dev/null /dev/zero /dev/full /dev/random "
      "/dev/urandom /dev/tty";
  CHECK(shell(step(caller, kStep) + numbers).out == shell(numbers).out);
  // The host has a terminal meanwhile, which the container must not see.
  const sys::Fd terminal{::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)};
  REQUIRE(terminal.get() != -1);
  CHECK(shell(step(caller, kStep) +
              "sh -c 'ls /dev/pts; ls /dev/shm; exec 3<>/dev/ptmx; "
              "ls /dev/pts'")
            .out == "ptmx\n0\nptmx\n");
  CHECK_MESSAGE(
      shell(step(caller, kStep) + "stat -L -c %a /dev/ptmx").out == "666\n",
      "only root in the container can open /dev/ptmx, because the devpts was "
      "not mounted with ptmxmode=0666");
  for (const std::string name : {"fd", "stdin", "stdout", "stderr"})
    CHECK_MESSAGE(
        shell(step(caller, kStep) + "test -L /dev/" + name).status == 0,
        "/dev/" << name << " is not a link");
  CHECK(shell(step(caller, kStep) + "mknod /dev/disk b 254 0").status == 1);
}

PROMISE_AS_BOTH("the names of its streams in /dev can be used",
                Kept{"05-08", "05-06 08"}, Pieces{"The standard streams"},
                Fails{"We read from and write to fd/0, stdin, stdout and "
                      "stderr in /dev and expect this to work, because many "
                      "scripts name them."}) {
  CHECK(shell(step(caller, kStep) +
              "sh -c 'exec 2>&1; "
              "echo fd | cat /dev/fd/0; echo in | cat /dev/stdin; "
              "echo out >/dev/stdout; echo err >/dev/stderr'")
            .out == "fd\nin\nout\nerr\n");
}

PROMISE_AS_BOTH("--read-only forbids writing, but to /tmp and /dev/shm",
                Kept{"05-08", "05-06 08"}, Pieces{"--bind and --read-only"},
                Fails{"We write to / and /dev with --read-only and expect an "
                      "error, and to /tmp, /dev/shm and /dev/null and expect "
                      "success, because programs need these."}) {
  const auto result =
      shell(step(caller, kStep, "--read-only") +
            "sh -c 'for file in /x /dev/x /tmp/x /dev/shm/x; do "
            "touch $file && echo $file; done; "
            "for file in /dev/null /proc/self/oom_score_adj; do "
            "echo 1000 >$file && echo $file; done; "
            "exec 3<>/dev/ptmx && chmod 600 /dev/pts/0 && echo /dev/pts'");
  CHECK(result.out ==
        "/tmp/x\n/dev/shm/x\n/dev/null\n/proc/self/oom_score_adj\n/dev/pts\n");
  CHECK(result.err.find("Read-only file system") != std::string::npos);
}

PROMISE_AS_BOTH("--read-only takes no other flag off a mount",
                Kept{"05-08", "05-06 08"}, Pieces{"--bind and --read-only"},
                Fails{"We read the flags of / and /dev with --read-only and "
                      "expect nodev, nosuid and noexec as without it, because "
                      "mount(2) with MS_REMOUNT replaces all flags."}) {
  const auto table =
      shell(step(caller, kStep, "--read-only") + "cat /proc/self/mounts").out;
  for (const auto& [point, what] : std::map<std::string, std::string>{
           {"/", "overlay ro nodev"}, {"/dev", "tmpfs ro nosuid noexec"}}) {
    const auto lacks = host::lacks(table, point, what);
    CHECK_MESSAGE(lacks == "", lacks);
  }
}

// Its own way round a mount that is refused must not be one to the host.
PROMISE_IF(host::can_trace(),
           "a mount that is refused has no silent substitute (root)",
           Kept{"05"}, Pieces{"/proc and /dev", "The old root"},
           Fails{"The kernel refuses one mount after the other, and we expect "
                 "no command, or at least a message, because the command must "
                 "not run without a wall."}) {
  const auto log = host::scratch("refused") + "/log";
  for (const std::string call : {"mount", "pivot_root", "umount2"})
    for (int n = 1; n < 40; ++n) {
      const auto when = std::to_string(n);
      const auto result =
          shell("strace -f -qq -o '" + log + "' -e trace=" + call +
                " -e inject=" + call + ":error=EPERM:when=" + when + " " +
                step(Caller::kRoot, kStep) + "echo ran");
      const auto calls = host::lines(host::contents(log));
      const auto refused =
          std::find_if(calls.begin(), calls.end(), [](const auto& line) {
            return line.find("(INJECTED)") != std::string::npos;
          });
      if (refused == calls.end()) break;
      CHECK_MESSAGE(
          (result.out == "" || result.err != ""),
          "the command ran all the same, and no message says so: " << *refused);
    }
}

PROMISE_AS_BOTH("--bind shows a directory of the host's, :ro only shows it",
                Kept{"05-08", "05-06 08"}, Pieces{"--bind and --read-only"},
                Fails{"We bind a directory twice and expect the container to "
                      "read and write it, but only to read it with :ro, "
                      "because that is what the user permitted."}) {
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

// A place that is missing is made, which needs a root that can be written.
PROMISE_AS_BOTH("--bind finds its place with --read-only, too",
                Kept{"05-08", "05-06 08"}, Pieces{"--bind and --read-only"},
                Fails{"We bind a directory to a place that the image has not, "
                      "with --read-only, and expect its content there, because "
                      "each of the two options must work with the other."}) {
  const auto shared = host::scratch("shown");
  must("chmod 755 " + shared + "; echo host >" + shared + "/file");
  CHECK(shell(step(caller, kStep, "--read-only --bind " + shared + ":/new") +
              "cat /new/file")
            .out == "host\n");
}

PROMISE_AS_BOTH("--bind shows a single file, too", Kept{"05-08", "05-06 08"},
                Pieces{"--bind and --read-only"},
                Fails{"We bind a single file and expect its content in the "
                      "container, because a bind can be of a file."}) {
  const auto file = host::scratch("files") + "/one";
  must("echo content >" + file);
  CHECK(shell(step(caller, kStep, "--bind " + file + ":/that") + "cat /that")
            .out == "content\n");
}

PROMISE_AS_ROOT("--bind reaches below a private directory of the host's",
                Kept{"05-08"}, Pieces{"--bind and --read-only"},
                Fails{"We bind a directory below a directory with mode 700 and "
                      "expect its content in the container, because the caller "
                      "is root and can open it."}) {
  const auto home = host::scratch("home");
  must("mkdir " + home + "/work; echo mine >" + home +
       "/work/file; chown -R "
       "54321 " +
       home + "; chmod 700 " + home);
  CHECK(shell(step(Caller::kRoot, kStep, "--bind " + home + "/work:/mnt") +
              "cat /mnt/file")
            .out == "mine\n");
}

PROMISE_AS_BOTH("a --bind that cannot be is refused in one line",
                Kept{"05-08", "05"}, Pieces{"--bind and --read-only"},
                Fails{"We bind what does not exist or to no place, and expect "
                      "status 125, one line and no command, because the "
                      "command must not run without its files."}) {
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
PROMISE_AS_BOTH("an image with links to the host has no hold on it",
                Kept{"05-08", "05-06 08"}, Pieces{"The overlay"},
                Fails{
                    "The image has a link to the host in the place of a "
                    "directory where we mount, and we expect the host to stay "
                    "as it was, because an image can come from anyone."}) {
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
    CHECK_MESSAGE(result.out.starts_with("d"),
                  "/" << name << " in the container is not a directory, but "
                      << "the link of the image");
    CHECK_MESSAGE(fs::is_empty(victim),
                  "a file was written on the host, through the link " << name);
  }
}

PROMISE_AS_BOTH("a path with blanks, commas and colons is a path",
                Kept{"05-08", "05-06 08"}, Pieces{"The overlay"},
                Fails{"We run a rootfs whose path has blanks, commas and "
                      "colons and expect the command to run, because the "
                      "options of an overlay are separated by these."}) {
  const auto tree =
      host::scratch(caller == Caller::kRoot ? "a b,c:d" : "e f,g:h") +
      "/upperdir=x";
  must("cp -a " + host::rootfs(caller) + " '" + tree + "'");
  CHECK(shell(host::step_in(tree, caller, kStep) + "echo fine").out ==
        "fine\n");
}

PROMISE_AS_BOTH("the umask of the caller shows nowhere",
                Kept{"05-08", "05-06 08"}, Pieces{"The overlay"},
                Fails{"We run the step with umask 077 and expect mode 755 of / "
                      "and umask 022, because other users of the container "
                      "need to read its files, and not to write them."}) {
  CHECK(shell("umask 077; " + step(caller, kStep) + "stat -c %a /").out ==
        "755\n");
  CHECK(shell("umask 077; " + step(caller, kStep) + "sh -c umask").out ==
        "0022\n");
}

PROMISE_AS_BOTH("the directories that it mounts have the usual modes",
                Kept{"05-08", "05-06 08"}, Pieces{"/proc and /dev"},
                Fails{"We run the step with umask 077 and expect the usual "
                      "modes of its directories, because all users of the "
                      "container need /tmp and /dev/shm, and none may write to "
                      "/dev."}) {
  CHECK(shell("umask 077; " + step(caller, kStep) +
              "stat -c %a /dev /proc /tmp /dev/shm")
            .out == "755\n555\n1777\n1777\n");
}

PROMISE_AS_BOTH(
    "each mount allows no more than it is for", Kept{"05-08", "05"},
    Pieces{"/proc and /dev"},
    Fails{"We read the flags of the container's mounts and expect nodev, "
          "nosuid and noexec wherever the mount can do without, because each "
          "permission is a tool for an attack."}) {
  const auto table = shell(step(caller, kStep) + "cat /proc/self/mounts").out;
  const std::map<std::string, std::string> wanted{
      {"/", "overlay rw nodev"},
      {"/proc", "proc rw nosuid nodev noexec"},
      {"/dev", "tmpfs rw nosuid noexec"},
      {"/dev/pts", "devpts rw nosuid noexec mode=620"},
      {"/dev/shm", "tmpfs rw nosuid nodev"},
      {"/tmp", "tmpfs rw nosuid nodev"}};
  for (const auto& [point, what] : wanted) {
    const auto lacks = host::lacks(table, point, what);
    CHECK_MESSAGE(lacks == "", lacks);
  }
}

// MS_MOVE and chroot(2) put a root over the host's. In the mount namespace
// of the container, umount(8) would remove it, and nsenter(1) or setns(2)
// would then lead to what lies below.
PROMISE_AS_BOTH("nothing lies below its root", Kept{"05-08", "05-06 08"},
                Pieces{"The old root"},
                Fails{"We unmount / in the container's mount table and expect "
                      "an error, because a root that can be removed shows the "
                      "host below it."}) {
  host::Running box{step(caller, kStep) + "sh -c 'echo ready; read wait'"};
  CHECK(box.hear() == "ready");
  const auto enter =
      "nsenter --mount " +
      std::string{::geteuid() == 0 ? "" : "--user --preserve-credentials "} +
      "--target " + std::to_string(box.child()) + " ";
  CHECK_MESSAGE(shell(enter + "cat /etc/rootfs-mark").out ==
                    host::contents(host::rootfs(caller) + "/etc/rootfs-mark"),
                "the root of the container's mount table is not the rootfs, "
                "but still another one, as nsenter(1) shows");
  if (!host::has_failed())
    CHECK_MESSAGE(shell(enter + "umount -l /").status == 1,
                  "/ can be unmounted");
  box.finish();
}

// steps/tests/streams_test.cpp has the rest.
PROMISE_AS_BOTH(
    "no standard stream is a file of the host's", Kept{"05"},
    Pieces{"The standard streams"},
    Fails{"The container changes the mode of its standard streams and writes "
          "to them, and we expect the files of the host to stay as they were, "
          "because a descriptor needs no path."}) {
  const auto directory = host::scratch("streams");
  must("cd " + directory + " && echo kept | tee in out err && chmod 666 *" +
       (caller == Caller::kUser && ::geteuid() == 0 ? "; chown 54321 *" : ""));
  const auto result =
      shell("cd " + directory + "; " + step(caller, kStep) +
            "sh -c 'for i in 0 1 2; do chmod 4777 /proc/self/fd/$i; "
            "echo evil >/proc/self/fd/$i; done; exit 7' <in >>out 2>>err");
  CHECK(result.status == 7);
  for (const std::string name : {"/in", "/out", "/err"}) {
    CHECK_MESSAGE(host::contents(directory + name).starts_with("kept\n"),
                  "the container has overwritten " << name.substr(1)
                                                   << ", a file of the host");
    CHECK(shell("stat -c %a " + directory + name).out == "666\n");
  }
}

TEST_SUITE_END();
