"""Shows the slides with a terminal in them: a real shell, in this directory.

  usage   scripts/live
  needs   scripts/slides build

Prints the address for a browser on this machine. C shows the terminal, Shift+Esc hides
it. The shell is that of whoever starts this, and ends with its page or with ^C here.

Whoever can type into a shell can do all that its user can. So
  - it listens on 127.0.0.1, and cannot be told otherwise;
  - the address has a secret, a new one at each start, which nobody else is told;
  - Host must be that address: else a name that somebody points to 127.0.0.1 would do;
  - Origin must be, too: else any page that is open in the browser could connect;
  - one page has the shell, and a second is refused;
  - who asks slowly, or for too much, is cut off.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import glob
import hmac
import http.client
import io
import os
import secrets
import signal
import struct
import sys
import tempfile
import termios
import time

from talk import deck, websocket

LOOPBACK = '127.0.0.1'
COLUMNS, ROWS = 84, 20  # The columns are what the texts need, the rows leave the heading.
HEAD = 8 << 10          # Bytes of a request.
CONNECTIONS = 32
TIMEOUT_SECONDS = 5     # For a request to come.
GRACE = 1               # Seconds, for a shell to end by itself.
CHUNK = 16 << 10        # Bytes of output: the page draws one before it gets the next.
TYPED = 64              # Messages that the shell has not read yet.
PR_SET_CHILD_SUBREAPER = 36
REASONS = {400: 'Bad Request', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed',
           408: 'Request Timeout', 409: 'Conflict', 431: 'Request Header Fields Too Large'}


class Refused(Exception):
    """With the HTTP status that says why."""


# ---- The shell ----------------------------------------------------------------

def start_shell(settings):
    """A bash on a terminal of its own: the terminal's other end."""
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('4H', ROWS, COLUMNS, 0, 0))
    environment = {**os.environ, 'TERM': 'xterm-256color'}
    # In a session of its own, it gets the terminal by opening it.
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.ttyname(slave), os.O_RDWR, 0),
               (os.POSIX_SPAWN_DUP2, 0, 1), (os.POSIX_SPAWN_DUP2, 0, 2)]
    os.posix_spawnp('bash', ['bash', '--rcfile', settings, '-i'], environment, file_actions=actions,
                    setsid=True, setsigdef=[signal.SIGPIPE, signal.SIGXFSZ])  # Python ignores these.
    os.close(slave)
    os.set_blocking(master, False)
    return master


def children():
    return [int(pid) for path in glob.glob('/proc/self/task/*/children')
            for pid in open(path, encoding='ascii').read().split()]


def end_shell(master):
    """Hangs up. Who does not end by that is killed; who has left the shell is our child, for
    we are the reaper of our descendants. Root's processes, by sudo, have hung up or stay."""
    os.close(master)
    start = time.monotonic()
    while (living := children()) and time.monotonic() < start + 3 * GRACE:
        for pid in living:
            with contextlib.suppress(PermissionError, ProcessLookupError):
                if time.monotonic() > start + GRACE:
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.02)


async def ready(file, add, remove):
    """Waits for a file that can be read, or written to."""
    event = asyncio.Event()
    add(file, event.set)
    try:
        await event.wait()
    finally:
        remove(file)


class Session:
    """The shell and its page, until one of them ends."""

    def __init__(self, reader, writer, settings):
        self.reader, self.writer = reader, writer
        self.loop = asyncio.get_running_loop()
        self.drawn, self.typed = asyncio.Event(), asyncio.Queue(TYPED)
        self.master = start_shell(settings)

    async def to_page(self):
        while True:
            await ready(self.master, self.loop.add_reader, self.loop.remove_reader)
            try:
                data = os.read(self.master, CHUNK)
            except OSError:  # The shell has ended.
                return websocket.NORMAL
            self.writer.write(websocket.frame(websocket.BINARY, data))
            await self.drawn.wait()  # Else ^C comes after all that a fast program has said.
            self.drawn.clear()

    async def from_page(self):
        while True:
            kind, data = await websocket.receive(self.reader)
            if kind == websocket.CLOSE:
                return websocket.NORMAL
            if kind == websocket.BINARY:
                if self.typed.full():
                    raise websocket.Wrong(websocket.POLICY, 'the shell does not read')
                self.typed.put_nowait(data)
            elif kind == websocket.TEXT and data == b'drawn':
                self.drawn.set()
            elif kind == websocket.PING:
                self.writer.write(websocket.frame(websocket.PONG, data))
                await self.writer.drain()
            elif kind != websocket.PONG:
                raise websocket.Wrong(websocket.UNSUPPORTED, 'no such message')

    async def to_shell(self):
        while True:
            data = await self.typed.get()
            while data:
                await ready(self.master, self.loop.add_writer, self.loop.remove_writer)
                data = data[os.write(self.master, data):]

    async def run(self):
        tasks = [asyncio.create_task(work())
                 for work in (self.to_page, self.from_page, self.to_shell)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            reason = done.pop().result()
        except websocket.Wrong as wrong:
            reason = wrong.args[0]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            end_shell(self.master)
        self.writer.write(websocket.frame(websocket.CLOSE, struct.pack('!H', reason)))


# ---- The server ---------------------------------------------------------------

class Server:
    def __init__(self, settings):
        self.settings, self.token = settings, secrets.token_urlsafe(24)
        self.connections, self.busy = 0, False
        self.address = self.page = None

    async def listen(self):
        server = await asyncio.start_server(self.connected, LOOPBACK, 0, limit=HEAD)
        self.address = f'{LOOPBACK}:{server.sockets[0].getsockname()[1]}'
        self.page = deck.page(deck.read(), (f'ws://{self.address}', COLUMNS, ROWS)).encode()
        return server

    async def connected(self, reader, writer):
        self.connections += 1
        try:
            if self.connections <= CONNECTIONS:
                await self.serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # It has gone.
        finally:
            self.connections -= 1
            writer.close()

    async def serve(self, reader, writer):
        try:
            head = await asyncio.wait_for(reader.readuntil(b'\r\n\r\n'), TIMEOUT_SECONDS)
            wants_shell, headers = self.check(head)
            if wants_shell:
                await self.open_shell(reader, writer, headers)
            else:
                await answer(writer, 200, self.page)
        except asyncio.TimeoutError:
            await answer(writer, 408)
        except asyncio.LimitOverrunError:
            await answer(writer, 431)
        except Refused as refused:
            await answer(writer, refused.args[0])

    def check(self, head):
        """Whether a request is for the shell, and its headers. Refuses whom it is not from."""
        try:
            line, _, rest = head.decode('latin-1').partition('\r\n')
            method, target, _ = line.split(' ')
            headers = http.client.parse_headers(io.BytesIO(rest.encode('latin-1')))
        except (ValueError, http.client.HTTPException) as error:
            raise Refused(400) from error
        path = target.partition('?')[0]
        shell = same(path, f'/{self.token}/shell')
        origins = headers.get_all('Origin', [])
        ours = [f'http://{self.address}']
        if headers.get_all('Host') != [self.address] or \
                not (origins == ours or not origins and not shell):
            raise Refused(403)
        if not shell and not same(path, f'/{self.token}/'):
            raise Refused(404)
        if method != 'GET':
            raise Refused(405)
        return shell, headers

    async def open_shell(self, reader, writer, headers):
        key = websocket.accept(headers)
        if key is None:
            raise Refused(400)
        if self.busy:
            raise Refused(409)
        self.busy = True
        try:
            writer.write(b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n'
                         b'Connection: Upgrade\r\nSec-WebSocket-Accept: ' + key.encode() +
                         b'\r\n\r\n')
            await Session(reader, writer, self.settings).run()
        finally:
            self.busy = False


def same(path, wanted):
    """Without telling by the time it takes how much of it was right."""
    return hmac.compare_digest(path.encode('latin-1'), wanted.encode())


async def answer(writer, status, page=None):
    """An answer, which ends the connection. Nobody may keep it, or frame it."""
    body = page or f'{status} {REASONS[status]}\n'.encode()
    writer.write((f'HTTP/1.1 {status} {REASONS.get(status, "OK")}\r\n'
                  f'Content-Type: text/{"html" if page else "plain"}; charset=utf-8\r\n'
                  f'Content-Length: {len(body)}\r\nConnection: close\r\nCache-Control: no-store\r\n'
                  'Referrer-Policy: no-referrer\r\nX-Frame-Options: SAMEORIGIN\r\n'
                  'X-Content-Type-Options: nosniff\r\n'
                  'Cross-Origin-Resource-Policy: same-origin\r\n\r\n').encode() + body)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(writer.drain(), TIMEOUT_SECONDS)


async def serve(settings):
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = Server(settings)
    listening = await server.listen()
    # Told here and not to a browser: other users can read what one is started with.
    print(f'\n  http://{server.address}/{server.token}/\n\n'
          'Open this in a browser on this machine. C shows the terminal, Shift+Esc hides it;\n'
          '^C here ends it.', flush=True)
    if os.geteuid() == 0:
        print('The shell is root\'s: rather start this as an ordinary user.', flush=True)
    await stop.wait()
    listening.close()  # Of the connections, asyncio.run cancels what is left.


def main():
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    os.chdir(deck.TOP)
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        sys.exit('live: cannot become the reaper of what the shell starts')
    with tempfile.NamedTemporaryFile('w', prefix='live.') as settings:
        # Not exported: the shell in a container has a prompt of its own.
        settings.write("PS1='host\\$ '; unset HISTFILE\n")
        settings.flush()
        try:
            asyncio.run(serve(settings.name))
        except (deck.Wrong, OSError) as error:
            sys.exit(f'live: {error}')
