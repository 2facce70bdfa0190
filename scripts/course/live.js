// Beside a lesson that is served: its terminals, what was run of it, and what came out.
'use strict';
const stack = one('#terminals'), empty = one('.empty');
const terminals = [], commands = new Map(all('.command').map(node => [+node.dataset.line, node]));
let busy = false, recent = [];
const status = text => { one('.status').textContent = text; };

// ---- Terminals

// The letters are as large as the place allows, so that two terminals can be seen.
function fit() {
  for (const { view } of terminals) {
    const wide = (stack.clientWidth - 54) / COLUMNS / 0.6, high = (stack.clientHeight / 2 - 62) / view.rows / 1.3;
    view.options.theme = theme();
    view.options.fontSize = Math.floor(4 * Math.max(9, Math.min(15, wide, high))) / 4;
  }
}
lookers.push(fit);
new ResizeObserver(() => requestAnimationFrame(fit)).observe(stack);

function open(number, rows) {
  const head = make('summary'), body = make('div', { className: 'screen' });
  const box = make('details', { className: 'pane', open: true }, head, body);
  empty.hidden = true;
  stack.append(box);
  return terminals[number] = { head, box, view: newTerminal(number, rows, body, () => head.focus()) };
}

// Two have room: the one that is used, and with it the container, or the one that was used before.
function show(number) {
  recent = [number, ...recent.filter(other => other !== number)];
  const second = recent.slice(1).find(other => terminals[other].box.matches('.box')) ?? recent[1];
  terminals.forEach(({ box }, other) => { box.open = other === number || other === second; });
}

function about({ terminal, sign, inside, ended, rows }) {
  const isNew = !terminals[terminal], { box, head } = terminals[terminal] || open(terminal, rows);
  box.classList.toggle('box', inside);
  box.classList.toggle('ended', ended);
  const where = sign === '#' ? 'host, root' : 'host, you';
  head.textContent = ended ? 'ended' : inside ? `container, in the terminal of ${where}` : where;
  if (isNew) {
    fit();
    show(terminal);
  }
}

// ---- What was run

const WORDS = { running: 'runs', same: 'as in the text', differs: 'other than in the text',
  failed: 'did not end', needs: 'needs another command first', skipped: 'not for this host' };
function verdict({ line, state, why, lines, first, terminal }) {
  const node = commands.get(line);
  node.dataset.state = state;
  label(node);
  one('.verdict', node)?.remove();
  if (state === 'running') {
    if (terminals[terminal]) show(terminal);
    const { top, bottom } = node.getBoundingClientRect();
    if (bottom > innerHeight - 30 || top < 100) node.scrollIntoView({ block: 'center' });
    return;
  }
  if (!why) return;
  const said = make('div', { className: 'verdict' }, paragraph(why === 'differs' ?
    'Something else came out here. That need not be wrong. The text has the lines with −, and you got those with +:' : why));
  if (lines?.length)
    said.append(make('pre', {}, ...lines.map(row => make('span', { className: row[0] === '+' ? 'yours' : '',
      textContent: row.replace(/^-/, '−') }))));
  if (state === 'needs') {
    const missing = [...commands.keys()].filter(other => other >= first && other <= line);
    said.append(make('button', { type: 'button', onclick: () => run(missing),
      textContent: missing.length > 1 ? `Run the ${missing.length - 1} before it, and this` : 'Run it again' }));
  }
  node.append(said);
}

// What a button does, and what came of it, for those who do not see its sign.
function label(node) {
  const button = one('.run', node), state = WORDS[node.dataset.state];
  button.title = state || 'Run it';
  button.ariaLabel = `Run ${one('kbd', node).textContent}${state ? ': ' + state : ''}`;
}

// The reader's own numbers take the place of the text's.
function today(names) {
  for (const node of all('.vary')) {
    const yours = names[node.dataset.name];
    node.textContent = yours ?? node.dataset.name;
    node.classList.toggle('yours', yours !== undefined);
  }
}

function setBusy(on) {
  busy = on;
  document.body.classList.toggle('busy', on);
  one('[data-do=stop]').hidden = !on;
  status('');
}

function run(lines) {
  if (!busy) say('run', { lines });
}
for (const [line, node] of commands) {
  node.prepend(make('button', { type: 'button', className: 'run', onclick: () => run([line]) }));
  label(node);
}
for (const button of all('button.copy')) {
  const lines = all('.command', button.closest('.console')).map(node => +node.dataset.line);
  button.className = 'all';
  button.textContent = lines.length > 1 ? `Run all ${lines.length}` : 'Run it';
  button.onclick = () => run(lines);
}
for (const button of all('aside [data-do]'))
  button.onclick = () => say(button.dataset.do, button.dataset.sign ? { sign: button.dataset.sign } : {});

// ---- What the reader writes

const own = one('#own'), tabs = all('[role=tab]');
for (const tab of tabs)
  tab.onclick = () => {
    for (const other of tabs) {
      other.setAttribute('aria-selected', other === tab);
      one('#' + other.dataset.tab).hidden = other !== tab;
    }
  };
// The text says which attacks change with this step.
const turns = one('#what-changed-in-the-matrix');
if (turns) one('.turns').append(make('h3', { textContent: turns.textContent }));
for (let node = turns?.nextElementSibling; node && node.tagName !== 'H2'; node = node.nextElementSibling) {
  const rows = node.tagName === 'UL' ? node : one('ul', node);
  if (rows) one('.turns').append(rows.cloneNode(true));
}
const tell = (...nodes) => one('.found').replaceChildren(...nodes);
const OWN = {
  missing: () => there(false),
  there() {
    there(true);
    for (const piece of all('.pieces li')) delete piece.dataset.state;
    tell(paragraph('It is compiled.'));
  },
  running({ piece }) {
    mark(piece, 'running');
    tell(paragraph(piece ? '' : 'All promises of the step are checked.'));
  },
  holds({ piece, number }) {
    mark(piece, 'holds');
    if (!piece) tell(paragraph(`All ${number} promises of this step hold.`, 'holds'));
  },
  broken({ piece, promise }) {
    mark(piece, 'broken');
    tell(make('div', { className: 'broken' }, make('h3', { textContent: promise.name }),
      ...[promise.fails, ...promise.saw, ...promise.said.map(line => `It said: ${line}`)].filter(Boolean).map(line => paragraph(line))));
  },
  unbuilt: () => tell(make('h3', { textContent: 'It does not compile.' })),
  ended: ({ text }) => one('.found').append(make('pre', { className: 'plain', textContent: text })),
  hint({ hint }) {
    one('.hints').append(hint ? make('div', {},
      make('b', { textContent: `${hint.piece}, ${hint.number} of ${hint.of}: ${hint.kind}` }), paragraph(hint.text)) :
      paragraph('Nothing was found wrong at the last check.'));
  },
};
function there(on) {
  one('.there').textContent = on ? `my/${FACTS.step}.cpp is checked at each save.` :
    `You write step ${FACTS.step} in your own editor, in my/${FACTS.step}.cpp. At each save, this page shows what holds.`;
  one('[data-do=begin]').hidden = on;
  for (const button of all('[data-do=check], [data-do=hint]')) button.hidden = !on;
}
function mark(name, state) {
  const pieces = all('.pieces li'), at = pieces.findIndex(piece => piece.dataset.piece === name);
  for (const piece of pieces.slice(0, at < 0 ? pieces.length : at)) piece.dataset.state = 'holds';
  if (at >= 0) pieces[at].dataset.state = state;
}

// ---- What the server tells

const TOLD = {
  clear() {
    recent = [];
    for (const { view, box } of terminals.splice(0)) { view.dispose(); box.remove(); }
    empty.hidden = false;
    for (const node of commands.values()) {
      delete node.dataset.state;
      one('.verdict', node)?.remove();
      label(node);
    }
    today({});
    setBusy(false);
  },
  terminal: about,
  out: ({ terminal, data }) => terminals[terminal].view.write(data),
  command: verdict,
  today: ({ names }) => today(names),
  busy: what => setBusy(what.busy),
  status: what => status(what.text),
  own: what => OWN[what.state](what),
  progress({ done }) {
    for (const link of all('.steps a')) link.style.setProperty('--done', done[link.getAttribute('href')] || 0);
  },
};

function changed(on) {
  if (on) document.body.dataset.connected = 'yes';
  else delete document.body.dataset.connected;
  status(on ? '' : 'Not connected. Trying again.');
}
document.fonts.load('13px "Deck Mono"').then(() => connect(FACTS.page, TOLD, changed));
