// A certified OpenID provider (npm oidc-provider) as the authorization server of resource_server.mjs, on free loopback
// ports. Its order is JSON in argv[2]: clients (of whom `key` marks those that get a key pair made here), and
// documents, whether clients may identify themselves by URL.
//
// Standard output gets a JSON line for what happens, the first being `ready`. Standard input takes a word a line:
// "life N" (access tokens issued from now on last N seconds) and "reject" (the resource server rejects all tokens that it
// has seen). Its end is the end of all.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { Provider, errors } from 'oidc-provider';
import { SCOPES, resourceServer } from './resource_server.mjs';

const ORDER = JSON.parse(process.argv[2]);
const HOST = '127.0.0.1';
let life = 600;

function say(event, more = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
}

function listening(server) {
  return new Promise((done) => server.listen(0, HOST, () => done(`http://${HOST}:${server.address().port}`)));
}

// Who is asked to prove itself with a key gets one; the private half goes out with `ready`.
const keys = {};
function client({ key, ...metadata }) {
  if (!key) return metadata;
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  keys[metadata.client_id] = privateKey.export({ type: 'pkcs8', format: 'pem' });
  return { ...metadata, jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] } };
}

const [door, other] = [createServer(), createServer()];
const [issuer, resourceOrigin] = [await listening(door), await listening(other)];
const resource = `${resourceOrigin}/mcp`;

const provider = new Provider(issuer, {
  clients: ORDER.clients.map(client),
  scopes: ['openid', 'offline_access', ...SCOPES],
  cookies: { keys: [randomBytes(16).toString('hex')] },
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  rotateRefreshToken: true,
  expiresWithSession: () => false,
  ttl: { AuthorizationCode: 60, DeviceCode: 120, Grant: 3600, IdToken: 600, Interaction: 600, RefreshToken: 3600, Session: 3600 },
  features: {
    clientCredentials: { enabled: true },
    clientIdMetadataDocument: { enabled: Boolean(ORDER.documents), ack: 'draft-02' },
    deviceFlow: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => [],
      useGrantedResource: () => true,
      getResourceServerInfo(_, indicator) {
        if (indicator !== resource) throw new errors.InvalidTarget();
        return { scope: SCOPES.join(' '), audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: life };
      },
    },
    revocation: { enabled: true },
  },
  // Documents lie on loopback here, where its guard against such addresses, a dispatcher, would stop at once. The rest
  // of the fetch (TLS included) stays as it is.
  fetch: (url, { dispatcher: _, ...options }) => globalThis.fetch(url, options),
});

const about = (ctx) => ({ grant_type: ctx.oidc.params?.grant_type, client_id: ctx.oidc.client?.clientId });
provider.on('grant.success', (ctx) => say('token', { ...about(ctx), resource: ctx.oidc.params.resource, ...told(ctx.body) }));
provider.on('grant.error', (ctx, error) => say('token refused', { ...about(ctx), ...why(error) }));
provider.on('grant.revoked', () => say('grant revoked'));
provider.on('refresh_token.destroyed', () => say('refresh token destroyed'));
provider.on('registration_create.success', (ctx, made) => say('registered', { client: made.metadata() }));
provider.on('device_authorization.success', () => say('device code'));
provider.on('authorization.accepted', (ctx) => say('authorized', { client_id: ctx.oidc.client.clientId }));
for (const event of ['authorization', 'device_authorization', 'code_verification', 'registration_create', 'revocation']) {
  provider.on(`${event}.error`, (_, error) => say(`${event} refused`, why(error)));
}
provider.on('server_error', (_, error) => say('broken', { error: String(error.stack) }));

// What a token answer says, without what is secret in it.
const told = ({ expires_in, scope, refresh_token }) => ({ expires_in, scope, renewable: Boolean(refresh_token) });
const why = ({ error, error_description, error_detail }) => ({ error, error_description, error_detail });

door.on('request', provider.callback());
const guarded = resourceServer({ issuer, resource });
other.on('request', guarded.serve);
say('ready', { issuer, resource, keys });

for await (const line of createInterface({ input: process.stdin })) {
  const [word, value] = line.split(' ');
  if (word === 'life') life = Number(value);
  if (word === 'reject') guarded.rejectSeen();
  say('obeyed', { line });
}
process.exit(0);
