#!/usr/bin/python3
"""Tests of build/oci on hosts that have only cgroups v1, or only v2. If this machine has both, each
command of build/oci runs in a mount namespace that has one of them. Ends with a line that sums
all."""

import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bundles import OnABundle, hierarchies, remove_cgroups, testing

UNIFIED = '/sys/fs/cgroup/unified'
IS_HYBRID = os.path.exists(UNIFIED + '/cgroup.procs')
IS_V2 = os.path.exists('/sys/fs/cgroup/cgroup.procs')
# A throw-away host has only the hierarchies of its limits.
WITHOUT_V2 = f'''umount -l {UNIFIED} && cd /sys/fs/cgroup && for name in devices freezer
    do [ -e $name/cgroup.procs ] || mount -t cgroup -o $name $name $name; done'''
WITHOUT_V1 = f'''cd {UNIFIED} && umount -l $(grep -E "^cgroup " /proc/mounts | cut -d" " -f2) &&
    mount --bind . /sys/fs/cgroup'''
SLEEP = '''cat /cg/pids.max /cg/pids/pids.max /cg/memory.max /cg/memory/memory.limit_in_bytes
    mknod /tmp/disk b 254 0; head -c 1 /tmp/disk; head -c 1 /dev/zero | wc -c
    echo end; exec sleep 1234567'''


class Hosts(OnABundle):
    def on(self, change):
        self.around = ['unshare', '--mount', 'sh', '-c', change + ' && exec "$@"', 'sh']

    def setUp(self):
        super().setUp()
        self.group = os.path.basename(self.place)  # Nobody else has this name.
        self.addCleanup(remove_cgroups, self.group)
        self.addCleanup(lambda: subprocess.run([
            *self.around, 'sh', '-c', f'rmdir /sys/fs/cgroup/*/{self.group} 2>/dev/null'],
                                               check=False))

    def lives(self, resources):
        """A container from create to delete; returns what it has printed before it sleeps."""
        self.assertEqual(self.create({
            '/linux/cgroupsPath': f'/{self.group}/it', '/linux/namespaces': [{'type': 'mount'}],
            '/mounts+': {'destination': '/cg', 'type': 'cgroup', 'options': ['ro']},
            '/process/args': ['sh', '-c', SLEEP],
            **{'/linux/resources/' + key: value for key, value in resources.items()}}), (0, ''))
        self.assertEqual(self.status(), 'created')
        self.assertEqual(self.oci('start it'), (0, ''))
        self.assertTrue(testing.eventually(
            lambda: 'end' in testing.contents(self.place + '/out')))
        self.assertEqual(self.status(), 'running')
        testing.write(self.place + '/process.json',
                      '{"cwd": "/", "args": ["true"], "env": ["PATH=/bin"]}')
        self.assertEqual(self.oci(f'exec --process {self.place}/process.json it')[0], 0)
        self.assertEqual(self.oci('pause it'), (0, ''))
        self.assertEqual(self.status(), 'paused')
        self.assertEqual(self.oci('resume it'), (0, ''))
        self.assertEqual(self.status(), 'running')
        self.assertEqual(self.oci('kill --all it KILL'), (0, ''))
        self.assertTrue(testing.eventually(lambda: self.status() == 'stopped'))
        self.assertEqual(self.oci('delete it'), (0, ''))
        for place in hierarchies()[0]:
            self.assertFalse(os.path.exists(f'{place}/{self.group}/it'))
        return testing.contents(self.place + '/out')

    @unittest.skipIf(IS_V2, 'this machine has no cgroup v1')
    def test_only_v1(self):
        if IS_HYBRID:
            self.on(WITHOUT_V2)
        text = self.lives({'memory': {'limit': 1 << 26}, 'pids': {'limit': 33}})
        self.assertEqual(re.findall(r'^\d+$', text, re.M), ['33', '67108864', '1'])
        self.assertIn('/tmp/disk: Operation not permitted', text)

    @unittest.skipUnless(IS_V2 or IS_HYBRID, 'this machine has no cgroup v2')
    def test_only_v2(self):
        limits = {}
        if IS_V2:
            limits = {'memory': {'limit': 1 << 26}, 'pids': {'limit': 33}}
        else:  # Of its controllers, v1 has the most.
            self.on(WITHOUT_V1)
            status, text = self.create({'/linux/resources/memory': {'limit': 1 << 26}})
            self.assertEqual((status, text),
                             (125, 'oci: cgroups(7): no cgroup here has a file '
                                   'memory.limit_in_bytes or memory.max\n'))
        text = self.lives(limits)
        self.assertEqual(re.findall(r'^\d+$', text, re.M),
                         ['33', '67108864', '1'] if limits else ['1'])
        self.assertIn('/tmp/disk: Operation not permitted', text)


if __name__ == '__main__':
    testing.main()
