const accent = '#D55E00', blue = '#0072B2';
function draw() {
  const axes = (x, y, marks, more) => ({ xaxis: Object.assign({ title: { text: x }, gridcolor: grid, zerolinecolor: grid }, more),
    yaxis: { title: { text: y }, type: 'log', ...ticks(marks), gridcolor: grid, zeroline: false } });
  const marks = (from, to, name, color, y) => ({ x: d.values.slice(from, to), y: d.values.slice(from, to).map(() => y), name,
    mode: 'markers', marker: { symbol: 'line-ns-open', size: 14, color, line: { width: 2 } },
    hovertemplate: 'λ = %{x:.5g}<extra></extra>' });
  figure('density', [
    { x: d.x.concat(d.x.slice().reverse()), y: d.high.concat(d.low.slice().reverse()), fill: 'toself', fillcolor: 'rgba(0,114,178,.2)',
      line: { width: 0 }, hoverinfo: 'skip', showlegend: false },
    { x: d.x, y: d.y, name: 'density', mode: 'lines', line: { color: tone(blue), width: 2.5 },
      hovertemplate: 'λ = %{x:.4g}<br>density %{y:.4g}<extra></extra>' },
    marks(d.outliers, undefined, 'largest eigenvalues', tone('#808080'), d.floor * 1.5),
    marks(0, d.outliers, 'outliers', tone(accent), d.floor * 1.5)],
    axes('eigenvalue λ', 'density (log scale)', d.marks));
  const rank = d.values.map((_, i) => i + 1), points = (from, to, name, color) => ({ x: rank.slice(from, to), y: d.values.slice(from,
    to), name, mode: 'markers', marker: { size: 9, color: tone(color) }, hovertemplate: 'rank %{x}<br>λ = %{y:.5g}<extra></extra>' });
  figure('scree', [{ x: rank, y: d.tail, name: 'tail of the bulk, extrapolated', mode: 'lines', line: { dash: 'dash', color: ink(),
    width: 1.5 } }, points(d.outliers, undefined, 'bulk', blue), points(0, d.outliers, 'outliers', accent)],
    axes('rank (log scale)', 'eigenvalue λ (log scale)', d.eigenvalueMarks, { type: 'log', ...ticks(d.rankMarks) }));
}
onTheme(draw);
draw();
