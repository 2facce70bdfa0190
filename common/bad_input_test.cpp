// Wrong input, and hosts that lack something: one line on stderr that says
// what, status 125 (126 or 127 for the command), and nothing is left. Those of
// one option stand with the step that has it.

#include "common/host_test.hpp"

#include <filesystem>
#include <fstream>

using host::Caller, host::must, host::shell, host::step, host::step_in;
namespace fs = std::filesystem;

TEST_SUITE_BEGIN("bad input");

namespace {

// What needs no root, that both callers can be tried with.
const std::string kQuiet = "--net none --memory none";

std::string place(Caller caller) {
  return host::scratch(caller == Caller::kRoot ? "bad-root" : "bad-user");
}

// A rootfs of the caller's own, to be spoilt.
std::string spoilt_rootfs(Caller caller, const std::string& how) {
  auto tree = place(caller) + "/rootfs";
  must("rm -rf " + tree + " && cp -a " + host::rootfs(caller) + " " + tree +
       " && cd " + tree + " && " + how);
  return tree;
}

void refuses(const std::string& line, int status, const std::string& says) {
  CAPTURE(line);
  const auto result = shell(line);
  CHECK(result.status == status);
  CHECK(result.out.empty());
  CHECK(host::lines(result.err).size() == 1);
  CHECK_MESSAGE(result.err.find(says) != std::string::npos, result.err);
}

void runs(const std::string& line) {
  CAPTURE(line);
  const auto result = shell(line + "echo ran");
  CHECK_MESSAGE(result.out == "ran\n", result.err);
  CHECK(result.status == 0);
}

std::string run_in(const std::string& tree, Caller caller) {
  return step_in(tree, caller, "08-all", kQuiet);
}

}  // namespace

// ---- The rootfs ------------------------------------------------------------

TEST_AS_BOTH("a rootfs that lacks something is told by what it lacks") {
  refuses(run_in(spoilt_rootfs(caller, "rm -r *"), caller), 127,
          "cannot run /bin/sh: No such file or directory (ENOENT)");
  const auto without_shell = spoilt_rootfs(caller, "rm bin/sh");
  refuses(run_in(without_shell, caller), 127, "cannot run /bin/sh: ");
  CHECK(shell(run_in(without_shell, caller) + "ls -d /etc").out == "/etc\n");
  runs(run_in(spoilt_rootfs(caller, "rmdir proc dev sys tmp || rm -r dev"),
              caller));
}

TEST_AS_USER("a rootfs that the caller may not enter is named") {
  const auto tree = spoilt_rootfs(Caller::kUser, "chmod 0 .");
  refuses(run_in(tree, Caller::kUser) + "true", 125,
          tree + ": Permission denied (EACCES)");
  must("chmod 755 " + tree);  // Or it could not be removed.
}

TEST_AS_BOTH("a relative rootfs is looked for where the caller stands") {
  const auto tree = fs::path{spoilt_rootfs(caller, "true")};
  runs("cd " + tree.parent_path().string() + " && " + run_in("rootfs", caller));
  runs("cd " + tree.string() + "/bin && " + run_in("..", caller));
  runs("cd " + tree.string() + " && " + run_in(".", caller));
}

// The flags are those of the file system's mount, and the image is under it.
TEST_AS_ROOT("a rootfs on a read-only file system, or on an overlay, will do") {
  for (const auto caller : {Caller::kRoot, Caller::kUser}) {
    const auto base = host::scratch("mounts");
    const auto tree = base + "/merged";
    must("mkdir -p " + tree + " " + base + "/upper " + base + "/work");
    must("mount --bind -o ro " + host::rootfs(caller) + " " + tree);
    runs(run_in(tree, caller));
    must("umount " + tree);
    // Its upper layer may not lie on an overlay itself, as /tmp may.
    must("mount -t tmpfs none " + base + " && mkdir " + tree + " " + base +
         "/upper " + base + "/work");
    must("mount -t overlay -o lowerdir=" + host::rootfs(caller) +
         ",upperdir=" + base + "/upper,workdir=" + base + "/work none " + tree);
    runs(run_in(tree, caller));
    must("umount " + tree + " " + base);
  }
}

// An overlay has flags of its own; before 05 the mount's own are what counts.
TEST_AS_ROOT(
    "a rootfs that is mounted noexec is told, until an overlay hides it") {
  const auto tree = host::scratch("noexec");
  must("mount --bind -o noexec " + host::rootfs(Caller::kRoot) + " " + tree);
  refuses(step_in(tree, Caller::kRoot, "01-chroot") + "true", 126,
          "hint: it is on a file system that is mounted noexec");
  runs(run_in(tree, Caller::kRoot));
  must("umount " + tree);
}

// ---- Text that may be anybody's ---------------------------------------------

// Each option, the rootfs and the command, with and without -v.
TEST_AS_BOTH(
    "whatever a name holds, no message moves the cursor or is endless") {
  const std::string odd =
      "$(printf 'a\\033[2J\\302\\2332J\\233\\342\\200\\256b')";
  const std::string path = "$(printf '/%05000d' 0)";
  const std::string name = "$(printf '/tmp/%0300d' 0)";
  const auto tree = host::rootfs(caller);
  const auto box = host::as(caller, "08-all") + " -v " + kQuiet + " ";
  for (const std::string& line : std::vector<std::string>{
           box + "X", box + tree + " X", box + tree + " /X",
           box + "--X " + tree, box + "--hostname X " + tree + " true",
           box + "--bind X:/tmp " + tree, box + "--bind /:X " + tree,
           box + "--bind /etc/passwd:/tmp/X/y " + tree,
           box + "--bind /etc/passwd:X " + tree, box + "--net X " + tree,
           box + "--memory X " + tree, box + "--user X " + tree,
           box + "--env X " + tree, host::as(caller, "enter") + " X",
           host::as(caller, "inspect") + " X"}) {
    for (const auto& text : {odd, path, name}) {
      auto with_it = line;
      with_it.replace(with_it.find('X'), 1, "\"" + text + "\"");
      CAPTURE(with_it);
      const auto result = shell(with_it);
      for (const auto& told : host::lines(result.err)) {
        CHECK(told.size() < 1100);
        for (const std::string part :
             {"\x1b", "\x9b", "\xc2\x9b", "\xe2\x80\xae"})
          CHECK(told.find(part) == std::string::npos);
        if (told.find("ENAMETOOLONG") != std::string::npos)
          CHECK(told.find("not ours to change") == std::string::npos);
      }
    }
  }
}

// ---- The command -----------------------------------------------------------

TEST_AS_BOTH("a command that cannot run says why") {
  const auto bin = place(caller);
  const auto run = step(caller, "08-all", kQuiet + " --bind " + bin + ":/mnt");
  must("cp " + host::rootfs(caller) + "/bin/busybox " + bin + "/alien");
  // The number of the machine it is for, in the head of every ELF file.
  std::fstream{bin + "/alien", std::ios::in | std::ios::out}.seekp(18).write(
      "\xff\x7f", 2);
  must("cd " + bin + " && printf '#!/no/such\\n' >script && echo x >text && " +
       "chmod 755 alien script && chmod 644 text && mkdir -p directory");
  refuses(run + "/mnt/alien", 126, "Exec format error (ENOEXEC)");
  refuses(run + "/mnt/script", 127,
          "hint: its interpreter or loader is not in the rootfs");
  refuses(run + "/mnt/text", 126, "Permission denied (EACCES)");
  refuses(run + "/mnt/directory", 126, "Permission denied (EACCES)");
  refuses(run + "/mnt/nothing", 127, "No such file or directory (ENOENT)");
  refuses(run + "''", 127, "No such file or directory (ENOENT)");
}

// ---- What the host lacks ---------------------------------------------------

TEST_AS_BOTH("twenty open files are enough; too few are told") {
  runs("prlimit --nofile=20 " + step(caller, "08-all", kQuiet));
  refuses("prlimit --nofile=5 " + step(caller, "08-all", kQuiet) + "true", 125,
          "Too many open files (EMFILE)");
}

TEST_AS_ROOT("a full /tmp is none of its business") {
  const auto run = run_in(spoilt_rootfs(Caller::kRoot, "true"), Caller::kRoot);
  must(
      "mount -t tmpfs -o size=4k none /media && "
      "! cp /bin/sh /media/full 2>/dev/null");
  const auto result =
      shell("unshare -m sh -c 'mount --bind /media /var/tmp; exec " + run +
            "sh -c \"echo x >/tmp/file && cat /tmp/file\"'");
  CHECK(result.out == "x\n");
  must("umount /media");
}

TEST_AS_ROOT(
    "without a cgroup controller, a default gives way, a word does not") {
  const std::string bare = "unshare -m sh -c 'umount -l /sys/fs/cgroup; exec ";
  CHECK(shell(bare + step(Caller::kRoot, "08-all") + "echo ran'").out ==
        "ran\n");
  refuses(bare + step(Caller::kRoot, "08-all", "--memory 64M") + "echo ran'",
          125, "mounted: ");
  refuses(bare + step(Caller::kRoot, "07-cgroup-memory") + "echo ran'", 125,
          "mounted: ");
}

TEST_AS_ROOT("a root without its capabilities is told") {
  const auto without = [](const std::string& capability) {
    return "setpriv --bounding-set -" + capability + " ";
  };
  refuses(without("sys_chroot") + step(Caller::kRoot, "01-chroot") + "true",
          125, "Operation not permitted (EPERM)");
  for (const std::string name : {"02-pidns", "08-all"})
    refuses(without("sys_admin") + step(Caller::kRoot, name) + "true", 125,
            "Operation not permitted (EPERM)");
  // A user namespace brings what else it takes.
  runs(without("sys_admin") + step(Caller::kRoot, "06-netns-veth"));
  refuses(without("net_admin") + step(Caller::kRoot, "08-all") + "true", 125,
          "hint: --net none does without");
}

TEST_AS_ROOT("user namespaces that are used up are told") {
  // In a user namespace of its own, for the number is the host's else.
  const std::string inside =
      "unshare --user --map-root-user --mount sh -c '"
      "echo 0 >/proc/sys/user/max_user_namespaces; exec ";
  for (const std::string name : {"03-userns", "08-all"})
    refuses(inside + step(Caller::kRoot, name, name == "08-all" ? kQuiet : "") +
                "true'",
            125, "(ENOSPC); hint: ");
}

TEST_SUITE_END();
