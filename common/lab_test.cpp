// The lab is a machine of its own: what goes in and comes out of it, and what
// stays inside. It takes QEMU, and a kernel that was fetched before.

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "steps/tests/host.hpp"

namespace fs = std::filesystem;
using host::shell;

TEST_SUITE_BEGIN("lab");

namespace {

// A process is known by the first fifteen letters of its program.
#ifdef __aarch64__
const std::string kMachine = "aarch64";
#else
const std::string kMachine = "x86_64";
#endif
const std::string kQemu = ("qemu-system-" + kMachine).substr(0, 15);

// A lab in the lab would take minutes to boot. Each start of the tests asks
// this, so it looks, and starts nothing.
bool has_no_lab() {
  const char* const chosen = std::getenv("LAB_CACHE");
  const std::string cache = chosen != nullptr ? chosen : "build/lab";
  std::error_code none;
  const fs::directory_iterator kernels{cache, none};
  return std::getenv("LAB") != nullptr ||
         !host::has_program("qemu-system-" + kMachine) ||
         std::none_of(begin(kernels), end(kernels), [](const auto& one) {
           return fs::exists(one.path() / "vmlinux");
         });
}

// Its files out here, of this process's labs alone.
std::string lab() {
  return "TMPDIR='" + host::scratch("lab") + "' scripts/lab/boot ";
}

}  // namespace

// One promise that takes a lab.
#define TEST_IN_LAB(name)                                               \
  TEST_CASE_FIXTURE(host::Unharmed,                                     \
                    name " (takes QEMU and scripts/lab/boot --fetch)" * \
                        doctest::skip(has_no_lab()))

TEST_CASE("a setting that is no number is refused at once") {
  for (const std::string name : {"LAB_MEM", "LAB_CPUS", "LAB_TIMEOUT"})
    for (const std::string value : {"abc", "-1", "1x", "1G", "010", "' '"}) {
      const auto result =
          shell("timeout 9 env " + name + "=" + value + " " + lab() + "true");
      CAPTURE(name);
      CAPTURE(value);
      CHECK(result.status == 125);
      CHECK(result.err.find("whole numbers, not ") != std::string::npos);
    }
}

TEST_IN_LAB("its input, outputs and status are the command's") {
  const auto readme = host::contents("README.md");
  const auto result = shell(
      "printf 'one\\ntwo\\n' | " + lab() +
      "sh -c 'cat; echo spoilt >README.md && cat README.md;"
      "stat -f -c %T /sys/fs/cgroup /tmp build/rootfs; id -u; echo \"$1\";"
      "sleep 1000 & echo error >/dev/stderr; exit 7' sh \"it's  so\"");
  CAPTURE(result.err);
  CHECK(result.status == 7);
  CHECK(result.out ==
        "one\ntwo\nspoilt\ncgroup2fs\next2/ext3\next2/ext3\n0\nit's  so\n");
  CHECK(result.err == "error\n");
  CHECK(host::contents("README.md") == readme);
}

TEST_IN_LAB("an ordinary user in it may limit what is theirs") {
  const auto result = shell(lab() +
                            "--user sh -c 'id -u; build/07-cgroup-memory "
                            "--net none --memory 16M build/rootfs "
                            "tail /dev/zero' </dev/null");
  CAPTURE(result.err);
  CHECK(result.status == 137);
  CHECK(result.out != "0\n");
  CHECK(result.err.find("came to its memory limit") != std::string::npos);
}

// Who is not in this machine's list of users, and owns nothing on it.
TEST_IN_LAB("an ordinary user of this machine goes through the course in it") {
  const auto place = host::scratch("lab");
  std::string somebody;
  if (::geteuid() == 0) {
    REQUIRE(::chown(place.c_str(), 54321, 54321) == 0);
    somebody = "setpriv --reuid 54321 --regid 54321 --clear-groups env ";
  }
  const std::string run =
      "run() { echo $1; \"$@\" build/rootfs sh -c \"id -u; exit 3\" || "
      "echo $?; }; ";
  const std::string anyones =
      "for step in build/0[345]*; do run $step; done; "
      "for step in build/0[678]*; do run $step --net none; done";
  const std::string shown =
      "build/03-userns\n0\n3\nbuild/04-uts\n0\n3\nbuild/05-mountns\n0\n3\n"
      "build/06-netns-veth\n0\n3\nbuild/07-cgroup-memory\n0\n3\n"
      "build/08-all\n0\n3\n";
  auto result =
      shell(somebody + lab() + "sh -c '" + run +
            "for step in build/0*; do run $step; done; " + anyones + "'");
  CAPTURE(result.err);
  CHECK(result.out ==
        "build/01-chroot\n0\n3\nbuild/02-pidns\n0\n3\n" + shown + shown);
  result = shell(somebody + lab() + "--user sh -c '" + run + anyones + "'");
  CHECK(result.out == shown);
}

TEST_IN_LAB("a terminal has one inside, of the same size") {
  const auto result =
      shell("TMPDIR='" + host::scratch("lab") +
            "' script -qec 'stty rows 33 cols 99; "
            "scripts/lab/boot sh -c \"tty; stty size; exit 5\"' /dev/null");
  CHECK(result.status == 5);
  CHECK(result.out.find("/dev/hvc0") != std::string::npos);
  CHECK(result.out.find("33 99") != std::string::npos);
}

TEST_IN_LAB("its shell says where one is, and how to leave") {
  const auto result = shell("echo 'exit 5' | TMPDIR='" + host::scratch("lab") +
                            "' script -qec scripts/lab/boot /dev/null");
  CHECK(result.status == 5);
  CHECK(result.out.find("This is the lab, a throw-away Linux, and you are root "
                        "in it.") != std::string::npos);
}

TEST_CASE("the lab's --help takes no kernel; another option is one line") {
  auto result = shell("LAB_CACHE=/proc/cache scripts/lab/boot --help");
  CHECK(result.status == 0);
  CHECK(result.out.starts_with("Runs a command in the lab"));
  CHECK(result.err.empty());
  result = shell("LAB_CACHE=/proc/cache scripts/lab/boot --no-such");
  CHECK(result.status == 125);
  CHECK(result.err ==
        "lab: there is no option --no-such; hint: scripts/lab/boot --help\n");
}

TEST_IN_LAB("a status says which signal ended the command") {
  const auto result = shell(lab() + "sh -c 'kill -USR1 $$'");
  CHECK(result.status == 128 + SIGUSR1);
}

// The kernel that is here, packed as others pack one: Debian, by ar(1); Arch,
// with all below /usr; and Fedora, the modules in a package of their own. In
// front of an RPM's cpio archive is a lead of 96 bytes, and two headers, which
// may be empty.
TEST_IN_LAB("LAB_DEB boots a kernel out of a package") {
  const auto place = host::scratch("packages");
  const std::string start = "set -e; cd '" + place + "'; ";
  host::must("kernel=$(scripts/lab/kernel build/lab $(uname -m)); cd '" +
             place +
             "' && mkdir -p boot usr/lib && cp -r \"$kernel/lib/modules\" "
             "usr/lib/ && cp \"$kernel/busybox\" . && "
             "cp \"$kernel/vmlinux\" boot/vmlinuz-of-mine");
  host::must(start + "tar -c boot usr | zstd -q -1 >mine.pkg.tar.zst");
  host::must(start +
             "tar -c boot usr | gzip -1 >data.tar.gz; echo 2.0 >"
             "debian-binary; ar rc mine.deb debian-binary data.tar.gz");
  host::must(start +
             "zeros() { head -c \"$1\" /dev/zero; }; for part in boot usr; do "
             "{ printf '\\355\\253\\356\\333\\003'; zeros 91; "
             "printf '\\216\\255\\350\\001'; zeros 12; "
             "printf '\\216\\255\\350\\001'; zeros 12; "
             "find $part | ./busybox cpio -o -H newc 2>/dev/null | zstd -q -1; "
             "} >$part.rpm; done");
  for (const std::string packages :
       {"mine.pkg.tar.zst", "mine.deb", "boot.rpm usr.rpm"}) {
    CAPTURE(packages);
    const auto result = shell(
        start + "PATH=$OLDPWD/scripts/lab:$PATH LAB_CACHE=cache LAB_DEB='" +
        packages + "' TMPDIR='" + host::scratch("lab") + "' boot id -u");
    CAPTURE(result.err);
    CHECK(result.status == 0);
    CHECK(result.out == "0\n");
  }
}

TEST_IN_LAB("a kernel that lacks what the lab takes is told by it") {
  const auto place = host::scratch("packages");
  host::must("kernel=$(scripts/lab/kernel build/lab $(uname -m)); cd '" +
             place +
             "' && mkdir -p lib boot && cp -r \"$kernel/lib/modules\" lib/ && "
             "cp \"$kernel/vmlinux\" boot/vmlinuz && "
             "rm lib/modules/*/kernel/fs/9p/9p.ko && tar -cf it.tar boot lib");
  const auto result = shell("LAB_CACHE='" + place + "' LAB_DEB='" + place +
                            "/it.tar' " + lab() + "true");
  CHECK(result.status == 125);
  CHECK(result.err ==
        "lab: the kernel has no module 9p in " + place + "/it.tar\n");
}

// An archive as Ubuntu's, of packages made here, and a machine with no kernel
// of its own that we could take.
TEST_CASE_FIXTURE(host::Unharmed,
                  "Ubuntu's modules are fetched with its kernel (root; takes "
                  "apt-get and scripts/lab/boot --fetch)" *
                      doctest::skip(has_no_lab() || ::geteuid() != 0 ||
                                    !host::has_program("apt-get"))) {
  const auto place = host::scratch("archive");
  std::ofstream{place + "/make"} << R"sh(set -e
cd "$(dirname "$0")"
package() {
  mkdir -p "$1/DEBIAN"
  echo "Package: $1
Version: 1
Architecture: $(dpkg --print-architecture)
Maintainer: us
Description: one of ours
Depends: $2" >"$1/DEBIAN/control"
  dpkg-deb -Znone -b "$1" "$1.deb" >/dev/null
  { dpkg-deb -f "$1.deb"
    echo "Filename: ./$1.deb"
    stat -c 'Size: %s' "$1.deb"
    echo "SHA256: $(sha256sum <"$1.deb" | cut -d' ' -f1)"
    echo; } >>Packages
}
mkdir -p linux-image-6-generic/boot linux-modules-6-generic/lib
cp "$1/vmlinux" linux-image-6-generic/boot/vmlinuz-6-generic
cp -r "$1/lib/modules" linux-modules-6-generic/lib/
package linux-image-6-generic linux-modules-6-generic
package linux-modules-6-generic linux-base
package linux-image-generic linux-image-6-generic
mkdir -p lists/partial cache/archives/partial
echo "deb [trusted=yes] file:$PWD ./" >sources.list
cat >apt.conf <<END
Dir::Etc::SourceList "$PWD/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::lists "$PWD/lists";
Dir::Cache "$PWD/cache";
APT::Sandbox::User "root";
END
APT_CONFIG=$PWD/apt.conf apt-get -qq update
)sh";
  host::must("sh '" + place +
             "/make' \"$(scripts/lab/kernel build/lab $(uname -m))\"");
  const auto result = shell(
      "unshare -m sh -c 'for directory in /boot /lib/modules; do "
      "[ ! -d $directory ] || mount -t tmpfs none $directory; done; "
      "export APT_CONFIG=" +
      place +
      "/apt.conf; "
      "exec scripts/lab/kernel " +
      place + "/kernels $(uname -m)'");
  CAPTURE(result.err);
  CHECK(result.status == 0);
  CHECK(result.err ==
        "lab: fetching linux-image-6-generic linux-modules-6-generic, once\n");
  CHECK(shell("ls " + place + "/kernels/*/lib/modules").out != "");
}

TEST_IN_LAB("what takes too long is ended with 124 and one line") {
  const auto result = shell("LAB_TIMEOUT=1 " + lab() + "sleep 1000");
  CHECK(result.status == 124);
  CHECK(result.err == "lab: no end after 1 s (LAB_TIMEOUT)\n");
  CHECK(shell("ls -A '" + host::scratch("lab") + "'").out.empty());
}

TEST_IN_LAB("a signal ends it, and nothing is left") {
  for (const int signal : {SIGINT, SIGTERM}) {
    host::Running running{"env " + lab() + "sleep 1000"};
    CHECK(host::comes_to_run(running.pid(), kQemu));
    ::kill(running.pid(), signal);
    CHECK(running.finish() == 128 + signal);
    CHECK(shell("ls -A '" + host::scratch("lab") + "'").out.empty());
  }
}

TEST_IN_LAB("nothing is left when its terminal is closed") {
  const auto place = host::scratch("lab");
  host::Running terminal{
      "env TMPDIR='" + place +
      "' script -qec 'scripts/lab/boot sleep 1000' /dev/null"};
  CHECK(host::comes_to_run(terminal.pid(), kQemu));
  ::kill(terminal.pid(), SIGKILL);
  CHECK(terminal.finish() == 128 + SIGKILL);
  CHECK(host::eventually(
      [&](pid_t) { return shell("ls -A '" + place + "'").out.empty(); }, -1));
}

TEST_IN_LAB("125 and one line if there is no such kernel") {
  auto result = shell("LAB_DEB=/no/such.deb " + lab() + "true");
  CHECK(result.status == 125);
  CHECK(result.err == "lab: cannot read /no/such.deb (LAB_DEB)\n");
  const auto cache = "LAB_CACHE='" + host::scratch("cache") + "' ";
  result = shell(cache + "LAB_DEB=README.md " + lab() + "true");
  CHECK(result.status == 125);
  CHECK(result.err == "lab: README.md is no package\n");
  result = shell(cache + "LAB_OFFLINE=1 LAB_DEB=backports " + lab() + "true");
  CHECK(result.status == 125);
  CHECK(result.err ==
        "lab: its kernel is not here yet; hint: scripts/lab/boot --fetch\n");
}

TEST_IN_LAB("125 and one line if no kernel can be kept") {
  const auto result = shell("LAB_CACHE=/proc/cache " + lab() + "true");
  CHECK(result.status == 125);
  CHECK(result.err ==
        "lab: no kernel can be kept in /proc/cache; "
        "hint: LAB_CACHE=DIRECTORY, one of yours\n");
}

TEST_IN_LAB("a machine that does not start is 125, and no waiting") {
  const auto result = shell("LAB_MEM=1 " + lab() + "true");
  CHECK(result.status == 125);
  CHECK(result.err.find("lab: the machine ended without a status") !=
        std::string::npos);
  CHECK(shell("ls -A '" + host::scratch("lab") + "'").out.empty());
}

// Machines that are not here; what describes them is at least well-formed, and
// what it runs is there.
TEST_IN_LAB("where KVM is there and does not work, it says how to do without") {
  const auto place = host::scratch("qemu");
  host::must("cd " + place +
             " && for name in qemu-system-x86_64 qemu-system-aarch64; do "
             "printf '#!/bin/sh\\nexit 134\\n' >$name; chmod 755 $name; done");
  for (const std::string accelerator : {"kvm", "tcg"}) {
    const auto result =
        shell("PATH=" + place + ":$PATH LAB_ACCEL=" + accelerator + " " +
              lab() + "true");
    CHECK(result.status == 125);
    CHECK_MESSAGE((result.err.find("; hint: LAB_ACCEL=tcg ") !=
                   std::string::npos) == (accelerator == "kvm"),
                  result.err);
  }
}

TEST_SUITE_END();
