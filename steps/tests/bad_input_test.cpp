// Wrong input, and hosts that lack something: one line on stderr that says
// what, status 125 (126 or 127 for the command), and nothing is left. Those of
// one option stand with the step that has it.

#include "steps/tests/host.hpp"

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
          "execve(2) /bin/sh: No such file or directory (ENOENT)");
  const auto without_shell = spoilt_rootfs(caller, "rm bin/sh");
  refuses(run_in(without_shell, caller), 127, "execve(2) /bin/sh: ");
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

// Each option, the rootfs and the command. @ is where the name goes: no random
// name of a directory of the tests has an @ in it.
TEST_AS_BOTH(
    "whatever a name holds, no message moves the cursor or is endless") {
  const std::string odd =
      "$(printf 'a\\033[2J\\302\\2332J\\233\\342\\200\\256b')";
  const std::string path = "$(printf '/%05000d' 0)";
  const std::string name = "$(printf '/tmp/%0300d' 0)";
  const auto tree = host::rootfs(caller);
  const auto box = host::as(caller, "08-all") + " -v " + kQuiet + " ";
  for (const std::string& line : std::vector<std::string>{
           box + "@", box + tree + " @", box + tree + " /@",
           box + "--@ " + tree, box + "--hostname @ " + tree + " true",
           box + "--bind @:/tmp " + tree, box + "--bind /:@ " + tree,
           box + "--bind /etc/passwd:/tmp/@/y " + tree,
           box + "--bind /etc/passwd:@ " + tree, box + "--net @ " + tree,
           box + "--memory @ " + tree, box + "--user @ " + tree,
           box + "--env @ " + tree, host::as(caller, "enter") + " @",
           host::as(caller, "inspect") + " @"}) {
    for (const auto& text : {odd, path, name}) {
      auto with_it = line;
      with_it.replace(with_it.find('@'), 1, "\"" + text + "\"");
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

// ---- What people type -------------------------------------------------------

namespace {

// A mistake, what the program ends with, and what its line has to say, and must
// not. In `typed`, {08} is a program as the caller runs it, {R} its rootfs, and
// {D} a directory with what one mistakes for another.
struct Mistake {
  std::string typed;
  int status;
  std::string says, never;
};

// Those of Docker's users, of any program, of 08 and of enter.
const std::vector<Mistake> kOfDockersUsers{
    {"{08} -it {R} sh", 125, "-it; hint: leave it out", ""},
    {"{08} -i {R} sh", 125, "-i; hint: leave it out", ""},
    {"{08} -d {R} sh", 125, "-d; hint: leave it out, and end the line with &",
     ""},
    {"{08} --rm {R} true", 125, "--rm; hint: leave it out", ""},
    {"{08} --name web {R} true", 125, "hint: --hostname NAME", ""},
    {"{08} -p 80:80 {R} sh", 125, "hint: no port is published", ""},
    {"{08} -v /tmp:/mnt {R} sh", 125, "say --bind SRC:DST", "make rootfs"},
    {"{08} --volume /tmp:/mnt {R} sh", 125, "hint: --bind SRC:DST", ""},
    {"{08} -e A=1 {R} true", 125, "hint: --env NAME=VALUE", ""},
    {"{08} -m 64M {R} true", 125, "hint: --memory SIZE", ""},
    {"{08} -u 1000 {R} true", 125, "hint: --user UID[:GID]", ""},
    {"{08} -w /tmp {R} true", 125, "sh -c 'cd DIR", ""},
    {"{08} -c ls", 125, "COMMAND stands behind ROOTFS", ""},
    {"{08} --entrypoint sh {R}", 125, "COMMAND stands behind ROOTFS", ""},
    {"{08} --network none {R} true", 125, "hint: --net veth|nat|none|host", ""},
    {"{08} --net container:web {R} true", 125, "--net takes one of veth", ""},
    {"{08} --net bridge {R} true", 125, "--net takes one of veth", ""},
    {"{08} --net non {R} true", 125, "not 'non'", ""},
    {"{08} run alpine", 125, "hint: ROOTFS stands in front of COMMAND",
     "make rootfs"},
    {"{08} alpine sh", 125, "rootfs/from-image unpacks", "make rootfs"},
    {"{08} alpine:3.20 sh", 125, "rootfs/from-image unpacks", "make rootfs"},
    {"{enter} -it 1 sh", 125, "hint: leave it out", ""},
    {"{enter} web sh", 125, "hint: enter takes a PID", ""},
    {"{enter} box", 125, "hint: enter takes a PID", ""},
};

const std::vector<Mistake> kOfValues{
    {"{08} --memory=64MB {R} true", 125, "is not a size", ""},
    {"{08} --memory 64MB {R} true", 125, "hint: 64M", ""},
    {"{08} --memory 64MiB {R} true", 125, "hint: 64M", ""},
    {"{08} --memory '64 M' {R} true", 125, "hint: 64M", ""},
    {"{08} --memory 1T {R} true", 125, "hint: 1024G", ""},
    {"{08} --memory 0 {R} true", 125, "hint: none is for no limit", ""},
    {"{08} --memory -1 {R} true", 125, "or none", "hint: "},
    {"{08} --memory max {R} true", 125, "or none", "hint: "},
    {"{08} --memory 4K {R} true", 125, "at least 1M", ""},
    {"{08} --memory", 125, "--memory wants a value", ""},
    {"{08} --hostname $(printf %065d 1) {R} true", 125, "1 to 64 letters", ""},
    {"{08} --hostname a/b {R} true", 125, "is not a host name", ""},
    {"{08} --user root {R} true", 125, "root is 0", ""},
    {"{08} --user 1000:users {R} true", 125, "--user wants UID[:GID]", ""},
    {"{08} --without sandbox {R} true", 125, "one of seccomp, cap", "hint: "},
    {"{08} --cpus two {R} true", 125, "number of processors", ""},
    {"{08} --cpus 50% {R} true", 125, "number of processors", ""},
    {"{08} --env FOO {R} true", 125, "--env wants NAME=VALUE", ""},
    {"{08} --pids many {R} true", 125, "'many' is not a whole number", ""},
    {"{08} --read_only {R} true", 125, "hint: --read-only", ""},
    {"{05} --memory 64M {R} true", 125, "the steps from 07 on have it", ""},
    {"{03} --hostname x {R} true", 125, "the steps from 04 on have it", ""},
    {"{08} --bind {D}/nothing:/mnt {R} true", 125,
     "access(2) {D}/nothing: find it for --bind", "make rootfs"},
    {"{08} --bind {D}/dangling:/mnt {R} true", 125, "link to what is not there",
     ""},
    {"{08} --bind '~/x:/mnt' {R} true", 125, "$HOME", ""},
    {"{08} --bind {D}:mnt {R} true", 125, "DST absolute", ""},
    {"{08} --bind {D} {R} true", 125, "SRC:DST", ""},
    {"{08} --bind {D}:/mnt:ro,z {R} true", 125, "not ':ro,z'", ""},
    {"{08} --bind {D}:/mnt:rx {R} true", 125, "not ':rx'", ""},
    {"{08} --bind {D}:/mnt/../etc {R} true", 125, "no '..' in DST", ""},
    {"{08} --bind {D}:/ {R} true", 125, "ROOTFS is for", ""},
    {"{08} --bind {D}:/no/such {R} true", 125, "make that directory first", ""},
    {"{08} --bind {D}/text:/etc {R} true", 125, "a file on a file", ""},
    {"{08} --bind {D}:/etc/passwd {R} true", 125, "a file on a file", ""},
    {"{08} --bind {D}/text:/etc/resolv.conf {D}/ubuntu true", 125,
     "rm it from the rootfs", "not ours to change"},
    {"{08} --bind {D}/text:/etc/resolv.conf {D}/masked true", 125,
     "rm it from the rootfs", ""},
    {"{enter} 0", 125, "hint: enter takes a PID", ""},
    {"{enter} -5", 125, "hint: enter takes a PID", ""},
    {"{enter} $(sh -c 'echo $$') true", 125, "hint: pgrep 08-all prints", ""},
    {"{enter} $$ true", 125, "in no container", ""},
    {"{inspect} name", 125, "usage: inspect PID", ""},
};

// Of whatever takes ROOTFS and COMMAND.
const std::vector<Mistake> kOfEach{
    {"{NN} ps", 125, "hint: ROOTFS stands in front of COMMAND", "make rootfs"},
    {"{NN} /bin/ls", 125, "hint: ROOTFS stands in front of COMMAND",
     "make rootfs"},
    {"{NN} {D}/text", 125, "rootfs/from-image", "make rootfs"},
    {"{NN} {D}/nothing", 125, "ROOTFS is a directory", "make rootfs"},
    {"cd / && {NN} build/rootfs true", 125, "hint: there is one in /",
     "make rootfs"},
    {"{NN} /", 125, "hint: left out it is /", ""},
    {"{NN} ''", 125, "an empty word", "make rootfs"},
    {"{NN} {D}/empty ls", 127, "has no /bin; make rootfs", ""},
    {"{NN} {R} --hostname x sh", 127, "options stand in front of ROOTFS", ""},
    {"{NN} {R} -it sh", 127, "options stand in front of ROOTFS", ""},
    {"{NN} {R} 'ls -l'", 127, "each argument is a word of its own", ""},
    {"{NN} {R} ''", 127, "COMMAND is an empty word", ""},
    {"{NN} {R} no-such", 127, "execve(2) no-such: ", "hint: "},
    {"{NN} {D}/ubuntu dynamic", 127, "interpreter or loader is not in", ""},
    {"{NN} {D}/ubuntu /bin/dynamic", 127, "interpreter or loader is not in",
     ""},
    {"{NN} {D}/ubuntu script", 127, "interpreter or loader is not in", ""},
    {"{NN} {D}/ubuntu crlf", 127, "CR LF", "loader"},
    {"{NN} {D}/ubuntu text", 126, "chmod +x", ""},
    {"{NN} {D}/ubuntu directory", 126, "it is a directory", ""},
    {"{NN} {D}/ubuntu fifo", 126, "it is no regular file", ""},
};

const std::vector<Mistake> kOfThoseWithoutExecvp{
    {"{08} {D}/ubuntu alien", 126, "another kind of processor", ""},
    {"{08} {D}/ubuntu /bin/alien", 126, "another kind of processor", ""},
    {"{08} --env PATH= {R} true", 127, "hint: PATH is empty", ""},
    {"{08} {D}/ubuntu plain", 126, "no script that begins with #!", ""},
};

std::string replaced(std::string text, const std::string& word,
                     const std::string& now) {
  for (auto at = text.find(word); at != text.npos; at = text.find(word, at))
    text.replace(at, word.size(), now);
  return text;
}

// What {D} has: rootfs with programs that cannot be, and no rootfs at all.
std::string make_mistakes(Caller caller) {
  const auto place = ::place(caller) + "/typed";
  must(
      "mkdir -p " + place + "/empty/proc && cd " + place + " && cp -a " +
      host::rootfs(caller) + " ubuntu && echo x >text && chmod 644 text && " +
      "ln -sfn /no/such dangling && cp /bin/bash ubuntu/bin/dynamic && "
      "cp text ubuntu/bin/text && mkdir -p ubuntu/bin/directory && "
      "mkfifo -m 755 ubuntu/bin/fifo && "
      "printf '#!/no/such\\n' >ubuntu/bin/script && "
      "printf '#!/bin/sh\\r\\necho\\r\\n' >ubuntu/bin/crlf && "
      "printf 'echo\\n' >ubuntu/bin/plain && cp ubuntu/bin/busybox "
      "ubuntu/bin/alien && chmod 755 ubuntu/bin/[sacp]* && "
      "ln -sfn ../run/systemd/resolve/stub-resolv.conf ubuntu/etc/resolv.conf");
  // The number of the machine it is for, in the head of every ELF file.
  std::fstream{place + "/ubuntu/bin/alien", std::ios::in | std::ios::out}
      .seekp(18)
      .write("\xff\x7f", 2);
  must("cd " + place +
       " && cp -a ubuntu masked && "
       "ln -sfn /dev/null masked/etc/resolv.conf" +
       (caller == Caller::kUser && ::geteuid() == 0
            ? " && chown -Rh 54321:54321 ."
            : ""));
  return place;
}

void answers(Caller caller, const std::string& place, Mistake row,
             const std::string& name) {
  for (auto* const text : {&row.typed, &row.says}) {
    *text = replaced(*text, "{NN}", host::as(caller, name));
    for (const std::string program :
         {"03-userns", "05-mountns", "enter", "inspect"})
      *text = replaced(*text, "{" + program.substr(0, program.find('-')) + "}",
                       host::as(caller, program));
    *text = replaced(*text, "{08}",
                     host::as(caller, "08-all") + " --net none --memory none");
    *text = replaced(*text, "{R}", host::rootfs(caller));
    *text = replaced(*text, "{D}", place);
  }
  CAPTURE(row.typed);
  const auto result = shell(row.typed);
  CHECK(result.status == row.status);
  CHECK(result.out.empty());
  // A note of what an ordinary user, or 03, has to do without is no answer.
  std::string answer;
  for (const auto& line : host::lines(result.err))
    if (line.find(": no cable") == line.npos &&
        line.find(": no /proc") == line.npos)
      answer += line + "\n";
  CHECK_MESSAGE(host::lines(answer).size() == 1, answer);
  CHECK_MESSAGE(answer.find(row.says) != std::string::npos, answer);
  CHECK_MESSAGE(answer.find("hint: \n") == std::string::npos, answer);
  if (!row.never.empty())
    CHECK_MESSAGE(answer.find(row.never) == std::string::npos, answer);
  if (caller == Caller::kRoot)
    CHECK_MESSAGE(answer.find("sudo ") == std::string::npos, answer);
}

}  // namespace

TEST_AS_BOTH(
    "what people type wrong is answered in a line that tells what to do") {
  const auto place = make_mistakes(caller);
  CHECK(kOfDockersUsers.size() + kOfValues.size() + kOfEach.size() > 40);
  for (const auto* const table :
       {&kOfDockersUsers, &kOfValues, &kOfThoseWithoutExecvp})
    for (const auto& row : *table) answers(caller, place, row, "");
  for (const std::string name :
       {"01-chroot", "02-pidns", "03-userns", "04-uts", "05-mountns",
        "06-netns-veth", "07-cgroup-memory", "08-all"})
    if (caller == Caller::kRoot || (name > "03" && name < "06"))
      for (const auto& row : kOfEach) answers(caller, place, row, name);
}

// ---- What the host lacks ---------------------------------------------------

TEST_AS_BOTH("thirty open files are enough; too few are told") {
  runs("prlimit --nofile=30 " + step(caller, "08-all", kQuiet));
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
          ": --net none");
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
