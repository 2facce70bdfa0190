#!/usr/bin/python3
"""Tests of the throw-away host. Ends with a line that sums all.

  needs   root, else all are skipped
"""

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from host import testing

HOST = 'scripts/host/host'


@testing.needs_root
class ThrowAwayHost(testing.OnAHost):
    def left_by(self, commands):
        """What is told of a shell's commands."""
        result = testing.shell(f"{HOST} sh -c '{commands}'")
        self.assertEqual(result.status, 0, result.err)
        return result.err.splitlines()

    def test_each_leftover_is_named_and_ends_with_the_host(self):
        result = testing.shell(
            "scripts/host/host sh -c '"
            'mkdir $(dirname $(find /sys/fs/cgroup -name cgroup.procs | head -n1))/x;'
            'hostname x; mount -t tmpfs x /mnt; touch /tmp/x; sleep 1000 &'
            "ip link add x type veth; exit 3'")
        self.assertEqual(result.status, 3)
        self.assertEqual(len(result.err.splitlines()), 7, result.err)  # A cable has two ends.
        for what in ('a cgroup, /sys/fs/cgroup/', 'a file, /tmp/x', 'a link, x', 'a mount, /mnt',
                     'a process, sleep 1000', 'the name, x'):
            self.assertIn('host: left behind: ' + what, result.err)

    def test_a_file_is_named_wherever_it_was_written_or_removed(self):
        self.must('mount -t tmpfs none /mnt; mkdir /mnt/below; touch /mnt/old')
        self.addCleanup(testing.shell, 'umount /mnt')
        self.assertEqual(
            self.left_by('mkdir /mnt/x; rm /mnt/old; touch /mnt/new; '
                         'touch /mnt/below/x; rm /mnt/below/x'),
            [f'host: left behind: a file, {name}' for name in ('/mnt/new', '/mnt/old', '/mnt/x/')])
        self.assertEqual(sorted(os.listdir('/mnt')), ['below', 'old'])

    def test_a_file_that_is_mounted_is_not_written_to(self):
        place = self.scratch()
        self.must(f'echo mine >{place}/hosts; mount --bind {place}/hosts /etc/hosts')
        self.addCleanup(testing.shell, 'umount /etc/hosts')
        self.assertEqual(self.left_by('! echo other >/etc/hosts'),
                         ['sh: 1: cannot create /etc/hosts: Read-only file system'])
        self.assertEqual(testing.contents('/etc/hosts'), 'mine\n')

    def test_the_host_has_separate_message_queues_also_where_they_are_mounted_twice(self):
        place = '/dev/shm/queues'
        os.mkdir(place)
        self.must(f'mount -t mqueue none {place}; mount --bind {place} {place}; touch {place}/mine')
        self.addCleanup(testing.shell, f'rm {place}/mine; umount {place}; umount {place}; '
                        f'rmdir {place}')
        self.assertEqual(self.left_by('true'), [])

    def test_with_copy_a_command_changes_only_the_copy_of_a_directory(self):
        self.must('mkdir -p build/host-test/below; echo mine >build/host-test/file')
        self.addCleanup(testing.shell, 'rm -r build/host-test')
        result = testing.shell(
            f"{HOST} --copy build/host-test sh -c 'cat build/host-test/file; "
            "rmdir build/host-test/below; echo other >build/host-test/file; touch build/other'")
        self.assertEqual(result.out, 'mine\n')
        self.assertEqual(result.err, "touch: cannot touch 'build/other': Read-only file system\n")
        self.assertEqual(testing.contents('build/host-test/file'), 'mine\n')
        self.assertTrue(os.path.isdir('build/host-test/below'))

    def test_copy_accepts_only_a_directory_of_the_project(self):
        for path in ('/etc', 'Makefile', 'nosuch', '.'):
            with self.subTest(path):
                result = testing.shell(f'{HOST} --copy {path} true')
                self.assertEqual((result.status, result.out), (2, ''))
                self.assertTrue(result.err.endswith(f'{path} is no directory in this project\n'))

    def test_the_file_that_umount_makes_is_not_a_leftover(self):
        result = testing.shell(
            "unshare --mount sh -c 'mount -t tmpfs none /run; "
            'scripts/host/host sh -c "mount -t tmpfs none /mnt; umount /mnt"\'')
        self.assertEqual((result.status, result.err), (0, ''))

    def test_a_directory_that_others_make_beside_the_cgroups_is_not_told(self):
        """With cgroups v1, /sys/fs/cgroup is a tmpfs of the machine."""
        place = f'/sys/fs/cgroup/of-others-{os.getpid()}'
        throwaway = self.running(f"{HOST} sh -c 'echo up; read wait' 2>&1")
        self.assertEqual(throwaway.stdout.readline(), b'up\n')
        os.mkdir(place)
        self.addCleanup(os.rmdir, place)
        throwaway.stdin.close()
        self.assertEqual(throwaway.stdout.read(), b'')

    def test_namespaces_that_the_machine_has_named_are_not_there(self):
        """They come and go by the same names."""
        self.must('touch /mnt/name; mount --bind /proc/self/ns/net /mnt/name')
        self.addCleanup(testing.shell, 'umount /mnt/name; rm /mnt/name')
        self.assertEqual(self.left_by('! grep nsfs /proc/self/mountinfo >&2'), [])

    def test_a_signal_ends_the_host(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number):
                throwaway = self.running('scripts/host/host sleep 1000')
                self.assertTrue(testing.comes_to_run(throwaway.pid, 'sleep'))
                group = f'find /sys/fs/cgroup -name throwaway-{throwaway.pid}'
                self.assertNotEqual(testing.shell(group).out, '')
                throwaway.send_signal(number)
                self.assertEqual(testing.finish(throwaway), 128 + number)
                self.assertEqual(testing.shell(group).out, '')


if __name__ == '__main__':
    testing.main()
