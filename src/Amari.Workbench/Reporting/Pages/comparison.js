// One section a workload. Its data: the quantities, the judged one first; the curves, with points by quantity and axis; and the monitor.
// What the reader chose is kept by section, so that it stays when a live view brings new data.
const range = scale => scale.log ? [Math.log10(scale.low), Math.log10(scale.high)] : [scale.low, scale.high],
  zeroed = (scale, v) => scale.zero === null ? v : Math.max(v, scale.zero),
  within = (scale, v) => Math.min(Math.max(zeroed(scale, v), scale.low), scale.high),
  time = more => 'training time (s)' + (narrow.matches ? '' : ', without ' + more),
  along = (by, more) => ({ title: { text: by === 'steps' ? 'optimizer steps' : time(more) },
    rangemode: 'tozero', gridcolor: grid, zerolinecolor: grid }),
  few = (marks, most) => {                               // of the labelled ticks, every second or third if there are many
    const labelled = marks.filter(m => m.label !== null), stride = Math.ceil(labelled.length / most);
    return labelled.filter((m, i) => i % stride === 0);
  },
  upright = (q, most) => ({ title: { text: q.scale.title }, type: q.scale.log ? 'log' : 'linear', range: range(q.scale), gridcolor: grid,
    zeroline: false, ...q.scale.log ? ticks(few(q.scale.marks, most)) : { nticks: most } });
function lines(section, i, by, main) {                   // the curves of quantity i, in the main panel or the one of the rate below it
  const q = section.quantities[i];
  return section.curves.flatMap(c => {
    const { x, y } = c.points[i][by], common = { legendgroup: c.name, name: c.legend, yaxis: main ? 'y' : 'y2' };
    const line = { ...common, x, y: y.map(v => zeroed(q.scale, v)), customdata: y, showlegend: main && c.bold, mode: 'lines',
      opacity: c.bold ? 1 : .5, line: { color: tone(c.color), width: c.bold ? (main ? 3 : 2) : 1.2 },
      hovertemplate: c.name + ', ' + c.label + '<br>%{x:.4g} ' + by + '<br>' + q.name + ' %{customdata:.4g}<extra></extra>' };
    const cross = { ...common, x: x.slice(-1), y: y.slice(-1).map(v => within(q.scale, v)), customdata: y.slice(-1), showlegend: false,
      mode: 'markers', marker: { symbol: 'x', size: 12, color: tone(c.color) }, cliponaxis: false,
      hovertemplate: c.legend + ', ' + c.label + '<br>%{x:.4g} ' + by + '<br>' + q.name + ' %{customdata:.4g}<extra></extra>' };
    return c.trouble && main ? [line, cross] : [line];
  });
}
const views = [];                                        // by section: the axis and the quantity
function curves(section, n) {
  if (!section.curves.length) return;
  const view = views[n] ??= { by: 'seconds', name: null }, by = view.by,
    shown = Math.max(0, section.quantities.findIndex(q => q.name === view.name)), q = section.quantities[shown],
    rate = section.quantities.findIndex(r => r.isRate), both = rate >= 0 && shown !== rate;
  const target = q.target === null ? {} : {
    shapes: [{ type: 'line', xref: 'paper', x0: 0, x1: 1, y0: zeroed(q.scale, q.target), y1: zeroed(q.scale, q.target),
      line: { dash: 'dash', color: ink(), width: 1.5 }, opacity: .6 }],
    annotations: [{ xref: 'paper', x: 0, xanchor: 'left', y: q.scale.log ? Math.log10(zeroed(q.scale, q.target)) : q.target,
      yanchor: 'bottom', text: 'target ' + Number(q.target.toPrecision(3)), showarrow: false, borderpad: 0,
      bgcolor: isDark() ? 'rgba(18,18,18,.7)' : 'rgba(255,255,255,.7)' }] };
  figure('plot' + n, [...lines(section, shown, by, true), ...both ? lines(section, rate, by, false) : []], {
    uirevision: by + q.name,
    xaxis: { ...along(by, 'evaluation'), anchor: both ? 'y2' : 'y' },
    yaxis: { ...upright(q, 9), domain: [both ? .32 : 0, 1] },
    ...both ? { yaxis2: { ...upright(section.quantities[rate], 4), title: { text: narrow.matches ? 'rate' : 'learning rate' },
      domain: [0, .2] } } : {},
    margin: narrow.matches ? { t: 40, r: 10, l: 65 } : { t: 40, r: 20 }, ...target });
  section.panels.forEach((p, i) => figure('monitor' + n + '-' + i, p.traces.map(t => ({ x: t[by], y: t.values, name: t.name,
    showlegend: t.name !== '', mode: t.dashed ? 'lines' : 'lines+markers', marker: { size: 6 },
    line: { color: tone(t.color), width: 2, dash: t.dashed ? 'dash' : 'solid' },
    hovertemplate: (t.name || p.title) + '<br>%{x:.4g} ' + by + '<br>%{y:.4g}<extra></extra>' })),
    { uirevision: by, xaxis: along(by, 'the monitor'),
      yaxis: { title: { text: p.axis }, type: 'log', range: [Math.log10(p.low), Math.log10(p.high)], ...ticks(p.marks), gridcolor: grid,
        zeroline: false } }));
  for (const b of document.querySelectorAll('#curves' + n + ' button[data-axis], #curves' + n + ' button[data-quantity]')) {
    b.setAttribute('aria-pressed', b.dataset.axis ? b.dataset.axis === by : b.dataset.quantity === String(shown));
    b.onclick = () => {
      if (b.dataset.axis) view.by = b.dataset.axis; else view.name = sections[n].quantities[b.dataset.quantity].name;
      curves(sections[n], n);
    };
  }
}
const fields = [];                                       // by section: the solution that is drawn
// The solution of an equation, and a network with its error at an evaluation that the slider chooses.
function solution(section, n) {
  const f = section.solution;
  if (!f || fields[n]?.runs === f.runs.length) return;
  fields[n]?.stop();
  const place = document.getElementById('solution' + n), plot = 'field' + n, play = place.querySelector('[data-play]'),
    slider = place.querySelector('input'), label = place.querySelector('.frames output'), runs = [...place.querySelectorAll('[data-run]')],
    square = values => f.y.map((_, j) => f.x.map((_, i) => values[i * f.y.length + j])),
    logs = values => values.map(v => v === null ? null : Math.log10(Math.max(Math.abs(v), 1e-16))),
    most = frame => Math.max(...logs(frame.error)), all = f.runs.flatMap(r => r.frames.map(most)),
    high = Math.ceil(Math.max(...all)), low = Math.floor(Math.min(...all)) - 1,
    marks = [...Array(high - low + 1).keys()].map(i => low + i).filter((_, i) => i % Math.ceil((high - low) / 8) === 0),
    extent = [Math.min(...f.exact), Math.max(...f.exact)];
  let run = 0, timer = null;
  const frames = () => f.runs[run].frames, frame = () => frames()[slider.value],
    maps = () => [square(f.exact.map((u, i) => frame().error[i] === null ? null : u + frame().error[i])), square(logs(frame().error))];
  function say() {
    const at = frame();
    label.textContent = 'step ' + at.step + ', ' + at.seconds.toPrecision(3) + ' s, largest error ' + (10 ** most(at)).toExponential(1);
  }
  function draw() {
    const [network, error] = maps(), down = narrow.matches,
      part = i => down ? [[0, .82], [1 - (i + 1) / 3 + .09, 1 - i / 3 - .03]] : [[i * .345, i * .345 + .23], [0, 1]],
      bar = (i, more) => ({ x: part(i)[0][1] + .005, y: (part(i)[1][0] + part(i)[1][1]) / 2, len: part(i)[1][1] - part(i)[1][0],
        thickness: 12, xpad: 4, outlinewidth: 0, ...more }),
      map = (i, z, more, ticks) => ({ type: 'heatmap', x: f.x, y: f.y, z, xaxis: 'x' + (i ? i + 1 : ''), yaxis: 'y' + (i ? i + 1 : ''),
        colorbar: bar(i, ticks), ...more }),
      axes = Object.assign({}, ...[0, 1, 2].map(i => ({
        ['xaxis' + (i ? i + 1 : '')]: { domain: part(i)[0], anchor: 'y' + (i ? i + 1 : ''), title: { text: f.axes[0] }, gridcolor: grid },
        ['yaxis' + (i ? i + 1 : '')]: { domain: part(i)[1], anchor: 'x' + (i ? i + 1 : ''),
          title: { text: i && !down ? '' : f.axes[1] }, gridcolor: grid } }))),
      titles = ['solution', 'network', 'error |network - solution|'].map((text, i) => ({ text, showarrow: false, xref: 'paper',
        yref: 'paper', x: (part(i)[0][0] + part(i)[0][1]) / 2, y: part(i)[1][1], xanchor: 'center', yanchor: 'bottom' })),
      values = { zmin: extent[0], zmax: extent[1], colorscale: 'Viridis',
        hovertemplate: '(%{x:.3g}, %{y:.3g})<br>%{z:.5g}<extra></extra>' };
    figure(plot, [map(0, square(f.exact), values), map(1, network, values), map(2, error, { zmin: low, zmax: high,
      colorscale: 'Cividis', hovertemplate: '(%{x:.3g}, %{y:.3g})<br>10^%{z:.2f}<extra></extra>' },
    { tickvals: marks, ticktext: marks.map(t => '10<sup>' + t + '</sup>') })],
    { ...axes, annotations: titles, margin: { t: 60, r: 40, l: 50, b: 50 } });
    say();
  }
  function stop() { clearInterval(timer); timer = null; play.innerHTML = '&#9654; play'; }
  function choose(i) {
    run = i;
    slider.max = frames().length - 1;
    slider.value = slider.max;
    runs.forEach((b, k) => b.setAttribute('aria-pressed', k === i));
  }
  runs.forEach((b, i) => b.onclick = () => { stop(); choose(i); draw(); });
  slider.oninput = () => { stop(); draw(); };
  play.onclick = () => {
    if (timer !== null) return stop();
    if (slider.value === slider.max) slider.value = 0;
    play.innerHTML = '&#10074;&#10074; pause';
    draw();
    timer = setInterval(() => { if (slider.value === slider.max) stop(); else { slider.value++; draw(); } }, 350);
  };
  const ends = f.runs.map(r => most(r.frames.at(-1)));
  choose(ends.indexOf(Math.min(...ends)));
  fields[n] = { runs: f.runs.length, draw, stop };
  draw();
}
function show() {                                        // all figures of the data
  sections.forEach(curves);
  sections.forEach(solution);
}
onTheme(() => { sections.forEach(curves); for (const field of fields) field?.draw(); });
show();
