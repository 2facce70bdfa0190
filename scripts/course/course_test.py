#!/usr/bin/python3
"""Tests of `make course` in Chromium: every block of every lesson, accidents, attacks, and what is
left. Ends with a line that sums all.

  usage   scripts/course/course_test.py [TEST...]    by name, as Blocks.test_02_pidns
  needs   root; scripts/setup slides lab; make build test-programs rootfs
"""

import contextlib
import glob
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from course import book_test, pages
from talk import browser
from texts import sources, transcript

SECONDS = 120  # For what must happen, on a slow machine too.


def until(what):
    """Waits for something to be true, and tells whether it is."""
    end = time.monotonic() + SECONDS
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def below(pid):
    """The processes that have descended from one."""
    children = []
    for path in glob.glob(f'/proc/{pid}/task/*/children'):
        with contextlib.suppress(OSError):
            children += sources.read(path).split()
    return [*children, *(other for child in children for other in below(child))]


def scratch_of(pids):
    """The directories of the hosts that they are on."""
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            found.update(re.findall(r'DOCS_SCRATCH=([^\0]+)', sources.read(f'/proc/{pid}/environ')))
    return found


class Server:
    """scripts/serve, with a directory of its own for what a reader writes."""

    def __init__(self, *before, words=()):
        self.my = tempfile.mkdtemp(prefix='reader-', dir='build')
        self.process = subprocess.Popen(
            [*before, 'scripts/serve', *words], stdout=subprocess.PIPE, text=True,
            stderr=subprocess.PIPE, env={**os.environ, 'MY': self.my})
        lines = iter(self.process.stdout.readline, '')
        self.url = next((line.strip() for line in lines if 'http://' in line), '')
        self.host, _, rest = self.url.removeprefix('http://').partition('/')
        self.token = rest.rstrip('/')

    def get(self, path, method='GET', **headers):
        """The status and the headers of an answer."""
        connection = http.client.HTTPConnection(*self.host.split(':'), timeout=SECONDS)
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True)
            for name, value in {'Host': self.host, **headers}.items():
                connection.putheader(name.replace('_', '-'), value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders())

    def end(self, number=signal.SIGINT):
        """Its status, and what it has said of errors."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=SECONDS)
        for path in (self.my, 'build/' + self.my):
            shutil.rmtree(path, ignore_errors=True)
        return self.process.returncode, errors


@unittest.skipUnless(os.geteuid() == 0, 'it needs root')
class Read(unittest.TestCase):
    """A server, and a browser that reads in it."""
    words = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(words=cls.words)
        cls.addClassCleanup(cls.server.end)
        cls.page = browser.Page(cls.server.url)
        cls.addClassCleanup(cls.page.close)

    def tearDown(self):
        ours = f'http://{self.server.host}/', f'ws://{self.server.host}/'
        self.assertEqual([what for what in self.page.complaints()
                          if not what.removeprefix('asks for ').startswith(ours)], [])

    def go(self, name='02-pidns.html'):
        self.page.run(f'await page.goto({json.dumps(self.server.url + name)})')
        self.page.until('document.body.dataset.connected')
        self.settle()

    def js(self, expression):
        return self.page.js(expression)

    def settle(self):
        """Waits until all that the page has asked for is done."""
        self.page.until('document.body.dataset.connected && !busy && !one("[data-state=running]")')

    def run_block(self, number):
        """The states of the commands of a block, after its button was pressed."""
        block = f'all(".console")[{number}]'
        self.js(f'all(".command", {block}).forEach(node => delete node.dataset.state);'
                f'one("button.all", {block}).click()')
        self.page.until(f'all("[data-state]:not([data-state=running])", {block}).length && !busy')
        return self.states(block)

    def states(self, block='document'):
        return self.js(f'all(".command[data-state]", {block}).map(node => node.dataset.state)')

    def type(self, terminal, text):
        self.js(f'terminals[{terminal}].view.textarea.focus()')
        self.page.run(f'await page.keyboard.type({json.dumps(text)})')

    def screen(self, terminal):
        return self.js(f'''(() => {{
          const rows = terminals[{terminal}].view.buffer.active;
          return Array.from({{ length: rows.length }}, (_, n) => rows.getLine(n))
            .map(row => row.translateToString(true)).join("\\n").trimEnd(); }})()''')

    def open(self):
        """A terminal of root's."""
        self.js('one("[data-do=open][data-sign=\'#\']").click()')
        self.page.until('terminals.length && !busy')

    def afresh(self):
        self.js('one("[data-do=afresh]").click()')
        self.page.until('!terminals.length && !all("[data-state]", one("article")).length')


class Blocks(Read):
    """Every block of every lesson, through the page, once."""


def every_block(path):
    def test(self):
        self.go(pages.page_of(path))
        commands = transcript.parse(sources.read(path)).commands
        self.assertEqual(self.js('all("aside .console").length'), 0)
        for number in range(self.js('all(".console").length')):
            self.run_block(number)
        states = self.states()
        self.assertEqual(len(states), len(commands))
        wrong = [(command.line, command.typed[0], state) for command, state in zip(commands, states)
                 if state not in ('same', 'skipped')]
        self.assertEqual(wrong, [], self.js('all(".verdict").map(node => node.innerText)'))
        self.assertGreater(states.count('same'), len(commands) // 2)
        self.afresh()
    return test


for path_ in [*pages.LESSONS, 'steps/README.md', 'steps/docker.md']:
    setattr(Blocks, 'test_' + pages.page_of(path_)[:-5].replace('-', '_'), every_block(path_))


class Reading(Read):
    def setUp(self):
        self.go()
        self.afresh()

    def tearDown(self):
        self.assertEqual(self.js('one(".status").textContent'), '')  # No host has ended by itself.
        super().tearDown()

    def test_the_readers_numbers_take_the_place_of_the_texts(self):
        self.assertEqual(self.run_block(4), ['same'] * 6)
        yours = self.js('all(".vary.yours").map(node => [node.dataset.name, node.textContent])')
        self.assertGreater(len(yours), 12)
        self.assertEqual(len(set(map(tuple, yours))), 4)
        self.assertGreater(self.js('all("svg .vary.yours").length'), 0)
        self.assertIn(dict(yours)['4104'], self.screen(1))
        self.afresh()
        self.assertEqual(self.js('all(".vary.yours").length'), 0)
        self.assertEqual(self.js('all(".vary").filter(node => node.textContent !== '
                                 'node.dataset.name).length'), 0)

    def test_a_page_that_is_loaded_again_and_a_second_one_show_all_of_it(self):
        self.run_block(4)
        before, screen = self.states(), self.screen(0)
        self.go()
        self.assertEqual((self.states(), self.screen(0)), (before, screen))
        self.page.run(f'''globalThis.second = listen(await browser.newPage());
                          await second.goto("{self.server.url}02-pidns.html");
                          await second.waitForSelector("body[data-connected]")''')
        self.run_block(5)
        count = 'document.querySelectorAll("article [data-state]").length'
        self.assertTrue(until(lambda: self.js(count) == self.page.run(
            f'return second.evaluate({json.dumps(count)})')))
        self.page.run('await second.close()')
        self.assertEqual(self.run_block(0)[0], 'same')

    def test_half_a_line_is_taken_back_and_a_busy_terminal_is_left_alone(self):
        self.run_block(5)  # It needs what block 4 shows.
        self.run_block(4)
        self.type(1, 'echo half a li')
        self.assertEqual(self.run_block(5), ['same'])
        self.type(1, 'sleep 1000\n')
        self.page.until('terminals.length === 2')
        self.assertEqual(set(self.run_block(0)), {'same'})
        self.assertGreater(self.js('terminals.length'), 2)
        self.page.press('Control', 'c')

    def test_a_shell_that_was_killed_is_told_and_replaced(self):
        self.open()
        self.type(0, 'kill -9 $$\n')
        self.page.until('terminals[0].box.classList.contains("ended")')
        self.assertEqual(set(self.run_block(2)), {'same'})

    def test_a_command_before_what_it_needs_says_so_and_a_button_helps(self):
        self.js('one(".run", all(".command.box")[8]).click()')
        self.page.until('one(".verdict button")')
        self.assertIn('number of another machine', self.js('one(".verdict").innerText'))
        self.js('one(".verdict button").click()')
        self.page.until('all("[data-state=same]").length > 2 && !busy')
        self.assertEqual(set(self.states()), {'same'})

    def test_without_a_container_its_button_opens_one(self):
        self.js('one(".run", all(".command.box")[5]).click()')
        self.page.until('one(".verdict button")')
        self.assertIn('No container', self.js('one(".verdict").innerText'))
        self.js('one(".verdict button").click()')
        self.page.until('all("[data-state=same]").length > 1 && !busy')
        self.assertEqual(set(self.states()), {'same'})

    def test_what_differs_is_shown_line_by_line(self):
        self.run_block(4)
        self.run_block(5)
        self.assertEqual(self.run_block(5), ['differs'])
        self.assertIn('need not be wrong', self.js('one(".verdict p").textContent'))
        self.assertEqual(self.js('all(".verdict span").map(row => row.textContent[0])'),
                         [' ', ' ', '−', '+'])

    def test_a_command_that_hangs_can_be_stopped_even_if_it_ignores_that(self):
        for words in ('sleep 1000', '(trap "" INT; sleep 1000)'):
            self.open()
            self.type(0, f'grep() {{ {words}; }}\n')
            self.assertTrue(until(lambda: self.screen(0).count('host#') == 2))
            self.js('one("button.all", all(".console")[3]).click()')
            self.page.until('one("[data-state=running]")')
            self.assertTrue(until(lambda: 'grep -v' in self.screen(0)))
            self.js('one("[data-do=stop]").click()')
            self.settle()
            self.assertEqual(len(self.states()), 1)  # The rest is not run.
            self.afresh()
        self.assertEqual(set(self.run_block(3)), {'same'})

    def test_control_c_ends_what_prints_without_end_at_once(self):
        self.open()
        self.type(0, 'yes\n')
        self.page.until('terminals[0].view.buffer.active.length > 500')
        self.page.press('Control', 'c')
        start = time.monotonic()
        self.assertTrue(until(lambda: self.screen(0).endswith('host#')))
        self.assertLess(time.monotonic() - start, 10)

    def test_a_long_paste_comes_whole(self):
        self.open()
        self.type(0, 'echo now; cat >/tmp/pasted\n')
        self.assertTrue(until(lambda: '\nnow' in self.screen(0)))
        lines = '\n'.join(f'{number:04} ' + 'x' * 54 for number in range(1500))
        self.js(f'terminals[0].view.paste({json.dumps(lines)})')
        self.type(0, '\n')
        self.page.press('Control', 'd')
        self.type(0, 'wc -c /tmp/pasted\n')
        self.assertTrue(until(lambda: '90000 /tmp/pasted' in self.screen(0)), self.screen(0))

    def test_a_socket_that_is_lost_comes_back_and_what_runs_goes_on(self):
        # As soon as a command runs, because it may have ended when we look.
        self.js('''new Promise(done => {
          new MutationObserver((_, watcher) => {
            if (!one("[data-state=running]")) return;
            watcher.disconnect();
            socket.addEventListener("close", () => done());
            socket.close();
          }).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-state"] });
          one("button.all", all(".console")[4]).click(); })''')
        self.settle()
        self.assertEqual(self.states(), ['same'] * 6)

    def test_what_was_run_is_remembered_for_the_next_start(self):
        self.run_block(4)
        self.page.until('+one("[aria-current=page]").style.getPropertyValue("--done") > 0')
        kept = json.loads(sources.read(self.server.my + '/.read.json'))
        self.assertGreaterEqual(len(kept['steps/02-pidns/README.md']), 6)

    def test_each_page_is_drawn_at_each_width_and_can_be_read(self):
        self.run_block(4)
        self.run_block(5)
        self.run_block(5)
        for width in book_test.WIDTHS:
            self.page.run(f'await page.setViewport({{ width: {width}, height: 900 }})')
            for look in ('light', 'dark'):
                self.go(f'02-pidns.html?look={look}')
                self.assertLessEqual(self.js(book_test.SIDEWAYS), 0)
                self.assertEqual(self.js(book_test.UNREADABLE), [])
                until(lambda: not self.page.unreadable())  # A terminal draws a moment later.
                self.assertEqual(self.page.unreadable(), [])
        # In a narrow window, the terminals stand below the text.
        self.assertEqual(self.js('Math.round(one("aside").getBoundingClientRect().bottom)'), 900)
        self.page.run('await page.setViewport({ width: 1440, height: 900 })')

    def test_a_reader_without_a_mouse_leaves_a_terminal(self):
        self.open()
        self.js('terminals[0].view.focus()')
        self.page.press('Shift', 'Escape')
        self.assertEqual(self.js('document.activeElement.tagName'), 'SUMMARY')


class Writing(Read):
    def test_a_step_is_written_beside_its_lesson(self):
        self.go()
        self.js('one("[data-tab=own]").click()')
        self.page.until('one(".there").textContent.includes("your own editor")')
        self.js('one("[data-do=begin]").click()')
        self.page.until('one(".found .broken")')
        self.assertIn('PID 1', self.js('one(".found h3").textContent'))
        self.js('one("[data-do=hint]").click()')
        self.page.until('one(".hints div")')
        mine = self.server.my + '/02.cpp'
        shutil.copy('steps/02-pidns/main.cpp', mine)
        self.page.until('one(".found .holds")')
        self.assertEqual(self.js('all(".pieces [data-state=holds]").length'), 3)
        with open(mine, 'a', encoding='utf-8') as file:
            file.write('int broken = ;\n')
        self.page.until('one(".found pre")')
        self.assertIn('error: expected', self.js('one(".found pre").textContent'))
        self.go()
        self.page.until('one(".found").textContent.includes("does not compile")')


@unittest.skipUnless(os.geteuid() == 0, 'it needs root')
class Attacks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.end)

    def status(self, path, **headers):
        return self.server.get(path.replace('TOKEN', self.server.token), **headers)[0]

    def test_who_has_the_secret_and_asks_as_our_page_does_is_answered(self):
        ours = {'Origin': f'http://{self.server.host}'}
        for path in ('', 'index.html', '02-pidns.html', 'live.js', 'steps-02-pidns-main.cpp.html'):
            self.assertEqual(self.status('/TOKEN/' + path), 200, path)
            self.assertEqual(self.status('/TOKEN/' + path, **ours), 200, path)

    def test_others_are_refused(self):
        foreign = {'Origin': 'http://evil.example'}
        port = self.server.host.split(':')[1]
        for wanted, path, headers in (
                (404, '/', {}), (404, '/TOKEN', {}), (404, '/x/', {}), (404, '/TOKENx/', {}),
                (404, '/?token=TOKEN', {}), (404, f'/{"x" * 32}/02-pidns.html', {}),
                (403, '/TOKEN/', {'Host': 'evil.example'}), (403, '/TOKEN/', {'Host': ''}),
                (403, '/TOKEN/', {'Host': f'localhost:{port}'}), (403, '/TOKEN/', foreign),
                (403, '/TOKEN/', {'Origin': 'null'}), (403, '/TOKEN/talk/02-pidns.html', {}),
                (403, '/TOKEN/talk/02-pidns.html', foreign), (405, '/TOKEN/', {'method': 'POST'}),
                (404, '/TOKEN/../../etc/passwd', {}), (404, '/TOKEN/build-compile.html', {}),
                (404, '/TOKEN/..%2f..%2fetc%2fpasswd', {}), (404, '/TOKEN/.git-config.html', {})):
            self.assertEqual(self.status(path, **headers), wanted, (path, headers))

    def upgrade(self, path='/TOKEN/talk/02-pidns.html', **headers):
        return self.status(path, Upgrade='websocket', Connection='Upgrade',
                           Sec_WebSocket_Version='13',
                           Sec_WebSocket_Key='dGhlIHNhbXBsZSBub25jZQ==', **headers)

    def test_a_socket_is_for_our_pages_only(self):
        ours = f'http://{self.server.host}'
        self.assertEqual(self.upgrade(Origin=ours), 101)
        self.assertEqual(self.upgrade(), 403)
        for origin in ('null', 'http://evil.example', f'https://{self.server.host}'):
            self.assertEqual(self.upgrade(Origin=origin), 403, origin)
        self.assertEqual(self.upgrade('/TOKEN/talk/none.html', Origin=ours), 404)
        self.assertEqual(self.upgrade('/x/talk/02-pidns.html', Origin=ours), 404)

    def test_a_page_may_load_nothing_from_elsewhere_and_nobody_keeps_it(self):
        _, headers = self.server.get(f'/{self.server.token}/02-pidns.html')
        self.assertEqual(headers['Cache-Control'], 'no-store')
        self.assertEqual(headers['Referrer-Policy'], 'no-referrer')

    def test_another_user_sees_neither_the_secret_nor_more_than_the_address_of_this_machine(self):
        for pid in [str(self.server.process.pid), *below(self.server.process.pid)]:
            self.assertNotIn(self.server.token, sources.read(f'/proc/{pid}/cmdline'))
        port = int(self.server.host.split(':')[1])
        listening = [line.split()[1] for line in sources.read('/proc/net/tcp').splitlines()
                     if f':{port:04X} ' in line and ' 0A ' in line]
        self.assertEqual(listening, [f'0100007F:{port:04X}'])

    def test_nonsense_in_a_socket_closes_it_and_harms_nobody(self):
        with browser.Page(self.server.url + '02-pidns.html') as page:
            page.until('document.body.dataset.connected')
            for nonsense in ('x', '[]', '{}', '{"do": "drawn"}', '{"do": "key", "terminal": 99}',
                             '{"do": "run", "lines": ["a", {}, null]}', '{"do": "run", "x": 1}',
                             '{"do": "open", "sign": "x"}', '{"do": "all", "page": 0}'):
                page.js(f'socket.send({json.dumps(nonsense)})')
                page.run('await page.reload()')
                page.until('document.body.dataset.connected')
            page.js('one("button.all", all(".console")[4]).click()')
            page.until('all("[data-state=same]").length === 6')


@unittest.skipUnless(os.geteuid() == 0, 'it needs root')
class Ends(unittest.TestCase):
    def ended(self, number):
        """Runs something that makes mounts, cgroups and links; ends the server; looks for them."""
        server = Server()
        with browser.Page(server.url + '02-pidns.html') as page:
            page.until('document.body.dataset.connected')
            page.js('one("[data-do=open][data-sign=\'#\']").click()')
            page.until('terminals.length && !busy')
            page.js('say("key", { terminal: 0, data: "sleep 1000 & build/08-all\\r" })')
            page.until('one(".pane.box")')
            pids = below(server.process.pid)
            places = scratch_of(pids)
            self.assertTrue(places)
            result = server.end(number)
        self.assertTrue(until(lambda: not any(os.path.exists(f'/proc/{pid}') for pid in pids)))
        self.assertTrue(until(lambda: not any(map(os.path.exists, places))), places)
        mounts = sources.read('/proc/self/mountinfo')
        self.assertEqual([place for place in places if place in mounts], [])
        return result

    def test_control_c_leaves_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.assertEqual(self.ended(number), (0, ''))

    def test_a_server_that_is_killed_leaves_nothing(self):
        self.assertEqual(self.ended(signal.SIGKILL)[0], -signal.SIGKILL)

    def test_a_user_with_sudo_has_terminals_and_the_files(self):
        scratch = tempfile.TemporaryDirectory(prefix='course_test.')
        self.addCleanup(scratch.cleanup)
        # Only these processes see this /etc.
        server = Server('unshare', '--mount', 'sh', '-c', f'''cp -a /etc {scratch.name} &&
            cd {scratch.name}/etc && echo reader:x:54321:54321::/:/bin/sh >>passwd &&
            echo reader:x:54321: >>group && echo 'reader:*:19000:0:99999:7:::' >>shadow &&
            echo 'reader ALL=(ALL) NOPASSWD: ALL' >sudoers.d/reader &&
            chmod 440 sudoers.d/reader && mount --bind . /etc && cd - >/dev/null &&
            chown 54321 "$MY" &&
            exec setpriv --reuid 54321 --regid 54321 --clear-groups "$@"''', 'sh')
        with browser.Page(server.url + '02-pidns.html') as page:
            page.until('document.body.dataset.connected')
            page.js('one("button.all", all(".console")[4]).click()')
            page.until('all("[data-state=same]").length === 6 && !busy')
            page.js('one("[data-do=begin]").click()')
            self.assertTrue(until(lambda: os.path.exists(server.my + '/02.cpp')))
            for name in ('02.cpp', '.read.json'):
                self.assertEqual(os.stat(f'{server.my}/{name}').st_uid, 54321)
            pids = below(server.process.pid)
            self.assertEqual(server.end(), (0, ''))
        self.assertTrue(until(lambda: not any(os.path.exists(f'/proc/{pid}') for pid in pids)))

    def test_without_root_the_pages_say_what_helps(self):
        user = ['setpriv', '--reuid', '54321', '--regid', '54321', '--clear-groups', 'env',
                'PATH=/usr/bin:/bin']
        server = Server(*user)
        with browser.Page(server.url + '02-pidns.html') as page:
            page.until('document.body.dataset.connected')
            page.js('one("button.all").click()')
            page.until('one(".status").textContent.includes("LAB=yes")')
        server.end()


class Lab(Read):
    """In a virtual machine, which needs no root and has cgroup v2."""
    words = ['--lab']

    @classmethod
    def setUpClass(cls):
        # Without KVM, and with other work on the machine, a command takes minutes.
        longer = unittest.mock.patch.object(browser, 'TIMEOUT_SECONDS', 900)
        longer.start()
        cls.addClassCleanup(longer.stop)
        super().setUpClass()

    test_the_lesson_of_cgroups = every_block('steps/07-cgroup-memory/README.md')


if __name__ == '__main__':
    os.chdir(pages.TOP)
    summed.main()
