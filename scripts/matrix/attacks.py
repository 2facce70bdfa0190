"""The attacks: what each is given, and what is looked at from the host. The words for them stand in
steps/matrix.json."""

import collections
import contextlib
import fcntl
import glob
import os
import signal
import subprocess
import termios

from matrix.attacked import SECRET, USER, add_key, listen, make_segment, pids, read, status_of
from texts.sources import TOP

STEPS = sorted(os.path.basename(os.path.dirname(path))
               for path in glob.glob(glob.escape(TOP) + '/steps/*/main.cpp'))
DISK = None  # The loop device's descriptor.
KEYS = None  # Why there are none.
Row = collections.namedtuple('Row', 'step run lacks')
ATTACKS = {}


def attack(step, lacks=lambda who, step: None):
    """Adds an attack of the probe of a step, named like its function. `lacks` says why this host
    cannot decide a cell."""
    def add(function):
        full = next(name for name in STEPS if name.startswith(step))
        ATTACKS[function.__name__] = Row(full, function, lacks)
        return function
    return add


@attack('01')
def path(host):
    return host.tells(SECRET)


@attack('02')
def processes(host):
    host.victim()

    def look(line):
        hit = host.name in line.split()
        return hit, f'its process {host.name} ' + ('listed' if hit else 'not listed')
    return host.run('', look)


@attack('02')
def kill(host):
    pid, lives = host.victim()

    def look(_):
        dead = not lives()
        return dead, f'its process {pid} ' + ('killed' if dead else 'alive')
    return host.run(pid, look)


def lacks_disk(_who, _step):
    return None if DISK is not None else 'there is no free loop device here'


@attack('03', lacks_disk)
def mknod(host):
    if DISK is None:
        raise OSError('no disk to try it on')
    number = os.fstat(DISK).st_rdev
    return host.tells(f'{os.major(number)}:{os.minor(number)}')


@attack('03')
def owner(host):
    def look(_):
        pid = host.attacker()
        for root in (f'/proc/{pid}/root', host.rootfs):
            with contextlib.suppress(OSError):
                uid = os.stat(f'{root}/tmp/{host.name}').st_uid
                return uid == 0, f'the file, owned by user {uid}'
        return False, 'no file'
    return host.run(host.name, look)


@attack('03')
def setting(host):
    file, value = '/proc/sys/kernel/msgmax', '12345'

    def look(_):
        now = read(file).strip()
        return now == value, f'{file} is {now}'
    return host.run(value, look)


@attack('04')
def hostname(host):
    def look(_):
        now = os.uname().nodename
        return now == host.name, f'its own name is {now}'
    return host.run(host.name, look)


@attack('05')
def chroot2(host):
    return host.tells(SECRET)


@attack('05')
def unmount(host):
    return host.tells(SECRET)


@attack('05')
def mount(host):
    def look(_):
        seen = f' {host.name} ' in read('/proc/self/mountinfo')
        return seen, f'{host.name} ' + ('in' if seen else 'not in') + ' its mount table'
    return host.run(host.name, look)


@attack('05')
def image(host):
    def look(_):
        names = [f'{directory}/{host.name}' for directory in ('', '/tmp')]
        found = [name for name in names if os.path.lexists(host.rootfs + name)]
        return bool(found), f'{found[0]} in its image' if found else 'its image untouched'
    return host.run(host.name, look)


@attack('05')
def stream(host):
    kept, files = 'kept\n', [f'{host.place}/{host.name}.{name}' for name in ('in', 'log')]
    for file in files:
        with open(file, 'w', encoding='ascii') as opened:
            opened.write(kept)
        if host.who == 'user':
            os.chown(file, USER, USER)
        os.chmod(file, 0o644)

    def look(_):
        def is_changed(file):
            return not read(file).startswith(kept) or os.stat(file).st_mode & 0o7777 != 0o644
        changed = [name for name, file in zip(('input', 'error'), files) if is_changed(file)]
        saw = ' and '.join(f'the file that is standard {name}' for name in changed)
        return bool(changed), f'{saw} changed' if changed else 'its files as they were'
    with open(files[0], encoding='ascii') as given, open(files[1], 'a', encoding='ascii') as log:
        return host.run('', look, stdin=given, stderr=log)


@attack('06')
def interfaces(host):
    subprocess.run(['ip', 'link', 'add', host.name, 'type', 'veth', 'peer', 'name',
                    host.name + 'p'], check=True)

    def look(line):
        hit = host.name in line.split()
        return hit, f'its interface {host.name} ' + ('listed' if hit else 'not listed')
    return host.run('', look)


@attack('06')
def localhost(host):
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    return host.tells(listen(('127.0.0.1', 0), host.secret)[1])


@attack('06')
def abstract(host):
    listen('\0' + host.name, host.secret)
    return host.tells(host.name)


@attack('07')
def memory(host):
    mebibytes = 256

    def look(_):
        most = max(int(status_of(pid).get('VmRSS', '0 kB').split()[0])
                   for pid in pids()) >> 10
        hit = most >= mebibytes
        return hit, ('256 MiB or more' if hit else 'less') + ' in one process'
    return host.run(mebibytes, look)


@attack('08')
def shm(host):
    return host.tells(make_segment(host.secret))


@attack('08')
def fork(host):
    most = 300

    def look(_):
        number = len([pid for pid in pids() if status_of(pid)])
        return number > most, ('more' if number > most else 'less') + ' than 300 processes'
    return host.run(most, look)


def lacks_keys(_who, _step):
    return KEYS


@attack('08', lacks_keys)
def key(host):
    add_key(host.name, host.secret)
    return host.tells(host.name)


def lacks_tiocsti(who, step):
    with contextlib.suppress(OSError):
        if read('/proc/sys/dev/tty/legacy_tiocsti').strip() == '0' and (
                who == 'user' or '03' <= step < '08'):
            return 'the kernel itself refuses it: dev.tty.legacy_tiocsti is 0'
    return None


@attack('08', lacks_tiocsti)
def tiocsti(host):
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSCTTY, 0)
    os.set_blocking(its, False)
    text = 'echo ' + host.name

    def look(_):
        typed = ''
        with contextlib.suppress(BlockingIOError):
            typed = os.read(its, 4096).decode().strip()
        os.write(ours, b'\x04')  # ^D: 08 has read the terminal's lines for a pipe.
        return typed == text, f'{len(typed)} characters waiting to be read'
    try:
        return host.run(text, look, stdin=its)
    finally:
        os.close(ours)


@attack('08')
def descriptor(host):
    leak = os.open(os.path.dirname(SECRET), os.O_RDONLY | os.O_DIRECTORY)
    return host.tells(os.path.basename(SECRET), descriptors=(leak,))


@attack('08')
def userns(host):
    def depth(pid):
        """How many user namespaces stand between a process and ours."""
        number = 0
        namespace = os.open(f'/proc/{pid}/ns/user', os.O_RDONLY)
        ours = os.stat('/proc/self/ns/user').st_ino
        while os.fstat(namespace).st_ino != ours:
            namespace = fcntl.ioctl(namespace, 0xb702)  # NS_GET_PARENT
            number += 1
        return number

    def look(_):
        return False, f'the probe {depth(host.attacker())} user namespaces below its own'
    return host.run('', look)


@attack('08')
def group(host):
    pid, _ = host.victim()

    def look(_):
        pending = int(status_of(pid)['ShdPnd'], 16) >> (signal.SIGURG - 1) & 1
        return bool(pending), f'its process {pid} ' + ('signalled' if pending else 'left in peace')
    return host.run('', look)
