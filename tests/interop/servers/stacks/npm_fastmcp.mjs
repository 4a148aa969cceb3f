// A server of npm's fastmcp with its OAuth proxy, before an authorization server that this process plays, too. Its order is
// JSON in argv[2]: port, life of a token in seconds, and the folder of its packages. It prints its address when it listens.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const ORDER = JSON.parse(process.argv[2]);
const find = createRequire(join(ORDER.modules, 'here.js'));
const load = (path) => import(pathToFileURL(join(ORDER.modules, path)));
const { FastMCP, OAuthProvider, requireAuth } = await load('fastmcp/dist/FastMCP.js');
const { z } = await import(pathToFileURL(find.resolve('zod')));
const ORIGIN = `http://127.0.0.1:${ORDER.port}`;

// The authorization server behind it knows one client, and lets everybody in.
const refresh = new Set();
const upstream = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://upstream');
  if (url.pathname === '/authorize') {
    const back = new URL(url.searchParams.get('redirect_uri'));
    back.searchParams.set('code', randomUUID());
    back.searchParams.set('state', url.searchParams.get('state'));
    return response.writeHead(302, { Location: back.href }).end();
  }
  let body = '';
  for await (const part of request) body += part;
  const form = new URLSearchParams(body);
  const renews = form.get('grant_type') === 'refresh_token';
  const isGood = !renews || refresh.delete(form.get('refresh_token'));
  const next = randomUUID();
  if (isGood) refresh.add(next);
  const answer = isGood
    ? { access_token: randomUUID(), token_type: 'Bearer', expires_in: ORDER.life, refresh_token: next, scope: 'records' }
    : { error: 'invalid_grant' };
  return response.writeHead(isGood ? 200 : 400, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
});
await new Promise((done) => upstream.listen(0, '127.0.0.1', done));
const at = `http://127.0.0.1:${upstream.address().port}`;

const server = new FastMCP({
  name: 'npm-fastmcp', version: '1.0.0',
  auth: new OAuthProvider({
    authorizationEndpoint: `${at}/authorize`, tokenEndpoint: `${at}/token`, baseUrl: ORIGIN, clientId: 'one',
    clientSecret: 'a secret of the upstream', scopes: ['records'], accessTokenTtl: ORDER.life,
  }),
});
server.addTool({
  name: 'echo', description: 'Says it again.', parameters: z.object({ message: z.string() }), canAccess: requireAuth,
  execute: async ({ message }) => `echo: ${message}`,
});
server.addTool({
  name: 'large', description: 'A long answer.', parameters: z.object({ length: z.number() }), canAccess: requireAuth,
  execute: async ({ length }) => 'x'.repeat(length),
});
// Standard output is for the address alone.
const { log } = console;
Object.assign(console, { log: console.error, info: console.error, debug: console.error });
await server.start({ transportType: 'httpStream', httpStream: { port: ORDER.port, host: '127.0.0.1' } });
log(`${ORIGIN}/mcp`);
