// Writes the package.json of the package and of each platform's version of it:
//   packages.mjs WORK NAME VERSION MCP_NAME DESCRIPTION REPOSITORY PLATFORM...
import fs from 'node:fs';
import path from 'node:path';

const [work, name, version, mcpName, description, repository, ...platforms] = process.argv.slice(2);

const common = {
  name,
  version,
  description,
  license: 'MIT',
  homepage: repository,
  repository: { type: 'git', url: `git+${repository}.git` },
};

const write = (folder, content) =>
  fs.writeFileSync(path.join(work, folder, 'package.json'), JSON.stringify({ ...common, ...content }, null, 2) + '\n');

// The program says what it needs; this is what its launcher needs.
const engines = { node: '>=18' };
const documents = ['README.md', 'LICENSE', 'THIRD-PARTY-LICENSES.md'];

write('main', {
  mcpName,
  keywords: ['mcp', 'oauth', 'planhat', 'bridge', 'stdio'],
  bin: { [name]: 'bin/launch.js' },
  files: ['bin', ...documents],
  engines,
  optionalDependencies: Object.fromEntries(
    platforms.map((platform) => [`${name}-${platform}`, `npm:${name}@${version}-${platform}`])
  ),
});

for (const platform of platforms) {
  const [os, cpu] = platform.split('-');
  write(platform, {
    version: `${version}-${platform}`,
    description: `${description} (${platform})`,
    os: [os],
    cpu: [cpu],
    files: ['bin', ...documents],
  });
}
