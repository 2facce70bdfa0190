#!/usr/bin/python3
"""Tests of the commands of build/oci, one after the other, without an engine. Ends with a line that
sums all."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bundles import OCI, OnABundle, testing


class Life(OnABundle):
    def test_create_waits_and_start_writes_one_byte(self):
        self.assertEqual(self.create({'/process/args': ['sh', '-c', 'echo begun; exec sleep 1000']},
                                     f'--pid-file {self.place}/pid'), (0, ''))
        self.assertEqual(self.status(), 'created')
        state = json.loads(self.oci('state it')[1])
        self.assertEqual(str(state['pid']), testing.contents(self.place + '/pid'))
        self.assertEqual(state['bundle'], self.bundle)
        self.assertEqual(testing.contents(self.place + '/out'), '')
        self.assertEqual(self.oci('start it'), (0, ''))
        self.assertEqual(self.status(), 'running')
        self.assertTrue(testing.eventually(
            lambda: testing.contents(self.place + '/out') == 'begun\n'))
        self.assertEqual(self.oci('start it')[0], 125)
        self.assertEqual(self.oci('delete it'), (125, 'oci: container it is running\n'))
        self.assertEqual(self.oci('pause it'), (0, ''))
        self.assertEqual(self.status(), 'paused')
        self.assertEqual(self.oci('resume it'), (0, ''))
        self.assertEqual(self.oci('kill it KILL'), (0, ''))
        self.assertTrue(testing.eventually(lambda: self.status() == 'stopped'))
        self.assertEqual(self.oci('kill it'), (
            125, 'oci: container not running: no such process\n'))
        self.assertEqual(self.oci('delete it'), (0, ''))
        self.assertEqual(self.oci('state it'), (125, 'oci: container it does not exist\n'))
        self.assertEqual(os.listdir(self.place + '/state'), [])

    def test_hooks_run_in_their_order_with_the_state(self):
        log = self.place + '/log'
        hooks = {kind: [{'path': '/bin/sh', 'args': ['sh', '-c',
                                                      f'cat >>{log}; echo " {kind} $A" >>{log}'],
                         'env': ['PATH=/bin:/usr/bin', 'A=b'], 'timeout': 30}]
                 for kind in ('prestart', 'createRuntime', 'poststart', 'poststop')}
        self.assertEqual(self.ran({'/hooks': hooks}, 'echo hi'), 'hi\n')
        lines = testing.contents(log).splitlines()
        self.assertEqual([line.rpartition('} ')[2] for line in lines],
                         [kind + ' b' for kind in hooks])
        states = [json.loads(line.rpartition('} ')[0] + '}') for line in lines]
        self.assertEqual([state['id'] for state in states], ['it'] * 4)
        self.assertEqual([state['status'] for state in states][:2], ['created'] * 2)

    def test_a_hook_that_fails_or_takes_too_long(self):
        for words in (['false'], ['sleep', '1000']):
            status, text = self.create({'/hooks/prestart': [
                {'path': '/bin/' + words[0], 'args': words, 'timeout': 1}]})
            self.assertEqual(status, 125)
            self.assertRegex(text, 'ended with status (1|142)$')
            self.assertIsNone(self.status())

    def test_an_empty_text_asks_for_nothing(self):
        for key in ('/hostname', '/linux/cgroupsPath', '/linux/rootfsPropagation',
                    '/linux/mountLabel', '/process/user/username'):
            with self.subTest(key):
                self.assertEqual(self.create({key: '', '/process/args': ['true']}), (0, ''))
                self.oci('delete --force it')

    def test_what_fails_leaves_nothing(self):
        for changes in ({'/process/args': ['nonesuch']}, {'/process/cwd': '/nonesuch'},
                        {'/mounts+': {'destination': '/x', 'type': 'nonesuch'}},
                        {'/root/path': 'nonesuch'}):
            status, _ = self.create({**changes, '/linux/cgroupsPath': '/mine/it'})
            self.assertIn(status, (125, 127))
            self.assertIsNone(self.status())
            found = self.must('find /sys/fs/cgroup -path "*mine/it"')
            self.assertEqual(found, '')

    def test_exec_obeys_its_own_description(self):
        self.create({'/process/args': ['sleep', '1000']})
        self.oci('start it')
        testing.write(self.place + '/process.json', json.dumps({
            'cwd': '/tmp', 'args': ['sh', '-c', 'pwd; id -u; cat /proc/self/oom_score_adj; exit 9'],
            'env': ['PATH=/bin'], 'user': {'uid': 7}, 'oomScoreAdj': 77}))
        self.assertEqual(self.oci(f'exec --process {self.place}/process.json it'),
                         (9, '/tmp\n7\n77\n'))
        testing.write(self.place + '/process.json', json.dumps({
            'cwd': '/', 'args': ['true'], 'selinuxLabel': 'x'}))
        status, text = self.oci(f'exec --process {self.place}/process.json it')
        self.assertEqual((status, text), (
            125, 'oci: config.json: /process/selinuxLabel is not supported\n'))

    def test_update_changes_the_limits_that_it_names(self):
        """On v1, the limit with swap is in the way of one order or of the other."""
        self.create({'/process/args': ['sleep', '1000'],
                     '/mounts+': {'destination': '/cg', 'type': 'cgroup', 'options': ['ro']},
                     '/linux/resources/memory': {'limit': 1 << 26, 'swap': 1 << 26},
                     '/linux/resources/pids': {'limit': 33}})
        self.oci('start it')
        testing.write(self.place + '/process.json', json.dumps({
            'cwd': '/', 'args': ['sh', '-c', 'cat /cg/*/memory.limit_in_bytes /cg/memory.max '
                                             '/cg/*/pids.max /cg/pids.max 2>/dev/null; true'],
            'env': ['PATH=/bin']}))
        for bytes in (1 << 27, 1 << 25):
            testing.write(self.place + '/resources.json', json.dumps(
                {'memory': {'limit': bytes, 'swap': bytes}, 'blockIO': {}}))
            self.assertEqual(self.oci(f'update --resources={self.place}/resources.json it'),
                             (0, ''))
            self.assertEqual(self.oci(f'exec --process {self.place}/process.json it'),
                             (0, f'{bytes}\n33\n'))
        testing.write(self.place + '/resources.json', json.dumps(
            {'pids': {'limit': 44}, 'memory': {'swappiness': 1}}))
        self.assertEqual(self.oci(f'update --resources {self.place}/resources.json it'), (
            125, 'oci: config.json: /linux/resources/memory/swappiness is not supported\n'))
        self.assertEqual(self.oci(f'exec --process {self.place}/process.json it'),
                         (0, f'{1 << 25}\n33\n'))

    def test_a_create_that_is_killed_can_be_deleted(self):
        testing.write(self.place + '/state/it/config.json', '{}')
        self.assertEqual(self.status(), 'creating')
        self.assertEqual(self.oci('delete --force it'), (0, ''))
        self.assertIsNone(self.status())

    def test_delete_kills_all_that_run(self):
        """Also without a PID namespace, in a cgroup that the container has made, and frozen."""
        self.create({'/linux/namespaces': [{'type': 'mount'}], '/linux/cgroupsPath': '/mine/it',
                     '/mounts+': {'destination': '/cg', 'type': 'cgroup'},
                     '/process/args': ['sh', '-c', '''for place in /cg /cg/*; do
                         [ -e $place/cgroup.procs ] && mkdir $place/below && break; done
                         (echo 0 >$place/below/cgroup.procs; exec sleep 1234567) &
                         exec sleep 1234567''']})
        self.oci('start it')
        count = 'pgrep -fc "^sleep 1234567"'
        self.assertTrue(testing.eventually(lambda: testing.shell(count).out == '2\n'))
        self.oci('pause it')
        self.assertEqual(self.oci('delete --force it'), (0, ''))
        self.assertEqual(testing.shell(count).out, '0\n')
        self.assertEqual(self.must('find /sys/fs/cgroup -path "*mine/it*"'), '')

    def test_errors_are_one_line_and_in_the_log(self):
        log = self.place + '/log'
        status, text = self.oci(f'--log {log} --log-format json state nobody')
        self.assertEqual((status, text), (125, 'oci: container nobody does not exist\n'))
        self.assertEqual(json.loads(testing.contents(log)),
                         {'level': 'error', 'msg': 'container nobody does not exist'})
        for line in ('', 'create', 'nonesuch it', 'state --nonesuch it', 'kill nobody'):
            status, text = self.oci(line)
            self.assertEqual(status, 125)
            self.assertRegex(text, r'^oci: [^\n]+\n$')

    def test_pivot_root_is_that_of_08(self):
        """Letter for letter, as between the steps."""
        function = re.compile(r'(?:^//.*\n)*^[a-z:_<>]+ pivot_root\([^{;]*\{\n'
                              r'(?:.*\n)*?^}$', re.M)
        ours = set(function.findall(testing.contents('steps/oci/namespaces.cpp')))
        theirs = set(function.findall(testing.contents('steps/08-all/main.cpp')))
        self.assertEqual(len(ours), 1)
        self.assertEqual(ours, theirs)
        self.assertTrue(os.path.exists(OCI))


if __name__ == '__main__':
    testing.main()
