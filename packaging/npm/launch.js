#!/usr/bin/env node
// Starts the program of this platform, which npm installed beside this package, and is nothing else than it: its standard
// streams, the signals it gets, and its end.
'use strict';

const { spawn } = require('node:child_process');
const path = require('node:path');

const platform = `${process.platform}-${process.arch}`;
const name = process.platform === 'win32' ? 'planhat-mcp.exe' : 'planhat-mcp';

let program;
try {
  program = path.join(path.dirname(require.resolve(`planhat-mcp-${platform}/package.json`)), 'bin', name);
} catch {
  console.error(
    `planhat-mcp: the program for ${platform} is not installed. npm leaves it out with --omit=optional, and where there is\n` +
      'none for a platform. Install again without that option, or take an archive from the releases of the project.'
  );
  process.exit(1);
}

const child = spawn(program, process.argv.slice(2), { stdio: 'inherit', windowsHide: true });

child.on('error', (error) => {
  console.error(`planhat-mcp: ${program} cannot be started: ${error.message}`);
  process.exit(1);
});

// A signal to this process is meant for the program. What Ctrl-C sends reaches both already, from the terminal.
for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT']) {
  process.on(signal, () => {
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
  });
}

// The program ends when its parent is gone, and its parent is this process: so this one ends with its own. Nothing of Windows
// says that there, where the end of standard input does.
const parent = process.ppid;
if (process.platform !== 'win32' && parent !== 1 && !keepsWithoutParent()) {
  setInterval(() => {
    if (process.ppid !== parent) child.kill('SIGTERM');
  }, 1000).unref();
}

function keepsWithoutParent() {
  const argument = process.argv.find((one) => /^--keep-without-parent(=|$)/.test(one));
  const value = argument ? argument.split('=')[1] ?? 'true' : process.env.PLANHAT_MCP_KEEP_WITHOUT_PARENT ?? 'false';
  return value === 'true' || value === '1';
}

child.on('exit', (code, signal) => {
  if (signal === null) process.exit(code);
  // Ended by a signal: so does this process, for whoever asks how it ended.
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
