const height = v => v === null ? null : d.log ? Math.log10(v) : v, z = d.loss.map(r => r.map(height));
let type = 'heatmap';
function draw() {
  const accent = type === 'heatmap' ? '#fff' : tone('#D55E00'), surface = type === 'surface';
  const all = z.flat().filter(v => v !== null), low = Math.floor(Math.min(...all)), high = Math.ceil(Math.max(...all));
  const ticks = d.log ? [...Array(high - low + 1).keys()].map(i => low + i) : undefined;
  const traces = [{ x: d.a, y: d.b, z, text: d.loss, type, colorscale: 'Viridis', ncontours: 24,
    contours: type === 'contour' ? { coloring: 'lines' } : undefined, line: { width: 2 },
    colorbar: { title: { text: 'loss' }, tickvals: ticks, ticktext: ticks && ticks.map(t => '10<sup>' + t + '</sup>') },
    hovertemplate: '(%{x:.3g}, %{y:.3g})<br>loss %{text:.4g}<extra></extra>' }];
  const p = { x: d.path.map(q => q.A), y: d.path.map(q => q.B),
    text: d.path.map(q => 'step ' + q.Step + ', loss ' + q.Loss.toPrecision(4)), mode: 'lines+markers',
    line: { color: accent, width: 2.5 }, marker: { size: 5, color: accent }, hovertemplate: '%{text}<extra></extra>' };
  if (d.path.length) traces.push(surface ? Object.assign(p, { type: 'scatter3d', z: d.path.map(q => height(q.Loss)),
    marker: { size: 3, color: accent } }) : p);
  if (!surface) traces.push({ x: [0], y: [0], mode: 'markers', marker: { symbol: 'diamond', size: 13, color: accent },
    hovertemplate: 'weights<extra></extra>' });
  const axis = (i, more) => Object.assign({ title: { text: d.axes[i] }, gridcolor: grid, zerolinecolor: grid }, more);
  figure('plot', traces, { uirevision: type, xaxis: axis(0, { range: [d.a[0], d.a[d.a.length - 1]] }),
    yaxis: axis(1, { range: [d.b[0], d.b[d.b.length - 1]] }),
    ...surface ? { scene: { xaxis: axis(0), yaxis: axis(1), zaxis: { title: { text: d.log ? 'log10 loss' : 'loss' }, gridcolor: grid },
      camera: { eye: { x: 1.45, y: 1.45, z: 1.2 }, center: { x: 0, y: 0, z: -.2 } } } } : {} }, surface ? Spatial : Plotly);
  for (const id of ['heatmap', 'contour', 'surface']) document.getElementById(id).setAttribute('aria-pressed', id === type);
}
for (const id of ['heatmap', 'contour', 'surface'])
  document.getElementById(id).onclick = () => { (type === 'surface' ? Spatial : Plotly).purge('plot'); type = id; draw(); };
onTheme(draw);
draw();
