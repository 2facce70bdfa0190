#!/usr/bin/python3
"""Tests of the limits of the throw-away host: what has no end comes to its end there, and a limit
that cannot be set is told. Ends with a line that sums all.

  needs   root for most
"""

import os
import shlex
import signal
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from host import limits, namespaces, testing

HOST = 'scripts/host/host'
MOST = 512 << 20  # Bytes of disk.
# What can be written to, and holds more than that.
TOO_LARGE = '''
import os, sys
sys.path.insert(0, 'scripts')
from host import namespaces
for mount in namespaces.mounts():
    about = os.statvfs(mount.point if os.path.exists(mount.point) else '/')
    if not about.f_flag & os.ST_RDONLY and about.f_blocks * about.f_frsize > %d:
        print(mount)
''' % MOST
FORKS = '''
import os
try:
    for number in range(2000):
        if os.fork() == 0:
            os.execvp('sleep', ['sleep', '1000'])
except OSError as error:
    print(number > 900, number < 1000, error.strerror)
'''
MEMORY = '''
most = int([line.split()[1] for line in open('/proc/meminfo') if 'MemAvailable' in line][0]) >> 20
print('x' * (3 << 30) and 'had it' if most > 4 else 'too small')
'''


def python(code):
    return f'python3 -c {shlex.quote(code)}'


def used():
    """Bytes on the disk of the project and on that of /tmp, which is only ours here."""
    return [(about.f_blocks - about.f_bfree) * about.f_frsize
            for about in map(os.statvfs, ('.', '/tmp'))]


@testing.needs_root
class Endless(testing.OnAHost):
    """Programs without an end."""

    def test_a_command_that_writes_without_end_fills_no_disk(self):
        before = used()
        result = testing.shell(
            f"{HOST} sh -c 'cat /dev/zero >/tmp/x; ls -s --block-size=1M /tmp/x; rm /tmp/x'")
        self.assertIn('No space left on device', result.err)
        self.assertGreater(int(result.out.split()[0]), MOST * 3 // 4 >> 20)
        self.assertLessEqual(int(result.out.split()[0]), MOST >> 20)
        for then, now in zip(before, used()):
            self.assertLess(now - then, MOST // 4)

    def test_each_place_that_can_be_written_to_has_a_limit(self):
        self.must('mount -t tmpfs none /mnt')
        self.addCleanup(testing.shell, 'umount /mnt')
        result = testing.shell(f'{HOST} {python(TOO_LARGE)}')
        self.assertEqual((result.status, result.out, result.err), (0, '', ''))
        for place in ('/mnt', '/root', '/run', '/var/tmp', '/dev/shm', '/var/lib'):
            with self.subTest(place):
                result = testing.shell(
                    f"{HOST} sh -c 'fallocate -l {MOST * 2} {place}/x; rm -f {place}/x'")
                # On a lab's overlay of an overlay, there can be none more. And the host of this
                # test has overlays, whose ids cannot be mapped: what is root's stays root's.
                self.assertRegex(result.err, 'No space left on device|Read-only file system|'
                                             'Permission denied')
        for place in ('', '/dev', os.getcwd(), os.getcwd() + '/build'):
            with self.subTest(place):
                result = testing.shell(f'{HOST} touch {shlex.quote(place)}/x')
                self.assertIn('Read-only file system', result.err)
                self.assertFalse(os.path.exists(place + '/x'))

    def test_a_command_that_needs_too_much_memory_is_killed(self):
        result = testing.shell(f'{HOST} {python(MEMORY)}')
        if result.out == 'too small\n':
            self.skipTest('this machine has less memory than the limit')
        self.assertEqual((result.status, result.out), (128 + signal.SIGKILL, ''))

    def test_the_cgroup_has_the_limits_also_on_a_machine_with_little_memory(self):
        files = '-name memory.max -o -name memory.limit_in_bytes -o -name pids.max'
        result = testing.shell(
            f"{HOST} sh -c 'cat $(find -L /sys/fs/cgroup -maxdepth 2 \\( {files} \\))'")
        self.assertEqual({str(2 << 30), '1000'} - set(result.out.split()), set(), result)

    def test_a_command_that_forks_without_end_gets_no_more_processes(self):
        result = testing.shell(f'{HOST} {python(FORKS)}')
        self.assertEqual(result.out, 'True True Resource temporarily unavailable\n')

    def test_a_command_that_waits_too_long_is_ended(self):
        result = testing.shell(f'timeout 60 {HOST} --seconds 1 sleep 1000')
        self.assertEqual((result.status, result.err), (
            124, 'host: no end within the time that it has\n'))
        self.assertEqual(testing.shell('find /sys/fs/cgroup -name "throwaway-*"').out, '')


@testing.needs_root
class NotSet(testing.OnAHost):
    """A limit that cannot be set is told, and the command does not run."""

    def fails(self, line, name):
        result = testing.shell(line)
        self.assertEqual((result.status, result.out), (125, ''), result.err)
        self.assertRegex(result.err, rf'\Ahost: cannot limit {name}: [^\n]*\n\Z')
        self.assertEqual(testing.shell('find /sys/fs/cgroup -name "throwaway-*"').out, '')
        return result.err

    def group(self, controller):
        """The mount point of a hierarchy that has it."""
        return next(mount.point for mount in namespaces.mounts()
                    if mount.kind == 'cgroup' and controller in mount.super_options.split(',') or
                    mount.kind == 'cgroup2' and controller in
                    testing.contents(mount.point + '/cgroup.controllers').split())

    def test_without_a_hierarchy_no_limit_can_be_set(self):
        for controller in ('memory', 'pids'):
            point = self.group(controller)
            with self.subTest(controller):
                said = self.fails(  # It may be mounted on another one.
                    f"unshare --mount sh -c 'while umount -l {point} 2>/dev/null; do :; done; "
                    f"{HOST} echo ran'", '.*')
                self.assertIn('hint: make doctor', said)

    def test_a_hierarchy_that_cannot_be_written_to(self):
        for controller in ('memory', 'pids'):
            point = self.group(controller)
            with self.subTest(controller):
                self.fails(f"unshare --mount sh -c 'mount -o remount,bind,ro {point}; "
                           f"{HOST} echo ran'", '.*')

    def test_a_limit_that_the_kernel_refuses(self):
        for controller, name in (('memory', 'memory'), ('pids', 'processes')):
            point = self.group(controller)
            file = next(file for version in limits.LIMITS[name].values() for file in version
                        if os.path.exists(f'{point}/{file}'))
            with self.subTest(controller):
                said = self.fails(
                    f"unshare --mount sh -c 'mkdir {point}/throwaway-$$; "
                    f"mount --bind /dev/full {point}/throwaway-$$/{file}; "
                    f"exec {HOST} echo ran'", name)
                self.assertIn(f'/{file}: No space left on device', said)

    def test_a_hierarchy_that_is_mounted_twice_is_limited(self):
        point = self.group('pids')
        self.must(f'mkdir /run/twice; mount --bind {point} /run/twice')
        self.addCleanup(testing.shell, 'umount /run/twice; rmdir /run/twice')
        result = testing.shell(f'{HOST} cat {point}/pids.max /run/twice/pids.max')
        self.assertEqual((result.out, result.err), ('1000\n1000\n', ''))


@testing.needs_root
class OlderTmpfs(testing.OnAHost):
    """Before Linux 6.6, a tmpfs is not enough for the file system of an image."""

    def setUp(self):
        patch = mock.patch.object(limits, 'is_tmpfs_enough', return_value=False)
        patch.start()
        self.addCleanup(patch.stop)
        self.point = self.scratch()
        self.addCleanup(testing.shell, f'umount {self.point}; umount {self.point}')

    @unittest.skipUnless(os.path.exists('/dev/loop-control'), 'there is no loop device here')
    def test_the_disk_is_a_file_of_limited_size_that_keeps_attributes(self):
        limits.mount_disk(self.point, '64M')
        self.must(f'setfattr -n user.x -v y {self.point} || '
                  f"""python3 -c 'import os; os.setxattr("{self.point}", "user.x", b"y")'""")
        result = testing.shell(f'cat /dev/zero >{self.point}/x')
        self.assertIn('No space left on device', result.err)
        self.assertLessEqual(os.stat(self.point + '/x').st_blocks * 512, 64 << 20)

    def test_without_mkfs_no_disk_can_be_made(self):
        with mock.patch.dict(os.environ, PATH='/nowhere'), \
                self.assertRaisesRegex(limits.Failure, '^disk: '):
            limits.mount_disk(self.point, '64M')

    def test_without_a_limit_it_is_a_tmpfs(self):
        limits.mount_disk(self.point, None)
        self.assertEqual([mount.kind for mount in namespaces.mounts()
                          if mount.point == self.point], ['tmpfs'])


class Cgroups(unittest.TestCase):
    """Each version has files of other names. Directories play those that this machine has not."""

    def group(self, version, *files, own='', handing_down=()):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        with mock.patch.object(limits, 'hand_down'):
            for path, controllers in handing_down:
                os.makedirs(place.name + path, exist_ok=True)
                testing.write(f'{place.name}{path}/cgroup.subtree_control', controllers)
            group = limits.Hierarchy(place.name, version, own)
        self.assertTrue(group.make())
        for file in files:
            testing.write(f'{group.made}/{file}', '')
        return group

    def values(self, group):
        return {name: testing.contents(f'{group.made}/{name}') for name in os.listdir(group.made)}

    def test_v2(self):
        group = self.group(2, 'memory.max', 'memory.swap.max', 'pids.max')
        limits.limit_all([group])
        self.assertEqual(self.values(group), {
            'memory.max': '2G', 'memory.swap.max': '0', 'pids.max': '1000'})

    def test_v1_and_hybrid(self):
        memory = self.group(1, 'memory.limit_in_bytes', 'memory.memsw.limit_in_bytes',
                            'memory.swappiness')
        pids, empty = self.group(1, 'pids.max'), self.group(2)
        limits.limit_all([memory, pids, empty])
        self.assertEqual(self.values(memory) | self.values(pids) | self.values(empty), {
            'memory.limit_in_bytes': '2G', 'memory.memsw.limit_in_bytes': '2G',
            'memory.swappiness': '', 'pids.max': '1000'})

    def test_v1_without_swap_accounting(self):
        group = self.group(1, 'memory.limit_in_bytes', 'memory.swappiness', 'pids.max')
        limits.limit_all([group])
        self.assertEqual(self.values(group)['memory.swappiness'], '0')

    def test_swap_that_cannot_be_limited_matters_where_there_is_some(self):
        group = self.group(2, 'memory.max', 'pids.max')
        with mock.patch.object(limits, 'has_swap', return_value=False):
            limits.limit_all([group])
        with mock.patch.object(limits, 'has_swap', return_value=True), \
                self.assertRaisesRegex(limits.Failure, '^swap: '):
            limits.limit_all([group])

    def test_in_v2_our_process_is_in_a_leaf_also_if_it_is_mounted_twice(self):
        group = self.group(2)
        for _ in range(2):
            group.leaf()
        self.assertEqual(testing.contents(group.point + '/leaf/cgroup.procs'), '0')

    def test_in_v2_it_is_below_one_that_hands_memory_down(self):
        group = self.group(2, own='/a/b', handing_down=[('', 'memory'), ('/a', 'cpu memory'),
                                                        ('/a/b', 'cpu')])
        self.assertEqual(group.made, f'{group.point}/a/throwaway-{os.getpid()}')
        group = self.group(2, own='/a/b', handing_down=[('/a/b', ''), ('/a', 'cpu')])
        self.assertEqual(group.made, f'{group.point}/throwaway-{os.getpid()}')


if __name__ == '__main__':
    testing.main()
