// The review: shows screens, keeps votes in this browser, saves them as files. Nothing is sent.
(() => {
  const byId = id => document.getElementById(id);
  const meta = JSON.parse(byId('meta').textContent);
  const { survey, rater, screens, samples: L, points: P } = meta;
  const store = `review-${survey}-${rater}`;

  // votes: screen id → { choice, place, seconds, at }; log: screen ids in the order of voting, with what stood there before.
  let votes = {}, log = [], at = 0, shown = 0, leaving = 0, large = 0;
  function keep() {
    try { localStorage.setItem(store, JSON.stringify({ votes, log, at })); byId('status').textContent = ''; }
    catch { byId('status').textContent = 'This browser does not keep votes: save a file before you close the page.'; }
  }
  const valid = saved => Object.fromEntries(screens.filter(s => saved[s.id] && s.choices.includes(saved[s.id].choice)).map(s => [s.id, saved[s.id]]));
  try {
    const saved = JSON.parse(localStorage.getItem(store));
    if (saved) { votes = valid(saved.votes); log = saved.log; at = Math.min(saved.at, screens.length - 1); }
  } catch { /* nothing kept yet */ }
  const count = () => Object.keys(votes).length;
  const open = from => { for (let k = 0; k < screens.length; k++) { const i = (from + k) % screens.length; if (!votes[screens[i].id]) return i; } return -1; };

  const traces = new Map();
  function trace(e) {
    if (!traces.has(e)) {
      const view = new DataView(ecgDraw.bytes(byId('e' + e).textContent).buffer);
      traces.set(e, Float32Array.from({ length: 12 * L }, (_, i) => view.getInt16(2 * i, true)));
    }
    return traces.get(e);
  }
  function maps(screen) {
    const all = new Int8Array(ecgDraw.bytes(byId('b' + screen.block).textContent).buffer), n = all.length / screen.order.length;
    return screen.order.map(k => all.subarray(k * n, (k + 1) * n));
  }

  function draw(canvas, screen, map, width, height) {
    const ratio = window.devicePixelRatio || 1, g = canvas.getContext('2d'), left = screen.averaged ? 26 : 32, head = 6, foot = 16;
    canvas.width = width * ratio; canvas.height = height * ratio;
    canvas.style.width = width + 'px'; canvas.style.height = height + 'px';
    g.scale(ratio, ratio);
    g.fillStyle = '#fff'; g.fillRect(0, 0, width, height);
    const ecg = trace(screen.ecg), leads = screen.averaged ? [meta.v5] : [...meta.leads.keys()];
    const lanes = ecgDraw.lanes(ecg, L, leads, left, head, width - left - 10, height - head - foot);
    const colour = ecgDraw.colours(meta.colours[screen.averaged ? 'absolute' : 'signed'], !screen.averaged);
    lanes.forEach(lane => ecgDraw.bands(g, lane, map, screen.averaged ? 0 : lane.lead * P, P, colour, ratio));
    g.font = `bold ${height > 500 ? 12 : 9}px "DejaVu Sans Condensed", Arial, sans-serif`;
    lanes.forEach(lane => {
      ecgDraw.trace(g, lane, ecg, L, height > 500 ? 1.3 : 1);
      g.fillStyle = '#16191f'; g.textAlign = 'right';
      g.fillText(meta.leads[lane.lead], left - 4, ecgDraw.nameAt(lane, height > 500 ? 12 : 9));
    });
    const ms = L / meta.rate * 1000, y = height - foot;
    g.font = '9px "DejaVu Sans Condensed", Arial, sans-serif'; g.fillStyle = g.strokeStyle = '#4c5361'; g.textAlign = 'center'; g.lineWidth = 0.8;
    const step = (ms > 4000 ? 2000 : 200) * (width < 260 ? 2 : 1);
    for (let t = 0; t <= ms + 1e-6; t += step) {
      const x = left + (width - left - 10) * t / ms;
      g.beginPath(); g.moveTo(x, y); g.lineTo(x, y + 3); g.stroke();
      g.fillText(ms > 4000 ? `${t / 1000} s` : t === 0 ? '0 ms' : t, Math.min(x, width - 12), y + 12);
    }
  }

  function show() {
    clearTimeout(leaving);
    const screen = screens[at], target = meta.targets[screen.target], chosen = votes[screen.id] && votes[screen.id].choice;
    ['start', 'done'].forEach(id => { byId(id).hidden = true; });
    byId('vote').hidden = false;
    byId('question').textContent = `Which heatmap explains the ${target.title} best?`;
    byId('help').textContent = `${target.title}: ${target.help}. ${screen.averaged ? 'Colours averaged over 12 leads, over lead V5.' : '12 leads.'}`;
    byId('bar').max = screens.length; byId('bar').value = count();
    byId('count').textContent = `Screen ${at + 1} of ${screens.length} · ${count()} voted · ${Math.floor(100 * count() / screens.length)} %${left()}`;
    legend(screen);
    byId('back').disabled = at === 0; byId('on').disabled = at === screens.length - 1; byId('undo').disabled = log.length === 0;
    const before = screens[at - 1], fresh = !before || before.target !== screen.target || before.averaged !== screen.averaged;
    byId('vote').classList.toggle('fresh', fresh);
    if (fresh && before) byId('status').textContent = 'A new question.';
    const list = byId('choices'), all = maps(screen), inside = list.contains(document.activeElement);
    list.replaceChildren(...screen.choices.map((choice, k) => {
      const box = document.createElement('div'), pick = document.createElement('button'), canvas = document.createElement('canvas');
      const number = document.createElement('span'), large = document.createElement('button');
      box.className = 'choice' + (choice === chosen ? ' chosen' : '');
      pick.className = 'pick'; pick.type = 'button'; pick.id = 'c' + choice;
      pick.setAttribute('aria-label', `Heatmap ${k + 1}` + (choice === chosen ? ', chosen' : '')); pick.setAttribute('aria-pressed', choice === chosen);
      number.className = 'number'; number.textContent = k + 1;
      large.className = 'enlarge'; large.type = 'button'; large.textContent = '⤢'; large.setAttribute('aria-label', `Show heatmap ${k + 1} large`);
      pick.append(canvas); box.append(pick, number, large);
      pick.addEventListener('click', () => vote(k));
      large.addEventListener('click', () => enlarge(k));
      return box;
    }));
    const rows = Math.ceil(screen.choices.length / 3), width = Math.max(120, list.querySelector('.pick').clientWidth);
    const room = (window.innerHeight - list.getBoundingClientRect().top - 40) / rows - 45;
    const height = Math.round(Math.max(screen.averaged ? 100 : 220, Math.min(room, screen.averaged ? 240 : 520)));
    list.querySelectorAll('canvas').forEach((canvas, k) => draw(canvas, screen, all[k], width, height));
    if (inside) list.querySelector('.pick').focus({ preventScroll: true });
    shown = performance.now();
  }

  // How long the rest may take, by the median of the seconds of votes.
  function left() {
    const seconds = Object.values(votes).map(v => v.seconds).sort((a, b) => a - b), open = screens.length - seconds.length;
    if (seconds.length < 20 || !open) return '';
    const minutes = seconds[seconds.length >> 1] * open / 60;
    return ' · about ' + (minutes >= 90 ? `${Math.round(minutes / 60)} hours` : minutes >= 1.5 ? `${Math.round(minutes)} minutes` : 'a minute') + ' left';
  }

  function legend(screen) {
    const bar = document.createElement('span'), [low, high] = screen.averaged ? ['less', 'more'] : ['one sign (red)', 'the other (blue)'];
    bar.append(...meta.colours[screen.averaged ? 'absolute' : 'signed'].map(colour => { const part = document.createElement('i'); part.style.background = colour; return part; }));
    byId('legend').replaceChildren(low, bar, high);
  }

  function vote(k) {
    const screen = screens[at];
    if (k >= screen.choices.length) return;
    log.push([screen.id, votes[screen.id] || null]);
    const before = votes[screen.id] ? votes[screen.id].seconds : 0;
    votes[screen.id] = { choice: screen.choices[k], place: k + 1, seconds: +(before + (performance.now() - shown) / 1000).toFixed(1), at: new Date().toISOString() };
    keep();
    byId('choices').querySelectorAll('.choice').forEach((box, i) => box.classList.toggle('chosen', i === k));
    byId('status').textContent = `Screen ${at + 1}: heatmap ${k + 1} chosen.`;
    clearTimeout(leaving);
    leaving = setTimeout(() => {
      const next = open(at);
      if (next < 0) { finish(); return; }
      at = next; keep(); show();
    }, 180);
  }

  function undo() {
    if (!log.length) return;
    const [id, before] = log.pop();
    if (before) votes[id] = before; else delete votes[id];
    at = Math.max(0, screens.findIndex(s => s.id === id));
    keep(); show();
    byId('status').textContent = 'The last vote is undone.';
  }
  function go(by) { at = Math.min(screens.length - 1, Math.max(0, at + by)); keep(); show(); }
  function begin() {
    if (open(0) < 0) { finish(); return; }
    if (votes[screens[at].id]) at = open(at);
    show(); byId('question').focus();
  }
  function pause() { clearTimeout(leaving); keep(); welcome(); byId('begin').focus(); }
  function finish() {
    byId('vote').hidden = byId('start').hidden = true; byId('done').hidden = false;
    byId('done').querySelector('h1').focus();
  }
  function welcome() {
    byId('vote').hidden = byId('done').hidden = true; byId('start').hidden = false;
    byId('begin').textContent = count() ? 'Go on' : 'Begin';
    byId('resume-note').textContent = `You are ${rater}. ${screens.length} screens` + (count() ? `, ${count()} voted: they are kept in this browser.` : '.');
  }
  function enlarge(k) {
    const dialog = byId('large'), screen = screens[at];
    if (k < 0 || k >= screen.choices.length) return;
    large = k;
    if (!dialog.open) dialog.showModal();
    byId('large-name').textContent = `Heatmap ${k + 1} of ${screen.choices.length}`;
    draw(dialog.querySelector('canvas'), screen, maps(screen)[k], Math.min(window.innerWidth - 80, 1100), Math.min(window.innerHeight - 130, screen.averaged ? 420 : 900));
  }

  const rows = () => screens.filter(s => votes[s.id]).map(s => ({ screen: s.id, ...votes[s.id] }));
  function save(name, type, content) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([content], { type })); link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  const csv = () => save(`${rater}.csv`, 'text/csv', 'survey,rater,screen,choice,place,seconds,at\n' +
    rows().map(r => [survey, rater, r.screen, r.choice, r.place, r.seconds, r.at].join(',') + '\n').join(''));
  const json = () => save(`${rater}.json`, 'application/json', JSON.stringify({ survey, rater, votes: rows() }, null, 1) + '\n');

  byId('begin').addEventListener('click', begin);
  byId('review').addEventListener('click', () => { at = 0; show(); });
  byId('back').addEventListener('click', () => go(-1));
  byId('on').addEventListener('click', () => go(1));
  byId('undo').addEventListener('click', undo);
  byId('pause').addEventListener('click', pause);
  ['save-csv', 'done-csv'].forEach(id => byId(id).addEventListener('click', csv));
  ['save-json', 'done-json'].forEach(id => byId(id).addEventListener('click', json));
  byId('restore').addEventListener('change', async event => {
    try {
      const saved = JSON.parse(await event.target.files[0].text());
      if (saved.survey !== survey || saved.rater !== rater) throw new Error('these votes are of another page');
      votes = { ...votes, ...valid(Object.fromEntries(saved.votes.map(({ screen, ...vote }) => [screen, vote]))) };
      log = []; at = Math.max(0, open(0)); keep(); welcome();
    } catch (error) { byId('resume-note').textContent = `That file cannot be used: ${error.message}.`; }
  });
  document.addEventListener('keydown', event => {
    if (byId('vote').hidden || event.ctrlKey || event.metaKey || event.altKey || byId('large').open) return;
    const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code);
    if (digit) { event.preventDefault(); (event.shiftKey ? enlarge : vote)(digit[1] - 1); return; }
    const action = { ArrowLeft: () => at > 0 && go(-1), ArrowRight: () => at < screens.length - 1 && go(1), u: undo, U: undo, p: pause, P: pause }[event.key];
    if (action) { event.preventDefault(); action(); }
  });
  byId('large').addEventListener('keydown', event => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) { event.preventDefault(); enlarge(large + by); }
  });
  byId('large-choose').addEventListener('click', () => { byId('large').close(); vote(large); });
  let waiting = 0;
  window.addEventListener('resize', () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(() => { if (!byId('vote').hidden) show(); }); });
  welcome();
})();
