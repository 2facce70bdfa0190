"""What a text leaves on its host: nothing, if it cleans up. See scripts/sandbox.py."""

import collections
import os
import re
import shutil
import socket
import subprocess
import time

import markdown

FILES = ['/tmp', '/var/tmp', '/run', '/home', '/root', '/dev/shm', '/dev/mqueue']
BUILT = {'.git', 'build', '__pycache__'}  # Somebody may build meanwhile.
TOOLS = {'file /run/netns', 'mount /run/netns', 'file /run/runc'}  # Theirs, and empty by then.
SYSTEMDS = re.compile(r'\.(slice|scope|service|socket|mount)$')


def files(top, without=()):
    """All that is below a directory, up to the next mount point."""
    for place, directories, others in os.walk(top):
        directories[:] = [name for name in directories if name not in without]
        yield from (os.path.join(place, name) for name in directories + others)
        directories[:] = [name for name in directories
                          if not os.path.ismount(os.path.join(place, name))]


def mounts():
    """The mount point and the type of each."""
    for line in markdown.read('/proc/self/mounts').splitlines():
        yield line.split()[1:3]


def cgroups():
    """But for systemd's, which come and go. On v1 there is a tree per controller."""
    for top in (point for point, kind in mounts() if kind in ('cgroup', 'cgroup2')):
        for place, directories, _ in os.walk(top):
            directories[:] = [name for name in directories if not SYSTEMDS.search(name)]
            yield from (os.path.join(place, name) for name in directories)


def processes():
    """Those that have not ended."""
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            state = markdown.read(f'/proc/{pid}/stat').rpartition(') ')[2][0]
            command = markdown.read(f'/proc/{pid}/cmdline').replace('\0', ' ').strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in 'ZX':
            yield command


def firewall():
    if shutil.which('nft'):
        yield from subprocess.run(['nft', 'list', 'ruleset'], stdout=subprocess.PIPE, text=True,
                                  check=True).stdout.splitlines()


def shared():
    """Of System V: shared memory, message queues, semaphores."""
    for kind in ('shm', 'msg', 'sem'):
        for line in markdown.read(f'/proc/sysvipc/{kind}').splitlines()[1:]:
            yield f'{kind} {line.split()[1]}'


def traces(repository):
    """What is on this host, each with its kind, and how often."""
    kinds = {
        'file': [path for top in FILES for path in files(top)] + [
            path for top, without in ((repository, BUILT), (f'{repository}/build/rootfs', ()))
            for path in files(top, without)],
        'cgroup': cgroups(),
        'process': processes(),
        'mount': (point for point, _ in mounts()),
        'interface': (name for _, name in socket.if_nameindex()),
        'firewall': firewall(),
        'System V': shared(),
        'host name': [os.uname().nodename],
        'ip_forward': markdown.read('/proc/sys/net/ipv4/ip_forward').split(),
    }
    every = (f'{kind} {name}' for kind, names in kinds.items() for name in names)
    return collections.Counter(trace for trace in every if trace not in TOOLS)


def changes(before, repository):
    """What has been left and what has been taken away since `before`, a line for each."""
    for _ in range(100):  # Five seconds: who is on a terminal that closes takes a moment to end.
        now = traces(repository)
        if now == before:
            break
        time.sleep(0.05)
    return ([f'leaves a trace: {trace}' for trace in sorted(now - before)] +
            [f'takes away: {trace}' for trace in sorted(before - now)])
