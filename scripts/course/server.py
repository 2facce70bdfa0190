"""Serves the course and the slides to a browser on this machine, with terminals.

  usage   scripts/serve            the course; terminals for root, or for a user who may use sudo
          scripts/serve --lab      each lesson in a virtual machine, which needs no root
          scripts/serve --slides   the slides: C shows a shell of yours, D the panes of the demo
  needs   scripts/setup course; make build rootfs; for the slides, scripts/slides build

Each lesson has a throw-away host, which ends with ^C here: see scripts/course/lesson. The shell
over the slides is yours, on this machine and in this directory, and ends with its page. This server
is the caller's, and so are the files in my/. Who may ask is decided in scripts/course/guard.py.
"""

import asyncio
import contextlib
import json
import mimetypes
import os
import shutil
import signal
import subprocess
import sys

from aiohttp import WSCloseCode, web

from course import guard, own, pages
from learn.files import MY
from talk import deck, npm
from texts import sandbox, sources

LESSON = pages.HERE + '/lesson'
PROGRESS = f'{pages.TOP}/{MY}/.read.json'
PATIENCE = 20       # Seconds for a host to end.
KEEP = 64 << 10     # Characters of a terminal that a page is shown which comes later.
MOST = 1 << 24      # Bytes of one message of a lesson.
TYPED = 64 << 10    # Bytes of one message of a page.
WAITING = 512       # Messages that a page has not read yet.
# Of what kind of message a page is told the last one for each of what.
KEYS = {'command': ['line'], 'terminal': ['terminal'], 'out': ['terminal'],
        'own': ['state', 'piece']}
NO_ROOT = 'The terminals need root, and sudo does not give it here. make course LAB=yes has them ' \
          'in a virtual machine.'
LOST = 'The host has ended. The terminal in which you started this tells why.'


class Session:
    """A lesson that is read: its process, if anything was run, and its pages. A page that is loaded
    again, or a second one, is told all of it anew. Without a path: the shells over the slides."""

    def __init__(self, course, path):
        self.course, self.path, self.step = course, path, pages.step_of(path)
        self.words = course.command and [*course.command, path] if path else [LESSON]
        # The cgroups are the machine's, and a virtual machine needs much memory. So only one of
        # these lessons has a host at a time.
        self.is_alone = path and (course.is_lab or sandbox.uses_cgroups(pages.read(path).script))
        self.process, self.starting, self.pages, self.kept = None, asyncio.Lock(), {}, {}

    # ---- What is told

    def tell(self, kind, **what):
        """Tells all pages. Those that come later are told the last of each kind, see KEYS, and all
        that a terminal has printed."""
        what['is'] = kind
        key = kind, *(what.get(name) for name in KEYS.get(kind, ()))
        before = self.kept.get(key, {}).get('data', '') if kind == 'out' else ''
        self.kept[key] = {**what, 'data': (before + what['data'])[-KEEP:]} if before else what
        for page, transport in self.pages.items():
            if page.full():
                transport.abort()  # It does not read.
            else:
                page.put_nowait(what)

    def forget(self, *kinds):
        """What is told no more."""
        self.kept = {key: what for key, what in self.kept.items() if key[0] not in kinds}

    def join(self, page):
        page.put_nowait({'is': 'clear'})
        for what in self.kept.values():
            page.put_nowait(what)

    # ---- Its process

    async def say(self, **what):
        """Waits until the lesson reads, and so does the page that types too much."""
        if self.process:
            with contextlib.suppress(ConnectionError):  # It has ended.
                self.process.stdin.write(json.dumps(what).encode() + b'\n')
                await self.process.stdin.drain()

    async def start(self):
        async with self.starting:
            if not self.words:
                self.tell('status', text=NO_ROOT)
            elif self.process is None:
                for other in list(self.course.sessions.values()):
                    if other is not self and self.is_alone and other.is_alone:
                        await other.end()
                self.tell('status', text='A virtual machine starts.' if self.course.is_lab else
                          'A host is made.' if self.path else '')
                self.process = await asyncio.create_subprocess_exec(
                    *self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
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
        self.forget('terminal', 'out', 'command', 'today', 'busy', 'status')
        for page in self.pages:
            self.join(page)
        if process:
            process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), PATIENCE)
            except asyncio.TimeoutError:
                with contextlib.suppress(OSError):
                    process.terminate()


class Course:
    """The pages, the lessons that are read, and the checker of what the reader writes."""

    def __init__(self, command, is_lab):
        self.command, self.is_lab = command, is_lab
        self.sessions = {}
        self.own = own.Own(self.sessions)
        try:
            self.progress = json.loads(sources.read(PROGRESS))
        except (OSError, ValueError):
            self.progress = {}

    def done(self):
        """Of each lesson, how much of it was run and came out as in the text."""
        return {pages.page_of(path): len(lines) / len(pages.read(path).script.commands)
                for path, lines in self.progress.items()}

    def note(self, session, line):
        lines = self.progress.setdefault(session.path, [])
        if line not in lines:
            lines.append(line)
            os.makedirs(os.path.dirname(PROGRESS), exist_ok=True)
            with open(PROGRESS, 'w', encoding='utf-8') as file:
                json.dump(self.progress, file)
            for other in self.sessions.values():
                other.tell('progress', done=self.done())

    def session(self, name):
        """Of a page with terminals; None if there is no such page."""
        path = '' if name in (pages.SLIDES, pages.DRIVER) else pages.find(name)
        text = path and pages.read(path)
        if name not in self.sessions and (path == '' or text and text.script.commands):
            self.sessions[name] = Session(self, path)
            self.sessions[name].tell('progress', done=self.done())
        return self.sessions.get(name)

    async def get(self, request, name):
        place, _, of = name.partition('/')
        if place == 'talk':
            session = self.session(of)
            return await self.talk(request, session) if session else guard.answer(404)
        name = name or 'index.html'
        text = pages.file(name)
        return guard.answer(200, text, mimetypes.guess_type(name)[0]) if text else guard.answer(404)

    async def talk(self, request, session):
        if not session.path and session.pages:  # A shell of the caller's is for one page.
            return guard.answer(409)
        page, sender = asyncio.Queue(WAITING), None
        socket = web.WebSocketResponse(heartbeat=60, max_msg_size=TYPED, compress=False, timeout=1)

        async def send():
            with contextlib.suppress(ConnectionResetError):
                while True:
                    await socket.send_json(await page.get())
        session.pages[page] = request.transport
        try:
            await socket.prepare(request)
            request.protocol.timer.cancel()
            session.join(page)
            sender = asyncio.create_task(send())
            async for message in socket:
                await self.obey(session, **json.loads(message.data))
        except ConnectionResetError:
            pass  # It has gone already.
        except (ValueError, TypeError, LookupError):  # It is none of our pages.
            await socket.close(code=WSCloseCode.POLICY_VIOLATION)
        finally:
            if sender:
                sender.cancel()
            del session.pages[page]
            if not session.path:
                await session.end()
        return socket

    async def obey(self, session, do, **what):
        if do == 'afresh':
            await session.end()
        elif do in ('run', 'open', 'key', 'stop'):
            if do in ('run', 'open'):
                await session.start()
            await session.say(do=do, **what)
        elif do in ('begin', 'check', 'hint'):
            self.own.obey(do, session)


async def serve(command, mode):
    """Until a signal ends it."""
    stop, course = asyncio.Event(), Course(command, mode == '--lab')
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    guarded = guard.Guarded(course.get)
    listening = await guarded.listen()
    # Told here and not to a browser: other users can read what one is started with.
    print(f'\n  http://{guarded.address}/{guarded.token}/{pages.SLIDES if mode == "--slides" else ""}'
          '\n\nOpen this in a browser on this machine; ^C here ends it.', flush=True)
    if mode == '--slides':
        print('S opens your notes, D shows the panes of a demo, C a shell.', flush=True)
        if os.geteuid() == 0:
            print('The shell is root\'s: rather start this as an ordinary user.', flush=True)
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


def lesson_command(mode):
    """The words that start a lesson; none if no host can be made for it."""
    if mode == '--lab':
        return ['scripts/lab/boot', LESSON]
    if os.geteuid() == 0:
        return [LESSON]
    ask = ['sudo', '-n', '-v'] if mode else ['sudo', '-v']  # The slides have a shell without it.
    if shutil.which('sudo') and subprocess.run(ask, check=False).returncode == 0:
        return ['sudo', '-n', LESSON]
    return None


def main():
    mode = ' '.join(sys.argv[1:])
    if mode not in ('', '--lab', '--slides'):
        sys.exit(__doc__)
    os.chdir(pages.TOP)
    try:
        npm.fetch()
        command = lesson_command(mode)
        if mode == '' and command is None:
            print(NO_ROOT)
        asyncio.run(serve(command, mode))
    except (deck.Wrong, npm.Missing, OSError) as error:
        sys.exit(f'serve: {error}')
