// rootfs/build promises a tree that is the same for everybody, and to write
// over nothing that it did not make.

#include <filesystem>

#include "steps/tests/host.hpp"

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

TEST_CASE("make rootfs makes one anew that has lost a part") {
  const auto tree = host::scratch("lost");
  must("cp -r Makefile rootfs " + tree + "; cd " + tree + "; make rootfs");
  for (const std::string part : {"proc", "bin"}) {
    CAPTURE(part);
    must("cd " + tree + "/build/rootfs; rm -r " + part + "; cd ../..; " +
         "make rootfs; [ -e build/rootfs/" + part + " ]");
  }
  CHECK(shell("cd " + tree + "; make -s rootfs").out.empty());
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

// ---- Trees that others made
// --------------------------------------------------

TEST_CASE("from-host brings a program and what it is linked to") {
  const auto tree = host::scratch("peeled") + "/tree";
  must("rootfs/from-host " + tree + " bash cat");
  for (const auto caller : {host::Caller::kUser, host::Caller::kRoot}) {
    if (caller == host::Caller::kRoot && ::geteuid() != 0) continue;
    const auto result = shell(
        "LC_ALL=C " +
        host::step_in(tree, caller, "08-all", "--net none --memory none") +
        "bash -c 'echo $(cat /etc/passwd)'");
    CHECK(result.out == "root:x:0:0:root:/root:/bin/sh\n");
  }
  CHECK(shell("rootfs/from-host " + tree + " bash").status == 1);
  const auto result = shell("rootfs/from-host " + tree + "2 no-such");
  CHECK(result.status == 1);
  CHECK(result.err == "rootfs/from-host: there is no no-such here\n");
  CHECK_FALSE(std::filesystem::exists(tree + "2"));
}

TEST_CASE("from-image unpacks what docker export writes") {
  const auto base = host::scratch("export");
  must("tar -C build/rootfs -cf " + base + "/plain.tar .");
  must("rootfs/from-image " + base + "/plain.tar " + base + "/tree");
  CHECK(
      shell("LC_ALL=C diff -r --no-dereference build/rootfs " + base + "/tree")
          .out.find("Only in build/rootfs/dev") != std::string::npos);
  CHECK(shell("diff -r --no-dereference -x dev build/rootfs " + base + "/tree")
            .status == 0);
  for (const std::string source : {"/etc/passwd", "/no/such", "/etc"}) {
    CHECK(shell("rootfs/from-image " + source + " " + base + "/none").status ==
          1);
    CHECK_FALSE(std::filesystem::exists(base + "/none"));
  }
}

TEST_CASE("from-image brings no device and no set-uid file, and all else") {
  const auto base = host::scratch("hostile");
  must("mkdir -p " + base + "/t/opt/dev " + base + "/t/dev && cd " + base +
       "/t && echo kept >opt/dev/file && cp /bin/true suid && chmod 6755 suid "
       "&& touch dev/null && tar -cf ../hostile.tar .");
  must("rootfs/from-image " + base + "/hostile.tar " + base + "/tree");
  CHECK(host::contents(base + "/tree/opt/dev/file") == "kept\n");
  CHECK(shell("stat -c %a " + base + "/tree/suid").out == "755\n");
  CHECK_FALSE(std::filesystem::exists(base + "/tree/dev/null"));
}

// The second layer changes a file of the first, and removes one.
TEST_CASE("from-image applies the layers of an image, from each kind of it" *
          doctest::skip(!host::has_program("skopeo") ||
                        !host::has_program("umoci"))) {
  const auto base = host::scratch("image");
  must("cd " + base + " && export HOME=" + base +
       " && r=" + (::geteuid() == 0 ? "" : "--rootless") +
       " && umoci init --layout oci && umoci new --image oci:it && "
       "mkdir one && echo old >one/changed && echo old >one/removed && "
       "umoci insert $r --image oci:it one / && echo new >one/changed && "
       "umoci insert $r --image oci:it one/changed /changed && "
       "umoci insert $r --image oci:it --whiteout /removed && "
       "skopeo copy -q oci:oci:it docker-archive:save.tar:it:latest && "
       "skopeo copy -q oci:oci:it oci-archive:oci.tar");
  for (const std::string source : {"oci:it", "save.tar", "oci.tar"}) {
    CAPTURE(source);
    const auto tree = base + "/tree";
    must("rm -rf " + tree + " && rootfs/from-image " + base + "/" + source +
         " " + tree);
    CHECK(host::contents(tree + "/changed") == "new\n");
    CHECK_FALSE(std::filesystem::exists(tree + "/removed"));
  }
}

TEST_SUITE_END();
