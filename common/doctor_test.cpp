// scripts/doctor on hosts that lack something: it has to name the cause, and
// the step that fails has to name the same.

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pty.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "common/diagnosis/causes.hpp"
#include "common/testing.hpp"
#include "steps/tests/host.hpp"

using host::Caller, host::must, host::shell, host::step;
namespace fs = std::filesystem;

namespace {

// The doctor, in a tree that `caller` may enter, with the programs that other
// tests run, or with none.
std::string doctor(Caller caller, bool is_built = true) {
  const fs::path tree = host::scratch("doctor");
  if (!fs::exists(tree / "scripts")) {
    must("cp -r scripts " + tree.string() + "; mkdir " + tree.string() +
         "/steps; for step in steps/0*; do mkdir " + tree.string() +
         "/$step; done");
  }
  for (const auto& entry : fs::directory_iterator("steps"))
    if (entry.is_directory()) (void)host::as(caller, entry.path().filename());
  const auto programs = fs::path{host::rootfs(caller)}.parent_path();
  const bool plays_user = caller == Caller::kUser && ::geteuid() == 0;
  return (plays_user ? "setpriv --reuid 54321 --regid 54321 --clear-groups "
                     : "") +
         sys::format("env BUILD={} sh {}/scripts/doctor ",
                     is_built ? programs.string() : "", tree.string());
}

// Any process that this thread starts gets `errnum` from a system call.
void forbid(unsigned call, unsigned errnum) {
  std::array<sock_filter, 4> code{
      {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | errnum),
       BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)}};
  const sock_fprog program{code.size(), code.data()};
  sys::check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "set no_new_privs");
  sys::check(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program),
             "install a filter");
}

std::string line_of(const std::string& text, const std::string& start) {
  for (const auto& line : host::lines(text))
    if (line.starts_with(start)) return line;
  return {};
}

// On the host as it is for this thread, `name` fails for this cause, and the
// doctor says so. Returns the command that mends it.
std::string fails(Caller caller, const std::string& name,
                  const std::string& why, const std::string& wrapper = {}) {
  const auto ran = shell(wrapper + step(caller, name) + "true");
  CHECK(ran.status == 125);
  const auto start = "; hint: " + why + ": ";
  const auto at = ran.err.find(start);
  CHECK_MESSAGE(at != std::string::npos, ran.err);
  if (at == std::string::npos) return {};
  const auto from = at + start.size();
  auto mend = ran.err.substr(from, ran.err.find('\n', from) - from);

  const auto told = shell(wrapper + doctor(caller));
  CAPTURE(told.out);
  CAPTURE(told.err);
  CHECK(told.status == 1);
  CHECK(line_of(told.out, name).find("not here") != std::string::npos);
  CHECK(told.out.find(": " + why + "\n    " + mend + "\n") !=
        std::string::npos);
  return mend;
}

// Each host is seen by root, and by somebody else.
void as_both(const std::function<void(Caller)>& body) {
  for (const auto caller : {Caller::kRoot, Caller::kUser}) {
    (void)doctor(caller);  // What is made for it is made on the whole host.
    CAPTURE(caller == Caller::kRoot);
    testing::in_namespaces(CLONE_NEWNS, [&] { body(caller); });
  }
}

// What `caller` is told to do, as root does it.
std::string as_root(Caller caller, const std::string& command) {
  const std::string before = caller == Caller::kRoot ? ""
                             : shell("command -v sudo").status == 0
                                 ? "sudo "
                                 : "as root: ";
  REQUIRE(command.starts_with(before));
  return command.substr(before.size());
}

// A wrapper: in a user namespace that has all ids, the command may make none.
std::string without_user_namespaces() {
  const auto script = host::scratch("limit") + "/run";
  std::ofstream{script} << R"(
unshare --user sh -c '
  until grep -q . /proc/self/uid_map; do sleep 0.1; done
  exec sh -c "echo 0 >/proc/sys/user/max_user_namespaces; \"\$@\"; exit" sh "$@"
' sh "$@" <&0 &
until echo 0 0 4294967295 >/proc/$!/uid_map; do sleep 0.1; done 2>/dev/null
echo 0 0 4294967295 >/proc/$!/gid_map
wait $!
)";
  return "sh " + script + " ";
}

}  // namespace

TEST_SUITE_BEGIN("doctor");

TEST_AS_BOTH("on this very host its verdicts are what the steps do") {
  const auto told = shell(doctor(caller));
  CAPTURE(told.out);
  CHECK(told.err.empty());
  const auto lines = host::lines(told.out);
  REQUIRE(lines.size() >= 8);
  std::size_t i = 0;
  bool all = true;
  for (const auto* const name :
       {"01-chroot", "02-pidns", "03-userns", "04-uts", "05-mountns",
        "06-netns-veth", "07-cgroup-memory", "08-all"}) {
    const auto line = testing::nth(lines, i++);
    CHECK(line.starts_with(name));
    const auto verdict = testing::behind(line, 18);
    const bool works = shell(step(caller, name) + "true").status == 0;
    CHECK((verdict == "ready" || verdict.starts_with("ready (")) == works);
    all = all && verdict.starts_with("ready");
  }
  CHECK(told.status == (all ? 0 : 1));
}

TEST_AS_BOTH("as JSON it says the same") {
  const auto text = shell(doctor(caller));
  const auto json = shell(doctor(caller) +
                          "--json | python3 -c 'import json, sys\n"
                          "for f in json.load(sys.stdin):\n"
                          "    print(f[\"step\"], f[\"verdict\"])'");
  CHECK(json.status == 0);
  const auto lines = host::lines(json.out);
  REQUIRE(lines.size() == 8);
  for (const auto& line : lines) {
    const auto space = line.find(' ');
    const auto same = line_of(text.out, line.substr(0, space));
    CHECK(testing::behind(same, 18).starts_with(line.substr(space + 1)));
  }
}

TEST_AS_BOTH("an option that it does not know is an error of its own") {
  const auto result = shell(doctor(caller) + "--colour");
  CHECK(result.status == 2);
  CHECK(result.out.empty());
  CHECK(result.err.starts_with("usage   scripts/doctor"));
}

TEST_AS_BOTH("without a compiler no step works, and a command brings one") {
  const auto result = shell("CXX=no-such-g++ " + doctor(caller, false));
  CHECK(result.status == 1);
  CHECK(line_of(result.out, "08-all").ends_with("not here"));
  CHECK(result.out.find("08: missing: compiler no-such-g++ -std=c++20") !=
        std::string::npos);
  const auto mend = testing::last(host::lines(result.out));
  CHECK((mend.find(" install ") != std::string::npos ||
         mend.find(" -S ") != std::string::npos ||
         mend.find(" add ") != std::string::npos));
}

namespace {

// A copy of the project in which nothing is built, in which `caller` runs the
// doctor after `prepare`; what it says, and what is behind that.
std::string copy_of_all(const std::string& name) {
  auto tree = host::scratch("doctor-tree") + "/" + name;
  must("rm -rf " + tree + " && mkdir " + tree +
       " && cp -r Makefile README.md common rootfs scripts steps " + tree);
  return tree;
}

const std::string kAsUser =
    "setpriv --reuid 54321 --regid 54321 --clear-groups ";

}  // namespace

TEST_AS_ROOT("a tree of root's does not build for a user, in any language") {
  const auto tree = copy_of_all("of-root");
  for (const std::string locale : {"C.UTF-8", "de_DE.UTF-8", "ja_JP.UTF-8"}) {
    const auto told =
        shell("cd '" + tree + "' && LC_ALL=" + locale + " LANGUAGE=" + locale +
              " " + kAsUser + "sh scripts/doctor");
    CAPTURE(told.out);
    CHECK(told.status == 1);
    CHECK(told.out.find(": the build failed: the files are not yours\n") !=
          std::string::npos);
    CHECK(told.out.find("chown") == std::string::npos);
    CHECK(told.out.find("    cp -r . /var/tmp/box && ") != std::string::npos);
  }
  // In one's own home sudo has made it.
  must("mkdir '" + tree + "/home' && chown 54321 '" + tree +
       "/home' && cp -r '" + tree + "/'[!h]* '" + tree + "/home' && mkdir '" +
       tree + "/home/x' && mv '" + tree + "/home/'[!x]* '" + tree + "/home/x'");
  const auto told = shell("cd '" + tree + "/home/x' && HOME='" + tree +
                          "/home' " + kAsUser + "sh scripts/doctor");
  CAPTURE(told.out);
  CHECK(told.out.find("chown -R 54321:54321 '" + tree + "/home/x'\n") !=
        std::string::npos);
}

TEST_AS_ROOT("lost exec bits: all that are lost, and what gives them back") {
  const auto tree = copy_of_all("bits");
  must("cd " + tree +
       " && find scripts rootfs -type f -exec chmod -x {} + && cd - && chmod "
       "755 " +
       tree);
  auto told = shell("cd " + tree + " && sh scripts/doctor");
  CHECK(told.out.find(": the scripts are not executable\n    chmod +x ") !=
        std::string::npos);
  must("cd " + tree + " && " + testing::last(host::lines(told.out)));
  for (const std::string name : {"scripts/", "rootfs/"})
    CHECK(shell("cd " + tree + " && find " + name +
                " -type f ! -perm -100 -exec grep -l '^#!' {} +")
              .out.empty());
  must("chmod -x " + tree + "/rootfs/from-host");
  told = shell("cd " + tree + " && BUILD=$OLDPWD/build sh scripts/doctor");
  CHECK(told.out.ends_with("    chmod +x rootfs/from-host\n"));
}

TEST_AS_ROOT(
    "a full disk is told, and is never taken for a machine that is fine") {
  const auto run = doctor(Caller::kRoot);
  testing::in_namespaces(CLONE_NEWNS, [&] {
    sys::mount("tmpfs", "/media", "tmpfs", 0, "size=4k");
    (void)shell("cat /dev/zero >/media/full");
    for (const std::string format : {"", " --json"}) {
      const auto told = shell("TMPDIR=/media " + run + format);
      CAPTURE(told.out);
      CHECK(told.status == 1);
      CHECK(told.err.empty());
      CHECK(told.out.find("no space is left in /media") != std::string::npos);
      CHECK(told.out.find("TMPDIR=/var/tmp make doctor") != std::string::npos);
      CHECK(host::lines(told.out).size() >= 8);
    }
    // The disk is full where something else is.
    must("mkdir /media/below; mount --bind /media/below /var/tmp");
    CHECK(shell("TMPDIR=/media/below " + run)
              .out.ends_with(": no space is left in /media/below\n"
                             "    du -xah /media | sort -h | tail\n"));
  });
  CHECK(shell(run + " >/dev/full").status == 1);
}

TEST_AS_ROOT("a build on a full disk is not sent to the same disk") {
  const auto place = host::scratch("no-room");
  must("cd " + place +
       " && printf '#!/bin/sh\\necho x: No space left on device >&2\\n"
       "exit 1\\n' >make && chmod 755 make");
  const auto tree = copy_of_all("no-room");
  testing::in_namespaces(CLONE_NEWNS, [&] {
    const auto run = "cd " + tree + " && PATH=" + place +
                     ":$PATH sh scripts/doctor 2>/dev/null";
    sys::mount("tmpfs", "/var/tmp", "tmpfs", 0, nullptr);
    const auto why = ": the build failed: no space is left in " + tree + "\n";
    CHECK(shell(run).out.ends_with(
        why + "    cp -a . /var/tmp/box && cd /var/tmp/box\n"));
    must("mount --bind " + tree + " /var/tmp");
    const auto told = shell(run).out;
    CAPTURE(told);
    CHECK(told.find(why + "    du -xah /") != std::string::npos);
  });
}

namespace {

// What lifts a limit for `caller` that is a hard one: nothing, for a user, and
// for root in some containers.
std::string lift(Caller caller, const std::string& limit,
                 const std::string& value) {
  const auto command = "ulimit " + limit + " " + value;
  const auto result = shell("ulimit " + limit + " 12; " + command);
  return caller == Caller::kRoot && result.status == 0 ? command : "exit";
}

}  // namespace

TEST_AS_ROOT("no place for a file: why, and what gives one") {
  const auto run = doctor(Caller::kRoot);
  const auto is_told = [&](const std::string& before, const std::string& why,
                           const std::string& mend) {
    const auto told = shell(before + run);
    CAPTURE(told.out);
    CHECK(told.status == 1);
    CHECK(told.err.empty());
    CHECK(told.out.ends_with(" 08: no file can be written in " + why +
                             "\n    " + mend + "\n"));
  };
  testing::in_namespaces(CLONE_NEWNS, [&] {
    is_told("TMPDIR=/no/such ", "/no/such (No such file or directory)",
            "TMPDIR=/var/tmp make doctor");
    is_told("ulimit -f 0; ", "/tmp (File too large)",
            lift(Caller::kRoot, "-f", "unlimited"));
    sys::mount("tmpfs", "/media", "tmpfs", MS_RDONLY, nullptr);
    is_told("TMPDIR=/media ", "/media (Read-only file system)",
            "TMPDIR=/var/tmp make doctor");
    must("mount --bind /media /var/tmp");
    is_told("TMPDIR=/media ", "/media (Read-only file system)",
            "mount -o remount,rw /media");
    is_told("TMPDIR=/no/such ", "/no/such (No such file or directory)",
            "mkdir -p -m 1777 /no/such");
    must("mount -o remount,rw /media");
    CHECK(shell("TMPDIR=/media " + run).status == 0);
  });
  // What an ordinary user cannot lift ends with the shell.
  const auto told = shell("ulimit -f 0; " + doctor(Caller::kUser));
  CHECK(told.out.ends_with("(File too large)\n    exit\n"));
}

TEST_AS_BOTH("a shell with few descriptors is told so") {
  for (const std::string most : {"12", "20", "63"}) {
    const auto told = shell("ulimit -n " + most + "; " + doctor(caller));
    CAPTURE(most);
    CAPTURE(told.err);
    CHECK(told.status == 1);
    CHECK(told.err.empty());
    CHECK(told.out.ends_with(" 08: a process can have only " + most +
                             " open descriptors\n    " +
                             lift(caller, "-n", "1024") + "\n"));
  }
  const auto soft = shell("ulimit -S -n 12; " + doctor(caller));
  CHECK(soft.out.ends_with("\n    ulimit -n 1024\n"));
}

TEST_AS_BOTH("a descriptor that is closed changes no verdict") {
  const auto whole = shell(doctor(caller));
  for (const std::string closed : {"2>&-", "<&-", "<&- 2>&-"}) {
    const auto told = shell(doctor(caller) + closed);
    CAPTURE(closed);
    CHECK(told.out == whole.out);
    CHECK(told.status == whole.status);
  }
  CHECK(shell(doctor(caller) + ">&-").status == 1);
}

TEST_AS_ROOT("without a package manager it does not send to one") {
  const auto tree = copy_of_all("bare");
  const auto told = shell(
      "unshare --mount sh -c 'for name in apt-get dnf zypper pacman apk; do "
      "for place in /usr/bin /usr/sbin /usr/local/bin; do "
      "[ ! -e $place/$name ] || mount --bind /dev/null $place/$name; done; "
      "done; cd " +
      tree + "; CXX=no-such-g++ sh scripts/doctor'");
  CAPTURE(told.out);
  CHECK(told.status == 1);
  CHECK(told.out.find("no package manager known here; missing: ") !=
        std::string::npos);
  CHECK(told.out.find("scripts/setup") == std::string::npos);
}

// Lessons type it; a step's own program may be permitted what it is not.
TEST_AS_BOTH("unshare(1) is tried, too") {
  const auto place = host::scratch("unshare");
  must("cd " + place +
       " && printf '#!/bin/sh\\n[ \"$1\" = --version ] && "
       "echo unshare from util-linux 2.38 || { echo no >&2; exit 1; }\\n' "
       ">unshare && chmod 755 unshare");
  const auto told = shell("PATH=" + place + ":$PATH " + doctor(caller));
  CAPTURE(told.out);
  CHECK(told.status == 1);
  CHECK(line_of(told.out, "unshare(1)").find("not here") != std::string::npos);
  CHECK(
      told.out.find("unshare(1): unshare --user --map-root-user fails: no\n") !=
      std::string::npos);
  CHECK(shell(doctor(caller)).out.find("unshare(1)") == std::string::npos);
}

// A machine that is slow, or short of memory, ends a step at any moment: also
// after it has said what its container has not.
TEST_AS_BOTH(
    "a step that is ended is not ready, whatever it has noted before") {
  const auto place = host::scratch("ended");
  must("cd " + place + " && chmod 755 .");
  const std::string note =
      "no memory limit: cannot find a cgroup for a limit on memory; hint: the "
      "cgroups here are root's: run it as root, or in make lab";
  for (const std::string end :
       {"kill -KILL $$", "kill -SEGV $$", "exit 124", "exit 1", "exit 125"}) {
    CAPTURE(end);
    std::ofstream{place + "/timeout"}
        << "#!/bin/sh\ncase $2 in *08-all) echo \"08-all: " << note
        << "\" >&2; " << end << " ;; esac\nshift\nexec \"$@\"\n";
    // sudo(8) would try it as root, with another PATH.
    must("cd " + place + " && ln -sf /bin/false sudo && chmod 755 timeout");
    must(place + "/timeout 20 true");  // So it lets other programs go on.
    const auto told = shell("PATH=" + place + ":$PATH " + doctor(caller));
    CAPTURE(told.out);
    CHECK(told.status == 1);
    CHECK(line_of(told.out, "08-all").find("not here") != std::string::npos);
    CHECK(line_of(told.out, "08: 08-all ").find("cgroup") == std::string::npos);
    CHECK(told.out.find("/08-all' -v ") != std::string::npos);
  }
}

TEST_AS_ROOT("an ordinary user with an image of root's is told whose it is") {
  const auto place = host::scratch("built-by-root");
  (void)doctor(Caller::kUser);
  must("cp -a build/0* build/enter build/rootfs " + place);
  const auto told = shell(kAsUser + "env BUILD=" + place + " sh " +
                          host::scratch("doctor") + "/scripts/doctor");
  CAPTURE(told.out);
  CHECK(line_of(told.out, "03-").find("image") == std::string::npos);
  for (const std::string step : {"05-", "06-", "08-"})
    CHECK(line_of(told.out, step).find("the image belongs to another user") !=
          std::string::npos);
  CHECK(shell(doctor(Caller::kUser)).out.find("to another user") ==
        std::string::npos);
}

TEST_AS_USER("a directory where root may not come, as on NFS") {
  const auto place = host::scratch("sudo");
  must("cd '" + place +
       "' && printf '#!/bin/sh\\nshift\\n[ \"$1\" = true ]\\n' >sudo && "
       "chmod 755 sudo");
  const auto told =
      shell("PATH='" + place + "':$PATH " + doctor(Caller::kUser));
  CAPTURE(told.out);
  CHECK(told.status == 1);
  CHECK(line_of(told.out, "01-chroot").ends_with("not here"));
  CHECK(line_of(told.out, "03-userns").ends_with("ready"));
  CHECK(told.out.find(": root cannot enter this folder, for example because "
                      "it is in a home on NFS\n"
                      "    cp -a . /var/tmp/box && cd /var/tmp/box\n") !=
        std::string::npos);
}

TEST_AS_ROOT("a filter that knows no clone3") {
  as_both([](Caller caller) {
    forbid(SYS_clone3, ENOSYS);
    fails(caller, "03-userns",
          "clone3 is forbidden by a seccomp filter on this shell");
    // It has not come so far; but it would.
    CHECK(line_of(shell(doctor(caller)).out, "07-").find("not here") !=
          std::string::npos);
  });
}

TEST_AS_ROOT("a filter that forbids clone3") {
  as_both([](Caller caller) {
    forbid(SYS_clone3, EPERM);
    fails(caller, "03-userns",
          "user namespaces are forbidden by a seccomp filter on this shell");
  });
}

TEST_AS_ROOT("a filter that forbids unshare") {
  as_both([](Caller caller) {
    forbid(SYS_unshare, EPERM);
    CHECK(shell(step(caller, "05-mountns") + "true").status == 0);
    fails(caller, "08-all",
          "to make a cgroup namespace is forbidden by a seccomp filter on "
          "this shell");
  });
}

TEST_AS_ROOT("a filter that forbids mount") {
  as_both([](Caller caller) {
    forbid(SYS_mount, EPERM);
    fails(caller, "05-mountns",
          "mounts are forbidden by a seccomp filter on this shell");
  });
}

TEST_AS_ROOT("a /proc of which a part is hidden, and what mends it") {
  as_both([](Caller caller) {
    // Another that is whole would do: a container of 02 elsewhere has one.
    must(
        "awk '$3 == \"proc\" && $2 != \"/proc\" { print $2 }' /proc/mounts | "
        "xargs -r umount --lazy");
    sys::mount("/dev/null", "/proc/version", nullptr, MS_BIND, nullptr);
    const auto mend = fails(caller, "05-mountns",
                            "a part of /proc is hidden by the mount "
                            "/proc/version");
    must(as_root(caller, mend));
    CHECK(shell(step(caller, "05-mountns") + "true").status == 0);
  });
}

TEST_AS_ROOT("a /proc/sys that is hidden, and what mends it") {
  (void)doctor(Caller::kRoot);
  testing::in_namespaces(CLONE_NEWNS, [&] {
    sys::mount("tmpfs", "/proc/sys", "tmpfs", 0, nullptr);
    for (const std::string step : {"06-netns-veth", "08-all"}) {
      CAPTURE(step);
      const auto mend =
          fails(Caller::kRoot, step,
                "a part of /proc is hidden by the mount /proc/sys");
      CHECK(mend == "umount /proc/sys");
    }
  });
}

TEST_AS_ROOT("a /proc of another PID namespace, or none, and what mends it") {
  struct Case {
    std::string prepare, why;
  };
  for (const auto& [prepare, why] :
       std::vector<Case>{{"unshare --pid --fork mount -t proc proc /proc",
                          "/proc shows another PID namespace"},
                         {"umount -l /proc", "/proc is not mounted here"}})
    as_both([&, prepare = prepare, why = why](Caller caller) {
      must(prepare);
      for (const std::string step :
           {"03-userns", "05-mountns", "07-cgroup-memory", "08-all"}) {
        CAPTURE(step);
        const auto mend = fails(caller, step, why);
        CHECK(as_root(caller, mend) == "mount -t proc proc /proc");
        const auto said = shell(host::step(caller, step) + "true").err;
        CHECK(said.find("hint: \n") == std::string::npos);
      }
      const auto entered = shell(host::as(caller, "enter") + " 1 true");
      CHECK(entered.err.find("hint: " + why) != std::string::npos);
      must("mount -t proc proc /proc");
      CHECK(shell(host::step(caller, "05-mountns") + "true").status == 0);
    });
}

// There, a new /proc would cover that of the whole host.
TEST_AS_ROOT("a new PID namespace with the mounts of the host: out of it") {
  const std::string wrapper = "unshare --pid --fork ";
  const std::string why =
      "/proc shows another PID namespace, and the mounts are those of its PID "
      "1";
  for (const auto caller : {Caller::kRoot, Caller::kUser}) {
    for (const std::string step : {"03-userns", "07-cgroup-memory", "08-all"}) {
      CAPTURE(step);
      if (caller == Caller::kUser && step.starts_with("07")) continue;
      CHECK(fails(caller, step, why, wrapper) ==
            "exit, then unshare --pid --fork --mount-proc ...");
    }
    const auto entered = shell(wrapper + host::as(caller, "enter") + " 1 true");
    CHECK(entered.err.find("hint: " + why + ": exit, ") != std::string::npos);
    CHECK(shell("unshare --pid --fork --mount-proc " +
                host::step(caller, "05-mountns") + "true")
              .status == 0);
    testing::in_namespaces(CLONE_NEWNS, [&] {  // There it would cover ours.
      CHECK(as_root(caller, fails(caller, "03-userns",
                                  "/proc shows another PID namespace",
                                  wrapper)) == "mount -t proc proc /proc");
    });
  }
}

TEST_AS_ROOT("no file system of terminals, and what mends it") {
  as_both([](Caller caller) {
    int ours = -1;
    int its = -1;
    sys::check(::openpty(&ours, &its, nullptr, nullptr, nullptr), "a terminal");
    const sys::Fd end{ours};
    const sys::Fd other_end{its};
    const auto on_it = sys::format("sh -c '\"$@\" </proc/{}/fd/{}' sh ",
                                   ::getpid(), other_end.get());
    sys::mount("tmpfs", "/dev/pts", "tmpfs", 0, nullptr);
    const auto mend = fails(caller, "08-all", "/dev/pts is no devpts", on_it);
    must(as_root(caller, mend));
    CHECK(shell(on_it + step(caller, "08-all") + "true").status == 0);
    CHECK(line_of(shell(doctor(caller)).out, "08").find("  ready") !=
          std::string::npos);
  });
}

TEST_AS_ROOT("cgroups that are read-only, and what mends it") {
  (void)doctor(Caller::kRoot);
  testing::in_namespaces(CLONE_NEWNS, [&] {
    must(
        "awk '/ - cgroup2? / { print $5 }' /proc/self/mountinfo | "
        "xargs -n 1 mount -o remount,ro,bind");
    must(as_root(Caller::kRoot, fails(Caller::kRoot, "07-cgroup-memory",
                                      "the cgroups are mounted read-only")));
    const auto told = shell(doctor(Caller::kRoot));
    for (const std::string step : {"07", "08"})
      CHECK(line_of(told.out, step).ends_with("  ready"));
  });
}

// After enter has joined the container, /proc and the maps are that one's.
TEST_AS_ROOT("what forbids enter is told of the host, not of the container") {
  host::Running box{step(Caller::kRoot, "08-all", "--net none --memory none") +
                    "sh -c 'echo up; read wait'"};
  CHECK(box.hear() == "up");
  testing::in_namespaces(CLONE_NEWNS, [&] {
    forbid(SYS_personality, EPERM);
    const auto entered = shell(host::as(Caller::kRoot, "enter") + " " +
                               std::to_string(box.pid()) + " true");
    CAPTURE(entered.err);
    CHECK(entered.status == 125);
    CHECK(entered.err.find("; hint: to leave the caller's personality is "
                           "forbidden by a seccomp filter on this shell: ") !=
          std::string::npos);
  });
  box.finish();
}

TEST_AS_ROOT("cgroups that are hidden, and what mends it") {
  (void)doctor(Caller::kRoot);
  testing::in_namespaces(CLONE_NEWNS, [&] {
    sys::mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0, nullptr);
    must(as_root(Caller::kRoot,
                 fails(Caller::kRoot, "07-cgroup-memory",
                       "the cgroups are hidden by the mount /sys/fs/cgroup")));
    CHECK(line_of(shell(doctor(Caller::kRoot)).out, "07").ends_with("ready"));
  });
}

TEST_AS_ROOT("a /proc that a killed 02 left, and what mends it") {
  for (const auto caller : {Caller::kRoot, Caller::kUser}) {
    (void)doctor(caller);
    testing::in_namespaces(CLONE_NEWNS, [&] {
      const auto place = host::rootfs(caller) + "/proc";
      sys::mount("proc", place, "proc", 0, nullptr);
      const auto mend = fails(caller, "05-mountns",
                              "an overlay takes no rootfs with a mount in it, "
                              "as a killed 02 leaves");
      if (mend != "make reset")
        must(as_root(caller, mend));
      else if (caller == Caller::kRoot)
        // The machine's cgroups and leftovers are not this test's.
        must("mount -t tmpfs none /sys/fs/cgroup && TMPDIR='" +
             host::scratch("no-leftovers") + "' scripts/reset --alone");
      else  // Theirs is in a copy of the project, with a reset of its own.
        must("umount " + place);
      CHECK(shell(step(caller, "05-mountns") + "true").status == 0);
    });
  }
}

TEST_AS_ROOT("no user namespaces, and what mends it") {
  (void)doctor(Caller::kRoot);
  const auto mend =
      fails(Caller::kRoot, "03-userns", "user.max_user_namespaces is 0",
            without_user_namespaces());
  CHECK(mend == "sysctl -w user.max_user_namespaces=15000");
}

TEST_CASE(
    "one cause where one is root of a user namespace, and more is amiss") {
  const auto caller = ::geteuid() == 0 ? Caller::kRoot : Caller::kUser;
  const auto told =
      shell("unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; " +
            std::string{"exec \"$@\"' sh "} + doctor(caller));
  CAPTURE(told.out);
  CHECK(told.status == 1);
  CHECK(told.out.ends_with(
      "\n\n02 03 04 05 06 07 08: you are root only of a user namespace, "
      "that of your own ids\n    exit\n"));
}

TEST_AS_ROOT("no cgroup file system, and what mends it") {
  as_both([](Caller caller) {
    must("while umount -Rl /sys/fs/cgroup 2>/dev/null; do :; done");
    const auto names = sys::look_at_host().on_v1;
    const bool v1 =
        std::find(names.begin(), names.end(), "memory") != names.end();
    const auto mend =
        fails(caller, "07-cgroup-memory",
              v1 ? "cgroup v1, which has memory and pids, is not mounted"
                 : "no cgroup file system is mounted");
    must("mount -t tmpfs tmpfs /run");
    must(as_root(caller, mend));
    const auto told = shell(doctor(Caller::kRoot));
    CHECK(line_of(told.out, "07").ends_with("ready"));
    CHECK(line_of(told.out, "08").ends_with("ready"));
  });
}

TEST_AS_ROOT("a chroot") {
  as_both([](Caller caller) {
    const auto root = host::scratch("root");
    must("mount --rbind / " + root);
    sys::check(::chroot(root.c_str()), "enter a chroot");
    const auto mend =
        fails(caller, "03-userns",
              "this is a chroot, where the kernel makes no user namespace");
    CHECK(mend == "exit");
  });
}

TEST_SUITE_END();
