// scripts/reset removes what is ours and dead, and nothing that only has a name
// like ours. It is tried on a host of its own: with other mounts, another
// network, and directories in the place of cgroups.

#include <fstream>
#include <map>

#include "common/testing.hpp"
#include "steps/tests/host.hpp"

using host::Caller, host::shell;

TEST_SUITE_BEGIN("reset");

namespace {

// Runs a script in which $PWD is the repository's and $TMPDIR is empty. The
// tests themselves may run in a container, so $reset is told that it is alone.
// A host that sees no process of others has PIDs of its own. (One digit would
// be a part of many a name.)
const std::string kOwnPids =
    "--pid --fork --mount-proc sh -c 'echo 5000 "
    ">/proc/sys/kernel/ns_last_pid; sh -eu \"$1\"' sh ";

host::Result on_a_host(const std::string& script,
                       const std::string& how = kOwnPids) {
  const auto place = host::scratch("reset");
  host::must("rm -rf '" + place + "'/*");
  const auto file = host::scratch("reset-script") + "/script";
  std::ofstream{file} << "mount -t tmpfs none /sys/fs/cgroup\n"
                         "reset=\"scripts/reset --alone\"\n"
                         // As a program of ours marks what it makes, long ago.
                         "mark() { for made; do (umask 077; echo "
                         "\"${made##*/}\" >\"$made/.box-leftover\"); "
                         "touch -d '2 hours ago' \"$made\"; done; }\n"
                      << script;
  return shell("TMPDIR='" + place +
               "' unshare --mount --net --propagation private " + how + "'" +
               file + "'");
}

const std::string kFiles =
    "cd \"$TMPDIR\"; mkdir docs.dead docs.used docs.young matrix.1.dead "
    "lab.dead throwaway.dead mutants.dead docs.other; touch docs.other/mine;"
    "mark docs.dead docs.used docs.young matrix.* lab.* throwaway.* mutants.*;"
    "touch docs.young; touch -d \"2 hours ago\" docs.other;"
    "cd \"$OLDPWD\"; ";

}  // namespace

TEST_AS_ROOT("of mounts it removes a dead container's /proc, and no other") {
  const auto result = on_a_host(
      "root=build/rootfs; mount -t proc proc $root/proc;"
      "mount -t tmpfs mine $root/tmp;"
      "chroot $root sleep 1000 & sleep=$!;"
      "until [ \"$(readlink /proc/$sleep/root)\" = \"$(pwd -P)/$root\" ]; do "
      "sleep 0.1; done;"
      "$reset; grep -c \" $(pwd -P)/$root/\" /proc/self/mountinfo;"
      "kill $sleep; wait $sleep || :; $reset --dry-run;"
      "grep -c \" $(pwd -P)/$root/\" /proc/self/mountinfo;"
      "$reset >/dev/null; grep \" $(pwd -P)/$root/\" "
      "/proc/self/mountinfo | wc -l");
  CAPTURE(result.err);
  CHECK(result.status == 0);
  const auto lines = host::lines(result.out);
  REQUIRE(lines.size() == 4);
  CHECK(testing::nth(lines, 0) == "2");
  CHECK(testing::nth(lines, 1).starts_with("reset: umount -l "));
  CHECK(testing::nth(lines, 1).ends_with("/build/rootfs/proc"));
  CHECK(testing::nth(lines, 2) == "2");
  CHECK(testing::nth(lines, 3) == "1");
}

TEST_AS_ROOT("of cgroups it removes those of dead programs that are empty") {
  const auto result = on_a_host(
      "cd /sys/fs/cgroup; mkdir -p m/box-99999999 m/box-$$ m/box-1x m/boxer-99 "
      "m/box-08 m/box-0 m/box- script08 throwaway-08 throwaway- "
      "m/box-99999998 m/script99999999 script99999999 throwaway-99999999/box-1 "
      "throwaway-$$/box-1;"
      "echo 1 >m/box-99999998/cgroup.procs; cd \"$OLDPWD\";"
      "$reset --dry-run | sort; echo; $reset | grep stays;"
      "cd /sys/fs/cgroup; find . -mindepth 1 -type d | sed s/$$/self/ | "
      "LC_ALL=C sort");
  CAPTURE(result.err);
  CHECK(result.status == 0);
  CHECK(result.out ==
        "reset: rmdir /sys/fs/cgroup/m/box-99999998\n"
        "reset: rmdir /sys/fs/cgroup/m/box-99999999\n"
        "reset: rmdir /sys/fs/cgroup/script99999999\n"
        "reset: rmdir /sys/fs/cgroup/throwaway-99999999\n"
        "reset: rmdir /sys/fs/cgroup/throwaway-99999999/box-1\n\n"
        "reset: /sys/fs/cgroup/m/box-99999998 stays: there are processes in "
        "it\n"
        "./m\n./m/box-\n./m/box-0\n./m/box-08\n./m/box-1x\n"
        "./m/box-99999998\n./m/box-self\n./m/boxer-99\n"
        "./m/script99999999\n./script08\n./throwaway-\n./throwaway-08\n"
        "./throwaway-self\n./throwaway-self/box-1\n");
}

TEST_AS_ROOT("of rules it removes ours whose link is gone") {
  if (shell("command -v nft").status != 0) {
    MESSAGE("not tried: there is no nft");
    return;
  }
  const auto result = on_a_host(
      "for n in 0 1 2 08 \"\"; do nft \"table ip box$n { chain between { type "
      "filter "
      "hook "
      "forward priority 0; iifname \\\"box$n\\\" oifname \\\"box*\\\" drop; }; "
      "}\"; done; nft add table ip box3; nft add table ip mine;"
      "ip link add box2 type veth peer name other; $reset; nft list "
      "tables");
  CAPTURE(result.err);
  CHECK(result.status == 0);
  CHECK(result.out ==
        "reset: nft delete table ip box0\nreset: nft delete table ip box1\n"
        "table ip box2\ntable ip box08\ntable ip box\ntable ip box3\n"
        "table ip mine\n");
}

TEST_AS_ROOT("of rules it removes those of a program that was killed") {
  for (const auto& [name, removed] : std::map<std::string, std::string>{
           {"nft", "reset: nft delete table ip boxN\n"},
           {"iptables",
            "reset: iptables -w -t nat -D POSTROUTING -s A/32 ! -o boxN -j "
            "MASQUERADE\n"
            "reset: iptables -w -t filter -D FORWARD -s A/32 ! -i boxN -j "
            "DROP\n"
            "reset: iptables -w -t filter -D FORWARD ! -s A/32 -i boxN -j "
            "DROP\n"
            "reset: iptables -w -t filter -D FORWARD -i boxN -o box+ -j DROP\n"
            "reset: iptables -w -t filter -D FORWARD -o boxN -m conntrack ! "
            "--ctstate RELATED,ESTABLISHED,DNAT -j DROP\n"}}) {
    const std::string tool = name;  // A lambda captures no binding.
    CAPTURE(tool);
    if (!host::has_program(tool)) {
      MESSAGE("not tried: there is no " << tool);
      continue;
    }
    const auto result = on_a_host(
        "echo 1 >/proc/sys/net/ipv4/ip_forward; mkdir $TMPDIR/only;"
        "ln -s \"$(command -v " +
        tool + ")\" $TMPDIR/only; PATH=$TMPDIR/only " +
        host::as(Caller::kRoot, "06-netns-veth") +
        " --net nat build/rootfs /bin/sleep 1000 & box=$!;"
        "inside() { tr -d \" \" <\"/proc/$box/task/$box/children\"; };"
        "until grep -qsx sleep \"/proc/$(inside)/comm\"; do sleep 0.1; done;"
        "$reset;"
        "kill -KILL $box; until ! ip -o link | grep -q box; do sleep 0.1; done;"
        "$reset | sed 's/box[0-9][0-9]*/boxN/; s,10[0-9.]*/,A/,';"
        "(nft list ruleset; iptables-save) 2>/dev/null | grep box || :");
    CAPTURE(result.err);
    CHECK(result.status == 0);
    CHECK(result.out == removed);
  }
}

// A tool that is not asked whether it is there: it only tells what it has, and
// hears what it is told.
TEST_AS_ROOT("of iptables it removes our five rules, in every block") {
  const auto result = on_a_host(
      "mkdir $TMPDIR/bin; cat >$TMPDIR/bin/iptables <<\"END\"\n"
      "#!/bin/sh\n"
      "case \"$*\" in\n"
      "*\"nat -S\"*) echo \"-P POSTROUTING ACCEPT\n"
      "-A POSTROUTING -s 172.29.0.6/32 ! -o box1 -j MASQUERADE\n"
      "-A POSTROUTING -s 10.199.0.10/32 ! -o box2 -j MASQUERADE\n"
      "-A POSTROUTING -s 10.199.0.34/32 ! -o box08 -j MASQUERADE\n"
      "-A POSTROUTING -s 10.0.0.0/8 ! -o eth1 -j MASQUERADE\";;\n"
      "*\"filter -S\"*) echo \"-A FORWARD -s 172.29.0.6/32 ! -i box1 "
      "-j DROP\n"
      "-A FORWARD -s 10.199.0.10/32 ! -i box2 -j DROP\n"
      "-A FORWARD -s 172.29.0.6/32 ! -i eth1 -j DROP\n"
      "-A FORWARD ! -s 172.29.0.6/32 -i box1 -j DROP\n"
      "-A FORWARD ! -s 10.199.0.10/32 -i box2 -j DROP\n"
      "-A FORWARD ! -s 172.29.0.6/32 -i eth1 -j DROP\n"
      "-A FORWARD -i box1 -o box+ -j DROP\n"
      "-A FORWARD -i box1 -j DROP\n"
      "-A FORWARD -i box2 -o box+ -j DROP\n"
      "-A FORWARD -o box1 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j "
      "DROP\n"
      "-A FORWARD -o eth1 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j "
      "DROP\";;\n"
      "esac\n"
      "END\n"
      "chmod +x $TMPDIR/bin/iptables;"
      "ip link add box2 type veth peer name other;"
      "PATH=$TMPDIR/bin:$PATH $reset");
  CAPTURE(result.err);
  CHECK(result.status == 0);
  CHECK(result.out ==
        "reset: iptables -w -t nat -D POSTROUTING -s 172.29.0.6/32 ! -o box1 "
        "-j MASQUERADE\n"
        "reset: iptables -w -t filter -D FORWARD -s 172.29.0.6/32 ! -i box1 -j "
        "DROP\n"
        "reset: iptables -w -t filter -D FORWARD ! -s 172.29.0.6/32 -i box1 -j "
        "DROP\n"
        "reset: iptables -w -t filter -D FORWARD -i box1 -o box+ -j DROP\n"
        "reset: iptables -w -t filter -D FORWARD -o box1 -m conntrack ! "
        "--ctstate RELATED,ESTABLISHED,DNAT -j DROP\n");
}

TEST_AS_ROOT("of files it removes what we put there, if nobody uses it") {
  const auto result = on_a_host(
      kFiles +
      "(cd \"$TMPDIR/docs.used\" && exec sleep 1000) & sleep=$!;"
      // A program of ours that has ended, and whose parent does not ask how.
      "(build/enter --help >/dev/null & exec sleep 1000) & parent=$!;"
      "until grep -qs enter..Z /proc/[0-9]*/stat; do sleep 0.1; done;"
      "until [ \"$(readlink /proc/$sleep/exe)\" != \"$(readlink "
      "/proc/$$/exe)\" "
      "]; do sleep 0.1; done;"
      "$reset --dry-run | sed \"s,$TMPDIR/,,\" | sort; ls \"$TMPDIR\" | "
      "wc -l; $reset >/dev/null; kill $sleep $parent; ls \"$TMPDIR\"");
  CAPTURE(result.err);
  CHECK(result.status == 0);
  CHECK(result.out ==
        "reset: rm -rf --one-file-system docs.dead\n"
        "reset: rm -rf --one-file-system lab.dead\n"
        "reset: rm -rf --one-file-system matrix.1.dead\n"
        "reset: rm -rf --one-file-system mutants.dead\n"
        "reset: rm -rf --one-file-system throwaway.dead\n8\n"
        "docs.other\ndocs.used\ndocs.young\n");
}

// A name with a blank stands as \\040 in /proc/PID/mountinfo, and rm(1) goes on
// into a mount of the same file system.
TEST_AS_ROOT("what is mounted in a leftover stays, whatever its name is") {
  const auto result = on_a_host(
      "mkdir \"$TMPDIR/precious\"; touch \"$TMPDIR/precious/file\";"
      "for name in lab.plain 'lab.bl ank' 'lab.b\\040s' \"lab.tab\t\"; do "
      "mkdir -p \"$TMPDIR/$name/mnt\";"
      "mount --bind \"$TMPDIR/precious\" \"$TMPDIR/$name/mnt\";"
      "mark \"$TMPDIR/$name\"; done;"
      "$reset; ls \"$TMPDIR/precious\"; ls \"$TMPDIR\" | wc -l");
  CAPTURE(result.err);
  CHECK(result.out == "file\n5\n");
}

TEST_AS_ROOT("a name that no program of ours gives stays") {
  const auto result = on_a_host(
      kFiles +
      "name=$(printf \"docs.\\033[2J\\302\\233\\303\\244\"); "
      "mkdir \"$TMPDIR/$name\"; mark \"$TMPDIR/$name\"; rm -r $TMPDIR/*.dead "
      "$TMPDIR/docs.used; "
      "$reset --dry-run | grep docs || :; $reset >/dev/null; ls $TMPDIR | wc "
      "-l");
  CAPTURE(result.err);
  CHECK(result.out == "3\n");
}

// What somebody else's directory may have in it: all that is in ours, copied or
// planted. Each has a file that must stay.
TEST_AS_ROOT("a directory that only looks like a leftover stays") {
  const auto result = on_a_host(
      "cd \"$TMPDIR\"; mkdir lab.ours; touch lab.ours/console; mark lab.ours\n"
      "for name in lab.results lab.copy lab.open lab.group lab.link lab.hard "
      "lab.read lab.planted mutants.copy docs.mine matrix.mine; do\n"
      "mkdir $name; echo x >$name/thesis.txt; done\n"
      "touch lab.results/console lab.results/status docs.mine/bashrc "
      "matrix.mine/01-chroot\n"
      "mkdir -p mutants.copy/steps/01-chroot docs.mine/rootfs-0/bin "
      "matrix.mine/rootfs-root/bin; touch "
      "mutants.copy/steps/01-chroot/main.cpp\n"
      "cp -a lab.ours/.box-leftover lab.copy\n"
      "mark lab.open lab.group lab.hard lab.read lab.planted\n"
      "chmod 1777 lab.open; chmod 775 lab.group; chmod 644 "
      "lab.read/.box-leftover\n"
      "(umask 077; echo lab.link >note); ln -s ../note lab.link/.box-leftover\n"
      "ln lab.hard/.box-leftover kept; chown 54321 "
      "lab.planted/.box-leftover\n"
      "touch -d '2 hours ago' lab.* mutants.* docs.* matrix.*; cd \"$OLDPWD\"\n"
      "$reset | sed \"s,$TMPDIR/,,\"; ls \"$TMPDIR\"/*/thesis.txt | wc -l");
  CAPTURE(result.err);
  CHECK(result.out == "reset: rm -rf --one-file-system lab.ours\n11\n");
}

// Killed, each leaves its directory as it has made it.
TEST_AS_ROOT("what a killed program of ours has left goes") {
  const auto result = on_a_host(
      "while umount -Rl /sys/fs/cgroup 2>/dev/null; do :; done\n"
      "mount -t tmpfs none /sys/fs/cgroup\n"
      // We may lie below /tmp.
      "mount --bind . /mnt; cd /mnt; mount -t tmpfs none /tmp\n"
      "export TMPDIR=/tmp\n"
      "killed() { path=$1; shift; setsid \"$@\" >/tmp/log 2>&1 </dev/null & "
      "program=$!\n"
      "until [ -n \"$(find /tmp -path \"$path/.box-leftover\")\" ]; do "
      "[ -e /proc/$program ] || { cat /tmp/log; exit 1; }; sleep 0.05; done\n"
      "kill -KILL -$program; wait $program || :; }\n"
      "killed '/tmp/throwaway.*' scripts/host/host sleep 9\n"
      "killed '/tmp/script*' steps/08-all/container.sh build/rootfs sleep 9\n"
      "killed '/tmp/mutants.*' scripts/ci/mutants\n"
      "touch -d '2 hours ago' /tmp/*.*\n"
      "$reset | sed -n 's,.*rm -rf --one-file-system \\(/tmp/[a-z]*\\).*,"
      "\\1,p' | sort; ls -A /tmp | grep [.] || :");
  CAPTURE(result.err);
  CHECK(result.out == "/tmp/mutants\n/tmp/script\n/tmp/throwaway\n");
}

TEST_AS_ROOT("what steps/08-all/container.sh keeps by a mount goes with it") {
  const auto result = on_a_host(
      "cd $TMPDIR; work=$TMPDIR/script99999999.abcdef;"
      "marked=\"script99999999.early script99999999.a.b script08.number "
      "script.none\"; mkdir $work $marked script99999999.other;"
      "touch $work/ns; mark $work $marked; cd \"$OLDPWD\";"
      "touch -d \"2 hours ago\" $TMPDIR/script*; unshare --net=$work/ns true;"
      "$reset >/dev/null; LC_ALL=C ls \"$TMPDIR\"; grep -c \"$work\" "
      "/proc/self/mountinfo || :");
  CAPTURE(result.err);
  CHECK(result.status == 0);
  CHECK(result.out ==
        "script.none\nscript08.number\nscript99999999.other\n0\n");
}

// Of each loop behind a pipe, a tool kills the shell.
TEST_AS_ROOT("a part of it that ends early makes it fail") {
  struct Case {
    std::string leftover, tool, when;
  };
  for (const auto& one : std::vector<Case>{
           {"mount -t proc proc build/rootfs/proc", "umount", ""},
           {"mkdir /sys/fs/cgroup/box-99999999", "rmdir", ""},
           {"mkdir /sys/fs/cgroup/throwaway-99999999", "rmdir", ""},
           {"pretend nft 'echo table ip box1'", "ip", ""},
           {"pretend iptables 'echo -A FORWARD -i box1 -o box+ -j DROP'", "ip",
            ""},
           {"mkdir $TMPDIR/lab.dead; mark $TMPDIR/lab.dead", "rm", "-rf"}}) {
    CAPTURE(one.leftover);
    const auto result = on_a_host(
        "mkdir $TMPDIR/bin; tools=$PATH\n"
        "pretend() { printf '#!/bin/sh\\n%s\\n' \"$2\" >$TMPDIR/bin/$1; "
        "chmod +x $TMPDIR/bin/$1; }\n" +
        one.leftover + "\npretend " + one.tool + " 'case $1 in \"" + one.when +
        "\"*) kill -KILL $PPID ;; *) PATH='$tools' exec " + one.tool +
        " \"$@\" ;; esac'\n"
        "PATH=$TMPDIR/bin:$PATH $reset || echo status $?");
    CAPTURE(result.err);
    CHECK_MESSAGE(result.out.ends_with("status 1\n"), result.out);
    CHECK(result.err.find("reset: there may be more leftovers") !=
          std::string::npos);
  }
}

// ---- What lives -------------------------------------------------------------

namespace {

// A 02 that runs, a cgroup whose program has just made it, and a lab that
// somebody is in; and how to see that all is there.
const std::string kLife = R"sh(
mount -t proc proc build/rootfs/proc
chroot build/rootfs sleep 1000 & box=$!
mkdir -p "$TMPDIR/lab.live/disk" /sys/fs/cgroup/box-$$
mark "$TMPDIR/lab.live"
(cd "$TMPDIR/lab.live/disk" && exec sleep 1000) & lab=$!
for pid in $box $lab; do
  until [ "$(cat /proc/$pid/comm)" = sleep ]; do sleep 0.05; done
done
trap 'kill $box $lab' EXIT
mine=$$
is_whole() {
  [ -d "/sys/fs/cgroup/box-$mine" ] && [ -d "$TMPDIR/lab.live/disk" ] &&
    [ -e build/rootfs/proc/filesystems ]
}
)sh";

// What reset says as `run` starts it where that life is, as long as it harms
// none.
std::string said_beside_life(const std::string& prepare,
                             const std::string& run) {
  const auto result =
      on_a_host(kLife + prepare + "\n" + run + " 2>&1 || echo status $?\n" +
                    "is_whole && echo whole\n",
                "sh -eu ");
  CAPTURE(prepare);
  CAPTURE(run);
  CAPTURE(result.err);
  CHECK_MESSAGE(result.out.ends_with("whole\n"), result.out);
  return result.out;
}

const std::string kUser =
    "setpriv --reuid 54321 --regid 54321 --clear-groups sh ";

}  // namespace

TEST_AS_ROOT("a living container, and what a living program uses, stays") {
  CHECK(said_beside_life("", "scripts/reset --alone") == "whole\n");
  CHECK(said_beside_life("", "unshare --mount scripts/reset --alone") ==
        "whole\n");
}

TEST_AS_ROOT("where /proc does not show all that lives, nothing is removed") {
  struct Case {
    std::string prepare, run, why;
  };
  const std::string mount = "hint: mount -t proc proc /proc";
  for (const auto& [prepare, run, why] : std::vector<Case>{
           {"unshare --pid --fork mount -t proc proc /proc", "scripts/reset",
            mount},
           {"unshare --pid --fork --kill-child sh -c 'mount -t proc proc "
            "/proc; "
            "exec sleep 1000' & other=$!\n"
            "trap 'kill $box $lab; kill -KILL $other' EXIT\n"
            "while [ -e /proc/$other ]; do sleep 0.05; done",
            "scripts/reset --alone", mount},
           {"umount -l /proc", "scripts/reset", mount},
           {"umount -l /proc", "scripts/reset --alone", mount},
           {"mount -t tmpfs none /proc", "scripts/reset", mount},
           {"", "unshare --pid --fork scripts/reset --alone", mount},
           // There, a new /proc would cover that of all others with PID 1.
           {"",
            "unshare --pid --fork --mount-proc sh -c 'unshare --pid --fork "
            "scripts/reset --alone; exit $?'",
            "hint: exit, then unshare --pid --fork --mount-proc ..."},
           {"", "unshare --pid --fork --mount-proc scripts/reset",
            "scripts/reset --alone"},
           {"", "unshare --user --map-root-user scripts/reset", "hint: exit"},
           {"", "setpriv --bounding-set -sys_ptrace scripts/reset",
            "hint: run it with CAP_SYS_PTRACE"},
           {"mount -t proc -o hidepid=1 proc /proc", kUser + "scripts/reset",
            "hint: run it as root"},
           {"mount -t proc -o hidepid=2 proc /proc", kUser + "scripts/reset",
            "hint: run it as root"}}) {
    const auto said = said_beside_life(prepare, run);
    const auto lines = host::lines(said);
    REQUIRE_MESSAGE(lines.size() == 3, said);
    CHECK(testing::nth(lines, 0).starts_with(
        "reset: nothing is removed, because "));
    CHECK_MESSAGE(testing::nth(lines, 0).find(why) != std::string::npos, said);
    CHECK(testing::nth(lines, 1) == "status 1");
  }
}

TEST_AS_ROOT("the refusal of a foreign /proc names what mends it") {
  const auto said = said_beside_life(
      "unshare --pid --fork mount -t proc proc /proc\n"
      "mkdir /sys/fs/cgroup/box-99999999; eval \"$($reset 2>&1 | sed "
      "'s/.*hint: //')\"",
      "$reset");
  CHECK(said == "reset: rmdir /sys/fs/cgroup/box-99999999\nwhole\n");
}

// The number of its program is another one there than ours.
TEST_AS_ROOT("a cgroup made in another PID namespace stays while that lives") {
  const auto result = on_a_host(
      // A number that no process of ours has: they do not come so high.
      "export last=$(($(cat /proc/sys/kernel/pid_max) - 300))\n"
      "unshare --pid --fork --mount-proc --kill-child sh -c '"
      "echo $last >/proc/sys/kernel/ns_last_pid; sleep 1000 & "
      "echo $! >\"$TMPDIR/number\"; wait' & other=$!\n"
      "trap 'kill -KILL $other' EXIT\n"
      "until [ -s \"$TMPDIR/number\" ]; do sleep 0.05; done\n"
      "read -r number <\"$TMPDIR/number\"\n"
      "[ $number -gt $last ]\n"
      "mkdir /sys/fs/cgroup/box-$number /sys/fs/cgroup/box-$((number + 1))\n"
      "$reset | sed s/$((number + 1))/next/\n");
  CAPTURE(result.err);
  CHECK(result.status == 0);
  CHECK(result.out == "reset: rmdir /sys/fs/cgroup/box-next\n");
}

// Where another has its number, a program takes one that no process can have.
TEST_AS_ROOT("the second cgroup for a living number stays") {
  const auto result = on_a_host(
      "mkdir /sys/fs/cgroup/box-$(($$ + 4194304)) "
      "/sys/fs/cgroup/box-$(($$ + 2 * 4194304)); $reset");
  CHECK(result.status == 0);
  CHECK(result.out.empty());
}

TEST_AS_ROOT("who lives in a rootfs under another name keeps its /proc") {
  const auto result = on_a_host(
      "mount -t proc proc build/rootfs/proc\n"
      "unshare --mount sh -c 'mount -t tmpfs none /mnt && mkdir /mnt/here && "
      "mount --bind build/rootfs /mnt/here && cd /mnt/here && "
      "exec chroot . sleep 1000' & other=$!\n"
      "trap 'kill -KILL $other' EXIT\n"
      "until [ \"$(cat /proc/$other/comm)\" = sleep ]; do sleep 0.05; done\n"
      "$reset");
  CAPTURE(result.err);
  CHECK(result.status == 0);
  CHECK(result.out.empty());
}

TEST_AS_ROOT("a directory in use is seen, whatever characters are above it") {
  const auto result = on_a_host(
      "export TMPDIR=\"$TMPDIR/a [b]* \\\\c\"\n"
      "mkdir -p \"$TMPDIR/lab.live/disk\"\n"
      "cp -r \"$TMPDIR/lab.live\" \"$TMPDIR/lab.dead\"\n"
      "mark \"$TMPDIR\"/lab.*\n"
      "(cd \"$TMPDIR/lab.live/disk\" && unset OLDPWD PWD && "
      "exec env -i sleep 1000) & lab=$!\n"
      "trap 'kill $lab' EXIT\n"
      "until [ \"$(cat /proc/$lab/comm)\" = sleep ]; do sleep 0.05; done\n"
      "$reset | wc -l; ls \"$TMPDIR\"");
  CAPTURE(result.err);
  CHECK(result.out == "1\nlab.live\n");
}

// Its lock says so even where its process is out of sight.
TEST_AS_ROOT("what a program of ours holds stays, wherever that runs") {
  const auto result = on_a_host(
      "mkdir -p \"$TMPDIR/lab.held\"\n"
      "mark \"$TMPDIR/lab.held\"\n"
      "flock -s \"$TMPDIR/lab.held\" sleep 1000 & holder=$!\n"
      "until [ -n \"$(cat /proc/$holder/task/$holder/children)\" ]; do "
      "sleep 0.05; done\n"
      "child=$(cat /proc/$holder/task/$holder/children)\n"
      "trap 'kill $child' EXIT\n"
      "unshare --pid --fork --mount-proc scripts/reset --alone; ls "
      "\"$TMPDIR\"");
  CAPTURE(result.err);
  CHECK(result.out == "lab.held\n");
}

TEST_CASE("each program that reset tidies up after marks and holds its own") {
  CHECK(shell("grep -l 'flock -s 9' scripts/lab/boot scripts/ci/mutants; "
              "grep -rlI 'fcntl.flock(.*LOCK_SH)' scripts | sort; "
              "grep -rlI 'with leftovers.held_directory' scripts | sort")
            .out ==
        "scripts/lab/boot\nscripts/ci/mutants\nscripts/host/leftovers.py\n"
        "scripts/host/host\nscripts/host/leftovers_test.py\n"
        "scripts/matrix/run.py\nscripts/texts/sandbox.py\n");
  CHECK(
      shell(
          "grep -rlI --exclude='*.md' '[.]box-leftover' scripts steps/08-all | "
          "LC_ALL=C sort")
          .out ==
      "scripts/ci/mutants\nscripts/host/leftovers.py\n"
      "scripts/host/leftovers_test.py\nscripts/lab/boot\n"
      "scripts/reset\nsteps/08-all/container.sh\n");
}

TEST_SUITE_END();
