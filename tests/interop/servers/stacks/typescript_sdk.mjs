// A server of the official TypeScript SDK (1.x) that is its own authorization server (mcpAuthRouter), in one process and in
// memory. Its order is JSON in argv[2]: port, life of a token in seconds, kind (stateful, stateless or sse) and the folder of
// its packages. It prints its address when it listens.
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const ORDER = JSON.parse(process.argv[2]);
const find = createRequire(join(ORDER.modules, 'here.js'));
const load = (name) => import(pathToFileURL(find.resolve(name)));
const sdk = (name) => load(`@modelcontextprotocol/sdk/${name}`);
const express = (await load('express')).default;
const { z } = await load('zod');
const { McpServer } = await sdk('server/mcp.js');
const { StreamableHTTPServerTransport } = await sdk('server/streamableHttp.js');
const { SSEServerTransport } = await sdk('server/sse.js');
const { mcpAuthRouter } = await sdk('server/auth/router.js');
const { requireBearerAuth } = await sdk('server/auth/middleware/bearerAuth.js');
const { InvalidGrantError, InvalidTokenError } = await sdk('server/auth/errors.js');

const ORIGIN = `http://127.0.0.1:${ORDER.port}`;
const PATH = ORDER.kind === 'sse' ? '/sse' : '/mcp';
const SCOPE = 'records';
const now = () => Math.floor(Date.now() / 1000);

// The authorization server's memory. Everybody who comes is let in.
const [clients, codes, access, refresh] = [new Map(), new Map(), new Map(), new Map()];

function issue(client, scopes) {
  const token = randomUUID();
  const renewal = randomUUID();
  access.set(token, { token, clientId: client.client_id, scopes, expiresAt: now() + ORDER.life });
  refresh.set(renewal, { clientId: client.client_id, scopes });
  return { access_token: token, token_type: 'bearer', expires_in: ORDER.life, scope: scopes.join(' '), refresh_token: renewal };
}

function taken(from, key) {
  const found = from.get(key);
  if (!found) throw new InvalidGrantError('it is not known here');
  from.delete(key);
  return found;
}

const provider = {
  clientsStore: {
    getClient: (id) => clients.get(id),
    registerClient(client) {
      // Until 1.17 the router names the client, later the store may.
      const named = { client_id: randomUUID(), client_id_issued_at: now(), ...client };
      clients.set(named.client_id, named);
      return named;
    },
  },
  async authorize(client, { redirectUri, state, scopes, codeChallenge }, response) {
    const code = randomUUID();
    codes.set(code, { codeChallenge, scopes: scopes ?? [] });
    const back = new URL(redirectUri);
    back.searchParams.set('code', code);
    if (state !== undefined) back.searchParams.set('state', state);
    response.redirect(back.href);
  },
  async challengeForAuthorizationCode(_, code) {
    if (!codes.has(code)) throw new InvalidGrantError('it is not known here');
    return codes.get(code).codeChallenge;
  },
  exchangeAuthorizationCode: async (client, code) => issue(client, taken(codes, code).scopes),
  exchangeRefreshToken: async (client, token) => issue(client, taken(refresh, token).scopes),
  async verifyAccessToken(token) {
    const found = access.get(token);
    if (!found) throw new InvalidTokenError('it is not known here');
    return found;
  },
  async revokeToken(_, { token }) {
    access.delete(token);
    refresh.delete(token);
  },
};

const said = (text) => ({ content: [{ type: 'text', text }] });

function mcpServer() {
  const server = new McpServer({ name: 'typescript-sdk', version: '1' });
  server.tool('echo', 'Says it again.', { message: z.string() }, async ({ message }) => said(`echo: ${message}`));
  server.tool('large', 'A long answer.', { length: z.number() }, async ({ length }) => said('x'.repeat(length)));
  server.tool('deploy', 'Deploys, when the person agrees.', { env: z.string() }, async ({ env }) => {
    const answer = await server.server.elicitInput({
      message: `Deploy to ${env}?`,
      requestedSchema: { type: 'object', properties: { confirm: { type: 'boolean' } }, required: ['confirm'] },
    });
    return said(`deploy: ${answer.action}`);
  });
  return server;
}

const app = express();
app.use(mcpAuthRouter({ provider, issuerUrl: new URL(ORIGIN), scopesSupported: [SCOPE], resourceServerUrl: new URL(`${ORIGIN}${PATH}`) }));
const guard = requireBearerAuth({
  provider, verifier: provider, requiredScopes: [SCOPE],
  resourceMetadataUrl: `${ORIGIN}/.well-known/oauth-protected-resource${PATH}`,
});
const sessions = new Map();
// What happens where there are several processes, or none for a while.
process.on('SIGUSR1', () => sessions.clear());
const refused = (message) => ({ jsonrpc: '2.0', error: { code: -32000, message }, id: null });

// As in the SDK's examples: an unknown session is a bad request there, whatever the specification says.
async function stateful(request, response) {
  const id = request.headers['mcp-session-id'];
  if (sessions.has(id)) return sessions.get(id).handleRequest(request, response, request.body);
  if (id !== undefined || request.body?.method !== 'initialize') {
    return response.status(400).json(refused('Bad Request: No valid session ID provided'));
  }
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (made) => { sessions.set(made, transport); },
  });
  await mcpServer().connect(transport);
  await transport.handleRequest(request, response, request.body);
}

async function stateless(request, response) {
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  await mcpServer().connect(transport);
  response.on('close', () => transport.close());
  await transport.handleRequest(request, response, request.body);
}

if (ORDER.kind === 'sse') {
  app.get('/sse', guard, async (_, response) => {
    const transport = new SSEServerTransport('/messages', response);
    sessions.set(transport.sessionId, transport);
    await mcpServer().connect(transport);
  });
  app.post('/messages', guard, express.json({ limit: '8mb' }), async (request, response) => {
    const transport = sessions.get(request.query.sessionId);
    if (!transport) return response.status(400).send('No transport found for sessionId');
    await transport.handlePostMessage(request, response, request.body);
  });
} else if (ORDER.kind === 'stateless') {
  app.post('/mcp', guard, express.json({ limit: '8mb' }), stateless);
  app.all('/mcp', (_, response) => response.status(405).json(refused('Method not allowed.')));
} else {
  app.all('/mcp', guard, express.json({ limit: '8mb' }), stateful);
}
app.listen(ORDER.port, '127.0.0.1', () => console.log(`${ORIGIN}${PATH}`));
