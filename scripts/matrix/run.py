"""Runs the attacks. All run on one throw-away host, and each on a new host within it, which is a
process with new namespaces."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback

from host.leftovers import Numbers
from host.namespaces import (
    CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUTS, MS_PRIVATE, MS_SHARED,
    call, mount, spread_mounts, unshare)
from matrix import attacks
from matrix.attacked import BROKEN, SECRET, USER, Cell, Host, add_key, make_disk, read
from matrix.attacks import ATTACKS, STEPS, TOP

TIMEOUT_SECONDS = 30  # For one attack, on a slow machine too.
HOST = TOP + '/scripts/host/host'


def enter_host():
    """Starts the program again on a throw-away host, unless it is on one. All that an attack leaves
    ends with this host, also if the program is killed."""
    if os.geteuid() != 0:
        sys.exit('matrix: this needs root, to make a host that may be attacked: use sudo')
    if 'TESTS_ON_A_HOST' not in os.environ:
        os.execv(HOST, [HOST, '--no-limits', os.path.abspath(sys.argv[0]), *sys.argv[1:]])


def play(place, who, step, attack, without):
    """Makes the host of a cell, and runs the attack."""
    def give_up(*_):
        raise TimeoutError(f'no answer in {TIMEOUT_SECONDS} seconds')
    signal.signal(signal.SIGALRM, give_up)
    os.setsid()
    unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET)
    spread_mounts(MS_PRIVATE)
    mount('proc', '/proc', 'proc', 0)
    spread_mounts(MS_SHARED)  # As systemd does, so that propagation shows.
    socket.sethostname('host')
    Numbers.take()  # In a container, a process has none of these PIDs.
    signal.alarm(TIMEOUT_SECONDS)
    try:
        return ATTACKS[attack].run(Host(place, who, step, attack, ATTACKS[attack].step, without))
    except (OSError, subprocess.SubprocessError, KeyError) as error:
        return Cell(who, step[:2], attack, BROKEN, '', '', f'{type(error).__name__}: {error}', '')


def run_cell(*what):
    """Runs an attack in PID 1 of a new PID namespace, whose processes all end with PID 1."""
    ours = os.open('/proc/self/ns/pid', os.O_RDONLY)
    result, answer = os.pipe()
    unshare(CLONE_NEWPID)
    first = os.fork()
    if first == 0:
        try:
            os.write(answer, json.dumps(play(*what)).encode())
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()
        finally:
            os._exit(0)
    call('setns', ours, CLONE_NEWPID)  # For the next child.
    os.close(ours)
    os.close(answer)
    with os.fdopen(result, encoding='utf-8') as file:
        text = file.read()
    os.waitpid(first, 0)
    return Cell(*json.loads(text)) if text else \
        Cell(what[1], what[2][:2], what[3], BROKEN, '', '', 'the host ended', '')


def make_secret(place):
    """Makes what all cells attack: a file of the host, and a disk with the same text."""
    unshare(CLONE_NEWNS)
    spread_mounts(MS_PRIVATE)
    mount('secret', os.path.dirname(SECRET), 'tmpfs', 0, 'mode=755')
    with open(SECRET, 'w', encoding='ascii') as file:
        file.write('secret-' + secrets.token_hex(8))
    attacks.DISK = make_disk(place + '/disk', read(SECRET))
    try:
        add_key('probe', 'x')
    except OSError as error:
        attacks.KEYS = f'no keyrings here ({error})'


def lacks_users():
    """Why an ordinary user cannot make a user namespace here, or None. Tries it with programs of
    the system."""
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
    """The cells, one after the other, each with the reason if it must not be compared."""
    cells = []
    without_users = lacks_users()
    with tempfile.TemporaryDirectory(prefix='matrix.', dir='/tmp') as place:
        furnish(place, options.build)
        make_secret(place)
        for who in options.who:
            for attack in options.probe:
                for step in options.step:
                    if who == 'user' and step < '03':
                        continue  # chroot(2) needs root, and CLONE_NEWPID, too.
                    reason = ATTACKS[attack].lacks(who, step[:2]) or (
                        without_users if who == 'user' else None)
                    for without in options.without:
                        cell = run_cell(place, who, step, attack, without)
                        cells.append(cell._replace(not_decided=reason, without=without))
                        if sys.stderr.isatty():
                            print(f'\r{len(cells)} cells', end='\r', file=sys.stderr)
    return cells
