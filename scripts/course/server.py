"""Serves the course to a browser on this machine: the lessons, with terminals.

  usage   scripts/serve          terminals for root, or for a user who may use sudo
          scripts/serve --lab    each lesson in a virtual machine, which needs no root
  needs   scripts/setup course; make build rootfs

Each lesson has a throw-away host, which ends with ^C here: see scripts/course/lesson. This server
is the caller's, and so are the files in my/. Whoever can type into a terminal can do all that its
user can, so who may ask is decided as in scripts/talk/live.py.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys

from aiohttp import WSCloseCode, WSMsgType, web

from course import own, pages
from learn.files import MY
from talk import deck, live, npm
from texts import sandbox, sources, transcript

LESSON = pages.HERE + '/lesson'
PROGRESS = f'{pages.TOP}/{MY}/.read.json'
PATIENCE = 20    # Seconds for a host to end.
KEEP = 64 << 10  # Characters of a terminal that a page is shown which comes later.
MOST = 1 << 24   # Bytes of one message of a lesson.
# Of what kind of message a page is told the last one for each of what.
KEYS = {'command': ['line'], 'terminal': ['terminal'], 'out': ['terminal'],
        'own': ['state', 'piece']}
NO_ROOT = 'The terminals need root, and there is no sudo here. make course LAB=yes has them in a ' \
          'virtual machine.'
LOST = 'The host has ended. The terminal of make course tells why.'
KINDS = {'html': 'text/html', 'css': 'text/css', 'js': 'text/javascript'}


class Session:
    """A lesson that is read: its process, if anything was run, and its pages. A page that is loaded
    again, or a second one, is told all of it anew."""

    def __init__(self, course, path):
        self.course, self.path, self.step = course, path, pages.step_of(path)
        script = transcript.parse(sources.read(path))
        self.uses_cgroups, self.commands = sandbox.uses_cgroups(script), len(script.commands)
        self.process, self.starting, self.pages, self.kept = None, asyncio.Lock(), set(), {}

    # ---- What is told

    def tell(self, kind, **what):
        """Tells all pages. Those that come later are told the last of each kind, see KEYS, and all
        that a terminal has printed."""
        what['is'] = kind
        key = kind, *(what.get(name) for name in KEYS.get(kind, ()))
        before = self.kept.get(key, {}).get('data', '') if kind == 'out' else ''
        self.kept[key] = {**what, 'data': (before + what['data'])[-KEEP:]} if before else what
        for page in self.pages:
            page.put_nowait(what)

    def forget(self, *kinds):
        """What is told no more: of these kinds, or all but these if the first is ''."""
        self.kept = {key: what for key, what in self.kept.items()
                     if (key[0] in kinds) == ('' in kinds)}

    def join(self, page):
        self.pages.add(page)
        page.put_nowait({'is': 'clear'})
        for what in self.kept.values():
            page.put_nowait(what)

    # ---- Its process

    def say(self, **what):
        if self.process:
            self.process.stdin.write(json.dumps(what).encode() + b'\n')

    async def start(self):
        async with self.starting:
            if not self.course.command:
                self.tell('status', text=NO_ROOT)
            elif self.process is None:
                await self.course.make_room(self)
                self.tell('status', text='A virtual machine starts.' if self.course.is_lab else
                          'A host is made.')
                self.process = await asyncio.create_subprocess_exec(
                    *self.course.command, self.path, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    env={**os.environ, 'LAB_TIMEOUT': '0'}, limit=MOST,
                    preexec_fn=os.setpgrp)  # ^C is for us alone.
                asyncio.create_task(self.listen(self.process))

    async def listen(self, process):
        async for line in process.stdout:
            what = json.loads(line)
            if process is self.process:
                self.tell(what.pop('is'), **what)
                if what.get('state') == 'same':
                    self.course.note(self, what['line'])
        if process is self.process:  # It has ended by itself: the server's terminal tells why.
            await self.end()
            self.tell('status', text=LOST)

    async def end(self):
        """And all that was run is forgotten."""
        process, self.process = self.process, None
        self.forget('', 'own', 'progress')
        for page in self.pages:
            self.join(page)
        if process:
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), PATIENCE)
            except asyncio.TimeoutError:
                with contextlib.suppress(OSError):
                    process.terminate()


class Course(live.Guarded):
    """The pages, the lessons that are read, and the checker of what the reader writes."""
    socket = 'talk'

    def __init__(self, command, is_lab):
        super().__init__()
        self.command, self.is_lab = command, is_lab
        self.sessions = {}
        self.own = own.Own(self.sessions)
        try:
            self.progress = json.loads(sources.read(PROGRESS))
        except (OSError, ValueError):
            self.progress = {}

    async def make_room(self, session):
        """The cgroups are the machine's, and a virtual machine needs much memory: only one lesson
        at a time has them."""
        for other in set(self.sessions.values()) - {session}:
            if self.is_lab or session.uses_cgroups and other.uses_cgroups:
                await other.end()

    def done(self):
        """Of each lesson, how much of it was run and came out as in the text."""
        return {name: len(self.progress.get(session.path, ())) / session.commands
                for name, session in self.sessions.items()}

    def note(self, session, line):
        lines = self.progress.setdefault(session.path, [])
        if line not in lines:
            lines.append(line)
            os.makedirs(os.path.dirname(PROGRESS), exist_ok=True)
            with open(PROGRESS, 'w', encoding='utf-8') as file:
                json.dump(self.progress, file)
            for other in self.sessions.values():
                other.tell('progress', done=self.done())

    async def get(self, request, name):
        if name.startswith('talk/'):
            session = self.sessions.get(name[len('talk/'):])
            if session is None:
                return live.answer(404)
            return await self.talk(request, session) if live.is_handshake(request) else \
                live.answer(400)
        text = pages.served(name or 'index.html')
        if text is None:
            return live.answer(404)
        response = web.Response(text=text, headers=live.HEADERS,
                                content_type=KINDS[(name or 'html').rpartition('.')[2]])
        response.force_close()
        return response

    async def talk(self, request, session):
        socket = web.WebSocketResponse(heartbeat=60, max_msg_size=live.MESSAGE, compress=False)
        with contextlib.suppress(ConnectionResetError):  # It has gone already.
            await socket.prepare(request)
        if not socket.prepared:
            return socket
        request.protocol.timer.cancel()
        page = asyncio.Queue()

        async def send():
            with contextlib.suppress(ConnectionResetError):
                while True:
                    await socket.send_json(await page.get())
        sender = asyncio.create_task(send())
        session.join(page)
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    await self.obey(session, **json.loads(message.data))
        except (ValueError, TypeError, LookupError):  # It is none of our pages.
            await socket.close(code=WSCloseCode.POLICY_VIOLATION)
        finally:
            sender.cancel()
            session.pages.discard(page)
        return socket

    async def obey(self, session, do, **what):
        if do == 'afresh':
            await session.end()
        elif do in ('run', 'open', 'key', 'stop'):
            if do in ('run', 'open'):
                await session.start()
            session.say(do=do, **what)
        elif do in ('begin', 'check', 'hint'):
            self.own.obey(do, session)


async def serve(command, is_lab):
    """Until a signal ends it."""
    stop, course = asyncio.Event(), Course(command, is_lab)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listening = await course.listen()
    # Told here and not to a browser: other users can read what one is started with.
    print(f'\n  http://{course.address}/{course.token}/\n\nOpen this in a browser on this machine; '
          '^C here ends it.', flush=True)
    pages.Served.address = f'ws://{course.address}'
    for name, path in pages.all_pages().items():
        if pages.read(path).blocks:
            course.sessions[name] = Session(course, path)
    for session in course.sessions.values():
        session.tell('progress', done=course.done())
    keeping = asyncio.create_task(keep_sudo())
    await stop.wait()
    listening.close()
    keeping.cancel()
    await asyncio.gather(course.own.end(), *(one.end() for one in course.sessions.values()))


async def keep_sudo():
    """Until the end, sudo does not ask again for a password."""
    while os.geteuid() != 0 and shutil.which('sudo'):
        await asyncio.sleep(60)
        await (await asyncio.create_subprocess_exec('sudo', '-n', '-v')).wait()


def lesson_command(is_lab):
    """The words that start a lesson; none if no host can be made for it."""
    if is_lab:
        return ['scripts/lab/boot', LESSON]
    if os.geteuid() == 0:
        return [LESSON]
    if shutil.which('sudo') and subprocess.run(['sudo', '-v'], check=False).returncode == 0:
        return ['sudo', '-n', LESSON]
    return None


def main():
    if sys.argv[1:] not in ([], ['--lab']):
        sys.exit(__doc__)
    os.chdir(pages.TOP)
    is_lab = sys.argv[1:] == ['--lab']
    try:
        npm.fetch()
        command = lesson_command(is_lab)
        if command is None:
            print(NO_ROOT)
        asyncio.run(serve(command, is_lab))
    except (deck.Wrong, npm.Missing, OSError) as error:
        sys.exit(f'course: {error}')
