"""What a program on the throw-away host can use at most, of memory, processes, disk and time. A
limit that cannot be set ends the run."""

import contextlib
import os
import subprocess
import sys
import time

from host import namespaces

DISK, SECONDS = '512M', 600
# The files of a limit and what is written to them, for each version of cgroups: the first file
# that exists is the one. See cgroups(7).
LIMITS = {
    'memory': {1: {'memory.limit_in_bytes': '2G'}, 2: {'memory.max': '2G'}},
    'swap': {1: {'memory.memsw.limit_in_bytes': '2G', 'memory.swappiness': '0'},
             2: {'memory.swap.max': '0'}},
    'processes': {1: {'pids.max': '1000'}, 2: {'pids.max': '1000'}}}
WANTED = {'memory', 'pids', 'cpu'}  # Controllers that a step wants.
GRACE = 5  # Seconds until a cgroup is empty whose processes were killed.


class Failure(Exception):
    """Why a limit cannot be set."""


def read(path):
    """The text of a file of the kernel's."""
    with open(path, encoding='utf-8', errors='surrogateescape') as file:
        return file.read()


def write(path, text):
    """Writes a text to a file of the kernel's."""
    with open(path, 'w', encoding='ascii') as file:
        file.write(text)


# ---- Cgroups -------------------------------------------------------------------

class Hierarchy:
    """A mounted hierarchy of cgroups. Below our cgroup in it, or where the controllers can be had,
    we make a cgroup, `made`, that the throw-away host sees as the root."""

    def __init__(self, point, version, own):
        self.point, self.version = point, version
        self.made = f'{self.parent(own)}/throwaway-{os.getpid()}'

    def parent(self, own):
        """In v2, it is one that hands its controllers down: see cgroups(7)."""
        while self.version == 2 and own:
            with contextlib.suppress(OSError):
                if 'memory' in read(f'{self.point}{own}/cgroup.subtree_control').split():
                    break
            own = own.rpartition('/')[0]
        if self.version == 2 and not own:
            hand_down(self.point)
        return self.point + own

    def make(self):
        """False if we cannot write to this hierarchy: then no program can leave anything in it,
        either. Of a hierarchy that is mounted twice, the first call makes it."""
        try:
            os.mkdir(self.made)
        except FileExistsError:
            pass
        except OSError:
            return False
        return True

    def limit(self, name):
        """Sets a limit; False if this hierarchy has no file for it."""
        for file, value in LIMITS[name][self.version].items():
            path = f'{self.made}/{file}'
            if os.path.exists(path):
                try:
                    write(path, value)
                except OSError as error:
                    raise Failure(f'{name}: {path}: {error.strerror}') from error
                return True
        return False

    def enter(self):
        """Shows what was made as the root."""
        namespaces.bind(self.made, self.point)

    def leaf(self):
        """In v2, only a cgroup without processes hands controllers down. So this process goes to a
        leaf."""
        if self.version == 2:
            os.makedirs(self.point + '/leaf', exist_ok=True)  # It may be mounted twice.
            write(self.point + '/leaf/cgroup.procs', '0')
            hand_down(self.point)

    def remove(self):
        """Of a hierarchy that is mounted twice, the first call removes it."""
        for _ in range(GRACE * 100):
            for path, _, _ in os.walk(self.made, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
            if not os.path.exists(self.made):
                return
            time.sleep(0.01)
        print(f'host: cannot remove {self.made}', file=sys.stderr)


def hand_down(directory):
    """Lets the cgroups below have all controllers that this one has."""
    with contextlib.suppress(OSError):
        for name in read(directory + '/cgroup.controllers').split():
            with contextlib.suppress(OSError):
                write(directory + '/cgroup.subtree_control', '+' + name)


def hierarchies():
    """Those that have a controller that a step wants; and the mount points of the others."""
    own = {}
    for line in read('/proc/self/cgroup').splitlines():
        _, names, path = line.split(':', 2)
        own[names] = path.rstrip('/')
    found, others = {}, []
    for mount in namespaces.mounts():
        if mount.kind not in ('cgroup', 'cgroup2'):
            continue
        version = 2 if mount.kind == 'cgroup2' else 1
        controllers = WANTED & set(mount.super_options.split(','))
        name = '' if version == 2 else next(
            (name for name in own if controllers & set(name.split(','))), None)
        if name not in own:
            others.append(mount.point)
            continue
        path, root = own[name], mount.root.rstrip('/')  # In a container, a mount may show a part.
        path = path[len(root):] if path.startswith(root) and '..' not in path else ''
        found[mount.point] = Hierarchy(mount.point, version, path)
    return list(found.values()), others


def has_swap():
    """Whether the machine writes memory to a disk."""
    return len(read('/proc/swaps').splitlines()) > 1


def limit_all(made):
    """Sets each limit of LIMITS in the cgroups that were made."""
    for name, files in LIMITS.items():
        found = [group.limit(name) for group in made]
        if not any(found) and (name != 'swap' or has_swap()):
            names = ' or '.join(sorted({file for version in files.values() for file in version}))
            raise Failure(f'{name}: no cgroup that can be made here has {names}; hint: make doctor')


# ---- Disk ----------------------------------------------------------------------

def is_tmpfs_enough():
    """Whether the file system of an image can be a tmpfs. Before Linux 6.6, a tmpfs keeps no
    user.* attributes, and an overlay needs these: see xattr(7)."""
    file = os.memfd_create('host')
    try:
        os.setxattr(file, 'user.box', b'x')
        return True
    except OSError:
        return False
    finally:
        os.close(file)


def mount_disk(point, size):
    """Mounts a file system in memory that holds `size` at most, or half of the memory if that is
    None. If no tmpfs will do, a limited one is ext4, in a file of a tmpfs."""
    try:
        with_size = size and is_tmpfs_enough()
        namespaces.mount('memory', point, 'tmpfs', 0, f'size={size}' if with_size else None)
        if size and not with_size:
            image = point + '/image'
            subprocess.run(['truncate', '--size', size, image], check=True)
            for words in (['mkfs.ext4', '-q', '-F', '-O', '^has_journal', image],
                          ['mount', '-t', 'ext4', '-o', 'loop', image, point]):
                subprocess.run(words, check=True, capture_output=True, text=True)
    except OSError as error:
        raise Failure(f'disk: {error}') from error
    except subprocess.CalledProcessError as error:
        raise Failure(f'disk: {error.cmd[0]}: {error.stderr.strip()}') from error
