#!/usr/bin/python3
"""Tests of build/oci under containerd, called by ctr, with an image of build/rootfs. Ends with a
line that sums all."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from engines import OCI, Containerd, saved_config, testing


class Ctr(Containerd):
    """ctr run, and ctr task."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.variables['CTR_RUN'] = cls.variables['CTR'] + ' run --runc-binary ' + OCI

    def test_run(self):
        run = '$CTR_RUN --rm'
        self.says(f'{run} $IMAGE it echo hi', '^hi$')
        self.says(f"{run} $IMAGE it sh -c 'exit 42'", '', 42)
        self.says(f'{run} $IMAGE it nonesuch', 'No such file or directory', 1)
        self.says(f'{run} --env FOO=bar $IMAGE it sh -c \'echo $FOO\'', '^bar$')
        self.says(f'script -qec "{run} -t $IMAGE it sh -c \'tty; sleep 0.3\'" /dev/null',
                  '/dev/pts/0')

    def test_config_json_asks_for_what_the_page_says(self):
        """Of the table in README.md, the numbers and what is missing."""
        self.must('$POD run -d --name it --network none $IMAGE sleep 1000')
        self.must('$CTR_RUN -d $IMAGE it sleep 1000')
        podman, ctr = (saved_config(f'/run/{root}/*/state.json')
                       for root in ('oci', 'containerd/runc/default'))
        for asked, masked, read_only in ((podman, 11, 6), (ctr, 10, 5)):
            self.assertEqual({one['type'] for one in asked['linux']['namespaces']},
                             {'pid', 'network', 'ipc', 'uts', 'mount'})
            self.assertEqual(len(asked['process']['capabilities']['bounding']), 14)
            self.assertEqual(len(asked['linux']['maskedPaths']), masked)
            self.assertEqual(len(asked['linux']['readonlyPaths']), read_only)
            self.assertNotIn('hooks', asked)
        calls = {name for rule in podman['linux']['seccomp']['syscalls'] for name in rule['names']
                 if rule['action'] == 'SCMP_ACT_ALLOW'}
        self.assertGreater(len(calls), 350)
        self.assertLess(len(calls), 400)
        self.assertNotIn('seccomp', ctr['linux'])
        self.assertEqual((podman['process'].get('noNewPrivileges'),
                          ctr['process'].get('noNewPrivileges')), (None, True))
        self.assertEqual(podman['linux']['resources'], {
            'devices': [{'allow': False, 'access': 'rwm'}], 'pids': {'limit': 2048}})
        self.assertEqual(len(ctr['linux']['resources']['devices']), 10)
        self.assertEqual(ctr['linux']['cgroupsPath'], '/default/it')
        self.assertTrue(podman['linux']['cgroupsPath'].startswith('/libpod_parent/libpod-'))
        self.must('$CTR task rm -f it; $CTR containers rm it; $POD rm -f -t 0 it')

    def test_options(self):
        run = '$CTR_RUN --rm'
        self.says(f'{run} --memory-limit 67108864 --mount '
                  'type=cgroup,src=cgroup,dst=/sys/fs/cgroup,options=ro $IMAGE it sh -c '
                  "'cat /sys/fs/cgroup/memory/memory.limit_in_bytes || "
                  "cat /sys/fs/cgroup/memory.max'", '^67108864$')
        self.says(f'{run} --read-only $IMAGE it touch /x', 'Read-only', 1)
        self.says(f'{run} --seccomp $IMAGE it grep Seccomp: /proc/self/status', '\t2$')
        self.says(f'{run} --mount type=bind,src=$PLACE/volume,dst=/vol,options=rbind:ro $IMAGE it '
                  'cat /vol/file', '^data$')
        self.says(f'{run} --net-host $IMAGE it ls /sys/class/net', '^lo$')
        self.says(f'{run} --privileged $IMAGE it grep CapEff /proc/self/status', '\t[0-9a-f]*ff$')

    def test_a_task_that_runs_for_a_while(self):
        self.says("$CTR_RUN -d $IMAGE it sh -c 'trap \"exit 7\" TERM; "
                  "while :; do sleep 0.1; done'", '^$')
        self.says('$CTR task ls', '^it .*RUNNING')
        self.says('$CTR task exec --exec-id e1 it echo inside', '^inside$')
        self.says("$CTR task exec --exec-id e2 it sh -c 'exit 9'", '', 9)
        self.says('$CTR task exec --exec-id e3 it nonesuch', 'No such file or directory', 1)
        self.says("script -qec \"$CTR task exec -t --exec-id e4 it sh -c 'tty; sleep 0.3'\" "
                  '/dev/null', '/dev/pts/')
        self.says('$CTR task ps it', '^[0-9]+')
        self.says('$CTR task pause it', '^$')
        self.says('$CTR task ls', '^it .*PAUSED')
        self.says('$CTR task resume it', '^$')
        self.says('$CTR task kill -s TERM it', '^$')
        self.assertTrue(testing.eventually(lambda: 'STOPPED' in self.must('$CTR task ls')))
        self.says('$CTR task rm it', 'exit code 7')
        self.says('$CTR containers rm it', '^$')
        self.none_is_left()


if __name__ == '__main__':
    testing.main()
