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

  const pick = { ecg: byId('ecg'), target: byId('target'), left: byId('left'), right: byId('right'), view: byId('view'), palette: byId('palette') };
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
  const state = () => ({ e: +pick.ecg.value, t: +pick.target.value, averaged: pick.view.value === 'averaged', palette: pick.palette.value });
  function draw(side) {
    const { e, t, averaged, palette } = state();
    const m = +(side === 0 ? pick.left : pick.right).value;
    const canvas = canvases[side], ratio = window.devicePixelRatio || 1;
    canvas.hidden = m < 0;
    if (m < 0) return;
    const width = canvas.clientWidth || 560, total = averaged ? 170 : 540, head = meta.ecgs[e].fiducials.length ? 54 : 28, foot = 62, left = 40, right = 54;
    const height = head + total + foot;
    canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = height + 'px';
    const g = canvas.getContext('2d');
    g.scale(ratio, ratio);
    g.fillStyle = '#fff'; g.fillRect(0, 0, width, height);
    const font = (px, bold) => { g.font = (bold ? 'bold ' : '') + px + 'px "DejaVu Sans Condensed", Arial, sans-serif'; };
    g.textBaseline = 'alphabetic';
    font(14, true); g.fillStyle = '#16191f'; g.textAlign = 'left';
    g.fillText(meta.methods[m] + ' · ' + meta.targets[t].title, left, 16);
    canvas.setAttribute('aria-label', `${averaged ? 'Lead V5 with the averaged heatmap' : '12-lead ECG with the heatmap'} of ${meta.methods[m]} for ${meta.targets[t].title}, ECG ${meta.ecgs[e].id}. Arrow keys move the reading point.`);
    const ecg = ecgOf(e);
    const all = ecgDraw.lanes(ecg, L, averaged ? [meta.v5] : [...LEADS.keys()], left, head, width - left - right, total);
    layouts[side] = { all, e, t, m, averaged, head, total };
    if (!has(t, m)) {
      font(13, false); g.fillText('There is no heatmap of this method for this target.', left, head + 20);
      return;
    }
    const map = mapOf(e, t, m, averaged);
    const signed = meta.signed[t][m] && !averaged;
    const colours = meta.colours[palette][signed ? 'signed' : 'absolute'], colour = ecgDraw.colours(colours, signed);
    all.forEach(lane => ecgDraw.bands(g, lane, map, averaged ? 0 : lane.lead * P, P, colour, ratio));
    all.forEach(lane => {
      ecgDraw.trace(g, lane, ecg, L, 1.1);
      font(12, true); g.fillStyle = '#16191f'; g.textAlign = 'right';
      g.fillText(LEADS[lane.lead], lane.x - 6, ecgDraw.nameAt(lane, 12));
    });
    marks(g, font, e, all, head, total);
    axis(g, font, all[0], head + total + 4);
    bar(g, font, all[0], head + total + 26, colours, signed, (averaged ? meta.scalesAveraged : meta.scales)[t][m][e], meta.units[t][m]);
    if (cursor) point(side, g, font);
  }

  function marks(g, font, e, all, head, total) {
    const free = [-1e9, -1e9, -1e9];
    font(10, false); g.textAlign = 'center';
    for (const [name, at] of meta.ecgs[e].fiducials) {
      const x = all[0].x + all[0].width * (at + 0.5) / L, half = g.measureText(name).width / 2 + 2;
      g.strokeStyle = g.fillStyle = '#8a5a00'; g.lineWidth = 0.8; g.setLineDash([2, 3]);
      g.beginPath(); g.moveTo(x, head); g.lineTo(x, head + total); g.stroke(); g.setLineDash([]);
      const row = Math.max(0, free.findIndex(edge => x - half >= edge));
      g.fillText(name, x, head - 4 - 10 * row);
      free[row] = x + half;
    }
    const per = all[0].per, limit = 45 / per;
    const power = 10 ** Math.floor(Math.log10(limit)), uv = [5, 2, 1].map(k => k * power).find(v => v <= limit);
    const x = all[0].x + all[0].width + 6, y = head + 4;
    g.strokeStyle = '#16191f'; g.lineWidth = 1;
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

  function bar(g, font, lane, y, colours, signed, scale, unit) {
    const width = Math.min(260, lane.width), x = lane.x + (lane.width - width) / 2, step = width / colours.length;
    g.globalAlpha = 0.7;
    colours.forEach((c, i) => { g.fillStyle = c; g.fillRect(x + i * step, y, step, 9); });
    g.globalAlpha = 1;
    g.strokeStyle = '#d5d9e0'; g.strokeRect(x, y, width, 9);
    font(10, false); g.fillStyle = '#4c5361';
    const limit = short(scale);
    g.textAlign = 'left'; g.fillText(signed ? `≤ −${limit} lowers` : '0 no weight', x, y + 21);
    g.textAlign = 'right'; g.fillText(signed ? `raises ≥ ${limit}` : `much weight ≥ ${limit}`, x + width, y + 21);
    g.textAlign = 'center'; g.fillText(signed ? '0' : '', x + width / 2, y + 21);
    g.fillText((signed ? 'attribution, ' : '|attribution|, ') + unit, x + width / 2, y + 33);
  }

  function point(side, g) {
    const { all } = layouts[side];
    const lane = all.find(l => l.lead === cursor.lead) || all[0], x = lane.x + lane.width * (cursor.i + 0.5) / L;
    g.strokeStyle = '#a11d33'; g.lineWidth = 1;
    g.beginPath(); g.moveTo(x, all[0].y); g.lineTo(x, all[all.length - 1].y + all[all.length - 1].height); g.stroke();
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
      const value = q / 127 * (averaged ? meta.scalesAveraged : meta.scales)[t][m][e];
      const edge = Math.abs(q) === 127 ? (q > 0 ? '≥ ' : '≤ ') : '';
      parts.push(`${meta.methods[m]} ${edge}${short(value)} (${Math.round(q / 1.27)} % of full colour)`.replace('(-', '(−'));
    });
    out.textContent = parts.join(' · ');
  }

  function facts() {
    const { e, t } = state(), ecg = meta.ecgs[e], target = meta.targets[t];
    const value = ecg.values[t], predicted = target.predicted[e];
    const number = v => v === null || v === undefined ? 'not measured' : `${v.toFixed(1)} ${target.unit}`;
    byId('facts').textContent = `ECG ${ecg.id}: measured ${target.title} ${number(value)}` + (predicted === undefined ? '.' : `, predicted ${number(predicted)}.`);
  }

  function all() {
    document.querySelector('.sides').classList.toggle('single', +pick.right.value < 0);
    draw(0); draw(1); facts(); read();
    history.replaceState(null, '', '#explorer=' + Object.values(pick).map(s => s.value).join(','));
  }

  function from(event, side) {
    const layout = layouts[side];
    if (!layout) return;
    const box = canvases[side].getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top, lane0 = layout.all[0];
    const lane = layout.all.find(l => y < l.y + l.height) || layout.all[layout.all.length - 1];
    const i = Math.min(L - 1, Math.max(0, Math.floor((x - lane0.x) / lane0.width * L)));
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
  const step = by => () => { pick.ecg.value = (+pick.ecg.value + by + meta.ecgs.length) % meta.ecgs.length; all(); };
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
