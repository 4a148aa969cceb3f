// better-auth with its mcp plugin (an authorization server with people and passwords, in memory) before a server of the
// TypeScript SDK. Its order is JSON in argv[2]: port, life of a token in seconds, and the folder of its packages. It prints
// its address when it listens.
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
const { StreamableHTTPServerTransport } = await load('@modelcontextprotocol/sdk/server/streamableHttp.js');
const { betterAuth } = await inside('better-auth/dist/index.mjs');
const { memoryAdapter } = await inside('better-auth/dist/adapters/memory-adapter/index.mjs');
const { fromNodeHeaders, toNodeHandler } = await inside('better-auth/dist/integrations/node.mjs');
const { mcp, oAuthDiscoveryMetadata, oAuthProtectedResourceMetadata } = await inside('better-auth/dist/plugins/index.mjs');

const ORIGIN = `http://127.0.0.1:${ORDER.port}`;
const tables = ['user', 'session', 'account', 'verification', 'oauthApplication', 'oauthAccessToken', 'oauthConsent'];
const auth = betterAuth({
  baseURL: ORIGIN, secret: 'thirty-two characters, at the least, for tests', emailAndPassword: { enabled: true },
  database: memoryAdapter(Object.fromEntries(tables.map((table) => [table, []]))), telemetry: { enabled: false },
  plugins: [mcp({ loginPage: '/login', resource: `${ORIGIN}/mcp`, oidcConfig: { loginPage: '/login', accessTokenExpiresIn: ORDER.life } })],
});
await auth.api.signUpEmail({ body: { name: 'Ada', email: 'ada@example.com', password: 'correct horse' } });

const said = (text) => ({ content: [{ type: 'text', text }] });
function mcpServer() {
  const server = new McpServer({ name: 'better-auth', version: '1' });
  server.registerTool('echo', { inputSchema: { message: z.string() } }, async ({ message }) => said(`echo: ${message}`));
  server.registerTool('large', { inputSchema: { length: z.number() } }, async ({ length }) => said('x'.repeat(length)));
  return server;
}

const app = express();
const web = (handler) => toNodeHandler(handler(auth));
app.get('/.well-known/oauth-authorization-server', web(oAuthDiscoveryMetadata));
app.get('/.well-known/oauth-protected-resource', web(oAuthProtectedResourceMetadata));
app.all('/api/auth/{*rest}', toNodeHandler(auth));
app.get('/login', (_, response) => response.send('<form method="post"><input name="email"><input name="password"></form>'));
app.post('/login', express.urlencoded(), async (request, response) => {
  const headers = fromNodeHeaders(request.headers);
  const signedIn = await auth.api.signInEmail({ body: request.body, headers, asResponse: true });
  response.append('Set-Cookie', signedIn.headers.getSetCookie());
  response.redirect(303, `/api/auth/mcp/authorize?${new URL(request.originalUrl, ORIGIN).searchParams}`);
});
app.post('/mcp', express.json(), async (request, response) => {
  const session = await auth.api.getMcpSession({ headers: fromNodeHeaders(request.headers) });
  if (!session || session.accessTokenExpiresAt < new Date()) {
    const place = `${ORIGIN}/.well-known/oauth-protected-resource`;
    return response.status(401).set('WWW-Authenticate', `Bearer resource_metadata="${place}"`).send();
  }
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  await mcpServer().connect(transport);
  response.on('close', () => transport.close());
  await transport.handleRequest(request, response, request.body);
});
app.all('/mcp', (_, response) => response.status(405).send('Method not allowed'));
app.listen(ORDER.port, '127.0.0.1', () => console.log(`${ORIGIN}/mcp`));
