// What cgroup v2 alone has: groups that hand nothing down, threaded ones, and
// cgroup namespaces. On a machine with v1 these are skipped; the lab has v2.

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "common/cgroup.hpp"
#include "common/testing.hpp"
#include "steps/tests/host.hpp"

namespace fs = std::filesystem;
using host::Caller, host::must, host::shell, host::step;

namespace {

const std::string kTop = "/sys/fs/cgroup";

bool is_v2() {
  return fs::exists(kTop + "/cgroup.subtree_control");
}

// Where we may make one: root below the root of all, a user in what is theirs.
std::string place() {
  if (::geteuid() != 0) {
    const auto parent = testing::first(sys::find_cgroup_parents({"memory"}));
    for (const auto& name : parent.missing)
      must("echo +" + name + " >" + parent.directory +
           "/cgroup.subtree_control");
    return parent.directory;
  }
  for (const char* const controller : {"memory", "pids", "cpu"})
    must(std::string{"echo +"} + controller + " >" + kTop +
         "/cgroup.subtree_control");
  return kTop;
}

// A cgroup, removed at the end with those in it.
class Group {
 public:
  explicit Group(const std::string& name)
      : path_{place() + "/" + name + "-" + std::to_string(::getpid())} {
    must("mkdir " + path_);
  }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group() {
    // The kernel lets go of a group a moment after its last process.
    (void)shell("for i in 1 2 3 4 5 6 7 8 9 10; do find " + path_ +
                " -depth -type d -exec rmdir {} + && break; sleep 0.1; done");
  }

  void write(const std::string& file, const std::string& text) const {
    must("echo '" + text + "' >" + path_ + "/" + file);
  }
  void make(const std::string& name) const {
    must("mkdir " + path_ + "/" + name);
  }
  [[nodiscard]] std::string read(const std::string& file) const {
    const auto text = host::contents(path_ + "/" + file);
    return text.substr(0, text.find_last_not_of('\n') + 1);
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string name() const { return path_.substr(kTop.size()); }

  // Runs a line in it, or in one below it.
  [[nodiscard]] host::Result run(const std::string& line,
                                 const std::string& below = "") const {
    return shell("echo $$ >" + path_ + below + "/cgroup.procs; " + line);
  }

 private:
  std::string path_;
};

std::string box(Caller caller, const std::string& name,
                const std::string& options = {}) {
  return step(caller, name, "--net none " + options);
}

// Behind the last "hint: why: " of what a program says.
std::string mend_in(const std::string& text) {
  const auto hint = text.rfind("; hint: ");
  REQUIRE(hint != std::string::npos);
  const auto mend = text.find(": ", hint + 8);
  REQUIRE(mend != std::string::npos);
  return text.substr(mend + 2, text.find('\n', mend) - mend - 2);
}

// In quotes, for sh -c.
std::string quoted(const std::string& line) {
  std::string text{"'"};
  for (const char c : line)
    text += c == '\'' ? std::string{"'\\''"} : std::string{c};
  return text + "'";
}

}  // namespace

#define TEST_ON_V2(name) \
  TEST_CASE_FIXTURE(     \
      host::Unharmed,    \
      name " (root, cgroup v2)" * doctest::skip(::geteuid() != 0 || !is_v2()))

TEST_SUITE_BEGIN("cgroup v2");

TEST_ON_V2("the caller's own limits bind its container") {
  const Group service{"service"};
  service.write("memory.max", "100M");
  service.write("memory.swap.max", "0");
  service.write("pids.max", "20");
  service.write("cpu.max", "20000 100000");
  const std::string show =
      "sh -c 'cd /sys/fs/cgroup; cat memory.max pids.max cpu.max'";
  const std::map<std::string, std::string> wanted{
      {"--memory 400M", "104857600\n20\n20000 100000\n"},
      {"--memory none", "104857600\n20\n20000 100000\n"},
      {"--memory 50M --pids 5", "52428800\n5\n20000 100000\n"},
      {"--cpus 0.5", "67108864\n20\n20000 100000\n"},
      {"--cpus 0.1", "67108864\n20\n10000 100000\n"}};
  for (const auto& one : wanted) {
    CAPTURE(one.first);
    CHECK(service.run(box(Caller::kRoot, "08-all", one.first) + show).out ==
          one.second);
  }
  for (const std::string name : {"07-cgroup-memory", "08-all"})
    for (const std::string size : {"400M", "none"})
      CHECK(service
                .run(box(Caller::kRoot, name, "--memory " + size) +
                     "dd if=/dev/zero of=/dev/null bs=200M count=1")
                .status == 137);
  CHECK(service
            .run(box(Caller::kRoot, "07-cgroup-memory", "--memory 64M") +
                 "sh -c 'i=0; while [ $i -lt 40 ]; do sleep 1000 & i=$((i+1)); "
                 "done' 2>&1")
            .out.find("can't fork") != std::string::npos);
  // And the caller's cgroup is as it was.
  CHECK(service.read("cgroup.subtree_control").empty());
  CHECK(service.read("cgroup.type") == "domain");
}

TEST_ON_V2("the container is below the nearest cgroup that can hand down") {
  const Group service{"service"};
  service.write("memory.max", "100M");
  service.make("shell");
  const auto result =
      service.run(box(Caller::kRoot, "07-cgroup-memory", "--memory 400M") +
                      "cat /proc/self/cgroup",
                  "/shell");
  CHECK(result.out.starts_with("0::" + service.name() + "/box-"));
  CHECK(
      service
          .run(box(Caller::kRoot, "08-all", "--memory 400M") + "tail /dev/zero",
               "/shell")
          .status == 137);
}

TEST_ON_V2("what was told to hand down is told no more if the start fails") {
  const Group service{"service"};
  service.make("shell");
  service.write("cgroup.max.descendants", "1");  // So mkdir(2) fails.
  for (const std::string name : {"07-cgroup-memory", "08-all"}) {
    const auto result = service.run(
        box(Caller::kRoot, name, "--memory 64M") + "true", "/shell");
    CHECK(result.status == 125);
    CHECK(result.err.find("mkdir(2) ") != std::string::npos);
    CHECK(service.read("cgroup.subtree_control").empty());
  }
}

TEST_ON_V2("a threaded caller has a container, and its limits bind it") {
  const Group domain{"domain"};
  domain.make("thread");
  domain.write("thread/cgroup.type", "threaded");
  domain.write("memory.max", "100M");
  for (const std::string options : {"--memory 400M", "--memory none"}) {
    const auto result =
        domain.run("echo $$ >" + domain.path() + "/thread/cgroup.threads; " +
                   box(Caller::kRoot, "08-all", options) +
                   "cat /sys/fs/cgroup/memory.max");
    CHECK(result.status == 0);
    CHECK(result.out == "104857600\n");
  }
  CHECK(domain.read("cgroup.subtree_control").empty());
}

TEST_CASE_FIXTURE(host::Unharmed,
                  "a user's lower cgroup binds, too (user, cgroup v2)" *
                      doctest::skip(::geteuid() == 0 || !is_v2() ||
                                    !host::has_delegated_cgroup())) {
  const Group service{"service"};
  service.write("memory.max", "20M");
  service.make("shell");
  for (const std::string below : {"", "/shell"})
    for (const std::string size : {"400M", "none"})
      CHECK(service
                .run(box(Caller::kUser, "08-all", "--memory " + size) +
                         "tail /dev/zero",
                     below)
                .status == 137);
}

// As `docker run --privileged` has it, and a development container.
TEST_ON_V2("at the top of a cgroup namespace processes go to a leaf first") {
  const auto in_namespace = [](const Group& group, const std::string& line) {
    return group.run("exec unshare --cgroup --mount sh -c " +
                     quoted("umount /sys/fs/cgroup; mount -t cgroup2 cgroup2 "
                            "/sys/fs/cgroup; " +
                            line));
  };
  const auto limited = box(Caller::kRoot, "07-cgroup-memory");
  std::string cure;
  {
    const Group docker{"docker"};
    const auto refused = in_namespace(docker, limited + "true");
    CHECK(refused.status == 125);
    CHECK(refused.err.find("(EBUSY); hint: the cgroup /sys/fs/cgroup has "
                           "processes") != std::string::npos);
    cure = mend_in(refused.err);
    for (const std::string options :
         {"", "--memory none", "--memory none --pids 10"}) {
      const auto other =
          in_namespace(docker, box(Caller::kRoot, "08-all", options) + "true");
      CHECK(other.status == 0);
      CHECK((options.empty()
                 ? other.err.find("no memory limit") != other.err.npos
                 : other.err.empty()));
    }
    CHECK(
        in_namespace(docker, box(Caller::kRoot, "08-all", "--cpus 1") + "true")
            .status == 125);
    CHECK(docker.read("cgroup.subtree_control").empty());
    CHECK(docker.read("cgroup.type") == "domain");
  }
  for (const std::string& mend :
       {cure, std::string{".devcontainer/hand-down-cgroups && "
                          ".devcontainer/hand-down-cgroups"}}) {
    CAPTURE(mend);
    const Group docker{"docker"};
    const auto result = in_namespace(
        docker, mend + " && " + limited + "true && " +
                    box(Caller::kRoot, "08-all", "--cpus 1 --memory 16M") +
                    "tail /dev/zero");
    CHECK(result.status == 137);
    CHECK(result.err ==
          "08-all: a process was killed: the container came to its memory "
          "limit\n");
  }
  CHECK(
      host::contents(".devcontainer/devcontainer.json")
          .find("\"postStartCommand\": \".devcontainer/hand-down-cgroups\"") !=
      std::string::npos);
}

// As kind has it, and whoever lends a container the host's /sys/fs/cgroup.
TEST_ON_V2("a cgroup namespace that sees the host's tree is not at its top") {
  const Group kind{"kind"};
  kind.write("memory.max", "100M");
  const auto in_namespace = [&](const std::string& line) {
    return kind.run("exec unshare --cgroup --mount sh -c " + quoted(line));
  };
  const auto limited = box(Caller::kRoot, "07-cgroup-memory");
  auto result = in_namespace(limited + "true");
  CHECK(result.status == 125);
  CHECK(result.err.find("shows the host's cgroups") != std::string::npos);
  const auto first = mend_in(result.err);
  CHECK(first.find("mount -t cgroup2 cgroup2 /sys/fs/cgroup") !=
        std::string::npos);
  result = in_namespace(first + " && " + limited + "true");
  CHECK(result.status == 125);
  const auto second = mend_in(result.err);
  result = in_namespace(first + " && " + second + " && " + limited +
                        "cat /proc/self/cgroup");
  CHECK(result.status == 0);
  CHECK(result.out.starts_with("0::/box-"));
}

TEST_ON_V2("a user in a cgroup of their own is told to leave it to a leaf") {
  const Group scope{"scope"};
  must("cd " + scope.path() +
       "; chown 54321 . cgroup.procs cgroup.threads cgroup.subtree_control");
  const auto limited = step(Caller::kUser, "07-cgroup-memory", "--net none ");
  const auto refused = scope.run(limited + "true");
  CHECK(refused.status == 125);
  CHECK(refused.err.find("(EBUSY); hint: the cgroup " + scope.path()) !=
        std::string::npos);
  CHECK(scope.read("cgroup.subtree_control").empty());
  CHECK(scope.read("cgroup.type") == "domain");
  const auto result =
      scope.run("setpriv --reuid 54321 --regid 54321 --clear-groups sh -c " +
                quoted(mend_in(refused.err)) + " && " + limited + "true");
  CHECK(result.status == 0);
  CHECK(result.err.empty());
}

// As one whom systemd gives a scope, and who logs in a second time.
TEST_ON_V2("a user's container is not entered from another cgroup of theirs") {
  const Group scope{"scope"};
  const Group session{"session"};
  scope.make("leaf");
  must("chown -R 54321 " + scope.path() + " " + session.path());
  const auto line = box(Caller::kUser, "08-all") + "sh -c 'echo up; read wait'";
  const host::Running running{
      "sh -c " +
      quoted("echo $$ >" + scope.path() + "/leaf/cgroup.procs; exec " + line)};
  CHECK(running.hear() == "up");
  const auto enter = host::as(Caller::kUser, "enter") + " " +
                     std::to_string(running.pid()) + " hostname";
  const auto refused = session.run(enter);
  CHECK(refused.status == 125);
  CHECK(refused.err.ends_with(
      "hint: enter it from the session that runs it, or as root\n"));
  CHECK(scope.run(enter, "/leaf").out == "box\n");
}

TEST_ON_V2("without a cgroup namespace to be had, the hint says which limit") {
  const std::string setting = "/proc/sys/user/max_cgroup_namespaces";
  const auto before = host::contents(setting);
  must("echo 0 >" + setting);
  const auto result = shell(box(Caller::kRoot, "08-all") + "true");
  must("echo " + before.substr(0, before.find('\n')) + " >" + setting);
  CHECK(result.status == 125);
  CHECK(mend_in(result.err) == "sysctl -w user.max_cgroup_namespaces=15000");
}

// It takes the pages from the machine: only where that is thrown away.
TEST_CASE_FIXTURE(host::Unharmed,
                  "huge pages are not the container's (root, the lab)" *
                      doctest::skip(::geteuid() != 0 || !is_v2() ||
                                    std::getenv("LAB") == nullptr)) {
  must("echo +hugetlb >/sys/fs/cgroup/cgroup.subtree_control");
  must("echo 8 >/proc/sys/vm/nr_hugepages");
  const auto hog = (host::build_directory() / "hog").string();
  const auto tree = host::scratch("huge");
  must("cp -a '" + host::rootfs(Caller::kRoot) + "'/. " + tree + " && cp '" +
       hog + "' " + tree);
  const host::Running greedy{
      host::step_in(tree, Caller::kRoot, "08-all", "--net none") +
      "/hog huge-pages"};
  CHECK(greedy.hear() == "0");
  CHECK(shell(hog + " huge-pages").out == "8\n");
  must("echo 0 >/proc/sys/vm/nr_hugepages");
}

TEST_SUITE_END();
