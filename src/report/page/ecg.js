'use strict';
// What the report and the survey draw with: lanes of leads, colour bands, traces.
const ecgDraw = (() => {
  const range = (ecg, L, lead) => {
    let low = Infinity, high = -Infinity;
    for (let i = lead * L; i < (lead + 1) * L; i++) { low = Math.min(low, ecg[i]); high = Math.max(high, ecg[i]); }
    return [low, high];
  };

  // Lanes at one voltage scale, each as high as its lead needs, none too flat for its name.
  function lanes(ecg, L, leads, x, y, width, total) {
    const pad = Math.min(4, total / leads.length / 8), even = total / leads.length;
    const least = leads.length > 1 ? Math.min(0.8 * even, Math.max(0.4 * even, 10)) : 0;
    const ranges = leads.map(lead => range(ecg, L, lead));
    let flat = leads.map(() => false), per = 1;
    for (let round = 0; round < 12; round++) {
      const left = total - 2 * pad * leads.length - flat.filter(Boolean).length * least;
      const needed = ranges.reduce((sum, r, i) => sum + (flat[i] ? 0 : r[1] - r[0]), 0);
      per = left / Math.max(needed, 1e-9);
      const now = ranges.map(r => (r[1] - r[0]) * per < least);
      if (now.every((f, i) => f === flat[i])) break;
      flat = now;
    }
    let top = y;
    return leads.map((lead, i) => {
      const [low, high] = ranges[i], needed = (high - low) * per;
      const height = 2 * pad + (flat[i] ? least : needed);
      const lane = { lead, x, y: top, width, height, zero: top + (height - needed) / 2 + high * per, per };
      top += height;
      return lane;
    });
  }

  // The base line of a lead's name in letters of height `size`: beside 0 µV, but within the lane, so that names of neighbours stay apart.
  const nameAt = (lane, size) => Math.max(lane.y + 0.85 * size, Math.min(lane.zero + size / 3, lane.y + lane.height - 1));

  // Lanes as on ECG paper, 25 mm/s and 10 mm/mV: a beat whole in 3 × 4 cells, a recording in quarters with a strip of II below. `mm` is a millimetre.
  // A lane holds the part of its lead from `a` to `b`, as shares of the whole.
  const ROWS = [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]];
  function paper(ecg, L, rate, x, y, width) {
    const whole = L <= 2.5 * rate, gap = whole ? 5 : 0, long = L / rate * 25, mm = width / (whole ? 4 * long + 3 * gap : long);
    const rows = whole ? ROWS : [...ROWS, [1]], lanes = [];
    let top = y;
    rows.forEach(leads => {
      const parts = leads.map((lead, k) => whole || leads.length === 1 ? { lead, a: 0, b: 1, x: k * (long + gap), w: long } : { lead, a: k / 4, b: (k + 1) / 4, x: k * long / 4, w: long / 4 });
      let low = 0, high = 0;
      parts.forEach(p => { for (let i = Math.floor(p.a * L); i < p.b * L; i++) { low = Math.min(low, ecg[p.lead * L + i]); high = Math.max(high, ecg[p.lead * L + i]); } });
      const squares = (v, least) => Math.min(60, Math.max(least, 5 * Math.ceil(v / 5))), above = squares(high / 100 + 5, 10), below = squares(-low / 100 + 1, 5);
      parts.forEach(p => lanes.push({ lead: p.lead, a: p.a, b: p.b, x: x + p.x * mm, y: top, width: p.w * mm, height: (above + below) * mm, zero: top + above * mm, per: mm / 100, first: leads === rows[0] }));
      top += (above + below) * mm;
    });
    return { lanes, mm, bottom: top };
  }
  function grid(g, x, y, width, bottom, mm) {
    for (const [step, ink, weight] of [[1, '#f7d9d9', 0.5], [5, '#eda9a9', 0.8]]) {
      if (step * mm < 2) continue;
      g.strokeStyle = ink; g.lineWidth = weight; g.beginPath();
      for (let at = x; at <= x + width + 0.01; at += step * mm) { g.moveTo(at, y); g.lineTo(at, bottom); }
      for (let at = y; at <= bottom + 0.01; at += step * mm) { g.moveTo(x, at); g.lineTo(x + width, at); }
      g.stroke();
    }
  }
  const part = lane => lane.b === undefined ? [0, 1] : [lane.a, lane.b];
  // Where a share of the whole recording lies in a lane.
  const place = (lane, share) => { const [a, b] = part(lane); return lane.x + (share - a) / (b - a) * lane.width; };

  // Runs of one colour as one rectangle, edges on whole device pixels.
  function bands(g, lane, map, from, points, colour, ratio) {
    const [a, b] = part(lane), last = Math.ceil(b * points - 1e-9), right = lane.x + lane.width;
    const snap = i => Math.round(Math.min(right, Math.max(lane.x, place(lane, i / points))) * ratio) / ratio;
    g.globalAlpha = 0.7;
    for (let i = Math.floor(a * points + 1e-9); i < last;) {
      const c = colour(map[from + i]);
      let j = i + 1;
      while (j < last && colour(map[from + j]) === c) j++;
      g.fillStyle = c;
      g.fillRect(snap(i), lane.y, snap(j) - snap(i), lane.height);
      i = j;
    }
    g.globalAlpha = 1;
    g.strokeStyle = '#d5d9e0'; g.lineWidth = 0.5; g.strokeRect(lane.x, lane.y, lane.width, lane.height);
  }

  // Lines over negative values, by which signs are told apart without colour; what is below a quarter of full colour has none.
  function hatch(g, lane, map, from, points, factor) {
    const [a, b] = part(lane);
    g.strokeStyle = 'rgb(17 17 17 / 55%)'; g.lineWidth = 0.65; g.beginPath();
    for (let x = 4 * Math.ceil(lane.x / 4); x < lane.x + lane.width; x += 4) {
      const i = Math.floor((a + (x - lane.x) / lane.width * (b - a)) * points);
      if (map[from + i] * factor <= -127 / 4) { g.moveTo(x, lane.y); g.lineTo(x, lane.y + lane.height); }
    }
    g.stroke();
  }

  function trace(g, lane, ecg, L, weight) {
    const [a, b] = part(lane);
    g.beginPath();
    for (let i = Math.floor(a * L); i < b * L; i++) g.lineTo(place(lane, (i + 0.5) / L), lane.zero - ecg[lane.lead * L + i] * lane.per);
    g.strokeStyle = '#111'; g.lineWidth = weight; g.lineJoin = 'round'; g.stroke();
  }

  // The colour of a byte, −127 to 127, on a signed or an absolute scale of colours.
  const colours = (scale, signed) => {
    const middle = (scale.length - 1) / 2;
    return v => scale[signed ? Math.round(v / 127 * middle) + middle : Math.round(Math.abs(v) / 127 * (scale.length - 1))];
  };
  const bytes = base64 => Uint8Array.from(atob(base64), c => c.charCodeAt(0));
  return { lanes, paper, grid, place, nameAt, bands, hatch, trace, colours, bytes };
})();
