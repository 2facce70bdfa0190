"""Makes root of the throw-away host another user than root of the machine, and the mounts of the
machine read-only for good.

Root of the throw-away host is root of a user namespace, and has the id ROOT on the machine. So it
has no capability over the machine, and the machine's files of root do not belong to it. The mounts
were made outside of this namespace, so the kernel does not let it change their flags or take one
away: see mount_namespaces(7). The ids of their files are mapped, so what belongs to root on the
machine is shown as root's.
"""

import contextlib
import os
import signal
import stat

from host import namespaces
from host.limits import write
from host.namespaces import (CLONE_NEWUSER, MOUNT_ATTR_IDMAP, MOUNT_ATTR_NODEV, MOUNT_ATTR_RDONLY)

# What root is on the machine: no user there has this id, or one of the 1 << 30 from here on.
ROOT = 1 << 31
MAP = f'0 {ROOT} {1 << 30}\n'
LOCKED = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV
PR_SET_DUMPABLE = 4
DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty']


def make_users(places):
    """The descriptor of such a user namespace. None if the ids of the files at these places cannot
    be mapped, because of the kernel or of the file system."""
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            namespaces.unshare(CLONE_NEWUSER)
            os.write(tell, b'.')
            signal.pause()
        os._exit(1)
    os.close(tell)
    try:
        os.read(ready, 1)
        for kind in 'ug':
            write(f'/proc/{child}/{kind}id_map', MAP)
        users = os.open(f'/proc/{child}/ns/user', os.O_RDONLY)
        for place in places:
            os.close(namespaces.copy_mount(place, MOUNT_ATTR_IDMAP, users))
        return users
    except OSError:
        return None
    finally:
        os.close(ready)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def make_dev(dev):
    """Makes a /dev with the harmless devices, and no other one of the machine."""
    namespaces.mount('dev', dev, 'tmpfs', 0, 'mode=755')
    for name in DEVICES:
        device = os.stat('/dev/' + name).st_rdev
        os.mknod(f'{dev}/{name}', stat.S_IFCHR | 0o666, device)
        os.chmod(f'{dev}/{name}', 0o666)
    for name, target in (('fd', '/proc/self/fd'), ('stdin', 'fd/0'), ('stdout', 'fd/1'),
                         ('stderr', 'fd/2'), ('ptmx', 'pts/ptmx')):
        os.symlink(target, f'{dev}/{name}')
    for name, kind, options in (('pts', 'devpts', 'newinstance,ptmxmode=666,mode=620'),
                                ('mqueue', 'mqueue', None), ('shm', 'tmpfs', None)):
        os.mkdir(f'{dev}/{name}')
        namespaces.mount(kind, f'{dev}/{name}', kind, 0, options)


def lock_mounts(new, users):
    """Makes `new` the root, and shows the mounts of the machine there. /proc and /dev are new."""
    kinds = {mount.point: mount.kind for mount in namespaces.mounts()}
    for point in sorted(kinds):
        if point.startswith(('/proc/', '/dev/')) or not os.path.exists(point):
            continue
        if point == '/dev':
            make_dev(new + point)
        elif point == '/proc':
            namespaces.mount('proc', new + point, 'proc', 0)
        else:
            place_locked(point, new, kinds[point], users)
    namespaces.pivot_root(new)


def place_locked(point, new, kind, users):
    """Shows a mount, read-only, with mapped ids if its file system can map them."""
    if kind in ('sysfs', 'cgroup', 'cgroup2'):  # Root finds no file of its own there.
        copy = namespaces.copy_mount(point, 0)
    else:
        try:
            copy = namespaces.copy_mount(point, LOCKED | MOUNT_ATTR_IDMAP, users)
        except OSError:
            copy = namespaces.copy_mount(point, LOCKED)
    namespaces.place_mount(copy, new + point.rstrip('/'))


def own_id(number):
    """The id on the machine for one of a file, whether its mount maps ids or not."""
    return number if number >= ROOT else ROOT + number


def open_way(path):
    """Lets every user walk to a place, also through a directory that maps no ids. Where there is an
    overlay, that is in memory only."""
    while path != '/':
        path = os.path.dirname(path)
        with contextlib.suppress(OSError):
            os.chmod(path, os.stat(path).st_mode & 0o7777 | 0o111)


def become_root(users):
    """Becomes root of the user namespace. An open directory would lead out of it, through
    /proc/PID/fd, so all are closed."""
    namespaces.call('setns', users, CLONE_NEWUSER)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    with contextlib.suppress(KeyError, OSError):  # Not all kernels have keys.
        namespaces.new_session_keyring()
    os.closerange(3, os.sysconf('SC_OPEN_MAX'))
    namespaces.call('prctl', PR_SET_DUMPABLE, 1)  # Else its files in /proc belong to another user.


def give(directory):
    """Lets root of the user namespace make cgroups below this one, but not change its limits."""
    for name in ('', '/cgroup.procs', '/cgroup.threads', '/cgroup.subtree_control', '/tasks'):
        with contextlib.suppress(FileNotFoundError):
            os.chown(directory + name, ROOT, ROOT)
