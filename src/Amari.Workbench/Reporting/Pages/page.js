// What the figures of all pages share: colours that follow the theme, the parts of a layout, names that hide curves, and the keyboard.
const dark = matchMedia('(prefers-color-scheme: dark)'), narrow = matchMedia('(max-width: 700px)'), paper = matchMedia('print'),
  isDark = () => dark.matches && !paper.matches, grid = 'rgba(128,128,128,.25)',
  ink = () => getComputedStyle(document.body).color,
  settings = { responsive: true, displaylogo: false, showSendToCloud: false, modeBarButtonsToRemove: ['select2d', 'lasso2d'] };
const luminance = rgb => rgb.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const tone = color => {                                  // the colour with the contrast of 3 to the page that graphics need
  const page = isDark() ? luminance([18, 18, 18]) : 1;
  let rgb = [1, 3, 5].map(i => parseInt(color.slice(i, i + 2), 16));
  const ratio = l => (Math.max(l, page) + .05) / (Math.min(l, page) + .05);
  while (ratio(luminance(rgb)) < 3.1) rgb = rgb.map(v => isDark() ? v + .08 * (255 - v) : v * .95);
  return 'rgb(' + rgb.map(Math.round) + ')';
};
const ticks = marks => ({ tickvals: marks.filter(m => m.label !== null).map(m => 10 ** m.at),
  ticktext: marks.filter(m => m.label !== null).map(m => m.label) });
const tools = orientation => ({ orientation, bgcolor: 'rgba(0,0,0,0)', color: 'rgba(128,128,128,.9)', activecolor: ink() });
const layout = more => Object.assign({ margin: { t: 40, r: 20 }, font: { family: getComputedStyle(document.body).fontFamily, size: 14,
  color: ink() }, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
  hovermode: 'closest', modebar: tools('h'), showlegend: false }, more);
const groupOf = trace => trace.legendgroup ?? trace.name;
const figures = {};                                      // by id: what the reader chose, which stays when the figure is drawn again
function figure(id, traces, more, library = Plotly) {
  const plot = document.getElementById(id), revision = more.uirevision ?? id,
    view = figures[id] ??= { hidden: new Set(), pan: null, at: null };
  view.draw = () => figure(id, traces, more, library);
  view.library = library;
  const whole = layout({ uirevision: revision, ...more });
  if (view.pan?.revision === revision)
    for (const [axis, range] of Object.entries(view.pan.ranges)) whole[axis] = { ...whole[axis], range: [...range], autorange: false };
  library.react(plot, traces.map(t => view.hidden.has(groupOf(t)) ? { ...t, visible: false } : t), whole, settings);
  names(plot, view, traces);
  plot.onkeydown = e => {
    if (e.target !== plot || e.ctrlKey || e.metaKey || e.altKey) return;
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[e.key] ?? [];
    if (e.key === 'Escape') library.Fx.unhover(plot);
    if (dx === undefined) return;
    e.preventDefault();
    if (plot._fullLayout.scene) turn(plot, view, dx, dy);
    else if (e.shiftKey) pan(plot, view, revision, dx, dy);
    else read(plot, view, dx, dy);
  };
}
function names(plot, view, traces) {                     // the names of the curves, as buttons that hide and show them
  const legend = plot.parentElement.querySelector('.legend'), focused = [...legend.children].indexOf(document.activeElement),
    groups = new Map(traces.filter(t => t.name && t.showlegend !== false).map(t => [groupOf(t), t]));
  legend.replaceChildren(...(groups.size < 2 ? [] : [...groups]).map(([group, trace]) => {
    const button = document.createElement('button'), mark = document.createElement('span');
    mark.className = trace.mode === 'markers' ? 'dot' : 'line';
    mark.style.color = trace.line?.color ?? trace.marker?.color;
    if (trace.line?.dash === 'dash') mark.style.borderTopStyle = 'dashed';
    button.append(mark, trace.name);
    button.title = 'hide or show; with Shift: show only this';
    button.dataset.group = group;
    button.setAttribute('aria-pressed', !view.hidden.has(group));
    button.onclick = e => {
      const others = [...groups.keys()].filter(g => g !== group), alone = !view.hidden.has(group) && others.every(g => view.hidden.has(g));
      if (e.shiftKey) view.hidden = new Set(alone ? [] : others);
      else if (!view.hidden.delete(group)) view.hidden.add(group);
      view.draw();
    };
    return button;
  }));
  legend.children[focused]?.focus();
}
function read(plot, view, dx, dy) {                      // goes to the next point, or to another curve, and says what is there
  const drawn = plot.data.map((t, i) => i).filter(i => { const t = plot.data[i];
    return t.visible !== false && t.hoverinfo !== 'skip' && t.x?.length; });
  if (!drawn.length) return;
  const last = i => plot.data[i].x.length - 1, isMap = i => Array.isArray(plot.data[i].z);
  let { curve, x, y } = view.at !== null && drawn.includes(view.at.curve) ? view.at : { curve: drawn[0], x: -1, y: 0 };
  if (isMap(curve)) y = Math.min(Math.max(y + dy, 0), plot.data[curve].z.length - 1);
  else curve = drawn[(drawn.indexOf(curve) + dy + drawn.length) % drawn.length];
  view.at = { curve, x: x = Math.min(Math.max(x + dx, 0), last(curve)), y };
  const trace = plot.data[curve];
  view.library.Fx.hover(plot, isMap(curve) ? { xval: trace.x[x], yval: trace.y[y] } : [{ curveNumber: curve, pointNumber: x }],
    (trace.xaxis ?? 'x') + (trace.yaxis ?? 'y'));
  setTimeout(() => {
    plot.parentElement.querySelector('output').textContent =
      [...plot.querySelectorAll('.hovertext text')].flatMap(t => t.children.length ? [...t.children] : [t]).map(t => t.textContent)
        .filter(t => t).join(', ');
  }, 100);
}
function pan(plot, view, revision, dx, dy) {
  const ranges = {};
  for (const [name, axis] of Object.entries(plot._fullLayout).filter(([n]) => /^[xy]axis\d*$/.test(n))) {
    const shift = (name[0] === 'x' ? dx : dy) * .1 * (axis.range[1] - axis.range[0]);
    ranges[name] = axis.range.map(v => v + shift);
  }
  view.pan = { revision, ranges };
  view.draw();
}
function turn(plot, view, dx, dy) {                      // the camera around the vertical axis, and up and down
  const { x, y, z } = plot._fullLayout.scene.camera.eye, angle = dx * .15, around = Math.hypot(x, y);
  view.library.relayout(plot, { 'scene.camera.eye': { x: x * Math.cos(angle) - y * Math.sin(angle),
    y: x * Math.sin(angle) + y * Math.cos(angle), z: Math.min(Math.max(z + dy * .15 * around, -2.5), 2.5) } });
}
const paint = () => { for (const dot of document.querySelectorAll('[data-color]')) dot.style.color = tone(dot.dataset.color); };
const onTheme = draw => { for (const query of [dark, narrow, paper]) query.addEventListener('change', draw); };
onTheme(paint);
paint();
