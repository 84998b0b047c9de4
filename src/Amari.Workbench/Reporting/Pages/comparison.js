const foot = loss => scale.zero === null ? loss : Math.max(loss, scale.zero), axis = v => scale.log ? Math.log10(v) : v;
let by = 'seconds';
function draw() {
  for (const dot of document.getElementsByClassName('dot')) dot.style.background = tone(dot.dataset.color);
  const traces = curves.map(c => ({ x: c[by].x, y: c[by].y.map(foot), customdata: c[by].y, name: c.legend, legendgroup: c.name,
    showlegend: c.bold, mode: 'lines', opacity: c.bold ? 1 : .4,
    line: { color: tone(c.color), width: c.bold ? 3 : 1.2 },
      hovertemplate: c.name + ', ' + c.label + '<br>%{x:.4g} ' + by + '<br>loss %{customdata:.4g}<extra></extra>' }));
  Plotly.react('plot', traces, layout({
    xaxis: { title: by === 'seconds' ? 'training time (s), without evaluation' : 'optimizer steps', rangemode: 'tozero',
      gridcolor: grid, zerolinecolor: grid },
    yaxis: { title: scale.title, type: scale.log ? 'log' : 'linear', range: [axis(scale.low), axis(scale.high)],
      ...scale.log ? ticks(scale.marks) : {}, gridcolor: grid, zeroline: false },
    shapes: [{ type: 'line', xref: 'paper', x0: 0, x1: 1, y0: foot(target), y1: foot(target), line: { dash: 'dash', color: ink(),
      width: 1.5 }, opacity: .6 }],
    annotations: [{ xref: 'paper', x: 1, xanchor: 'right', y: axis(foot(target)), yanchor: 'bottom', text: 'target ' + target,
      showarrow: false, opacity: .8 }] }),
    { responsive: true, displaylogo: false });
  panels.forEach((p, i) => Plotly.react('monitor' + i, p.traces.map(t => ({ x: t[by], y: t.values, name: t.name,
    showlegend: t.name !== '', mode: t.dashed ? 'lines' : 'lines+markers', marker: { size: 6 },
      line: { color: tone(t.color), width: 2, dash: t.dashed ? 'dash' : 'solid' },
        hovertemplate: (t.name || p.title) + '<br>%{x:.4g} ' + by + '<br>%{y:.4g}<extra></extra>' })),
    layout({ showlegend: true,
      xaxis: { title: by === 'seconds' ? 'training time (s), without the monitor' : 'optimizer steps', rangemode: 'tozero',
        gridcolor: grid, zerolinecolor: grid },
      yaxis: { title: p.axis, type: 'log', range: [Math.log10(p.low), Math.log10(p.high)], ...ticks(p.marks), gridcolor: grid,
        zeroline: false } }),
    { responsive: true, displaylogo: false }));
  for (const id of ['seconds', 'steps']) document.getElementById(id).setAttribute('aria-pressed', id === by);
}
for (const id of ['seconds', 'steps']) document.getElementById(id).onclick = () => { by = id; draw(); };
dark.addEventListener('change', draw);
draw();
