"""The system calls that make a host out of a process: namespaces(7), mounts, and a process that
ends with its parent."""

import collections
import contextlib
import ctypes
import fcntl
import glob
import os
import platform
import re
import signal
import socket
import struct
import time

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWUSER = 0x20000000, 0x40000000, 0x10000000
MS_RDONLY, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC = 1, 4, 32, 0x1000, 0x4000
MS_PRIVATE, MS_SHARED = 1 << 18, 1 << 20
# Flags of a mount that have the same number in statvfs(3).
KEPT_FLAGS = os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC | os.ST_NOATIME | os.ST_NODIRATIME
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
# The numbers of these calls are the same on all machines.
SYS_OPEN_TREE, SYS_MOVE_MOUNT, SYS_MOUNT_SETATTR = 428, 429, 442
AT_FDCWD, AT_EMPTY_PATH, AT_NO_AUTOMOUNT = -100, 0x1000, 0x800
OPEN_TREE_CLONE, MOVE_MOUNT_F_EMPTY_PATH = 1, 4
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NODEV, MOUNT_ATTR_IDMAP = 1, 4, 0x100000
MNT_DETACH, PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 2, 1, 36
Mount = collections.namedtuple('Mount', 'number root point options kind source super_options')


def call(name, *arguments):
    """Calls a function of the C library that sets errno; OSError if it fails."""
    result = getattr(LIBC, name)(*arguments)
    if result == -1:
        errno = ctypes.get_errno()
        raise OSError(errno, f'{name}: {os.strerror(errno)}')
    return result


def unshare(flags):
    """unshare(2)."""
    call('unshare', flags)


def mount(source, target, kind, flags, options=None):
    """mount(2)."""
    words = [word and os.fsencode(word) for word in (source, target, kind)]
    call('mount', *words, ctypes.c_ulong(flags), options and os.fsencode(options))


def bind(source, target, flags=0):
    """Shows a file or a directory at another path, too."""
    mount(source, target, None, MS_BIND | flags)


def make_read_only(point):
    """A mount, not its file system: it stays writable elsewhere. Its other flags stay."""
    mount(None, point, None,
          MS_REMOUNT | MS_BIND | MS_RDONLY | os.statvfs(point).f_flag & KEPT_FLAGS)


def copy_mount(point, attributes, users=0):
    """A descriptor of a copy of a mount, with some of MOUNT_ATTR_* and, if these have
    MOUNT_ATTR_IDMAP, with the ids of its files as a user namespace maps them. The copy is at no
    place yet."""
    copy = call('syscall', SYS_OPEN_TREE, AT_FDCWD, os.fsencode(point),
                OPEN_TREE_CLONE | os.O_CLOEXEC | AT_NO_AUTOMOUNT)
    try:
        wanted = struct.pack('QQQQ', attributes, 0, 0, users)  # A struct mount_attr.
        call('syscall', SYS_MOUNT_SETATTR, copy, b'', AT_EMPTY_PATH, wanted, len(wanted))
    except OSError:
        os.close(copy)
        raise
    return copy


def place_mount(copy, point):
    """Shows a copy of a mount at a place."""
    call('syscall', SYS_MOVE_MOUNT, copy, b'', AT_FDCWD, os.fsencode(point),
         MOVE_MOUNT_F_EMPTY_PATH)
    os.close(copy)


def pivot_root(new):
    """Makes a mount the root; no mount of the old root is left."""
    os.chdir(new)
    call('pivot_root', b'.', b'.')
    unmount('.')
    os.chdir('/')


def unmount(point):
    """Takes a mount away, also if a process uses it."""
    call('umount2', os.fsencode(point), MNT_DETACH)


def spread_mounts(how):
    """How all mounts spread to other namespaces from now on: MS_PRIVATE or MS_SHARED."""
    mount(None, '/', None, MS_REC | how)


def set_up_loopback():
    """lo of a new network namespace is down: see netdevice(7)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack('16sH14x', b'lo', IFF_UP))


def die_with_parent():
    """The kernel kills this process when its parent ends."""
    call('prctl', PR_SET_PDEATHSIG, signal.SIGKILL)


def new_session_keyring():
    """The keys of the caller's session are out of reach: see keyctl(2), whose number depends on the
    machine."""
    call('syscall', {'x86_64': 250, 'aarch64': 219}[platform.machine()], 1, None)


def adopt_orphans():
    """Processes below whose parent ends become children of this process."""
    call('prctl', PR_SET_CHILD_SUBREAPER, 1)


def outlive_children(seconds):
    """Waits until all children have ended, also those that were adopted. After so many seconds,
    kills those that it is permitted to kill. Gives up after twice the time."""
    start = time.monotonic()
    with contextlib.suppress(ChildProcessError):
        while (late := time.monotonic() - start) < 2 * seconds:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                for path in glob.glob('/proc/self/task/*/children') if late > seconds else ():
                    with open(path, encoding='ascii') as file:
                        for pid in map(int, file.read().split()):
                            with contextlib.suppress(PermissionError, ProcessLookupError):
                                os.kill(pid, signal.SIGKILL)
                time.sleep(0.02)


def mounts():
    """Those of this process: see proc_pid_mountinfo(5)."""
    def unescaped(path):
        return re.sub(r'\\([0-7]{3})', lambda found: chr(int(found[1], 8)), path)
    with open('/proc/self/mountinfo', encoding='utf-8', errors='surrogateescape') as file:
        for line in file:
            before, after = [part.split(' ') for part in line.rstrip('\n').split(' - ', 1)]
            yield Mount(before[0], unescaped(before[3]), unescaped(before[4]), before[5], *after)
