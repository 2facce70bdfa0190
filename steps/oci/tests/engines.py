"""Real engines that call build/oci: Podman, and containerd with ctr. Each has all its files below
one directory, and its containers have no network. Each class of tests has a host of its own, as
root: see scripts/host/host."""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.abspath(__file__ + '/../../../../scripts'))

from host import testing

from bundles import hierarchies, remove_cgroups

OCI = testing.TOP + '/build/oci'
IMAGE = 'localhost/box:1'
# Podman's own are more than root has where CAP_SYS_RESOURCE is missing.
LIMITS = '[containers]\ndefault_ulimits = ["nofile=1024:4096", "nproc=1024:4096"]\n'
CONTAINERD = '''version = 2
root = "{0}/root"
state = "{0}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{0}/socket"
'''


class Engine(unittest.TestCase):
    """Tests with an image of build/rootfs in an engine. `run` runs a shell with these variables."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.cover('/run', '/var/lib', '/dev/shm', *hierarchies()[1])
        cls.place = tempfile.mkdtemp(prefix='engine.', dir='/tmp')
        cls.addClassCleanup(cls.clean)
        testing.write(cls.place + '/containers.conf', LIMITS)
        testing.write(cls.place + '/volume/file', 'data\n')
        cls.variables = {
            'IMAGE': IMAGE, 'OCI': OCI, 'PLACE': cls.place, 'RUN': '$POD run --rm --network none',
            'CONTAINERS_CONF': cls.place + '/containers.conf',
            'POD': f'podman --runtime {OCI} --root {cls.place}/root --runroot {cls.place}/run '
                   f'--tmpdir {cls.place}/tmp --storage-driver overlay --cgroup-manager cgroupfs '
                   f'--events-backend file --network-config-dir {cls.place}/net'}
        cls.must(f'tar -C {testing.TOP}/build/rootfs -c . | $POD import - {IMAGE}')

    @classmethod
    def cover(cls, *places):
        """Engines leave files of their own in these, whatever the runtime is."""
        for place in places:
            subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', place], check=True)
            cls.addClassCleanup(subprocess.run, ['umount', '-l', place], check=True)

    @classmethod
    def clean(cls):
        """Ends all containers and, when conmon has cleaned up, removes what it leaves."""
        cls.run_shell('$POD pod rm --all --force -t 0; $POD rm --all --force -t 0')
        testing.eventually(lambda: testing.shell('pgrep -x "conmon|podman"').status)
        remove_cgroups('libpod_parent')
        for line in reversed(testing.contents('/proc/mounts').splitlines()):
            if line.split()[1].startswith(cls.place + '/'):
                subprocess.run(['umount', line.split()[1]], check=True)
        for path in glob.glob('/tmp/conmon-term.*'):
            os.unlink(path)
        shutil.rmtree(cls.place)

    @classmethod
    def run_shell(cls, line):
        """Runs a line under sh(1), and returns its status and all that it prints. (Where it runs,
        conmon leaves a file `oom`.)"""
        names = ''.join(f'{name}="{value}"\n' for name, value in cls.variables.items())
        ended = subprocess.run(
            ['timeout', str(testing.TIMEOUT_SECONDS), 'sh', '-c',
             f'export CONTAINERS_CONF\n{names}RUN="$POD run --rm --network none"\n{line}'],
            cwd=cls.place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
            errors='replace', check=False)
        return testing.status(ended.returncode), ended.stdout.replace('\r', '').replace('\0', '')

    @classmethod
    def must(cls, line):
        """Runs what prepares a test: it has to succeed."""
        status, text = cls.run_shell(line)
        if status:
            raise AssertionError(f'{line}: {status}\n{text}')
        return text

    def says(self, line, wanted, status=0):
        """Runs a line, which must end with this status and print what the expression matches."""
        with self.subTest(line):
            ended, text = self.run_shell(line)
            self.assertRegex(text, re.compile(wanted, re.M))
            self.assertEqual(ended, status, text)

    def none_is_left(self):
        """No state of a container, and no cgroup of one, when conmon has cleaned up."""
        self.assertTrue(testing.eventually(lambda: not (
            glob.glob('/run/oci/*') +
            glob.glob('/sys/fs/cgroup/**/libpod-[0-9a-f]*', recursive=True))))


class Containerd(Engine):
    """The same with containerd, whose image is Podman's."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.must(f'$POD save -q --format docker-archive -o {cls.place}/box.tar {IMAGE}')
        testing.write(cls.place + '/containerd.toml', CONTAINERD.format(cls.place + '/containerd'))
        cls.variables['CTR'] = f'ctr -a {cls.place}/containerd/socket'
        with open(cls.place + '/log', 'wb') as log:
            daemon = subprocess.Popen(['containerd', '-c', cls.place + '/containerd.toml'],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        cls.addClassCleanup(cls.end, daemon)
        if not testing.eventually(lambda: cls.run_shell('$CTR version')[0] == 0):
            raise AssertionError(testing.contents(cls.place + '/log'))
        cls.must(f'$CTR images import {cls.place}/box.tar')

    @classmethod
    def end(cls, daemon):
        daemon.terminate()
        daemon.wait()
        remove_cgroups('default')


def saved_config(pattern):
    """The config.json of the one container whose state is in such a file."""
    path, = glob.glob(pattern)
    with open(path, encoding='utf-8') as file:
        return json.load(file)['config']
