// Only in the page that `make live` serves: terminals over the slides. C shows a shell on this
// machine, D the panes of the demo that is shown, and Shift+Esc hides them.
'use strict';
if (window === top) {  // Not in the speaker's previews.
  const box = document.createElement('div'), screens = new Map();
  let shown = '$';  // Or demo.
  box.className = 'live';
  box.hidden = true;
  document.body.append(box);

  function fit() {
    for (const { view, place } of screens.values()) {
      place.hidden = place !== screens.get(shown)?.place;
      view.options.fontSize = Math.max(8, Math.floor(22 * Reveal.getScale()));
      view.options.theme = theme();
    }
  }

  function hide() {
    box.hidden = true;
    document.activeElement.blur();
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
        screen.view.focus();
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
    else connect('slides.html', TOLD, changed);
    fit();
    screens.get(sign)?.view.focus();
  }

  // What is typed here is not for the slides.
  for (const kind of ['keydown', 'keypress', 'keyup']) box.addEventListener(kind, event => event.stopPropagation());
  // When the key is up, or the terminal would get it, too.
  document.addEventListener('keyup', event => {
    const sign = { c: '$', d: 'demo' }[event.key];
    if (sign && box.hidden && Reveal.isReady()) show(sign);
  });
  // Also when there is no terminal that could have the key.
  document.addEventListener('keydown', event => {
    if (event.key === 'Escape' && event.shiftKey && !box.hidden) {
      event.stopImmediatePropagation();
      hide();
    }
  }, true);
  addEventListener('resize', fit);
}
