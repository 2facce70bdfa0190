// inspect tells what is a process's own, and what it shares with us.

#include <filesystem>
#include <map>

#include "common/testing.hpp"
#include "steps/tests/host.hpp"

using host::Caller, host::shell, host::step;

TEST_SUITE_BEGIN("inspect");

namespace {

std::string inspect(Caller caller, const std::string& pid) {
  return host::as(caller, "inspect") + " " + pid;
}

// Each layer, and what stands in its line behind the name.
std::map<std::string, std::string> layers_of(Caller caller, pid_t pid) {
  std::map<std::string, std::string> found;
  const auto result = shell(inspect(caller, std::to_string(pid)));
  CHECK(result.status == 0);
  CHECK(result.err.empty());
  for (const auto& line : host::lines(result.out)) {
    REQUIRE(line.size() > 20);
    const auto name = line.substr(6, 13);
    found[name.substr(0, name.find_last_not_of(' ') + 1)] =
        testing::behind(line, 20);
  }
  return found;
}

std::string inode(pid_t pid, const std::string& kind) {
  const auto link =
      shell("readlink /proc/" + std::to_string(pid) + "/ns/" + kind).out;
  const auto number = testing::behind(link, kind.size() + 2);
  return number.substr(0, number.find(']'));
}

// What the layers of a container are, by the step that adds them.
void check_own(Caller caller, const std::string& name,
               const std::string& options,
               const std::map<std::string, bool>& is_own) {
  host::Running box{step(caller, name, options) +
                    "sh -c 'echo up; read wait' 2>/dev/null"};
  CHECK(box.hear() == "up");
  const auto layers = layers_of(caller, box.child());
  for (const auto& promise : is_own) {
    CAPTURE(promise.first);
    REQUIRE(layers.count(promise.first) == 1);
    CHECK(layers.at(promise.first)
              .starts_with(promise.second ? "own " : "shared "));
  }
  for (const std::string kind : {"pid", "user", "uts", "mnt", "net", "ipc"})
    CHECK(layers.at(kind + " ns").ends_with(inode(box.child(), kind)));
  box.finish();
}

}  // namespace

TEST_CASE("a process may call itself anything, and moves no cursor by it") {
  host::Running odd{
      "sh -c 'printf \"\\033[2J\\302\\233x\\r\" >/proc/$$/comm; echo up; read "
      "wait'"};
  CHECK(odd.hear() == "up");
  const auto result = shell(inspect(Caller::kRoot, std::to_string(odd.pid())));
  CHECK(testing::first(host::lines(result.out)).ends_with(" ?[2J?x?"));
  odd.finish();
}

TEST_AS_BOTH("03 has its own root, ids and processes, and shares the rest") {
  check_own(caller, "03-userns", "",
            {{"root", true},
             {"pid ns", true},
             {"user ns", true},
             {"uid map", true},
             {"uts ns", false},
             {"mnt ns", false},
             {"net ns", false},
             {"ipc ns", false},
             {"no_new_privs", false},
             {"seccomp", false}});
}

TEST_AS_BOTH("05 has its own mounts, too") {
  check_own(caller, "05-mountns", "",
            {{"uts ns", true},
             {"mnt ns", true},
             {"mounts", true},
             {"net ns", false},
             {"cgroup ns", false}});
}

TEST_AS_ROOT("08 shares nothing, and it says how much 08 may have") {
  check_own(Caller::kRoot, "08-all", "--cpus 0.25",
            {{"net ns", true},
             {"links", true},
             {"cgroup", true},
             {"ipc ns", true},
             {"cgroup ns", true},
             {"session", true}});
  host::Running box{step(Caller::kRoot, "08-all", "--cpus 0.25 --pids 99") +
                    "sh -c 'echo up; read wait'"};
  CHECK(box.hear() == "up");
  const auto layers = layers_of(Caller::kRoot, box.child());
  for (const auto& limit :
       std::map<std::string, std::string>{{"uid map", " 0->100000 x65536"},
                                          {"links", " eth0, lo"},
                                          {"memory limit", " 64M"},
                                          {"pids limit", " 99"},
                                          {"cpu limit", " 25000/100000"},
                                          {"no_new_privs", " yes"},
                                          {"seccomp", " filter x1"}}) {
    CAPTURE(limit.first);
    CHECK(layers.at(limit.first).ends_with(limit.second));
  }
  CHECK(layers.at("mounts").find("/ is overlay") != std::string::npos);
  CHECK(layers.at("capabilities").find(" 13: chown, ") != std::string::npos);
  box.finish();
}

TEST_AS_ROOT("it looks at containers that are not ours") {
  host::Running other{"unshare --net --uts sh -c 'echo up; read wait'"};
  CHECK(other.hear() == "up");
  const auto layers = layers_of(Caller::kRoot, other.pid());
  CHECK(layers.at("net ns").starts_with("own "));
  CHECK(layers.at("uts ns").starts_with("own "));
  for (const std::string kind : {"pid ns", "user ns", "mnt ns", "root"})
    CHECK(layers.at(kind).starts_with("shared "));
  other.finish();
}

TEST_AS_ROOT("several stand side by side, each with its own marks") {
  host::Running one{"unshare --uts sh -c 'echo up; read wait'"};
  host::Running other{"unshare --ipc sh -c 'echo up; read wait'"};
  CHECK(one.hear() == "up");
  CHECK(other.hear() == "up");
  const auto pids =
      std::to_string(one.pid()) + " " + std::to_string(other.pid());
  const auto result = shell(inspect(Caller::kRoot, pids) +
                            " | awk '/uts ns|ipc ns/ { print $2, $4, $5 }'");
  CHECK(result.out == "uts own shared\nipc shared own\n");
  CHECK(shell(inspect(Caller::kRoot, pids) + " | head -n1").out.find("host") !=
        std::string::npos);
}

TEST_AS_ROOT("a process that is in no container shares all") {
  const host::Running other{"sleep 1000"};
  auto layers = layers_of(Caller::kRoot, other.pid());
  layers.erase("layer");  // The heading.
  CHECK(layers.size() > 20);
  for (const auto& layer : layers) {
    CAPTURE(layer.first);
    CHECK(layer.second.starts_with("shared "));
  }
}

TEST_AS_ROOT("who makes a container is outside, and that is said") {
  host::Running box{step(Caller::kRoot, "05-mountns") +
                    "sh -c 'echo up; read wait'"};
  CHECK(box.hear() == "up");
  const auto result = shell(inspect(Caller::kRoot, std::to_string(box.pid())));
  CHECK(result.status == 0);
  CHECK(result.err == "inspect: process " + std::to_string(box.pid()) +
                          " shares the host's root; its children are " +
                          std::to_string(box.child()) + "\n");
  box.finish();
}

TEST_AS_BOTH("who is not there, or no number, is told in one line") {
  for (const std::string pid :
       {"", "0", "x", "-1", "999999999", "1 x", "'1 2'"}) {
    CAPTURE(pid);
    const auto result = shell(inspect(caller, pid));
    CHECK(result.status == 125);
    CHECK(result.out.empty());
    CHECK(host::lines(result.err).size() == 1);
    CHECK(result.err.starts_with("inspect: "));
  }
}

TEST_AS_USER("a process of somebody else is told, with a hint") {
  const auto result = shell(inspect(Caller::kUser, "1"));
  CHECK(result.status == 125);
  CHECK(result.err ==
        "inspect: read(2) /proc/1/root: Permission denied (EACCES); "
        "hint: it is not yours alone: use sudo\n");
}

TEST_AS_ROOT("without a /proc it says so") {
  const auto result = shell("unshare --mount sh -c 'umount -l /proc; exec " +
                            inspect(Caller::kRoot, "1") + "'");
  CHECK(result.status == 125);
  CHECK(result.err == "inspect: there is no /proc to look into\n");
}

TEST_SUITE_END();
