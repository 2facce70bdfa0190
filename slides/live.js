// Only in the page that `make live` serves: a terminal over the slides, for a shell on this
// machine. C shows it, Shift+Esc hides it. LIVE says where the shell is, and its size.
'use strict';
if (window === top) {  // Not in the speaker's previews.
  const box = document.createElement('div');
  box.className = 'live';
  box.hidden = true;
  document.body.append(box);
  let terminal = null, socket = null;

  const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  function fit() {
    if (!terminal) return;
    terminal.options.fontSize = Math.max(8, Math.floor(22 * Reveal.getScale()));
    terminal.options.theme = { background: colour('--panel'), foreground: colour('--text'),
      cursor: colour('--text'), selectionBackground: colour('--line') };
  }

  function connect() {
    const address = new URL('shell', location.href);
    address.protocol = 'ws:';
    address.search = address.hash = '';
    socket = new WebSocket(address);
    socket.binaryType = 'arraybuffer';
    socket.onmessage = message =>
      terminal.write(new Uint8Array(message.data), () => socket.readyState === 1 && socket.send('drawn'));
    socket.onclose = () =>
      terminal.write('\r\n(no shell: it has ended, or another page has it. Enter tries again.)\r\n');
  }

  function type(text) {
    if (socket.readyState === WebSocket.OPEN) {
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length; at += 4096) socket.send(bytes.subarray(at, at + 4096));
    } else if (text === '\r') {
      connect();
    }
  }

  function hide() {
    box.hidden = true;
    document.activeElement.blur();
  }

  function show() {
    box.hidden = false;
    if (!terminal) {
      terminal = new Terminal({ cols: LIVE.columns, rows: LIVE.rows, fontFamily: '"Deck Mono", monospace' });
      terminal.open(box);
      terminal.onData(type);
      terminal.attachCustomKeyEventHandler(event => {
        if (event.key !== 'Escape' || !event.shiftKey) return true;
        if (event.type === 'keydown') hide();
        return false;
      });
      // What is typed here is not for the slides.
      for (const kind of ['keydown', 'keypress', 'keyup'])
        box.addEventListener(kind, event => event.stopPropagation());
      connect();
    }
    fit();
    terminal.focus();
  }

  // When the key is up, or the terminal would get it, too.
  document.addEventListener('keyup', event => {
    if (event.key === 'c' && box.hidden && Reveal.isReady()) show();
  });
  addEventListener('resize', fit);
}
