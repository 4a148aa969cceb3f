// An MCP server (the TypeScript SDK's) that takes the JWTs of authorization_server.mjs, of both eras and without sessions.

import { toNodeHandler } from '@modelcontextprotocol/node';
import {
  McpServer, OAuthError, OAuthErrorCode, createMcpHandler, requireBearerAuth,
} from '@modelcontextprotocol/server';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import * as z from 'zod';

export const SCOPES = ['records:read', 'records:write'];
// What every call needs; the other one is asked for when it is needed.
const [READ, WRITE] = SCOPES;

export function resourceServer({ issuer, resource }) {
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks`));
  const metadataUrl = resource.replace('/mcp', '/.well-known/oauth-protected-resource/mcp');
  const seen = new Set();
  let rejected = new Set();

  const verifier = {
    async verifyAccessToken(token) {
      if (rejected.has(token)) throw new OAuthError(OAuthErrorCode.InvalidToken, 'withdrawn');
      const { payload } = await jwtVerify(token, keys, { issuer, audience: resource, clockTolerance: 0 }).catch((error) => {
        throw new OAuthError(OAuthErrorCode.InvalidToken, error.message);
      });
      seen.add(token);
      const { client_id: clientId, sub, exp: expiresAt, scope = '' } = payload;
      return { token, clientId, scopes: scope.split(' '), expiresAt, extra: { sub } };
    },
  };
  const needs = (scope) => requireBearerAuth({ verifier, requiredScopes: [scope], resourceMetadataUrl: metadataUrl });
  const gates = { [READ]: needs(READ), [WRITE]: needs(WRITE) };

  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: 'interop-resource', version: '1.0.0' });
    const said = (text) => ({ content: [{ type: 'text', text }] });
    server.registerTool('whoami', { description: 'Says whose token came.' }, (context) => {
      const { clientId, extra, scopes } = context.http.authInfo;
      return said(JSON.stringify({ sub: extra.sub, client_id: clientId, scopes }));
    });
    server.registerTool('change', { description: 'Needs one more scope.', inputSchema: z.object({ to: z.string() }) }, ({ to }) =>
      said(`changed to ${to}`));
    return server;
  });

  async function fetch(request, options) {
    const { pathname } = new URL(request.url);
    if (request.url === metadataUrl) {
      const document = { resource, authorization_servers: [issuer], scopes_supported: [READ], bearer_methods_supported: ['header'] };
      return Response.json(document);
    }
    if (pathname !== '/mcp') return new Response('nothing here', { status: 404 });
    const body = request.method === 'POST' ? await request.clone().text() : '';
    const authInfo = await gates[/"name": *"change"/.test(body) ? WRITE : READ](request);
    return authInfo instanceof Response ? authInfo : handler.fetch(request, { ...options, authInfo });
  }

  return {
    serve: toNodeHandler({ fetch }),
    rejectSeen() {
      rejected = new Set(seen);
    },
  };
}
