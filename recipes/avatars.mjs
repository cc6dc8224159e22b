// Draws the pictures of recipes/progan_avatars.yaml: always the same, each from the digest of its number.
//   npm install @dicebear/core@9.4.3 @dicebear/toon-head@9.4.3 @dicebear/converter@9.4.3
//   node recipes/avatars.mjs 12000 data/avatars
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { toPng } from '@dicebear/converter';
import { createAvatar } from '@dicebear/core';
import * as toonHead from '@dicebear/toon-head';

const [count, folder] = [Number(process.argv[2]), process.argv[3]];
mkdirSync(folder, { recursive: true });
for (let index = 0; index < count; index++) {
  // Numbers themselves would not do as seeds: neighbours share their first draws.
  const seed = createHash('sha256').update(String(index)).digest('hex');
  const png = await toPng(createAvatar(toonHead, { seed }).toString(), { size: 64 }).toArrayBuffer();
  writeFileSync(`${folder}/${String(index).padStart(5, '0')}.png`, Buffer.from(png));
}
