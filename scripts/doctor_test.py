#!/usr/bin/python3
"""Tests of scripts/doctor on hosts that lack something: it has to name the cause, and the step that
fails has to name the same. Ends with a line that sums all.

  needs   root, else half are skipped; make build test-programs rootfs
"""

import ctypes
import errno
import functools
import os
import platform
import pty
import re
import shlex
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from host import namespaces, testing
from host.namespaces import CLONE_NEWNS, MS_PRIVATE

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
CALLS = {'x86_64': {'mount': 165, 'unshare': 272, 'personality': 135, 'clone3': 435},
         'aarch64': {'mount': 40, 'unshare': 97, 'personality': 92, 'clone3': 435}}
STEPS = ['01-chroot', '02-pidns', '03-userns', '04-uts', '05-mountns', '06-netns-veth',
         '07-cgroup-memory', '08-all']
BUILD = testing.TOP + '/build'
FOREIGN_PROC = '/proc shows another PID namespace'
BY_FILTER = 'forbidden by a seccomp filter on this shell'


def forbid(number, error):
    """This process, and any that it starts, gets an error from a system call."""
    code = b''.join(struct.pack('HBBI', *line) for line in (
        (0x20, 0, 0, 0),  # Load the number of the call: see linux/filter.h.
        (0x15, 0, 1, number),  # If it is another one, skip a line.
        (0x06, 0, 0, 0x50000 | error),  # SECCOMP_RET_ERRNO
        (0x06, 0, 0, 0x7fff0000)))  # SECCOMP_RET_ALLOW
    lines = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack('HP', 4, ctypes.addressof(lines)), 16)
    namespaces.call('prctl', PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    namespaces.call('prctl', PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), program)


def line_of(text, start):
    return next((line for line in text.splitlines() if line.startswith(start)), '')


class Doctor(testing.OnAHost):
    """What runs the doctor, and the steps, as a caller: `who` is how a command begins for that."""
    who, is_root = '', testing.IS_ROOT

    def setUp(self):
        self.build = BUILD
        self.prepared = []  # What each process that a test starts does first.
        self.tree = self.scratch()  # That everybody may enter.
        self.must(f'cp -r scripts {self.tree}; mkdir {self.tree}/steps; cd {self.tree}/steps; '
                  f'mkdir {" ".join(STEPS)}')

    def before(self):
        for prepare in self.prepared:
            prepare()

    def shell(self, line):
        return testing.shell(line, self.before)

    def own_mounts(self):
        """What is mounted from now on is only so for what the test starts."""
        def enter(mounts):
            namespaces.call('setns', mounts, CLONE_NEWNS)
            os.chdir(testing.TOP)
        those = os.open('/proc/self/ns/mnt', os.O_RDONLY)
        namespaces.unshare(CLONE_NEWNS)
        namespaces.spread_mounts(MS_PRIVATE)
        ours = os.open('/proc/self/ns/mnt', os.O_RDONLY)
        enter(those)
        os.close(those)
        self.addCleanup(os.close, ours)
        self.prepared.append(functools.partial(enter, ours))

    def forbid(self, name, error):
        self.prepared.append(functools.partial(forbid, CALLS[platform.machine()][name], error))

    def pretend(self, name, text):
        """A setting of PATH with which a script comes before the program of that name."""
        path = f'{self.tree}/bin/{name}'
        testing.write(path, '#!/bin/sh\n' + text)
        os.chmod(path, 0o755)
        return f'PATH={self.tree}/bin:$PATH '

    def doctor(self, build=None, who=None):
        return (f'{self.who if who is None else who}env BUILD='
                f"{shlex.quote(self.build if build is None else build)} "
                f'sh {self.tree}/scripts/doctor ')

    def told(self, before='', after=''):
        return self.shell(before + self.doctor() + after)

    def step(self, name, options=''):
        build = shlex.quote(self.build)
        return f'{self.who}{build}/{name} {options} {build}/rootfs '

    def works(self, name):
        return self.shell(self.step(name) + 'true').status == 0

    def enter(self, pid):
        return f'{self.who}{shlex.quote(self.build)}/enter {pid} true'

    def fails(self, name, why, wrapper=''):
        """On the host as it is now, a step fails for this cause, and the doctor says so. Returns
        the command that mends it."""
        ran = self.shell(wrapper + self.step(name) + 'true')
        self.assertEqual(ran.status, 125)
        self.assertIn(f'; hint: {why}: ', ran.err)
        mend = ran.err.partition(f'; hint: {why}: ')[2].partition('\n')[0]
        told = self.told(wrapper)
        self.assertEqual(told.status, 1)
        self.assertIn('not here', line_of(told.out, name), told)
        self.assertIn(f': {why}\n    {mend}\n', told.out)
        return mend

    def as_root(self, command):
        """What the caller is told to do, as root does it."""
        before = '' if self.is_root else \
            'sudo ' if testing.shell('command -v sudo').status == 0 else 'as root: '
        self.assertTrue(command.startswith(before), command)
        return command[len(before):]

    def lift(self, limit, value):
        """What lifts a limit that is a hard one: nothing, for a user, and for root in some
        containers."""
        command = f'ulimit {limit} {value}'
        may = testing.shell(f'ulimit {limit} 12; {command}').status == 0
        return command if self.is_root and may else 'exit'

    def with_none_of(self, kind):
        """How a command begins that runs in a user namespace which has all ids, and in which it may
        make no namespace of that kind."""
        script = self.scratch() + '/run'
        testing.write(script, r'''
unshare --user sh -c '
  until grep -q . /proc/self/uid_map; do sleep 0.1; done
  exec sh -c "echo 0 >/proc/sys/user/max_KIND_namespaces; \"\$@\"; exit" sh "$@"
' sh "$@" <&0 &
until echo 0 0 4294967295 >/proc/$!/uid_map; do sleep 0.1; done 2>/dev/null
echo 0 0 4294967295 >/proc/$!/gid_map
wait $!
'''.replace('KIND', kind))
        return f'sh {script} '

    def copy_of_all(self):
        """A copy of the project in which nothing is built."""
        tree = self.scratch()
        self.must(f'cp -r Makefile README.md common rootfs scripts steps {tree}')
        return tree


class Both:
    """What holds for root and for somebody else."""

    def test_on_this_host_each_verdict_is_what_the_step_does(self):
        told = self.told()
        self.assertEqual(told.err, '')
        are_ready = []
        self.assertGreaterEqual(len(told.out.splitlines()), 8)
        for name, line in zip(STEPS, told.out.splitlines()):
            self.assertTrue(line.startswith(name), line)
            are_ready.append(line[18:].startswith('ready'))
            self.assertEqual(line[18:] == 'ready' or line[18:].startswith('ready ('),
                             self.works(name), told.out)
        self.assertEqual(told.status, 0 if all(are_ready) else 1)

    @testing.asks_no_kernel
    def test_a_word_that_it_does_not_know_is_an_error(self):
        told = self.told(after='--colour')
        self.assertEqual((told.status, told.out), (2, ''))
        self.assertTrue(told.err.startswith('usage   scripts/doctor'), told.err)

    @testing.asks_no_kernel
    def test_without_a_compiler_no_step_works_and_a_command_brings_one(self):
        told = self.shell('CXX=no-such-g++ ' + self.doctor(build=''))
        self.assertEqual(told.status, 1)
        self.assertTrue(line_of(told.out, '08-all').endswith('not here'), told)
        self.assertIn('08: missing: compiler no-such-g++ -std=c++20', told.out)
        self.assertRegex(told.out.splitlines()[-1], ' install | -S | add ')

    @testing.asks_no_kernel
    def test_too_few_descriptors_are_named_as_the_cause(self):
        for most in (12, 20, 63):
            with self.subTest(most):
                told = self.told(f'ulimit -n {most}; ')
                self.assertEqual((told.status, told.err), (1, ''))
                self.assertTrue(told.out.endswith(
                    f' 08: a process can have only {most} open descriptors\n    '
                    f'{self.lift("-n", "1024")}\n'), told.out)
        soft = self.told('ulimit -S -n 12; ')
        self.assertTrue(soft.out.endswith('\n    ulimit -n 1024\n'), soft.out)

    @testing.asks_no_kernel
    def test_a_descriptor_that_is_closed_changes_no_verdict(self):
        whole = self.told()
        for closed in ('2>&-', '<&-', '<&- 2>&-'):
            with self.subTest(closed):
                told = self.told(after=closed)
                self.assertEqual((told.out, told.status), (whole.out, whole.status))
        self.assertEqual(self.told(after='>&-').status, 1)

    @testing.asks_no_kernel
    def test_no_verdict_depends_on_the_path_of_the_caller(self):
        whole = self.told()
        for path in ('-u PATH', 'PATH=', 'PATH=/no/such'):
            with self.subTest(path):
                told = self.shell(f'{self.who}/usr/bin/env {path} BUILD={shlex.quote(self.build)} '
                                  f'/bin/sh {self.tree}/scripts/doctor')
                self.assertEqual(told, whole)

    @testing.needs_root
    @testing.asks_no_kernel
    def test_programs_on_a_mount_with_noexec_and_what_mends_it(self):
        self.own_mounts()
        self.must(f'mkdir {self.tree}/programs && mount -t tmpfs none {self.tree}/programs && '
                  f'cp -a {self.build}/. {self.tree}/programs')
        self.build = self.tree + '/programs'
        whole = self.told()
        self.must(f'mount -o remount,noexec {self.build}')
        told = self.told()
        self.assertEqual((told.status, told.err), (1, ''))
        self.assertEqual(told.out.partition('\n\n')[2].partition('\n')[0],
                         f'01 02 03 04 05 06 07 08: {self.build} is mounted noexec')
        self.must(self.as_root(told.out.splitlines()[-1].strip()))
        self.assertEqual(self.told(), whole)

    @testing.needs_root
    @testing.asks_no_kernel
    def test_a_limit_on_mount_namespaces_is_one_cause(self):
        told = self.told(self.with_none_of('mnt'))
        self.assertIn(': user.max_mnt_namespaces is 0\n', told.out)
        self.assertNotIn('unshare(1)', told.out)

    @testing.needs_root
    @testing.asks_no_kernel
    def test_a_dev_without_null_is_named_first_and_what_mends_it(self):
        why = ' 08: /dev has no device null that can be used\n    '
        self.own_mounts()
        self.must('mount -t tmpfs none /media')
        whole = self.told()
        for prepare, mend in (('mount -t tmpfs none /dev', 'umount /dev'),
                              ('cp -a /dev/zero /dev/full /dev/*random /dev/tty /media; '
                               'mount --bind /media /dev; : >/dev/null',
                               'rm -f /dev/null && mknod -m 666 /dev/null c 1 3')):
            with self.subTest(prepare):
                self.must(prepare)
                told = self.told()
                self.assertEqual((told.status, told.err), (1, ''))
                self.assertTrue(told.out.partition(why)[2].count(mend), told)
                self.must(self.as_root(told.out.splitlines()[-1].strip()))
                self.assertEqual(self.told().out, whole.out)

    @testing.asks_no_kernel
    def test_unshare_is_tried_too(self):
        # Lessons type it; a step's own program may be permitted what it is not.
        told = self.told(self.pretend('unshare', '''[ "$1" = --version ] &&
echo unshare from util-linux 2.38 || { echo no >&2; exit 1; }
'''))
        self.assertEqual(told.status, 1)
        self.assertIn('not here', line_of(told.out, 'unshare(1)'))
        self.assertIn('unshare(1): unshare --user --map-root-user fails: no\n', told.out)
        self.assertNotIn('unshare(1)', self.told().out)

    @testing.asks_no_kernel
    def test_a_step_that_is_ended_is_not_ready_whatever_it_has_noted_before(self):
        # A machine that is slow, or short of memory, ends a step at any moment: also after it has
        # said what its container has not.
        note = '{"lacks": "memory limit"}'
        # sudo(8) would try it as root, with another PATH.
        self.pretend('sudo', 'exit 1\n')
        for end in ('kill -KILL $$', 'kill -SEGV $$', 'exit 124', 'exit 1', 'exit 125'):
            with self.subTest(end):
                path = self.pretend('timeout', f'''\
case $2 in *08-all) echo '{note}' >&2; {end} ;; esac
shift
exec "$@"
''')
                self.must(path + 'timeout 20 true')  # So it lets other programs go on.
                told = self.told(path)
                self.assertEqual(told.status, 1)
                self.assertIn('not here', line_of(told.out, '08-all'))
                self.assertNotIn('cgroup', line_of(told.out, '08: 08-all '))
                self.assertIn('\n    make lab\n', told.out)
                # What has just failed mends nothing.
                self.assertNotIn("/08-all' -v ", told.out)

    @testing.asks_no_kernel
    def test_for_root_of_a_user_namespace_there_is_one_cause(self):
        told = self.shell(f"{self.who}unshare -Ur sh -c 'echo 0 "
                          '>/proc/sys/user/max_user_namespaces; exec "$@"\' sh '
                          + self.doctor(who=''))
        self.assertEqual(told.status, 1)
        self.assertEqual(
            told.out.partition('\n\n')[2], '02 03 04 05 06 07 08: you are root only of a user '
            'namespace, that of your own ids\n    exit\n')

    # ---- What root takes from the host ------------------------------------------

    @testing.needs_root
    @testing.asks_no_kernel
    def test_a_filter_that_knows_no_clone3(self):
        self.forbid('clone3', errno.ENOSYS)
        self.fails('03-userns', 'clone3(2) is ' + BY_FILTER)
        # It has not come so far; but it would.
        self.assertIn('not here', line_of(self.told().out, '07-'))

    @testing.needs_root
    @testing.asks_no_kernel
    def test_a_filter_that_forbids_clone3(self):
        self.forbid('clone3', errno.EPERM)
        self.fails('03-userns', 'user namespaces are ' + BY_FILTER)

    @testing.needs_root
    @testing.asks_no_kernel
    def test_a_filter_that_forbids_unshare(self):
        self.forbid('unshare', errno.EPERM)
        self.assertTrue(self.works('05-mountns'))
        self.fails('08-all', 'unshare(2) is ' + BY_FILTER)

    @testing.needs_root
    @testing.asks_no_kernel
    def test_a_filter_that_forbids_mount(self):
        self.forbid('mount', errno.EPERM)
        self.fails('05-mountns', 'mounts are ' + BY_FILTER)

    @testing.needs_root
    @testing.asks_no_kernel
    def test_a_proc_of_which_a_part_is_hidden_and_what_mends_it(self):
        self.own_mounts()
        # Another that is whole would do: a container of 02 elsewhere has one.
        self.must("awk '$3 == \"proc\" && $2 != \"/proc\" { print $2 }' /proc/mounts | "
                  'xargs -r umount --lazy')
        self.must('mount --bind /dev/null /proc/version')
        self.must(self.as_root(self.fails(
            '05-mountns', 'a part of /proc is hidden by the mount /proc/version')))
        self.assertTrue(self.works('05-mountns'))

    @testing.needs_root
    @testing.asks_no_kernel
    def test_a_proc_of_another_pid_namespace_or_none_and_what_mends_it(self):
        for prepare, why in (('unshare --pid --fork mount -t proc proc /proc', FOREIGN_PROC),
                             # The machine's lies below it.
                             ('while umount -l /proc 2>/dev/null; do :; done',
                              '/proc is not mounted here')):
            with self.subTest(why):
                self.prepared.clear()
                self.own_mounts()
                self.must(prepare)
                for name in ('03-userns', '05-mountns', '07-cgroup-memory', '08-all'):
                    self.assertEqual(self.as_root(self.fails(name, why)),
                                     'mount -t proc proc /proc')
                    self.assertNotIn('hint: \n', self.shell(self.step(name) + 'true').err)
                self.assertIn('hint: ' + why, self.shell(self.enter(1)).err)
                self.must('mount -t proc proc /proc')
                self.assertTrue(self.works('05-mountns'))

    @testing.needs_root
    def test_a_new_pid_namespace_with_the_mounts_of_the_host_out_of_it(self):
        # There, a new /proc would cover that of the whole host.
        wrapper = 'unshare --pid --fork '
        why = FOREIGN_PROC + ', and the mounts are those of its PID 1'
        for name in ('03-userns', '07-cgroup-memory', '08-all'):
            if self.is_root or name != '07-cgroup-memory':
                self.assertEqual(self.fails(name, why, wrapper),
                                 'exit, then unshare --pid --fork --mount-proc ...')
        self.assertIn(f'hint: {why}: exit, ', self.shell(wrapper + self.enter(1)).err)
        self.assertEqual(self.shell('unshare --pid --fork --mount-proc ' +
                                    self.step('05-mountns') + 'true').status, 0)
        self.own_mounts()  # There it would cover ours.
        self.assertEqual(self.as_root(self.fails('03-userns', FOREIGN_PROC, wrapper)),
                         'mount -t proc proc /proc')

    @testing.needs_root
    @testing.asks_no_kernel
    def test_without_devpts_the_cause_and_the_remedy_are_named(self):
        ends = pty.openpty()
        for end in ends:
            self.addCleanup(os.close, end)
        on_it = f"sh -c '\"$@\" </proc/{os.getpid()}/fd/{ends[1]}' sh "
        self.own_mounts()
        self.must('mount -t tmpfs tmpfs /dev/pts')
        self.must(self.as_root(self.fails('08-all', '/dev/pts is no devpts', on_it)))
        self.assertEqual(self.shell(on_it + self.step('08-all') + 'true').status, 0)
        self.assertIn('  ready', line_of(self.told().out, '08'))

    @testing.needs_root
    @testing.asks_no_kernel
    def test_a_proc_that_a_killed_02_left_and_what_mends_it(self):
        self.own_mounts()
        place = shlex.quote(self.build + '/rootfs/proc')
        self.must('mount -t proc proc ' + place)
        mend = self.fails('05-mountns',
                          'an overlay accepts no rootfs with a mount in it, as a killed 02 leaves')
        if mend != 'make reset':
            self.must(self.as_root(mend))
        elif self.is_root:
            # The leftovers of others are not this test's.
            self.must(f'mount -t tmpfs none /sys/fs/cgroup && TMPDIR={self.scratch()} '
                      'scripts/reset --alone')
        else:  # Theirs is in a copy of the project, with a reset of its own.
            self.must('umount ' + place)
        self.assertTrue(self.works('05-mountns'))

    @testing.needs_root
    @testing.asks_no_kernel
    def test_no_cgroup_file_system_and_what_mends_it(self):
        self.own_mounts()
        self.must('while umount -Rl /sys/fs/cgroup 2>/dev/null; do :; done')
        is_v1 = re.search(r'^memory\t[1-9]', testing.contents('/proc/cgroups'), re.M)
        mend = self.fails('07-cgroup-memory',
                          'cgroup v1, which has memory and pids, is not mounted' if is_v1 else
                          'no cgroup file system is mounted')
        self.must('mount -t tmpfs tmpfs /run')
        self.must(self.as_root(mend))
        told = self.shell(self.doctor(BUILD, who=''))
        for step in ('07', '08'):
            self.assertTrue(line_of(told.out, step).endswith('ready'), told)

    @testing.needs_root
    def test_a_chroot(self):
        root = self.scratch()
        self.own_mounts()
        self.must(f'mount --rbind / {root}')
        self.prepared += [lambda: os.chroot(root), lambda: os.chdir(testing.TOP)]
        self.assertEqual(self.fails(
            '03-userns', 'this is a chroot, where the kernel makes no user namespace'), 'exit')


@testing.needs_root
class AsRoot(Both, Doctor):
    @testing.asks_no_kernel
    def test_lost_exec_bits_all_that_are_lost_and_what_gives_them_back(self):
        tree = self.copy_of_all()
        self.must(f'cd {tree} && find scripts rootfs -type f -exec chmod -x {{}} +')
        told = self.shell(f'cd {tree} && sh scripts/doctor')
        self.assertIn(': the scripts are not executable\n    chmod +x ', told.out)
        self.must(f'cd {tree} && {told.out.splitlines()[-1]}')
        for name in ('scripts/', 'rootfs/'):
            self.assertEqual(self.must(f'cd {tree} && find {name} -type f ! -perm -100 -exec '
                                       "grep -l '^#!' {} + || :"), '')
        self.must(f'chmod -x {tree}/rootfs/from-host')
        told = self.shell(f'cd {tree} && BUILD={shlex.quote(BUILD)} sh scripts/doctor')
        self.assertTrue(told.out.endswith('    chmod +x rootfs/from-host\n'), told)

    @testing.asks_no_kernel
    def test_a_full_disk_is_named_as_the_cause(self):
        self.assertEqual(self.told(after='>/dev/full').status, 1)
        self.own_mounts()
        self.must('mount -t tmpfs -o size=4k tmpfs /media; cat /dev/zero >/media/full || :')
        told = self.told('TMPDIR=/media ')
        self.assertEqual((told.status, told.err), (1, ''))
        self.assertIn('no space is left in /media', told.out)
        self.assertIn('TMPDIR=/var/tmp make doctor', told.out)
        self.assertGreaterEqual(len(told.out.splitlines()), 8)
        # The disk is full where something else is.
        self.must('mkdir /media/below; mount --bind /media/below /var/tmp')
        told = self.told('TMPDIR=/media/below ')
        self.assertTrue(told.out.endswith(': no space is left in /media/below\n'
                                          '    du -xah /media | sort -h | tail\n'), told)

    @testing.asks_no_kernel
    def test_for_a_build_on_a_full_disk_the_hint_is_another_disk(self):
        tree = self.copy_of_all()
        run = f'cd {tree} && ' + self.pretend(
            'make', 'echo x: No space left on device >&2\nexit 1\n') + 'sh scripts/doctor'
        why = f': the build failed: no space is left in {tree}\n'
        self.own_mounts()
        self.must('mount -t tmpfs tmpfs /var/tmp')
        told = self.shell(run)
        self.assertTrue(told.out.endswith(
            why + '    cp -a . /var/tmp/box && cd /var/tmp/box\n'), told)
        self.must(f'mount --bind {tree} /var/tmp')
        self.assertIn(why + '    du -xah /', self.shell(run).out)

    @testing.asks_no_kernel
    def test_if_no_file_can_be_written_the_cause_and_the_remedy_are_named(self):
        def is_told(before, why, mend):
            with self.subTest(why):
                told = self.told(before)
                self.assertEqual((told.status, told.err), (1, ''))
                self.assertTrue(told.out.endswith(
                    f' 08: no file can be written in {why}\n    {mend}\n'), told.out)

        self.own_mounts()
        is_told('TMPDIR=/no/such ', '/no/such (No such file or directory)',
                'TMPDIR=/var/tmp make doctor')
        is_told('ulimit -f 0; ', '/tmp (File too large)', self.lift('-f', 'unlimited'))
        self.must('mount -t tmpfs -o ro tmpfs /media')
        is_told('TMPDIR=/media ', '/media (Read-only file system)', 'TMPDIR=/var/tmp make doctor')
        self.must('mount --bind /media /var/tmp')
        is_told('TMPDIR=/media ', '/media (Read-only file system)', 'mount -o remount,rw /media')
        is_told('TMPDIR=/no/such ', '/no/such (No such file or directory)',
                'mkdir -p -m 1777 /no/such')
        self.must('mount -o remount,rw /media')
        self.assertEqual(self.told('TMPDIR=/media ').status, 0)

    @testing.asks_no_kernel
    def test_for_a_build_that_fails_the_hint_is_nothing_that_has_just_failed(self):
        tree = self.copy_of_all()
        run = f'cd {tree} && ' + self.pretend(
            'make', 'echo x: strange error >&2\nexit 1\n') + 'sh scripts/doctor'
        why = ': the build failed: x: strange error\n    '
        self.assertTrue(self.shell(run).out.endswith(why + 'see steps/hosts.md\n'))
        self.must(f'mkdir {tree}/build')
        self.assertTrue(self.shell(run).out.endswith(why + 'make clean && make doctor\n'))

    @testing.asks_no_kernel
    def test_root_that_cannot_write_maps_is_one_cause(self):
        for without in ('setuid', 'setgid'):
            told = self.told(f'setpriv --bounding-set -{without} --inh-caps -{without} ')
            causes = told.out.partition('\n\n')[2]
            self.assertEqual(causes, f'03 04 05 06 07 08: root has no CAP_{without.upper()} here\n'
                                     '    exit\n')

    @testing.asks_no_kernel
    def test_a_pid_in_a_message_makes_no_other_cause(self):
        told = self.told(self.pretend('timeout', """\
case $2 in
  *07-*) echo '{"message": "write(2) x to /proc/7/uid_map: no (EPERM)"}' >&2; exit 125 ;;
  *08-*) echo '{"message": "write(2) x to /proc/88/uid_map: no (EPERM)"}' >&2; exit 125 ;;
esac
shift
exec "$@"
"""))
        self.assertTrue(told.out.endswith(
            '\n\n07 08: write(2) x to /proc/PID/uid_map: no (EPERM)\n    make lab\n'), told)

    @testing.asks_no_kernel
    def test_a_sys_that_is_hidden_is_one_cause_and_what_mends_it(self):
        self.own_mounts()
        self.must('mount -t tmpfs none /sys')
        why = 'a part of /sys is hidden by the mount /sys'
        self.assertEqual(self.told().out.partition('\n\n')[2],
                         f'06 07 08: {why}\n    umount /sys\n')
        for name in ('06-netns-veth', '07-cgroup-memory', '08-all'):
            self.assertEqual(self.fails(name, why), 'umount /sys')
        self.must('umount /sys')
        self.assertEqual(self.told().status, 0)

    @testing.asks_no_kernel
    def test_without_a_package_manager_no_hint_names_one(self):
        tree = self.copy_of_all()
        self.own_mounts()
        self.must(testing.TAKE_PACKAGE_MANAGERS)
        told = self.shell(f'cd {tree}; CXX=no-such-g++ sh scripts/doctor')
        self.assertEqual(told.status, 1)
        self.assertIn('no package manager known here; missing: ', told.out)
        self.assertNotIn('scripts/setup', told.out)

    @testing.asks_no_kernel
    def test_a_proc_sys_that_is_hidden_and_what_mends_it(self):
        self.own_mounts()
        self.must('mount -t tmpfs tmpfs /proc/sys')
        for name in ('06-netns-veth', '08-all'):
            self.assertEqual(
                self.fails(name, 'a part of /proc is hidden by the mount /proc/sys'),
                'umount /proc/sys')

    @testing.asks_no_kernel
    def test_cgroups_that_are_read_only_and_what_mends_it(self):
        self.own_mounts()
        self.must("awk '/ - cgroup2? / { print $5 }' /proc/self/mountinfo | "
                  'xargs -n 1 mount -o remount,ro,bind')
        self.must(self.fails('07-cgroup-memory', 'the cgroups are mounted read-only'))
        told = self.told()
        for step in ('07', '08'):
            self.assertTrue(line_of(told.out, step).endswith('  ready'), told)

    @testing.asks_no_kernel
    def test_cgroups_that_are_hidden_and_what_mends_it(self):
        self.own_mounts()
        self.must('mount -t tmpfs tmpfs /sys/fs/cgroup')
        self.must(self.fails('07-cgroup-memory',
                             'the cgroups are hidden by the mount /sys/fs/cgroup'))
        self.assertTrue(line_of(self.told().out, '07').endswith('ready'))

    def test_if_enter_is_forbidden_the_cause_is_the_hosts_and_not_the_containers(self):
        # After enter has joined the container, /proc and the maps are that one's.
        box = self.running(self.step('08-all', '--net none --memory none') +
                           "sh -c 'echo up; read wait'")
        self.assertEqual(box.stdout.readline(), b'up\n')
        self.forbid('personality', errno.EPERM)
        entered = self.shell(self.enter(box.pid))
        self.assertEqual(entered.status, 125)
        self.assertIn(f"; hint: personality(2) is {BY_FILTER}: ", entered.err)
        testing.finish(box)

    @testing.asks_no_kernel
    def test_no_user_namespaces_and_what_mends_it(self):
        self.assertEqual(self.fails('03-userns', 'user.max_user_namespaces is 0',
                                    self.with_none_of('user')),
                         'sysctl -w user.max_user_namespaces=15000')


class AsUser(Both, Doctor):
    is_root = False

    def setUp(self):
        super().setUp()
        if not testing.IS_ROOT:
            return
        self.who = testing.AS_USER
        self.build = self.scratch()
        self.must(f'cp build/0* build/enter {self.build}; cp -a build/rootfs-new '
                  f'{self.build}/rootfs; chown -Rh {testing.USER}:{testing.USER} '
                  f'{self.build}/rootfs')

    def test_a_cause_that_stops_only_users_leaves_a_step_ready_as_root(self):
        self.pretend('sudo', 'exit 1\n')
        for stops, verdict, is_told in (('everybody', 'not here', True),
                                        ('users', 'ready as root', True),
                                        ('users anywhere', 'ready as root', False)):
            with self.subTest(stops):
                message = ('{"message": "mount(2) it", "call": "mount(2)", "why": "a \\"b\\\\c", '
                           f'"mend": "mend it", "stops": "{stops}"}}')
                told = self.told(self.pretend('timeout', f"""\
case $2 in *05-mountns) printf '%s\\n' '{message}' >&2; exit 125 ;; esac
shift
exec "$@"
"""))
                self.assertTrue(line_of(told.out, '05-mountns')[18:].startswith(verdict), told)
                self.assertEqual('\n05: a "b\\c\n    mend it\n' in told.out, is_told, told)

    @testing.needs_root
    @testing.asks_no_kernel
    def test_a_tree_that_belongs_to_root_does_not_build_for_a_user_in_any_language(self):
        tree = self.copy_of_all()
        for locale in ('C.UTF-8', 'de_DE.UTF-8', 'ja_JP.UTF-8'):
            with self.subTest(locale):
                told = self.shell(f'cd {tree} && LC_ALL={locale} LANGUAGE={locale} {self.who}'
                                  'sh scripts/doctor')
                self.assertEqual(told.status, 1)
                self.assertIn(': the build failed: the files are not yours\n', told.out)
                self.assertNotIn('chown', told.out)
                self.assertIn('    cp -r . /var/tmp/box && ', told.out)
        # In one's own home sudo has made it.
        home = self.scratch()
        self.must(f'chown {testing.USER} {home} && mv {tree} {home}/x && mkdir {tree}')
        told = self.shell(f'cd {home}/x && HOME={home} {self.who}sh scripts/doctor')
        self.assertIn(f"chown -R {testing.USER}:{testing.USER} '{home}/x'\n", told.out)

    @testing.asks_no_kernel
    def test_an_ordinary_user_cannot_lift_a_hard_limit_on_files(self):
        # It ends with the shell.
        told = self.told('ulimit -f 0; ')
        self.assertTrue(told.out.endswith('(File too large)\n    exit\n'), told)

    @testing.needs_root
    @testing.asks_no_kernel
    def test_an_ordinary_user_learns_that_the_image_belongs_to_root(self):
        place = self.scratch()
        self.must(f'cp -a build/0* build/enter build/rootfs {place}')
        told = self.shell(self.doctor(place))
        self.assertNotIn('image', line_of(told.out, '03-'))
        for step in ('05-', '06-', '08-'):
            self.assertIn('the image belongs to another user', line_of(told.out, step))
        self.assertNotIn('to another user', self.told().out)

    @testing.asks_no_kernel
    def test_a_directory_that_root_cannot_enter_as_on_nfs(self):
        told = self.told(self.pretend('sudo', 'shift\n[ "$1" = true ]\n'))
        self.assertEqual(told.status, 1)
        self.assertTrue(line_of(told.out, '01-chroot').endswith('not here'), told)
        self.assertTrue(line_of(told.out, '03-userns').endswith('ready'), told)
        self.assertIn(': root cannot enter this folder, for example because it is in a home on '
                      'NFS\n    cp -a . /var/tmp/box && cd /var/tmp/box\n', told.out)


if __name__ == '__main__':
    testing.main()
