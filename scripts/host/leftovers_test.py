#!/usr/bin/python3
"""Tests of what can be left behind: each kind is found, and what changes back is none. Ends with a
line that sums all.

  needs   root for some
"""

import glob
import os
import sys
import threading
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from host import leftovers, testing

# What shows a change of each kind, and how to undo it.
CHANGES = {
    'IPC, msg ': ('ipcmk -Q', 'ipcrm --all=msg'),
    'IPC, queue left': ('touch /srv/left', 'rm /srv/left'),
    'a link, left': ('ip link add left type veth peer name right', 'ip link del left'),
    'a mount, /mnt (': ('mount --bind /mnt /mnt', 'umount /mnt'),
    'a process, sleep 4711': ('sleep 4711 >/dev/null 2>&1 &', 'pkill -fx "sleep 4711"'),
    'a route, blackhole 10.9.9.9': ('ip route add blackhole 10.9.9.9',
                                    'ip route del blackhole 10.9.9.9'),
    'a route, 1: lo inet 10.9.9.8/32 ': ('ip address add 10.9.9.8/32 dev lo',
                                         'ip address del 10.9.9.8/32 dev lo'),
    'a route, 4711: from all fwmark': ('ip rule add fwmark 9 pref 4711', 'ip rule del pref 4711'),
    'a rule, table ip left {': ('nft add table ip left', 'nft delete table ip left'),
    'a setting, /proc/sys/net/ipv4/ip_forward = 1': ('sysctl -qw net.ipv4.ip_forward=1',
                                                     'sysctl -qw net.ipv4.ip_forward=0'),
    'a setting, /proc/sys/kernel/domainname = left': ('sysctl -qw kernel.domainname=left',
                                                      "sysctl -qw kernel.domainname='(none)'"),
    'the name, left': ('hostname left', 'hostname "$was"'),
}


def look():
    return leftovers.Look(lambda: [], lambda: [])


@testing.needs_root
class Kinds(testing.OnAHost):
    def test_each_kind_of_leftover_is_found_until_it_is_undone(self):
        os.environ['was'] = os.uname().nodename
        self.must('mount -t mqueue none /srv')  # Not all machines show it.
        self.addCleanup(testing.shell, 'umount /srv')
        seen = look()
        for what, (change, undo) in CHANGES.items():
            with self.subTest(what):
                self.must(change)
                left, _ = seen.changes(0)
                self.assertTrue(any(line.startswith(what) for line in left), left)
                self.must(undo)
                self.assertEqual(seen.changes(), ([], []))

    def test_something_that_was_removed_is_named_too(self):
        self.must('mount --bind /mnt /mnt')
        seen = look()
        self.must('umount /mnt')
        left, gone = seen.changes(0)
        self.assertEqual(left, [])
        self.assertTrue(len(gone) == 1 and gone[0].startswith('a mount, /mnt ('), gone)

    def test_a_mount_with_other_options_is_another(self):
        self.must('mount -t tmpfs none /mnt')
        self.addCleanup(testing.shell, 'umount /mnt')
        seen = look()
        self.must('mount -o remount,bind,ro /mnt')
        left, gone = seen.changes(0)
        self.assertEqual([line.partition(' (')[0] for line in left + gone],
                         ['a mount, /mnt'] * 2)

    def test_a_process_that_ends_within_a_moment_is_not_a_leftover(self):
        seen = look()
        self.must('sleep 0.3 >/dev/null 2>&1 &')
        self.assertNotEqual(seen.changes(0), ([], []))
        self.assertEqual(seen.changes(), ([], []))


class Look(unittest.TestCase):
    def setUp(self):
        patch = mock.patch.object(leftovers, 'KINDS', {'a setting': lambda: self.settings})
        self.files, self.groups, self.settings = ['/a'], [], ['x = 1', 'y = 2']
        patch.start()
        self.addCleanup(patch.stop)
        self.look = leftovers.Look(lambda: self.files, lambda: self.groups)

    def test_files_and_cgroups_are_those_that_the_host_finds(self):
        self.files, self.groups = ['/b'], ['/g']
        self.assertEqual(self.look.changes(0), (['a file, /b', 'a cgroup, /g'], ['a file, /a']))

    def test_a_setting_is_named_if_its_value_changes_and_not_if_a_module_brings_it(self):
        self.settings = ['x = 3', 'z = 1']
        self.assertEqual(self.look.changes(0), (['a setting, x = 3'], ['a setting, x = 1']))

    def test_the_look_waits_until_all_is_as_before(self):
        self.files = ['/a', '/b']
        threading.Timer(0.2, lambda: self.files.remove('/b')).start()
        self.assertEqual(self.look.changes(60), ([], []))

    def test_a_name_cannot_move_the_cursor(self):
        self.files = ['/a', '/\x1b[2J' + 'b' * 1000]
        told = self.look.changes(0)[0][0]
        self.assertTrue(told.startswith('a file, /?[2Jbbb') and len(told) < 300, told)


class OnTheMachine(unittest.TestCase):
    def test_a_number_of_ours_is_one_also_in_the_name_of_a_second_cgroup(self):
        with mock.patch.object(leftovers.Numbers, 'first', 100), \
                mock.patch.object(leftovers, 'read', return_value='200\n'):
            ours = [number for number in
                    ('99', '100', '200', '201', str((1 << 22) + 150), str((1 << 22) + 201), 'x')
                    if leftovers.Numbers.has(number)]
        self.assertEqual(ours, ['100', '200', str((1 << 22) + 150)])

    def test_a_directory_of_ours_is_marked_and_held_and_removed_in_the_end(self):
        with leftovers.held_directory('docs.', '/tmp') as path:
            mark = path + '/.box-leftover'
            self.assertTrue(path.startswith('/tmp/docs.'))
            self.assertEqual(testing.contents(mark), os.path.basename(path) + '\n')
            self.assertEqual(os.stat(mark).st_mode & 0o777, 0o600)
            self.assertEqual(testing.shell(f'flock -n -x {path} true').status, 1)
            testing.write(path + '/more/file', '')
        self.assertEqual(glob.glob(path), [])


if __name__ == '__main__':
    testing.main()
