// Step 03 promises a root user that is nobody outside.

#include "steps/tests/host.hpp"

using host::Caller, host::must, host::shell, host::step;

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

TEST_AS_BOTH("inside it is root, outside it is not") {
  host::Running box{step(caller, "03-userns") +
                    "sh -c 'id -u; id -g; read wait' 2>/dev/null"};
  CHECK(box.hear() == "0");
  CHECK(box.hear() == "0");
  const auto id = outside_id(caller);
  CHECK(field(box.child(), "Uid:\t").starts_with(id + "\t" + id + "\t" + id));
  CHECK(field(box.child(), "CapEff:\t") != "0000000000000000");
  box.finish();
}

TEST_AS_ROOT("65536 ids are mapped for root, and no group of the caller's") {
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
  CHECK(field(box.child(), "Groups:\t").find_first_of("0123456789") ==
        std::string::npos);
  box.finish();
}

TEST_AS_USER("an ordinary user maps one id, and has given up setgroups") {
  host::Running box{step(Caller::kUser, "03-userns") +
                    "sh -c 'echo ready; read wait' 2>/dev/null"};
  CHECK(box.hear() == "ready");
  const auto proc = "/proc/" + std::to_string(box.child());
  CHECK(host::contents(proc + "/setgroups") == "deny\n");
  CHECK(host::contents(proc + "/uid_map").ends_with("          1\n"));
  box.finish();
}

TEST_AS_ROOT("a file of the host's root stays closed to it") {
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

TEST_AS_BOTH("it may not mount, and is told why") {
  const auto result = shell(step(caller, "03-userns") + "ls /proc");
  CHECK(result.status == 0);
  CHECK(result.out.empty());
  CHECK(result.err.starts_with(
      "03-userns: no /proc (EPERM), so ps shows nothing"));
  CHECK(shell(step(caller, "03-userns") + "mount -t tmpfs none /tmp").status !=
        0);
}

TEST_AS_BOTH("it may not change the host's name") {
  const auto before = shell("uname -n").out;
  CHECK(shell(step(caller, "03-userns") + "hostname gotcha").status == 1);
  CHECK(shell("uname -n").out == before);
}

TEST_AS_BOTH("a process of the host is out of its reach") {
  host::Running victim{"sleep 1000"};
  shell(step(caller, "03-userns") + "kill -9 " + std::to_string(victim.pid()));
  CHECK(host::is_alive(victim.pid()));
}

TEST_AS_ROOT("a rootfs below a private directory will do") {
  const auto parent = host::scratch("private");
  must("chmod 700 " + parent + "; cp -a " + host::rootfs(Caller::kRoot) + " " +
       parent + "/rootfs");
  CHECK(shell(host::step_in(parent + "/rootfs", Caller::kRoot, "03-userns") +
              "echo fine")
            .out == "fine\n");
}

TEST_SUITE_END();
