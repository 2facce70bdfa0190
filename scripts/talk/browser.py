"""Chromium without a window, over its debugging pipe: no driver, no package."""

import base64
import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

FLAGS = ('--headless --disable-gpu --disable-quic --no-first-run --disable-sync '
         '--disable-background-networking --disable-component-update --disable-extensions '
         '--disable-dev-shm-usage --hide-scrollbars --remote-debugging-pipe').split()
TIMEOUT_SECONDS = 120  # For one answer, on a slow machine too.


class Lost(Exception):
    """Chromium does not answer, or says no."""


def program():
    """Where it is, or None."""
    return next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))),
                None)


def address(path, query=''):
    return pathlib.Path(path).resolve().as_uri() + query


class Page:
    """A page that has been laid out: its body says so in data-ready."""

    def __init__(self, url, width=1280, height=720):
        if not program():
            raise Lost('there is no chromium: scripts/setup slides')
        self.home = tempfile.mkdtemp(prefix='browser.')
        self.number, self.rest, self.events, self.session = 0, b'', [], None
        # It reads descriptor 3 and writes descriptor 4.
        read, self.to = os.pipe()
        self.back, write = os.pipe()
        # A sandbox in a sandbox: root has none to give.
        root = ['--no-sandbox'] if os.geteuid() == 0 else []
        words = [program(), *FLAGS, *root, f'--user-data-dir={self.home}', 'about:blank']
        self.process = subprocess.Popen(
            ['sh', '-c', f'exec 3<&{read} 4>&{write}; exec "$@"', 'sh', *words],
            pass_fds=(read, write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, 'HOME': self.home, 'TMPDIR': self.home})
        os.close(read)
        os.close(write)
        try:
            target = self('Target.createTarget', url='about:blank')['targetId']
            self.attach(target)
            self('Emulation.setDeviceMetricsOverride', width=width, height=height,
                 deviceScaleFactor=1, mobile=False)
            self('Page.navigate', url=url)
            self.until("document.body && document.body.dataset.ready")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def attach(self, target):
        self.session = None
        self.session = self('Target.attachToTarget', targetId=target, flatten=True)['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network'):
            self(domain + '.enable')

    def __call__(self, method, **parameters):
        self.number += 1
        message = {'id': self.number, 'method': method, 'params': parameters}
        if self.session:
            message['sessionId'] = self.session
        os.write(self.to, json.dumps(message).encode() + b'\0')
        while True:
            reply = self.receive()
            if reply.get('id') != self.number:
                self.events.append(reply)
            elif 'error' in reply:
                raise Lost(f'{method}: {reply["error"]["message"]}')
            else:
                return reply['result']

    def receive(self):
        while b'\0' not in self.rest:
            if not select.select([self.back], [], [], TIMEOUT_SECONDS)[0]:
                raise Lost('chromium does not answer')
            data = os.read(self.back, 1 << 20)
            if not data:
                raise Lost('chromium has ended')
            self.rest += data
        one, self.rest = self.rest.split(b'\0', 1)
        return json.loads(one)

    def js(self, expression):
        """The value of an expression in the page."""
        reply = self('Runtime.evaluate', expression=expression, returnByValue=True,
                     awaitPromise=True)
        if 'exceptionDetails' in reply:
            what = reply['exceptionDetails'].get('exception', {}).get('description', expression)
            raise Lost(what)
        return reply['result'].get('value')

    def until(self, expression):
        end = time.monotonic() + TIMEOUT_SECONDS
        while not self.js(f'!!({expression})'):
            if time.monotonic() > end:
                raise Lost(f'still not: {expression}')
            time.sleep(0.05)

    def opened(self):
        """The target of the window that this page has opened."""
        end = time.monotonic() + TIMEOUT_SECONDS
        while True:
            for target in self('Target.getTargets')['targetInfos']:
                if target['type'] == 'page' and target.get('openerId'):
                    return target['targetId']
            if time.monotonic() > end:
                raise Lost('no window opens')
            time.sleep(0.05)

    def press(self, key, code, shift=False):
        """A key, as from a keyboard."""
        for kind in ('keyDown', 'keyUp'):
            self('Input.dispatchKeyEvent', type=kind, key=key, windowsVirtualKeyCode=code,
                 modifiers=8 if shift else 0,
                 text=key if len(key) == 1 and kind == 'keyDown' else '')

    def picture(self):
        return base64.b64decode(self('Page.captureScreenshot', format='png')['data'])

    def complaints(self):
        """Errors and requests since the start: all that a page should not have."""
        self.js('1')  # What has happened has been told by now.
        for event in self.events:
            what, method = event.get('params', {}), event.get('method')
            if method == 'Runtime.exceptionThrown':
                details = what['exceptionDetails']
                yield 'throws: ' + details.get('exception', {}).get('description', details['text'])
            elif method == 'Log.entryAdded' and what['entry']['level'] in ('error', 'warning'):
                yield 'logs: ' + what['entry']['text']
            elif method == 'Runtime.consoleAPICalled' and what['type'] in ('error', 'warning'):
                yield 'console: ' + str(what['args'][0].get('value'))
            elif method == 'Network.requestWillBeSent' and \
                    not what['request']['url'].startswith(('data:', 'blob:', 'file:', 'about:')):
                yield 'asks for ' + what['request']['url']

    def close(self):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        # Its helpers end a moment later, and write to the end.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.to)
        os.close(self.back)
        end = time.monotonic() + TIMEOUT_SECONDS
        while os.path.exists(self.home) and time.monotonic() < end:
            shutil.rmtree(self.home, ignore_errors=True)


# Millimetres: a slide, and A4.
PAPER = {'slides': (338.667, 190.5), 'notes': (210, 297), 'handout': (210, 297)}


def pdf(path, kind):
    """The page as it is printed: kind is slides, notes or handout."""
    wide, high = PAPER[kind]
    margin = 0 if kind == 'slides' else 0.4
    with Page(address(path, f'?print={kind}')) as page:
        # The page says when it is laid out: a clock would lose pages.
        data = page('Page.printToPDF', printBackground=True, paperWidth=wide / 25.4,
                    paperHeight=high / 25.4, marginTop=margin, marginBottom=margin,
                    marginLeft=margin, marginRight=margin)['data']
    return base64.b64decode(data)


def pages(data):
    """How many a PDF has: Chromium writes its page objects uncompressed."""
    return len(re.findall(rb'/Type\s*/Page\b(?!s)', data))
