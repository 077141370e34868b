// The explorer: draws any ECG, target and method from the data in this page. The page reads without it.
(() => {
  const byId = id => document.getElementById(id);
  const meta = JSON.parse(byId('meta').textContent);
  const LEADS = meta.leads, L = meta.samples, P = meta.points, POOL = meta.pool;
  const text = (id, from, length) => byId(id).firstChild.substringData(from, length);
  const { bytes } = ecgDraw;
  const encoded = n => 4 * Math.ceil(n / 3);

  const ecgCache = new Map();
  function ecgOf(e) {
    if (!ecgCache.has(e)) {
      const raw = bytes(text('ecgs', e * encoded(24 * L), encoded(24 * L)));
      const view = new DataView(raw.buffer);
      ecgCache.set(e, Float32Array.from({ length: 12 * L }, (_, i) => view.getInt16(2 * i, true) * meta.uv));
    }
    return ecgCache.get(e);
  }
  function mapOf(e, t, m, averaged) {
    const n = averaged ? P : 12 * P;
    const raw = bytes(text((averaged ? 'a' : 'm') + t + '-' + m, e * encoded(n), encoded(n)));
    return new Int8Array(raw.buffer);
  }
  const has = (t, m) => byId('m' + t + '-' + m) !== null;

  const pick = { ecg: byId('ecg'), target: byId('target'), left: byId('left'), right: byId('right'), view: byId('view'), palette: byId('palette'), scale: byId('scale'), order: byId('order') };
  const fill = (select, names) => names.forEach((name, i) => select.add(new Option(name, i)));
  fill(pick.ecg, meta.ecgs.map(e => 'ECG ' + e.id));
  fill(pick.target, meta.targets.map(t => t.title));
  fill(pick.left, meta.methods);
  pick.right.add(new Option('nothing', -1));
  fill(pick.right, meta.methods);
  pick.left.value = Math.max(0, meta.start[0]);
  pick.right.value = meta.start[1];

  const canvases = [byId('canvas-left'), byId('canvas-right')];
  const layouts = [null, null];
  let cursor = null;

  // Three significant digits, as in the pictures.
  function short(v) {
    if (v === 0) return '0';
    const size = Math.abs(v);
    if (size >= 1e-3 && size < 1e5) return String(+v.toPrecision(3)).replace('-', '−');
    const [mantissa, power] = v.toExponential(2).split('e');
    return mantissa.replace('-', '−') + '·10' + [...power.replace('+', '')].map(c => c === '-' ? '⁻' : '⁰¹²³⁴⁵⁶⁷⁸⁹'[c]).join('');
  }
  const state = () => ({ e: +pick.ecg.value, t: +pick.target.value, view: pick.view.value, averaged: pick.view.value === 'averaged', palette: pick.palette.value });
  // The value of full colour: the heatmap's own, or the largest of the heatmaps of this ECG in the same unit.
  function fullColour(t, m, e, averaged) {
    const scales = (averaged ? meta.scalesAveraged : meta.scales)[t];
    if (pick.scale.value === 'own') return scales[m][e];
    return Math.max(...meta.methods.map((_, k) => meta.units[t][k] === meta.units[t][m] && scales[k].length ? scales[k][e] : 0));
  }
  function draw(side) {
    const { e, t, view, averaged, palette } = state(), onPaper = view === 'paper';
    const m = +(side === 0 ? pick.left : pick.right).value;
    const canvas = canvases[side], ratio = window.devicePixelRatio || 1;
    canvas.hidden = m < 0;
    if (m < 0) return;
    const width = canvas.clientWidth || 560, head = meta.ecgs[e].fiducials.length ? 54 : 28, foot = onPaper ? 82 : 92, left = onPaper ? 4 : 40, right = onPaper ? 4 : 54;
    const ecg = ecgOf(e), paper = onPaper ? ecgDraw.paper(ecg, L, meta.rate, left, head, width - left - right) : null;
    const total = onPaper ? paper.bottom - head : averaged ? 170 : 540, height = head + total + foot;
    const all = onPaper ? paper.lanes : ecgDraw.lanes(ecg, L, averaged ? [meta.v5] : [...LEADS.keys()], left, head, width - left - right, total);
    canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = height + 'px';
    const g = canvas.getContext('2d');
    g.scale(ratio, ratio);
    g.fillStyle = '#fff'; g.fillRect(0, 0, width, height);
    const font = (px, bold) => { g.font = (bold ? 'bold ' : '') + px + 'px "DejaVu Sans Condensed", Arial, sans-serif'; };
    g.textBaseline = 'alphabetic';
    font(14, true); g.fillStyle = '#16191f'; g.textAlign = 'left';
    g.fillText(meta.methods[m] + ' · ' + meta.targets[t].title, left, 16);
    canvas.setAttribute('aria-label', `${averaged ? 'Lead V5 with the averaged heatmap' : '12-lead ECG with the heatmap'} of ${meta.methods[m]} for ${meta.targets[t].title}, ECG ${meta.ecgs[e].id}: ${has(t, m) ? meta.weights[t][m][e] : 'no heatmap'}. Arrow keys move the reading point.`);
    layouts[side] = { all, e, t, m, averaged, head, total };
    if (!has(t, m)) {
      font(13, false); g.fillText('There is no heatmap of this method for this target.', left, head + 20);
      return;
    }
    if (onPaper) ecgDraw.grid(g, left, head, width - left - right, paper.bottom, paper.mm);
    const map = mapOf(e, t, m, averaged), full = fullColour(t, m, e, averaged), own = (averaged ? meta.scalesAveraged : meta.scales)[t][m][e];
    const factor = full > 0 ? own / full : 1;
    const signed = meta.signed[t][m] && !averaged;
    const colours = meta.colours[palette][signed ? 'signed' : 'absolute'], plain = ecgDraw.colours(colours, signed), colour = v => plain(v * factor);
    all.forEach(lane => {
      ecgDraw.bands(g, lane, map, averaged ? 0 : lane.lead * P, P, colour, ratio);
      if (signed && palette === 'safe') ecgDraw.hatch(g, lane, map, lane.lead * P, P, factor);
    });
    marks(g, font, e, all, head, total, onPaper);
    all.forEach(lane => {
      ecgDraw.trace(g, lane, ecg, L, onPaper ? 1 : 1.1);
      font(12, true); g.fillStyle = '#16191f'; g.textAlign = onPaper ? 'left' : 'right';
      g.lineWidth = 3; g.strokeStyle = '#fff';
      if (onPaper) g.strokeText(LEADS[lane.lead], lane.x + 3, lane.y + 14);
      g.fillText(LEADS[lane.lead], onPaper ? lane.x + 3 : lane.x - 6, onPaper ? lane.y + 14 : ecgDraw.nameAt(lane, 12));
    });
    if (!onPaper) { calibration(g, font, all[0], head); axis(g, font, all[0], head + total + 4); }
    const below = head + total + (onPaper ? 12 : 26), wide = { x: left, width: width - left - right };
    bar(g, font, wide, below, colours, signed, full, m, (signed ? meta.quantities : meta.quantitiesUnsigned)[t][m], palette);
    font(10, false); g.fillStyle = '#4c5361'; g.textAlign = 'left';
    g.fillText(onPaper ? '25 mm/s · 10 mm/mV, in the proportion of ECG paper' : proportion(all[0]), left, below + 50);
    g.textAlign = 'right'; g.fillText(meta.sizes[t][m][e], width - right, below + 62);
    if (cursor) point(side, g, font);
  }

  // How wide time is drawn against voltage, beside ECG paper's 25 mm/s and 10 mm/mV.
  function proportion(lane) {
    const times = lane.width / (L / meta.rate) / (1000 * lane.per) / 2.5;
    return times >= 1 ? `Time is ${times.toFixed(1)} × wider against voltage than on ECG paper.` : `Voltage is ${(1 / times).toFixed(1)} × higher against time than on ECG paper.`;
  }

  // Fiducials: dashes on a white seam, so that they are seen on any band.
  function marks(g, font, e, all, head, total, onPaper) {
    font(10, false); g.textAlign = 'center';
    (onPaper ? all : [{ ...all[0], y: head, height: total, first: true }]).forEach(lane => {
      const free = [-1e9, -1e9, -1e9];
      for (const [name, at] of meta.ecgs[e].fiducials) {
        const x = ecgDraw.place(lane, (at + 0.5) / L), half = g.measureText(name).width / 2 + 2;
        g.beginPath(); g.moveTo(x, lane.y); g.lineTo(x, lane.y + lane.height);
        g.setLineDash([]); g.strokeStyle = '#fff'; g.lineWidth = 2.6; g.stroke();
        g.setLineDash([3, 3]); g.strokeStyle = g.fillStyle = '#8a5a00'; g.lineWidth = 1; g.stroke();
        g.setLineDash([]);
        if (!lane.first) continue;
        const row = Math.max(0, free.findIndex(edge => x - half >= edge));
        g.fillText(name, x, lane.y - 4 - 10 * row);
        free[row] = x + half;
      }
    });
  }

  function calibration(g, font, lane, head) {
    const per = lane.per, limit = 45 / per;
    const power = 10 ** Math.floor(Math.log10(limit)), uv = [5, 2, 1].map(k => k * power).find(v => v <= limit);
    const x = lane.x + lane.width + 6, y = head + 4;
    font(10, false); g.strokeStyle = '#16191f'; g.lineWidth = 1;
    g.beginPath(); g.moveTo(x, y); g.lineTo(x + 8, y); g.moveTo(x + 4, y); g.lineTo(x + 4, y + uv * per); g.moveTo(x, y + uv * per); g.lineTo(x + 8, y + uv * per); g.stroke();
    g.fillStyle = '#4c5361'; g.textAlign = 'left';
    g.fillText(uv >= 1000 ? uv / 1000 + ' mV' : uv + ' µV', x, y + uv * per + 13);
  }

  function axis(g, font, lane, y) {
    const ms = L / meta.rate * 1000, step = ms > 4000 ? (lane.width > 300 ? 1000 : 2000) : lane.width > 400 ? 100 : 200;
    g.strokeStyle = '#4c5361'; g.fillStyle = '#4c5361'; g.lineWidth = 0.8; g.textAlign = 'center'; font(10, false);
    g.beginPath(); g.moveTo(lane.x, y); g.lineTo(lane.x + lane.width, y);
    for (let at = 0; at <= ms + 1e-6; at += step) {
      const x = lane.x + lane.width * at / ms;
      g.moveTo(x, y); g.lineTo(x, y + 3);
      g.fillText((ms > 4000 ? at / 1000 : at) + (at + step > ms + 1e-6 ? (ms > 4000 ? ' s' : ' ms') : ''), x, y + 14);
    }
    g.stroke();
  }

  function bar(g, font, lane, y, colours, signed, scale, m, quantity, palette) {
    const width = Math.min(280, lane.width), x = lane.x + (lane.width - width) / 2, step = width / colours.length, [low, high] = meta.ends[m];
    g.globalAlpha = 0.7;
    colours.forEach((c, i) => { g.fillStyle = c; g.fillRect(x + i * step, y, step, 9); });
    g.globalAlpha = 1;
    if (signed && palette === 'safe') {
      g.strokeStyle = 'rgb(17 17 17 / 55%)'; g.lineWidth = 0.65; g.beginPath();
      for (let at = x + 4; at < x + width * 19 / 49; at += 4) { g.moveTo(at, y); g.lineTo(at, y + 9); }
      g.stroke();
    }
    g.lineWidth = 0.7; g.strokeStyle = '#d5d9e0'; g.strokeRect(x, y, width, 9);
    font(10, false); g.fillStyle = '#4c5361';
    const limit = short(scale);
    g.textAlign = 'left'; g.fillText(signed ? `≤ −${limit} ${low}` : '0', x, y + 21);
    g.textAlign = 'right'; g.fillText(signed ? `${high} ≥ ${limit}` : `≥ ${limit}`, x + width, y + 21);
    g.textAlign = 'center'; g.fillText(signed ? '0' : '', x + width / 2, y + 21);
    g.fillText(quantity, x + width / 2, y + 33);
  }

  function point(side, g) {
    const { all } = layouts[side], share = (cursor.i + 0.5) / L;
    const own = all.filter(l => l.lead === cursor.lead), lane = own.find(l => l.b === undefined || (share >= l.a && share < l.b)) || own[0] || all[0];
    const x = ecgDraw.place(lane, share), stretched = lane.b === undefined, last = all[all.length - 1];
    g.strokeStyle = '#a11d33'; g.lineWidth = 1;
    g.beginPath(); g.moveTo(x, stretched ? all[0].y : lane.y); g.lineTo(x, stretched ? last.y + last.height : lane.y + lane.height); g.stroke();
    g.beginPath(); g.arc(x, lane.zero - ecgOf(layouts[side].e)[lane.lead * L + cursor.i] * lane.per, 4, 0, 7); g.stroke();
  }

  function read() {
    const out = byId('readout');
    if (!cursor) { out.textContent = 'Move over a heatmap, or focus it and use the arrow keys, to read time, lead, voltage and attribution.'; return; }
    const { e, t, averaged } = state(), lead = averaged ? meta.v5 : cursor.lead;
    const parts = [`${(cursor.i / meta.rate * 1000).toFixed(0)} ms`, `lead ${LEADS[lead]}`, `${ecgOf(e)[lead * L + cursor.i].toFixed(0)} µV`.replace('-', '−')];
    canvases.forEach((_, side) => {
      const m = +(side === 0 ? pick.left : pick.right).value;
      if (m < 0 || !has(t, m)) return;
      const q = mapOf(e, t, m, averaged)[(averaged ? 0 : lead * P) + Math.floor(cursor.i / POOL)];
      const own = (averaged ? meta.scalesAveraged : meta.scales)[t][m][e], value = q / 127 * own, full = fullColour(t, m, e, averaged);
      const edge = Math.abs(q) === 127 ? (q > 0 ? '≥ ' : '≤ ') : '';
      parts.push(`${meta.methods[m]} ${edge}${short(value)} (${Math.round(full > 0 ? q / 1.27 * own / full : 0)} % of full colour)`.replace('(-', '(−'));
    });
    out.textContent = parts.join(' · ');
  }

  function facts() {
    const { e, t } = state(), ecg = meta.ecgs[e], target = meta.targets[t];
    const value = ecg.values[t], predicted = target.predicted[e];
    const number = v => v === null || v === undefined ? 'not measured' : `${v.toFixed(1)} ${target.unit}`;
    const label = value === null || value === undefined ? 'not labelled' : value > 0.5 ? 'labelled yes' : 'labelled no';
    const known = target.label ? `${target.title}: ${label}` : `measured ${target.title} ${number(value)}`;
    const chance = target.label && typeof target.probability[e] === 'number' ? ` (probability ${target.probability[e].toFixed(3)})` : '';
    byId('facts').textContent = `ECG ${ecg.id}: ${known}` + (predicted === undefined ? '.' : `, predicted ${number(predicted)}${chance}.`);
    byId('cart').textContent = ecg.cart;
    byId('warning').textContent = target.warning || ''; byId('warning').hidden = !target.warning;
    byId('page').hidden = !ecg.number; byId('command').textContent = `cardiograd explain ${target.model} --input ${meta.array} --ecg ${ecg.number} --method all -o ecg${ecg.number}-${target.name}.html`;
    [['left', pick.left], ['right', pick.right]].forEach(([side, select]) => {
      const m = +select.value;
      byId('says-' + side).textContent = m < 0 || !has(t, m) ? '' : [meta.sentences[m], meta.colourWords[pick.palette.value][m], meta.accounts[t][m][e]].filter(Boolean).join(' ');
    });
  }

  // The ECGs in the order asked for, those of the target's largest errors first if so; an option's value stays the ECG's number.
  function order() {
    const { t } = state(), target = meta.targets[t], chosen = pick.ecg.value, byError = pick.order.value === 'error';
    const known = v => v !== null && v !== undefined;
    const predicted = target.label ? target.probability : target.predicted;
    const error = e => known(meta.ecgs[e].values[t]) && known(predicted[e]) ? Math.abs(predicted[e] - meta.ecgs[e].values[t]) : -1;
    const places = [...meta.ecgs.keys()];
    if (byError) places.sort((a, b) => error(b) - error(a));
    const off = e => byError && error(e) >= 0 ? `, off by ${target.label ? error(e).toFixed(3) : `${error(e).toFixed(1)} ${target.unit}`}` : '';
    pick.ecg.replaceChildren(...places.map(e => new Option('ECG ' + meta.ecgs[e].id + off(e), e)));
    pick.ecg.value = chosen;
  }

  function all() {
    order();
    document.querySelector('.sides').classList.toggle('single', +pick.right.value < 0);
    byId('side-right').hidden = +pick.right.value < 0;
    draw(0); draw(1); facts(); read();
    history.replaceState(null, '', '#explorer=' + Object.values(pick).map(s => s.value).join(','));
  }

  function from(event, side) {
    const layout = layouts[side];
    if (!layout) return;
    const box = canvases[side].getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top, { all } = layout;
    // The lane under the pointer, or the nearest one.
    const far = l => Math.max(l.y - y, y - l.y - l.height, 0) * 1e3 + Math.max(l.x - x, x - l.x - l.width, 0);
    const lane = all.reduce((best, l) => far(l) < far(best) ? l : best), [a, b] = lane.b === undefined ? [0, 1] : [lane.a, lane.b];
    const i = Math.min(L - 1, Math.max(0, Math.floor((a + Math.min(1, Math.max(0, (x - lane.x) / lane.width)) * (b - a)) * L)));
    cursor = { i, lead: lane.lead };
    draw(0); draw(1); read();
  }
  canvases.forEach((canvas, side) => {
    canvas.addEventListener('mousemove', event => from(event, side));
    canvas.addEventListener('click', event => from(event, side));
    canvas.addEventListener('mouseleave', () => { if (document.activeElement !== canvas) { cursor = null; draw(0); draw(1); read(); } });
    canvas.addEventListener('keydown', event => {
      const step = event.shiftKey ? 10 : 1, move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!move) return;
      event.preventDefault();
      const at = cursor || { i: Math.floor(L / 2), lead: meta.v5 };
      cursor = { i: Math.min(L - 1, Math.max(0, at.i + move[0])), lead: Math.min(11, Math.max(0, at.lead + move[1])) };
      draw(0); draw(1); read();
    });
  });
  Object.values(pick).forEach(select => select.addEventListener('change', all));
  byId('swap').addEventListener('click', () => {
    if (+pick.right.value < 0) return;
    [pick.left.value, pick.right.value] = [pick.right.value, pick.left.value];
    all();
  });
  const step = by => () => { pick.ecg.selectedIndex = (pick.ecg.selectedIndex + by + meta.ecgs.length) % meta.ecgs.length; all(); };
  byId('previous').addEventListener('click', step(-1));
  byId('next').addEventListener('click', step(1));
  window.addEventListener('beforeprint', () => document.querySelectorAll('details').forEach(part => { part.open = true; }));
  let waiting = 0;
  window.addEventListener('resize', () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(() => { draw(0); draw(1); }); });
  const saved = /^#explorer=([\w,-]+)$/.exec(location.hash);
  if (saved) saved[1].split(',').forEach((value, k) => { const s = Object.values(pick)[k]; if (s && [...s.options].some(o => o.value === value)) s.value = value; });
  document.documentElement.classList.add('js');
  all();
})();
