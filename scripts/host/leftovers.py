"""What a text leaves on its host: nothing, if it cleans up. See scripts/texts/sandbox.py."""

import collections
import contextlib
import glob
import os
import re
import shutil
import socket
import stat
import subprocess
import time

from texts import sandbox, sources

OWN = ['/tmp', '/var/tmp', '/run', '/home', '/root', '/dev/shm', '/etc', f'{sandbox.SCRATCH}/rootfs-*']
BUILT = {'.git', 'build', '__pycache__'}  # Somebody may build meanwhile.
TOOLS = {'mount /run/netns', 'file /run/netns', 'file /run/runc'}  # Theirs, and empty by then.


def files(top, without=()):
    """All that is below a directory, up to the next mount point."""
    for place, directories, others in os.walk(top):
        directories[:] = [name for name in directories if name not in without]
        yield from (os.path.join(place, name) for name in directories + others)
        directories[:] = [name for name in directories
                          if not os.path.ismount(os.path.join(place, name))]


def own_files():
    """Those that nobody else has to do with; what has changed is another one."""
    for top in (top for pattern in OWN for top in glob.glob(pattern)):
        for path in files(top):
            with contextlib.suppress(FileNotFoundError):
                if path.startswith(('/etc/', sandbox.SCRATCH)):
                    about = os.lstat(path)
                    size = f', {about.st_size} bytes' if stat.S_ISREG(about.st_mode) else ''
                    path += f' ({stat.filemode(about.st_mode)}, user {about.st_uid}{size})'
                yield path


def mounts():
    """The mount point, the type and the options of each."""
    for line in sources.read('/proc/self/mounts').splitlines():
        yield line.split()[1:4]


def cgroups(words):
    """Of ours, those that go by one of these words, or by a number as our programs give it. On v1
    there is a tree per controller."""
    for top in (point for point, kind, _ in mounts() if kind in ('cgroup', 'cgroup2')):
        for place, _, _ in os.walk(top):
            name = os.path.basename(place)
            if name in words or (name.startswith('box-') and sandbox.Numbers.has(name[4:])):
                yield place


def processes():
    """Those that have not ended."""
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            state = sources.read(f'/proc/{pid}/stat').rpartition(') ')[2][0]
            command = sources.read(f'/proc/{pid}/cmdline').replace('\0', ' ').strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in 'ZX':
            yield command


def printed(command):
    if shutil.which(command.split()[0]):
        yield from subprocess.run(command.split(), stdout=subprocess.PIPE, text=True, check=False,
                                  stderr=subprocess.DEVNULL).stdout.splitlines()


def shared():
    """Of System V: shared memory, message queues, semaphores."""
    for kind in ('shm', 'msg', 'sem'):
        for line in sources.read(f'/proc/sysvipc/{kind}').splitlines()[1:]:
            yield f'{kind} {line.split()[1]}'


def settings():
    for name in ('kernel/hostname', 'kernel/domainname', 'net/ipv4/ip_forward'):
        yield f'{name} = ' + sources.read(f'/proc/sys/{name}').strip()


def traces(words, with_cgroups):
    """What is on this host, each with its kind, and how often. Of the trees that are others',
    too, only what goes by one of these words, or by a name that our programs give."""
    def ours(path):
        name = os.path.basename(path)
        return name.startswith('box-') or name in words
    kinds = {
        'file': [*own_files(), *filter(ours, files(sandbox.PLACE, BUILT))],
        'cgroup': cgroups(words if with_cgroups else ()),
        'process': processes(),
        'mount': (f'{point} ({options})' if point in OWN else point for point, _, options in mounts()),
        'interface': (name for _, name in socket.if_nameindex()),
        'address': printed('ip -o addr'),
        'route': printed('ip route show table all'),
        'rule': [*printed('ip rule'), *printed('nft list ruleset')],
        'System V': shared(),
        'setting': settings(),
    }
    every = (f'{kind} {name}' for kind, names in kinds.items() for name in names)
    return collections.Counter(trace for trace in every if trace not in TOOLS)


def remove_cgroups(found):
    """Or else who runs the text again would find them."""
    places = [trace.partition(' ')[2] for trace in found if trace.startswith('cgroup ')]
    for place in sorted(places, reverse=True):
        with contextlib.suppress(OSError):
            os.rmdir(place)


@contextlib.contextmanager
def watched(script):
    """Puts into a list what the commands have left and taken away, a line for each."""
    words = set(re.findall(r'[\w.-]+', '\n'.join(
        line for command in script.commands for line in command.typed)))
    with_cgroups = sandbox.uses_cgroups(script)
    before, found, ended = traces(words, with_cgroups), [], False
    try:
        yield found
        ended = True
    finally:
        for _ in range(100 if ended else 10):  # Who is on a terminal that closes takes a moment to end.
            now = traces(words, with_cgroups)
            if now == before:
                break
            time.sleep(0.05)
        remove_cgroups(now - before)
        found += [f'leaves a trace: {trace}' for trace in sorted(now - before)]
        found += [f'takes away: {trace}' for trace in sorted(before - now)]
