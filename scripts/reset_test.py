#!/usr/bin/python3
"""Tests of scripts/reset: it removes what is ours and dead, and nothing that only has a name like
ours. Ends with a line that sums all.

  needs   root, else most are skipped; make build rootfs
"""

import os
import re
import shlex
import shutil
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from host import testing

# What each script of a test begins with. The path of the project might have a blank.
START = r'''
mount -t tmpfs none /sys/fs/cgroup
mount --rbind . /mnt
cd /mnt
# These processes are all that there are.
reset='scripts/reset --alone'
# As a program of ours marks what it makes, long ago.
mark() {
  for made; do
    (umask 077; echo "${made##*/}" >"$made/.box-leftover")
    touch -d '2 hours ago' "$made"
  done
}
# A tool that comes before the one of that name.
pretend() {
  mkdir -p "$TMPDIR/bin"
  printf '#!/bin/sh\n%s\n' "$2" >"$TMPDIR/bin/$1"
  chmod +x "$TMPDIR/bin/$1"
}
until_it_sleeps() { until [ "$(cat "/proc/$1/comm")" = sleep ]; do sleep 0.05; done; }
'''
FILES = r'''
cd "$TMPDIR"
mkdir docs.dead docs.used docs.young lab.dead throwaway.dead mutants.dead docs.other
touch docs.other/mine
mark docs.dead docs.used docs.young lab.* throwaway.* mutants.*
touch docs.young
touch -d '2 hours ago' docs.other
cd "$OLDPWD"
'''
# A 02 that runs, a cgroup whose program has just made it, and a lab that somebody is in; and how
# to see that all is there.
LIFE = r'''
mount -t proc proc build/rootfs/proc
chroot build/rootfs sleep 1000 & box=$!
mkdir -p "$TMPDIR/lab.live/disk" /sys/fs/cgroup/box-$$
mark "$TMPDIR/lab.live"
(cd "$TMPDIR/lab.live/disk" && exec sleep 1000) & lab=$!
until_it_sleeps $box
until_it_sleeps $lab
mine=$$
is_whole() {
  [ -d "/sys/fs/cgroup/box-$mine" ] && [ -d "$TMPDIR/lab.live/disk" ] &&
    [ -e build/rootfs/proc/filesystems ]
}
'''
WITHOUT_PROC = 'while umount -l /proc 2>/dev/null; do :; done'  # The machine's lies below ours.
NO_PROC = '/proc is not mounted; hint: mount -t proc proc /proc'
FOREIGN_PROC = '/proc shows another PID namespace; hint: mount -t proc proc /proc'
AS_USER = testing.AS_USER + 'sh '


def needs(tool):
    return unittest.skipUnless(shutil.which(tool), f'there is no {tool}')


def machine_is_whole():
    """Whether no process is outside the PID namespace in which the tests were started. The kernel
    numbers those that it makes later from 0xf0000000 on: see PROC_DYNAMIC_FIRST."""
    return int(re.search(r'\d+', os.environ[testing.ON_A_HOST])[0]) < 0xf0000000


class Reset(testing.OnAHost):
    def run_among_own(self, script):
        """Runs a script with processes, mounts, cgroups and links that end with it, in the
        project. $TMPDIR is empty. The mounts are not those of PID 1, as on any machine."""
        # A number of one digit would be a part of many a name.
        return testing.shell(
            f"TMPDIR={self.scratch()} unshare --mount --pid --fork --mount-proc sh -c '"
            'echo 5000 >/proc/sys/kernel/ns_last_pid; unshare --mount --net sh -euc "$1"; exit $?'
            f"' sh {shlex.quote(START + script)}")

    def prints(self, expected, script):
        result = self.run_among_own(script)
        self.assertEqual((result.status, result.out), (0, expected), result.err)


@testing.needs_root
class Dead(Reset):
    def test_reset_unmounts_the_proc_of_a_dead_container_and_no_other_mount(self):
        self.prints('''\
2
reset: umount -l /media/a b/build/rootfs/proc
2
1
''', r'''
mount -t tmpfs none /media
mkdir '/media/a b'
mount --rbind . '/media/a b'
cd '/media/a b'
root=build/rootfs
mounts() { grep -F ' /media/a\040b/build/rootfs/' /proc/self/mountinfo | wc -l; }
mount -t proc proc $root/proc
mount -t tmpfs mine $root/tmp
chroot $root sleep 1000 & sleep=$!
until_it_sleeps $sleep
$reset
mounts
kill $sleep
wait $sleep || :
$reset --dry-run
mounts
$reset >/dev/null
mounts
''')

    def test_reset_leaves_a_proc_in_which_a_process_works(self):
        self.prints('''\
there
reset: umount -l build/rootfs/proc
''', r'''
mount -t proc proc build/rootfs/proc
(cd build/rootfs/proc/sys/kernel && exec sleep 1000) & sleep=$!
until_it_sleeps $sleep
$reset
[ ! -e build/rootfs/proc/version ] || echo there
kill $sleep
wait $sleep || :
$reset | sed 's,/[^ ]*/build/,build/,'
''')

    def test_reset_removes_the_empty_cgroups_of_dead_programs(self):
        self.prints('''\
reset: /sys/fs/cgroup/m/box-99999998 stays: there are processes in it
reset: rmdir /sys/fs/cgroup/m/box-500
reset: rmdir /sys/fs/cgroup/m/box-99999999
reset: rmdir /sys/fs/cgroup/script99999999
reset: rmdir /sys/fs/cgroup/throwaway-99999999
reset: rmdir /sys/fs/cgroup/throwaway-99999999/box-1

reset: /sys/fs/cgroup/m/box-99999998 stays: there are processes in it
0
./m
./m/box-
./m/box-0
./m/box-08
./m/box-1x
./m/box-99999998
./m/box-self
./m/boxer-99
./m/script99999999
./script08
./throwaway-
./throwaway-08
./throwaway-self
./throwaway-self/box-1
''', r'''
cd /sys/fs/cgroup
mkdir -p m/box-99999999 m/box-500 m/box-$$ m/box-1x m/boxer-99 m/box-08 m/box-0 m/box- script08 \
  throwaway-08 throwaway- m/box-99999998 m/script99999999 script99999999 \
  throwaway-99999999/box-1 throwaway-$$/box-1
echo 1 >m/box-99999998/cgroup.procs
cd "$OLDPWD"
$reset --dry-run | sort
echo
$reset | grep box-99999998
$reset >/dev/null; echo $?
cd /sys/fs/cgroup
find . -mindepth 1 -type d | sed s/$$/self/ | LC_ALL=C sort
''')

    @needs('nft')
    def test_reset_removes_our_nft_rules_whose_link_is_gone(self):
        self.prints('''\
reset: nft delete table ip box0
reset: nft delete table ip box1
table ip box2
table ip box08
table ip box
table ip box3
table ip mine
''', r'''
for n in 0 1 2 08 ''; do
  nft "table ip box$n { chain between { type filter hook forward priority 0;
    iifname \"box$n\" oifname \"box*\" drop; }; }"
done
nft add table ip box3
nft add table ip mine
ip link add box2 type veth peer name other
$reset
nft list tables
''')

    @needs('nft')
    def test_what_reset_finds_does_not_depend_on_the_path_of_the_caller(self):
        self.prints('reset: nft delete table ip box1\n' * 3, r'''
nft "table ip box1 { chain between { type filter hook forward priority 0;
  iifname \"box1\" oifname \"box*\" drop; }; }"
for path in /no/such /usr/bin:/bin ''; do
  (PATH=$path; export PATH; /bin/sh $reset --dry-run)
done
''')

    def rules_go(self, tool, expected):
        self.prints(expected, f'tool={tool}' + r'''
echo 1 >/proc/sys/net/ipv4/ip_forward
mkdir $TMPDIR/only
ln -s "$(command -v $tool)" $TMPDIR/only
PATH=$TMPDIR/only build/06-netns-veth --net nat build/rootfs /bin/sleep 1000 & box=$!
inside() { tr -d ' ' <"/proc/$box/task/$box/children"; }
until grep -qsx sleep "/proc/$(inside)/comm"; do sleep 0.1; done
$reset
kill -KILL $box
until ! ip -o link | grep -q box; do sleep 0.1; done
$reset | sed 's/box[0-9][0-9]*/boxN/; s,10[0-9.]*/,A/,'
(nft list ruleset; iptables-save) 2>/dev/null | grep box || :
''')

    @needs('nft')
    def test_reset_removes_the_nft_rules_of_a_killed_program(self):
        self.rules_go('nft', 'reset: nft delete table ip boxN\n')

    @needs('iptables')
    def test_reset_removes_the_iptables_rules_of_a_killed_program(self):
        self.rules_go('iptables', '''\
reset: iptables -w -t nat -D POSTROUTING -s A/32 ! -o boxN -j MASQUERADE
reset: iptables -w -t filter -D FORWARD -s A/32 ! -i boxN -j DROP
reset: iptables -w -t filter -D FORWARD ! -s A/32 -i boxN -j DROP
reset: iptables -w -t filter -D FORWARD -i boxN -o box+ -j DROP
reset: iptables -w -t filter -D FORWARD -o boxN -m conntrack ! --ctstate \
RELATED,ESTABLISHED,DNAT -j DROP
''')

    def test_reset_removes_our_five_iptables_rules_of_each_network(self):
        # Not asked whether it is there: it only tells what it has, and hears what it is told.
        self.prints('''\
reset: iptables -w -t nat -D POSTROUTING -s 172.29.0.6/32 ! -o box1 -j MASQUERADE
reset: iptables -w -t filter -D FORWARD -s 172.29.0.6/32 ! -i box1 -j DROP
reset: iptables -w -t filter -D FORWARD ! -s 172.29.0.6/32 -i box1 -j DROP
reset: iptables -w -t filter -D FORWARD -i box1 -o box+ -j DROP
reset: iptables -w -t filter -D FORWARD -o box1 -m conntrack ! --ctstate \
RELATED,ESTABLISHED,DNAT -j DROP
''', r'''
pretend iptables 'case "$*" in
*"nat -S"*) echo "-P POSTROUTING ACCEPT
-A POSTROUTING -s 172.29.0.6/32 ! -o box1 -j MASQUERADE
-A POSTROUTING -s 10.199.0.10/32 ! -o box2 -j MASQUERADE
-A POSTROUTING -s 10.199.0.34/32 ! -o box08 -j MASQUERADE
-A POSTROUTING -s 10.0.0.0/8 ! -o eth1 -j MASQUERADE" ;;
*"filter -S"*) echo "-A FORWARD -s 172.29.0.6/32 ! -i box1 -j DROP
-A FORWARD -s 10.199.0.10/32 ! -i box2 -j DROP
-A FORWARD -s 172.29.0.6/32 ! -i eth1 -j DROP
-A FORWARD ! -s 172.29.0.6/32 -i box1 -j DROP
-A FORWARD ! -s 10.199.0.10/32 -i box2 -j DROP
-A FORWARD ! -s 172.29.0.6/32 -i eth1 -j DROP
-A FORWARD -i box1 -o box+ -j DROP
-A FORWARD -i box1 -j DROP
-A FORWARD -i box2 -o box+ -j DROP
-A FORWARD -o box1 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A FORWARD -o eth1 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP" ;;
esac'
ip link add box2 type veth peer name other
PATH=$TMPDIR/bin:$PATH $reset
''')

    def test_reset_removes_our_directories_that_no_process_uses(self):
        self.prints('''\
reset: rm -rf --one-file-system docs.dead
reset: rm -rf --one-file-system lab.dead
reset: rm -rf --one-file-system mutants.dead
reset: rm -rf --one-file-system throwaway.dead
7
docs.other
docs.used
docs.young
''', FILES + r'''
(cd "$TMPDIR/docs.used" && exec sleep 1000) & sleep=$!
# A program of ours that has ended, and whose parent does not ask how.
(build/enter --help >/dev/null & exec sleep 1000) &
until grep -qs enter..Z /proc/[0-9]*/stat; do sleep 0.1; done
until_it_sleeps $sleep
$reset --dry-run | sed "s,$TMPDIR/,," | sort
ls "$TMPDIR" | wc -l
$reset >/dev/null
ls "$TMPDIR"
''')

    def test_a_leftover_with_a_mount_in_it_stays_whatever_its_name_is(self):
        # A name with a blank stands as \040 in /proc/PID/mountinfo, and rm(1) goes on into a mount
        # of the same file system.
        self.prints('file\n5\n', r'''
mkdir "$TMPDIR/precious"
touch "$TMPDIR/precious/file"
for name in lab.plain 'lab.bl ank' 'lab.b\040s' "$(printf 'lab.tab\t')"; do
  mkdir -p "$TMPDIR/$name/mnt"
  mount --bind "$TMPDIR/precious" "$TMPDIR/$name/mnt"
  mark "$TMPDIR/$name"
done
$reset
ls "$TMPDIR/precious"
ls "$TMPDIR" | wc -l
''')

    def test_a_directory_with_a_name_that_is_not_ours_stays(self):
        self.prints('3\n', FILES + r'''
name=$(printf 'docs.\033[2J\302\233\303\244')
mkdir "$TMPDIR/$name"
mark "$TMPDIR/$name"
rm -r $TMPDIR/*.dead $TMPDIR/docs.used
$reset --dry-run | grep docs || :
$reset >/dev/null
ls $TMPDIR | wc -l
''')

    def test_a_directory_that_only_looks_like_a_leftover_stays(self):
        # What somebody else's may have in it: all that is in ours, copied or planted. Each has a
        # file that must stay.
        self.prints('reset: rm -rf --one-file-system lab.ours\n10\n', r'''
cd "$TMPDIR"
mkdir lab.ours
touch lab.ours/console
mark lab.ours
for name in lab.results lab.copy lab.open lab.group lab.link lab.hard lab.read lab.planted \
  mutants.copy docs.mine; do
  mkdir $name
  echo x >$name/thesis.txt
done
touch lab.results/console lab.results/status docs.mine/bashrc
mkdir -p mutants.copy/steps/01-chroot docs.mine/rootfs-0/bin
touch mutants.copy/steps/01-chroot/main.cpp
cp -a lab.ours/.box-leftover lab.copy
mark lab.open lab.group lab.hard lab.read lab.planted
chmod 1757 lab.open
chmod 775 lab.group
chmod 644 lab.read/.box-leftover
(umask 077; echo lab.link >note)
ln -s ../note lab.link/.box-leftover
ln lab.hard/.box-leftover kept
chown 54321 lab.planted/.box-leftover
touch -d '2 hours ago' lab.* mutants.* docs.*
cd "$OLDPWD"
$reset | sed "s,$TMPDIR/,,"
ls "$TMPDIR"/*/thesis.txt | wc -l
''')

    def test_the_directory_of_a_killed_program_of_ours_is_removed(self):
        # Killed, each leaves its directory as it has made it.
        self.prints('/tmp/mutants\n/tmp/script\n/tmp/throwaway\n', r'''
while umount -Rl /sys/fs/cgroup 2>/dev/null; do :; done
mount -t tmpfs none /sys/fs/cgroup
mount -t tmpfs none /tmp
export TMPDIR=/tmp
killed() {
  path=$1
  shift
  setsid "$@" >/tmp/log 2>&1 </dev/null & program=$!
  until [ -n "$(find /tmp -path "$path/.box-leftover")" ]; do
    [ -e /proc/$program ] || { cat /tmp/log; exit 1; }
    sleep 0.05
  done
  kill -KILL -$program
  wait $program || :
}
killed '/tmp/throwaway.*' scripts/host/host --no-limits sleep 9
killed '/tmp/script*' steps/08-all/container.sh build/rootfs sleep 9
killed '/tmp/mutants.*' scripts/ci/mutants
touch -d '2 hours ago' /tmp/*.*
$reset | sed -n 's,.*rm -rf --one-file-system \(/tmp/[a-z]*\).*,\1,p' | sort
ls -A /tmp | grep [.] || :
''')

    def test_the_network_that_container_sh_keeps_by_a_mount_is_removed_with_its_directory(self):
        self.prints('script.none\nscript08.number\nscript99999999.other\n0\n', r'''
cd $TMPDIR
work=$TMPDIR/script99999999.abcdef
marked='script99999999.early script99999999.a.b script08.number script.none'
mkdir $work $marked script99999999.other
touch $work/ns
mark $work $marked
cd "$OLDPWD"
touch -d '2 hours ago' $TMPDIR/script*
unshare --net=$work/ns true
$reset >/dev/null
LC_ALL=C ls "$TMPDIR"
grep -c "$work" /proc/self/mountinfo || :
''')

    def test_reset_fails_if_a_part_of_it_ends_early(self):
        # Of each loop behind a pipe, a tool kills the shell.
        for leftover, tool, when in (
                ('mount -t proc proc build/rootfs/proc', 'umount', ''),
                ('mkdir /sys/fs/cgroup/box-99999999', 'rmdir', ''),
                ('mkdir /sys/fs/cgroup/throwaway-99999999', 'rmdir', ''),
                ("pretend nft 'echo table ip box1'", 'ip', ''),
                ("pretend iptables 'echo -A FORWARD -i box1 -o box+ -j DROP'", 'ip', ''),
                ('mkdir $TMPDIR/lab.dead; mark $TMPDIR/lab.dead', 'rm', '-rf')):
            with self.subTest(leftover):
                result = self.run_among_own(f'''
{leftover}
pretend {tool} 'case $1 in
"{when}"*) kill -KILL $PPID ;;
*) PATH='$PATH' exec {tool} "$@" ;;
esac'
PATH=$TMPDIR/bin:$PATH $reset || echo status $?
''')
                self.assertTrue(result.out.endswith('status 1\n'), result)
                self.assertIn('reset: there may be more leftovers', result.err)


@testing.needs_root
class Alive(Reset):
    def said_beside_life(self, run, prepare=''):
        """What reset says as `run` starts it where LIFE is, as long as it harms none."""
        result = self.run_among_own(f'''
{LIFE}
{prepare}
{run} 2>&1 || echo status $?
is_whole && echo whole
''')
        self.assertTrue(result.out.endswith('whole\n'), result)
        return result.out

    def test_a_living_container_and_the_directory_of_a_living_program_stay(self):
        for before in ('', 'unshare --mount '):
            with self.subTest(before):
                self.assertEqual(self.said_beside_life(before + 'scripts/reset --alone'), 'whole\n')

    def test_nothing_is_removed_where_proc_does_not_show_all_processes(self):
        for prepare, run, why in (
                ('unshare --pid --fork mount -t proc proc /proc', 'scripts/reset', FOREIGN_PROC),
                ("unshare --pid --fork sh -c 'mount -t proc proc /proc; exec sleep 1000' & "
                 'while [ -e /proc/$! ]; do sleep 0.05; done',
                 'scripts/reset --alone', FOREIGN_PROC),
                (WITHOUT_PROC, 'scripts/reset', NO_PROC),
                (WITHOUT_PROC, 'scripts/reset --alone', NO_PROC),
                ('mount -t tmpfs none /proc', 'scripts/reset', NO_PROC),
                ('', 'unshare --pid --fork scripts/reset --alone', FOREIGN_PROC),
                # There, a new /proc would cover that of all others with PID 1.
                ('', "unshare --pid --fork --mount-proc sh -c '"
                 "unshare --pid --fork scripts/reset --alone; exit $?'",
                 'hint: exit, then unshare --pid --fork --mount-proc ...'),
                ('', 'unshare --pid --fork --mount-proc scripts/reset', 'scripts/reset --alone'),
                # As among the machine's processes, where we are not.
                (f"""pretend readlink 'case $1 in
/proc/self/ns/pid) echo "${testing.ON_A_HOST}" ;;
*) PATH='$PATH' exec readlink "$@" ;;
esac'""", 'PATH=$TMPDIR/bin:$PATH unshare --user --map-root-user scripts/reset',
                 'hint: exit' if machine_is_whole() else 'scripts/reset --alone'),
                ('', 'setpriv --bounding-set -sys_ptrace scripts/reset',
                 'hint: run it with CAP_SYS_PTRACE'),
                ('mount -t proc -o hidepid=1 proc /proc', AS_USER + 'scripts/reset',
                 'hint: run it as root'),
                ('mount -t proc -o hidepid=2 proc /proc', AS_USER + 'scripts/reset',
                 'hint: run it as root')):
            with self.subTest(prepare + run):
                said = self.said_beside_life(run, prepare).splitlines()
                self.assertEqual(said[1:], ['status 1', 'whole'])
                self.assertTrue(said[0].startswith('reset: nothing is removed, because '), said)
                self.assertIn(why, said[0])

    def test_if_proc_shows_another_pid_namespace_the_hint_mends_it(self):
        self.assertEqual(
            self.said_beside_life('$reset', r'''
unshare --pid --fork mount -t proc proc /proc
mkdir /sys/fs/cgroup/box-99999999
eval "$($reset 2>&1 | sed 's/.*hint: //')"
'''), 'reset: rmdir /sys/fs/cgroup/box-99999999\nwhole\n')

    def test_a_cgroup_made_in_another_pid_namespace_stays_while_its_process_lives(self):
        # The number of its program is another one there than ours, and one that no process of
        # ours has: they do not come so high.
        self.prints('reset: rmdir /sys/fs/cgroup/box-next\n', r'''
export last=$(($(cat /proc/sys/kernel/pid_max) - 300))
unshare --pid --fork --mount-proc sh -c '
  echo $last >/proc/sys/kernel/ns_last_pid
  sleep 1000 &
  echo $! >"$TMPDIR/number"
  wait' &
until [ -s "$TMPDIR/number" ]; do sleep 0.05; done
read -r number <"$TMPDIR/number"
[ $number -gt $last ]
mkdir /sys/fs/cgroup/box-$number /sys/fs/cgroup/box-$((number + 1))
$reset | sed s/$((number + 1))/next/
''')

    def test_the_second_cgroup_for_a_living_number_stays(self):
        # Where another has its number, a program takes one that no process can have.
        self.prints('', r'''
mkdir /sys/fs/cgroup/box-$(($$ + 4194304)) /sys/fs/cgroup/box-$(($$ + 2 * 4194304))
$reset
''')

    def test_a_process_in_a_rootfs_with_another_name_keeps_its_proc(self):
        self.prints('', r'''
mount -t proc proc build/rootfs/proc
unshare --mount sh -c 'mount -t tmpfs none /media && mkdir /media/here &&
  mount --bind build/rootfs /media/here && cd /media/here && exec chroot . sleep 1000' & other=$!
until_it_sleeps $other
$reset
''')

    def test_a_directory_in_use_is_recognized_whatever_characters_its_path_has(self):
        self.prints('1\nlab.live\n', r'''
export TMPDIR="$TMPDIR/a [b]* \\c"
mkdir -p "$TMPDIR/lab.live/disk"
cp -r "$TMPDIR/lab.live" "$TMPDIR/lab.dead"
mark "$TMPDIR"/lab.*
(cd "$TMPDIR/lab.live/disk" && unset OLDPWD PWD && exec env -i sleep 1000) & lab=$!
until_it_sleeps $lab
$reset | wc -l
ls "$TMPDIR"
''')

    def test_a_directory_that_a_program_of_ours_holds_stays_wherever_the_program_runs(self):
        # Its lock says so even where its process is out of sight.
        self.prints('lab.held\n', r'''
mkdir -p "$TMPDIR/lab.held"
mark "$TMPDIR/lab.held"
flock -s "$TMPDIR/lab.held" sleep 1000 & holder=$!
until [ -n "$(cat /proc/$holder/task/$holder/children)" ]; do sleep 0.05; done
unshare --pid --fork --mount-proc scripts/reset --alone
ls "$TMPDIR"
''')


class Marks(unittest.TestCase):
    def test_each_program_that_reset_tidies_up_after_marks_and_holds_its_directory(self):
        find = "grep -rlI --exclude='*.md' --exclude='*_test.py' "
        for command, expected in (
                ("grep -l 'flock -s 9' scripts/lab/boot scripts/ci/mutants", """\
scripts/lab/boot
scripts/ci/mutants
"""),
                (find + "'fcntl.flock(.*LOCK_SH)' scripts", 'scripts/host/leftovers.py\n'),
                (find + "'with leftovers.held_directory' scripts | LC_ALL=C sort", """\
scripts/host/host
scripts/texts/sandbox.py
"""),
                (find + "'[.]box-leftover' scripts steps/08-all | LC_ALL=C sort", """\
scripts/ci/mutants
scripts/host/leftovers.py
scripts/lab/boot
scripts/reset
steps/08-all/container.sh
""")):
            with self.subTest(command):
                self.assertEqual(testing.shell(command).out, expected)


if __name__ == '__main__':
    testing.main()
