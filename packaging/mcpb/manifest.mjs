// Writes the bundle's manifest: what stands in manifest.json, with the version, the project's addresses, and only those
// platforms whose program is in the bundle:  manifest.mjs FROM BUNDLE VERSION REPOSITORY
import fs from 'node:fs';
import path from 'node:path';

const [from, bundle, version, repository] = process.argv.slice(2);
const manifest = JSON.parse(fs.readFileSync(from, 'utf8'));
const inside = fs.readdirSync(path.join(bundle, 'server'));
const has = (system) => inside.some((name) => name.startsWith(`${system}-`) || (system === 'win32' && name.endsWith('.exe')));
const platforms = ['darwin', 'win32', 'linux'].filter(has);

const written = {
  manifest_version: manifest.manifest_version,
  name: manifest.name,
  display_name: manifest.display_name,
  version,
  ...manifest,
  repository: { type: 'git', url: `${repository}.git` },
  homepage: repository,
  documentation: `${repository}#readme`,
  support: `${repository}/issues`,
  privacy_policies: [`${repository}/blob/main/docs/privacy.md`],
  compatibility: { ...manifest.compatibility, platforms },
};
if (!platforms.includes('win32')) delete written.server.mcp_config.platform_overrides;
fs.writeFileSync(path.join(bundle, 'manifest.json'), JSON.stringify(written, null, 2) + '\n');
