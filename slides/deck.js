// Starts the deck. Everything that it needs is in the same file.
//
//   ?three, ?all     with the slides for three hours, for half a day
//   ?rehearse        counts the minutes anew, of a whole way through
//   ?print=slides    a slide a page
//   ?print=notes     two slides a page, and below each what is said
//   ?print=handout   four slides a page, without what the room is to find out, and lines
//   T  light or dark     V  the recording of this slide     M  minutes, planned and used
//   the down arrow  the next slide, without the clicks that are left
// A phone held upright gets them as a text to scroll, in its own letters' size.
'use strict';
const query = new URLSearchParams(location.search);
const printing = query.get('print');
const plan = ['all', 'three'].find(name => query.has(name)) || 'talk';
const reading = !printing && innerWidth < 600 && window === top;
const body = document.body;

function look(name) { document.documentElement.dataset.look = name; }
const dark = matchMedia('(prefers-color-scheme: dark)');
look(printing ? 'light' : query.get('look') || (dark.matches ? 'dark' : 'light'));

const [minutes, extras] = PLANS[plan];
for (const slide of document.querySelectorAll('section'))
  if (PLANS.all[1].some(extra => slide.classList.contains(extra) && !extras.includes(extra)) ||
      printing === 'handout' && (slide.classList.contains('question') ||
        !slide.querySelector('h1') && slide.querySelector('.demo, .delta, .matrix')))
    slide.remove();
document.querySelectorAll('section').forEach((slide, n) => { slide.dataset.page = n + 1; });

// Lights the lines of the last click. On paper, and without a click, all are lit.
function light(slide) {
  for (const code of slide.querySelectorAll('pre[data-light]')) {
    const clicks = JSON.parse(code.dataset.light);
    const now = code.parentElement.querySelectorAll('.light.visible').length;
    const lines = code.querySelectorAll('.line');
    code.classList.toggle('dim', clicks.length > 0 && !printing && !reading);
    lines.forEach((line, n) => line.classList.toggle('lit', !!clicks[now]?.includes(n)));
  }
  // A drawing is looked at from one place after the other, and its parts come in their turn.
  for (const drawn of slide.querySelectorAll('[data-views]')) {
    const views = JSON.parse(drawn.dataset.views), svg = drawn.querySelector('svg');
    const now = drawn.parentElement.querySelectorAll('.light.visible').length;
    const view = views[printing || reading ? views.length - 1 : now];
    const [, , wide, high] = view.box.split(' ');
    svg.setAttribute('viewBox', view.box);
    svg.style.width = reading ? '' : `min(100%, ${540 * wide / high}px)`;
    for (const part of svg.querySelectorAll('g[id]')) part.style.display = view.parts.includes(part.id) ? '' : 'none';
  }
}

let player = null;
function stop() {
  document.querySelector('.player')?.remove();
  player?.dispose();
  player = null;
}
function play(slide) {
  if (player) return stop();
  const step = slide.querySelector('.play')?.dataset.cast;
  if (!step) return;
  const box = document.createElement('div');
  box.className = 'player';
  slide.append(box);
  player = AsciinemaPlayer.create({ data: CASTS[step] }, box,
    { fit: reading ? 'width' : 'both', idleTimeLimit: 2, autoPlay: true, controls: true,
      terminalFontFamily: '"Deck Mono", monospace' });
}

// A rehearsal: the seconds of each slide, kept by the browser. M shows them by the part.
const used = 'rehearsal-' + plan;
const times = () => JSON.parse(localStorage.getItem(used) || '{}');
const rehearsing = query.has('rehearse') && window === top;  // Not the speaker's previews.
if (rehearsing) localStorage.removeItem(used);
let looked = null;
function spend() {
  if (looked && rehearsing) {
    const all = times();
    all[looked.id] = (all[looked.id] || 0) + (performance.now() - looked.since) / 1000;
    localStorage.setItem(used, JSON.stringify(all));
  }
  looked = { id: Reveal.getCurrentSlide().id, since: performance.now() };
}
function showMinutes() {
  if (document.querySelector('.minutes')) return document.querySelector('.minutes').remove();
  spend();
  const parts = new Map([...document.querySelectorAll('.slides section')].map(slide => [slide.dataset.part, [0, 0]]));
  for (const slide of document.querySelectorAll('.slides section')) {
    parts.get(slide.dataset.part)[0] += slide.dataset.timing / 60;
    parts.get(slide.dataset.part)[1] += (times()[slide.id] || 0) / 60;
  }
  parts.set('all', [0, 1].map(n => [...parts.values()].reduce((sum, part) => sum + part[n], 0)));
  const table = document.createElement('pre');
  table.className = 'minutes';
  table.textContent = 'part   planned    used\n' + [...parts].map(([part, [planned, real]]) =>
    part.padEnd(6) + planned.toFixed(1).padStart(8) + real.toFixed(1).padStart(8)).join('\n');
  body.append(table);
}

// A key that the speaker's view is told is for the room's window.
const forRoom = (key, act) => window === top ? act :
  () => top.opener.postMessage(JSON.stringify({ method: 'triggerKey', args: [key] }), '*');

function laidOut() { document.fonts.ready.then(() => { body.dataset.ready = 'yes'; }); }

if (printing) {
  document.documentElement.classList.add('print-pdf');  // Else reveal.js has a paper style of its own.
  body.classList.add('flat', 'printing', 'print-' + printing);
  for (const slide of document.querySelectorAll('.slides > section')) {
    const page = document.createElement('article');
    slide.replaceWith(page);
    const notes = slide.querySelector('.notes');
    page.append(slide);
    if (printing === 'notes') page.append(notes);
    light(slide);
  }
  laidOut();
} else if (reading) {
  body.classList.add('flat', 'reading');
  for (const button of document.querySelectorAll('.play'))
    button.onclick = () => play(button.closest('section'));
  laidOut();
} else {
  Reveal.initialize({
    hash: true, controls: false, slideNumber: 'c/t', width: 1280, height: 720, margin: 0, center: false,
    display: 'flex',  // The heading on top, the rest in the middle of what is left: see theme.css.
    transition: 'none', backgroundTransition: 'none', scrollActivationWidth: 0,
    totalTime: 60 * minutes, plugins: [RevealNotes],
    keyboard: {
      40: () => Reveal.slide(Reveal.getIndices().h + 1),
      77: showMinutes,
      84: forRoom(84, () => look(document.documentElement.dataset.look === 'dark' ? 'light' : 'dark')),
      86: forRoom(86, () => play(Reveal.getCurrentSlide())),
    },
  }).then(() => {
    const relight = () => light(Reveal.getCurrentSlide());
    for (const event of ['slidechanged', 'fragmentshown', 'fragmenthidden'])
      Reveal.on(event, relight);
    Reveal.on('slidechanged', stop);
    Reveal.on('slidechanged', spend);
    spend();
    document.querySelectorAll('.slides section').forEach(light);
    for (const button of document.querySelectorAll('.play'))
      button.onclick = () => { play(button.closest('section')); button.blur(); };
    laidOut();
  });
}
