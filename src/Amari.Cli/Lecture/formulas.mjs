// Converts the formulas of docs/lecture.md to MathML, once they have changed:
//   npm install --no-save temml@0.13.5 && node src/Amari.Cli/Lecture/formulas.mjs
// The program embeds the result. A test compares its keys with the formulas of the page.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const temml = createRequire(process.cwd() + '/')('temml'), here = new URL('.', import.meta.url),
  text = readFileSync(new URL('../../../docs/lecture.md', here), 'utf8').replace(/^> ?/gm, '').replace(/```[\s\S]*?```/g, '')
    .replace(/`[^`\n]*`/g, ''),
  display = /\$\$([\s\S]*?)\$\$/g, inline = /\$([^$\n]+)\$/g,
  convert = (formulas, displayMode) => Object.fromEntries([...formulas].map(m => m[1].replace(/\s+/g, ' ').trim()).sort()
    .map(tex => [tex, temml.renderToString(tex, { displayMode, throwOnError: true })]));
writeFileSync(new URL('formulas.json', here), JSON.stringify({ display: convert(text.matchAll(display), true),
  inline: convert(text.replace(display, '').matchAll(inline), false) }, null, 1) + '\n');
