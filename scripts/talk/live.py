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
import fcntl
import glob
import hmac
import http
import os
import secrets
import signal
import struct
import sys
import tempfile
import termios
import time

from aiohttp import WSCloseCode, WSMsgType, web

from host import namespaces
from talk import deck

LOOPBACK = '127.0.0.1'
COLUMNS, ROWS = 84, 20  # The columns are what the texts need, the rows leave the heading.
HEAD = 8 << 10          # Bytes of a request.
MESSAGE = 64 << 10      # Bytes of what is typed at once.
CONNECTIONS = 32
TIMEOUT_SECONDS = 5     # For a request and its answer.
GRACE = 1               # Seconds, for a shell to end by itself.
CHUNK = 16 << 10        # Bytes of output: the page draws one before it gets the next.
TYPED = 64              # Messages that the shell has not read yet.
# Nobody may keep an answer, or frame it.
HEADERS = {'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer',
           'X-Frame-Options': 'SAMEORIGIN', 'X-Content-Type-Options': 'nosniff',
           'Cross-Origin-Resource-Policy': 'same-origin'}


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

    def __init__(self, page, settings):
        self.page = page
        self.loop = asyncio.get_running_loop()
        self.drawn, self.typed = asyncio.Event(), asyncio.Queue(TYPED)
        self.master = start_shell(settings)

    async def to_page(self):
        while True:
            await ready(self.master, self.loop.add_reader, self.loop.remove_reader)
            try:
                data = os.read(self.master, CHUNK)
            except OSError:  # The shell has ended.
                return WSCloseCode.OK
            await self.page.send_bytes(data)
            await self.drawn.wait()  # Else ^C comes after all that a fast program has said.
            self.drawn.clear()

    async def from_page(self):
        async for kind, data, _ in self.page:
            if kind == WSMsgType.TEXT and data == 'drawn':
                self.drawn.set()
            elif kind != WSMsgType.BINARY:
                return WSCloseCode.UNSUPPORTED_DATA
            elif self.typed.full():
                return WSCloseCode.POLICY_VIOLATION
            else:
                self.typed.put_nowait(data)
        return WSCloseCode.OK

    async def to_shell(self):
        while True:
            data = await self.typed.get()
            while data:
                await ready(self.master, self.loop.add_writer, self.loop.remove_writer)
                data = data[os.write(self.master, data):]

    async def run(self):
        """Returns why it has ended, in the number that the page is told."""
        tasks = [asyncio.create_task(work())
                 for work in (self.to_page, self.from_page, self.to_shell)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        except OSError:  # The page has gone.
            return WSCloseCode.GOING_AWAY
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            end_shell(self.master)


# ---- The server ---------------------------------------------------------------

class Connection(web.RequestHandler):
    """One that is cut off if it is slow or asks for too much: aiohttp has no such limits."""

    def __init__(self, server):
        self.loop = asyncio.get_running_loop()
        super().__init__(server, loop=self.loop, access_log=None, lingering_time=0)
        self.server, self.timer = server, None
        self.head = b''  # Of the request; None once it is whole.

    def connection_made(self, transport):
        super().connection_made(transport)
        self.timer = self.loop.call_later(TIMEOUT_SECONDS, self.end)
        if len(self.server.connections) > CONNECTIONS:
            transport.abort()

    def connection_lost(self, exc):
        self.timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data):
        if self.head is not None:
            self.head += data
            if len(self.head) > HEAD:
                self.refuse(431)
                return
            if b'\r\n\r\n' not in self.head:
                return
            data, self.head = self.head, None
        super().data_received(data)

    def end(self):
        if self.head is None:
            self.transport.abort()  # An answer that nobody reads.
        else:
            self.refuse(408)

    def refuse(self, status):
        """Before aiohttp has a request to answer."""
        self.transport.write(f'HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n'
                             'Connection: close\r\n\r\n'.encode())
        self.transport.close()

    def handle_error(self, request, status=500, exc=None, message=None):
        if status != 400:
            return super().handle_error(request, status, exc, message)
        self.refuse(status)  # It is no request, and aiohttp would log each.
        return answer(status)


class Guarded(web.Server):
    """Refuses whom a request is not from. Its secret and its address are those of one start."""
    socket = ''  # What the path of a socket begins with, behind the secret.

    def __init__(self):
        super().__init__(self.serve)
        self.token, self.address = secrets.token_urlsafe(24), None

    async def listen(self):
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self), LOOPBACK, 0)
        self.address = f'{LOOPBACK}:{server.sockets[0].getsockname()[1]}'
        return server

    async def serve(self, request):
        token, slash, name = request.raw_path.partition('?')[0][1:].partition('/')
        is_ours = same(token + slash, f'{self.token}/')
        wants_socket = name.split('/')[0] == self.socket
        origins = request.headers.getall('Origin', [])
        if request.headers.getall('Host', []) != [self.address] or \
                origins != [f'http://{self.address}'] and (origins or is_ours and wants_socket):
            return answer(403)
        if not is_ours:
            return answer(404)
        if request.method != 'GET':
            return answer(405)
        return await self.get(request, name)

    async def get(self, request, name):
        """The answer to a request that may be answered, for a name behind the secret."""
        raise NotImplementedError


class Server(Guarded):
    """Has the slides, and a shell for one page."""
    socket = 'shell'

    def __init__(self, settings):
        super().__init__()
        self.settings, self.busy, self.page = settings, False, None

    async def listen(self):
        server = await super().listen()
        self.page = deck.page(deck.read(), (f'ws://{self.address}', COLUMNS, ROWS))
        return server

    async def get(self, request, name):
        if name == 'shell':
            return await self.open_shell(request)
        return answer(404) if name else answer(200, self.page)

    async def open_shell(self, request):
        if not is_handshake(request):
            return answer(400)
        if self.busy:
            return answer(409)
        self.busy = True
        page = web.WebSocketResponse(timeout=GRACE, autoclose=False, compress=False,
                                     max_msg_size=MESSAGE)
        try:
            await page.prepare(request)
            request.protocol.timer.cancel()
            reason = await Session(page, self.settings).run()
        finally:
            self.busy = False
        await page.close(code=reason)
        return page


def is_handshake(request):
    """Whether a request asks for a socket, as a browser does."""
    return web.WebSocketResponse().can_prepare(request) and \
        request.headers['Sec-WebSocket-Version'] == '13'


def same(path, wanted):
    """Without telling by the time it takes how much of it was right."""
    return hmac.compare_digest(path.encode(errors='surrogateescape'), wanted.encode())


def answer(status, page=None):
    """An answer, which ends the connection."""
    response = web.Response(status=status, headers=HEADERS,
                            text=page or f'{status} {http.HTTPStatus(status).phrase}\n',
                            content_type='text/html' if page else 'text/plain')
    response.force_close()
    return response


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
    namespaces.adopt_orphans()  # What the shell starts.
    with tempfile.NamedTemporaryFile('w', prefix='live.') as settings:
        # Not exported: the shell in a container has a prompt of its own.
        settings.write("PS1='host\\$ '; unset HISTFILE\n")
        settings.flush()
        try:
            asyncio.run(serve(settings.name))
        except (deck.Wrong, OSError) as error:
            sys.exit(f'live: {error}')
