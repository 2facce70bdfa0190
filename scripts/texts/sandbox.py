"""The host on which the texts are run. It has a separate name, network, processes, home directory
and files. It ends with the program, and needs root.
"""

import contextlib
import fcntl
import glob
import os
import re
import shutil
import signal
import stat
import subprocess
import sys

from host import leftovers, namespaces
from host.namespaces import CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS
from texts import reading, shells, sources
from texts.sources import TOP

PROGRAM = os.path.abspath(sys.argv[0])  # Before a change of the directory.
HOME = '/home/you'
PLACE = HOME + '/containers'  # The folder of the project in the texts.
USER = 1000
FIRST_ID = 231072  # The steps use 100000.
INSIDE = 'DOCS_SCRATCH'  # Set in the environment of programs on that host.
SCRATCH = '/run/host'  # The path of that directory on that host.
# Directories that are empty on that host, each with its mode.
COVERED = {'/tmp': '1777', '/var/tmp': '1777', '/dev/shm': '1777', '/home': '755', '/root': '700'}
WATCHED = [*COVERED, '/run', '/etc', f'{SCRATCH}/rootfs-*']  # Only the texts write there.
BUILT = {'.git', 'build', '__pycache__'}  # A build can run meanwhile.


def outside(path):
    """The path on that host of a file in the machine's /run or /tmp, because that host has
    others."""
    return f'{SCRATCH}/outside{path}' if INSIDE in os.environ else path


def run(*words):
    subprocess.run(words, check=True)


def write(path, text):
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def make_etc(scratch):
    """Makes a copy of the whole /etc, with an ordinary user in it. (A mount over a single file
    would end when a program on the machine replaces the file, as useradd(8) does.)"""
    for _ in range(20):  # A program can replace a file meanwhile, as useradd(8) does.
        copy = subprocess.run(['cp', '-a', '/etc', scratch], check=False, stderr=subprocess.PIPE,
                              text=True)
        if copy.returncode == 0:
            break
    else:
        raise OSError(copy.stderr.strip())
    for name, line in (('passwd', f'you:x:{USER}:{USER}::{HOME}:/bin/bash\n'),
                       ('group', f'you:x:{USER}:\n')):
        others = [known for known in sources.read(f'/etc/{name}').splitlines(True)
                  if known.split(':')[2] != str(USER)]
        write(f'{scratch}/etc/{name}', ''.join(others) + line)
    for name in ('subuid', 'subgid'):  # The ids for containers of the ordinary user.
        write(f'{scratch}/etc/{name}', f'you:{FIRST_ID}:65536\n')
    namespaces.bind(f'{scratch}/etc', '/etc')


def open_tun(scratch):
    """Lets all users open /dev/net/tun, as udev does on most systems."""
    if os.path.exists('/dev/net/tun'):
        node = f'{scratch}/tun'
        os.mknod(node, stat.S_IFCHR, os.stat('/dev/net/tun').st_rdev)
        os.chmod(node, 0o666)
        namespaces.bind(node, '/dev/net/tun')


def forget_mounts_of_others(scratch):
    """Unmounts what is mounted in directories that the new host replaces, for example the name of
    an ip-netns(8). If the machine removed the file below such a mount, the mount would end here,
    too, and a text would seem to have removed it."""
    for point in reversed([mount.point for mount in namespaces.mounts()]):
        covered = any(point.startswith(f'{place}/') for place in (*COVERED, '/run'))
        if covered and not any(f'{path}/'.startswith(f'{point}/') for path in (TOP, scratch)):
            with contextlib.suppress(OSError):  # Another mount covers it.
                namespaces.unmount(point)


def bind_directory(source, path):
    """Mounts a directory at a second path, which can be new."""
    os.makedirs(path, exist_ok=True)
    namespaces.bind(source, path)


def make_host(scratch):
    """Makes that host in our new namespaces, with its name, network and files."""
    leftovers.Numbers.take()
    forget_mounts_of_others(scratch)
    if facts()['Linux 6.6']:  # For speed. An older tmpfs cannot hold an image.
        namespaces.mount('scratch', scratch, 'tmpfs', 0, 'mode=755')
    run('hostname', 'host')
    run('ip', 'link', 'set', 'lo', 'up')
    for owner in (0, USER):
        run('cp', '-ax', f'{TOP}/build/rootfs', f'{scratch}/rootfs-{owner}')
        run('chown', '-Rh', f'{owner}:{owner}', f'{scratch}/rootfs-{owner}')
    make_etc(scratch)
    open_tun(scratch)
    write(f'{scratch}/bashrc', shells.SETTINGS)
    for path, shown in ((TOP, 'top'), ('/run', 'outside/run'), ('/tmp', 'outside/tmp')):
        bind_directory(path, f'{scratch}/{shown}')
    namespaces.mount('run', '/run', 'tmpfs', 0, 'mode=755')  # For ip-netns(8), runc.
    # The programs that make these directories leave them behind.
    for place in ('/run/crun', '/run/mount', '/run/netns', '/run/runc', SCRATCH):
        os.makedirs(place)
    namespaces.bind('/run/netns', '/run/netns')
    namespaces.bind(scratch, SCRATCH, namespaces.MS_REC)
    for path, mode in COVERED.items():
        namespaces.mount('files', path, 'tmpfs', 0, f'mode={mode}')
    if not os.path.exists(TOP):  # A tmpfs covers it, and our scripts read it.
        bind_directory(f'{SCRATCH}/top', TOP)
    os.makedirs(PLACE, exist_ok=True)
    os.chown(HOME, USER, USER)
    namespaces.bind(f'{SCRATCH}/top', PLACE)
    namespaces.bind(f'{SCRATCH}/rootfs-0', f'{PLACE}/build/rootfs')
    namespaces.spread_mounts(namespaces.MS_SHARED)  # As systemd does.
    namespaces.make_read_only('/')  # All other files belong to the machine.


def users_path(path):
    """The PATH that Debian gives to an ordinary user. It lacks /usr/sbin."""
    return ':'.join(place for place in path.split(':') if not place.endswith('sbin'))


def shell_words(scratch, sign, term=None):
    """How to start a shell on that host, of root or of an ordinary user: its words and its
    environment. `term` is the terminal of a person who types by hand."""
    os.chdir(PLACE)
    words = shells.host_shell(f'{scratch}/bashrc', term)
    if sign == '#':
        return words, shells.host_environment('/root', term)
    # An ordinary user owns another rootfs.
    inside = (f'mount --bind {scratch}/rootfs-{USER} {PLACE}/build/rootfs && '
              f'mount --make-rshared / && cd {PLACE} && '
              f'exec setpriv --reuid {USER} --regid {USER} --init-groups "$@"')
    return (['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', inside, 'sh'] + words,
            shells.host_environment(HOME, term, users_path(os.environ['PATH'])))


def setting(name, without):
    """The value of a setting of the kernel, or `without` if the kernel has no such setting."""
    with contextlib.suppress(FileNotFoundError):
        return sources.read(f'/proc/sys/{name}').strip()
    return without


def facts():
    """The kinds of host that a block can name, and whether this host is of each kind."""
    on_v1 = any(mount.kind == 'cgroup' and 'memory' in mount.super_options.split(',')
                for mount in namespaces.mounts())
    tools = {name: shutil.which(name) for name in
             ('bwrap', 'crun', 'keyctl', 'newuidmap', 'pasta', 'runc', 'skopeo', 'slirp4netns',
              'umoci')}
    kernel = tuple(map(int, re.findall(r'\d+', os.uname().release)[:2]))
    return {'': True, 'cgroup v1': on_v1, 'cgroup v2': not on_v1, **tools,
            'TIOCSTI': setting('dev/tty/legacy_tiocsti', '1') == '1',
            'io_uring': setting('kernel/io_uring_disabled', '0') == '0',
            'cgroup v2 and crun': tools['crun'] and not on_v1,
            'Linux 6.6': kernel >= (6, 6),
            'skopeo and umoci': tools['skopeo'] and tools['umoci']}


def ending():
    """The signals that end this program. A caller such as nohup(1) can make it ignore some of
    them."""
    return [number for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) != signal.SIG_IGN]


def leave(number, _):
    """Ends the program, so that each `finally` runs. Ignores later signals, because a terminal
    that is closed might send two."""
    for other in ending():
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def enter():
    """Makes this process, which is PID 1 of a new namespace, ready for make_host()."""
    namespaces.die_with_parent()
    namespaces.unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC)
    namespaces.spread_mounts(namespaces.MS_PRIVATE)
    namespaces.mount('proc', '/proc', 'proc', os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC)


@contextlib.contextmanager
def entered():
    """Runs what is below it on such a host, and the program up to here twice. The first time, the
    program stays outside, starts itself on that host, and ends as that one does.

    A signal waits until somebody handles it, because it is blocked from here on. The inner program
    unblocks it when it can tidy up, and the outer program when it has somebody to tell."""
    if INSIDE in os.environ:
        for number in ending():  # An init ignores signals without a handler.
            signal.signal(number, leave)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ending())
        make_host(os.environ[INSIDE])
        os.chdir(PLACE)
        yield SCRATCH
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, ending())
    with leftovers.held_directory('docs.') as scratch:
        os.chmod(scratch, 0o755)
        try:
            namespaces.unshare(CLONE_NEWPID)
        except OSError as error:
            sys.exit(f'no host can be made for the text: {error.strerror}')
        with subprocess.Popen([sys.executable, PROGRAM] + sys.argv[1:], preexec_fn=enter,
                              env={**os.environ, INSIDE: scratch}) as inner:
            for number in ending():
                signal.signal(number, lambda number, _: inner.send_signal(number))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ending())
            status = inner.wait()
            signal.pthread_sigmask(signal.SIG_BLOCK, ending())
    sys.exit(status if status >= 0 else 128 - status)


@contextlib.contextmanager
def cgroups_for(script):
    """Locks the tree of cgroups, because it belongs to the machine, and two texts would make
    groups of the same names. (The groups of a container have a number in their names.)"""
    if not uses_cgroups(script):
        yield
        return
    tree = os.open('/sys/fs/cgroup', os.O_RDONLY)
    try:
        fcntl.flock(tree, fcntl.LOCK_EX)
        yield
    finally:
        os.close(tree)


def uses_cgroups(script):
    return any('cgroup' in line for command in script.commands for line in command.typed)


def run_commands(script, scratch):
    """Yields each command of a transcript, the lines that it printed, and the fault in them. A
    command for another kind of host yields None and ''. The caller has locked the cgroups."""
    terminals = reading.Terminals(lambda sign: shells.Shell(*shell_words(scratch, sign)))
    here, today = facts(), reading.Reading(script, terminals)
    try:
        for command in script.commands:
            if command.condition not in here:
                yield command, None, f'no such kind of host: {command.condition}'
            elif not here[command.condition]:
                yield command, None, ''
            else:
                try:
                    yield command, *today.run(command)
                except shells.Failure as error:
                    yield command, None, f'{error}\nThe rest is not run.'
                    return
    finally:
        terminals.close()


# ---- What a text leaves ----------------------------------------------------------

def files(top, without=()):
    """All files below a directory, but not those below another mount point."""
    for place, directories, others in os.walk(top):
        directories[:] = [name for name in directories if name not in without]
        yield from (os.path.join(place, name) for name in directories + others)
        directories[:] = [name for name in directories
                          if not os.path.ismount(os.path.join(place, name))]


def watched_files(words):
    """Those that nobody else has to do with; where there were files before, one that has changed
    is another one. In the project, which others write to, those with one of these names, or with a
    name that our programs give."""
    for top in (top for pattern in WATCHED for top in glob.glob(pattern)):
        for path in files(top):
            with contextlib.suppress(FileNotFoundError):
                if path.startswith(('/etc/', SCRATCH)):
                    about = os.lstat(path)
                    size = f', {about.st_size} bytes' if stat.S_ISREG(about.st_mode) else ''
                    path += f' ({stat.filemode(about.st_mode)}, user {about.st_uid}{size})'
                yield path
    for path in files(PLACE, BUILT):
        if os.path.basename(path).startswith('box-') or os.path.basename(path) in words:
            yield path


@contextlib.contextmanager
def watched(script):
    """Yields a list, to which it adds a line for each file or process that the commands left or
    removed."""
    words = set(re.findall(r'[\w.-]+', '\n'.join(
        line for command in script.commands for line in command.typed)))
    names_of_cgroups = words if uses_cgroups(script) else ()

    def find_cgroups():
        return leftovers.Numbers.cgroups(names_of_cgroups)
    look = leftovers.Look(lambda: watched_files(words), find_cgroups)
    found, seconds = [], 0.5
    try:
        yield found
        seconds = leftovers.GRACE
    finally:
        left, gone = look.changes(seconds)
        for place in sorted(set(find_cgroups()) - look.before['a cgroup'], reverse=True):
            with contextlib.suppress(OSError):  # The next run of the text would find it.
                os.rmdir(place)
        found += [f'leaves a trace: {trace}' for trace in left[:20]]
        found += [f'leaves {len(left) - 20} more traces'] if len(left) > 20 else []
        found += [f'takes away: {trace}' for trace in gone]
