"""Runs the attacks. Makes a host for each cell, runs the attack there, and removes the host."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import traceback

from host import leftovers
from host.namespaces import (
    CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS, MS_PRIVATE, MS_SHARED,
    die_with_parent, mount, spread_mounts, unshare)
from matrix import attacks
from matrix.attacked import (
    BROKEN, SECRET, USER, Cell, DeferSigterm, Host, add_key, make_disk, read)
from matrix.attacks import ROWS, STEPS

TIMEOUT_SECONDS = 30  # For one attack, on a slow machine too.


def play(place, who, step, attack, without):
    """Makes a host in a new process, and runs the attack."""
    os.setsid()
    signal.signal(signal.SIGTERM, DeferSigterm.hear)
    signal.signal(signal.SIGHUP, lambda *_: None)  # A closed terminal sends it.

    def give_up(*_):
        raise TimeoutError(f'no answer in {TIMEOUT_SECONDS} seconds')
    signal.signal(signal.SIGALRM, give_up)
    unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET)
    spread_mounts(MS_PRIVATE)
    spread_mounts(MS_SHARED)  # As systemd does, so that propagation shows.
    socket.sethostname('host')
    signal.alarm(TIMEOUT_SECONDS)
    try:
        return ROWS[attack].run(Host(place, who, step, attack, ROWS[attack].step, without))
    except (OSError, subprocess.SubprocessError, KeyError) as error:
        return Cell(who, step[:2], attack, BROKEN, '', '', f'{type(error).__name__}: {error}', '')


def play_in_child(answer, *what):
    status = 1
    try:
        die_with_parent()
        cell = play(*what)
        os.write(answer, json.dumps(cell).encode())
        status = 0
    except Exception:  # pylint: disable=broad-except
        traceback.print_exc()
    finally:
        os._exit(status)


def run_cell(place, who, step, attack, without):
    """PID 1 of a cell. Runs the attack, and kills the processes that are left."""
    if os.getpid() != 1:
        sys.exit('matrix: kill(2) with -1 is only for PID 1 of our own')
    result, answer = os.pipe()
    player = None
    try:
        player = os.fork()
        if player == 0:
            os.close(result)
            play_in_child(answer, place, who, step, attack, without)
        os.close(answer)
        with os.fdopen(result, 'rb') as file:
            text = file.read()
        os.waitpid(player, 0)
    except SystemExit:  # The other process must clean up.
        if player:
            os.kill(player, signal.SIGTERM)
            os.waitpid(player, 0)
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # All processes except PID 1, which we are.
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()
    if not text:
        return Cell(who, step[:2], attack, BROKEN, '', '', 'the host ended', '')
    return Cell(*json.loads(text))


def remove_cgroups():
    """Removes the cgroups that a step has left, because it was killed or has a bug."""
    if leftovers.Numbers.first:
        for group in sorted(leftovers.Numbers.cgroups(), reverse=True):
            print(f'matrix: a step has left {group}', file=sys.stderr)
            with contextlib.suppress(OSError):
                os.rmdir(group)


def run_matrix(place, options, report):
    """Makes what all cells need, and runs one cell after the other."""
    spread_mounts(MS_PRIVATE)
    mount('proc', '/proc', 'proc', 0)
    mount('secret', os.path.dirname(SECRET), 'tmpfs', 0, 'mode=755')
    with open(SECRET, 'w', encoding='ascii') as file:
        file.write('secret-' + secrets.token_hex(8))
    leftovers.Numbers.take()
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
                        continue  # chroot(2) needs root, and CLONE_NEWPID, too.
                    reason = (ROWS[attack].lacks(who, step[:2]) or
                              (USERS if who == 'user' else None))
                    for without in options.without:
                        cell = run_cell(place, who, step, attack, without)
                        report.write(json.dumps(cell._replace(
                            not_decided=reason, without=without)) + '\n')
                        report.flush()
    finally:
        remove_cgroups()


# Why an ordinary user cannot make a user namespace here.
USERS = None


def lacks_users():
    """Tries it with programs of the system."""
    result = subprocess.run(
        ['unshare', '--user', '--map-root-user', 'true'], user=USER, group=USER,
        extra_groups=[], stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode == 0:
        return None
    return 'an ordinary user may make no user namespace here: ' + result.stderr.strip()


def furnish(place, build):
    """Copies what the cells need to a place where an ordinary user can read it."""
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
    """The cells, each with the reason if it must not be compared. This process stays on the
    machine and cleans up there. The processes of the host end with its PID 1."""
    global USERS
    USERS = lacks_users()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    cells = []
    first = None
    with leftovers.held_directory(f'matrix.{os.getpid()}.', '/tmp') as place:
        try:
            furnish(place, options.build)
            result, report = os.pipe()
            unshare(CLONE_NEWPID)
            first = os.fork()
            if first == 0:
                os.close(result)
                be_first(place, options, report)
            os.close(report)
            with os.fdopen(result, encoding='utf-8') as file:
                for line in file:
                    cells.append(Cell(*json.loads(line)))
                    if sys.stderr.isatty():
                        print(f'\r{len(cells)} cells', end='\r', file=sys.stderr)
            ended = os.waitpid(first, 0)[1]
            first = None
            if ended != 0:
                sys.exit('matrix: the host could not be made, or ended')
        finally:
            if first:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(first, signal.SIGTERM)
                    os.waitpid(first, 0)
    return cells


def be_first(place, options, report):
    """PID 1 of the host's PID namespace."""
    status = 1
    try:
        os.setsid()  # The process that cleans up gets a ^C, and passes it on.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        die_with_parent()
        unshare(CLONE_NEWNS | CLONE_NEWNET)
        with os.fdopen(report, 'w', encoding='utf-8') as file:
            run_matrix(place, options, file)
        status = 0
    except Exception:  # pylint: disable=broad-except
        traceback.print_exc()
    finally:
        os._exit(status)
