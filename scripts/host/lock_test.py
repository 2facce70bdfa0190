#!/usr/bin/python3
"""Tests that root of the throw-away host cannot write what is the machine's. Ends with a line that
sums all.

  needs   root, else all are skipped
"""

import os
import shlex
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from host import limits, lock, testing

HOST = 'scripts/host/host'
HANDLE = '''
import ctypes, os, sys
libc = ctypes.CDLL(None)
handle = ctypes.create_string_buffer((128).to_bytes(4, sys.byteorder), 256)
if libc.name_to_handle_at(-100, sys.argv[1].encode(), handle, ctypes.byref(ctypes.c_int()), 0) == 0:
    for place in ('/', os.path.dirname(sys.argv[1])):
        file = libc.open_by_handle_at(os.open(place, os.O_RDONLY), handle, os.O_WRONLY)
        if file >= 0:
            os.write(file, b'x')
            print('through')
'''
PARENT = '''
import fcntl, os
with open('/proc/self/ns/user') as users:
    parent = fcntl.ioctl(users, 0xb702)  # NS_GET_PARENT
os.setns(parent, 0)
print('through')
'''
MODULE = '''
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
if libc.init_module(None, 0, b'') == 0 or ctypes.get_errno() in (errno.EFAULT, errno.ENOEXEC):
    print('through')
'''


def python(code, argument=''):
    return f'python3 -c {shlex.quote(code)} {argument}'


# What root of a host may try to write "$file" of the project, in the directory "$top", or to change
# the machine. Each says "through" if it succeeds, and does no harm then.
WAYS = {
    'it writes': 'echo x >$file && echo through',
    'the mount is made writable': 'mount -o remount,bind,rw $top; echo x >$file && echo through',
    'the file system is made writable': 'mount -o remount,rw $top; echo x >$file && echo through',
    'the root is made writable': 'mount -o remount,bind,rw / && echo through',
    'another mount shows it':
        '''mount --rbind / /mnt; mount -o remount,bind,rw /mnt$top
        echo x >/mnt$file && echo through''',
    'a mount shows what is below the others':
        'mount --bind / /mnt; mount -o remount,bind,rw /mnt; echo x >/mnt$file && echo through',
    'a mount shows a directory': '''mount --bind ${file%/*} /mnt
        mount -o remount,bind,rw /mnt; echo x >/mnt/${file##*/} && echo through''',
    'the mount is taken away': 'umount -l $top; echo x >$file && echo through',
    'all mounts are taken away': 'umount -l -R $top /; echo x >$file && echo through',
    'the mount is moved': '''mount --make-rprivate /; mount --move $top /mnt
        mount -o remount,bind,rw /mnt; echo x >/mnt${file#$top} && echo through''',
    'a new mount table':
        'unshare -m sh -c "mount -o remount,bind,rw $top; echo x >$file && echo through"',
    'another user namespace':
        'unshare -Urm sh -c "mount -o remount,bind,rw $top; echo x >$file && echo through"',
    'an overlay': '''place=${file%/*}
        mount -t overlay o /mnt -o lowerdir=/etc,upperdir=$place,workdir=$place && echo through''',
    'the owner of the file writes':
        'setpriv --reuid $(stat -c %u $file) --clear-groups sh -c "echo x >$file" && echo through',
    'a handle of the file': python(HANDLE, '$file'),
    'what PID 1 has open':
        '''for way in /proc/1/fd/* /proc/1/cwd /proc/1/root; do
        echo x >$way/$up$file && echo through; done''',
    'what processes outside have open': '''umount /proc; umount /proc; for way in /proc/[0-9]*; do
        for end in fd/3 fd/4 cwd root; do echo x >$way/$end/$up$file && echo through; done; done''',
    'the mount table of another process': '''umount /proc; for table in /proc/[0-9]*/ns/mnt; do
        nsenter --mount=$table sh -c "mount -o remount,bind,rw $top; echo x >$file && echo through"
        done''',
    'the user namespace above': python(PARENT),
    'a device file of the disk': 'mknod /tmp/disk b $disk && head -c1 /tmp/disk && echo through',
    'a device file of the machine':
        'for zero in /srv/zero ${file%/*}/zero; do head -c1 $zero >/tmp/x && echo through; done',
    'all device files': '''mount -t devtmpfs d /mnt && echo through
        for device in $(find /dev -type b); do echo through; done''',
    'another file system': 'for kind in debugfs tracefs configfs; do '
                           'mount -t $kind d /mnt && echo through; done',
    'a loop device': 'truncate -s 1M /tmp/x; losetup --find /tmp/x && echo through',
    'a module': python(MODULE),
    'who gets the cores': '''cat /proc/sys/kernel/core_pattern >/tmp/x
        cat /tmp/x >/proc/sys/kernel/core_pattern && echo through''',
    'the setting in the /proc below': '''umount /proc; cat /proc/sys/kernel/core_pattern >/tmp/x
        cat /tmp/x >/proc/sys/kernel/core_pattern && echo through''',
    'a key of the console': 'echo h >/proc/sysrq-trigger && echo through',
    'a program of the kernel': '''cat /sys/kernel/uevent_helper >/tmp/x
        cat /tmp/x >/sys/kernel/uevent_helper && echo through''',
    'more memory and processes': '''for file in $(find /sys/fs/cgroup -maxdepth 2 |
        grep -E "/(memory.max|memory.limit_in_bytes|pids.max)$"); do
        cat $file >/tmp/x; cat /tmp/x >$file && echo through; done''',
    'another hierarchy of cgroups': '''for name in devices freezer cpuset; do
        mount -t cgroup -o $name c /mnt && mkdir /mnt/x-$$ && echo through && rmdir /mnt/x-$$
        umount /mnt; done''',
    'the clock': 'date -s "$(date)" && echo through',
    'the priority of the kernel': 'echo -1000 >/proc/self/oom_score_adj && echo through',
}


def is_through(test, way, host=HOST):
    """Whether root of a host wrote what is the machine's."""
    test.must('mount -o remount,bind,rw /')  # As on the machine.
    test.addCleanup(test.must, 'mount -o remount,bind,ro /')
    place = os.path.abspath(tempfile.mkdtemp(prefix='lock-test-', dir='build'))
    test.addCleanup(shutil.rmtree, place)
    os.chmod(place, 0o755)
    testing.write(place + '/file', 'mine\n')
    for zero in ('/srv/zero', place + '/zero'):
        test.must(f'mknod -m 666 {zero} c 1 5')
        test.addCleanup(os.remove, zero)
    disk = os.stat('.').st_dev
    settings = {'top': testing.TOP, 'file': place + '/file', 'up': '../' * 30,
                'disk': f'{os.major(disk)} {os.minor(disk)}'}
    words = ' '.join(f'{name}={shlex.quote(value)}' for name, value in settings.items())
    result = testing.shell(f'{host} env {words} sh -c {shlex.quote(way)}')
    return 'through' in result.out or testing.contents(place + '/file') != 'mine\n'


@testing.needs_root
@unittest.skipUnless(limits.is_tmpfs_enough(), 'it needs Linux 6.6')
class Ways(testing.OnAHost):
    """One method for each way: see below."""


for number, name in enumerate(WAYS):
    def method(self, words=name):
        """One way."""
        self.assertFalse(is_through(self, WAYS[words]), words)
    setattr(Ways, f'test_{name.replace(" ", "_")}_and_does_not_come_through', method)


@testing.needs_root
class Locked(testing.OnAHost):
    def test_without_the_lock_ways_are_open(self):
        """So the tests above can fail."""
        for name in ('the root is made writable', 'the mount is taken away', 'a handle of the file',
                     'a device file of the machine', 'who gets the cores'):
            self.assertTrue(is_through(self, WAYS[name], HOST + ' --no-limits'), name)
            self.doCleanups()

    def test_a_file_system_whose_ids_cannot_be_mapped_is_told(self):
        self.assertIsNone(lock.make_users(['/proc']))


if __name__ == '__main__':
    testing.main()
