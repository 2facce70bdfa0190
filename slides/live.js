// Only in the pages that `make live` serves: terminals over the slides. C shows a shell on this
// machine, D shows and hides the panes of the demo, and Shift+Esc hides both. The speaker's view has
// a terminal, too: driver.html, in which there are no slides.
'use strict';
const isDriver = typeof Reveal === 'undefined';
const SHELLS = { 67: '$', 68: 'demo' };  // By the codes of the keys.

if (isDriver || window === top) {  // Not in the speaker's previews.
  const box = document.createElement('div'), screens = new Map();
  let shown = '$';  // Or demo.
  box.className = 'live';
  box.hidden = true;
  document.body.append(box);

  // 84 columns and 22 lines, as large as the window allows. The question above them can be read.
  function fit() {
    const size = Math.min((innerWidth - 32) / (84 * 0.6), innerHeight * 0.9 / (22 * 1.3));
    for (const { view, place } of screens.values()) {
      place.hidden = place !== screens.get(shown)?.place;
      view.options.fontSize = Math.max(8, Math.floor(size));
      view.options.theme = theme();
    }
  }

  function hide() {
    box.hidden = !isDriver;
    document.activeElement.blur();
    if (isDriver) top.focus();
  }

  // The demo types in its panes, so the slides get the keys. So do they while you look at your notes.
  function focus() {
    if (shown === '$' && (!isDriver || document.hasFocus())) screens.get(shown)?.view.focus();
  }

  // A terminal that has ended is opened anew by Enter, or when it is shown again.
  function open() {
    if (!screens.has(shown) || screens.get(shown).ended) say('open', { sign: shown });
  }

  const TOLD = {
    clear() {
      for (const { view, place } of screens.values()) { view.dispose(); place.remove(); }
      screens.clear();
    },
    status({ text }) { box.dataset.says = text; },
    terminal({ terminal, sign, ended, rows }) {
      let screen = screens.get(sign);
      if (screen?.number !== terminal) {
        screen?.view.dispose();
        screen?.place.remove();
        const place = document.createElement('div');
        box.append(place);
        screens.set(sign, screen = { number: terminal, place, view: newTerminal(terminal, rows, place) });
        screen.view.onData(text => { if (text === '\r' && screen.ended) open(); });
        fit();
        focus();
      }
      screen.ended = ended;
      if (ended) screen.view.write('\r\n(It has ended. Enter opens another.)\r\n');
    },
    out({ terminal, data }) {
      for (const { number, view } of screens.values()) if (number === terminal) view.write(data);
    },
  };

  function changed(on) {
    TOLD.status({ text: on ? '' : 'No connection: the server has ended, or another page has the shell.' });
    if (on) open();
    else TOLD.clear();
  }

  function show(sign) {
    shown = sign;
    box.hidden = false;
    if (socket) open();
    else connect(location.pathname.split('/').pop(), TOLD, changed);
    fit();
    focus();
  }

  // What is typed here is not for the slides.
  for (const kind of ['keydown', 'keypress', 'keyup']) box.addEventListener(kind, event => event.stopPropagation());
  // Also when there is no terminal that could have the key.
  document.addEventListener('keydown', event => {
    if (event.key === 'Escape' && event.shiftKey && !box.hidden) {
      event.stopImmediatePropagation();
      hide();
    }
  }, true);
  addEventListener('resize', fit);
  if (isDriver) {
    addEventListener('focus', focus);
    show('$');
  } else
    for (const [key, sign] of Object.entries(SHELLS))  // A phone has the slides as a text only.
      Reveal.addKeyBinding?.(+key, () => box.hidden || shown !== sign ? show(sign) : hide());
} else {
  for (const key of Object.keys(SHELLS)) Reveal.addKeyBinding(+key, forRoom(+key));
  // Of its two previews, the current slide's is the one that moves the room's slides.
  if (query.has('postMessageEvents')) {
    const frame = top.document.createElement('iframe');
    frame.src = new URL('driver.html', location.href).href;
    frame.style = 'position: absolute; left: 0; bottom: 0; width: 60%; height: 55%; border: 0';
    frame.id = 'driver';
    top.document.querySelector('#current-slide').style.height = '45%';
    top.document.body.append(frame);
    // Shift+Esc leads into it, as it leads out of it.
    top.document.addEventListener('keydown', event => {
      if (event.key === 'Escape' && event.shiftKey) {
        event.stopImmediatePropagation();
        frame.contentWindow.focus();
      }
    }, true);
  }
}
