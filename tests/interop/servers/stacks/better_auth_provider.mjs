// better-auth with @better-auth/oauth-provider, as @better-auth/mcp sets it up (an authorization server with people, passwords
// and consents, in memory, whose tokens are JWTs), before a server of the TypeScript SDK. Its order is JSON in argv[2]: port,
// life of a token in seconds, and the folder of its packages. It prints its address when it listens.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const ORDER = JSON.parse(process.argv[2]);
const find = createRequire(join(ORDER.modules, 'here.js'));
const load = (name) => import(pathToFileURL(find.resolve(name)));
// Packages that offer themselves to `import` alone are found by their folder.
const inside = (path) => import(pathToFileURL(join(ORDER.modules, path)));
const express = (await load('express')).default;
const { z } = await load('zod');
const { McpServer } = await load('@modelcontextprotocol/sdk/server/mcp.js');
const { WebStandardStreamableHTTPServerTransport } = await load('@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js');
const { betterAuth } = await inside('better-auth/dist/index.mjs');
const { memoryAdapter } = await inside('better-auth/dist/adapters/memory-adapter/index.mjs');
const { toNodeHandler } = await inside('better-auth/dist/integrations/node.mjs');
const { jwt } = await inside('better-auth/dist/plugins/index.mjs');
const { mcp, requireMcpAuth } = await inside('@better-auth/mcp/dist/index.mjs');

const ORIGIN = `http://127.0.0.1:${ORDER.port}`;
const RESOURCE = `${ORIGIN}/mcp`;
const tables = [
  'user', 'session', 'account', 'verification', 'jwks', 'oauthClient', 'oauthResource', 'oauthClientResource',
  'oauthRefreshToken', 'oauthAccessToken', 'oauthConsent', 'oauthClientAssertion',
];
const auth = betterAuth({
  baseURL: ORIGIN, secret: 'thirty-two characters, at the least, for tests', emailAndPassword: { enabled: true },
  database: memoryAdapter(Object.fromEntries(tables.map((table) => [table, []]))), telemetry: { enabled: false },
  plugins: [
    jwt(),
    mcp({
      loginPage: '/login', consentPage: '/consent', resource: RESOURCE, accessTokenExpiresIn: ORDER.life,
      scopes: ['openid', 'offline_access', 'records'],
      allowDynamicClientRegistration: true, allowUnauthenticatedClientRegistration: true,
    }),
  ],
});
await auth.api.signUpEmail({ body: { name: 'Ada', email: 'ada@example.com', password: 'correct horse' } });

const said = (text) => ({ content: [{ type: 'text', text }] });
async function answer(request) {
  const server = new McpServer({ name: 'better-auth', version: '1' });
  server.registerTool('echo', { inputSchema: { message: z.string() } }, async ({ message }) => said(`echo: ${message}`));
  server.registerTool('large', { inputSchema: { length: z.number() } }, async ({ length }) => said('x'.repeat(length)));
  const transport = new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  await server.connect(transport);
  return transport.handleRequest(request);
}

// A page's form goes on to an endpoint of better-auth, with the signed query that the page was opened with.
const form = (fields) => `<form method="post">${fields}<button>Continue</button></form>`;
const goesOn = (path, said) => async (request, response) => {
  const query = new URL(request.originalUrl, ORIGIN).search.slice(1);
  const reply = await auth.handler(new Request(`${ORIGIN}/api/auth${path}`, {
    method: 'POST', body: JSON.stringify({ ...said(request.body), oauth_query: query }),
    headers: { 'Content-Type': 'application/json', Origin: ORIGIN, Cookie: request.get('Cookie') ?? '' },
  }));
  const text = await reply.text();
  response.append('Set-Cookie', reply.headers.getSetCookie());
  return reply.ok ? response.redirect(303, JSON.parse(text).url) : response.status(reply.status).send(text);
};

const app = express();
app.all(['/api/auth/{*rest}', '/.well-known/{*rest}'], toNodeHandler(auth));
app.get('/login', (_, response) => response.send(form('<input name="email"><input name="password">')));
app.post('/login', express.urlencoded(), goesOn('/sign-in/email', ({ email, password }) => ({ email, password })));
app.get('/consent', (_, response) => response.send(form('')));
app.post('/consent', goesOn('/oauth2/consent', () => ({ accept: true })));
app.post('/mcp', toNodeHandler(requireMcpAuth(auth, answer, { resource: RESOURCE, requiredScopes: ['records'] })));
app.all('/mcp', (_, response) => response.status(405).send('Method not allowed'));
app.listen(ORDER.port, '127.0.0.1', () => console.log(RESOURCE));
