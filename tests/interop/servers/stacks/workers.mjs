// A worker of Cloudflare's workers-oauth-provider, in workerd. Its order is JSON in argv[2]: port, life of a token in seconds,
// and the folder of its packages. GET /reject ends all tokens that it has seen. It prints its address when it listens. The worker's memory (KV) ends with the process.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const ORDER = JSON.parse(process.argv[2]);
const find = createRequire(join(ORDER.modules, 'here.js'));
const { Miniflare } = await import(pathToFileURL(find.resolve('miniflare')));
const library = readFileSync(join(ORDER.modules, '@cloudflare/workers-oauth-provider/dist/oauth-provider.js'), 'utf8');
const ORIGIN = `http://127.0.0.1:${ORDER.port}`;

// Runs in workerd. It keeps no sessions and answers with JSON, as the smallest workers do.
function worker(OAuthProvider, { origin, life }) {
  const said = (text) => ({ content: [{ type: 'text', text }] });
  const tool = (name, description, properties) =>
    ({ name, description, inputSchema: { type: 'object', properties, required: Object.keys(properties) } });
  const tools = [
    tool('echo', 'Says it again.', { message: { type: 'string' } }),
    tool('large', 'A long answer.', { length: { type: 'number' } }),
  ];
  const known = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];
  const methods = {
    initialize: ({ protocolVersion }) => ({
      protocolVersion: known.includes(protocolVersion) ? protocolVersion : known[0],
      capabilities: { tools: {} }, serverInfo: { name: 'worker', version: '1' },
    }),
    ping: () => ({}),
    'tools/list': () => ({ tools }),
    'tools/call': ({ name, arguments: given }) => (name === 'echo' ? said(`echo: ${given.message}`) : said('x'.repeat(given.length))),
  };
  // Tokens that are no longer good, though KV could keep none for less than a minute.
  const [seen, rejected] = [new Set(), new Set()];
  const apiHandler = {
    async fetch(request) {
      const token = request.headers.get('Authorization');
      if (rejected.has(token)) {
        return new Response('', { status: 401, headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' } });
      }
      seen.add(token);
      if (request.method !== 'POST') return new Response('Method not allowed', { status: 405 });
      const { id, method, params } = await request.json();
      if (id === undefined) return new Response(null, { status: 202 });
      const answer = methods[method]
        ? { result: methods[method](params ?? {}) }
        : { error: { code: -32601, message: 'Method not found' } };
      return Response.json({ jsonrpc: '2.0', id, ...answer });
    },
  };
  const defaultHandler = {
    async fetch(request, env) {
      const { pathname } = new URL(request.url);
      if (pathname === '/reject') {
        seen.forEach((token) => rejected.add(token));
        return new Response('done');
      }
      if (pathname !== '/authorize') return new Response('Not found', { status: 404 });
      const asked = await env.OAUTH_PROVIDER.parseAuthRequest(request);
      const client = await env.OAUTH_PROVIDER.lookupClient(asked.clientId);
      if (!client) return new Response('Unknown client', { status: 400 });
      // Nobody is let in unseen: from 0.8 on, a new grant ends the older ones of the same client.
      if (request.method === 'GET') {
        const page = '<form method="post"><button>Allow</button></form>';
        return new Response(page, { headers: { 'Content-Type': 'text/html' } });
      }
      const { redirectTo } = await env.OAUTH_PROVIDER.completeAuthorization({
        request: asked, userId: 'ada', metadata: {}, scope: asked.scope, props: { user: 'ada' },
      });
      return Response.redirect(redirectTo, 302);
    },
  };
  return new OAuthProvider({
    apiRoute: '/mcp', apiHandler, defaultHandler, authorizeEndpoint: '/authorize', tokenEndpoint: '/token',
    clientRegistrationEndpoint: '/register', accessTokenTTL: life, scopesSupported: ['records'],
    // Of 1.x; older versions pass over it.
    resourceMetadata: { resource: `${origin}/mcp`, authorization_servers: [origin] },
  });
}

const script = `import { OAuthProvider } from './oauth-provider.js';
export default (${worker})(OAuthProvider, ${JSON.stringify({ origin: ORIGIN, life: ORDER.life })});`;
const flare = new Miniflare({
  host: '127.0.0.1', port: ORDER.port, kvNamespaces: ['OAUTH_KV'], compatibilityDate: '2026-06-01',
  compatibilityFlags: ['nodejs_compat'], modulesRoot: '/',
  modules: [
    { type: 'ESModule', path: '/worker.mjs', contents: script },
    { type: 'ESModule', path: '/oauth-provider.js', contents: library },
  ],
});
await flare.ready;
process.on('SIGTERM', async () => {
  await flare.dispose();
  process.exit(0);
});
console.log(`${ORIGIN}/mcp`);
