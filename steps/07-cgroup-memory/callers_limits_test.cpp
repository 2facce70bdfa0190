#include "steps/07-cgroup-memory/callers_limits.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>

#include "common/file.hpp"
#include "common/testing.hpp"

namespace {

using Limits = std::map<std::string, std::string>;

// A container's cgroup, and the two that were passed over for it: directories
// that stand for them. Our own is shell, below svc.
class Host {
 public:
  Host() {
    for (const auto& [file, text] : Limits{{"memory.max", "max"},
                                           {"memory.high", "max"},
                                           {"memory.swap.max", "max"},
                                           {"pids.max", "max"},
                                           {"cpu.max", "max 100000"},
                                           {"cpuset.cpus", ""},
                                           {"cpuset.mems", ""},
                                           {"io.max", ""}})
      write("box/" + file, text);
  }
  void write(const std::string& name, const std::string& text) const {
    place_.make_file(name, text + "\n");
  }
  // Keeps the limits. Returns what limits the container's cgroup then.
  [[nodiscard]] Limits limits() const {
    sys::Cgroup group;
    group.version = 2;
    group.directory = place_ / "box";
    group.passed_over = {place_ / "svc/shell", place_ / "svc"};
    sys::keep_callers_limits({group});
    Limits found;
    for (const std::string file :
         {"memory.max", "memory.high", "memory.swap.max", "pids.max", "cpu.max",
          "cpuset.cpus", "cpuset.mems", "io.max"}) {
      // A file of the kernel's has what was written last, and no more.
      const auto text = sys::read_file(place_ / ("box/" + file));
      const auto value = text.substr(0, text.find('\n'));
      if (!value.empty() && !value.starts_with("max")) found[file] = value;
    }
    return found;
  }

 private:
  testing::Directory place_;
};

}  // namespace

TEST_SUITE_BEGIN("07/callers_limits");

TEST_CASE("the limits of the cgroups that are passed over are kept") {
  const Host host;
  CHECK(host.limits().empty());
  host.write("svc/memory.max", "104857600");
  host.write("svc/memory.high", "max");
  host.write("svc/memory.swap.max", "100");
  host.write("svc/pids.max", "500");
  host.write("svc/shell/pids.max", "max");
  host.write("svc/cpu.max", "max 100000");
  host.write("svc/shell/cpu.max", "50000 100000");
  host.write("svc/cpuset.mems", "");
  host.write("svc/io.max", "8:0 rbps=1 wbps=max riops=max wiops=max");
  CHECK(host.limits() ==
        Limits{{"memory.max", "104857600"},
               {"memory.swap.max", "100"},
               {"pids.max", "500"},
               {"cpu.max", "50000 100000"},
               {"io.max", "8:0 rbps=1 wbps=max riops=max wiops=max"}});
}

TEST_CASE("of two limits the lower counts, whatever its unit") {
  const Host host;
  host.write("svc/shell/memory.max", "20000000");
  host.write("svc/memory.max", "10000000");
  host.write("svc/shell/cpu.max", "5000 10000");
  host.write("svc/cpu.max", "20000 100000");
  CHECK(host.limits() ==
        Limits{{"memory.max", "10000000"}, {"cpu.max", "20000 100000"}});
}

TEST_CASE("of two lists that of the nearest counts, as it is the smaller") {
  const Host host;
  host.write("svc/shell/cpuset.cpus", "2-3");
  host.write("svc/cpuset.cpus", "0-3");
  host.write("svc/cpuset.mems", "0");
  CHECK(host.limits() == Limits{{"cpuset.cpus", "2-3"}, {"cpuset.mems", "0"}});
}

TEST_CASE("a limit of the container that is lower stays") {
  const Host host;
  host.write("box/memory.max", "67108864");
  host.write("box/cpu.max", "10000 100000");
  host.write("svc/memory.max", "104857600");
  host.write("svc/cpu.max", "20000 100000");
  CHECK(host.limits() ==
        Limits{{"memory.max", "67108864"}, {"cpu.max", "10000 100000"}});
}

TEST_SUITE_END();
