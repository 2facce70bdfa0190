#!/usr/bin/python3
"""Tests that build/oci obeys or refuses each key that the specification has: see keys.txt. Ends
with a line that sums all."""

import collections
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bundles import OnABundle, testing

Row = collections.namedtuple('Row', 'is_done path values')
Example = collections.namedtuple('Example', 'changes command wanted keys')
MAP = [{'containerID': 0, 'hostID': 100000, 'size': 65536}]


def rows():
    for line in testing.contents('steps/oci/keys.txt').splitlines():
        if line and not line.startswith('#'):
            what, path, *values = line.split()
            yield Row(what == 'done', path.rstrip(':'), values or [None])


def value(name):
    """Where a limit of the container's cgroup stands, on v1 or v2."""
    return f'cat /cg/{name} /cg/*/{name} 2>/dev/null'


CGROUP = {'/mounts+': {'destination': '/cg', 'type': 'cgroup', 'options': ['ro']}}


def limit(path, number, files, wanted, *more):
    changes = {'/linux/resources/' + path: number, **dict(more), **CGROUP}
    return Example(changes, '; '.join(map(value, files)), wanted, ['/linux/resources/' + path])


def seccomp(profile, command, wanted, *keys):
    return Example({'/process/noNewPrivileges': True, '/linux/seccomp': {
        'architectures': ['SCMP_ARCH_X86_64'], **profile}}, command,
                   wanted, ['/linux/seccomp/' + key for key in keys])


def refuse(action, arguments=None, names=('mkdir', 'mkdirat'), errno=None):
    rule = {'names': list(names), 'action': action}
    if arguments:
        rule['args'] = [dict(zip(('index', 'value', 'op', 'valueTwo'), arguments))]
    if errno:
        rule['errnoRet'] = errno
    return {'defaultAction': 'SCMP_ACT_ALLOW', 'syscalls': [rule]}


KILLED = '^(Bad system call|)$'
# What each key does, seen from the container.
EXAMPLES = [
    Example({'/annotations': {'a': 'b'}}, 'true', '^$', ['/annotations']),
    Example({'/hostname': 'abc'}, 'hostname', '^abc$', ['/hostname']),
    Example({'/root/readonly': True}, 'touch /x', 'Read-only', ['/root/readonly', '/root/path']),
    Example({'/ociVersion': '1.2.1'}, 'echo hi', '^hi$', ['/ociVersion']),
    Example({'/mounts+': {'destination': '/mnt', 'type': 'tmpfs', 'source': 'mine',
                          'options': ['noexec', 'size=64k']}},
            'grep /mnt /proc/mounts', '^mine /mnt tmpfs .*noexec.*size=64k',
            ['/mounts/*/destination', '/mounts/*/type', '/mounts/*/source', '/mounts/*/options']),
    Example({'/mounts+': {'destination': '/mnt', 'source': '/proc', 'options': ['rbind', 'rro']}},
            'grep -v " ro[, ]" /proc/self/mountinfo | grep -c /mnt', '^0$',
            ['/mounts/*/options']),
    # ---- the process
    Example({}, 'pwd', '^/$', ['/process/cwd', '/process/args']),
    Example({'/process/env': ['PATH=/bin', 'A=b']}, 'echo $A', '^b$', ['/process/env']),
    Example({'/process/user': {'uid': 7, 'gid': 8, 'additionalGids': [9], 'umask': 0o27}},
            'id; umask', r'uid=7.* gid=8.* groups=.*9.*\n0027$',
            ['/process/user/uid', '/process/user/gid', '/process/user/umask',
             '/process/user/additionalGids']),
    Example({'/process/capabilities': {name: ['CAP_KILL'] for name in (
        'bounding', 'permitted', 'effective', 'inheritable', 'ambient')}},
            'grep ^Cap /proc/self/status', r'^(Cap...:\t0*20\n){5}$',
            ['/process/capabilities/' + name for name in
             ('bounding', 'permitted', 'effective', 'inheritable', 'ambient')]),
    Example({'/process/noNewPrivileges': True}, 'grep NoNewPrivs /proc/self/status', '\t1$',
            ['/process/noNewPrivileges']),
    Example({'/process/oomScoreAdj': 321}, 'cat /proc/self/oom_score_adj', '^321$',
            ['/process/oomScoreAdj']),
    Example({'/process/rlimits': [{'type': 'RLIMIT_NOFILE', 'soft': 55, 'hard': 66}]},
            'ulimit -Sn; ulimit -Hn', '^55\n66$',
            ['/process/rlimits/*/' + name for name in ('type', 'soft', 'hard')]),
    # ---- namespaces
    Example({'/linux/namespaces+': {'type': 'user'}, '/linux/uidMappings': MAP,
             '/linux/gidMappings': MAP}, 'cat /proc/self/uid_map /proc/self/gid_map',
            r'^( *0 +100000 +65536\n){2}$',
            [f'/linux/{kind}Mappings/*/{name}' for kind in ('uid', 'gid')
             for name in ('containerID', 'hostID', 'size')] + ['/linux/namespaces/*/type: user']),
    Example({'/linux/namespaces+': {'type': 'cgroup'}, '/linux/cgroupsPath': '/mine'},
            'cat /proc/self/cgroup', r'^0::/$', ['/linux/namespaces/*/type: cgroup']),
    Example({'/linux/cgroupsPath': '/mine/it'}, 'cat /proc/self/cgroup', ':/mine/it$',
            ['/linux/cgroupsPath']),
    Example({'/linux/namespaces': [{'type': 'mount'}, {'type': 'pid'},
                                   {'type': 'uts', 'path': '/proc/self/ns/uts'}]},
            'echo $$', '^1$', ['/linux/namespaces/*/type: pid', '/linux/namespaces/*/path']),
    Example({}, 'cat /proc/net/dev', '^ *lo:', ['/linux/namespaces/*/type: network',
                                                '/linux/namespaces/*/type: mount']),
    Example({'/linux/sysctl': {'kernel.shmmni': '7', 'net.ipv4.ip_forward': '1'}},
            'cat /proc/sys/kernel/shmmni /proc/sys/net/ipv4/ip_forward; hostname', '^7\n1\n',
            ['/linux/sysctl', '/linux/namespaces/*/type: ipc', '/linux/namespaces/*/type: uts']),
    # ---- files
    Example({}, 'wc -c </proc/keys', '^0$', ['/linux/maskedPaths']),
    Example({}, 'echo 1 >/proc/sys/kernel/panic', 'Read-only', ['/linux/readonlyPaths']),
    Example({'/linux/devices': [{'path': '/dev/x', 'type': 'c', 'major': 1, 'minor': 5,
                                 'fileMode': 0o640, 'uid': 3, 'gid': 4}]},
            'stat -c "%A %u %g %t %T" /dev/x', '^crw-r----- 3 4 1 5$',
            ['/linux/devices/*/' + name for name in
             ('path', 'type', 'major', 'minor', 'fileMode', 'uid', 'gid')]),
    Example({'/linux/resources/devices+': {'allow': True, 'type': 'c', 'major': 10, 'minor': 200,
                                           'access': 'r'}},
            'mknod /dev/k c 10 200; cat /dev/k; echo >/dev/k',
            r'^cat: .*(bad state|No such).*\n.*not permitted',
            ['/linux/resources/devices/*/' + name for name in
             ('allow', 'type', 'major', 'minor', 'access')]),
    *(Example({'/linux/rootfsPropagation': word}, 'grep -E "^([^ ]+ ){4}/ " /proc/self/mountinfo',
              wanted, ['/linux/rootfsPropagation: ' + word]) for word, wanted in [
                  ('shared', 'shared:'), ('private', ' / rw[^:]* - '), ('slave', ' / rw'),
                  ('unbindable', 'unbindable')]),
    # ---- limits
    limit('memory/limit', 1 << 26, ['memory.limit_in_bytes', 'memory.max'], '^67108864$'),
    limit('memory/reservation', 1 << 25, ['memory.soft_limit_in_bytes', 'memory.low'],
          '^33554432$'),
    limit('memory/swap', 1 << 27, ['memory.memsw.limit_in_bytes', 'memory.swap.max'],
          '^(134217728|67108864)$', ('/linux/resources/memory/limit', 1 << 26)),
    limit('pids/limit', 33, ['pids.max'], '^33$'),
    limit('cpu/shares', 512, ['cpu.shares', 'cpu.weight'], '^(512|20)$'),
    limit('cpu/quota', 50000, ['cpu.cfs_quota_us', 'cpu.max'], '^50000'),
    limit('cpu/period', 90000, ['cpu.cfs_period_us', 'cpu.max'], '(^| )90000$'),
    limit('unified', {'cgroup.max.depth': '3'}, ['cgroup.max.depth'], '^3$'),
    # ---- seccomp
    seccomp({'defaultAction': 'SCMP_ACT_ALLOW'}, 'mkdir /x && echo ok', '^ok$', 'architectures',
            'defaultAction: SCMP_ACT_ALLOW', 'syscalls/*/action: SCMP_ACT_ALLOW'),
    seccomp({'defaultAction': 'SCMP_ACT_LOG'}, 'echo ok', '^ok$', 'defaultAction: SCMP_ACT_LOG',
            'syscalls/*/action: SCMP_ACT_LOG'),
    seccomp({'defaultAction': 'SCMP_ACT_ERRNO', 'defaultErrnoRet': 28, 'syscalls': [
        {'names': ['execve', 'writev', 'exit_group', 'brk', 'mmap', 'arch_prctl',
                   'set_tid_address'],
         'action': 'SCMP_ACT_ALLOW'}]}, 'mkdir /x', 'No space left',
            'defaultAction: SCMP_ACT_ERRNO', 'defaultErrnoRet'),
    *(seccomp({'defaultAction': action}, None, KILLED, 'defaultAction: ' + action) for action in
      ('SCMP_ACT_KILL', 'SCMP_ACT_KILL_PROCESS', 'SCMP_ACT_KILL_THREAD', 'SCMP_ACT_TRAP')),
    *(seccomp(refuse(action), '(mkdir /x && echo made) 2>&1; echo on', '^(Bad system call\n)?on$',
              'syscalls/*/action: ' + action, 'syscalls/*/names') for action in
      ('SCMP_ACT_KILL', 'SCMP_ACT_KILL_PROCESS', 'SCMP_ACT_KILL_THREAD', 'SCMP_ACT_TRAP')),
    seccomp(refuse('SCMP_ACT_ERRNO', errno=28), 'mkdir /x', 'No space left',
            'syscalls/*/action: SCMP_ACT_ERRNO', 'syscalls/*/errnoRet'),
    *(seccomp(refuse('SCMP_ACT_ERRNO', arguments, ['kill']), 'for n in 18 23; do kill -$n $$ && '
              'echo $n; done', wanted, 'syscalls/*/args/*/op: SCMP_CMP_' + arguments[2][9:],
              *('syscalls/*/args/*/' + name for name in ('index', 'value', 'valueTwo')))
      for arguments, wanted in [((1, 18, 'SCMP_CMP_EQ'), r'not permitted\n23$'),
                                ((1, 18, 'SCMP_CMP_NE'), r'^18\n.*not permitted'),
                                ((1, 0x10, 'SCMP_CMP_MASKED_EQ', 0), r'^$|^.*$')])]
# Those need what a machine might not have, or a caller with a socket.
ELSEWHERE = {
    '/linux/resources/hugepageLimits/*/limit': 'a kernel with huge pages in a cgroup',
    '/linux/resources/hugepageLimits/*/pageSize': 'a kernel with huge pages in a cgroup',
    '/linux/resources/cpu/cpus': 'a cpuset', '/linux/resources/cpu/mems': 'a cpuset',
    '/process/terminal': 'podman_test.py', '/process/consoleSize/height': 'podman_test.py',
    '/process/consoleSize/width': 'podman_test.py', **{
        path: 'life_test.py' for path in [f'/hooks/*/*/{name}' for name in (
            'path', 'args', 'env', 'timeout')] + [f'/hooks/{kind}' for kind in (
                'prestart', 'createRuntime', 'poststart', 'poststop')]}}


class Keys(OnABundle):
    def test_each_key_that_is_done_has_an_example(self):
        shown = {key for example in EXAMPLES for key in example.keys} | set(ELSEWHERE)
        done = {row.path + (f': {word}' if word else '')
                for row in rows() if row.is_done for word in row.values}
        self.assertEqual(shown, done)
        self.assertGreater(len(done), 90)

    def test_each_example_does_what_it_says(self):
        for example in EXAMPLES:
            with self.subTest(str(example.keys)):
                text = self.ran(example.changes, example.command)
                self.assertRegex(text, re.compile(example.wanted, re.M))

    def test_each_key_that_is_refused_makes_create_fail(self):
        number = 0
        for row in rows():
            for word in [] if row.is_done else row.values:
                with self.subTest(row.path, value=word):
                    number += 1
                    status, text = self.create(asking_for(row.path, word))
                    self.assertEqual(status, 125, text)
                    self.assertRegex(text, r'^oci: config\.json: .*\bnot supported')
                    self.assertIn(word or row.path.rpartition('/')[2], text)
                    self.assertEqual(os.listdir(self.place + '/state') if
                                     os.path.exists(self.place + '/state') else [], [])
        self.assertGreater(number, 40)

    def test_a_word_that_we_do_not_know_is_refused(self):
        for changes in ({'/process/capabilities/bounding+': 'CAP_TEST'},
                        {'/process/rlimits': [{'type': 'RLIMIT_TEST', 'soft': 1, 'hard': 1}]},
                        {'/linux/rootfsPropagation': 'test'},
                        {'/linux/devices': [{'path': '/dev/x', 'type': 'test', 'major': 1,
                                             'minor': 3}]},
                        {'/linux/resources/devices+': {'allow': True, 'type': 'test'}},
                        *({'/mounts+': {'destination': '/x', 'source': '/bin',
                                        'options': ['rbind', option]}}
                          for option in ('ridmap', 'idmap', 'remount', 'test'))):
            status, text = self.create(changes)
            self.assertEqual(status, 125, text)
            self.assertRegex(text, r'^oci: config\.json: .*(not supported|there is no limit)')

    def test_what_the_specification_does_not_know_is_passed_over(self):
        self.assertEqual(self.ran({'/unheardOf': {'a': 1}}, 'echo hi'), 'hi\n')

    def test_a_number_that_does_not_fit_is_not_cut(self):
        for key, number in [('/process/user/uid', 1 << 32), ('/process/user/gid', -1),
                            ('/process/oomScoreAdj', 1 << 32), ('/process/user/uid', 1.5),
                            ('/process/user/additionalGids', [1 << 32])]:
            status, text = self.create({key: number})
            self.assertEqual(status, 125, text)
            self.assertIn(f'config.json: {key[key.index("/", 1):]} is {number}', text)


def asking_for(path, word):
    """Changes that ask for a key, or for this value of one."""
    if 'namespaces' in path:
        return {'/linux/namespaces+': {'type': word}}
    if path.endswith('/defaultAction'):
        return {'/linux/seccomp': {'defaultAction': word}}
    if path.endswith('/action'):
        return {'/linux/seccomp': refuse(word)}
    if path.endswith('/op'):
        return {'/linux/seccomp': refuse('SCMP_ACT_ERRNO', (0, 1, word))}
    if path.startswith('/mounts/*/'):
        return {'/mounts/0/' + path.rpartition('/')[2]: ['x']}
    if path.startswith('/linux/seccomp/'):
        return {'/linux/seccomp': {'defaultAction': 'SCMP_ACT_ALLOW',
                                   path.rpartition('/')[2]: ['x']}}
    return {path: {'x': 1}}


if __name__ == '__main__':
    testing.main()
