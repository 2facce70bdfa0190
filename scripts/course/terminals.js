// Terminals that a page shows, and the socket to the server that has them.
'use strict';
const COLUMNS = 84;  // As in scripts/course/lesson.
let socket = null, wait = 250;
const say = (what, more = {}) => socket?.readyState === 1 && socket.send(JSON.stringify({ do: what, ...more }));

const colour = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
function theme() {
  const made = { background: colour('panel'), foreground: colour('text'), cursor: colour('text'),
    cursorAccent: colour('panel'), selectionBackground: colour('line') };
  const names = { red: 'hits', green: 'own', yellow: 'layer-07', blue: 'layer-01', magenta: 'layer-03', cyan: 'layer-04' };
  for (const [name, ours] of Object.entries(names))
    made[name] = made['bright' + name[0].toUpperCase() + name.slice(1)] = colour(ours);
  return made;
}

// What is typed goes to the terminal of this number. A paste goes in pieces.
function newTerminal(number, rows, box, leave) {
  const view = new Terminal({ cols: COLUMNS, rows, fontFamily: '"Deck Mono", monospace', theme: theme(), scrollback: 5000, minimumContrastRatio: 4.5 });
  view.open(box);
  view.onData(data => {
    for (let at = 0; at < data.length; at += 4096) say('key', { terminal: number, data: data.slice(at, at + 4096) });
  });
  view.textarea.setAttribute('aria-label', `Terminal ${number + 1}`);
  // Shift+Esc leaves a terminal, because the Tab key is for what runs in it.
  view.attachCustomKeyEventHandler(event => {
    if (event.key !== 'Escape' || !event.shiftKey) return true;
    if (event.type === 'keydown') leave();
    return false;
  });
  return view;
}

// `told` does what the server tells of a page, and `changed` is told whether there is a connection.
function connect(page, told, changed) {
  socket = new WebSocket(new URL('talk/' + page, location.href.replace(/^http/, 'ws')));
  socket.onmessage = message => { const what = JSON.parse(message.data); told[what.is]?.(what); };
  socket.onopen = () => { wait = 250; changed(true); };
  socket.onclose = () => {
    changed(false);
    setTimeout(connect, wait = Math.min(wait * 2, 5000), page, told, changed);
  };
}
