// Step 03 promises a root user that is nobody outside.

#include "common/error.hpp"
#include "common/testing.hpp"
#include "steps/tests/host.hpp"

#include <cstdint>
#include <filesystem>

using host::Caller, host::Fails, host::Kept, host::Pieces, host::must,
    host::shell, host::step;

TEST_SUITE_BEGIN("03-userns");

namespace {

std::string outside_id(Caller caller) {
  if (caller == Caller::kRoot) return "100000";
  return ::geteuid() == 0 ? "54321" : std::to_string(::geteuid());
}

std::string field(pid_t pid, const std::string& name) {
  for (const auto& line :
       host::lines(host::contents("/proc/" + std::to_string(pid) + "/status")))
    if (line.starts_with(name)) return line.substr(name.size());
  return {};
}

}  // namespace

PROMISE_AS_BOTH(
    "inside it is root, outside it is not", Kept{"03-08", "03-06 08"},
    Pieces{"Become root"},
    Fails{"We compare the user on both sides and expect 0 with capabilities in "
          "the container, and an id without rights on the host, because what "
          "gets out must have no rights there."}) {
  host::Running box{step(caller, "03-userns") +
                    "sh -c 'id -u; id -g; read wait' 2>/dev/null"};
  CHECK(box.hear() == "0");
  CHECK(box.hear() == "0");
  const auto id = outside_id(caller);
  for (const std::string kind : {"Uid:\t", "Gid:\t"}) {
    const auto ids = field(box.child(), kind);
    CHECK_MESSAGE(ids.starts_with(id + "\t" + id + "\t" + id),
                  "on the host the command has other ids than " << id << ": "
                                                                << kind << ids);
  }
  CHECK_MESSAGE(field(box.child(), "CapEff:\t") != "0000000000000000",
                "the command has no capabilities");
  box.finish();
}

PROMISE_AS_ROOT("65536 ids are mapped for root, and no group of the caller's",
                Kept{"03-08"}, Pieces{"The maps", "Become root"},
                Fails{"We read the id maps and the groups of root's container "
                      "and expect 65536 ids from 100000 on and no group, "
                      "because both give access to files of the host."}) {
  host::Running box{"setpriv --groups 4,24 " +
                    step(Caller::kRoot, "03-userns") +
                    "sh -c 'echo ready; read wait' 2>/dev/null"};
  CHECK(box.hear() == "ready");
  const auto proc = "/proc/" + std::to_string(box.child());
  for (const std::string name : {"/uid_map", "/gid_map"}) {
    CAPTURE(name);
    const auto map = host::contents(proc + name);
    CHECK(map == "         0     100000      65536\n");
  }
  const auto groups = field(box.child(), "Groups:\t");
  CHECK_MESSAGE(groups.find_first_of("0123456789") == std::string::npos,
                "the command still has groups of the caller: " << groups);
  box.finish();
}

// strace(1) holds up the parent behind each clone, so a child that does not
// wait is faster.
PROMISE_IF(host::can_trace(), "the child waits for the maps (root)",
           Kept{"03-08"}, Pieces{"The maps", "Become root"},
           Fails{"We slow the parent down and expect the command to be root "
                 "with capabilities and without the caller's groups, because "
                 "none of this works before the maps are written."}) {
  host::Running box{
      "setpriv --groups 4,24 strace -D -qq -o /dev/null -e "
      "inject=clone,clone3,fork,vfork:delay_exit=200000 " +
      step(Caller::kRoot, "03-userns") +
      "sh -c 'id -u; read wait' 2>/dev/null"};
  CHECK_MESSAGE(box.hear() == "0", "the command is not user 0");
  CHECK_MESSAGE(field(box.child(), "CapEff:\t") != "0000000000000000",
                "the command has no capabilities");
  const auto groups = field(box.child(), "Groups:\t");
  CHECK_MESSAGE(groups.find_first_of("0123456789") == std::string::npos,
                "the command still has groups of the caller: " << groups);
  box.finish();
}

PROMISE_IF(!host::kIsSanitized && std::filesystem::exists("/usr/bin/strace"),
           "the child waits for the maps (user)", Kept{"03-06"},
           Pieces{"The maps"},
           Fails{"We delay the writes of the program and expect the command to "
                 "have capabilities nevertheless, because execvp(3) without an "
                 "id map drops them, and the child has to wait for the map."}) {
  host::Running box{
      "strace -D -qq -o /dev/null -e trace=write,writev "
      "-e inject=write,writev:delay_enter=100000 " +
      step(Caller::kUser, "03-userns") +
      "sh -c 'echo ready; read wait' 2>/dev/null"};
  CHECK(box.hear() == "ready");
  CHECK_MESSAGE(field(box.child(), "CapEff:\t") != "0000000000000000",
                "the command has no capabilities: it has not waited for the "
                "id maps");
  box.finish();
}

// A step that does not make one of these calls cannot fail here.
PROMISE_IF(host::can_trace(),
           "it does not run with groups or ids of the host (root)",
           Kept{"03-08"}, Pieces{"Become root"},
           Fails{"The kernel refuses to drop the groups or to change the ids, "
                 "and we expect no command, because it would keep rights of "
                 "the caller."}) {
  for (const std::string call : {"setgroups", "setresgid", "setresuid"})
    CHECK(shell("strace -f -qq -o /dev/null -e inject=" + call +
                ":error=EPERM " + step(Caller::kRoot, "03-userns") + "echo ran")
              .out == "");
}

PROMISE_AS_BOTH(
    "root in the container has all capabilities", Kept{"03-07", "03-06"},
    Pieces{"Become root"},
    Fails{"We read the capabilities of the command and expect all that the "
          "kernel knows, because root in the container must be able to do "
          "everything to what belongs to the container."}) {
  host::Running box{step(caller, "03-userns") +
                    "sh -c 'echo ready; read wait' 2>/dev/null"};
  CHECK(box.hear() == "ready");
  const auto last =
      testing::number(host::contents("/proc/sys/kernel/cap_last_cap"));
  const auto all = sys::format("{:016x}", (std::uint64_t{2} << last) - 1);
  for (const std::string set : {"CapEff:\t", "CapBnd:\t"})
    CHECK_MESSAGE(field(box.child(), set) == all,
                  "the command has not all capabilities: "
                      << set << field(box.child(), set));
  box.finish();
}

// A user namespace with one id has not those that root maps.
PROMISE_AS_ROOT("a map that cannot be written stops the program", Kept{"03-08"},
                Pieces{"The maps"},
                Fails{"We run the step where root has only one id to map, and "
                      "expect status 125, one line and no command, because a "
                      "command without a map has no rights."}) {
  const auto result = shell("unshare --user --map-root-user " +
                            step(Caller::kRoot, "03-userns") + "echo ran");
  CHECK(result.status == 125);
  CHECK(result.out.empty());
  CHECK(host::lines(result.err).size() == 1);
}

PROMISE_AS_USER(
    "an ordinary user maps one id, and has given up setgroups",
    Kept{"03-06 08"}, Pieces{"The maps"},
    Fails{
        "We read the id map of an ordinary user and expect one id and "
        "setgroups denied, because a group can also deny access to a file."}) {
  host::Running box{step(Caller::kUser, "03-userns") +
                    "sh -c 'echo ready; read wait' 2>/dev/null"};
  CHECK(box.hear() == "ready");
  const auto proc = "/proc/" + std::to_string(box.child());
  const auto map = host::contents(proc + "/uid_map");
  CHECK_MESSAGE(map.ends_with("          1\n"),
                "the file uid_map of the command does not map one id, but "
                    << (map.empty() ? "is empty" : map));
  const auto setgroups = host::contents(proc + "/setgroups");
  CHECK_MESSAGE(setgroups == "deny\n",
                "the file setgroups of the command contains " << setgroups);
  box.finish();
}

PROMISE_AS_ROOT(
    "a file of the host's root stays closed to it", Kept{"03-07"},
    Pieces{"Become root"},
    Fails{
        "We read a file with mode 600 of the host's root in the container and "
        "expect an error, because root in the container is another user."}) {
  const auto tree = host::scratch("secret");
  must("cp -a " + host::rootfs(Caller::kRoot) + "/. " + tree +
       "; echo secret >" + tree + "/etc/secret; chmod 600 " + tree +
       "/etc/secret");
  CHECK(
      shell(host::step_in(tree, Caller::kRoot, "02-pidns") + "cat /etc/secret")
          .out == "secret\n");
  const auto now = shell(host::step_in(tree, Caller::kRoot, "03-userns") +
                         "cat /etc/secret");
  CHECK(now.status == 1);
  CHECK(now.out.empty());
}

PROMISE_AS_BOTH("it may not mount, and is told why", Kept{"03", "03-04"},
                Pieces{"A separate user namespace"},
                Fails{"We mount in the container and expect an error, and a "
                      "note that /proc is missing, because the mount table "
                      "belongs to the host's user namespace."}) {
  const auto result = shell(step(caller, "03-userns") + "ls /proc");
  CHECK(result.status == 0);
  CHECK(result.out.empty());
  CHECK_MESSAGE(
      result.err.find("03-userns: no /proc (EPERM), so ps shows nothing") !=
          std::string::npos,
      "the program does not say that there is no /proc, and why");
  CHECK(shell(step(caller, "03-userns") + "mount -t tmpfs none /tmp").status !=
        0);
}

PROMISE_AS_BOTH("it may not change the host's name", Kept{"03 08"},
                Pieces{"A separate user namespace"},
                Fails{"We change the host name in the container and expect an "
                      "error, and the old name on the host, because root in "
                      "the container must not have that right."}) {
  const auto before = shell("uname -n").out;
  CHECK(shell(step(caller, "03-userns") + "hostname gotcha").status == 1);
  CHECK(shell("uname -n").out == before);
}

PROMISE_AS_BOTH(
    "a process of the host is out of its reach", Kept{"03-08"},
    Pieces{"Become root"},
    Fails{"We kill a process of the host from the container and expect it to "
          "live, because its PID and its user are not the container's."}) {
  host::Running victim{"sleep 1000"};
  shell(step(caller, "03-userns") + "kill -9 " + std::to_string(victim.pid()));
  CHECK_MESSAGE(host::is_alive(victim.pid()),
                "the process of the host was killed");
}

PROMISE_AS_ROOT("a rootfs below a private directory will do", Kept{"03-08"},
                Pieces{"Become root", "The overlay"},
                Fails{"We run a rootfs below a private directory of another "
                      "user and expect the command to run, because root can "
                      "enter it, and the child cannot."}) {
  const auto parent = host::scratch("private");
  must("cp -a " + host::rootfs(Caller::kRoot) + " " + parent +
       "/rootfs; chown 54321 " + parent + "; chmod 700 " + parent);
  CHECK(shell(host::step_in(parent + "/rootfs", Caller::kRoot, "03-userns") +
              "echo fine")
            .out == "fine\n");
}

TEST_SUITE_END();
