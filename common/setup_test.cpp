// scripts/setup installs nothing here: what it would do, and under which names.

#include <algorithm>

#include "common/host_test.hpp"

using host::shell;

TEST_SUITE_BEGIN("setup");

namespace {

const std::string kAll =
    " run test docs lint lab slides arm64 musl distributions";

// Those that it would install by a package manager, "dnf NAME" a line.
std::vector<std::string> names(const std::string& manager) {
  std::string command = "{ :; ";
  for (const std::string compiler : {"g++", "clang++"})
    command +=
        "CXX=" + compiler + " scripts/setup --list " + manager + kAll + ";";
  // Of the lab's emulator there is one for each machine.
  return host::lines(
      shell(command +
            "} | grep -v ^qemu-system | grep -v ^qemu-x86 "
            "| grep -v ^qemu-arm | LC_ALL=C sort -u | sed 's/^/" +
            manager + " /'")
          .out);
}

}  // namespace

TEST_CASE("the names of packages are those that were checked") {
  const auto known = host::lines(
      shell("grep -v '^#' scripts/packages.txt | grep -v 'qemu-[sxa]'").out);
  std::vector<std::string> now;
  for (const std::string manager : {"apt", "dnf", "pacman", "apk", "zypper"}) {
    const auto some = names(manager);
    CHECK(some.size() > 25);
    now.insert(now.end(), some.begin(), some.end());
  }
  CHECK(now == known);
  CHECK(
      shell("grep -c '20[0-9][0-9]-[01][0-9]-[0-3][0-9]' scripts/packages.txt")
          .out == "1\n");
}

TEST_CASE("a row of the table has a check and five names") {
  const auto rows = host::lines(
      shell("sed -n '/^# when /,/^END/p' scripts/setup | grep -v '^END' | "
            "awk -F '|' '{ print NF }' | sort -u")
          .out);
  CHECK(rows == std::vector<std::string>{"7"});
}

TEST_AS_ROOT("without a package manager one line says what is missing") {
  const auto result = shell(
      "unshare --mount sh -c 'for name in apt-get dnf zypper pacman apk; do "
      "for place in /usr/bin /usr/sbin /usr/local/bin; do "
      "[ ! -e $place/$name ] || mount --bind /dev/null $place/$name; done; "
      "done;"
      "CXX=no-such-g++ scripts/setup --dry-run'");
  CHECK(result.status == 1);
  CHECK(result.out.empty());
  CHECK(result.err ==
        "setup: no package manager known here; missing: compiler no-such-g++ "
        "-std=c++20, linker no-such-g++ -static\n");
}

TEST_SUITE_END();
