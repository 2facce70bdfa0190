"""The attacks: what each tries, and what is looked at from the host."""

import collections
import contextlib
import fcntl
import glob
import os
import signal
import subprocess
import termios

from matrix.attacked import SECRET, USER, add_key, listen, make_segment, pids, read, status_of

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
STEPS = sorted(os.path.basename(os.path.dirname(path))
               for path in glob.glob(glob.escape(TOP) + '/steps/*/main.cpp'))
DISK = None  # The loop device's descriptor.
KEYS = None  # Why there are none.
Row = collections.namedtuple('Row', 'attack step label why run lacks')
ROWS = {}


def row(step, label, why, lacks=lambda who, step: None):
    """Adds an attack, named like its function. `lacks` says why this host cannot
    decide a cell."""
    def add(function):
        full = next(name for name in STEPS if name.startswith(step))
        ROWS[function.__name__] = Row(function.__name__, full, label, why, function, lacks)
        return function
    return add


@row('01', 'finds a host file by its name',
     'The kernel looks up a path from the root directory of the process, and 01 sets another root '
     'directory. chroot(2) does nothing else; see `chroot2`.')
def path(host):
    return host.tells(SECRET)


@row('02', 'sees the host\'s processes',
     '02 makes a new PID namespace, and mounts a procfs that shows only this namespace. In 03 and '
     '04, the container has no right to mount a procfs (see 03), so it sees no process. From 05 '
     'on, the container has a procfs again.')
def processes(host):
    host.victim()

    def look(line):
        hit = host.name in line.split()
        return hit, f'its process {host.name} ' + ('listed' if hit else 'not listed')
    return host.run('', look)


@row('02', 'kills a process of the host',
     'From 02 on, the container is in a new PID namespace. The processes of the host have no PID '
     'in this namespace, so kill(2) cannot name them.')
def kill(host):
    pid, lives = host.victim()

    def look(_):
        dead = not lives()
        return dead, f'its process {pid} ' + ('killed' if dead else 'alive')
    return host.run(pid, look)


def lacks_disk(_who, _step):
    return None if DISK is not None else 'no loop device to be had here'


@row('03', 'makes a device node and reads the disk',
     'mknod(2) of a device needs CAP_MKNOD in the host\'s user namespace, and from 03 on, root in '
     'the container lacks this capability. So 05 cannot make /dev/null either, and bind-mounts '
     'the host\'s.', lacks_disk)
def mknod(host):
    if DISK is None:
        raise OSError('no disk to try it on')
    number = os.fstat(DISK).st_rdev
    return host.tells(f'{os.major(number)}:{os.minor(number)}')


@row('03', 'makes a file that the host\'s root owns',
     'From 03 on, root in the container is user 100000 of the host, or the ordinary user who '
     'started the container. From 05 on, the file is in a tmpfs, and not on the host\'s disk.')
def owner(host):
    def look(_):
        pid = host.attacker()
        for root in (f'/proc/{pid}/root', host.rootfs):
            with contextlib.suppress(OSError):
                uid = os.stat(f'{root}/tmp/{host.name}').st_uid
                return uid == 0, f'the file, owned by user {uid}'
        return False, 'no file'
    return host.run(host.name, look)


@row('03', 'changes a setting of the kernel',
     '03 and 04 have no /proc/sys. From 05 on, the files in /proc/sys belong to root of the host, '
     'so the kernel refuses the write. In 08, root in the container could change the settings of '
     'its new IPC namespace, so 08 makes /proc/sys read-only.')
def setting(host):
    file, value = '/proc/sys/kernel/msgmax', '12345'

    def look(_):
        now = read(file).strip()
        return now == value, f'{file} is {now}'
    return host.run(value, look)


@row('04', 'sets the host name',
     'In 03, root in the container has no rights in the host\'s UTS namespace. 04 makes a new UTS '
     'namespace, so root in the container can set a name there. 08 drops the capability for this '
     '(CAP_SYS_ADMIN), because few programs need it.')
def hostname(host):
    def look(_):
        now = os.uname().nodename
        return now == host.name, f'its own name is {now}'
    return host.run(host.name, look)


@row('05', 'leaves by a second chroot',
     'chroot(2) does not change the working directory, so in 01 to 04 a second chroot(2) leads to '
     'the host\'s files. From 05 on, the mount table contains only the container\'s mounts, '
     'because of pivot_root(2) and umount2(2).')
def chroot2(host):
    return host.tells(SECRET)


@row('05', 'unmounts its root to reach the host\'s files',
     'The attack unmounts /, which could hide the root of the mount table. Then it joins its mount '
     'namespace again with setns(2), and so gets the root of the mount table as its root directory. '
     'In 01 and 02, this is the / of the host. In 03 and 04, the attack has no right to join this '
     'namespace. From 05 on, it gets the rootfs, because of pivot_root(2). 08 forbids setns(2).')
def unmount(host):
    return host.tells(SECRET)


@row('05', 'makes a mount that the host sees',
     'In 03 and 04, the mount table belongs to the host, so the kernel refuses mount(2). 05 makes '
     'a new mount table, and the host does not see the mounts in it. 08 forbids mount(2) in the '
     'container, because mount(2) reaches much kernel code, which can have bugs.')
def mount(host):
    def look(_):
        seen = f' {host.name} ' in read('/proc/self/mountinfo')
        return seen, f'{host.name} ' + ('in' if seen else 'not in') + ' its mount table'
    return host.run(host.name, look)


@row('05', 'writes to the image',
     '01 to 04 run in the image itself. In 03 and 04, root in the container can write to the files '
     'of one host user, to whom its id is mapped. It can also write to files that all users can '
     'write to, for example in /tmp. From 05 on, an overlay writes all changes to a tmpfs.')
def image(host):
    def look(_):
        names = [f'{directory}/{host.name}' for directory in ('', '/tmp')]
        found = [name for name in names if os.path.lexists(host.rootfs + name)]
        return bool(found), f'{found[0]} in its image' if found else 'its image untouched'
    return host.run(host.name, look)


@row('05', 'changes a host file given as stdin or stdout',
     'A process needs no path for an open file. In 01 to 04, a process can empty a file that was '
     'opened for appending. A process that owns the file can also make it set-user-ID. If '
     'the caller opened the file only for reading, a process can open /proc/self/fd/0 for writing. '
     'From 05 on, the container gets pipes, and the parent copies the bytes.')
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


@row('06', 'sees the host\'s interfaces',
     'In 01 to 05, the container is in the host\'s network namespace. 06 makes a new network '
     'namespace, which has separate interfaces.')
def interfaces(host):
    subprocess.run(['ip', 'link', 'add', host.name, 'type', 'veth', 'peer', 'name',
                    host.name + 'p'], check=True)

    def look(line):
        hit = host.name in line.split()
        return hit, f'its interface {host.name} ' + ('listed' if hit else 'not listed')
    return host.run('', look)


@row('06', 'connects to the host\'s 127.0.0.1',
     'Each network namespace has a separate 127.0.0.1. From 06 on, the container is in a new '
     'network namespace, so only servers of the container answer at this address.')
def localhost(host):
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    return host.tells(listen(('127.0.0.1', 0), host.secret)[1])


@row('06', 'connects to an abstract socket of the host',
     'An abstract socket (unix(7)) has no path, so neither chroot(2) nor pivot_root(2) hides it. '
     'Its name belongs to a network namespace, and 06 is the first step that makes a new one.')
def abstract(host):
    listen('\0' + host.name, host.secret)
    return host.tells(host.name)


@row('07', 'eats 256 MiB of memory',
     'In 07 and 08, the kernel kills the process at 64 MiB. The ordinary user in this test has no '
     'delegated cgroup, so 07 runs only with `--memory none`, and 08 prints that the container '
     'has no limit.')
def memory(host):
    mebibytes = 256

    def look(_):
        most = max(int(status_of(pid).get('VmRSS', '0 kB').split()[0])
                   for pid in pids()) >> 10
        hit = most >= mebibytes
        return hit, ('256 MiB or more' if hit else 'less') + ' in one process'
    return host.run(mebibytes, look)


@row('08', 'reads shared memory of the host',
     '01 to 07 are in the host\'s IPC namespace, so they can read System V shared memory '
     '(sysvipc(7)) that all users can read. 08 makes a new IPC namespace, which is empty.')
def shm(host):
    return host.tells(make_segment(host.secret))


@row('08', 'has 300 processes at once',
     '08 permits 256 processes with the pids controller. If an ordinary user without a delegated '
     'cgroup starts 08, 08 sets RLIMIT_NPROC (setrlimit(2)) instead.')
def fork(host):
    most = 300

    def look(_):
        number = len([pid for pid in pids() if status_of(pid)])
        return number > most, ('more' if number > most else 'less') + ' than 300 processes'
    return host.run(most, look)


def lacks_keys(_who, _step):
    return KEYS


@row('08', 'reads a secret in the caller\'s keyring',
     'A new namespace does not change the session keyring (keyrings(7)), so 01 to 07 inherit the '
     'caller\'s. 08 joins a new keyring, and its filter refuses system calls for keys.', lacks_keys)
def key(host):
    add_key(host.name, host.secret)
    return host.tells(host.name)


def lacks_tiocsti(who, step):
    with contextlib.suppress(OSError):
        if read('/proc/sys/dev/tty/legacy_tiocsti').strip() == '0' and (
                who == 'user' or '03' <= step < '08'):
            return 'the kernel itself refuses it: dev.tty.legacy_tiocsti is 0'
    return None


@row('08', 'types into the caller\'s terminal',
     'Up to 07, the terminal is the caller\'s, and a process can insert characters into the '
     'terminal\'s input. 08 makes a new terminal, and its filter refuses `TIOCSTI`. If '
     'dev.tty.legacy_tiocsti is 0 on the host, the kernel refuses `TIOCSTI` to ordinary users.',
     lacks_tiocsti)
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


@row('08', 'uses a descriptor that the caller left open',
     'chroot(2) and pivot_root(2) close no descriptor. 08 closes all descriptors except standard '
     'input, output and error. The row `stream` of the matrix is about these three.')
def descriptor(host):
    leak = os.open(os.path.dirname(SECRET), os.O_RDONLY | os.O_DIRECTORY)
    return host.tells(os.path.basename(SECRET), descriptors=(leak,))


@row('08', 'makes a new user namespace',
     'In a new user namespace, a process has all capabilities (see 03), so it can reach more '
     'kernel code. In 01 to 04, the kernel refuses a new user namespace, because after chroot(2) '
     'the root directory of the process is not the root of its mount table. 05 to 07 call '
     'pivot_root(2), so the kernel permits a new user namespace. The filter of 08 forbids it.')
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


@row('08', 'signals the caller\'s process group',
     'kill(2) with the PID 0 signals the whole process group of the sender, also its members in '
     'other PID namespaces. If root starts the container, the signal reaches the caller only in 01 '
     'and 02, because from 03 on the container has another user id. If an ordinary user starts the '
     'container, the signal reaches the caller up to 07. 08 starts a session with a new process '
     'group.')
def group(host):
    pid, _ = host.victim()

    def look(_):
        pending = int(status_of(pid)['ShdPnd'], 16) >> (signal.SIGURG - 1) & 1
        return bool(pending), f'its process {pid} ' + ('signalled' if pending else 'left in peace')
    return host.run('', look)
