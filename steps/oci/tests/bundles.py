"""Bundles for build/oci, without an engine: the smallest config.json, and what a test changes in
it. Each test has a host of its own, as root: see scripts/host/host."""

import contextlib
import copy
import glob
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.abspath(__file__ + '/../../../../scripts'))

from host import testing

OCI = testing.TOP + '/build/oci'
SMALLEST = {
    'ociVersion': '1.0.2',
    'root': {'path': 'rootfs'},
    'process': {
        'user': {'uid': 0, 'gid': 0}, 'cwd': '/', 'args': ['true'], 'env': ['PATH=/bin'],
        'capabilities': {name: ['CAP_CHOWN', 'CAP_MKNOD', 'CAP_SETUID', 'CAP_KILL']
                         for name in ('bounding', 'permitted', 'effective')}},
    'mounts': [
        {'destination': '/proc', 'type': 'proc', 'source': 'proc'},
        {'destination': '/dev', 'type': 'tmpfs', 'source': 'tmpfs', 'options': ['mode=755']},
        {'destination': '/dev/pts', 'type': 'devpts', 'source': 'devpts',
         'options': ['newinstance', 'ptmxmode=0666']},
        {'destination': '/sys', 'type': 'sysfs', 'source': 'sysfs', 'options': ['ro']}],
    'linux': {
        'namespaces': [{'type': kind} for kind in ('pid', 'mount', 'ipc', 'uts', 'network')],
        'maskedPaths': ['/proc/kcore', '/proc/keys'], 'readonlyPaths': ['/proc/sys'],
        'resources': {'devices': [{'allow': False, 'access': 'rwm'}]}}}


def hierarchies():
    """Where cgroups are, and directories that stand for hierarchies which are not mounted."""
    if os.path.exists('/sys/fs/cgroup/cgroup.procs'):
        return ['/sys/fs/cgroup'], []
    places = [place for place in glob.glob('/sys/fs/cgroup/*') if os.path.isdir(place)]
    mounted = [place for place in places if os.path.exists(place + '/cgroup.procs')]
    return mounted, sorted(set(places) - set(mounted))


def remove_cgroups(name):
    """Runtimes and engines leave the cgroups above those of containers."""
    def remove(top):
        for path, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)
        return not os.path.exists(top)
    for place in hierarchies()[0]:
        testing.eventually(lambda: remove(f'{place}/{name}'))  # conmon may be about to end.


def changed(changes):
    """The smallest config with some keys set, '/process/cwd' say. '+' at the end of a key adds the
    value to a list, and None removes the key."""
    config = copy.deepcopy(SMALLEST)
    for key, value in changes.items():
        *way, last = key.strip('/').split('/')
        place = config
        for name in way:
            if isinstance(place, list):
                place = place[int(name)]
            else:
                place = place.setdefault(name, {})
        if isinstance(place, list):
            place[int(last)] = value
        elif last.endswith('+'):
            place.setdefault(last[:-1], []).append(value)
        elif value is None:
            del place[last]
        else:
            place[last] = value
    return config


class OnABundle(testing.OnAHost):
    """Tests of which each has a bundle, with a copy of build/rootfs."""

    around = ()  # The words of a command that runs build/oci, each time in a new place.

    def setUp(self):
        self.place = self.scratch()
        self.bundle = self.place + '/bundle'
        os.mkdir(self.bundle)
        self.root = self.bundle + '/rootfs'
        self.must(f'cp -a {testing.TOP}/build/rootfs {self.root}')
        self.addCleanup(remove_cgroups, 'mine')
        self.addCleanup(self.oci, 'delete --force it')

    def oci(self, line, **streams):
        """Runs a command of build/oci."""
        ended = subprocess.run([*self.around, OCI, '--root', self.place + '/state', *line.split()],
                               **{'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE,
                                  'stderr': subprocess.STDOUT, 'text': True, 'check': False,
                                  'timeout': testing.TIMEOUT_SECONDS, **streams})
        return testing.status(ended.returncode), ended.stdout

    def status(self):
        state, text = self.oci('state it')
        return json.loads(text)['status'] if state == 0 else None

    def create(self, changes, options=''):
        """Creates a container, whose output goes to a file."""
        testing.write(self.bundle + '/config.json', json.dumps(changed(changes)))
        return self.created(options)

    def created(self, options=''):
        """The same for the config.json that is there."""
        with open(self.place + '/out', 'w', encoding='utf-8') as out:
            status, _ = self.oci(f'create --bundle {self.bundle} {options} it', stdout=out,
                                 stderr=out)
        return status, testing.contents(self.place + '/out')

    def ran(self, changes, command=None):
        """Creates and starts a container, waits for its end, and returns what it has printed; or
        what create has, if it fails."""
        if command is not None:
            changes = {**changes, '/process/args': ['sh', '-c', command]}
        status, text = self.create(changes)
        if status:
            return text
        status, text = self.oci('start it')
        self.assertEqual(status, 0, text)
        self.assertTrue(testing.eventually(lambda: self.status() == 'stopped'))
        self.assertEqual(self.oci('delete it'), (0, ''))
        return testing.contents(self.place + '/out')
