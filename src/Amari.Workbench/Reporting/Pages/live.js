// Takes the newest state from the command that served this page, until it ends. The figures and what the reader chose stay.
const main = document.querySelector('main'), progress = document.getElementById('progress'), stopButton = document.getElementById('stop'),
  connection = document.getElementById('connection'), source = new EventSource('events');
let waiting = null;                                      // the newest page while nobody sees this one
function renew(old, fresh) {                             // makes the children of an element those of another one
  const place = old.childNodes, count = fresh.childNodes.length;
  [...fresh.childNodes].forEach((node, i) => {
    const now = place[i];
    if (!now) old.append(node);
    else if (now.nodeName !== node.nodeName || now.id !== node.id) now.replaceWith(node);
    else if (now.nodeType !== Node.ELEMENT_NODE) { if (now.data !== node.data) now.data = node.data; }
    else if (now.nodeName !== 'FIGURE') {
      for (const { name, value } of node.attributes)
        if (!(name === 'aria-pressed' || name === 'open') && now.getAttribute(name) !== value) now.setAttribute(name, value);
      renew(now, node);
    }
  });
  while (place.length > count) old.lastChild.remove();
}
function take(element, html) {
  const fresh = document.createElement(element.nodeName);
  fresh.innerHTML = html;
  renew(element, fresh);
}
function apply() {
  if (document.hidden || !waiting) return;
  take(main, waiting.content);
  sections.splice(0, sections.length, ...waiting.sections);
  waiting = null;
  paint();
  show();
}
source.addEventListener('progress', e => take(progress, JSON.parse(e.data).content));
source.addEventListener('page', e => { waiting = JSON.parse(e.data); apply(); });
source.addEventListener('end', () => {
  source.close();
  stopButton.remove();
  connection.textContent = 'This page stays as it is.';
});
source.onopen = () => { connection.textContent = ''; };
source.onerror = () => { connection.textContent = 'There is no connection to the command. This page keeps what it has.'; };
stopButton.onclick = async () => {
  stopButton.disabled = true;
  connection.textContent = 'The command stops after the current step.';
  const answer = await fetch('stop', { method: 'POST', headers: { 'X-Amari-Token': token } }).catch(() => null);
  if (answer?.ok) return;
  stopButton.disabled = false;
  connection.textContent = 'The command could not be asked to stop.';
};
document.addEventListener('visibilitychange', apply);
