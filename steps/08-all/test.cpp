// Step 08 promises a container as closed as the trusted runtimes make it, and a
// pleasant place to be in. What its seven layers promise is tested with them.

#include "common/fd.hpp"
#include "common/testing.hpp"
#include "steps/tests/host.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <memory>
#include <set>

using host::Caller, host::Fails, host::Kept, host::Pieces, host::must,
    host::shell, host::step;
namespace fs = std::filesystem;

TEST_SUITE_BEGIN("08-all");

namespace {

// An ordinary user has no cable and no memory limit here, and is told so on
// stderr. It is none of what these tests are about.
std::string box(Caller caller, const std::string& options = {}) {
  return step(
      caller, "08-all",
      (caller == Caller::kUser ? "--net none --memory none " : "") + options);
}

std::string inside(Caller caller, const std::string& command) {
  return shell(box(caller) + "sh -c '" + command + "' 2>&1").out;
}

// The leak sanitizer stops its own process by a child that it has to know the
// PID of, and waits for ever if its children live in another PID namespace.
std::string enter(Caller caller, pid_t pid) {
  return "ASAN_OPTIONS=detect_leaks=0 " + host::as(caller, "enter") + " " +
         std::to_string(pid) + " ";
}

}  // namespace

// ---- It is pleasant --------------------------------------------------------

PROMISE_AS_ROOT("it shows the container from within", Kept{"08"},
                Pieces{"Nothing inherited from the caller",
                       "Limits and an init"},
                Fails{"We run ps, id, hostname, ip and nc in the container "
                      "and expect each of them to show the container, because "
                      "the last step still has all layers."}) {
  const auto text = inside(Caller::kRoot,
                           "ps; id; hostname; ip addr; "
                           "ip route | (read to rest; nc -w5 ${to%% *} 9)");
  for (const std::string part : {"    1 root     init", "uid=0(root)",
                                 "\nbox\n", "eth0", "Connection refused"})
    CHECK_MESSAGE(text.find(part) != std::string::npos,
                  "what the commands printed does not contain: " << part);
}

PROMISE_AS_BOTH("its PID 1 passes TERM on to a sleep, and reaps orphans",
                Kept{"08"}, Pieces{"Limits and an init"},
                Fails{"We send TERM to the program and leave orphans in the "
                      "container, and expect the command to end and no "
                      "zombies, because PID 1 is an init."}) {
  host::Running sleeper{box(caller) + "sleep 1000"};
  CHECK(host::eventually(
      [](pid_t pid) {
        const auto below = host::children(pid);
        return below.size() == 1 && host::children(below.front()).size() == 1;
      },
      sleeper.pid()));
  ::kill(sleeper.pid(), SIGTERM);
  CHECK(sleeper.finish() == 128 + SIGTERM);

  CHECK(inside(caller,
               "(true & true & true &); sleep 0.2; ps -o stat | grep -c Z") ==
        "0\n");
}

// As timeout(1) does: it signals the program, and then the group of both.
TEST_AS_BOTH("TERM twice at once says nothing") {
  for (const std::string name : {"05-mountns", "08-all"})
    for (int i = 0; i < 20; ++i) {
      CAPTURE(name);
      host::Running running{
          step(caller, name,
               name == "08-all" ? "--net none --memory none" : "") +
          "sh -c 'echo up; exec sleep 1000' 2>&1"};
      CHECK(running.hear() == "up");
      ::kill(running.pid(), SIGTERM);
      ::poll(nullptr, 0, 1);
      ::kill(running.pid(), SIGTERM);
      CHECK(running.hear().empty());
      CHECK(running.finish() == 128 + SIGTERM);
    }
}

TEST_AS_BOTH("TERM ends a container whose PID 1 was stopped from outside") {
  const std::map<std::string, std::string> commands{
      {"07-cgroup-memory",
       "sh -c 'trap \"exit 143\" TERM; echo up; read wait'"},
      {"08-all", "sh -c 'echo up; read wait'"}};
  for (const auto& one : commands) {
    const auto& name = one.first;
    const auto& command = one.second;
    CAPTURE(name);
    host::Running running{step(caller, name, "--net none --memory none") +
                          command};
    CHECK(running.hear() == "up");
    const auto first = running.child();
    ::kill(first, SIGSTOP);
    CHECK(host::eventually(
        [](pid_t pid) {
          return host::contents("/proc/" + std::to_string(pid) + "/stat")
                     .find(") T ") != std::string::npos;
        },
        first));
    ::kill(running.pid(), SIGTERM);
    CHECK(host::eventually(host::is_gone, first));
    ::kill(first, SIGCONT);
    CHECK(running.finish() == 128 + SIGTERM);
  }
}

// They mean init itself, as in `kill -HUP 1` of packages that replace an init.
PROMISE_AS_BOTH(
    "its PID 1 leaves signals from within alone, but for TERM", Kept{"08"},
    Pieces{"Limits and an init"},
    Fails{"The command sends signals to PID 1 and we expect only TERM to end "
          "the container, because the other signals mean the init itself."}) {
  // TERM is the last of those that would end it to be heard.
  CHECK(shell(box(caller) +
              "sh -c 'trap \"echo survived; exit 3\" TERM; "
              "for s in HUP USR1 USR2 ALRM TSTP CONT WINCH TERM; do "
              "kill -$s 1; done; while :; do read -t 1 wait; done'")
            .out == "survived\n");
  CHECK(shell(box(caller) + "sh -c 'kill -TERM 1; sleep 1000'").status ==
        128 + SIGTERM);
}

PROMISE_AS_BOTH(
    "TERM twice says what it waits for, if an enter is stopped", Kept{"08"},
    Pieces{"Limits and an init"},
    Fails{
        "We stop an enter and send TERM twice, and expect the program to name "
        "the PID that it waits for, because the user cannot see the reason."}) {
  host::Running running{box(caller) + "sh -c 'echo up; read wait' 2>&1"};
  CHECK(running.hear() == "up");
  host::Running joined{"env " + enter(caller, running.pid()) +
                       "sh -c 'echo up; read wait'"};
  CHECK(joined.hear() == "up");
  ::kill(joined.pid(), SIGSTOP);
  const auto child = running.child();
  ::kill(running.pid(), SIGTERM);
  // Its PID 1 has ended when what it ran has, but for what enter has to reap.
  CHECK(host::eventually([](pid_t pid) { return host::children(pid).empty(); },
                         child));
  ::kill(running.pid(), SIGTERM);
  const auto said = running.hear();
  CAPTURE(said);
  CHECK(said.starts_with("08-all: PID " + std::to_string(child)));
  ::kill(joined.pid(), SIGCONT);
  CHECK(running.finish() == 128 + SIGTERM);
  CHECK(joined.finish() == 128 + SIGKILL);
}

PROMISE_AS_BOTH("the image is root's own, inside, and untouched outside",
                Kept{"08"}, Pieces{"The image, and what is hidden"},
                Fails{"We look at the owner of the image in the container and "
                      "expect 0:0, and changes that stay there, because root "
                      "in the container must be able to change its files."}) {
  CHECK(inside(caller, "stat -c %u:%g /bin /etc/passwd /bin/busybox") ==
        "0:0\n0:0\n0:0\n");
  const auto removed =
      inside(caller, "echo x >>/etc/passwd && rm -r /bin && echo gone");
  CHECK((removed == "gone\n") == host::has_tmpfs_attributes());
  CHECK(host::contents(host::rootfs(caller) + "/etc/passwd").find("x\n") ==
        std::string::npos);
  CHECK(fs::exists(host::rootfs(caller) + "/bin/sh"));
}

PROMISE_AS_ROOT(
    "root may run the image of an ordinary user as its own", Kept{"08"},
    Pieces{"The image, and what is hidden"},
    Fails{"Root runs the image of an ordinary user and we expect 0:0 as the "
          "owner in the container, because the id-mapped mount shows it so."}) {
  const auto tree = host::rootfs(Caller::kUser);
  CHECK(shell(host::step_in(tree, Caller::kRoot, "08-all", "--net none") +
              "sh -c 'stat -c %u:%g /bin; touch /bin/new && echo made'")
            .out == "0:0\nmade\n");
}

// Its OverlayFS would refuse a map. setarch(8) has uname(2) say that it is one.
PROMISE_AS_ROOT("before Linux 5.19 the image is as it is, and the command runs",
                Kept{"08"}, Pieces{"The image, and what is hidden"},
                Fails{"We run the step on a kernel that calls itself 2.6 and "
                      "expect the image without a map and a note, because an "
                      "older overlay refuses a map."}) {
  const auto result = shell(
      "setarch --uname-2.6 " + step(Caller::kRoot, "08-all", "-v --net none") +
      "sh -c 'stat -c %u /bin/busybox; echo x >/tmp/new && cat /tmp/new'");
  CHECK(result.out == "65534\nx\n");
  CHECK(result.err.find("accepts no map") != std::string::npos);
}

// An image that is partly root's and partly a user's: "sudo tar" in a directory
// of one's own, for example. Neither part is nobody's, and each can be changed.
PROMISE_AS_ROOT(
    "whoever owns an image, or a part of it, none of it is nobody's",
    Kept{"08"}, Pieces{"The image, and what is hidden"},
    Fails{"We run images whose files belong to root, to users or to both, and "
          "expect no file to belong to the user nobody in the container, "
          "because root there could not change it."}) {
  struct Case {
    std::string name, directory, files, one;  // Owners; that of one file.
    std::string seen_files, seen_one;
  };
  for (const auto& image : std::vector<Case>{
           {"user", "1000:1000", "1000:1000", "0:0", "0:0", "1000:1000"},
           {"root", "1000:1000", "0:0", "1000:1000", "0:0", "1000:1000"},
           {"roots", "0:0", "0:0", "1000:50", "0:0", "1000:50"},
           {"group", "1000:50", "1000:50", "0:0", "0:0", "1000:50"},
           {"of-root", "1000:0", "1000:0", "0:1000", "0:0", "1000:1000"},
           {"of-user", "0:1000", "0:1000", "1000:0", "0:1000", "1000:0"},
           {"other", "1000:1000", "1000:1000", "33:4", "0:0", "33:4"},
           {"first", "1:1", "1:1", "0:0", "0:0", "1:1"},
           {"last", "65535:65535", "65535:65535", "0:0", "0:0", "65535:65535"},
           {"high", "200000:200000", "200000:200000", "0:0", "0:0",
            "65535:65535"}}) {
    CAPTURE(image.name);
    const auto tree = host::scratch("owners") + "/" + image.name;
    must("cp -a " + host::rootfs(Caller::kRoot) + " " + tree + " && touch " +
         tree + "/etc/one " + tree + "/etc/two && chown -Rh " + image.files +
         " " + tree + " && chown " + image.one + " " + tree +
         "/etc/one && chown " + image.directory + " " + tree);
    const auto result = shell(
        host::step_in(tree, Caller::kRoot, "08-all", "--net none") +
        "sh -c 'stat -c %u:%g /etc/two /etc/one; "
        "find /bin /etc /root \\( -user 65534 -o -group 65534 \\) | wc -l; "
        "for file in two one; do echo x >>/etc/$file && "
        "chown 7:8 /etc/$file && stat -c %u:%g /etc/$file; done'");
    CHECK(result.out ==
          image.seen_files + "\n" + image.seen_one + "\n0\n7:8\n7:8\n");
    CHECK(result.err == "");
    CHECK(
        shell("stat -c %u:%g " + tree + "/etc/two " + tree + "/etc/one").out ==
        image.files + "\n" + image.one + "\n");
  }
}

PROMISE_AS_BOTH("its environment is its own, and what --env says", Kept{"08"},
                Pieces{"Nothing inherited from the caller"},
                Fails{"We list the environment in the container and expect "
                      "PATH, HOME, TERM and what --env says, because the "
                      "caller's environment can contain secrets."}) {
  const auto variables =
      "SECRET=x TERM=vt100 " + box(caller, "--env A=1 --env HOME=/tmp") + "env";
  auto result = host::lines(shell(variables).out);
  std::sort(result.begin(), result.end());
  CHECK(result == std::vector<std::string>{"A=1", "HOME=/tmp",
                                           "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                           "TERM=vt100"});
}

PROMISE_AS_ROOT("--user runs the command as that user, without capabilities",
                Kept{"08"}, Pieces{"Limits and an init"},
                Fails{"We run the command with --user and expect its ids and "
                      "groups to be that user's and no capabilities, because a "
                      "service does not need root."}) {
  CHECK(shell(box(Caller::kRoot, "--user 1000:100") +
              "sh -c 'id -u; id -g; id -G; grep CapEff /proc/self/status'")
            .out == "1000\n100\n100\nCapEff:\t0000000000000000\n");
}

PROMISE_AS_ROOT("enter joins it: the same namespaces, cgroups and filters",
                Kept{"08"}, Pieces{"Fewer rights for root"},
                Fails{"We enter the running container and expect the same "
                      "namespaces, cgroups, capabilities and filter, because a "
                      "process that enters must not have more rights."}) {
  host::Running running{box(Caller::kRoot) + "sh -c 'echo up; read wait'"};
  CHECK(running.hear() == "up");
  // By the program's number, and by that of PID 1.
  for (const pid_t pid : {running.pid(), running.child()}) {
    const auto joined = enter(Caller::kRoot, pid);
    CHECK(shell(joined + "sh -c 'exit 5'").status == 5);
    CHECK(shell(joined + "hostname").out == "box\n");
    CHECK(shell(joined + "id -u").out == "0\n");
    for (const std::string name :
         {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"})
      CHECK(shell(joined + "readlink /proc/self/ns/" + name).out ==
            shell("readlink /proc/" + std::to_string(running.child()) + "/ns/" +
                  name)
                .out);
    const std::string facts =
        "sh -c 'grep -E \"Cap|NoNew|Seccomp:\" /proc/self/status; "
        "cat /proc/self/cgroup'";
    CHECK(shell(joined + facts).out == shell(box(Caller::kRoot) + facts).out);
  }
  for (const std::string other : {"999999999", "0", "x", "1"}) {
    const auto result =
        shell(host::as(Caller::kRoot, "enter") + " " + other + " true");
    CHECK(result.status == 125);
    CHECK(host::lines(result.err).size() == 1);
  }
  running.finish();
}

PROMISE_AS_BOTH(
    "enter passes signals on, with streams or without", Kept{"08"},
    Pieces{"Limits and an init"},
    Fails{"We send TERM to enter and expect the command in the container to "
          "get it, because the user ends it that way."}) {
  host::Running running{box(caller) + "sh -c 'echo up; read wait'"};
  CHECK(running.hear() == "up");
  host::Running inside{"env " + enter(caller, running.pid()) +
                       "sh -c 'trap \"echo caught; exit 3\" TERM; echo up; "
                       "while :; do sleep 0.1; done'"};
  CHECK(inside.hear() == "up");
  ::kill(inside.pid(), SIGTERM);
  CHECK(inside.hear() == "caught");
  CHECK(inside.finish() == 3);
  CHECK(shell(enter(caller, running.pid()) + "true <&- >&- 2>&-").status == 0);
  running.finish();
}

PROMISE_AS_ROOT("a FIFO of the host's stays whose it is", Kept{"08"},
                Pieces{"Nothing inherited from the caller"},
                Fails{"We pass a FIFO of the host as standard input and expect "
                      "its owner to stay the same, because the container "
                      "changes only its own terminal."}) {
  const auto fifo = host::scratch("fifo") + "/fifo";
  must("mkfifo " + fifo);
  CHECK(shell("exec 3<>" + fifo + "; " + box(Caller::kRoot) + "true <&3")
            .status == 0);
  CHECK(shell("stat -c %u " + fifo).out == "0\n");
}

PROMISE_AS_USER("enter joins an ordinary user's container, too", Kept{"08"},
                Pieces{"Fewer rights for root"},
                Fails{
                    "An ordinary user enters their own container and we expect "
                    "its host name, because the user owns its namespaces."}) {
  host::Running running{box(Caller::kUser) + "sh -c 'echo up; read wait'"};
  CHECK(running.hear() == "up");
  CHECK(shell(enter(Caller::kUser, running.pid()) + "hostname").out == "box\n");
  running.finish();
}

PROMISE_AS_ROOT(
    "root enters an ordinary user's container, too", Kept{"08"},
    Pieces{"Fewer rights for root"},
    Fails{
        "Root enters the container of an ordinary user and we expect to be "
        "root there, because the image and the namespaces are that user's."}) {
  host::Running running{box(Caller::kUser) + "sh -c 'echo up; read wait'"};
  CHECK(running.hear() == "up");
  CHECK(shell(enter(Caller::kRoot, running.pid()) + "id -u").out == "0\n");
  running.finish();
}

// ---- It is closed ----------------------------------------------------------

PROMISE_AS_BOTH("System V memory and message queues of the host are not there",
                Kept{"08"}, Pieces{"Two more namespaces"},
                Fails{"We make a segment of System V memory on the host and "
                      "expect the container not to see it, because the "
                      "container has its own IPC namespace."}) {
  must("ipcmk -M 4096 >/dev/null");
  const std::string segments = "tail -n +2 /proc/sysvipc/shm | wc -l";
  CHECK(shell(segments).out == "1\n");
  CHECK(shell(step(caller, "07-cgroup-memory", "--net none --memory none") +
              "sh -c '" + segments + "'")
            .out == "1\n");
  CHECK(inside(caller, segments) == "0\n");
  must("ipcrm --all=shm");
  CHECK(shell(box(caller) + "readlink /proc/self/ns/ipc").out !=
        shell("readlink /proc/self/ns/ipc").out);
}

PROMISE_AS_BOTH(
    "its cgroup is the root of what it sees", Kept{"08"},
    Pieces{"Two more namespaces"},
    Fails{"We read /proc/self/cgroup in the container and expect / in each "
          "line, because the path would tell about the host."}) {
  for (const auto& line : host::lines(inside(caller, "cat /proc/self/cgroup")))
    CHECK(line.ends_with(":/"));
}

PROMISE_AS_BOTH("it has thirteen capabilities at most, for good", Kept{"08"},
                Pieces{"Fewer rights for root"},
                Fails{"We read the capabilities of the command and expect "
                      "thirteen, no_new_privs and a filter, because each "
                      "capability reaches code of the kernel."}) {
  const auto status = inside(caller, "cat /proc/self/status");
  for (const std::string set : {"CapPrm", "CapEff", "CapBnd"})
    CHECK_MESSAGE(
        status.find(set + ":\t00000000a80405fb\n") != std::string::npos,
        set << " is not 00000000a80405fb");
  for (const std::string set : {"CapInh", "CapAmb"})
    CHECK_MESSAGE(
        status.find(set + ":\t0000000000000000\n") != std::string::npos,
        set << " is not empty");
  CHECK_MESSAGE(status.find("NoNewPrivs:\t1\n") != std::string::npos,
                "no_new_privs is not set");
  CHECK_MESSAGE(status.find("Seccomp:\t2\n") != std::string::npos,
                "there is no filter of system calls");
}

PROMISE_AS_BOTH(
    "it makes no namespaces and no mounts, nor renames itself", Kept{"08"},
    Pieces{"Fewer rights for root"},
    Fails{"We unshare, mount, mknod and rename in the container and expect "
          "each to fail, because no program in the container needs it."}) {
  for (const std::string command :
       {"unshare -U true", "unshare -m true", "unshare -n true",
        "mount -t tmpfs none /mnt", "umount /proc", "hostname other",
        "mount -o remount,rw /proc/sys", "mknod /tmp/disk b 254 0"}) {
    CAPTURE(command);
    CHECK(shell(box(caller) + command + " 2>/dev/null").status != 0);
  }
}

PROMISE_AS_BOTH("what /proc and /sys tell of the host is covered", Kept{"08"},
                Pieces{"The image, and what is hidden"},
                Fails{"We read and write the files of /proc and /sys that "
                      "belong to no namespace, and expect them covered or "
                      "read-only, because they are the host's."}) {
  CHECK(inside(caller,
               "cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null "
               "| wc -c") == "0\n");
  const auto table = inside(caller, "cat /proc/self/mountinfo");
  for (const std::string path :
       {"/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/timer_list",
        "/proc/acpi", "/sys/firmware", "/proc/bus", "/proc/fs", "/proc/irq",
        "/proc/pressure", "/proc/sys", "/proc/sysrq-trigger"}) {
    CAPTURE(path);
    if (fs::exists(path))
      CHECK_MESSAGE(table.find(" " + path + " ") != table.npos,
                    path << " is not covered");
  }
  for (const std::string path :
       {"/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity", "/proc/pressure/cpu",
        "/sys/kernel/uevent_helper"})
    CHECK(shell(box(caller) + "sh -c 'echo x >" + path + "' 2>/dev/null")
              .status != 0);
}

PROMISE_AS_BOTH("PID 1 is a closed book", Kept{"08"},
                Pieces{"Limits and an init"},
                Fails{"We read the files of PID 1 in /proc and expect nothing "
                      "of the program, and no more rights than the command's, "
                      "because a command can attack PID 1."}) {
  const auto text =
      inside(caller,
             "cat /proc/1/environ; readlink /proc/1/exe; ls /proc/1/fd; "
             "ls /proc/1/root; echo [$(tr -d \"\\0\" </proc/1/cmdline)]");
  CHECK(text.find("PATH=") == std::string::npos);
  CHECK(text.find("/08-all") == std::string::npos);
  CHECK(text.ends_with("[init]\n"));
  // It may do no more than the command: who takes it over gains nothing.
  const std::string rights = "grep -E \"^(Cap...|NoNewPrivs|Seccomp):\" /proc/";
  const auto of_init = inside(caller, rights + "1/status");
  CHECK(host::lines(of_init).size() == 7);
  CHECK(of_init == inside(caller, rights + "self/status"));
}

// The filter forbids to use the caller's. But who has it, has rights over it.
// In a container, /proc/keys may be covered. It shows a user the keyrings of
// that user, so this is one of whom no other process runs.
namespace {

// How many session keyrings more a user has while a container of this user
// runs. Nobody else has the user's id.
long new_session_keyrings(const std::string& options) {
  const auto id = std::to_string(1'000'000 + ::getpid());
  const auto as_that_user =
      "setpriv --reuid " + id + " --regid " + id + " --clear-groups ";
  const auto keyrings = [&] {
    return testing::number(
        shell(as_that_user + "grep -c 'keyring *_ses' /proc/keys").out);
  };
  // Any user can read the copies of the program and of the image.
  const auto words = host::as(Caller::kUser, "08-all");
  const auto program = words.substr(words.rfind(' ') + 1);
  const auto before = keyrings();  // sudo(8) gives its command one.
  host::Running box{as_that_user + program + " --net none --memory none " +
                    options + " " + host::rootfs(Caller::kUser) +
                    " sh -c 'echo ready; read wait' 2>/dev/null"};
  CHECK(box.hear() == "ready");
  const auto now = keyrings();
  box.finish();
  return now - before;
}

}  // namespace

PROMISE_IF(
    ::geteuid() == 0 && !host::contents("/proc/keys").empty(),
    "its session keyring is its own (root)", Kept{"08"},
    Pieces{"Nothing inherited from the caller"},
    Fails{"We count the session keyrings of a user who starts a container and "
          "expect one more, because the keys of the caller are secrets."}) {
  CHECK(new_session_keyrings("") == 1);
}

PROMISE_AS_BOTH(
    "no descriptor of the caller's comes through", Kept{"08"},
    Pieces{"Nothing inherited from the caller"},
    Fails{
        "We start the step with open descriptors and expect only 0, 1 and 2 in "
        "the container, because an open directory of the host is a way out."}) {
  const sys::Fd leak{::open(host::scratch("leak").c_str(), O_RDONLY)};
  const sys::Fd tenth{::fcntl(leak.get(), F_DUPFD, 10)};
  const sys::Fd thousandth{::fcntl(leak.get(), F_DUPFD, 1000)};
  REQUIRE(thousandth.get() >= 1000);
  // The last is the directory that ls reads.
  CHECK(inside(caller, "ls /proc/self/fd") == "0\n1\n2\n3\n");
}

// As CVE-2024-21626 in runc: a working directory left outside is a way out.
PROMISE_AS_BOTH("nobody's working directory or root is outside", Kept{"08"},
                Pieces{"Nothing inherited from the caller"},
                Fails{"We start the step in a directory of the host and expect "
                      "no process of the container to have it, because a "
                      "working directory is a way out."}) {
  const auto there = host::scratch("cwd");
  must("echo secret >" + there + "/secret; chmod 755 " + there);
  const auto result =
      shell("cd " + there + "; " + box(caller) +
            "sh -c 'pwd; readlink /proc/self/cwd; readlink /proc/self/root; "
            "cat secret ../secret /proc/*/cwd/secret /proc/*/root" +
            there + "/secret' 2>/dev/null");
  CHECK(result.out == "/\n/\n/\n");
}

// CVE-2022-0492: on v1, a release_agent is a program that the kernel runs as
// the host's root. And a limit that its prisoner can raise is none.
PROMISE_AS_ROOT("it can neither leave its cgroup, nor change or nest it",
                Kept{"08"},
                Pieces{"Two more namespaces", "Fewer rights for root"},
                Fails{"Root in the container writes to the files of its cgroup "
                      "and makes groups, and we expect each to fail, because a "
                      "container must not raise its own limit."}) {
  const auto result =
      inside(Caller::kRoot,
             "cd /sys/fs/cgroup && find . -name cgroup.procs | wc -l; "
             "for file in $(find . -name cgroup.procs -o -name \"*.max\" "
             "-o -name \"*limit_in_bytes\" -o -name release_agent); do "
             "sh -c \"echo 1 >$file\" 2>/dev/null && echo wrote $file; done; "
             "mkdir */x ./x 2>/dev/null && echo nested; "
             "mount -t cgroup2 none /mnt 2>/dev/null && echo mounted");
  CHECK(testing::number(result) > 0);
  CHECK(host::lines(result).size() == 1);
}

namespace {

// Runs a set-uid program of the image as user 54321: a probe, which makes a
// file and says whose it is. The probe belongs to the owner of the image,
// because this owner is root in the container. Step 01 would be stopped by the
// filter.
std::string owner_of_file(const std::string& options) {
  const auto tree = host::scratch("suid") + "/rootfs";
  if (!fs::exists(tree))
    must("cp -a " + host::rootfs(Caller::kRoot) + " " + tree + " && cp " +
         (host::build_directory() / "probe-03-userns").string() + " " + tree +
         "/bin/probe && cd " + tree +
         "/bin && chown --reference=.. probe && chmod 4755 probe");
  const auto said = shell(host::step_in(tree, Caller::kRoot, "08-all",
                                        "--net none --user 54321 " + options) +
                          "probe owner made")
                        .out;
  return said.substr(said.rfind(' ') + 1);
}

}  // namespace

PROMISE_AS_ROOT("a set-uid file of the image's gives nothing", Kept{"08"},
                Pieces{"Fewer rights for root"},
                Fails{"A user in the container runs a set-uid file of the "
                      "image and we expect it not to become root, because "
                      "no_new_privs forbids it."}) {
  CHECK(owner_of_file("") == "54321\n");
}

PROMISE_AS_ROOT(
    "POSIX message queues are its own", Kept{"08"},
    Pieces{"Two more namespaces"},
    Fails{"We make a message queue on each side and expect each side to see "
          "only its own, because queues belong to an IPC namespace."}) {
  const auto queues = host::scratch("mqueue");
  must("mount -t mqueue none " + queues + " && touch " + queues + "/of-host");
  CHECK(inside(Caller::kRoot,
               "ls /dev/mqueue; touch /dev/mqueue/own; "
               "ls /dev/mqueue") == "own\n");
  CHECK(shell("ls " + queues).out == "of-host\n");
  CHECK(inside(Caller::kRoot, "grep mqueue /proc/self/mounts")
            .find(" rw,nosuid,nodev,noexec") != std::string::npos);
  must("rm " + queues + "/of-host && umount " + queues);
}

// CVE-2021-30465 of runc: a link that comes between the look and the mount.
PROMISE_AS_BOTH(
    "a rootfs that changes while we start has no hold on the host", Kept{"08"},
    Pieces{"The image, and what is hidden"},
    Fails{"Another process swaps directories of the rootfs for links while the "
          "container starts, and we expect the host to stay as it was, because "
          "an image can change at any time."}) {
  const auto base =
      host::scratch(caller == Caller::kRoot ? "race-root" : "race-user");
  const auto tree = base + "/rootfs";
  must("mkdir -m 777 " + base + "/victim && cp -a " + host::rootfs(caller) +
       " " + tree);
  host::Running racer{
      "sh -c 'cd " + tree +
      " && echo go && while :; do for name in dev proc sys tmp etc; do "
      "mv $name .$name && ln -s ../victim $name && rm $name && "
      "mv .$name $name; done; done'"};
  CHECK(racer.hear() == "go");
  for (int i = 0; i < 30; ++i)
    (void)shell(host::step_in(tree, caller, "08-all",
                              "--net none --memory none --bind /etc:/etc") +
                "sh -c 'echo x >/dev/x; echo x >/tmp/x; echo x >/etc/x'");
  CHECK_MESSAGE(fs::is_empty(base + "/victim"),
                "a file was written on the host, through a link");
  ::kill(racer.pid(), SIGKILL);
  racer.finish();
}

// As CVE-2019-5736 in runc: a script that names the program that runs it.
PROMISE_AS_BOTH("the program of the host cannot be run inside, nor by enter",
                Kept{"08"}, Pieces{"Fewer rights for root"},
                Fails{"A script names /proc/self/exe as its interpreter and we "
                      "expect status 126, because the container could "
                      "overwrite the host's program that way."}) {
  const auto script = host::scratch("script") + "/script";
  must("printf '#!/proc/self/exe\\n' >" + script + "; chmod 755 " + script);
  const auto options = "--bind " + script + ":/script";
  CHECK(shell(box(caller, options) + "/script").status == 126);
  CHECK(shell(box(caller) + "/proc/self/exe").status == 126);
  host::Running running{box(caller, options) + "sh -c 'echo up; read wait'"};
  CHECK(running.hear() == "up");
  CHECK(shell(enter(caller, running.pid()) + "/script").status == 126);
  running.finish();
}

// Until exec has closed a descriptor, its name leads out: so it is closed
// before.
PROMISE_AS_BOTH(
    "no program is run through a descriptor of ours", Kept{"08"},
    Pieces{"Nothing inherited from the caller"},
    Fails{"We run programs by /proc/self/fd/N and expect none to be found, "
          "because a descriptor that is still open leads to the host."}) {
  const auto script = host::scratch("through") + "/script";
  for (int number = 3; number < 20; ++number) {
    const auto path = "/proc/self/fd/" + std::to_string(number);
    const auto result = shell(box(caller) + path + "/self/exe");
    CAPTURE(number);
    CHECK(result.status ==
          (result.err.find("ENOTDIR") == std::string::npos ? 127 : 126));
  }
}

PROMISE_AS_BOTH("it can signal nobody in the caller's process group",
                Kept{"08"}, Pieces{"Nothing inherited from the caller"},
                Fails{"The command sends KILL to its process group and we "
                      "expect the caller's shell to go on, because the "
                      "container has its own session."}) {
  CHECK(shell("setsid -w sh -c '" + box(caller) + "kill -9 0; echo survived'")
            .out == "survived\n");
  CHECK(inside(caller, "ps -o pgid,sid | sed -n 2,3p | grep -c \" 0\"") ==
        "0\n");
}

PROMISE_AS_BOTH("the caller's terminal is not in reach by its name", Kept{"08"},
                Pieces{"Nothing inherited from the caller"},
                Fails{
                    "The command opens /dev/tty and we expect an error, "
                    "because the terminal belongs to the caller's session."}) {
  CHECK(shell(box(caller) + "sh -c 'echo x >/dev/tty'").status != 0);
}

PROMISE_AS_BOTH(
    "a directory is no standard input: it would be a way out", Kept{"08"},
    Pieces{"Nothing inherited from the caller"},
    Fails{"We pass a directory of the host as standard input and expect status "
          "125 and one line, because an open directory is a way out."}) {
  const auto result = shell(box(caller) + "ls /proc/self/fd/0/ </etc");
  CHECK(result.status == 125);
  CHECK(host::lines(result.err).size() == 1);
}

PROMISE_AS_ROOT(
    "its standard streams have names that it can open", Kept{"08"},
    Pieces{"Nothing inherited from the caller", "Limits and an init"},
    Fails{"The command opens /dev/stdout and we expect it to work for root and "
          "for other users, because many programs write their log there."}) {
  for (const std::string options : {"", "--user 1000:100"})
    CHECK(
        shell(box(Caller::kRoot, options) + "sh -c 'echo x >/dev/stdout' | cat")
            .out == "x\n");
}

PROMISE_IF(::geteuid() == 0 && fs::exists("/usr/bin/script"),
           "its terminal is a new one, which its user can open (root)",
           Kept{"08"},
           Pieces{"Nothing inherited from the caller", "Limits and an init"},
           Fails{"We run the step in a terminal and expect the command in "
                 "another one, /dev/console, that its user can open, because "
                 "a process that has the caller's terminal can type there."}) {
  for (const std::string options : {"", "--user 1000:100"}) {
    CAPTURE(options);
    const auto result =
        shell("script -qec \"" + box(Caller::kRoot, options) +
              "sh -c 'tty; echo opened >/dev/console'\" /dev/null </dev/null");
    CHECK_MESSAGE(
        result.out.find("/dev/console\r\n") != std::string::npos,
        "the terminal of the command is not /dev/console: " << result.out);
    CHECK_MESSAGE(result.out.find("opened\r\n") != std::string::npos,
                  "the user cannot open the terminal: " << result.out);
  }
}

// Each attempt of probe.cpp, and what the kernel answered.
std::map<std::string, std::string> answers(const std::string& step_line) {
  std::map<std::string, std::string> found;
  for (const auto& line : host::lines(shell(step_line + "/probe").out)) {
    const auto colon = line.rfind(": ");
    REQUIRE(colon != line.npos);
    found[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return found;
}

PROMISE_AS_BOTH("the filter refuses what has been used to attack hosts",
                Kept{"08"}, Pieces{"Fewer rights for root"},
                Fails{"A probe tries system calls that attacks have used, and "
                      "we expect the filter to refuse each of them, because no "
                      "program in the container needs them."}) {
  const auto directory = host::scratch("probe");
  must("cp " + (host::build_directory() / "probe-08-all ").string() +
       directory + "/probe");
  const auto bind =
      "--net none --memory none --bind " + directory + "/probe:/probe";
  const auto in_08 = answers(step(caller, "08-all", bind));
  const auto in_07 = answers(step(caller, "07-cgroup-memory", bind));
  CHECK(in_08.size() > 30);
  const std::set<std::string> refusals{"EPERM",           "ENOSYS",
                                       "EAFNOSUPPORT",    "EPROTONOSUPPORT",
                                       "ESOCKTNOSUPPORT", "SIGSYS"};
  for (const auto& answer : in_08) {
    CAPTURE(answer.first);
    // A kernel without an entry for 32-bit programs ends whoever tries it.
    if (answer.first == "int 0x80" && in_07.at(answer.first) == "signal 11")
      continue;
    CHECK_MESSAGE(
        refusals.count(answer.second) == 1,
        "the filter does not refuse " << answer.first << ": " << answer.second);
  }
  // Without the filter, the kernel itself says yes, or something else.
  for (const std::string attempt :
       {"unshare", "clone", "clone high", "clone3", "setns", "mount", "umount2",
        "open_tree", "fsopen", "keyctl", "add_key", "personality", "TIOCSTI",
        "TIOCSTI high", "TIOCLINUX", "userfaultfd", "AF_PACKET", "raw socket",
        "user netlink"}) {
    CAPTURE(attempt);
    CHECK(in_07.at(attempt) != in_08.at(attempt));
  }
}

// Its container keeps a cable, and 198.51.100.0/24 lies beyond the host.
PROMISE_AS_ROOT("it cannot make the host believe an ICMP message", Kept{"08"},
                Pieces{"Fewer rights for root"},
                Fails{"A probe sends the host a forged ICMP message about the "
                      "way to another machine, and we expect the host to send "
                      "packets as large as before."}) {
  must(
      "ip link add up0 type veth peer name up1; "
      "ip addr add 198.51.100.1/24 dev up0; ip link set up0 up");
  const sys::Defer remove{[] { shell("ip link delete up0"); }};
  const auto directory = host::scratch("forger");
  must("cp " + (host::build_directory() / "probe-08-all ").string() +
       directory + "/probe");
  const auto tell = [&](const std::string& name, const std::string& address) {
    return step(Caller::kRoot, name,
                "--net veth --memory none --bind " + directory +
                    "/probe:/probe") +
           "/probe mtu " + address;
  };
  const auto is_believed = [](const std::string& address) {
    return shell("ip route get " + address).out.find(" mtu 600") !=
           std::string::npos;
  };
  {
    host::Running forger{tell("08-all", "198.51.100.8")};
    CHECK(forger.hear().ends_with("EPERM"));
    CHECK_FALSE(is_believed("198.51.100.8"));
    forger.finish();
  }
  // The host hears a message a moment after it was sent.
  host::Running forger{tell("07-cgroup-memory", "198.51.100.7")};
  CHECK_FALSE(forger.hear().ends_with("EPERM"));
  CHECK(
      host::eventually([&](pid_t) { return is_believed("198.51.100.7"); }, 0));
  forger.finish();
}

PROMISE_AS_BOTH(
    "300 processes at once are too many, --pids many are not", Kept{"08"},
    Pieces{"Limits and an init"},
    Fails{"We start 300 processes and expect fork(2) to fail, and not to fail "
          "with --pids 400, because a fork bomb must not stop the host."}) {
  const std::string bomb =
      "sh -c 'i=0; while [ $i -lt 300 ]; do sleep 1000 & i=$((i+1)); done; "
      "echo "
      "$i' 2>&1";
  const auto result = shell(box(caller) + bomb);
  CHECK(result.out.find("can't fork") != std::string::npos);
  CHECK(shell(box(caller, "--pids 400") + bomb).out == "300\n");
}

// Each takes some six processes and threads, and the checker lets a learner's
// host have 1000.
PROMISE_AS_ROOT("a hundred and twenty at once have as many addresses",
                Kept{"08"}, Pieces{"Limits and an init"},
                Fails{"We start 120 containers at once and expect 120 "
                      "different addresses, because two containers can choose "
                      "the same number at the same time."}) {
  constexpr std::size_t kNumber = 120;
  std::vector<std::unique_ptr<host::Running>> boxes;
  std::set<std::string> addresses;
  boxes.reserve(kNumber);
  while (boxes.size() < kNumber)
    boxes.push_back(std::make_unique<host::Running>(
        box(Caller::kRoot) + "sh -c 'ip -4 -o addr show eth0; read wait'"));
  for (const auto& running : boxes) {
    auto address = running->hear();
    // Where a processor is emulated, all of them take minutes.
    for (int more = 0; more < 5 && address.empty(); ++more)
      address = running->hear();
    addresses.insert(address);
  }
  CHECK(addresses.size() == kNumber);
  CHECK_MESSAGE(addresses.count("") == 0, "a container has no address");
  for (const auto& running : boxes) CHECK(running->finish() == 1);
}

TEST_AS_ROOT("container.sh plugs in its cable beside an eth0 of the host's") {
  const auto result = shell(
      "unshare --net sh -euc 'ip link add eth0 type veth peer name other;"
      "steps/08-all/container.sh build/rootfs ping -c 1 10.200.0.1'");
  CAPTURE(result.err);
  CHECK(result.status == 0);
}

PROMISE_AS_ROOT(
    "--cpus sets what the kernel grants of each tenth of a second", Kept{"08"},
    Pieces{"Limits and an init"},
    Fails{"We read the CPU quota of the container's cgroup and expect what "
          "--cpus says of each 100 ms, because that is the limit."}) {
  const std::map<std::string, std::string> quotas{{"0.25", "25000"},
                                                  {"0.29", "29000"},
                                                  {"0.57", "57000"},
                                                  {"1.001", "100100"}};
  for (const auto& [cpus, quota] : quotas) {
    host::Running running{box(Caller::kRoot, "--cpus " + cpus) +
                          "sh -c 'echo up; read wait'"};
    CHECK(running.hear() == "up");
    const auto found =
        shell("cat $(find /sys/fs/cgroup -path '*box-" +
              std::to_string(running.pid()) + "/cpu.max' -o -path '*box-" +
              std::to_string(running.pid()) + "/cpu.cfs_quota_us')");
    CHECK(found.out.substr(0, found.out.find_first_of(" \n")) == quota);
    running.finish();
  }
}

PROMISE_WITHOUT_CGROUP(
    "limits that an ordinary user cannot have are told, or refused", Kept{"08"},
    Pieces{"Limits and an init"},
    Fails{"An ordinary user without a cgroup runs the step and we expect a "
          "note for a default and status 125 for an explicit limit, because "
          "only the default can be dropped."}) {
  const auto result =
      shell(step(Caller::kUser, "08-all", "--net none") + "true");
  CHECK(result.status == 0);
  CHECK(result.err.starts_with("08-all: no memory limit: "));
  for (const std::string option : {"--memory 64M", "--cpus 1"})
    CHECK(shell(step(Caller::kUser, "08-all", "--net none " + option) + "true")
              .status == 125);
}

// On v2, all controllers have one hierarchy.
TEST_IF(::geteuid() == 0 && ::access("/sys/fs/cgroup/pids", F_OK) == 0,
        "without a hierarchy for processes, the limit on memory stays (root)",
        host::Promise{}) {
  const auto result = shell(
      "unshare --mount sh -c 'umount /sys/fs/cgroup/pids && exec \"$@\"' sh " +
      box(Caller::kRoot, "--memory 64M") +
      "cat /sys/fs/cgroup/memory/memory.limit_in_bytes");
  CAPTURE(result.err);
  CHECK(result.out == std::to_string(64 << 20) + "\n");
}

PROMISE_AS_ROOT("containers of one PID, in PID namespaces, have a cgroup each",
                Kept{"08"}, Pieces{"Limits and an init"},
                Fails{"We start containers whose programs have one PID in "
                      "their namespaces, and expect a cgroup with its own "
                      "limit for each, because the name has the PID in it."}) {
  std::vector<std::unique_ptr<host::Running>> boxes;
  const std::vector<std::string> sizes{"61", "62", "63", "64"};
  boxes.reserve(sizes.size());
  for (const auto& size : sizes)
    boxes.push_back(std::make_unique<host::Running>(
        "unshare --pid --fork --mount-proc " +
        step(Caller::kRoot, "08-all", "--net none --memory " + size + "M") +
        "sh -c 'cd /sys/fs/cgroup; cat memory.max memory/memory.limit* "
        "2>/dev/null; cat'"));
  for (std::size_t i = 0; i < sizes.size(); ++i)
    CHECK(boxes[i]->hear() == std::to_string(testing::number(sizes[i]) << 20));
  for (const auto& running : boxes) CHECK(running->finish() == 0);
}

// While one is made, another is joined, and a third is removed.
PROMISE_AS_ROOT(
    "containers of one PID that start and end at once do not meet", Kept{"08"},
    Pieces{"Limits and an init"},
    Fails{"We start and end containers of one PID at the same time and expect "
          "no error, because one must not remove the cgroup of another."}) {
  for (const std::string name : {"07-cgroup-memory", "08-all"}) {
    CAPTURE(name);
    const auto result = shell(
        "run() { for i in 1 2 3 4 5 6 7 8 9 10; do "
        "unshare --pid --fork --mount-proc " +
        step(Caller::kRoot, name, "--net none") +
        "true || echo status $?; done; }; run & run & run & run & wait");
    CHECK(result.out.empty());
    CHECK(result.err.empty());
  }
}

// ---- Without a wall --------------------------------------------------------

namespace {

// What a command prints in a container, if these walls are left out.
std::string without(Caller caller, const std::vector<std::string>& walls,
                    const std::string& command) {
  std::string options;
  std::string notes;
  for (const auto& wall : walls) {
    options += "--without " + wall + " ";
    notes += "08-all: no " + wall + " wall: left out by --without\n";
  }
  CAPTURE(options);
  const auto result =
      shell(box(caller, options) + "sh -c '(" + command + ") 2>&1'");
  CHECK_MESSAGE(result.err == notes, "what was left out was not told");
  return result.out;
}

}  // namespace

PROMISE_AS_BOTH("--without hidden-paths shows what /proc tells of the host",
                Kept{"08"}, Pieces{"The image, and what is hidden"},
                Fails{"We read /proc/interrupts and set kernel.msgmax, and "
                      "expect both to work only with --without hidden-paths, "
                      "so that it can be seen what the covers stop."}) {
  const std::string attack =
      "wc -l </proc/interrupts; echo 12345 >/proc/sys/kernel/msgmax && "
      "cat /proc/sys/kernel/msgmax";
  const auto host = shell("cat /proc/sys/kernel/msgmax").out;
  CHECK(without(caller, {}, attack).starts_with("0\n"));
  CHECK(without(caller, {}, attack).ends_with("Read-only file system\n"));
  const auto seen = without(caller, {"hidden-paths"}, attack);
  CHECK_FALSE(seen.starts_with("0\n"));
  CHECK(seen.ends_with("\n12345\n"));
  CHECK(shell("cat /proc/sys/kernel/msgmax").out == host);
}

PROMISE_AS_BOTH("--without terminal leaves the command in the caller's session",
                Kept{"08"}, Pieces{"Nothing inherited from the caller"},
                Fails{"We look at the session of the command and expect the "
                      "caller's with --without terminal, and a new one else, "
                      "so that it can be seen what the wall stops."}) {
  // A session that is not of this PID namespace has the number 0.
  const std::string look = "ps -o sid | sed 1d | grep -c \"^ *0\"";
  CHECK(without(caller, {}, look) == "0\n");
  CHECK(testing::number(without(caller, {"terminal"}, look)) >= 2);
}

// As above, the keyrings of a user of whom no other process runs.
PROMISE_IF(
    ::geteuid() == 0 && !host::contents("/proc/keys").empty(),
    "--without keys leaves the command in the caller's session keyring (root)",
    Kept{"08"}, Pieces{"Nothing inherited from the caller"},
    Fails{"We count the session keyrings of a user who starts a container "
          "with --without keys and expect no new one, so that it can be seen "
          "what the wall stops."}) {
  CHECK(new_session_keyrings("--without keys") == 0);
}

PROMISE_AS_BOTH("--without init makes the command PID 1", Kept{"08"},
                Pieces{"Limits and an init"},
                Fails{"The command sends TERM to itself and we expect it to go "
                      "on only with --without init, because PID 1 does not "
                      "hear a signal for which it has no handler."}) {
  const std::string attack = "kill -TERM $$; echo went on as PID $$";
  CHECK(without(caller, {}, attack) == "");
  CHECK(without(caller, {"init"}, attack) == "went on as PID 1\n");
}

PROMISE_AS_BOTH(
    "--without seccomp and --without capabilities, one of the two "
    "still refuses a host name",
    Kept{"08"}, Pieces{"Fewer rights for root"},
    Fails{"We make a user namespace and set the host name, without the filter, "
          "without the wall of capabilities and without both, and expect each "
          "of the two to stop what it is there to stop, because one wall can "
          "fail."}) {
  const std::string rename = "hostname other && hostname";
  const std::string nest = "unshare -U echo nested";
  CHECK(without(caller, {}, rename) ==
        "hostname: sethostname: Operation not permitted\n");
  CHECK(without(caller, {"seccomp"}, rename) ==
        "hostname: sethostname: Operation not permitted\n");
  CHECK(without(caller, {"capabilities"}, rename) ==
        "hostname: sethostname: Operation not permitted\n");
  CHECK(without(caller, {"seccomp", "capabilities"}, rename) == "other\n");
  CHECK(without(caller, {"capabilities", "landlock", "no-new-privs"}, nest) ==
        "unshare: unshare(0x10000000): Operation not permitted\n");
  CHECK(without(caller, {"seccomp"}, nest) == "nested\n");
}

PROMISE_AS_BOTH("--without landlock runs the program of the host", Kept{"08"},
                Pieces{"Fewer rights for root"},
                Fails{"We run /proc/self/exe in the container and expect it to "
                      "run only with --without landlock, so that it can be "
                      "seen what the wall stops."}) {
  const std::string help = "/proc/self/exe --help";
  CHECK(shell(box(caller) + help).status == 126);
  // With a sanitizer it needs libraries that the image does not have.
  if (!host::kIsSanitized)
    CHECK(shell(box(caller, "--without landlock ") + help)
              .out.starts_with("usage: "));
}

PROMISE_AS_ROOT(
    "--without no-new-privs a set-uid file makes its user root", Kept{"08"},
    Pieces{"Fewer rights for root"},
    Fails{"A user in the container runs a set-uid file of the image and we "
          "expect it to become root only with --without no-new-privs, because "
          "this wall is the one that stops it."}) {
  CHECK(owner_of_file("--without seccomp --without capabilities "
                      "--without landlock") == "54321\n");
  CHECK(owner_of_file("--without no-new-privs") == "0\n");
  CHECK(without(Caller::kRoot, {"no-new-privs"},
                "grep -E \"^(CapEff|NoNewPrivs|Seccomp):\" "
                "/proc/self/status") ==
        "CapEff:\t00000000a80405fb\nNoNewPrivs:\t0\nSeccomp:\t2\n");
}

// ---- What the kernel counts for a user, or charges to nobody ---------------

namespace {

// The container's rootfs with hog.cpp in it.
std::string hog_in_box(Caller caller, const std::string& options) {
  const auto hog = (host::build_directory() / "hog").string();
  const auto tree =
      host::scratch(caller == Caller::kRoot ? "roots-hog" : "hog-of-user");
  must("cp -a '" + host::rootfs(caller) + "'/. '" + tree + "' && cp '" + hog +
       "' '" + tree + "'");
  return host::step_in("'" + tree + "'", caller, "08-all",
                       (caller == Caller::kUser ? "--memory none " : "") +
                           ("--net none " + options)) +
         "/hog ";
}

std::string hog_on_host(Caller caller) {
  return host::as(caller, "hog") + " ";
}

// How many the host still gets while one container has all that it can get.
long left_beside(Caller caller, const std::string& thing,
                 const std::string& most = "") {
  host::Running greedy{hog_in_box(caller, "") + thing};
  CAPTURE(thing);
  CHECK_FALSE(greedy.hear().empty());
  const auto left = shell(hog_on_host(caller) + thing + " " + most);
  greedy.finish();
  return left.out.empty() ? -1 : testing::number(left.out);
}

// MiB of the machine that the sockets of a protocol hold, in all its networks:
// see proc_net(5). MemAvailable would tell what others do, too.
long held_by(const std::string& protocol) {
  const auto text = host::contents("/proc/net/sockstat");
  const auto line = text.find("\n" + protocol + ": ");
  REQUIRE(line != std::string::npos);
  const auto pages =
      testing::number(testing::behind(text, text.find(" mem ", line) + 5));
  return pages * ::sysconf(_SC_PAGESIZE) / (1 << 20);
}

}  // namespace

PROMISE_AS_BOTH(
    "what the kernel counts for a user, a container leaves to others",
    Kept{"08"}, Pieces{"Limits and an init", "Fewer rights for root"},
    Fails{"One container takes all inotify instances, timers and queues that "
          "it can get, and we expect enough for others, because the kernel "
          "counts them for the user."}) {
  const std::map<std::string, long> wanted{
      {"inotify", 64}, {"watches", 1000}, {"timers", 1000}, {"signals", 1000},
      {"messages", 1}, {"aio", 10},       {"terminals", 10}};
  for (const auto& [thing, number] : wanted)
    CHECK(left_beside(caller, thing, std::to_string(number)) == number);
}

PROMISE_AS_ROOT(
    "what a container puts into sockets' queues counts as its memory",
    Kept{"08"}, Pieces{"Limits and an init"},
    Fails{"A container fills the queues of its sockets and we expect its "
          "memory limit to count them, because they are memory of the host."}) {
  constexpr long kWanted = 640;
  const std::map<std::string, std::string> protocols{{"tcp", "TCP"},
                                                     {"udp", "UDP"}};
  for (const auto& one : protocols) {
    CAPTURE(one.first);
    host::Running greedy{hog_in_box(Caller::kRoot, "--memory 64M ") +
                         one.first + " " + std::to_string(kWanted)};
    (void)greedy.hear();  // Nothing, if it was killed.
    CHECK(held_by(one.second) < kWanted / 2);
    greedy.finish();
  }
}

PROMISE_AS_BOTH(
    "what the kernel would keep for a socket or file, and charge to nobody",
    Kept{"08"}, Pieces{"Fewer rights for root"},
    Fails{"A container sets socket options and access control lists that need "
          "memory of the kernel and we expect an error, because no limit "
          "counts that memory."}) {
  for (const std::string thing : {"options", "lists"}) {
    CAPTURE(thing);
    CHECK(shell(hog_in_box(caller, "") + thing + " 16").out == "0\n");
    CHECK(shell(hog_on_host(caller) + thing + " 16").out == "16\n");
  }
}

PROMISE_AS_BOTH(
    "its own limits are what programs need, and cannot be raised", Kept{"08"},
    Pieces{"Limits and an init"},
    Fails{"We read the resource limits of the command and expect low ones that "
          "it cannot raise, because the kernel counts these for the user."}) {
  const auto limits = inside(caller, "cat /proc/self/limits");
  const auto hard = [&](const std::string& name) {
    const auto at = limits.find(name);
    REQUIRE(at != std::string::npos);
    return testing::number(
        limits.substr(limits.find_first_not_of(' ', at + 26 + 21)));
  };
  CHECK(hard("Max open files") <= 4096);
  CHECK(hard("Max pending signals") <= 1024);
  CHECK(hard("Max locked memory") <= 8 << 20);
  CHECK(
      inside(caller, "ulimit -Hn 4097 || echo refused").ends_with("refused\n"));
  CHECK(inside(caller, "cat /proc/sys/user/max_inotify_instances") == "32\n");
  CHECK(inside(caller,
               "echo 99 >/proc/sys/user/max_inotify_instances; "
               "cat /proc/sys/user/max_inotify_instances")
            .ends_with("32\n"));
}

TEST_SUITE_END();
