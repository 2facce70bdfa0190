// rootfs/build promises a tree that is the same for everybody, and to write
// over nothing that it did not make.

#include <filesystem>

#include "common/host_test.hpp"

using host::must, host::shell;
namespace fs = std::filesystem;

TEST_SUITE_BEGIN("rootfs");

namespace {

// Names, kinds, modes, times, and contents.
std::string fingerprint(const std::string& tree) {
  return shell("cd '" + tree +
               "' && tar --sort=name --numeric-owner -cf - . | "
               "cksum")
      .out;
}

}  // namespace

TEST_CASE("two builds are the same, to the byte and the time stamp") {
  const auto one = host::scratch("builds") + "/one";
  const auto two = host::scratch("builds") + "/two with a blank";
  must("rootfs/build " + one);
  must("rootfs/build '" + two + "'");
  CHECK(fingerprint(one) == fingerprint(two));
  must("touch " + one + "/tmp/new; rootfs/build " + one);  // Made anew.
  CHECK(fingerprint(one) == fingerprint(two));
}

TEST_CASE("its links are relative, so they hold wherever / is") {
  const auto tree = host::scratch("builds") + "/links";
  must("rootfs/build " + tree);
  int links = 0;
  for (const auto& entry : fs::recursive_directory_iterator(tree)) {
    if (!entry.is_symlink()) continue;
    ++links;
    CHECK(fs::read_symlink(entry.path()).is_relative());
    CHECK(fs::exists(entry.path()));
  }
  CHECK(links > 200);
}

TEST_CASE("what something else made is refused and left as it was") {
  const auto precious = host::scratch("precious");
  must("echo keep >" + precious + "/file");
  const auto result = shell("rootfs/build " + precious);
  CHECK(result.status == 1);
  CHECK(host::lines(result.err).size() == 1);
  CHECK(host::contents(precious + "/file") == "keep\n");

  const auto link = host::scratch("builds") + "/link";
  must("ln -sfn " + precious + " " + link);
  CHECK(shell("rootfs/build " + link).status == 1);
  CHECK(host::contents(precious + "/file") == "keep\n");
}

TEST_CASE("a busybox that needs libraries is refused") {
  const auto result =
      shell("BUSYBOX=/bin/sh rootfs/build " + host::scratch("builds") + "/x");
  CHECK(result.status == 1);
  CHECK(!fs::exists(host::scratch("builds") + "/x"));
}

TEST_SUITE_END();
