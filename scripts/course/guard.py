"""Who may ask a server on this machine, and how: the course's terminals take care of that.

Whoever can type into a shell can do all that its user can. So
  - it listens on 127.0.0.1, and cannot be told otherwise;
  - the address has a secret, a new one at each start, which nobody else is told;
  - Host must be that address: else a name that somebody points to 127.0.0.1 would do;
  - Origin must be, too: else any page that is open in the browser could connect;
  - who asks slowly is cut off, and who asks for too much: aiohttp's limits are 8 KiB a line.
"""

import asyncio
import hmac
import http
import secrets

from aiohttp import web

LOOPBACK = '127.0.0.1'
CONNECTIONS = 32
TIMEOUT_SECONDS = 5     # For a request and its answer.
# Nobody may keep an answer, or frame it.
HEADERS = {'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer',
           'X-Frame-Options': 'SAMEORIGIN', 'X-Content-Type-Options': 'nosniff',
           'Cross-Origin-Resource-Policy': 'same-origin'}


class Connection(web.RequestHandler):
    """One that is cut off if it is slow: aiohttp has no limit for that."""

    def __init__(self, server):
        self.loop = asyncio.get_running_loop()
        super().__init__(server, loop=self.loop, access_log=None, lingering_time=0)
        self.server, self.timer = server, None

    def connection_made(self, transport):
        super().connection_made(transport)
        self.timer = self.loop.call_later(TIMEOUT_SECONDS, transport.abort)
        if len(self.server.connections) > CONNECTIONS:
            transport.abort()

    def connection_lost(self, exc):
        self.timer.cancel()
        super().connection_lost(exc)

    def handle_error(self, request, status=500, exc=None, message=None):
        """What is no request is not logged."""
        return answer(400) if status == 400 else super().handle_error(request, status, exc, message)


class Guarded(web.Server):
    """Refuses whom a request is not from. Its secret and its address are those of one start. The
    path of a socket is SECRET/talk/NAME."""

    def __init__(self, get):
        """`get` answers a request that may be answered, for a name behind the secret."""
        super().__init__(self.serve)
        self.get, self.token, self.address = get, secrets.token_urlsafe(24), None

    async def listen(self):
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self), LOOPBACK, 0)
        self.address = f'{LOOPBACK}:{server.sockets[0].getsockname()[1]}'
        return server

    async def serve(self, request):
        token, slash, name = request.raw_path.partition('?')[0][1:].partition('/')
        # The time that this takes does not tell how much of the secret was right.
        is_ours = hmac.compare_digest((token + slash).encode(errors='surrogateescape'),
                                      f'{self.token}/'.encode())
        wants_socket = name.split('/')[0] == 'talk'
        origins = request.headers.getall('Origin', [])
        if request.headers.getall('Host', []) != [self.address] or \
                origins != [f'http://{self.address}'] and (origins or is_ours and wants_socket):
            return answer(403)
        if not is_ours:
            return answer(404)
        if request.method != 'GET':
            return answer(405)
        return await self.get(request, name)


def answer(status, text=None, kind='text/plain'):
    """An answer, which ends the connection."""
    response = web.Response(status=status, headers=HEADERS, content_type=kind,
                            text=text or f'{status} {http.HTTPStatus(status).phrase}\n')
    response.force_close()
    return response
