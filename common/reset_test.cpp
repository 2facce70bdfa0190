// scripts/reset removes what is ours and dead, and nothing that only has a name
// like ours. It is tried on a host of its own: with other mounts, another
// network, and directories in the place of cgroups.

#include "common/host_test.hpp"

using host::shell;

TEST_SUITE_BEGIN("reset");

namespace {

// Runs a script in which $PWD is the repository's and $TMPDIR is empty.
host::Result on_a_host(const std::string& script) {
  const auto place = host::scratch("reset");
  host::must("rm -rf '" + place + "'/*");
  return shell("TMPDIR='" + place +
               "' unshare --mount --net --propagation private sh -euc '"
               "mount -t tmpfs none /sys/fs/cgroup; " +
               script + "'");
}

// Old enough to be a leftover.
const std::string kFiles =
    "cd \"$TMPDIR\"; mkdir -p docs.dead/rootfs-0/bin docs.used/rootfs-0/bin "
    "docs.young/rootfs-0/bin matrix.1.dead/rootfs-root/bin lab.dead docs.other;"
    "touch docs.dead/bashrc docs.used/bashrc docs.young/bashrc docs.other/mine "
    "matrix.1.dead/01-chroot lab.dead/console lab.dead/status;"
    "touch -d \"2 hours ago\" docs.dead docs.used docs.other matrix.* lab.*;"
    "cd \"$OLDPWD\"; ";

}  // namespace

TEST_AS_ROOT("of mounts it removes a dead container's /proc, and no other") {
  const auto result = on_a_host(
      "root=build/rootfs; mount -t proc proc $root/proc;"
      "mount -t tmpfs mine $root/tmp;"
      "chroot $root sleep 1000 & sleep=$!;"
      "until [ \"$(readlink /proc/$sleep/root)\" = \"$(pwd -P)/$root\" ]; do "
      "sleep 0.1; done;"
      "scripts/reset; grep -c \" $(pwd -P)/$root/\" /proc/self/mountinfo;"
      "kill $sleep; wait $sleep || :; scripts/reset --dry-run;"
      "grep -c \" $(pwd -P)/$root/\" /proc/self/mountinfo;"
      "scripts/reset >/dev/null; grep \" $(pwd -P)/$root/\" "
      "/proc/self/mountinfo | wc -l");
  CAPTURE(result.err);
  CHECK(result.status == 0);
  const auto lines = host::lines(result.out);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0] == "2");
  CHECK(lines[1].starts_with("reset: umount -l "));
  CHECK(lines[1].ends_with("/build/rootfs/proc"));
  CHECK(lines[2] == "2");
  CHECK(lines[3] == "1");
}

TEST_AS_ROOT("of cgroups it removes those of dead programs that are empty") {
  const auto result = on_a_host(
      "cd /sys/fs/cgroup; mkdir -p m/box-99999999 m/box-$$ m/box-1x m/boxer-99 "
      "m/box-99999998 script99999999 apart-99999999/box-1 apart-$$/box-1;"
      "echo 1 >m/box-99999998/cgroup.procs; cd \"$OLDPWD\";"
      "scripts/reset --dry-run | sort; echo; scripts/reset | grep stays;"
      "cd /sys/fs/cgroup; find . -mindepth 1 -type d | sed s/$$/self/ | "
      "LC_ALL=C sort");
  CAPTURE(result.err);
  CHECK(result.status == 0);
  CHECK(result.out ==
        "reset: rmdir /sys/fs/cgroup/apart-99999999\n"
        "reset: rmdir /sys/fs/cgroup/apart-99999999/box-1\n"
        "reset: rmdir /sys/fs/cgroup/m/box-99999998\n"
        "reset: rmdir /sys/fs/cgroup/m/box-99999999\n"
        "reset: rmdir /sys/fs/cgroup/script99999999\n\n"
        "reset: /sys/fs/cgroup/m/box-99999998 stays: there are processes in "
        "it\n"
        "./apart-self\n./apart-self/box-1\n./m\n./m/box-1x\n"
        "./m/box-99999998\n./m/box-self\n./m/boxer-99\n");
}

TEST_AS_ROOT("of rules it removes ours whose link is gone") {
  if (shell("command -v nft").status != 0) {
    MESSAGE("not tried: there is no nft");
    return;
  }
  const auto result = on_a_host(
      "for n in 1 2; do nft \"table ip box$n { chain between { type filter "
      "hook "
      "forward priority 0; iifname \\\"box$n\\\" oifname \\\"box*\\\" drop; }; "
      "}\"; done; nft add table ip box3; nft add table ip mine;"
      "ip link add box2 type veth peer name other; scripts/reset; nft list "
      "tables");
  CAPTURE(result.err);
  CHECK(result.status == 0);
  CHECK(result.out ==
        "reset: nft delete table ip box1\n"
        "table ip box2\ntable ip box3\ntable ip mine\n");
}

TEST_AS_ROOT("of files it removes what we put there, if nobody uses it") {
  const auto result = on_a_host(
      kFiles +
      "(cd \"$TMPDIR/docs.used\" && exec sleep 1000) & sleep=$!;"
      "until [ \"$(readlink /proc/$sleep/exe)\" != \"$(readlink "
      "/proc/$$/exe)\" "
      "]; do sleep 0.1; done;"
      "scripts/reset --dry-run | sed \"s,$TMPDIR/,,\" | sort; ls \"$TMPDIR\" | "
      "wc -l; scripts/reset >/dev/null; kill $sleep; ls \"$TMPDIR\"");
  CAPTURE(result.err);
  CHECK(result.status == 0);
  CHECK(result.out ==
        "reset: rm -rf --one-file-system docs.dead\n"
        "reset: rm -rf --one-file-system lab.dead\n"
        "reset: rm -rf --one-file-system matrix.1.dead\n6\n"
        "docs.other\ndocs.used\ndocs.young\n");
}

TEST_AS_ROOT("what scripts/container.sh keeps by a mount goes with it") {
  const auto result = on_a_host(
      "work=$TMPDIR/script99999999.abcdef; mkdir -p $work "
      "$TMPDIR/script99999999.other; touch $work/ns;"
      "touch -d \"2 hours ago\" $TMPDIR/script*; unshare --net=$work/ns true;"
      "scripts/reset >/dev/null; ls \"$TMPDIR\"; grep -c \"$work\" "
      "/proc/self/mountinfo || :");
  CAPTURE(result.err);
  CHECK(result.status == 0);
  CHECK(result.out == "script99999999.other\n0\n");
}

TEST_SUITE_END();
