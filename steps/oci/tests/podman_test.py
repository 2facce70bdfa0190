#!/usr/bin/python3
"""Tests of build/oci under Podman, with an image of build/rootfs. Ends with a line that sums
all."""

import os
import re
import sys

import pexpect

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from engines import Engine, testing


class Run(Engine):
    """podman run, with one option after the other."""

    def test_the_command_and_its_status(self):
        self.says('$RUN $IMAGE echo hi', '^hi$')
        self.says("$RUN $IMAGE sh -c 'exit 42'", '', 42)
        self.says('$RUN $IMAGE nonesuch', 'No such file or directory', 127)
        self.says('$RUN $IMAGE /etc', 'Permission denied', 126)
        self.says('echo xyz | $RUN -i $IMAGE cat', '^xyz$')
        self.says("$RUN $IMAGE sh -c 'echo $$'", '^1$')
        self.says('$RUN --init $IMAGE ps', 'PID')
        self.none_is_left()

    def test_who_and_where_the_command_is(self):
        self.says('$RUN --hostname abc $IMAGE hostname', '^abc$')
        self.says("$RUN --user 7:8 $IMAGE sh -c 'echo $(id -u) $(id -g)'", '^7 8$')
        self.says('$RUN -w /tmp $IMAGE pwd', '^/tmp$')
        self.says("$RUN -e FOO=bar $IMAGE sh -c 'echo $FOO'", '^bar$')
        self.says('$RUN --user 7 $IMAGE sh -c "echo hi >/dev/stdout"', '^hi$')

    def test_limits(self):
        self.says("$RUN -m 64m $IMAGE sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes || "
                  "cat /sys/fs/cgroup/memory.max'", '^67108864$')
        self.says('$RUN -m 20m $IMAGE tail /dev/zero', '', 137)
        self.says("$RUN --pids-limit 33 $IMAGE sh -c 'cat /sys/fs/cgroup/pids/pids.max || "
                  "cat /sys/fs/cgroup/pids.max'", '^33$')
        self.says("$RUN --cpus 0.5 $IMAGE sh -c 'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us || "
                  "cut -d\" \" -f1 /sys/fs/cgroup/cpu.max'", '^50000$')
        self.says('$RUN --ulimit nofile=77:77 --ulimit nproc=1024:4096 $IMAGE sh -c "ulimit -n"',
                  '^77$')

    def test_files(self):
        self.says('$RUN --read-only --read-only-tmpfs=false $IMAGE touch /x', 'Read-only', 1)
        self.says('$RUN --read-only $IMAGE touch /tmp/x', '^$')
        self.says("$RUN --tmpfs /foo $IMAGE grep /foo /proc/mounts", '^tmpfs /foo')
        self.says('$RUN -v $PLACE/volume:/vol $IMAGE cat /vol/file', '^data$')
        self.says('$RUN -v $PLACE/volume:/vol:ro $IMAGE touch /vol/g', 'Read-only', 1)
        self.says("$RUN $IMAGE sh -c 'wc -c </proc/keys'", '^0$')

    def test_rights(self):
        self.says('$RUN --cap-drop all $IMAGE grep CapEff /proc/self/status', '\t0{16}$')
        self.says('$RUN $IMAGE ip link set lo down', 'not permitted', 2)
        self.says('$RUN --cap-add NET_ADMIN $IMAGE ip link set lo down', '^$')
        self.says('$RUN --security-opt no-new-privileges $IMAGE grep NoNewPrivs /proc/self/status',
                  '\t1$')
        self.says('$RUN $IMAGE grep Seccomp: /proc/self/status', '\t2$')
        self.says('$RUN $IMAGE unshare -m true', 'not permitted|not implemented', 1)
        self.says('$RUN --privileged $IMAGE grep -E "CapEff|Seccomp:" /proc/self/status',
                  r'CapEff:\t[0-9a-f]*ff\nSeccomp:\t0')
        self.says('$RUN --sysctl net.ipv4.ip_forward=1 $IMAGE cat /proc/sys/net/ipv4/ip_forward',
                  '^1$')

    def test_devices(self):
        self.says("$RUN $IMAGE sh -c 'mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk'",
                  'not permitted', 1)
        self.says("$RUN --device /dev/zero:/dev/other $IMAGE sh -c 'head -c 9 /dev/other | wc -c'",
                  '^9$')
        self.must('mknod $PLACE/tun c 10 200')  # A container has no such rule of its own.
        self.says('$RUN --device $PLACE/tun:/dev/other $IMAGE cat /dev/other', 'bad state|No such',
                  1)
        self.says("$RUN $IMAGE sh -c 'head -c 9 /dev/zero | wc -c'", '^9$')

    def test_namespaces_of_the_host_and_of_a_user(self):
        self.says('$RUN --uidmap 0:100000:65536 --gidmap 0:100000:65536 $IMAGE '
                  'cat /proc/self/uid_map', '^ *0 +100000 +65536$')
        self.says("$RUN --pid host $IMAGE sh -c 'echo $$'", '^[0-9]{2,}$')
        self.says('$POD run --rm --network host $IMAGE ls /sys/class/net', '^lo$')

    def test_a_shell_with_a_terminal(self):
        """As a person has it: keys, the size of the window, and ^C."""
        command = self.must('echo $RUN -it $IMAGE sh').split()
        shell = pexpect.spawn(command[0], command[1:], env=dict(
            os.environ, CONTAINERS_CONF=self.place + '/containers.conf'),
                              dimensions=(40, 99), timeout=testing.TIMEOUT_SECONDS)
        self.addCleanup(shell.close, force=True)
        shell.expect('# ')
        for line, answer in [('tty', '/dev/pts/0'), ('stty size', '40 99')]:
            shell.sendline(line)
            shell.expect(answer)
            shell.expect('# ')
        shell.sendline('echo begun; cat')
        shell.expect('begun\r\n')  # Now the terminal has the modes for cat.
        shell.sendline('hello')
        shell.expect('hello\r\nhello')  # The second is cat's, so cat has the keys.
        shell.sendintr()
        shell.expect('# ')
        shell.sendline('exit 5')
        shell.expect(pexpect.EOF)
        shell.wait()
        self.assertEqual(shell.exitstatus, 5)


class Life(Engine):
    """A container that runs for a while."""

    def setUp(self):
        self.must("$POD run -d --name it --network none $IMAGE sh -c "
                  "'trap \"echo bye; exit 7\" TERM; echo begun; while :; do sleep 0.1; done'")
        self.addCleanup(self.run_shell, '$POD rm -f -t 0 it')

    def test_exec(self):
        self.says('$POD exec it echo inside', '^inside$')
        self.says("$POD exec it sh -c 'exit 9'", '', 9)
        self.says('$POD exec it nonesuch', 'No such file or directory', 127)
        self.says('$POD exec --user 5 it id -u', '^5$')
        self.says("$POD exec -e K=v it sh -c 'echo $K'", '^v$')
        self.says('$POD exec it cat /proc/self/cgroup', 'libpod')
        self.says('$POD exec -d it sleep 1000', '')
        self.says('$POD top it', 'sleep 1000')
        self.says("script -qec \"$POD exec -it it sh -c 'tty; sleep 0.3'\" /dev/null", '/dev/pts/')
        self.says('$POD exec it grep -E "Seccomp:|CapInh" /proc/self/status',
                  'CapInh:\t0{16}\nSeccomp:\t2')

    def test_it_is_listed_paused_and_goes_on(self):
        self.says('$POD logs it', '^begun$')
        self.says('$POD ps', ' it$')
        self.says('$POD stats --no-stream it', ' it ')
        self.says('$POD pause it', '^it$')
        self.says("$POD inspect -f '{{.State.Status}}' it", '^paused$')
        self.says('$POD exec it true', 'running', 255)
        self.says('$POD unpause it', '^it$')
        self.says('$POD exec it echo on', '^on$')

    def test_its_limits_change_while_it_runs(self):
        self.says('$POD update --blkio-weight 100 it', 'blockIO/weight is not supported', 125)
        self.says('$POD update --memory 64m --cpus 0.5 it', '.')
        self.says("$POD exec it sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes "
                  "/sys/fs/cgroup/cpu/cpu.cfs_quota_us || "
                  "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max'", '^67108864\n50000')

    def test_a_stop_is_heard(self):
        self.says('$POD stop -t 30 it', '^it$')
        self.says("$POD inspect -f '{{.State.ExitCode}}' it", '^7$')
        self.says('$POD logs it', '^bye$')
        self.says('$POD start it', '^it$')
        self.says('$POD kill it', '^it$')
        self.says('$POD wait it', '^137$')
        self.says('$POD rm it', '.')
        self.none_is_left()

    def test_one_that_is_paused_can_be_removed(self):
        self.must('$POD pause it')
        self.says('$POD rm -f -t 0 it', '.')
        self.none_is_left()


class Shown(Engine):
    """The commands of README.md and of the demo in talk.md."""

    @staticmethod
    def commands(path, lines):
        for line in re.findall(lines, testing.contents(path).replace('\\\n      ', ''), re.M):
            yield line.replace('podman --runtime $PWD/build/oci ', '$POD ').replace(
                'podman ', '$POD ').replace('localhost/box', '$IMAGE').replace(
                    'build/rootfs', testing.TOP + '/build/rootfs')

    def is_started_again(self, run, kill, look, see='true'):
        first = "$POD inspect -f '{{.State.Pid}}' web"
        self.must(run)
        self.must(see)
        killed = self.must(first)
        self.must(kill)
        self.assertTrue(testing.eventually(
            lambda: self.must(first) not in (killed, '0\n')))
        self.says(look, r'sleep 1000 .* Up .* web$')
        self.must('$POD rm -f -t 0 web')
        self.none_is_left()

    def test_the_demo(self):
        run, see, kill, look = self.commands('steps/oci/talk.md', '^- `(.*)`$')
        self.is_started_again(run, kill, look, see)

    def test_the_page(self):
        make, shell, run, kill, look = list(self.commands('steps/oci/README.md', '^    (.*)$'))[:5]
        self.says(make, '^sha256:')
        self.says(f'echo "hostname; ps" | {shell.replace("-it", "-i")}', 'PID +USER')
        self.is_started_again(run, kill, look)


class Pods(Engine):
    """Containers that share namespaces."""

    def test_a_container_joins_another(self):
        self.must('$POD run -d --name it --network none --hostname joined $IMAGE sleep 100')
        self.says('$POD run --rm --network container:it --ipc container:it --pid container:it '
                  '$IMAGE ps', 'sleep 100')
        self.says('$POD run --rm --network container:it --uts container:it $IMAGE hostname',
                  '^joined$')
        self.must('$POD rm -f -t 0 it')

    def test_a_pod(self):
        self.must("$POD pod create --name pod --infra-image $IMAGE --infra-command 'sleep 1000' "
                  '--network none')
        self.says('$POD run --rm --pod pod $IMAGE sh -c "readlink /proc/self/ns/net; hostname"',
                  '^pod$')
        self.says('$POD run --rm --pod pod $IMAGE ls /sys/class/net', '^lo$')
        self.run_shell('$POD pod rm -f -t 0 pod')  # It fails where a hierarchy is not mounted.
        self.none_is_left()


if __name__ == '__main__':
    testing.main()
