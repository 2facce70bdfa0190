// Light or dark, before anything is drawn.
'use strict';
const kept = name => { try { return localStorage.getItem(name); } catch { return null; } };
const look = name => { document.documentElement.dataset.look = name; };
look(new URLSearchParams(location.search).get('look') || kept('look') ||
  (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'));
