const height = v => v === null ? null : d.log ? Math.log10(v) : v, z = d.loss.map(r => r.map(height));
let type = 'heatmap';
function draw() {
  const accent = type === 'heatmap' ? '#fff' : tone('#D55E00'), surface = type === 'surface';
  const marks = d.log ? d.marks.filter(m => m.label !== null) : null, name = d.log ? 'loss (log scale)' : 'loss',
    losses = marks ? { tickvals: marks.map(m => m.at), ticktext: marks.map(m => m.label) } : {};
  const traces = [{ x: d.a, y: d.b, z, text: d.loss, type, colorscale: 'Viridis', ncontours: 24,
    contours: type === 'contour' ? { coloring: 'lines' } : undefined, line: { width: 2 },
    showscale: !surface || innerWidth >= 700, colorbar: { title: { text: name, side: 'right' }, ...losses },
    hovertemplate: '(%{x:.3g}, %{y:.3g})<br>loss %{text:.4g}<extra></extra>' }];
  const p = { x: d.path.map(q => q.A), y: d.path.map(q => q.B),
    text: d.path.map(q => 'step ' + q.Step + ', loss ' + q.Loss.toPrecision(4)), mode: 'lines+markers',
    line: { color: accent, width: 2.5 }, marker: { size: 5, color: accent }, hovertemplate: '%{text}<extra></extra>' };
  if (d.path.length) traces.push(surface ? Object.assign(p, { type: 'scatter3d', z: d.path.map(q => height(q.Loss)),
    marker: { size: 3, color: accent } }) : p);
  if (!surface) traces.push({ x: [0], y: [0], mode: 'markers', marker: { symbol: 'diamond', size: 13, color: accent },
    hovertemplate: 'weights<extra></extra>' });
  const phone = innerWidth < 700, far = phone ? 1.5 : 1.1, small = phone ? { tickfont: { size: 9 } } : {};
  const axis = (title, more) => Object.assign({ title: { text: title }, gridcolor: grid, zerolinecolor: grid }, more);
  const edge = title => ({ ...axis(title, { nticks: 5 }), title: { text: title, font: { size: phone ? 10 : 14 } }, ...small });
  figure('plot', traces, { uirevision: type, xaxis: axis(d.axes[0], { range: [d.a[0], d.a[d.a.length - 1]] }),
    yaxis: axis(d.axes[1], { range: [d.b[0], d.b[d.b.length - 1]] }),
    ...surface ? { margin: { t: 40, r: 0, l: 0, b: 10 }, scene: { xaxis: edge(d.axes[0]), yaxis: edge(d.axes[1]),
      zaxis: { ...edge(name), ...losses }, camera: { eye: { x: 1.45 * far, y: 1.45 * far, z: 1.2 * far },
        center: { x: 0, y: 0, z: -.2 } } } } : {} }, surface ? Spatial : Plotly);
  for (const id of ['heatmap', 'contour', 'surface']) document.getElementById(id).setAttribute('aria-pressed', id === type);
}
for (const id of ['heatmap', 'contour', 'surface'])
  document.getElementById(id).onclick = () => { (type === 'surface' ? Spatial : Plotly).purge('plot'); type = id; draw(); };
onTheme(draw);
draw();
