#!/usr/bin/python3
"""Tests of the system calls that make a host. Ends with a line that sums all.

  needs   root for most
"""

import os
import select
import signal
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from host import namespaces, testing


class Calls(unittest.TestCase):
    def test_a_failed_call_is_named_with_its_reason(self):
        with self.assertRaisesRegex(OSError, 'mount: No such file or directory'):
            namespaces.call('mount', None, b'/nosuch', None, 0, None)

    def test_a_process_ends_with_its_parent(self):
        ours, its = os.pipe()
        parent = os.fork()
        if parent == 0:
            os.close(ours)
            if os.fork() == 0:
                namespaces.die_with_parent()
                signal.alarm(2 * testing.TIMEOUT_SECONDS)  # If it does not.
                os.write(its, b'ready')
                signal.pause()
            signal.pause()
        os.close(its)
        self.assertEqual(os.read(ours, 5), b'ready')
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        # The last that held its end has ended.
        self.assertTrue(select.select([ours], [], [], testing.TIMEOUT_SECONDS)[0])
        self.assertEqual(os.read(ours, 5), b'')
        os.close(ours)


@testing.needs_root
class Mounts(testing.OnAHost):
    def mount_of(self, point):
        """The one on top."""
        return [mount for mount in namespaces.mounts() if mount.point == point][-1]

    def test_a_mount_that_becomes_read_only_keeps_its_other_flags(self):
        place = self.scratch()
        namespaces.mount('here', place, 'tmpfs', 0, 'mode=755')
        self.addCleanup(testing.shell, f'umount {place}')
        self.must(f'mount -o remount,bind,nosuid,nodev,noexec,noatime {place}')
        namespaces.make_read_only(place)
        self.assertEqual(self.mount_of(place).options, 'ro,nosuid,nodev,noexec,noatime')
        self.assertTrue(self.mount_of(place).super_options.startswith('rw'))

    def test_a_place_with_any_name_and_no_source_is_found(self):
        place = self.scratch() + '/a blank\n\\040'
        os.mkdir(place)
        namespaces.mount('', place, 'tmpfs', 0)
        self.addCleanup(namespaces.unmount, place)
        mount = self.mount_of(place)
        self.assertEqual((mount.kind, mount.source, mount.root), ('tmpfs', '', '/'))

    def test_a_directory_is_shown_with_what_is_mounted_below_only_if_asked(self):
        place = self.scratch()
        for name in ('from', 'from/below', 'flat', 'deep'):
            os.mkdir(f'{place}/{name}')
        namespaces.mount('here', f'{place}/from/below', 'tmpfs', 0)
        self.addCleanup(testing.shell, f'umount {place}/from/below')
        testing.write(f'{place}/from/below/file', '')
        for name, flags, shown in (('flat', 0, []), ('deep', namespaces.MS_REC, ['file'])):
            namespaces.bind(f'{place}/from', f'{place}/{name}', flags)
            self.addCleanup(testing.shell, f'umount -R {place}/{name}')
            self.assertEqual(os.listdir(f'{place}/{name}/below'), shown)


if __name__ == '__main__':
    testing.main()
