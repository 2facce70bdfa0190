"""What can be left behind on a host, in one list, and what is other than before. Also what marks a
directory as ours, and the high numbers of our processes, for what has a place on the machine."""

import contextlib
import fcntl
import os
import random
import re
import shutil
import subprocess
import tempfile
import time

from host import namespaces
from host.limits import GRACE, read, write

OWN = re.compile(r'(msg|sem|shm|domainname$)')  # In /proc/sys/kernel, what a host has for itself.
COUNTERS = re.compile(r'_count$')  # They change by themselves.


# ---- The list ------------------------------------------------------------------

def ipc():
    """System V's, and message queues: ipcs(1), mq_overview(7)."""
    for kind in ('msg', 'sem', 'shm'):
        with contextlib.suppress(FileNotFoundError):
            for line in read(f'/proc/sysvipc/{kind}').splitlines()[1:]:
                yield ' '.join([kind, *line.split()[:2]])
    for mount in namespaces.mounts():
        if mount.kind == 'mqueue' and os.path.ismount(mount.point):  # Else it is covered.
            yield from ('queue ' + name for name in os.listdir(mount.point))


def printed(command, typed=None):
    """Lines of a program. Where there is no such program, nobody has used it either."""
    if shutil.which(command.split()[0]):
        out = subprocess.run(command.split(), input=typed, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True, check=False).stdout
        yield from (' '.join(line.split()) for line in out.splitlines())


def links():
    """Interfaces of the network."""
    return (line.split(':')[0].strip() for line in read('/proc/net/dev').splitlines()[2:])


def routes():
    """And addresses; and which table of routes is asked."""
    for family in '46':
        yield from printed(f'ip -o -{family} -batch -', 'address\nroute show table all\nrule\n')


def mounts():
    """By their numbers, because the same place might be mounted twice."""
    return (f'{mount.number} {mount.point} ({mount.options})' for mount in namespaces.mounts())


def processes():
    """Those that have not ended, but for PID 1."""
    for pid in os.listdir('/proc'):
        with contextlib.suppress(OSError):
            if pid.isdigit() and pid != '1' and \
                    read(f'/proc/{pid}/stat').rpartition(') ')[2][0] not in 'ZX':
                yield f'{pid} ' + read(f'/proc/{pid}/cmdline').replace('\0', ' ').strip()


def settings():
    """Of sysctl(8), those that a host has for itself."""
    for top in ('net', 'user', 'fs/mqueue', 'kernel'):
        for path, _, names in os.walk('/proc/sys/' + top):
            for name in names:
                if COUNTERS.search(name) or (top == 'kernel' and not OWN.match(name)):
                    continue
                with contextlib.suppress(OSError, UnicodeError):
                    yield f'{path}/{name} = {read(f"{path}/{name}").strip()}'


KINDS = {'IPC': ipc, 'a link': links, 'a mount': mounts, 'a process': processes,
         'a route': routes, 'a rule': lambda: printed('nft list ruleset'), 'a setting': settings,
         'the name': lambda: [os.uname().nodename]}


# ---- Then and now --------------------------------------------------------------

class Look:
    """What is on a host at a moment, and what has changed since. Which files and cgroups are looked
    at, the host says: `find_files` and `find_cgroups`."""

    def __init__(self, find_files, find_cgroups):
        self.kinds = {'a file': find_files, 'a cgroup': find_cgroups, **KINDS}
        self.before = self.now()

    def now(self):
        """For each kind, what there is."""
        return {kind: set(find()) for kind, find in self.kinds.items()}

    def changes(self, seconds=GRACE, meanwhile=lambda: None):
        """Lines: what was left behind, and what was taken away. The kernel needs a moment to end a
        process, and a link ends with its namespace; so something that changes back within these
        seconds is no change."""
        give_up = time.monotonic() + seconds
        while True:
            now = self.now()
            left, gone = list(only_in(now, self.before)), list(only_in(self.before, now))
            if not left + gone or time.monotonic() > give_up:
                return left, gone
            meanwhile()
            time.sleep(0.02)


def only_in(some, others):
    """What is in the first of two looks only, a line each."""
    for kind, found in some.items():
        names = {name_of(one) for one in others[kind]}
        for one in sorted(found - others[kind]):
            if kind in ('a mount', 'a process'):
                one = one.partition(' ')[2]
            # A module of the kernel that is loaded brings settings of its own.
            if kind != 'a setting' or name_of(one) in names:
                yield f'{kind}, {printable(one)}'


def name_of(setting):
    """Without its value."""
    return setting.partition(' = ')[0]


def printable(text, most=200):
    """What programs call themselves might be anything: none of it moves the cursor."""
    return ''.join(letter if letter.isprintable() else '?' for letter in text[:most])


# ---- On the machine ------------------------------------------------------------

@contextlib.contextmanager
def held_directory(prefix, place=None):
    """A new directory, removed in the end. A mark in it tells scripts/reset that it is ours, and a
    lock that it is in use."""
    with tempfile.TemporaryDirectory(prefix=prefix, dir=place) as directory:
        with open(directory + '/.box-leftover', 'x', encoding='ascii',
                  opener=lambda path, flags: os.open(path, flags, 0o600)) as mark:
            mark.write(os.path.basename(directory) + '\n')
        held = os.open(directory, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_SH)
        try:
            yield directory
        finally:
            os.close(held)


class Numbers:
    """Those of the processes in a PID namespace of ours. A container's cgroup is named after one,
    and stands in the machine's tree: so ours are high, and others' are hardly ever the same."""
    PATH = '/proc/sys/kernel/ns_last_pid'
    first = 0

    @classmethod
    def take(cls):
        """From now on."""
        most = int(read('/proc/sys/kernel/pid_max'))
        with contextlib.suppress(OSError):  # A kernel without it gives small ones.
            first = random.randrange(most // 2, most // 4 * 3)
            write(cls.PATH, str(first))
            cls.first = first

    @classmethod
    def has(cls, number):
        """Whether a process of ours might have had this number."""
        if not cls.first:
            return True
        # The second cgroup for a number has 1 << 22 more in its name.
        return number.isdigit() and cls.first <= int(number) % (1 << 22) <= int(read(cls.PATH))

    @classmethod
    def cgroups(cls, words=()):
        """The cgroups of our containers, and those with one of these names. On v1 there is a tree
        for each controller."""
        for point in {mount.point for mount in namespaces.mounts()
                      if mount.kind in ('cgroup', 'cgroup2')}:
            for path, _, _ in os.walk(point):
                name = os.path.basename(path)
                if name in words or name.startswith('box-') and cls.has(name[4:]):
                    yield path
