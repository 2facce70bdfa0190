// What every page of the course does: search, keys, light and dark, copying, the recording.
'use strict';
const FACTS = JSON.parse(document.getElementById('facts').textContent);
const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}
const paragraph = (textContent, className = '') => make('p', { textContent, className });

// ---- Light and dark

const lookers = [];  // What is to be drawn anew.
function switchLook() {
  look(document.documentElement.dataset.look === 'dark' ? 'light' : 'dark');
  try { localStorage.setItem('look', document.documentElement.dataset.look); } catch { /* Not kept. */ }
  for (const looker of lookers) looker();
}
one('#look').onclick = switchLook;

// ---- Search

const search = one('#search'), hits = one('#found');
let sections = null;
function found(all) { sections = all; lookFor(); }  // search.js calls it.
function lookFor() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  hits.hidden = !words.length || !sections;
  if (hits.hidden) return;
  const phrase = words.join(' '), good = [];
  for (const [to, step, page, heading, text] of sections) {
    const high = heading.toLowerCase(), low = text.toLowerCase();
    if (!words.every(word => high.includes(word) || low.includes(word))) continue;
    const weight = 4 * words.every(word => high.includes(word)) + 2 * (high === phrase) +
      low.includes(phrase) + page.startsWith('Glossary');
    const from = Math.max(0, low.indexOf(low.includes(phrase) ? phrase : words[0]) - 30);
    good.push([weight, make('a', { href: to, className: 'layer-' + step },
      make('b', { textContent: heading }), make('small', { textContent: page === heading ? '' : page }),
      make('span', { textContent: text.slice(from, from + 110) }))]);
  }
  good.sort((a, b) => b[0] - a[0]);
  hits.replaceChildren(...good.slice(0, 8).map(([, link]) => link));
  if (!good.length) hits.append(paragraph('No section has all these words.'));
}
search.onfocus = () => {
  if (!sections && !one('[src="search.js"]')) document.head.append(make('script', { src: 'search.js' }));
};
search.oninput = lookFor;
search.form.onsubmit = event => { event.preventDefault(); one('a', hits)?.click(); };
hits.onclick = event => { if (event.target.closest('a')) hits.hidden = true; };
document.addEventListener('click', event => { if (!event.target.closest('form')) hits.hidden = true; });

// ---- Keys

document.addEventListener('keydown', event => {
  const links = [search, ...all('a', hits)], at = links.indexOf(document.activeElement);
  if (event.key === 'Escape' && at >= 0) {
    search.value = '';
    hits.hidden = true;
    search.blur();
  } else if (/^Arrow(Up|Down)$/.test(event.key) && at >= 0 && !hits.hidden) {
    event.preventDefault();
    links[(at + (event.key === 'ArrowDown' ? 1 : links.length - 1)) % links.length].focus();
  }
  if (event.target.closest('input, textarea, select, #player') || event.ctrlKey || event.metaKey || event.altKey) return;
  const go = { ArrowLeft: '[rel=prev]', ArrowRight: '[rel=next]' }[event.key];
  if (event.key === 't') switchLook();
  else if (event.key === '/') { event.preventDefault(); search.focus(); }
  else if (go && !event.target.closest('pre, .table, [role=tab]')) one(go)?.click();
});

// ---- Copying: of a console only what is typed, without its prompts

document.addEventListener('copy', event => {
  const range = getSelection().rangeCount && getSelection().getRangeAt(0);
  const typed = range ? all('kbd', range.cloneContents()) : [];
  if (!typed.length) return;  // One output, or plain text.
  event.clipboardData.setData('text/plain', typed.map(line => line.textContent).join('\n') + '\n');
  event.preventDefault();
});
for (const button of all('button.copy'))
  button.onclick = () => {
    getSelection().selectAllChildren(button.closest('.console'));
    button.textContent = document.execCommand('copy') ? 'Copied' : 'Press Ctrl+C';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  };

// ---- On paper, all answers can be read

addEventListener('beforeprint', () => all('article details').forEach(answer => { answer.open = true; }));

// ---- Where one is on the page

const entries = new Map(all('.toc a').map(link => [document.getElementById(link.hash.slice(1)), link]));
if (entries.size) {
  const mark = () => {
    const passed = [...entries].filter(([heading]) => heading.getBoundingClientRect().top < 120);
    for (const link of entries.values()) link.ariaCurrent = null;
    if (passed.length) passed.at(-1)[1].ariaCurrent = 'true';
  };
  addEventListener('scroll', mark, { passive: true });
  mark();
}

if (FACTS.cast)
  AsciinemaPlayer.create({ data: FACTS.cast }, one('#player'),
    { fit: 'width', idleTimeLimit: 2, controls: true, poster: 'npt:0:12', terminalFontFamily: '"Deck Mono", monospace' });
document.fonts.ready.then(() => { document.body.dataset.ready = 'yes'; });
