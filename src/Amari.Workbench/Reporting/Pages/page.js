// What the figures of all pages share: colours that follow the theme, and the parts of a layout.
const dark = matchMedia('(prefers-color-scheme: dark)'), grid = 'rgba(128,128,128,.25)',
  ink = () => getComputedStyle(document.body).color;
const tone = color => {                                  // a dark colour is lifted from a dark page
  const rgb = [1, 3, 5].map(i => parseInt(color.slice(i, i + 2), 16)), most = Math.max(...rgb);
  if (!dark.matches || .21 * rgb[0] + .72 * rgb[1] + .07 * rgb[2] > 80) return color;
  return most === 0 ? ink() : 'rgb(' + rgb.map(v => Math.round(v * 230 / most)) + ')';
};
const ticks = marks => ({ tickvals: marks.filter(m => m.label !== null).map(m => 10 ** m.at),
  ticktext: marks.filter(m => m.label !== null).map(m => m.label) });
const tools = orientation => ({ orientation, bgcolor: 'rgba(0,0,0,0)', color: 'rgba(128,128,128,.6)', activecolor: ink() });
const layout = more => Object.assign({ margin: { t: 20, r: 50 }, font: { family: getComputedStyle(document.body).fontFamily, size: 14,
  color: ink() }, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
  hovermode: 'closest', modebar: tools('v'), legend: { orientation: 'h', y: 1.02, yanchor: 'bottom' } }, more);
