const height = v => v === null ? null : d.log ? Math.log10(v) : v, z = d.loss.map(r => r.map(height));
let type = 'heatmap';
function draw() {
  const accent = type === 'heatmap' ? '#fff' : '#D55E00';
  const marks = d.log ? d.marks.filter(m => m.label !== null) : null, name = d.log ? 'loss (log scale)' : 'loss',
    losses = marks ? { tickvals: marks.map(m => m.at), ticktext: marks.map(m => m.label) } : {};
  const traces = [{ x: d.a, y: d.b, z, text: d.loss, type, colorscale: 'Viridis', ncontours: 24,
    contours: type === 'contour' ? { coloring: 'lines' } : undefined, line: { width: 2 },
    showscale: type !== 'surface' || innerWidth >= 700, colorbar: { title: { text: name, side: 'right' }, ...losses },
      hovertemplate: '(%{x:.3g}, %{y:.3g})<br>loss %{text:.4g}<extra></extra>' }];
  const p = { x: d.path.map(q => q.A), y: d.path.map(q => q.B),
    text: d.path.map(q => 'step ' + q.Step + ', loss ' + q.Loss.toPrecision(4)), name: 'training path', mode: 'lines+markers',
    line: { color: accent, width: 2.5 }, marker: { size: 5, color: accent }, hovertemplate: '%{text}<extra></extra>' };
  if (d.path.length) traces.push(type === 'surface' ? Object.assign(p, { type: 'scatter3d', z: d.path.map(q => height(q.Loss)),
    marker: { size: 3, color: accent } }) : p);
  if (type !== 'surface') traces.push({ x: [0], y: [0], name: 'weights', mode: 'markers', marker: { symbol: 'diamond', size: 13,
    color: accent }, hovertemplate: 'weights<extra></extra>' });
  const phone = innerWidth < 700, far = phone ? 1.5 : 1.1, small = phone ? { titlefont: { size: 10 }, tickfont: { size: 9 } } : {};
  const axis = (i, more) => Object.assign({ title: d.axes[i], gridcolor: grid, zerolinecolor: grid }, more);
  const edge = i => axis(i, { nticks: 5, ...small });
  Plotly.react('plot', traces, layout({ showlegend: false,
    margin: type === 'surface' ? { t: 40, r: 0, l: 0, b: 10 } : { t: 40, r: 20 }, modebar: tools('h'), xaxis: axis(0,
    { range: [d.a[0], d.a[d.a.length - 1]] }), yaxis: axis(1, { range: [d.b[0], d.b[d.b.length - 1]] }),
    scene: { xaxis: edge(0), yaxis: edge(1), zaxis: { title: name, gridcolor: grid, ...losses, ...small }, camera: { eye: { x: 1.45 * far,
      y: 1.45 * far, z: 1.2 * far }, center: { x: 0, y: 0, z: -.2 } } } }), { responsive: true, displaylogo: false });
  for (const id of ['heatmap', 'contour', 'surface']) document.getElementById(id).setAttribute('aria-pressed', id === type);
}
for (const id of ['heatmap', 'contour',
  'surface']) document.getElementById(id).onclick = () => { Plotly.purge('plot'); type = id; draw(); };
dark.addEventListener('change', draw);
draw();
