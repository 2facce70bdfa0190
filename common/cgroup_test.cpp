// Hosts differ in nothing more than in their cgroups. Here they are played: by
// the texts that /proc has there, and directories that stand for the mounts.

#include "common/cgroup.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "common/diagnosis/causes.hpp"
#include "common/error.hpp"
#include "common/file.hpp"
#include "common/testing.hpp"

namespace {

class Host {
 public:
  // A line of /proc/self/cgroup, "4:memory:/x" say.
  void am_in(const std::string& line) { cgroup_ += line + "\n"; }

  // Mounts a hierarchy at `name`; `root` is the part of it that is shown.
  void has_v1(const std::string& name, const std::string& controllers,
              const std::string& root = "/") {
    add_mount(name, "cgroup", "rw," + controllers, root);
  }
  void has_v2(const std::string& name, const std::string& root = "/") {
    add_mount(name, "cgroup2", "rw,nsdelegate", root);
  }

  // A v1 cgroup, or a v2 one without anything that could be limited.
  void make_cgroup(const std::string& name) const {
    place_.make_file(name + "/cgroup.procs");
  }
  // A v2 cgroup: what its parent hands down, and what it hands down itself.
  void make_cgroup(const std::string& name, const std::string& controllers,
                   const std::string& subtree_control) const {
    make_cgroup(name);
    place_.make_file(name + "/cgroup.controllers", controllers + "\n");
    place_.make_file(name + "/cgroup.subtree_control", subtree_control + "\n");
  }

  // What every cgroup but the root of all has: a type. And its processes.
  void is_inner(const std::string& name, const std::string& processes = {},
                const std::string& type = "domain") const {
    place_.make_file(name + "/cgroup.type", type + "\n");
    place_.make_file(name + "/cgroup.procs", processes);
  }
  void write(const std::string& name, const std::string& text) const {
    place_.make_file(name, text);
  }

  [[nodiscard]] std::string operator/(const std::string& name) const {
    return place_ / name;
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    return sys::read_file(place_ / name);
  }

  [[nodiscard]] std::vector<sys::Cgroup> find(
      const std::vector<std::string>& controllers) const {
    return sys::find_cgroup_parents(controllers, cgroup_, mountinfo_);
  }
  [[nodiscard]] std::vector<std::string> directories() const {
    return sys::cgroup_directories(cgroup_, mountinfo_);
  }

 private:
  void add_mount(const std::string& name, const std::string& type,
                 const std::string& options, const std::string& root) {
    std::filesystem::create_directories(place_ / name);
    auto point = place_ / name;
    for (std::size_t at = 0; (at = point.find(' ', at)) != point.npos;)
      point.replace(at, 1, "\\040");
    mountinfo_ += sys::format(
        "35 31 0:32 {} {} rw,nosuid,nodev,noexec,relatime shared:9 - {} {} "
        "{}\n",
        root, point, type, type, options);
  }

  testing::Directory place_;
  std::string cgroup_;
  // What is on every host, and what no parser should trip over.
  std::string mountinfo_ =
      "23 1 254:1 / / rw,relatime - ext4 /dev/root rw\n"
      "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,memory\n"
      "32 23 0:29 / /mnt/a\\040b rw - 9p memory rw\n"
      "nonsense\n";
};

// As many desktops and clouds are: systemd's slices, and a limit is possible
// only where an ancestor hands the controller down.
class SystemdHost : public Host {
 public:
  SystemdHost() {
    has_v2("v2");
    make_cgroup("v2", "cpu memory pids", "cpu memory pids");
    make_cgroup("v2/user.slice", "cpu memory pids", "memory pids");
    make_cgroup("v2/user.slice/user-0.slice", "memory pids", "memory pids");
    make_cgroup("v2/user.slice/user-0.slice/session-1.scope", "memory pids",
                "");
    is_inner("v2/user.slice");
    is_inner("v2/user.slice/user-0.slice");
    is_inner("v2/user.slice/user-0.slice/session-1.scope", "4711\n");
    am_in("0::/user.slice/user-0.slice/session-1.scope");
  }
};

using Paths = std::vector<std::string>;

}  // namespace

TEST_SUITE_BEGIN("common/cgroup");

// ---- v1 --------------------------------------------------------------------

TEST_CASE("a hierarchy is found at a path with a blank") {
  Host host;
  host.has_v1("m e", "memory");
  host.make_cgroup("m e/me");
  host.am_in("4:memory:/me");
  CHECK(testing::first(host.find({"memory"})).directory == host / "m e/me");
}

TEST_CASE("on v1 a cgroup is made below our own, in each hierarchy") {
  Host host;
  host.has_v1("memory", "memory");
  host.has_v1("pids", "pids");
  host.make_cgroup("memory/user/me");
  host.make_cgroup("pids");
  host.am_in("4:memory:/user/me");
  host.am_in("3:pids:/");

  const auto found = host.find({"memory", "pids"});
  REQUIRE(found.size() == 2);
  CHECK(testing::nth(found, 0).version == 1);
  CHECK(testing::nth(found, 0).directory == host / "memory/user/me");
  CHECK(testing::nth(found, 0).controllers == Paths{"memory"});
  CHECK(testing::nth(found, 1).version == 1);
  CHECK(testing::nth(found, 1).directory == host / "pids");
  CHECK(testing::nth(found, 1).controllers == Paths{"pids"});
}

TEST_CASE("v1 controllers that are mounted together are found by either name") {
  Host host;
  host.has_v1("cpu,cpuacct", "cpu,cpuacct");
  host.make_cgroup("cpu,cpuacct");
  host.am_in("5:cpu,cpuacct:/");

  CHECK(testing::first(host.find({"cpu"})).directory == host / "cpu,cpuacct");
  CHECK(testing::first(host.find({"cpuacct"})).directory ==
        host / "cpu,cpuacct");
  CHECK_THROWS_AS((void)host.find({"cpuset"}), sys::Error);
}

TEST_CASE("v1 controllers that are mounted together have one place") {
  Host host;
  host.has_v1("both", "memory,pids");
  host.has_v1("cpu", "cpu,cpuacct");
  host.make_cgroup("both");
  host.make_cgroup("cpu");
  host.am_in("4:memory,pids:/");
  host.am_in("5:cpu,cpuacct:/");
  const auto found = host.find({"memory", "cpu", "pids"});
  REQUIRE(found.size() == 2);
  CHECK(testing::nth(found, 0).controllers == Paths{"memory", "pids"});
  CHECK(testing::nth(found, 1).directory == host / "cpu");
}

TEST_CASE("a controller is not taken for one whose name it begins") {
  Host host;
  host.has_v1("cpuset", "cpuset");
  host.make_cgroup("cpuset");
  host.am_in("2:cpuset:/");
  CHECK_THROWS_AS((void)host.find({"cpu"}), sys::Error);
}

// ---- Hybrid ----------------------------------------------------------------

TEST_CASE("on a hybrid host memory is where it is mounted, on v1") {
  Host host;
  host.has_v1("memory", "memory");
  host.has_v1("systemd", "name=systemd");
  host.has_v2("unified");
  host.make_cgroup("memory");
  host.make_cgroup("unified", "", "");
  host.am_in("4:memory:/");
  host.am_in("1:name=systemd:/init.scope");
  host.am_in("0::/init.scope");

  const auto found = host.find({"memory"});
  REQUIRE(found.size() == 1);
  CHECK(testing::nth(found, 0).version == 1);
  CHECK(testing::nth(found, 0).directory == host / "memory");
}

TEST_CASE("a hybrid host may have one controller on v1, another on v2") {
  Host host;
  host.has_v1("memory", "memory");
  host.has_v2("unified");
  host.make_cgroup("memory");
  host.make_cgroup("unified", "pids", "pids");
  host.am_in("4:memory:/");
  host.am_in("0::/");

  const auto found = host.find({"pids", "memory"});
  REQUIRE(found.size() == 2);
  REQUIRE(sys::find_cgroup(found, "memory") != nullptr);
  CHECK(sys::find_cgroup(found, "memory")->version == 1);
  CHECK(sys::find_cgroup(found, "memory")->directory == host / "memory");
  REQUIRE(sys::find_cgroup(found, "pids") != nullptr);
  CHECK(sys::find_cgroup(found, "pids")->version == 2);
  CHECK(sys::find_cgroup(found, "pids")->directory == host / "unified");
  CHECK(sys::find_cgroup(found, "cpu") == nullptr);
}

// ---- v2 --------------------------------------------------------------------

TEST_CASE("on v2 it is the nearest ancestor that hands the controller down") {
  const SystemdHost host;
  const auto found = host.find({"memory"});
  REQUIRE(found.size() == 1);
  CHECK(testing::nth(found, 0).version == 2);
  CHECK(testing::nth(found, 0).directory ==
        host / "v2/user.slice/user-0.slice");
  CHECK(testing::nth(found, 0).missing.empty());
}

TEST_CASE("on v2 there is one place for all controllers, or none") {
  const SystemdHost host;
  const auto found = host.find({"pids", "memory", "cpu"});
  REQUIRE(found.size() == 1);
  CHECK(testing::nth(found, 0).directory ==
        host / "v2/user.slice");  // It has cpu as well.
  CHECK(testing::nth(found, 0).controllers == Paths{"pids", "memory", "cpu"});
  CHECK_THROWS_AS((void)host.find({"memory", "cpuset"}), sys::Error);
}

TEST_CASE("of a v2 cgroup that could hand a controller down it is said") {
  Host host;
  host.has_v2("v2");
  host.make_cgroup("v2/mine", "memory pids", "");
  host.make_cgroup("v2", "memory pids", "");
  host.am_in("0::/mine");

  const auto found = host.find({"memory"});
  CHECK(testing::first(found).directory == host / "v2/mine");
  CHECK(testing::first(found).missing == Paths{"memory"});
  for (const std::string name : {"v2/mine", "v2"})
    CHECK(host.read(name + "/cgroup.subtree_control") == "\n");
}

TEST_CASE("the nearest that can be told comes before a farther that need not") {
  Host host;
  host.has_v2("v2");
  host.make_cgroup("v2", "memory pids", "memory pids");
  host.make_cgroup("v2/svc", "memory pids", "pids");
  host.make_cgroup("v2/svc/shell", "pids", "");
  host.is_inner("v2/svc");
  host.is_inner("v2/svc/shell", "4711\n");
  host.am_in("0::/svc/shell");

  const auto found = host.find({"memory", "pids"});
  CHECK(testing::first(found).directory == host / "v2/svc");
  CHECK(testing::first(found).missing == Paths{"memory"});
  CHECK(testing::first(found).passed_over == Paths{host / "v2/svc/shell"});
}

TEST_CASE("a controller that limits us is wanted, if nobody asks for it") {
  Host host;
  host.has_v2("v2");
  const std::string all = "cpu cpuset io memory pids";
  host.make_cgroup("v2", all, "memory");
  host.make_cgroup("v2/svc", all, all);
  host.make_cgroup("v2/svc/shell", all, "");
  host.is_inner("v2/svc", "", "domain threaded");
  host.is_inner("v2/svc/shell", "4711\n");
  host.am_in("0::/svc/shell");
  host.write("v2/svc/pids.max", "500\n");
  host.write("v2/svc/io.max", "\n");
  host.write("v2/svc/memory.max", "max\n");
  host.write("v2/svc/shell/cpu.max", "50000 100000\n");

  const auto found = testing::first(host.find({"memory"}));
  CHECK(found.controllers == Paths{"memory", "cpu", "pids"});
  CHECK(found.missing == Paths{"cpu", "pids"});
}

TEST_CASE("a v2 cgroup that must not be filled is passed over") {
  const SystemdHost host;
  std::filesystem::remove(host / "v2/user.slice/user-0.slice/cgroup.procs");
  CHECK(testing::first(host.find({"memory"})).directory ==
        host / "v2/user.slice");
}

TEST_CASE("a v2 cgroup that can take no container is left as it is") {
  Host host;
  host.has_v2("v2");
  host.make_cgroup("v2", "cpu memory pids", "cpu memory pids");
  host.make_cgroup("v2/mine", "cpu memory pids", "");
  host.am_in("0::/mine");
  SUBCASE("because it has processes") {
    host.is_inner("v2/mine", "4711\n");
  }
  SUBCASE("or those of another PID namespace") {
    host.is_inner("v2/mine", "0\n");
  }
  for (const std::string type :
       {"threaded", "domain threaded", "domain invalid"})
    SUBCASE(("or because it is " + type).c_str()) {
      host.is_inner("v2/mine", "", type);
    }
  for (const auto& controllers :
       {Paths{"memory", "pids"}, Paths{"pids"}, Paths{"cpu", "pids"}}) {
    CHECK(testing::first(host.find(controllers)).directory == host / "v2");
    CHECK(host.read("v2/mine/cgroup.subtree_control") == "\n");
  }
}

// A thread root may hand pids down, and what is made below it takes no process.
TEST_CASE("that a v2 cgroup hands a controller down is not enough") {
  Host host;
  host.has_v2("v2");
  host.make_cgroup("v2", "memory pids", "memory pids");
  host.make_cgroup("v2/mine", "memory pids", "pids");
  host.is_inner("v2/mine", "4711\n", "domain threaded");
  host.am_in("0::/mine");
  CHECK(testing::first(host.find({"pids"})).directory == host / "v2");
}

TEST_CASE("why there is no v2 cgroup is told by what could be mended") {
  Host host;
  host.has_v2("v2");
  host.make_cgroup("v2", "memory pids", "memory pids");
  host.make_cgroup("v2/mine", "memory pids", "");
  std::filesystem::remove(host / "v2/cgroup.procs");
  host.am_in("0::/mine");
  int errnum = 0;
  std::string part;
  SUBCASE("processes can go to a leaf") {
    host.is_inner("v2/mine", "4711\n");
    errnum = EBUSY;
    const auto mine = host / "v2/mine";
    part = "mkdir -p " + mine + "/leaf && xargs -n1 <" + mine +
           "/cgroup.procs >" + mine + "/leaf/cgroup.procs";
  }
  SUBCASE("a threaded one takes none") {
    host.is_inner("v2/mine", "", "threaded");
    errnum = EOPNOTSUPP;
    part = "v2/mine is threaded, so it accepts no container";
  }
  SUBCASE("others are not ours") {
    std::filesystem::remove(host / "v2/mine/cgroup.procs");
    errnum = EACCES;
    part = ": ";
  }
  const auto error = testing::error_of([&] { return host.find({"memory"}); });
  CHECK(error.code().value() == errnum);
  CHECK(sys::hint_of(error).find(part) != std::string::npos);
  CHECK(host.read("v2/mine/cgroup.subtree_control") == "\n");
}

// ---- Containers, and mounts that hide each other ---------------------------

TEST_CASE("a mount may show but a part of the hierarchy: ours begins there") {
  Host host;
  host.has_v1("memory", "memory", "/docker/4f1b");
  host.make_cgroup("memory/inner");
  host.make_cgroup("memory");

  SUBCASE("we are at its top") {
    host.am_in("4:memory:/docker/4f1b");
    CHECK(testing::first(host.find({"memory"})).directory == host / "memory");
  }
  SUBCASE("we are further down") {
    host.am_in("4:memory:/docker/4f1b/inner");
    CHECK(testing::first(host.find({"memory"})).directory ==
          host / "memory/inner");
  }
  SUBCASE("we are elsewhere") {
    host.am_in("4:memory:/system.slice");
    CHECK(testing::first(host.find({"memory"})).directory == host / "memory");
  }
  SUBCASE("we are in a neighbour, whose name ours begins") {
    host.am_in("4:memory:/docker/4f1b2c");
    CHECK(testing::first(host.find({"memory"})).directory == host / "memory");
  }
  SUBCASE("we are outside of a cgroup namespace's root") {
    host.am_in("4:memory:/../../system.slice");
    CHECK(testing::first(host.find({"memory"})).directory == host / "memory");
  }
}

TEST_CASE("on v2, too, a neighbour is no child") {
  Host host;
  host.has_v2("v2", "/docker/4f1b");
  host.make_cgroup("v2", "memory", "memory");
  host.am_in("0::/docker/4f1b2c");
  CHECK(testing::first(host.find({"memory"})).directory == host / "v2");
}

// As a container has it whose cgroup namespace is newer than its mounts.
TEST_CASE("a mount of what is above our cgroup namespace is not for us") {
  Host host;
  host.am_in("0::/");
  host.am_in("4:memory:/");
  SUBCASE("on v2") {
    host.has_v2("host", "/../..");
    host.make_cgroup("host", "memory pids", "memory pids");
  }
  SUBCASE("on v1") {
    host.has_v1("host", "memory", "/..");
    host.make_cgroup("host");
  }
  const auto error = testing::error_of([&] { return host.find({"memory"}); });
  CHECK(error.code() == std::errc::no_such_file_or_directory);

  host.has_v2("own");
  host.make_cgroup("own", "memory", "memory");
  host.has_v2("host", "/..");
  CHECK(testing::first(host.find({"memory"})).directory == host / "own");
}

TEST_CASE("a mount that lies under another one is not seen") {
  Host host;
  host.am_in("0::/");
  host.has_v2("place");
  host.make_cgroup("place", "memory", "memory");
  CHECK(testing::first(host.find({"memory"})).directory == host / "place");
  host.has_v2("place", "/..");
  CHECK_THROWS_AS((void)host.find({"memory"}), sys::Error);
}

TEST_CASE("of two mounts of a hierarchy the later one counts") {
  Host host;
  host.has_v2("hidden");
  host.has_v2("seen");
  host.make_cgroup("hidden", "memory", "memory");
  host.make_cgroup("seen", "memory", "memory");
  host.am_in("0::/");
  CHECK(testing::first(host.find({"memory"})).directory == host / "seen");
}

// ---- Nothing there ---------------------------------------------------------

TEST_CASE("without a cgroup file system the error is ENOENT, with a hint") {
  Host host;
  host.am_in("0::/");
  const auto error = testing::error_of([&] {
    return host.find({"memory", "pids"});
  });
  CHECK(error.code() == std::errc::no_such_file_or_directory);
  CHECK(error.attempt().text ==
        "cgroups(7): no cgroup for a limit on memory, pids");
  CHECK(error.attempt().controllers ==
        std::vector<std::string>{"memory", "pids"});
  CHECK_FALSE(sys::hint_of(error).empty());
}

TEST_CASE("the same if no hierarchy has the controller") {
  Host host;
  host.has_v2("v2");
  host.make_cgroup("v2", "cpu pids", "cpu pids");
  host.am_in("0::/");
  const auto error = testing::error_of([&] { return host.find({"memory"}); });
  CHECK(error.code() == std::errc::no_such_file_or_directory);
}

TEST_CASE("where there is one that is not for us, it is EACCES, with a hint") {
  Host host;
  host.am_in("4:memory:/");
  host.am_in("0::/");
  SUBCASE("on v1") {
    host.has_v1("memory", "memory");
  }
  SUBCASE("on v2") {
    host.has_v2("v2");
    host.make_cgroup("v2", "memory", "memory");
    std::filesystem::remove(host / "v2/cgroup.procs");
  }
  const auto error = testing::error_of([&] { return host.find({"memory"}); });
  CHECK(error.code() == std::errc::permission_denied);
  CHECK(error.attempt().text == "cgroups(7): no cgroup for a limit on memory");
  CHECK_FALSE(sys::hint_of(error).empty());
}

TEST_CASE("an ordinary user gets no cgroup that only root may fill" *
          doctest::skip(::geteuid() == 0)) {
  Host host;
  host.has_v2("v2");
  host.make_cgroup("v2/mine", "memory", "memory");
  host.make_cgroup("v2", "memory", "memory");
  host.am_in("0::/mine");
  CHECK(testing::first(host.find({"memory"})).directory == host / "v2/mine");

  constexpr auto kReadOnly = std::filesystem::perms{0444};
  std::filesystem::permissions(host / "v2/mine/cgroup.procs", kReadOnly);
  CHECK(testing::first(host.find({"memory"})).directory == host / "v2");
  std::filesystem::permissions(host / "v2/cgroup.procs", kReadOnly);
  CHECK_THROWS_AS((void)host.find({"memory"}), sys::Error);
}

// ---- The rest --------------------------------------------------------------

TEST_CASE("cgroup_directories names all that a process is in") {
  Host host;
  host.has_v1("cpu,cpuacct", "cpu,cpuacct");
  host.has_v1("memory", "memory");
  host.has_v1("systemd", "name=systemd");
  host.has_v2("unified");
  host.am_in("5:cpu,cpuacct:/");
  host.am_in("4:memory:/box-7");
  host.am_in("3:devices:/not/mounted");
  host.am_in("1:name=systemd:/a.scope");
  host.am_in("0::/a.scope/box-7");
  CHECK(host.directories() == Paths{host / "cpu,cpuacct", host / "memory/box-7",
                                    host / "systemd/a.scope",
                                    host / "unified/a.scope/box-7"});
}

TEST_CASE("read_keyed_value finds a key, and no other that it begins") {
  const testing::Directory directory;
  const auto control = directory.make_file(
      "memory.oom_control", "oom_kill_disable 9\nunder_oom 0\noom_kill 3\n");
  CHECK(sys::read_keyed_value(control, "oom_kill") == 3);
  CHECK(sys::read_keyed_value(control, "oom_kill_disable") == 9);
  CHECK(sys::read_keyed_value(control, "oom") == 0);
  CHECK(sys::read_keyed_value(directory.make_file("empty"), "oom_kill") == 0);
  CHECK_THROWS_AS(sys::read_keyed_value(directory / "missing", "oom_kill"),
                  sys::Error);
}

TEST_CASE("remove_cgroups removes what is there and forgives what is not") {
  const testing::Directory directory;
  std::filesystem::create_directory(directory / "there");
  CHECK_NOTHROW(sys::remove_cgroups(
      {{1, directory / "missing", {}}, {2, directory / "there", {}}}));
  CHECK_FALSE(std::filesystem::exists(directory / "there"));
}

TEST_CASE("remove_cgroups says what it had to leave behind, and goes on") {
  const testing::Directory directory;
  directory.make_file("full/file");
  std::filesystem::create_directory(directory / "empty");
  const auto said = testing::written_to(STDERR_FILENO, [&] {
    sys::remove_cgroups(
        {{1, directory / "full", {}}, {2, directory / "empty", {}}});
  });
  CHECK(said.ends_with(": rmdir(2) " + (directory / "full") +
                       ": Directory not empty (ENOTEMPTY)\n"));
  CHECK_FALSE(std::filesystem::exists(directory / "empty"));
}

TEST_CASE("open_v2_cgroup opens the one on v2, if there is one") {
  const testing::Directory directory;
  CHECK(sys::open_v2_cgroup({}).get() == -1);
  CHECK(sys::open_v2_cgroup({{1, directory.path(), {}}}).get() == -1);
  CHECK(sys::open_v2_cgroup({{1, "/no/such", {}}, {2, directory.path(), {}}})
            .get() != -1);
  CHECK_THROWS_AS(sys::open_v2_cgroup({{2, "/no/such", {}}}), sys::Error);
}

TEST_SUITE_END();
