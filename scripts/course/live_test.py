#!/usr/bin/python3
"""Attacks on the server, as `make live` starts it, and a try of it in Chromium. Ends with a line
that sums all.

  usage   scripts/course/live_test.py [TEST...]
  needs   scripts/setup slides
"""

import base64
import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import pexpect

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from ci import summed
from talk import browser, deck
from texts import sources

PROMPT = b'host# ' if os.geteuid() == 0 else b'host$ '
SECONDS = 120  # For what must happen, on a slow machine too.
# Of RFC 6455: kinds of messages, and why a connection is closed.
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
NORMAL, PROTOCOL, POLICY, TOO_BIG = 1000, 1002, 1008, 1009
ROWS = "document.querySelector('.live > :not([hidden]) .xterm-rows')"
SERVE = [deck.TOP + '/scripts/serve', '--slides']


def until(what):
    """Waits for something to be true, and tells whether it is."""
    end = time.monotonic() + SECONDS
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def from_client(kind, data, mask=b'abcd'):
    """A message, as a browser sends it."""
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else b'\xfe' + struct.pack('!H', size)
    return bytes([0x80 | kind]) + length + mask + bytes(
        byte ^ mask[n % 4] for n, byte in enumerate(data))


class Served(unittest.TestCase):
    """The server, and attacks on it. What is asked for is as a browser would, but for
    what the test says."""

    def setUp(self):
        self.home = tempfile.TemporaryDirectory(prefix='live_test.')
        self.addCleanup(self.home.cleanup)
        # Another demo may be on.
        self.environment = {**os.environ, 'TMUX_TMPDIR': self.home.name}
        self.process = subprocess.Popen(
            SERVE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**self.environment, 'TMPDIR': self.home.name, 'LIVE_TEST': self.home.name})
        self.addCleanup(self.stop)
        self.said = ''
        while not (found := re.search(r'http://(127\.0\.0\.1:(\d+))/([\w-]+)/', self.said)):
            line = self.process.stdout.readline()
            self.assertTrue(line, f'it ended:\n{self.said}')
            self.said += line
        self.url, self.host, self.port, self.token = found[0], found[1], int(found[2]), found[3]
        self.talk = f'/{self.token}/talk/slides.html'

    def stop(self, number=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(SECONDS)
        self.process.stdout.close()
        return status

    def connect(self, address='127.0.0.1'):
        connection = socket.create_connection((address, self.port), SECONDS)
        self.addCleanup(connection.close)
        return connection

    def request(self, path, host=None, method='GET', **headers):
        lines = [f'{method} {path} HTTP/1.1', f'Host: {host or self.host}']
        lines += [f'{name.replace("_", "-")}: {value}' for name, value in headers.items()]
        return ('\r\n'.join(lines) + '\r\n\r\n').encode()

    def ask(self, data):
        """The status of the answer, and all of it. None if there is none."""
        connection = self.connect()
        text = b''
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
            while chunk := connection.recv(65536):
                text += chunk
        found = re.match(rb'HTTP/1\.[01] (\d+) ', text)
        return int(found[1]) if found else None, text

    def status(self, *words, **headers):
        return self.ask(self.request(*words, **headers))[0]

    def handshake(self, **changes):
        headers = {'Origin': f'http://{self.host}', 'Upgrade': 'websocket', 'Connection': 'Upgrade',
                   'Sec_WebSocket_Version': '13',
                   'Sec_WebSocket_Key': base64.b64encode(os.urandom(16)).decode(), **changes}
        return {name: value for name, value in headers.items() if value is not None}

    def shell(self):
        """A connection to the shell, as the page makes one."""
        connection = self.connect()
        connection.sendall(self.request(self.talk, **self.handshake()))
        file = connection.makefile('rb')
        self.addCleanup(file.close)
        head = [file.readline()]
        while head[-1].strip():
            head.append(file.readline())
        self.assertIn(b' 101 ', head[0], b''.join(head))
        self.say((connection, file), do='open', sign='$')
        return connection, file

    def say(self, shell, **what):
        shell[0].sendall(from_client(TEXT, json.dumps(what).encode()))

    def message(self, shell):
        """The next one. The server's own pings are answered, as a browser does."""
        connection, file = shell
        while True:
            kind, size = file.read(2)
            if size == 126:
                size, = struct.unpack('!H', file.read(2))
            data = file.read(size)
            if kind & 15 != PING:
                return kind & 15, data
            connection.sendall(from_client(PONG, data))

    def until(self, shell, words):
        """Reads what the shell prints."""
        text = b''
        while words not in text:
            kind, data = self.message(shell)
            self.assertEqual(kind, TEXT, text)
            text += json.loads(data).get('data', '').encode()
        return text

    def ping(self, shell):
        """Reads up to the answer."""
        shell[0].sendall(from_client(PING, b'there?'))
        while (message := self.message(shell))[0] != PONG:
            self.assertEqual(message[0], TEXT)
        self.assertEqual(message[1], b'there?')

    def type(self, shell, text):
        self.say(shell, do='key', terminal=0, data=text)

    def descendants(self):
        """What the shell has started: the variable is handed down."""
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            with contextlib.suppress(OSError):
                with open(f'/proc/{pid}/environ', 'rb') as file:
                    if f'LIVE_TEST={self.home.name}'.encode() in file.read() and \
                            int(pid) != self.process.pid:
                        found.append(pid)
        return found

    def closed_with(self, shell):
        """The number with which the server ends a connection."""
        while True:
            kind, data = self.message(shell)
            if kind == CLOSE:
                return struct.unpack('!H', data)[0]


class Attacks(Served):
    def test_the_page_takes_the_secret(self):
        for path in ('/', '/index.html', '/x/', f'/{self.token[:-1]}/', f'/{self.token}x/',
                     f'/{self.token}', f'//{self.token}/', f'/{self.token}/../', f'/?token={self.token}',
                     '/\xff/', f'/{self.token}/shells'):
            self.assertEqual(self.status(path), 404, path)
        status, text = self.ask(self.request(f'/{self.token}/slides.html'))
        self.assertEqual(status, 200)
        self.assertIn(b'Content-Length: %d\r\n' % len(text.partition(b'\r\n\r\n')[2]), text)
        for header in (b'Cache-Control: no-store', b'Referrer-Policy: no-referrer',
                       b'X-Frame-Options: SAMEORIGIN'):
            self.assertIn(header, text)

    def test_no_answer_tells_the_secret(self):
        for data in (self.request('/'), self.request('/x/talk/slides.html', **self.handshake()), b'\r\n\r\n'):
            self.assertNotIn(self.token.encode(), self.ask(data)[1])

    def test_the_shell_takes_the_secret(self):
        for path in ('talk', '/talk', self.token[:-1] + '/talk', self.token + 'x/talk'):
            path = f'/{path}/slides.html'
            self.assertEqual(self.status(path, **self.handshake()), 404, path)
        self.assertEqual(self.descendants(), [])

    def test_another_host_is_refused(self):
        """A name that somebody else's server gave out for 127.0.0.1."""
        for host in ('evil.example', f'evil.example:{self.port}', '127.0.0.1', f'localhost:{self.port}',
                     f'127.0.0.1:{self.port}.evil.example', f'127.0.0.1:{self.port + 1}'):
            self.assertEqual(self.status(f'/{self.token}/', host), 403, host)
            self.assertEqual(self.status(self.talk, host, **self.handshake()), 403, host)
        for status, lines in (
                (403, b''), (400, b'Host: %s\r\nHost: evil.example\r\n' % self.host.encode())):
            data = b'GET /%s/ HTTP/1.1\r\n%s\r\n' % (self.token.encode(), lines)
            self.assertEqual(self.ask(data)[0], status)

    def test_another_origin_is_refused(self):
        for origin in ('http://evil.example', 'null', 'file://', f'https://{self.host}',
                       f'http://localhost:{self.port}', f'http://{self.host}.evil.example'):
            self.assertEqual(self.status(f'/{self.token}/', Origin=origin), 403, origin)
            self.assertEqual(self.status(self.talk, **self.handshake(Origin=origin)), 403, origin)
        # Each page's browser says where it is from: who does not is none.
        self.assertEqual(self.status(self.talk, **self.handshake(Origin=None)), 403)

    def test_another_method_is_refused(self):
        for method in ('POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'CONNECT'):
            self.assertEqual(self.status(f'/{self.token}/', method=method), 405, method)
            self.assertEqual(self.status(self.talk, method=method, **self.handshake()), 405)

    def test_garbage_is_refused(self):
        for data in (self.request(f'/{self.token}/', method='get'), b'GET\r\n\r\n',
                     b'\x16\x03\x01\x02\x00\x01\r\n\r\n', b'\0' * 100 + b'\r\n\r\n',
                     b'GET / HTTP/1.1\r\n' + b'a: b\r\n' * 200 + b'\r\n',
                     b'GET /' + b'a' * 9000 + b'\r\n\r\n'):
            self.assertEqual(self.ask(data)[0], 400, data)
        self.assertEqual(self.status(f'/{self.token}/'), 200)

    def test_a_handshake_that_is_none(self):
        for changes in ({'Upgrade': None}, {'Upgrade': 'h2c'}, {'Connection': None},
                        {'Sec_WebSocket_Version': '6'}, {'Sec_WebSocket_Key': None},
                        {'Sec_WebSocket_Key': 'short'}):
            self.assertEqual(self.status(self.talk, **self.handshake(**changes)), 400, changes)
        self.assertEqual(self.descendants(), [])

    def test_no_other_address_answers(self):
        for address in ('127.0.0.2', '::1'):
            with self.assertRaises(OSError, msg=address):
                self.connect(address)

    def test_it_cannot_be_told_to_listen_elsewhere(self):
        for words in (['0.0.0.0'], ['--host', '0.0.0.0'], ['8080']):
            result = subprocess.run([*SERVE, *words], capture_output=True, text=True,
                                    check=False)
            self.assertIn('usage', result.stderr)
            self.assertEqual(result.returncode, 1)

    def test_who_asks_slowly_is_cut_off(self):
        slow = self.connect()
        slow.sendall(b'GET /')
        self.assertEqual(self.status(f'/{self.token}/'), 200)  # Others need not wait.
        end = time.monotonic() + SECONDS
        with contextlib.suppress(ConnectionError):
            # A byte now and then does not help.
            while time.monotonic() < end:
                slow.settimeout(0.2)
                with contextlib.suppress(TimeoutError):
                    self.assertEqual(slow.recv(1000), b'')
                    break
                slow.sendall(b'x')
        self.assertLess(time.monotonic(), end)

    def test_an_empty_line_is_no_request(self):
        self.assertEqual(self.ask(b'\r\n\r\n'), (None, b''))

    def test_who_takes_all_connections_has_them_for_a_while(self):
        for _ in range(40):
            self.connect()
        self.assertTrue(until(lambda: self.status(f'/{self.token}/') == 200))

    def test_one_page_has_the_shell(self):
        first = self.shell()
        self.until(first, PROMPT)
        self.assertEqual(self.status(self.talk, **self.handshake()), 409)
        self.type(first, 'echo $((6*7))\r')
        self.until(first, b'42\r\n')
        first[0].sendall(from_client(CLOSE, b''))
        self.assertEqual(self.closed_with(first), NORMAL)
        self.until(self.shell(), PROMPT)  # Now it is free.

    def test_messages_that_break_the_rules_end_it(self):
        for data, number in ((b'\x82\xff' + b'\x7f' * 8, TOO_BIG), (b'\xff' * 100, PROTOCOL),
                             (b'\x80\x80abcd', PROTOCOL), (b'\x89\xfe\x00\x7eabcd', PROTOCOL),
                             (b'\x82\xff' + struct.pack('!Q', (64 << 10) + 1), TOO_BIG),
                             (from_client(TEXT, b'resize'), POLICY), (from_client(BINARY, b'\0'), POLICY)):
            shell = self.shell()
            self.until(shell, PROMPT)
            shell[0].sendall(data)
            self.assertEqual(self.closed_with(shell), number, data)
            self.assertTrue(until(lambda: not self.descendants()), data)

    def test_who_does_not_read_gets_no_more(self):
        shell = self.shell()
        self.until(shell, PROMPT)
        self.ping(shell)
        shell[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.type(shell, 'yes\r')
        self.assertTrue(until(lambda: not self.descendants()))  # It is cut off, and its shell ends.
        self.assertEqual(self.status(f'/{self.token}/'), 200)

    def test_a_shell_that_does_not_read_is_not_filled(self):
        shell = self.shell()
        self.until(shell, PROMPT)
        # Without stty, a terminal throws away what is behind 4 KiB of a line.
        self.type(shell, 'stty raw -echo; echo $((6*7)); sleep 1000\r')
        self.until(shell, b'42\n')
        before = self.memory()
        typed = from_client(TEXT, json.dumps({'do': 'key', 'terminal': 0, 'data': 'x' * 60000}).encode())
        for _ in range(2000):
            shell[0].sendall(typed)
        self.ping(shell)
        self.assertLess(self.memory() - before, 64 << 10)
        shell[0].close()
        shell[1].close()
        self.assertTrue(until(lambda: not self.descendants()))

    def test_what_a_shell_has_printed_is_not_kept(self):
        shell = self.shell()
        self.until(shell, PROMPT)
        before = self.memory()
        self.type(shell, 'yes | head -c 6000000; echo $((6*7))\r')  # With \r, it is 9 MB.
        self.until(shell, b'42\r\n')
        self.assertLess(self.memory() - before, 6 << 10)

    def memory(self):
        """KiB of the server, and of all that it has started."""
        return sum(int(re.search(r'VmRSS:\s*(\d+)', sources.read(f'/proc/{pid}/status'))[1])
                   for pid in [self.process.pid, *self.descendants()])


class Life(Served):
    def test_it_is_a_terminal_of_the_right_size(self):
        shell = self.shell()
        self.until(shell, PROMPT)
        self.type(shell, 'stty size; tty; pwd; ls -l /proc/self/fd | wc -l\r')
        text = self.until(shell, b'\n5\r').decode()  # 0 to 2, the directory's, and a line above.
        self.assertIn('22 84', text)
        self.assertIn('/dev/pts/', text)
        self.assertIn(deck.TOP, text)

    def test_who_writes_to_nobody_ends(self):
        # Python ignores SIGPIPE, and what it starts would, too.
        shell = self.shell()
        self.until(shell, PROMPT)
        self.type(shell, 'yes | head -n 1; echo done\r')
        self.assertNotIn(b'Broken pipe', self.until(shell, b'\ndone\r'))

    def test_interrupt_comes_through_a_flood(self):
        shell = self.shell()
        self.until(shell, PROMPT)
        self.type(shell, 'yes\r')
        self.until(shell, b'y\r\ny\r\n')
        self.type(shell, '\x03')
        self.until(shell, PROMPT)

    def test_the_shell_may_end_first(self):
        shell = self.shell()
        self.until(shell, PROMPT)
        self.type(shell, 'exit\r')
        while not json.loads(self.message(shell)[1]).get('ended'):
            pass
        self.say(shell, do='open', sign='$')
        self.until(shell, PROMPT)

    def leave_something(self):
        """A job, one that ignores the hang-up, one that has left the session."""
        shell = self.shell()
        self.until(shell, PROMPT)
        self.type(shell, 'sleep 1001 & nohup sleep 1002 >/dev/null 2>&1 & '
                         'setsid --fork sh -c "sleep 1003; :"; echo $((6*7))\r')
        self.until(shell, b'42\r\n')
        self.assertTrue(until(lambda: len(self.descendants()) >= 5))
        return shell

    def test_nothing_is_left_when_the_page_closes(self):
        connection, file = self.leave_something()
        file.close()
        connection.close()
        self.assertTrue(until(lambda: not self.descendants()), self.descendants())
        self.assertIsNone(self.process.poll())

    def test_nothing_is_left_when_the_server_ends(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self.leave_something()
            self.assertEqual(self.stop(number), 0)
            self.assertEqual(self.descendants(), [])
            self.assertEqual(os.listdir(self.home.name), [])
            self.doCleanups()
            self.setUp()

    def test_in_the_browser(self):
        with browser.Page(self.url + 'slides.html') as page:
            page.press('c')
            rows = "document.querySelector('.live .xterm-rows')?.textContent.replaceAll('\\xa0', ' ')"
            page.until(f"({rows} || '').includes('{PROMPT.decode()}')")
            number = page.js('Reveal.getIndices().h')
            page.run('await page.keyboard.type("echo $((6*7))\\n")')
            page.until("[...document.querySelectorAll('.live .xterm-rows > div')]"
                       ".some(row => row.textContent.trim() === '42')")
            self.assertEqual(page.js('Reveal.getIndices().h'), number)  # The keys are the shell's.
            self.assertEqual(page.js("""(() => { const box = document.querySelector('.live')
                .getBoundingClientRect(); return box.left >= 0 && box.right <= innerWidth &&
                box.bottom <= innerHeight && box.top > 60; })()"""), True)
            page.press('Shift', 'Escape')
            self.assertTrue(page.js("document.querySelector('.live').hidden"))
            page.press(' ')
            self.assertEqual(page.js('Reveal.getIndices().h'), number + 1)
            self.assertEqual([what for what in page.complaints() if self.host not in what], [])
            # It may connect to where it is from, and nowhere else.
            for address in ('ws://127.0.0.1:9/', f'ws://localhost:{self.port}/', 'http://127.0.0.1:9/'):
                page.js(f"""new Promise(done => {{
                    addEventListener('securitypolicyviolation', done, {{ once: true }});
                    try {{ {'new WebSocket' if address[0] == 'w' else 'fetch'}('{address}'); }} catch {{ }}
                  }}).then(event => event.effectiveDirective)""")
        self.assertTrue(until(lambda: not self.descendants()))


    def test_a_shell_that_is_lost_is_told_and_can_be_opened_again(self):
        with browser.Page(self.url + 'slides.html') as page:
            for _ in range(2):
                page.press('c')
                page.until('document.querySelector(".live .xterm-rows")?.textContent.includes("host")')
                for pid in sources.read(f'/proc/{self.process.pid}/task/{self.process.pid}/children').split():
                    os.kill(int(pid), signal.SIGKILL)
                page.until('document.querySelector(".live").dataset.says.includes("has ended")')
                self.assertTrue(until(lambda: not self.descendants()))
                page.press('Shift', 'Escape')
                self.assertTrue(page.js('document.querySelector(".live").hidden'))

    @unittest.skipUnless(os.geteuid() == 0, 'it takes root')
    def test_the_panes_of_a_demo_are_over_the_slides(self):
        text = '[...document.querySelectorAll(".live > :not([hidden]) .xterm-rows > div")]' \
               '.map(row => row.textContent.replaceAll("\\xa0", " ").trimEnd()).join("\\n")'

        def drive(key, answer):
            demo.send(key)
            demo.expect_exact(answer)
        with browser.Page(self.url + 'slides.html') as page:
            page.press('d')
            page.until(f'{text}.includes("The next demo appears here.\\n84 columns, 22 lines: good.")')
            demo = pexpect.spawn(deck.TOP + '/scripts/demo', ['02'], env=self.environment,
                                 timeout=SECONDS)
            self.addCleanup(demo.close)
            demo.expect_exact(' 1 of ')
            page.until(f'{text}.includes("container · 02") && {text}.includes("host · 02")')
            drive(' ', 'typed; space runs it')
            page.until(f'/host[$#] \\S/.test({text})')
            drive(' ', ' 2 of ')
            # On the projector, each colour that a program chooses can be read on the page's ground.
            drive('n', ' 8 of ')
            drive(' ', 'typed; space runs it')
            drive(' ', ' 9 of ')
            page.until(f'{text}.includes("box#")')
            for _ in range(2):
                self.assertTrue(until(lambda: not page.unreadable(ROWS, 4)))  # A row is drawn in the next frame.
                page.press('Shift', 'Escape')
                page.press('t')
                page.press('d')
            # The slides go on while the panes are hidden, and these are the same afterwards.
            page.press('Shift', 'Escape')
            number = page.js('Reveal.getIndices().h')
            page.press('ArrowRight')
            self.assertEqual(page.js('Reveal.getIndices().h'), number + 1)
            before = page.js(text)
            page.press('d')
            self.assertEqual(page.js(text), before)
            # The shell is another terminal, and neither gets the other's keys.
            page.press('Shift', 'Escape')
            page.press('c')
            page.until(f'{text}.includes({json.dumps(PROMPT.decode().strip())})')
            page.run('await page.keyboard.type("echo $((6*7))\\n")')
            page.until(f'{text}.split("\\n").includes("42")')
            demo.send('q')
            demo.expect(pexpect.EOF)
            page.press('Shift', 'Escape')
            page.press('d')
            page.until(f'{text}.includes("The next demo appears here.")')
        self.assertTrue(until(lambda: not self.descendants()))

    @unittest.skipUnless(os.geteuid() == 0, 'it takes root')
    def test_from_the_speakers_view_the_room_and_a_demo_are_driven(self):
        driver = "document.querySelector('#driver')?.contentDocument"
        text = f"[...{driver}.querySelectorAll('.xterm-rows > div')].map(row => row.textContent).join('\\n')"
        with browser.Page(self.url + 'slides.html') as page:
            page.run("""const opened = new Promise(done => page.once('popup', done));
                        await page.keyboard.press('s');
                        globalThis.room = page;
                        page = await opened""")

            def until_in_room(expression):
                self.assertTrue(until(lambda: page.run(f'return globalThis.room.evaluate({expression!r})')), expression)
            page.until("document.querySelector('iframe')?.contentDocument?.body?.dataset.ready")
            page.until(f"{driver}?.querySelector('.xterm-rows')?.textContent.includes('host')")
            # Each key but those for the terminal is for the window of the room.
            page.press('d')
            until_in_room('!document.querySelector(".live").hidden')
            page.press('Shift', 'Escape')
            page.until("document.activeElement.id === 'driver'")
            page.run("await page.keyboard.type('scripts/demo 02\\n')")
            for key, answer in (('', ' 1 of '), (' ', 'typed; space runs it'), (' ', ' 2 of ')):
                page.press(*key)
                page.until(f'{text}.includes("{answer}")')
            page.press('q')
            until_in_room('document.querySelector(".live .xterm-rows").textContent.includes("next")')
            page.press('Shift', 'Escape')
            page.until("document.activeElement.id !== 'driver'")
            page.press('d')
            until_in_room('document.querySelector(".live").hidden')
            page.press('ArrowDown')
            until_in_room('Reveal.getIndices().h === 1')
            page.press(' ')
            until_in_room('Reveal.getIndices().f === 0')
            look = page.run('return globalThis.room.evaluate("document.documentElement.dataset.look")')
            page.press('t')
            until_in_room(f'document.documentElement.dataset.look !== "{look}"')
            self.assertIn('Type:', page.js("document.querySelector('.speaker-controls-notes .value').textContent"))
        self.assertTrue(until(lambda: not self.descendants()))


class Offline(unittest.TestCase):
    def test_the_file_has_no_terminal(self):
        page = deck.page(deck.read())
        for words in ('terminals.js', 'talk/', 'xterm'):
            self.assertFalse(words in page, words)
        self.assertTrue('connect-src data:;' in page)


def setUpModule():
    subprocess.run([deck.TOP + '/scripts/slides', 'build'], check=True, stdout=subprocess.DEVNULL)


summed.main()
