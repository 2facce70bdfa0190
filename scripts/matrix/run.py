"""Runs the attacks: makes a host for each cell, has it attacked there, and tidies up."""

import contextlib
import ctypes
import fcntl
import glob
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback

from matrix import attacks
from matrix.attacked import (
    BROKEN, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS, MS_PRIVATE,
    MS_SHARED, SECRET, USER, Cell, DeferSigterm, Host, add_key, call, die_with_parent, make_disk,
    read, share_mounts)
from matrix.attacks import ROWS, STEPS

TIMEOUT_SECONDS = 30  # For one attack, on a slow machine too.


def play(place, who, step, attack):
    """In a process of its own: makes a host, and has it attacked."""
    os.setsid()
    signal.signal(signal.SIGTERM, DeferSigterm.hear)
    signal.signal(signal.SIGHUP, lambda *_: None)  # When a terminal goes.

    def give_up(*_):
        raise TimeoutError(f'no answer in {TIMEOUT_SECONDS} seconds')
    signal.signal(signal.SIGALRM, give_up)
    call('unshare', CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET)
    share_mounts(MS_PRIVATE)
    share_mounts(MS_SHARED)  # As systemd does, so that one that spreads is seen.
    socket.sethostname('host')
    signal.alarm(TIMEOUT_SECONDS)
    try:
        return ROWS[attack].run(Host(place, who, step, attack, ROWS[attack].step))
    except (OSError, subprocess.SubprocessError, KeyError) as error:
        return Cell(who, step[:2], attack, BROKEN, '', '', f'{type(error).__name__}: {error}', '')


def play_in_child(place, who, step, attack, answer):
    status = 1
    try:
        die_with_parent()
        cell = play(place, who, step, attack)
        os.write(answer, json.dumps(cell).encode())
        status = 0
    except Exception:  # pylint: disable=broad-except
        traceback.print_exc()
    finally:
        os._exit(status)


def run_cell(place, who, step, attack):
    """PID 1: has a cell played, and ends whatever is left of it."""
    if os.getpid() != 1:
        sys.exit('matrix: kill(2) with -1 is only for PID 1 of our own')
    result, answer = os.pipe()
    player = None
    try:
        player = os.fork()
        if player == 0:
            os.close(result)
            play_in_child(place, who, step, attack, answer)
        os.close(answer)
        with os.fdopen(result, 'rb') as file:
            text = file.read()
        os.waitpid(player, 0)
    except SystemExit:  # Let it tidy up.
        if player:
            os.kill(player, signal.SIGTERM)
            os.waitpid(player, 0)
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # All but us, and we are PID 1.
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()
    if not text:
        return Cell(who, step[:2], attack, BROKEN, '', '', 'the host ended', '')
    return Cell(*json.loads(text))


LAST_PID = '/proc/sys/kernel/ns_last_pid'


def take_high_numbers():
    """Our processes are not to have the numbers of others' outside: the name of a
    container's cgroup is made of one. Returns the first."""
    most = int(read('/proc/sys/kernel/pid_max'))
    first = random.randrange(most // 2, most - 6000)
    try:
        with open(LAST_PID, 'w', encoding='ascii') as file:
            file.write(str(first))
    except OSError:
        return None
    return first


def remove_cgroups(first):
    """Those that a step has left, if it was killed or is wrong."""
    if first is None:
        return
    numbers = range(first, int(read(LAST_PID)) + 1)
    for group in glob.glob('/sys/fs/cgroup/**/box-*', recursive=True):
        number = group.rpartition('-')[2]
        # The second group for a number has 1 << 22 more in its name.
        if number.isdigit() and int(number) % (1 << 22) in numbers:
            print(f'matrix: a step has left {group}', file=sys.stderr)
            with contextlib.suppress(OSError):
                os.rmdir(group)


def run_matrix(place, options, report):
    """PID 1 of the host's PID namespace."""
    share_mounts(MS_PRIVATE)
    call('mount', b'proc', b'/proc', b'proc', ctypes.c_ulong(0), None)
    call('mount', b'secret', os.path.dirname(SECRET).encode(), b'tmpfs', ctypes.c_ulong(0),
         b'mode=755')
    with open(SECRET, 'w', encoding='ascii') as file:
        file.write('secret-' + secrets.token_hex(8))
    first = take_high_numbers()
    attacks.DISK = make_disk(place + '/disk', read(SECRET))
    try:
        add_key('probe', 'x')
    except OSError as error:
        attacks.KEYS = f'no keyrings here ({error})'
    try:
        for who in options.who:
            for attack in options.probe:
                for step in options.step:
                    if who == 'user' and step < '03':
                        continue  # chroot takes root, and clone with CLONE_NEWPID.
                    reason = (ROWS[attack].lacks(who, step[:2]) or
                              (USERS if who == 'user' else None))
                    cell = run_cell(place, who, step, attack)
                    report.write(json.dumps(cell._replace(not_decided=reason)) + '\n')
                    report.flush()
    finally:
        remove_cgroups(first)


# Why an ordinary user can have no user namespace here.
USERS = None


def lacks_users():
    """Tries it with other programs than ours."""
    result = subprocess.run(
        ['unshare', '--user', '--map-root-user', 'true'], user=USER, group=USER,
        extra_groups=[], stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode == 0:
        return None
    return 'an ordinary user may make no user namespace here: ' + result.stderr.strip()


def furnish(place, build):
    """Puts together what the cells need, where an ordinary user can get to it."""
    os.chmod(place, 0o755)
    rootfs = next((path for path in (build + '/rootfs', build + '/../rootfs')
                   if os.path.isdir(path)), None)
    if rootfs is None:
        sys.exit('matrix: nothing to run in; make rootfs')
    for step in STEPS:
        program = os.environ.get('STEP_' + step[:2], f'{build}/{step}')
        if not os.path.exists(program) or not os.path.exists(f'{build}/probe-{step}'):
            sys.exit(f'matrix: {step} or its probe is not built; make matrix does it')
        shutil.copy(program, f'{place}/{step}')
    for who, uid in (('root', 0), ('user', USER)):
        tree = f'{place}/rootfs-{who}'
        subprocess.run(['cp', '-ax', rootfs, tree], check=True)
        for step in STEPS:
            shutil.copy(f'{build}/probe-{step}', f'{tree}/bin')
        subprocess.run(['chown', '-Rh', f'{uid}:{uid}', tree], check=True)


def run_all(options):
    """Cells, each with why it is not to be compared, if so. This process stays
    outside, and tidies up: what is inside ends with PID 1 there."""
    global USERS
    USERS = lacks_users()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    place = tempfile.mkdtemp(prefix=f'matrix.{os.getpid()}.', dir='/tmp')
    # So scripts/reset knows it as ours, and sees that it is in use.
    with open(place + '/.box-leftover', 'x', encoding='ascii',
              opener=lambda path, flags: os.open(path, flags, 0o600)) as mark:
        mark.write(os.path.basename(place) + '\n')
    fcntl.flock(os.open(place, os.O_RDONLY), fcntl.LOCK_SH)
    cells = []
    guard = None
    try:
        furnish(place, options.build)
        result, report = os.pipe()
        guard = os.fork()
        if guard == 0:
            os.close(result)
            run_guard(place, options, report)
        os.close(report)
        with os.fdopen(result, encoding='utf-8') as file:
            for line in file:
                cells.append(Cell(*json.loads(line)))
                if sys.stderr.isatty():
                    print(f'\r{len(cells)} cells', end='\r', file=sys.stderr)
        if os.waitpid(guard, 0)[1] != 0:
            sys.exit('matrix: the host could not be made, or ended')
        guard = None
    finally:
        if guard:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(guard, signal.SIGTERM)
                os.waitpid(guard, 0)
        shutil.rmtree(place)
    return cells


def run_guard(place, options, report):
    """The parent of PID 1: itself still in the PID namespace outside."""
    status = 1
    try:
        os.setsid()  # A ^C is for who tidies up, and that one passes it on.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        die_with_parent()
        call('unshare', CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET)
        first = os.fork()
        if first == 0:
            die_with_parent()
            with os.fdopen(report, 'w', encoding='utf-8') as file:
                run_matrix(place, options, file)
            status = 0
            os._exit(status)
        os.close(report)

        def pass_on(*_):
            os.kill(first, signal.SIGTERM)
        signal.signal(signal.SIGTERM, pass_on)
        ended = os.waitpid(first, 0)[1]
        if os.WIFSIGNALED(ended):
            print(f'matrix: the host was killed by signal {os.WTERMSIG(ended)}',
                  file=sys.stderr)
        status = 0 if ended == 0 else 1
    except Exception:  # pylint: disable=broad-except
        traceback.print_exc()
    finally:
        os._exit(status)
