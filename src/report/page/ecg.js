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

  // Runs of one colour as one rectangle, edges on whole device pixels.
  function bands(g, lane, map, from, points, colour, ratio) {
    const step = lane.width / points, snap = x => Math.round(x * ratio) / ratio;
    g.globalAlpha = 0.7;
    for (let i = 0; i < points;) {
      const c = colour(map[from + i]);
      let j = i + 1;
      while (j < points && colour(map[from + j]) === c) j++;
      g.fillStyle = c;
      g.fillRect(snap(lane.x + i * step), lane.y, snap(lane.x + j * step) - snap(lane.x + i * step), lane.height);
      i = j;
    }
    g.globalAlpha = 1;
    g.strokeStyle = '#d5d9e0'; g.lineWidth = 0.5; g.strokeRect(lane.x, lane.y, lane.width, lane.height);
  }

  function trace(g, lane, ecg, L, weight) {
    g.beginPath();
    for (let i = 0; i < L; i++) g.lineTo(lane.x + lane.width * (i + 0.5) / L, lane.zero - ecg[lane.lead * L + i] * lane.per);
    g.strokeStyle = '#111'; g.lineWidth = weight; g.lineJoin = 'round'; g.stroke();
  }

  // The colour of a byte, −127 to 127, on a signed or an absolute scale of colours.
  const colours = (scale, signed) => {
    const middle = (scale.length - 1) / 2;
    return v => scale[signed ? Math.round(v / 127 * middle) + middle : Math.round(Math.abs(v) / 127 * (scale.length - 1))];
  };
  const bytes = base64 => Uint8Array.from(atob(base64), c => c.charCodeAt(0));
  return { lanes, nameAt, bands, trace, colours, bytes };
})();
