"""The server's half of the WebSocket protocol, RFC 6455: as much of it as one page of ours
needs. No extensions, and no message in pieces: browsers send short ones whole.
"""

import base64
import binascii
import hashlib
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
LIMIT = 64 << 10  # Bytes of a message.
# Why a connection is closed, in the protocol's numbers.
NORMAL, PROTOCOL, UNSUPPORTED, POLICY, TOO_BIG = 1000, 1002, 1003, 1008, 1009


class Wrong(Exception):
    """The other side does not keep to the protocol. The first argument is the number."""


def accept(headers):
    """What answers a handshake with these headers (an email.message.Message), or None."""
    key = headers.get('Sec-WebSocket-Key', '')
    connection = {word.strip().lower() for word in headers.get('Connection', '').split(',')}
    try:
        nonce = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return None
    if (headers.get('Upgrade', '').lower() != 'websocket' or 'upgrade' not in connection or
            headers.get('Sec-WebSocket-Version') != '13' or len(nonce) != 16):
        return None
    digest = hashlib.sha1((key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').encode()).digest()
    return base64.b64encode(digest).decode()


def frame(kind, data=b''):
    """A message, as a server sends it."""
    size = len(data)
    if size < 126:
        head = struct.pack('!BB', 0x80 | kind, size)
    elif size < 1 << 16:
        head = struct.pack('!BBH', 0x80 | kind, 126, size)
    else:
        head = struct.pack('!BBQ', 0x80 | kind, 127, size)
    return head + data


async def receive(reader):
    """The next message of a client: its kind and its bytes."""
    first, second = await reader.readexactly(2)
    kind, size = first & 15, second & 127
    if first & 0x70 or kind not in (0, TEXT, BINARY, CLOSE, PING, PONG):
        raise Wrong(PROTOCOL, 'bits that mean nothing')
    if not second & 0x80:
        raise Wrong(PROTOCOL, 'a client masks what it sends')
    if kind >= CLOSE and (size > 125 or not first & 0x80):
        raise Wrong(PROTOCOL, 'a control message is short and whole')
    if kind == 0 or not first & 0x80:
        raise Wrong(UNSUPPORTED, 'a message in pieces')
    if size == 126:
        size, = struct.unpack('!H', await reader.readexactly(2))
    elif size == 127:
        size, = struct.unpack('!Q', await reader.readexactly(8))
    if size > LIMIT:
        raise Wrong(TOO_BIG, f'{size} bytes')
    mask = await reader.readexactly(4)
    return kind, masked(await reader.readexactly(size), mask)


def masked(data, mask):
    """The data, masked or unmasked."""
    return bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))
