"""Measures how long /bin/true takes in our containers and in those of other runtimes.

  usage   scripts/bench [--rounds N] [--out DIRECTORY] [--quick]

Prints tables, and writes them to DIRECTORY/bench.md (build). All commands of a
table take turns, so that a slow moment of the machine slows all of them. A number is
the median of its rounds. A program that is not installed is named and left out. One that is
installed and fails ends the bench. --quick makes few rounds, to see that it works. The bench runs
in a new network and mount namespace.

Compare only numbers of one run, because other programs slow the machine down.
"""

import argparse
import contextlib
import datetime
import glob
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                     'build')
ROOTFS = os.path.join(BUILD, 'rootfs')
QUIET = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.DEVNULL,
         'stderr': subprocess.DEVNULL}


def program(name):
    return os.path.join(BUILD, name)


def steps():
    found = sorted(glob.glob(os.path.join(BUILD, '0[1-8]-*')))
    return [os.path.basename(path) for path in found]


def hide_second_cgroups():
    """Where v1 is mounted, v2 beside it has no limits; but crun refuses to run. A tmpfs in its
    place takes what crun writes there all the same."""
    with open('/proc/self/mounts', encoding='utf-8') as file:
        mounts = [line.split()[1:3] for line in file]
    if any(kind == 'cgroup' for _, kind in mounts):
        for place, kind in mounts:
            if kind == 'cgroup2':
                subprocess.run(['umount', place], check=True)
                subprocess.run(['mount', '-t', 'tmpfs', 'none', place], check=True)


# ---- The others --------------------------------------------------------------

def make_bundle(runtime, directory, resources):
    """What `RUNTIME spec` writes, but for our rootfs, command and limits."""
    os.mkdir(directory)
    subprocess.run([runtime, 'spec'], cwd=directory, check=True)
    path = os.path.join(directory, 'config.json')
    with open(path, encoding='utf-8') as file:
        config = json.load(file)
    config['process']['terminal'] = False
    config['process']['args'] = ['/bin/true']
    config['root'] = {'path': ROOTFS, 'readonly': True}
    config['linux']['resources'] = resources
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(config, file)


def oci_runtime(runtime, scratch):
    """A row of peers, without a command if it is not installed."""
    if not shutil.which(runtime):
        return runtime, '', None
    bundle = os.path.join(scratch, runtime)
    make_bundle(runtime, bundle,
                {'memory': {'limit': 64 << 20}, 'pids': {'limit': 256}})
    return (runtime, f'`{runtime} spec`, with our limits, no cable',
            [runtime, 'run', '--bundle', bundle, f'bench-{os.getpid()}'])


def peers(scratch):
    """Name, what it does, and command; without a command if not installed."""
    ours, command = program('08-all'), [ROOTFS, '/bin/true']
    bwrap = ['bwrap', '--unshare-all', '--ro-bind', ROOTFS, '/', '--proc', '/proc', '--dev', '/dev',
             '--tmpfs', '/tmp', '/bin/true']
    namespaces = '--mount --pid --net --ipc --uts --cgroup --fork'.split()
    # runc and crun plug in no cable, and bwrap sets no limit: a goal compares like with like.
    return [('08-all', 'every layer', [ours, *command]),
            oci_runtime('runc', scratch), oci_runtime('crun', scratch),
            ('08-all, no cable', '--net none', [ours, '--net', 'none', *command]),
            ('08-all, lean', '--net none --memory none',
             [ours, '--net', 'none', '--memory', 'none', *command]),
            ('bwrap', '--unshare-all, no limits, no cable, no filter',
             shutil.which('bwrap') and bwrap),
            ('unshare + chroot', 'the namespaces alone',
             ['unshare', *namespaces, 'chroot', *command]),
            ('fork + exec', 'no container at all', [ROOTFS + '/bin/true'])]


# ---- Measuring ---------------------------------------------------------------

def run(command):
    """Seconds that it took. Whatever fails has not been measured."""
    start = time.perf_counter()
    status = subprocess.Popen(command, **QUIET).wait()
    seconds = time.perf_counter() - start
    if status != 0:
        shown = subprocess.run(command, capture_output=True, text=True, check=False)
        sys.exit(f'bench: {" ".join(command)}: status {status}: {shown.stderr}')
    return seconds


def take_turns(commands, rounds):
    """The median milliseconds of each command."""
    for command in commands:
        run(command)  # Once for the caches.
    seconds = [[] for _ in commands]
    order = list(zip(seconds, commands))
    for _ in range(rounds):
        random.shuffle(order)  # What ran before leaves the kernel warm, or busy.
        for times, command in order:
            times.append(run(command))
    return [1000 * statistics.median(times) for times in seconds]


# ---- Showing -----------------------------------------------------------------

def table(head, rows):
    lines = [head, ['---'] + ['---:'] * (len(head) - 1)] + rows
    return '\n'.join('| ' + ' | '.join(str(cell) for cell in line) + ' |'
                     for line in lines) + '\n'


def machine():
    with open('/proc/cpuinfo', encoding='utf-8', errors='replace') as file:
        models = [line.split(':', 1)[1].strip() for line in file
                  if line.startswith(('model name', 'CPU part'))]
    with open('/proc/self/mountinfo', encoding='utf-8') as file:
        kinds = {line.split(' - ')[1].split()[0] for line in file if ' - ' in line}
    version = 'v1' if 'cgroup' in kinds else 'v2'
    return (f'{datetime.date.today()}, Linux {platform.release()}, '
            f'{platform.machine()}, {os.cpu_count()} processors '
            f'({models[0] if models else "unknown"}), cgroup {version}')


def compare(rounds, scratch, say):
    rows = peers(scratch)
    here = [row for row in rows if row[2]]
    medians = take_turns([row[2] for row in here], rounds)
    ours = medians[0]
    say('## Beside others\n\n/bin/true in the same root filesystem, from start to end.\n')
    say(table(['', 'ms', '08-all takes of it', ''],
              [[name, f'{value:.1f}', f'{ours / value:.2f}', what]
               for (name, what, _), value in zip(here, medians)]))
    say('On cgroup v1 a process is moved into its cgroup, and after a pause the kernel\n'
        'waits for an RCU grace period before it does: 07, 08 and runc then take longer.\n')
    for name, _, command in rows:
        if not command:
            say(f'Not installed: {name}.\n')
    return [(row[0], value) for row, value in zip(here, medians)]


def under_podman(rounds, scratch, say):
    """The same with Podman, which calls a runtime to create, to start and to delete."""
    say('## As runtimes of Podman\n')
    if not shutil.which('podman') or not os.path.exists(program('oci')):
        say('Not measured: it needs Podman, and make oci.\n')
        return
    limits = os.path.join(scratch, 'containers.conf')
    with open(limits, 'w', encoding='utf-8') as file:  # Podman's are more than some roots have.
        file.write('[containers]\ndefault_ulimits = ["nofile=1024:4096", "nproc=1024:4096"]\n')
    os.environ['CONTAINERS_CONF'] = limits
    podman = ['podman', '--cgroup-manager', 'cgroupfs', '--events-backend', 'file'] + [
        word for name in ('root', 'runroot', 'tmpdir') for word in (f'--{name}', f'{scratch}/{name}')]
    image = subprocess.run(['tar', '-C', ROOTFS, '-c', '.'], stdout=subprocess.PIPE, check=True)
    rows = {'oci': program('oci'), 'runc': shutil.which('runc'), 'crun': shutil.which('crun')}
    here = {name: path for name, path in rows.items() if path}
    try:
        subprocess.run([*podman, 'import', '-', 'localhost/bench'], input=image.stdout, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        medians = take_turns([[*podman, '--runtime', path, 'run', '--rm', '--network', 'none',
                               'localhost/bench', '/bin/true'] for path in here.values()], rounds)
    finally:
        subprocess.run(['umount', '-R', f'{scratch}/root/overlay'], check=False,
                       stderr=subprocess.DEVNULL)
        # Those that nobody uses.
        for top in glob.glob('/sys/fs/cgroup/**/libpod_parent', recursive=True):
            for path, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
    say(table(['', 'ms'], [[name, f'{value:.0f}'] for name, value in zip(here, medians)]))
    for name in rows.keys() - here.keys():
        say(f'Not installed: {name}.\n')


GOALS = [('08-all', 'runc', 0.25), ('08-all, no cable', 'crun', 0.5),
         ('08-all, lean', 'bwrap', 1.0)]


def goals(chart, say):
    """What we want to be, and what came out."""
    milliseconds = dict(chart)
    rows = []
    for ours, other, most in GOALS:
        if other not in milliseconds:
            rows.append([f'{ours} of {other}', f'{most}', 'not measured', ''])
            continue
        ratio = milliseconds[ours] / milliseconds[other]
        rows.append([f'{ours} of {other}', f'{most}', f'{ratio:.3f}',
                     'yes' if ratio <= most else 'no'])
    say('## The goals\n')
    say(table(['time', 'at most', 'came out', 'met'], rows))


def layers(rounds, say):
    names = steps()
    medians = take_turns([[program(name), ROOTFS, '/bin/true'] for name in names],
                         rounds)
    before = [0.0] + medians
    say('## What each wall costs\n')
    say(table(['step', 'ms', 'more than the step before'],
              [[name, f'{value:.2f}', f'{value - last:+.2f}']
               for name, value, last in zip(names, medians, before)]))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n', maxsplit=1)[0],
        epilog='make bench builds what it measures.')
    parser.add_argument('--rounds', type=int, default=40)
    parser.add_argument('--out', default=BUILD)
    parser.add_argument('--quick', action='store_true')
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit('bench: all layers, and runc, need root')
    if not os.path.exists(program('08-all')) or not os.path.exists(ROOTFS):
        sys.exit('bench: nothing to measure; make bench builds it')
    if 'BENCH_NAMESPACES' not in os.environ:
        os.environ['BENCH_NAMESPACES'] = 'own'
        os.execvp('unshare',
                  ['unshare', '--net', '--mount', sys.executable] + sys.argv)
    hide_second_cgroups()

    rounds = 2 if options.quick else options.rounds
    parts = []

    def say(text):
        print(text, flush=True)
        parts.append(text)

    say(f'# How fast\n\n{machine()}; the median of {rounds} rounds.\n')
    with tempfile.TemporaryDirectory() as scratch:
        chart = compare(rounds, scratch, say)
        under_podman(rounds, scratch, say)
    goals(chart, say)
    layers(rounds, say)
    with open(os.path.join(options.out, 'bench.md'), 'w', encoding='utf-8') as file:
        file.write('\n'.join(parts))
